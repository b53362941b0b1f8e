"""Other matching engines on the same order flow, each in its own environment."""
