"""The exchange: the parts of the state machine, put together.

Part of the deterministic core. Owns the parts that execute commands on the state
(exchange_state.py), what timers do, and the check of the whole state. routing.py says which part
executes which command.
"""

from __future__ import annotations

from collections.abc import Callable

from hpe.core.context.effort import ACT
from hpe.core.contract import DEFAULT_LIMITS, DUE_AT_ONCE, Limits
from hpe.core.money.treasury import Treasury
from hpe.core.timers import ENDING, HOLD, INTERRUPTION, ORDER, TimerEntry
from hpe.core.trading.busy import Busy
from hpe.core.trading.catalogue import Catalogue
from hpe.core.trading.delisting import Delisting
from hpe.core.trading.disconnects import Disconnects
from hpe.core.trading.entry import OrderEntry
from hpe.core.trading.exchange_state import ExchangeState
from hpe.core.trading.mass_cancel import MassCanceling
from hpe.core.trading.operations import Operations
from hpe.core.trading.orders import Order
from hpe.core.trading.pairs import PairEntry
from hpe.core.trading.replacing import OrderReplacing
from hpe.errors import InvariantViolation
from hpe.protocol.enums import Side
from hpe.protocol.limits import HOUSE_USER


class Exchange(ExchangeState):
    """The state, and the parts that execute commands and act on timers."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__(limits)
        self.disconnects = Disconnects(self, self.act)
        self.treasury = Treasury(
            self.listings.assets, self.balances, self.holds, self.parties, self.market.events.append
        )
        self.acts: dict[int, Callable[[TimerEntry], None]] = {
            ORDER: self.expiry.act_on_order,
            HOLD: self.treasury.act_on_hold,
            ENDING: self.disconnects.act,
            INTERRUPTION: self._end_interruption,
        }
        self.catalogue = Catalogue(self)
        self.delisting = Delisting(self)
        self.entry = OrderEntry(self)
        self.pairs = PairEntry(self, self.entry)
        self.replacing = OrderReplacing(self)
        self.canceling = MassCanceling(self)
        self.operations = Operations(self)
        self.busy = Busy(self)

    def let_time_act(self, time_ns: int) -> None:
        """Advance the clock to a batch's time; act on what is due, within the bounds of a batch."""
        timers = self.timers
        timers.begin_body(time_ns)
        while (entry := timers.next_to_act(time_ns)) is not None:
            self.act(entry)
        timers.review()

    def act(self, entry: TimerEntry) -> None:
        """Act on one entry, which uses a place of its kind's bound and counts as effort."""
        kind = entry.due[1]
        self.timers.room[kind] -= 1
        self.market.effort.charge(ACT)
        self.acts[kind](entry)

    def _end_interruption(self, entry: TimerEntry) -> None:
        self.market.calls.end_interruption(self.books[entry.due[2]])

    @property
    def unfinished(self) -> bool:
        """True if work continues by itself, in `continue` commands."""
        return self.market.unfinished or bool(self.revoked)

    def next_due_ns(self) -> int:
        """Return when something is due without a command: 0 for never, 1 for at once."""
        if self.unfinished:
            return DUE_AT_ONCE
        due_ns = self.timers.next_due_ns()
        return DUE_AT_ONCE if 0 < due_ns <= self.time_ns else due_ns

    def check(self) -> None:
        """Check everything: books, indexes, listings, holds, conservation, reservations."""
        self.listings.check()
        self.orders.check()
        self.holds.check()
        found: list[Order] = []
        for book in self.books.values():
            book.check()
            found += [*book.orders(), *book.triggers.orders()]
            if book.work is not None:
                found += book.work.orders()
        self.market.turns.check()
        reserved: dict[tuple[int, int], int] = {}
        for order in found:
            self._check_open(order)
            instrument = self.books[order.instrument_id].instrument
            asset = instrument.quote if order.side is Side.BUY else instrument.base
            key = (order.user, asset)
            reserved[key] = reserved.get(key, 0) + order.reserved
        if len(found) != self.orders.open_count:
            raise InvariantViolation(
                f"{len(found)} orders rest or wait, {self.orders.open_count} are indexed"
            )
        self._check_timers(found)
        self._check_places(found)
        self.balances.check(reserved)

    def _check_places(self, found: list[Order]) -> None:
        """Check that users and accounts belong together, and that all places are counted."""
        users, accounts, listings = self.orders.users, self.balances.accounts, self.listings
        if users.keys() != accounts.keys() or HOUSE_USER not in users:
            raise InvariantViolation("users and owners of accounts differ")
        rows = [row for row in self.balances.rows() if row.user != HOUSE_USER]
        if len(rows) != self.balances.count:
            raise InvariantViolation(f"{len(rows)} accounts exist, {self.balances.count} counted")
        self.places.check(
            users=[mine.holder for user, mine in users.items() if user != HOUSE_USER],
            accounts=[account.holder for account in rows],
            orders=[order.holder for order in found],
            holds=self.holds.holders(),
            assets=[listings.asset_takers[number][1] for number in listings.assets],
            instruments=[listings.instrument_takers[number][1] for number in listings.instruments],
        )

    def _check_open(self, order: Order) -> None:
        """Check one open order's place in the index and what it reserves."""
        if self.orders.find(order.user, order.order_id, 0) is not order:
            raise InvariantViolation(f"order {order.order_id} is open but not indexed")
        instrument = self.books[order.instrument_id].instrument
        executor = self.market.executor
        needed = executor.pair_requirement(instrument, order, order.price, order.leaves)
        partner = order.partner
        if partner is not None:
            if partner.partner is not order or order.terms is None:
                raise InvariantViolation(
                    f"order {order.order_id} has a partner that is not linked back"
                )
            needed = needed if order.terms.holds_pair else 0
        if order.reserved != needed:
            raise InvariantViolation(
                f"order {order.order_id} reserves {order.reserved}, needs {needed}"
            )
        if not order.waiting and not order.may_rest:
            raise InvariantViolation(f"order {order.order_id} may not rest")

    def _check_timers(self, found: list[Order]) -> None:
        """Check that exactly what expires has a timer, orders under their instruments."""
        entries = [
            TimerEntry(
                (order.terms.expires_ns, ORDER, order.order_id, order.user),
                order.instrument_id,
            )
            for order in found
            if order.terms is not None and order.terms.expires_ns
        ]
        entries += [TimerEntry(due, 0) for due in self.holds.due()]
        entries += self.disconnects.entries()
        entries += [
            TimerEntry((book.interruption_due_ns, INTERRUPTION, instrument_id, 0), instrument_id)
            for instrument_id, book in self.books.items()
            if book.interruption_due_ns
        ]
        kinds = (ORDER, HOLD, ENDING, INTERRUPTION)
        if sorted(entries) != [e for e in self.timers.entries() if e.due[1] in kinds]:
            raise InvariantViolation("timers and what expires differ")
