"""The deterministic state machine: books, balances, sessions; no clock, no I/O, no Trio."""
