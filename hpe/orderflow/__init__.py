"""Recorded order flow: its files, its requests and responses, and its expected results."""
