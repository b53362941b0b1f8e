"""Orders: one order's state, and the index that finds open and recently ended ones.

Part of the deterministic core. An order is open from its acceptance until it ends: it rests in a
book, or it waits for its trigger. Always: quantity = leaves + cum + canceled. The newest ended
orders and fills of all users are kept for queries.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Final

import msgspec
from sortedcontainers import SortedList

from hpe.core.context.holders import NOBODY
from hpe.core.contract import DEFAULT_LIMITS, Limits
from hpe.core.timers import ORDER, Due
from hpe.core.trading.kinds import STOPS, Kind, kind_of
from hpe.core.trading.order_states import ARRIVING, ENDED, MOVES, QUEUED, RESTS, WAITING, OrderState
from hpe.core.trading.paging import RecentFills, Rising, tight
from hpe.errors import InvariantViolation
from hpe.protocol.codes import CancelReason
from hpe.protocol.enums import OrderStatus, OrderType, Side, TimeInForce
from hpe.protocol.reports import ExecutionReport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpe.core.context.holders import Holder
    from hpe.core.money.balances import Account
    from hpe.core.money.fees import FeeRates
    from hpe.core.timers import Timers

_NEW: Final = OrderStatus.NEW
_PARTIALLY_FILLED: Final = OrderStatus.PARTIALLY_FILLED
_FILLED: Final = OrderStatus.FILLED
_CANCELED: Final = OrderStatus.CANCELED
_EXPIRED: Final = CancelReason.EXPIRED

StopRow = tuple[int, int, "Order"]
"""Where a stop stands among others, the least first: (what is compared first, place, order)."""

Line = SortedList[StopRow]
"""Stops that were reached together, on one side, in turn."""


class Trail:
    """Trailing stops of one peak: rows (trail, place, order), the first to fire first."""

    __slots__ = ("peak", "stops")

    def __init__(self, peak: int) -> None:
        self.peak = peak
        self.stops: SortedList[StopRow] = SortedList()

    def first(self) -> tuple[int, int]:
        """Return (negated rank of the first trigger, peak): groups are found by that."""
        return self.stops[0][0] - self.peak, self.peak


class Terms(msgspec.Struct, gc=False):
    """What an order has beyond price and quantity, for those that have any of it.

    `place` orders stops of one trigger: the sequence of the command that put it there. `line` is
    where a stop stands while it is queued.
    `partner` is the other leg of an OCO pair, `holds_pair` true for the leg whose `reserved` is
    that of both. `session_id` is the session whose lost connection cancels it, 0 for none.
    `group` is a waiting trailing stop's place among its like.
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

    A Struct because its constructor is C: creating the object is the largest single cost of
    accepting an order. gc=False keeps a million resting orders out of the collector's walks;
    the links to its neighbors in the queue are cycles, so taking an order out clears them.

    `paying` is the account that the order reserves from, `receiving` the one that fills credit;
    `reserved` is what it has reserved there now, in atoms. `holder` is whose place it takes while
    it is open, whatever becomes of the key and whichever session replaces it. `price` is in
    ticks, 0 for a market order. `hidden` is the part of the leaves that an iceberg does not show.
    `quote_total` is the sum of its fills in quote atoms, `fee_total` what it was charged for them
    and `fee_rest` by how many millionths of an atom that is too much. `reason` says why it ended,
    0 when filled.
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
        """Which kind of order this is."""
        budget = self.terms.budget if self.terms is not None else 0
        kind = kind_of(self.order_type, self.time_in_force, budget)
        assert kind is not None
        return kind

    @property
    def may_rest(self) -> bool:
        """True if what does not trade at once stays in the book."""
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
        """Return the price at which a stop fires, or did, in ticks; 0 for what is no stop."""
        terms = self.terms
        if terms is None:
            return 0
        group = terms.group
        if group is None:
            return terms.stop_price
        sign = stop_sign(self.side)
        return (group.peak - terms.trail) * sign

    def move(self, state: OrderState) -> None:
        """Move to another state, one that the table allows."""
        assert state in MOVES[self.state], (self.order_id, self.state, state)
        self.state = state

    def is_dead(self, dead_ns: int) -> bool:
        """True if its time had come at a time; 0: nothing is dead."""
        terms = self.terms
        return terms is not None and 0 < terms.expires_ns <= dead_ns

    def show_slice(self) -> None:
        """Hide what an iceberg does not show of its leaves."""
        display = self.terms.display if self.terms is not None else 0
        self.hidden = max(self.leaves - display, 0) if display else 0


def stop_sign(side: Side) -> int:
    """Return what a price is multiplied by to get its rank among the stops of a side."""
    return -1 if side is Side.BUY else 1


class UserOrders:
    """What one user has: accounts, open orders by both ids, fills; and the kill switch.

    `ended_by_client_id` are the newest of the kept ended orders, `fills_after` is the private
    sequence of the newest fill that is not kept any more, 0 while all are. `holder` is whose place
    the user takes.
    """

    __slots__ = (
        "_listed", "accounts", "blocked", "by_client_id", "by_id", "ended_by_client_id", "fills",
        "fills_after", "holder",
    )  # fmt: skip

    def __init__(self, accounts: dict[int, Account], holder: Holder) -> None:
        self.accounts = accounts
        self.holder = holder
        self.blocked = False
        self.by_id: dict[int, Order] = {}
        self.by_client_id: dict[int, Order] = {}
        self.ended_by_client_id: dict[int, Order] = {}
        self.fills = RecentFills()
        self.fills_after = 0
        self._listed: Rising[Order] = Rising()

    def open_after(self, after: int) -> Iterator[list[Order]]:
        """Walk the open orders with ids above this one, by id, piece by piece."""
        self.by_id = tight(self.by_id)
        return self._listed.after(after, self.by_id)

    def check(self) -> None:
        """Check that open orders are found in the order of their ids."""
        self._listed.check(self.by_id)


STRANGER: Final = UserOrders({}, NOBODY)
"""What an unknown user has: for reading only."""


class OrderIndex:
    """Open orders of every user, and the newest ended orders and fills of all.

    An open order that expires has its entry among the timers. Of ended orders those are kept that
    traded, or that ended otherwise than by the answer to a command of their own: keeping the many
    that come and go without a trade cost every order 7 % (memory that is not reused while warm).
    Under a client order id that a kept one has, all that end after it are kept too: so the newest
    that is kept under an id is the newest that ended.
    """

    __slots__ = (
        "_ended_max", "_fills_max", "_timers", "by_session", "ended", "filled_users",
        "open_count", "users",
    )  # fmt: skip

    def __init__(self, timers: Timers, limits: Limits = DEFAULT_LIMITS) -> None:
        self._timers = timers
        self._ended_max, self._fills_max = limits.ended_orders, limits.recent_fills
        self.users: dict[int, UserOrders] = {}  # who is in it is parties.py's
        self.open_count = 0
        # Those that a session's lost connection cancels, by session; the oldest first.
        self.by_session: dict[int, OrderedDict[int, Order]] = {}
        self.ended: deque[Order] = deque()
        self.filled_users: deque[int] = deque()

    def add(self, order: Order) -> None:
        """Index an order that stays open."""
        mine = self.users[order.user]
        mine.by_id[order.order_id] = order
        if order.client_order_id:
            mine.by_client_id[order.client_order_id] = order
        self.open_count += 1
        order.holder.orders += 1
        terms = order.terms
        if terms is not None:
            if terms.expires_ns:
                self._timers.add(*_entry(order, terms))
            if terms.session_id:
                theirs = self.by_session.setdefault(terms.session_id, OrderedDict())
                theirs[order.order_id] = order

    def end(self, order: Order, *, told: bool = False) -> None:
        """Move an indexed order that ended to the ended ones; `told`: the response says so."""
        if order.state is not ENDED:
            order.move(ENDED)
        mine = self.users[order.user]
        del mine.by_id[order.order_id]
        if order.client_order_id:
            del mine.by_client_id[order.client_order_id]
        self.open_count -= 1
        order.holder.orders -= 1
        terms = order.terms
        if terms is not None:
            if terms.expires_ns:
                self._timers.remove(*_entry(order, terms))
            if terms.session_id:
                self._disown(order.order_id, terms.session_id)
        if order.cum or not told or order.client_order_id in mine.ended_by_client_id:
            self.keep(order)

    def keep(self, order: Order) -> None:
        """Keep an order that ended, forgetting the oldest of too many."""
        ended, client_order_id = self.ended, order.client_order_id
        if len(ended) >= self._ended_max:
            oldest = ended.popleft()
            theirs = self.users[oldest.user].ended_by_client_id
            if theirs.get(oldest.client_order_id) is oldest:
                del theirs[oldest.client_order_id]
        ended.append(order)
        if client_order_id:
            self.users[order.user].ended_by_client_id[client_order_id] = order

    def move_end(self, order: Order, expires_ns: int) -> None:
        """Move the end of an indexed order that has one to another time."""
        terms = order.terms
        assert terms is not None
        self._timers.remove(*_entry(order, terms))
        terms.expires_ns = expires_ns
        self._timers.add(*_entry(order, terms))

    def _disown(self, order_id: int, session_id: int) -> None:
        """Take an ended order from its session, which may be gone."""
        theirs = self.by_session.get(session_id)
        if theirs is not None:
            del theirs[order_id]
            if not theirs:
                del self.by_session[session_id]

    def remember_fill(self, user: int, report: ExecutionReport) -> None:
        """Keep a fill for queries, forgetting the oldest of too many."""
        self.users[user].fills.rows.append(report)
        self.filled_users.append(user)
        if len(self.filled_users) > self._fills_max:
            theirs = self.users[self.filled_users.popleft()]
            theirs.fills_after = theirs.fills.forget_oldest()

    def find(self, user: int, order_id: int, client_order_id: int) -> Order | None:
        """Find an open order of this user; somebody else's order is as unknown as none."""
        mine = self.users.get(user)
        if mine is None:
            return None
        if order_id:
            return mine.by_id.get(order_id)
        return mine.by_client_id.get(client_order_id)

    def find_ended(self, user: int, order_id: int, client_order_id: int) -> Order | None:
        """Find the newest ended order of this user under an id, if it is still kept.

        Cost, by the engine's id: the kept orders that are newer; an index would cost every order
        that ends. By the client's id: none.
        """
        if client_order_id:
            mine = self.users.get(user)
            return mine.ended_by_client_id.get(client_order_id) if mine is not None else None
        for order in reversed(self.ended):
            if order.user == user and order.order_id == order_id:
                return order
        return None

    def check(self) -> None:
        """Check each order's arithmetic, that both indexes agree, and the counts."""
        count = 0
        for user, mine in self.users.items():
            count += len(mine.by_id)
            mine.check()
            for order_id, order in mine.by_id.items():
                if order.order_id != order_id or order.user != user:
                    raise InvariantViolation(f"order {order_id} is indexed wrongly")
                _check_open(order)
                named = mine.by_client_id.get(order.client_order_id)
                if order.client_order_id and named is not order:
                    raise InvariantViolation(f"order {order_id} is lost under its client id")
            if sum(1 for order in mine.by_id.values() if order.client_order_id) != len(
                mine.by_client_id
            ):
                raise InvariantViolation("the client id index holds ended orders")
        if count != self.open_count:
            raise InvariantViolation(f"{count} orders are open, {self.open_count} counted")
        for session_id, theirs in self.by_session.items():
            for order_id, order in theirs.items():
                if order.terms is None or order.terms.session_id != session_id:
                    raise InvariantViolation(f"order {order_id} belongs to no session")
                if self.find(order.user, order_id, 0) is not order:
                    raise InvariantViolation(f"order {order_id} of a session is not open")
        newest = {(o.user, o.client_order_id): o for o in self.ended if o.client_order_id}
        if newest != {
            (user, client_order_id): order
            for user, mine in self.users.items()
            for client_order_id, order in mine.ended_by_client_id.items()
        }:
            raise InvariantViolation("ended orders are indexed wrongly")
        for order in self.ended:
            if order.leaves or order.reserved or order.partner or order.state is not ENDED:
                raise InvariantViolation(f"order {order.order_id} has not ended")


def _entry(order: Order, terms: Terms) -> tuple[Due, int]:
    """Return an order's timer, and the instrument under which it is kept."""
    due = (terms.expires_ns, ORDER, order.order_id, order.user)
    return due, order.instrument_id


def _check_open(order: Order) -> None:
    if order.state not in (WAITING, QUEUED, RESTS):
        raise InvariantViolation(f"order {order.order_id} is open and {order.state.name}")
    waits_for_budget = order.waiting and order.terms is not None and order.terms.budget > 0
    if (order.leaves <= 0) is not waits_for_budget or order.reason:
        raise InvariantViolation(f"order {order.order_id} is open and has ended")
    if order.quantity != order.leaves + order.cum + order.canceled:
        raise InvariantViolation(f"order {order.order_id}: quantity != leaves + cum + canceled")
    if not 0 <= order.hidden < max(order.leaves, 1):
        raise InvariantViolation(f"order {order.order_id} hides {order.hidden}")
