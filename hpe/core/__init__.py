"""The deterministic state machine: books, balances, sessions; no clock, no I/O, no Trio."""

from hpe.core.contract import DEFAULT_LIMITS, Core, Limits
from hpe.core.driver import ReferenceCore


def new_core(limits: Limits = DEFAULT_LIMITS) -> Core:
    """Return a new, empty core."""
    return ReferenceCore(limits)
