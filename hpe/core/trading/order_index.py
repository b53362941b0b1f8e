"""The index of orders: open ones of every user by both ids and by market, and the newest ended.

Part of the deterministic core. The newest ended orders and fills of all users are kept for queries.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from heapq import merge
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from hpe.core.context.holders import NOBODY
from hpe.core.contract import DEFAULT_LIMITS, Limits
from hpe.core.timers import ORDER, Due
from hpe.core.trading.order_states import ENDED, QUEUED, RESTS, WAITING
from hpe.core.trading.orders import Order, Terms
from hpe.core.trading.paging import RecentFills, Rising, Shelf, tight
from hpe.errors import InvariantViolation
from hpe.protocol.enums import Side
from hpe.protocol.reports import ExecutionReport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpe.core.context.holders import Holder
    from hpe.core.money.balances import Account
    from hpe.core.timers import Timers

id_of: Final = attrgetter("order_id")


class EndedById:
    """The kept ended orders by id, brought up to date when one is asked for; not state.

    An order that ends costs nothing here. A lookup walks only the orders that ended since the last
    lookup; a walk over all 16,384 kept ones takes 2 to 5 ms.
    """

    __slots__ = ("_ended", "_rows")

    def __init__(self, ended: deque[Order]) -> None:
        self._ended = ended
        self._rows: dict[int, Order] = {}  # by id, in the order in which they ended

    def get(self, order_id: int) -> Order | None:
        """Return the kept ended order of an id. Cost: O(orders that ended since the last call)."""
        ended, rows, new = self._ended, self._rows, []
        newest = next(reversed(rows.values()), None)
        for order in reversed(ended):
            if order is newest:
                break
            new.append(order)
        if len(new) == len(ended):
            rows.clear()
        rows.update({order.order_id: order for order in reversed(new)})
        for forgotten in list(islice(rows, len(rows) - len(ended))):
            del rows[forgotten]
        return rows.get(order_id)


class UserOrders:
    """One user's accounts, open orders by both ids, and fills; and the kill switch.

    `buys` and `sells` also hold the open orders, by instrument, with entries only where there are
    any: many orders in one market cost nothing in another. `ended_by_client_id` are the newest kept
    ended orders; `fills_after` is the private sequence of the newest fill that is no longer kept, 0
    while all are. `holder` is charged for the user's place.
    """

    __slots__ = (
        "_listed", "accounts", "blocked", "buys", "by_client_id", "by_id", "ended_by_client_id",
        "fills", "fills_after", "holder", "sells",
    )  # fmt: skip

    def __init__(self, accounts: dict[int, Account], holder: Holder) -> None:
        self.accounts = accounts
        self.holder = holder
        self.blocked = False
        self.by_id: dict[int, Order] = {}
        self.by_client_id: dict[int, Order] = {}
        self.buys: defaultdict[int, Shelf[Order]] = defaultdict(Shelf)
        self.sells: defaultdict[int, Shelf[Order]] = defaultdict(Shelf)
        self.ended_by_client_id: dict[int, Order] = {}
        self.fills = RecentFills()
        self.fills_after = 0
        self._listed: Rising[Order] = Rising()

    def open_after(self, after: int) -> Iterator[list[Order]]:
        """Yield the open orders with ids above this one, by id, piece by piece."""
        self.by_id = tight(self.by_id)
        return self._listed.after(after, self.by_id)

    def open_of(self, instrument_id: int, after: int) -> Iterator[Order]:
        """Yield the open orders of an instrument with ids above this one, by id."""
        found = (self.buys.get(instrument_id), self.sells.get(instrument_id))
        return merge(*(shelf.after(after) for shelf in found if shelf is not None), key=id_of)

    def shelve(self, order: Order) -> None:
        """Add an open order to its market."""
        shelves = self.buys if order.side is Side.BUY else self.sells
        shelves[order.instrument_id].rows[order.order_id] = order

    def unshelve(self, order: Order) -> None:
        """Remove an order that ends from its market."""
        shelves = self.buys if order.side is Side.BUY else self.sells
        rows = shelves[order.instrument_id].rows
        del rows[order.order_id]
        if not rows:
            del shelves[order.instrument_id]

    def check(self) -> None:
        """Check that open orders are found in the order of their ids, also by market."""
        self._listed.check(self.by_id)
        count = 0
        for side, shelves in ((Side.BUY, self.buys), (Side.SELL, self.sells)):
            for instrument_id, shelf in shelves.items():
                shelf.check()
                count += len(shelf.rows)
                market = (instrument_id, side)
                filed = [(order.instrument_id, order.side) for order in shelf]
                if not filed or any(each != market for each in filed):
                    raise InvariantViolation(f"orders are filed under a foreign market {market}")
                if any(
                    self.by_id.get(order_id) is not shelf.rows[order_id] for order_id in shelf.rows
                ):
                    raise InvariantViolation(f"orders that are not open are filed under {market}")
        if count != len(self.by_id):
            raise InvariantViolation(f"{len(self.by_id)} orders are open, {count} by market")


STRANGER: Final = UserOrders({}, NOBODY)
"""The orders of an unknown user, for reading only."""


class OrderIndex:
    """Open orders of every user, and the newest ended orders and fills of all.

    An open order that expires has a timer. Ended orders are kept if they traded, or if no response
    to a command that named them said that they ended. Keeping all others too would slow down every
    order by 7 %: most orders end without a trade, and their memory is reused while it is still in
    the CPU's cache. If an ended order with a client order id is kept, so are all later ones with
    that id: the newest one that is kept is then the newest one that ended.
    """

    __slots__ = (
        "_ended_by_id", "_ended_max", "_fills_max", "_timers", "by_session", "ended",
        "filled_users", "open_count", "users",
    )  # fmt: skip

    def __init__(self, timers: Timers, limits: Limits = DEFAULT_LIMITS) -> None:
        self._timers = timers
        self._ended_max, self._fills_max = limits.ended_orders, limits.recent_fills
        self.users: dict[int, UserOrders] = {}  # money/parties.py decides who is in it
        self.open_count = 0
        # Orders that a session's lost connection cancels, by session, oldest first.
        self.by_session: dict[int, OrderedDict[int, Order]] = {}
        self.ended: deque[Order] = deque()
        self._ended_by_id = EndedById(self.ended)
        self.filled_users: deque[int] = deque()

    def open_user(self, user: int, accounts: dict[int, Account], holder: Holder) -> None:
        """Begin with a new user, who has no orders."""
        self.users[user] = UserOrders(accounts, holder)

    def add(self, order: Order) -> None:
        """Index an order that stays open."""
        mine = self.users[order.user]
        mine.by_id[order.order_id] = order
        mine.shelve(order)
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
        """Move an indexed order to the ended ones; `told`: the response says that it ended."""
        if order.state is not ENDED:
            order.move(ENDED)
        mine = self.users[order.user]
        del mine.by_id[order.order_id]
        mine.unshelve(order)
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
        """Keep an order that ended; forget the oldest if there are too many."""
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
        """Change the expiry of an indexed order that has one."""
        terms = order.terms
        assert terms is not None
        self._timers.remove(*_entry(order, terms))
        terms.expires_ns = expires_ns
        self._timers.add(*_entry(order, terms))

    def _disown(self, order_id: int, session_id: int) -> None:
        """Remove an ended order from its session, which may be gone."""
        theirs = self.by_session.get(session_id)
        if theirs is not None:
            del theirs[order_id]
            if not theirs:
                del self.by_session[session_id]

    def remember_fill(self, user: int, report: ExecutionReport) -> None:
        """Keep a fill for queries; forget the oldest if there are too many."""
        self.users[user].fills.rows.append(report)
        self.filled_users.append(user)
        if len(self.filled_users) > self._fills_max:
            theirs = self.users[self.filled_users.popleft()]
            theirs.fills_after = theirs.fills.forget_oldest()

    def find(self, user: int, order_id: int, client_order_id: int) -> Order | None:
        """Return an open order of this user; None for another user's order, as for no order."""
        mine = self.users.get(user)
        if mine is None:
            return None
        if order_id:
            return mine.by_id.get(order_id)
        return mine.by_client_id.get(client_order_id)

    def find_ended(self, user: int, order_id: int, client_order_id: int) -> Order | None:
        """Return the newest ended order of this user under an id, if it is still kept.

        By the client's id, an index kept up to date; by the engine's, one that is made on demand.
        """
        if client_order_id:
            mine = self.users.get(user)
            return mine.ended_by_client_id.get(client_order_id) if mine is not None else None
        order = self._ended_by_id.get(order_id)
        return order if order is not None and order.user == user else None

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
    """Return an order's timer, and the instrument that it belongs to."""
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
