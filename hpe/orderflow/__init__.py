"""Recorded order flow: its files, its messages, and what must come out of it."""
