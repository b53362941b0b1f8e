"""The exchange: the parts of the state machine, put together.

Part of the deterministic core. Owns the counters and settings that every part reads, and the proof
over all of them. The driver (reference.py) sets `sequence` and `time_ns` before each command.
Which part serves which command is said in routing.py.
"""

from __future__ import annotations

from typing import Final

from hpe.core.balances import BalanceCache
from hpe.core.catalogue import Catalogue
from hpe.core.entry import OrderEntry
from hpe.core.events import HoldEvent
from hpe.core.holds import Holds
from hpe.core.instruments import Listings
from hpe.core.market import Market
from hpe.core.operations import Operations
from hpe.core.orderbook import OrderBook
from hpe.core.orders import Order, OrderIndex
from hpe.core.pairs import PairEntry
from hpe.core.replacing import OrderReplacing
from hpe.core.timers import HOLD, ORDER, SESSION, Timers
from hpe.core.treasury import Treasury
from hpe.errors import InvariantViolation
from hpe.messages import CancelReason, HoldChange, Side

EXPIRIES_MAX: Final = 16_384
"""Orders and holds that expire at one go; with what follows that is far below a full batch."""

ENDINGS_MAX: Final = 1_024
"""Orders of lost sessions that are canceled at one go: about 10 ms."""


class Settings:
    """What the configuration decides about outcomes; changed by the logged `configure` only.

    With fewer than `open_orders_any_max` open orders in all, neither limit of them is reached.
    """

    __slots__ = (
        "auto_create", "open_orders_any_max", "open_orders_max", "open_orders_per_user_max",
        "session_expiry_ns",
    )  # fmt: skip

    def __init__(self) -> None:
        self.set(False, 86_400 * 10**9, 1_000_000, 1_000_000)

    def set(
        self,
        auto_create: bool,
        session_expiry_ns: int,
        open_orders_max: int,
        open_orders_per_user_max: int,
    ) -> None:
        """Change all of it."""
        self.auto_create = auto_create
        self.session_expiry_ns = session_expiry_ns
        self.open_orders_max = open_orders_max
        self.open_orders_per_user_max = open_orders_per_user_max
        self.open_orders_any_max = min(open_orders_max, open_orders_per_user_max)

    def row(self) -> tuple[bool, int, int, int]:
        """Give all of it, as `set` takes it."""
        return (
            self.auto_create, self.session_expiry_ns, self.open_orders_max,
            self.open_orders_per_user_max,
        )  # fmt: skip


class Exchange:
    """All books and all balances."""

    def __init__(self) -> None:
        self.settings = Settings()
        self.sequence = 0
        self.time_ns = 0
        self.last_order_id = 0
        # Whose commands run, and whether all its orders end with its connection.
        self.session_id = 0
        self.cancel_on_disconnect = False
        # Sessions whose orders end when their grace has passed: session id -> due time. And those
        # that it has passed for, while orders are left: (session id, newest order) -> due time.
        self.disconnects: dict[int, int] = {}
        self.endings: dict[tuple[int, int], int] = {}
        self.listings = Listings()
        self.balances = BalanceCache()
        self.timers = Timers()
        self.holds = Holds(self.balances, self.timers)
        self.orders = OrderIndex(self.timers, self.balances.accounts)
        self.books: dict[int, OrderBook] = {}
        self.market = Market(self.balances, self.orders)
        self.catalogue = Catalogue(self)
        self.entry = OrderEntry(self)
        self.pairs = PairEntry(self)
        self.replacing = OrderReplacing(self)
        self.treasury = Treasury(self)
        self.operations = Operations(self)

    def expire(self) -> None:
        """Let what is due at `time_ns` act, in order, EXPIRIES_MAX at most.

        Not within an uncross, which counts on its orders.
        """
        room = ENDINGS_MAX
        for _ in range(EXPIRIES_MAX):
            if self.market.uncrossing is not None or not self._is_due():
                return
            _, kind, *ids = self.timers.first()
            if kind == ORDER:
                order_id, user = ids
                order = self.orders.find(user, order_id, 0)
                assert order is not None
                self.market.cancel(order, CancelReason.EXPIRED)
            elif kind == HOLD:
                self.timers.remove(self.timers.first())
                self._expire_hold(*ids)
            else:
                room = self._end_orders_of(ids[0], ids[1], room)

    def _expire_hold(self, user: int, hold_id: int) -> None:
        hold = self.holds.find(user, hold_id)
        assert hold is not None
        amount, expires_ns = hold.amount, hold.expires_ns
        self.holds.expire(user, hold_id)
        self.market.matcher.effort += 1
        self.market.events.append(
            HoldEvent(user, hold_id, hold.asset, HoldChange.EXPIRED, amount, 0, expires_ns)
        )

    # --- cancel on disconnect -------------------------------------------------------------------

    def disconnected(self, session_id: int, grace_ns: int) -> None:
        """Let the orders of a session that lost its connection end after its grace."""
        if session_id in self.orders.by_session:
            due_ns = self.disconnects[session_id] = self.time_ns + grace_ns
            self.timers.add((due_ns, SESSION, session_id, 0))
            if not grace_ns:  # within the command that says so
                self.expire()

    def reconnected(self, session_id: int) -> None:
        """Let the orders of a session stay: it is back in time."""
        due_ns = self.disconnects.pop(session_id, 0)
        if due_ns:
            self.timers.remove((due_ns, SESSION, session_id, 0))

    def left_for_good(self, session_id: int) -> None:
        """Make the orders of a session ordinary ones, but for those whose end has begun."""
        if not any(ending == session_id for ending, _ in self.endings):
            self.orders.by_session.pop(session_id, None)

    def _end_orders_of(self, session_id: int, through: int, room: int) -> int:
        """Cancel the orders of a session up to an id (0: all that there are), the oldest first.

        What is left has its turn with the next batch, behind what clients send meanwhile: nobody
        waits because somebody else had many orders. Whoever comes back meanwhile stops nothing.

        Args:
            session_id: whose grace has passed.
            through: the newest order that it had then.
            room: how many orders may be canceled now.

        Returns:
            The room that is left.
        """
        if through:
            due_ns = self.endings.pop((session_id, through))
            self.timers.remove((due_ns, SESSION, session_id, through))
        else:
            self.reconnected(session_id)
            through = self.last_order_id
        while room > 0:
            theirs = self.orders.by_session.get(session_id)
            order = next(iter(theirs.values())) if theirs else None
            if order is None or order.order_id > through:
                return room
            room -= 1
            partner = self.market.part(order)
            self.market.cancel(order, CancelReason.DISCONNECTED)
            if partner is not None:
                self.market.cancel(partner, CancelReason.DISCONNECTED)
        if (session_id, through) not in self.endings:  # it came and went twice meanwhile
            due_ns = self.endings[session_id, through] = self.time_ns + 1
            self.timers.add((due_ns, SESSION, session_id, through))
        return room

    def _is_due(self) -> bool:
        return 0 < self.timers.next_due_ns() <= self.time_ns

    @property
    def unfinished(self) -> bool:
        """Tell whether something goes on, in `continue` commands, before the next command."""
        return self.market.unfinished or self._is_due()

    def go_on(self) -> None:
        """Do the next part of what goes on; stops that fired have their turn after any command."""
        if self.market.uncrossing is not None:
            self.market.go_on_uncrossing()
        self.expire()

    def next_due_ns(self) -> int:
        """Tell when something here acts by itself next, 0 for never."""
        return self.time_ns if self.unfinished else self.timers.next_due_ns()

    def check(self) -> None:
        """Walk everything: books, indexes, listings, holds, conservation, reservations."""
        self.listings.check()
        self.orders.check()
        self.holds.check()
        found: list[Order] = []
        for book in self.books.values():
            if self.market.uncrossing is None or self.market.uncrossing.book is not book:
                book.check()
            found += [*book.orders(), *book.triggers.orders()]
        queued = [order for order in self.market.fired if order.terms and order.terms.queued]
        if len(queued) != self.market.queued_count:
            raise InvariantViolation("stops that fired are counted wrongly")
        found += queued
        reserved: dict[tuple[int, int], int] = {}
        for order in found:
            self._check_open(order)
            instrument = order.book.instrument
            asset = instrument.quote if order.side is Side.BUY else instrument.base
            key = (order.user, asset)
            reserved[key] = reserved.get(key, 0) + order.reserved
        if len(found) != self.orders.open_count:
            raise InvariantViolation(
                f"{len(found)} orders rest or wait, {self.orders.open_count} are indexed"
            )
        self._check_timers(found)
        self.balances.check(reserved)

    def _check_open(self, order: Order) -> None:
        """Check one open order's place in the index and what it reserves."""
        if self.orders.find(order.user, order.order_id, 0) is not order:
            raise InvariantViolation(f"order {order.order_id} is open but not indexed")
        needed = self.market.executor.pair_requirement(order, order.price, order.leaves)
        partner = order.partner
        if partner is not None:
            if partner.partner is not order or order.terms is None:
                raise InvariantViolation(f"order {order.order_id} is linked one way")
            needed *= order.terms.holds_pair
        if order.reserved != needed:
            raise InvariantViolation(
                f"order {order.order_id} reserves {order.reserved}, needs {needed}"
            )
        if not order.waiting and not order.may_rest:
            raise InvariantViolation(f"order {order.order_id} may not rest")

    def _check_timers(self, found: list[Order]) -> None:
        """Check that exactly what expires has a timer."""
        due = [
            (order.terms.expires_ns, ORDER, order.order_id, order.user)
            for order in found
            if order.terms is not None and order.terms.expires_ns
        ]
        due += self.holds.due()
        due += [(due_ns, SESSION, session_id, 0) for session_id, due_ns in self.disconnects.items()]
        due += [(due_ns, SESSION, *ids) for ids, due_ns in self.endings.items()]
        if sorted(due) != self.timers.rows():
            raise InvariantViolation("timers and what expires differ")
