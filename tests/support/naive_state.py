"""What the naive exchange remembers: lists of everything, and what follows from them.

Part of the second opinion of naive_exchange.py, nothing shared with the core. What an account
has available is not kept but computed: what it owns, less what is held, less what its open
orders reserve. One object per test. Source: protocol.md, "The rules of the exchange".
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from hpe.core.contract import DEFAULT_LIMITS, Limits
from hpe.protocol.codes import CancelReason, RejectReason
from hpe.protocol.enums import ExecType, HoldChange, InstrumentStatus, Liquidity, Side
from hpe.protocol.internal import PlaceLimits
from hpe.protocol.listings import AddInstrument
from hpe.protocol.market_data import TradeRow
from hpe.protocol.orders import FillRow
from hpe.protocol.reports import (
    ExecutionReport,
    HoldReport,
    OrderReport,
    PreventedMatch,
    PrivateReport,
)
from tests.support.naive_listings import NaiveListings, reject_if
from tests.support.naive_orders import NaiveOrder

Told = tuple[int, PrivateReport]
"""A report and the user who is told."""

Account = tuple[int, int, int, int]
"""Available, reserved, held, and what of that is in named holds."""


@dataclass
class NaiveHold:
    """A named hold."""

    user: int
    hold_id: int
    asset: int
    amount: int
    expires_ns: int
    key: int


@dataclass
class Uncrossing:
    """An uncross that goes on: its price, what is left of its volume, surplus, status after it."""

    price: int
    left: int
    surplus: int
    next_status: InstrumentStatus


@dataclass
class NaiveFiring:
    """Trades that reach stops, by their numbers in the instrument; `at` is the next for `side`."""

    first: int
    last: int
    at: int
    line: int
    side: Side = Side.BUY


class Concern(NamedTuple):
    """Stops of this instrument have turns behind a command, which let them fire, or go on."""

    book: int
    fired: bool = True
    resumed: bool = False


@dataclass
class NaiveState:
    """Everything; `reports` are those since they were last taken, each with its user.

    `user`, `request_id` and `direct` are of the command that is being executed: for whom it acts,
    its id, and whether what happens is the command itself and not what follows from it. `session`
    is the one that it came from, `session_flags` what that gives to its orders that may wait; `key`
    and `operator` are the session's. `users` and `account_keys` say who is there, the house
    excepted, and by whose key. `firings` are trades whose stops are not all in line yet, `fired`
    stops in line for their turns, `looked` up to which trade the stops of a side were looked at;
    `uncrossing` uncrosses in parts. `answered` is the order that the response tells of. `effort`
    is what commands and time have cost in this batch, of which a command may use up to
    `effort_max`, `wasted` what refused ones have, `asked` what queries have. `taken_off` is how
    many orders mass cancels ended in it, by key or, without keys, by user.
    """

    listings: NaiveListings
    open_orders_max: int
    open_orders_per_user_max: int
    places: PlaceLimits
    users: dict[int, int] = field(default_factory=dict)
    account_keys: dict[tuple[int, int], int] = field(default_factory=dict)
    open: list[NaiveOrder] = field(default_factory=list)
    ended: list[NaiveOrder] = field(default_factory=list)
    taken_off: Counter[tuple[str, int]] = field(default_factory=Counter)
    fired: dict[int, list[NaiveOrder]] = field(default_factory=dict)
    firings: dict[int, list[NaiveFiring]] = field(default_factory=dict)
    looked: dict[tuple[int, Side], int] = field(default_factory=dict)
    lines: int = 0
    uncrossing: dict[int, Uncrossing] = field(default_factory=dict)
    owned: dict[tuple[int, int], int] = field(default_factory=dict)
    net_deposits: dict[int, int] = field(default_factory=dict)
    plain_held: dict[tuple[int, int], int] = field(default_factory=dict)
    holds: list[NaiveHold] = field(default_factory=list)
    prices: dict[int, list[int]] = field(default_factory=dict)
    statuses: dict[int, InstrumentStatus] = field(default_factory=dict)
    interruptions: dict[int, int] = field(default_factory=dict)
    over: list[int] = field(default_factory=list)
    own_rates: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    blocked: set[int] = field(default_factory=set)
    private: dict[int, int] = field(default_factory=dict)
    fills: list[tuple[int, FillRow]] = field(default_factory=list)
    trade_rows: dict[int, list[TradeRow]] = field(default_factory=dict)
    reports: list[Told] = field(default_factory=list)
    sequence: int = 0
    time_ns: int = 0
    orders: int = 0
    trades: int = 0
    user: int = 0
    session: int = 0
    session_flags: int = 0
    key: int = 0
    operator: bool = False
    request_id: int = 0
    direct: bool = False
    concerned: Concern | None = None
    answered: NaiveOrder | None = None
    effort: int = 0
    effort_max: int = 0
    wasted: int = 0
    asked: int = 0
    limits: Limits = DEFAULT_LIMITS

    # --- looking things up --------------------------------------------------------------------

    def instrument(self, number: int) -> AddInstrument:
        """Return an instrument that must be known."""
        reject_if(number not in self.listings.instruments, RejectReason.UNKNOWN_INSTRUMENT)
        return self.listings.instruments[number]

    def asset_takers(self) -> list[tuple[int, int]]:
        """List who listed the assets: user and key."""
        return list(self.listings.asset_takers.values())

    def instrument_takers(self) -> list[tuple[int, int]]:
        """List who listed the instruments: user and key."""
        return list(self.listings.instrument_takers.values())

    def status(self, book: int) -> InstrumentStatus:
        """Return what may be done with an instrument's orders."""
        return self.statuses.get(book, InstrumentStatus.TRADING)

    def unfinished(self) -> list[int]:
        """List the instruments of which something goes on by itself."""
        open_now = (InstrumentStatus.TRADING, InstrumentStatus.CALL_AUCTION)
        books = [book for book in self.fired | self.firings if self.has_fired(book)]
        return sorted(
            {*self.uncrossing, *self.over, *(b for b in books if self.status(b) in open_now)}
        )

    def in_line(self, book: int) -> list[NaiveOrder]:
        """List the stops of an instrument that have fired and wait for their turns."""
        line = [order for order in self.fired.get(book, []) if order.live]
        return sorted(line, key=lambda o: (o.line, o.trigger * _sign(o.side), o.priority))

    def has_fired(self, book: int) -> bool:
        """True if stops of an instrument have fired, or may have, and had no turn."""
        return bool(self.firings.get(book) or self.in_line(book))

    def has_dead(self, book: int) -> bool:
        """True if a time has come in an instrument of which the order has not ended."""
        return any(o.book == book and self.is_dead(o) for o in self.open)

    def in_call(self, book: int) -> bool:
        """True if orders only gather."""
        return self.status(book) is InstrumentStatus.CALL_AUCTION

    def last_price(self, book: int) -> int:
        """Return the price of the last trade, 0 before the first."""
        prices = self.prices.get(book)
        return prices[-1] if prices else 0

    def resting(self, book: int) -> list[NaiveOrder]:
        """List the orders in a book."""
        return [o for o in self.open if o.book == book and not o.waiting]

    def band(self, book: int) -> tuple[int, int] | None:
        """Return the lowest and the highest price at which trades may happen now."""
        listed = self.instrument(book)
        if not listed.band_ppm:
            return None
        middle = self.last_price(book) or listed.reference_price
        reach = middle * listed.band_ppm // 1_000_000
        return middle - reach, middle + reach

    def rates(self, book: int, user: int) -> tuple[int, int]:
        """Return the maker and the taker rate that an order gets now."""
        listed = self.instrument(book)
        return self.own_rates.get((book, user), (listed.maker_fee_ppm, listed.taker_fee_ppm))

    def newest_priority(self) -> int:
        """Return the priority of who comes after all others."""
        return 1 + max((order.priority for order in self.open), default=0)

    def is_dead(self, order: NaiveOrder) -> bool:
        """True if an order's time has come; an uncross that goes on counts on those that lived."""
        return 0 < order.terms.expires_ns <= self.time_ns and order.book not in self.uncrossing

    def living(self, book: int) -> list[NaiveOrder]:
        """List the orders in a book with which anybody could trade."""
        return [order for order in self.resting(book) if not self.is_dead(order)]

    def expire(self, order: NaiveOrder) -> None:
        """End an order whose time has come; nobody asked for that."""
        direct, self.direct = self.direct, False
        self.end(order, CancelReason.EXPIRED)
        self.cancel_partner(order)
        self.direct = direct

    # --- triggers -------------------------------------------------------------------------------

    def trigger_after(self, order: NaiveOrder, trades: int) -> int:
        """Return a waiting stop's trigger when its instrument had this many trades."""
        if not order.terms.trail:
            return order.terms.stop_price
        first = order.trades_before
        seen = self.prices[order.book][first - 1 : max(first, trades)]
        if order.side is Side.SELL:
            return max(seen) - order.terms.trail
        return min(seen) + order.terms.trail

    def trigger_now(self, order: NaiveOrder) -> int:
        """Return a stop's trigger, that of one that has fired as it was then; 0: no stop."""
        if not order.waiting or order in self.in_line(order.book):
            return order.trigger
        return self.trigger_after(order, self.looked.get((order.book, order.side), 0))

    # --- money ----------------------------------------------------------------------------------

    def account(self, user: int, asset: int) -> tuple[int, int, int]:
        """Return (available, reserved, held)."""
        mine = [o for o in self.open if o.user == user and o.asset() == asset]
        reserved = sum(order.reserved() for order in mine)
        held = self.plain_held.get((user, asset), 0) + self.named_held(user, asset)
        return self.owned.get((user, asset), 0) - reserved - held, reserved, held

    def accounts(self) -> dict[tuple[int, int], Account]:
        """Return all accounts that are not empty: of whom and in which asset."""
        parts: dict[tuple[int, int], list[int]] = {}
        found = [(key, 0, amount) for key, amount in self.owned.items()]
        found += [((o.user, o.asset()), 1, o.reserved()) for o in self.open]
        found += [(key, 2, amount) for key, amount in self.plain_held.items()]
        found += [
            ((hold.user, hold.asset), part, hold.amount) for hold in self.holds for part in (2, 3)
        ]
        for key, part, amount in found:
            parts.setdefault(key, [0, 0, 0, 0])[part] += amount
        return {
            key: (owned - reserved - held, reserved, held, named)
            for key, (owned, reserved, held, named) in parts.items()
            if owned or reserved or held
        }

    def named_held(self, user: int, asset: int) -> int:
        """Return what of an account is in named holds."""
        mine = [hold for hold in self.holds if (hold.user, hold.asset) == (user, asset)]
        return sum(hold.amount for hold in mine)

    def move(self, user: int, asset: int, change: int) -> None:
        """Change what a user owns."""
        self.owned[user, asset] = self.owned.get((user, asset), 0) + change

    # --- orders ---------------------------------------------------------------------------------

    def rest(self, order: NaiveOrder) -> None:
        """Put an order into its book, behind all others of its price."""
        order.priority = self.newest_priority()
        order.show()
        self.open.append(order)

    def known_ended(self) -> list[NaiveOrder]:
        """Return the ended orders that can still be asked for."""
        return self.ended[-self.limits.ended_orders :]

    def known_fills(self) -> list[tuple[int, FillRow]]:
        """Return the fills that can still be asked for, and whose they are."""
        return self.fills[-self.limits.recent_fills :]

    def end(self, order: NaiveOrder, reason: int, *, bare: bool = False) -> None:
        """End an order and tell of it, unless it is filled; its partner does not end by this."""
        if order in self.open:
            self.open.remove(order)
        order.trigger = self.trigger_now(order)
        order.end(reason)
        named = [o.client_order_id for o in self.known_ended() if o.user == order.user]
        order.reuses_id = order.client_order_id > 0 and order.client_order_id in named
        self.ended.append(order)
        if reason:
            self.effort += order is not self.answered
            expired = reason == CancelReason.EXPIRED
            self.report_order(order, ExecType.EXPIRED if expired else ExecType.CANCELED, bare=bare)

    def cancel_partner(self, order: NaiveOrder) -> None:
        """Cancel what is linked with an order, and tell of it."""
        partner = order.partner
        if partner is not None:
            order.partner = partner.partner = None
            self.end(partner, CancelReason.LINKED, bare=True)

    # --- reports --------------------------------------------------------------------------------

    def report_order(self, order: NaiveOrder, exec_type: ExecType, *, bare: bool = False) -> None:
        """Report what happened to an order; `bare`: also on its own, before the response."""
        number = self._private_number(order.user)
        report = OrderReport(
            self._direct_id(order.user) if bare else 0, 0, number, self.sequence, self.time_ns,
            exec_type, order.status(), order.book, order.order_id, order.client_order_id,
            order.side, order.leaves, order.cum, order.canceled, order.reason, order.order_type,
            order.price, self.trigger_now(order),
        )  # fmt: skip
        self.reports.append((order.user, report))

    def report_hold(self, hold: NaiveHold, change: HoldChange, amount: int) -> None:
        """Tell what happened to a named hold."""
        report = HoldReport(
            0, 0, self._private_number(hold.user), self.sequence, self.time_ns, hold.hold_id,
            hold.asset, change, amount, hold.amount, hold.expires_ns,
        )  # fmt: skip
        self.reports.append((hold.user, report))

    def report_fill(
        self,
        order: NaiveOrder,
        other: NaiveOrder,
        quantity: int,
        price: int,
        fee: int,
        liquidity: Liquidity,
    ) -> None:
        """Tell one side of a trade."""
        number = self._private_number(order.user)
        request_id = self._direct_id(order.user) if liquidity is Liquidity.TAKER else 0
        flags = 2 if order.user == other.user else 0
        report = ExecutionReport(
            request_id, flags, number, self.sequence, self.time_ns, ExecType.TRADE,
            order.fill_status(), order.book, order.order_id, order.client_order_id, order.side,
            liquidity, self.trades, price, quantity, order.leaves, order.cum, other.order_id, fee,
        )  # fmt: skip
        self.reports.append((order.user, report))
        row = FillRow(
            self.trades, number, self.time_ns, order.book, order.order_id, order.client_order_id,
            order.side, liquidity, price, quantity, fee, other.order_id,
        )  # fmt: skip
        self.fills.append((order.user, row))

    def report_prevented(
        self, maker: NaiveOrder, taker: NaiveOrder, price: int, numbers: tuple[int, int, int, int]
    ) -> None:
        """Tell of a trade with oneself that did not happen."""
        number = self._private_number(taker.user)
        report = PreventedMatch(
            self._direct_id(taker.user), 0, number, self.sequence, self.time_ns, taker.book,
            taker.policy, price, maker.order_id, taker.order_id, *numbers,
        )  # fmt: skip
        self.reports.append((taker.user, report))

    def _private_number(self, user: int) -> int:
        self.private[user] = self.private.get(user, 0) + 1
        return self.private[user]

    def _direct_id(self, user: int) -> int:
        return self.request_id if self.direct and user == self.user else 0


def _sign(side: Side) -> int:
    return 1 if side is Side.BUY else -1
