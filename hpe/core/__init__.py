"""The deterministic state machine: books, balances, sessions; no clock, no I/O, no Trio."""

from hpe.core.reference import ReferenceCore


def new_core() -> ReferenceCore:
    """Make an empty core."""
    return ReferenceCore()
