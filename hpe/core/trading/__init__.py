"""Orders: accepted or not, matched, settled, triggered, canceled."""
