"""Orders: one order's state.

Part of the deterministic core. An order is open from its acceptance until it ends: it rests in a
book, or it waits for its trigger. Always: quantity = leaves + cum + canceled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from sortedcontainers import SortedList

from hpe.core.trading.kinds import STOPS, Kind, kind_of
from hpe.core.trading.order_states import ARRIVING, MOVES, QUEUED, WAITING, OrderState
from hpe.protocol.codes import CancelReason
from hpe.protocol.enums import OrderStatus, OrderType, Side, TimeInForce

if TYPE_CHECKING:
    from hpe.core.context.holders import Holder
    from hpe.core.money.balances import Account
    from hpe.core.money.fees import FeeRates

_NEW: Final = OrderStatus.NEW
_PARTIALLY_FILLED: Final = OrderStatus.PARTIALLY_FILLED
_FILLED: Final = OrderStatus.FILLED
_CANCELED: Final = OrderStatus.CANCELED
_EXPIRED: Final = CancelReason.EXPIRED

StopRow = tuple[int, int, "Order"]
"""A stop's position among others, the least first: (what is compared first, place, order)."""

Line = SortedList[StopRow]
"""Stops of one side that were reached together, in order of turns."""


class Trail:
    """Trailing stops of one peak: rows (trail, place, order), in the order in which they fire."""

    __slots__ = ("peak", "stops")

    def __init__(self, peak: int) -> None:
        self.peak = peak
        self.stops: SortedList[StopRow] = SortedList()

    def first(self) -> tuple[int, int, int]:
        """Return (negated rank of the first trigger, its place, peak): groups are found by it."""
        trail, place, _ = self.stops[0]
        return trail - self.peak, place, self.peak


class Terms(msgspec.Struct, gc=False):
    """What an order has beyond price and quantity, for orders that have any of it.

    `place` orders stops of one trigger: the sequence of the command that put it there. `line` is
    the line in which a queued stop waits.
    `partner` is the other leg of an OCO pair; `holds_pair` is true for the leg whose `reserved`
    covers both. `session_id` is the session whose lost connection cancels it, 0 for none.
    `group` is the group of a waiting trailing stop.
    """

    stop_price: int = 0
    trail: int = 0
    display: int = 0
    minimum: int = 0
    budget: int = 0
    expires_ns: int = 0
    place: int = 0
    holds_pair: bool = False
    session_id: int = 0
    partner: Order | None = None
    group: Trail | None = None
    line: Line | None = None


class Order(msgspec.Struct, gc=False, eq=False):
    """One accepted order.

    A Struct because its constructor is written in C: creating the object is the largest single cost
    of accepting an order. gc=False keeps a million resting orders out of the collector's walks;
    the links to its neighbors in the queue are cycles, so removing an order clears them.

    `paying` is the account that the order reserves from, `receiving` the one that fills credit;
    `reserved` is what it has reserved there now, in atoms. `holder` is the key whose place it takes
    while it is open, even if that key is revoked or a session of another key replaces the order.
    `price` is in ticks, 0 for a market order. `hidden` is the part of the leaves that an iceberg
    does not show. `quote_total` is the sum of its fills in quote atoms, `fee_total` what it was
    charged for them, and `fee_rest` by how many millionths of an atom that was too much. `reason`
    says why it ended, 0 if filled.
    """

    order_id: int
    user: int
    client_order_id: int
    instrument_id: int
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    price: int
    quantity: int
    leaves: int
    flags: int
    self_trade: int
    rates: FeeRates
    paying: Account
    receiving: Account
    holder: Holder
    reserved: int = 0
    state: OrderState = ARRIVING
    hidden: int = 0
    cum: int = 0
    canceled: int = 0
    quote_total: int = 0
    fee_total: int = 0
    fee_rest: int = 0
    reason: int = 0
    terms: Terms | None = None
    previous: Order | None = None
    next: Order | None = None

    def status(self) -> OrderStatus:
        """Return the FIX order status that the quantities and the reason imply."""
        if self.leaves:
            return _PARTIALLY_FILLED if self.cum else _NEW
        if self.reason:
            return OrderStatus.EXPIRED if self.reason == _EXPIRED else _CANCELED
        return _NEW if self.waiting else _FILLED  # a stop with a budget has no leaves yet

    @property
    def kind(self) -> Kind:
        """The kind of this order."""
        budget = self.terms.budget if self.terms is not None else 0
        kind = kind_of(self.order_type, self.time_in_force, budget)
        assert kind is not None
        return kind

    @property
    def may_rest(self) -> bool:
        """True if the part that does not trade at once stays in the book."""
        return self.kind.may_rest

    @property
    def partner(self) -> Order | None:
        """Return the other leg of an OCO pair."""
        return self.terms.partner if self.terms is not None else None

    @property
    def waiting(self) -> bool:
        """True if this is a stop that has not had its turn."""
        return self.state is WAITING or self.state is QUEUED

    @property
    def is_stop(self) -> bool:
        """True if this is, or was, a stop."""
        return self.order_type in STOPS

    def trigger(self) -> int:
        """Return the price in ticks at which a stop fires, or did; 0 if it is not a stop."""
        terms = self.terms
        if terms is None:
            return 0
        group = terms.group
        if group is None:
            return terms.stop_price
        sign = stop_sign(self.side)
        return (group.peak - terms.trail) * sign

    def move(self, state: OrderState) -> None:
        """Move to another state; the table must allow it."""
        assert state in MOVES[self.state], (self.order_id, self.state, state)
        self.state = state

    def is_dead(self, dead_ns: int) -> bool:
        """True if the order's expiry is at or before `dead_ns`; with 0, nothing is dead."""
        terms = self.terms
        return terms is not None and 0 < terms.expires_ns <= dead_ns

    def show_slice(self) -> None:
        """Hide the leaves of an iceberg except for one slice of the display quantity."""
        display = self.terms.display if self.terms is not None else 0
        self.hidden = max(self.leaves - display, 0) if display else 0


def stop_sign(side: Side) -> int:
    """Return the factor that turns a price into its rank among the stops of a side."""
    return -1 if side is Side.BUY else 1
