"""The wire, once: every message, every limit and code, and the frames that carry them."""
