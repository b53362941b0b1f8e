"""The deterministic state machine: books, balances, sessions; no clock, no I/O, no Trio."""

from hpe.core.choice import missing_core, new_core

__all__ = ["missing_core", "new_core"]
