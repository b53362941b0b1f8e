"""The context of a command: where it comes from, what it may take, and what it costs."""
