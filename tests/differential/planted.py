"""Reference cores with a fault each: what the differential proof must find, with its own tests.

Imported in the child process alone, which has one core; the fault is there for all of them.
"""

from __future__ import annotations

import os
import signal
from typing import Any

from hpe.core.contract import Batch, Limits, Output
from hpe.core.driver import ReferenceCore
from hpe.core.trading.busy import Busy
from hpe.protocol.orders import ReplaceOrder


def never_busy(limits: Limits) -> ReferenceCore:
    """Return a core in which replaces are never busy."""
    refuses = Busy.refuses

    def wrong(self: Busy, user: int, request: Any) -> bool:
        return not isinstance(request, ReplaceOrder) and refuses(self, user, request)

    core = ReferenceCore(limits)
    core.exchange.busy.refuses = wrong.__get__(core.exchange.busy)  # type: ignore[method-assign]  # of this one core
    return core


class _At(ReferenceCore):
    """Does something else once order 30 is there."""

    def apply(self, batch: Batch) -> Output:
        if self.exchange.last_order_id >= 30:
            self.fail()
        return super().apply(batch)

    def fail(self) -> None:
        raise NotImplementedError


class KilledCore(_At):
    """Dies of a signal."""

    def fail(self) -> None:
        os.kill(os.getpid(), signal.SIGSEGV)


class Hanging(_At):
    """Never comes back."""

    def fail(self) -> None:
        while True:
            pass


class Raising(_At):
    """Raises an exception."""

    def fail(self) -> None:
        raise ArithmeticError("planted")


class Quitting(_At):
    """Ends its process as if all were well."""

    def fail(self) -> None:
        raise SystemExit(0)


class Forgetful(ReferenceCore):
    """Has another state, of which no output tells."""

    def state_hash(self) -> bytes:
        found = super().state_hash()
        return found if self.exchange.last_order_id < 30 else bytes(16)
