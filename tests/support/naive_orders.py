"""The naive exchange's orders: what one order is, needs and pays, by plain arithmetic.

Part of the second opinion of naive_exchange.py: every number that can be computed from others
is computed from them each time. Nothing shared with the core. Source: protocol.md, "The rules
of the exchange".
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field

from hpe.protocol.codes import CancelReason
from hpe.protocol.enums import OrderStatus, OrderType, SelfTrade, Side, TimeInForce
from hpe.protocol.flags import ORDER_POST_ONLY
from hpe.protocol.limits import PPM
from hpe.protocol.listings import AddInstrument
from hpe.protocol.orders import OrderRow, OrderTerms


def ceil_ppm(micro: int) -> int:
    """Divide by a million, rounding towards plus infinity."""
    return -(-micro // PPM)


@dataclass(eq=False)
class NaiveOrder:
    """An order; `priority` orders those of one price, and stops of one trigger.

    `line` is the one in which it stands for its turn, since it was reached; 0 before.
    `session` is the one with whose connection it ends, 0 for none; `key` whose place it takes.
    `reuses_id`: when it ended, an older one could be asked for by the same client order id.
    """

    order_id: int
    user: int
    client_order_id: int
    book: int
    instrument: AddInstrument
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    price: int
    leaves: int
    flags: int
    policy: SelfTrade
    maker_ppm: int
    taker_ppm: int
    terms: OrderTerms
    waiting: bool = False
    trigger: int = 0
    trades_before: int = 0
    priority: int = 0
    line: int = 0
    shown: int = 0
    cum: int = 0
    canceled: int = 0
    fills: list[tuple[int, int]] = field(default_factory=list)
    partner: NaiveOrder | None = None
    session: int = 0
    key: int = 0
    live: bool = True
    reason: int = 0
    reuses_id: bool = False

    @property
    def post_only(self) -> bool:
        """True if it is rejected rather than trading on arrival."""
        return bool(self.flags & ORDER_POST_ONLY)

    @property
    def is_limit(self) -> bool:
        """True if it has a limit price."""
        return self.order_type in (OrderType.LIMIT, OrderType.STOP_LIMIT)

    @property
    def stays(self) -> bool:
        """True if what does not trade rests."""
        return self.is_limit and self.time_in_force in (TimeInForce.GTC, TimeInForce.GTD)

    @property
    def quantity(self) -> int:
        """Return all its lots."""
        return self.leaves + self.cum + self.canceled

    @property
    def quote_total(self) -> int:
        """Return the quote atoms of all fills."""
        return sum(notional for notional, _ in self.fills)

    @property
    def fee_micro(self) -> int:
        """Return the sum of notional x rate over all fills."""
        return sum(notional * ppm for notional, ppm in self.fills)

    @property
    def fee_total(self) -> int:
        """Return what it is charged so far."""
        return ceil_ppm(self.fee_micro)

    @property
    def notional(self) -> int:
        """Return the value of its open part at its limit."""
        return self.price * self.leaves * self.instrument.quote_atoms_per_tick

    @property
    def worst_notional(self) -> int:
        """Return its notional with the highest fee that it can meet, and what it traded before."""
        worst = max(self.maker_ppm, self.taker_ppm, 0)
        fee = ceil_ppm(self.fee_micro + self.notional * worst)
        return self.notional + fee + self.quote_total

    def status(self) -> OrderStatus:
        """Return the FIX status."""
        if self.live:
            return OrderStatus.PARTIALLY_FILLED if self.cum else OrderStatus.NEW
        if self.reason == CancelReason.EXPIRED:
            return OrderStatus.EXPIRED
        return OrderStatus.CANCELED if self.reason else OrderStatus.FILLED

    def fill_status(self) -> OrderStatus:
        """Return the FIX status that an execution report shows."""
        return OrderStatus.PARTIALLY_FILLED if self.leaves else OrderStatus.FILLED

    def asset(self) -> int:
        """Return the asset that it pays with."""
        return self.instrument.quote if self.side is Side.BUY else self.instrument.base

    def needs(self) -> int:
        """Return what it must reserve by itself while it is open."""
        if self.terms.budget:
            return self.terms.budget - self.quote_total - self.fee_total
        if self.side is Side.BUY:
            worst = max(self.maker_ppm, self.taker_ppm, 0)
            fee = ceil_ppm(self.fee_micro + self.notional * worst)
            return self.notional + fee - self.fee_total
        return self.leaves * self.instrument.base_atoms_per_lot

    def reserved(self) -> int:
        """Return what it reserves: a pair's larger need stands on its limit leg."""
        if not self.live:
            return 0
        if self.partner is None:
            return self.needs()
        return 0 if self.waiting else max(self.needs(), self.partner.needs())

    def show(self) -> None:
        """Show a new slice."""
        display = self.terms.display_quantity or self.leaves
        self.shown = min(display, self.leaves)

    def end(self, reason: int) -> None:
        """End, with what is open canceled."""
        self.canceled += self.leaves
        self.leaves = self.shown = 0
        self.live = self.waiting = False
        self.reason = reason

    def copied(self) -> NaiveOrder:
        """Return a copy that may trade without anybody noticing."""
        other = copy(self)
        other.fills = list(self.fills)
        return other

    def row(self, trigger: int) -> OrderRow:
        """Return the row of a listing; only the whole exchange knows the trigger now."""
        linked = self.partner.order_id if self.partner else 0
        terms = self.terms
        return OrderRow(
            self.order_id, self.client_order_id, self.book, self.side, self.order_type,
            self.time_in_force, self.price, self.quantity, self.leaves, self.cum, self.canceled,
            self.status(), self.reason, self.quote_total, self.fee_total, self.reserved(),
            self.flags, self.policy, self.waiting, trigger, terms.trail,
            terms.display_quantity, terms.minimum_quantity, terms.budget, terms.expires_ns, linked,
        )  # fmt: skip


def rank(order: NaiveOrder) -> tuple[int, int]:
    """Order the resting ones of one side: best price first, then first come."""
    return (order.price if order.side is Side.SELL else -order.price, order.priority)
