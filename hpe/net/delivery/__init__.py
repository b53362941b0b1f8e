"""Delivery of each output to its receivers: replies, private reports, market data."""
