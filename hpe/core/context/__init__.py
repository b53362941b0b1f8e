"""What a command acts under: where it comes from, what it may take, and what it costs."""
