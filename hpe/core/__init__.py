"""The deterministic state machine: books, balances, sessions; no clock, no I/O, no Trio."""

from hpe.core.core import Core
from hpe.core.reference import ReferenceCore


def new_core() -> Core:
    """Make an empty core."""
    return ReferenceCore()
