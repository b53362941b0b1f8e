"""Where each output goes: replies, private reports, market data."""
