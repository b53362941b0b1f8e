"""Assets and instruments, and how a configuration differs from what is listed."""
