"""Which commands an instrument cannot take now, because something of it is unfinished.

Part of the deterministic core. Such a command is refused as `busy`, before anything of it is
executed: it is not logged, and can be sent again. Cancels pass while stops stand in line, and so
does a change of the market's status; while an uncross is in parts nothing does. Source:
protocol.md, "Unfinished work".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hpe.core.replacing import named_order, only_cancels
from hpe.messages import (
    CancelOrder,
    MassCancel,
    ReplaceOrder,
    Request,
    SetFees,
    SetStatus,
    SubmitOco,
    SubmitOrder,
    Uncross,
)

if TYPE_CHECKING:
    from hpe.core.exchange import Exchange


class Busy:
    """Knows what of one exchange is unfinished."""

    def __init__(self, exchange: Exchange) -> None:
        self._works = exchange.market.turns.works
        self._users = exchange.orders.users
        self._tests: dict[type[Request], Callable[[int, Any], bool]] = {
            SubmitOrder: self._changes,
            SubmitOco: self._changes,
            Uncross: self._changes,
            SetFees: self._changes,
            ReplaceOrder: self._replaces,
            CancelOrder: self._cancels,
            MassCancel: self._cancels_many,
            SetStatus: self._cancels_many,
        }

    def refuses(self, user: int, request: Request) -> bool:
        """True if a command has to wait until its instrument is finished."""
        test = self._tests.get(type(request))
        return test is not None and test(user, request)

    def _changes(self, user: int, request: SubmitOrder | SubmitOco | Uncross | SetFees) -> bool:
        work = self._works.get(request.instrument)
        return work is not None and work.listed

    def _cancels_many(self, user: int, request: MassCancel | SetStatus) -> bool:
        work = self._works.get(request.instrument)
        return work is not None and work.uncrossing is not None

    def _cancels(self, user: int, request: CancelOrder) -> bool:
        order = named_order(self._users, user, request)
        work = order.book.work if order is not None else None
        return work is not None and work.uncrossing is not None

    def _replaces(self, user: int, request: ReplaceOrder) -> bool:
        order = named_order(self._users, user, request)
        work = order.book.work if order is not None else None
        if order is None or work is None or not work.listed:
            return False
        return work.uncrossing is not None or not only_cancels(request, order)
