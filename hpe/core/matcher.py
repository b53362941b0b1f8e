"""Price-time priority: which resting orders an incoming order trades with, and at what price.

Part of the deterministic core. The matcher changes quantities and queues; money is the
executor's. It is the one place where priority lives: best price first, within a price oldest
first, every trade at the resting (maker) order's price. The limit (with the band in it) and the
self-trade policy are values that it is given.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from hpe.core.effort import FILL, LEVEL, REACHED, ROW, Effort
from hpe.core.orderbook import Ladder, Level
from hpe.core.orders import Order
from hpe.messages import FILLS_PER_COMMAND_MAX, INT_MAX, PPM, SelfTrade

_NONE: Final = int(SelfTrade.NONE)
_CANCEL_MAKER: Final = int(SelfTrade.CANCEL_MAKER)
_CANCEL_TAKER: Final = int(SelfTrade.CANCEL_TAKER)
_DECREMENT: Final = int(SelfTrade.DECREMENT)
_NOTHING: Final[list[Prevented]] = []


class Fill(msgspec.Struct, gc=False):
    """One trade of the aggressor with one maker: price in ticks, quantity in lots.

    Leaves and cum are those right after this fill; the orders themselves go on changing. The fees,
    in quote atoms, are the executor's to set.
    """

    maker: Order
    price: int
    quantity: int
    maker_leaves: int
    maker_cum: int
    taker_leaves: int
    taker_cum: int
    maker_fee: int = 0
    taker_fee: int = 0


class Prevented(msgspec.Struct, frozen=True, gc=False):
    """A match of a user with himself that did not happen, and what was canceled for it.

    `fills_before`: how many fills of its order came before it.
    """

    maker: Order
    price: int
    maker_canceled: int
    taker_canceled: int
    maker_leaves: int
    taker_leaves: int
    fills_before: int


class Reached(NamedTuple):
    """A dead order that a match came to, behind so many fills and prevented matches."""

    order: Order
    fills_before: int
    prevented_before: int


class Match(msgspec.Struct, frozen=True, gc=False):
    """What one order traded on one arrival: its fills have consecutive trade ids."""

    taker: Order
    request_id: int
    first_trade_id: int
    fills: list[Fill]
    prevented: list[Prevented]


class Matcher:
    """Matches one aggressor at a time against its book.

    Each of the walks ends after FILLS_PER_COMMAND_MAX fills at most; all is charged to `effort`.
    Of the last `match`, `prevented` are the matches that it prevented, `barred` says whether it
    ended at one, `exhausted` whether it met all it may, `spent` whether it used up its budget,
    `reached` the dead that it took out of the book.
    """

    def __init__(self, effort: Effort) -> None:
        self._effort = effort
        self.prevented: list[Prevented] = []
        self.barred = False
        self.exhausted = False
        self.spent = False
        self.reached: list[Reached] = []
        self._dead_ns = 0
        self._walk_end = 0
        self._walk_leaves = 0
        self._walk_left = False
        self._walk_own_last = False

    def match(self, aggressor: Order, limit: int) -> list[Fill]:
        """Trade as much of the aggressor as the limit (0: none) and FILLS_PER_COMMAND_MAX allow.

        Makers that are filled leave the book; the aggressor is not in the book and its remainder
        is the caller's to rest or cancel. One with a budget buys the lots that it pays for, taker
        fee included, and has no leaves then.

        Returns:
            The fills in the order in which they happened; leaves and cum are updated.

        Cost: O(fills), plus O(log levels) per level that is used up.
        """
        fills: list[Fill] = []
        book, user, room = aggressor.book, aggressor.user, FILLS_PER_COMMAND_MAX
        careful = aggressor.self_trade != _NONE
        if careful:
            self.prevented = []
        elif self.prevented:
            self.prevented = _NOTHING
        self.barred = False
        dead_ns = 0
        if book.timers.overdue:
            dead_ns = self._dead_ns = book.dead_ns()
        if self.reached:
            self.reached = []
        ladder = book.opposite(aggressor.side)
        leaves, cum = aggressor.leaves, aggressor.cum
        budget = _budget_of(aggressor)
        if budget is not None:
            leaves = INT_MAX
        while leaves and room and ladder.crosses(limit):
            maker = self.next_maker(ladder)
            if dead_ns and maker.is_dead(dead_ns):
                self._reach(ladder, maker, len(fills))
                continue
            if budget is not None:
                leaves = budget.lots(maker.price)
                if not leaves:
                    break
            room -= 1
            if careful and maker.user == user:
                leaves = self._prevent(aggressor, maker, leaves, len(fills))
                if self.barred:
                    break
                continue
            price = self._trade_price(maker, aggressor)
            shown = maker.leaves - maker.hidden
            quantity = shown if shown < leaves else leaves
            leaves -= quantity
            cum += quantity
            maker.cum += quantity
            if quantity < shown:
                ladder.take(maker, quantity)
            elif maker.hidden:
                ladder.take(maker, quantity)
                ladder.refill(maker)
            else:
                ladder.remove(maker)
                maker.leaves = 0
            fills.append(Fill(maker, price, quantity, maker.leaves, maker.cum, leaves, cum))
            book.last_price = price
            if budget is not None:
                budget.spend(price, quantity)
                leaves = INT_MAX
        if dead_ns and leaves and not self.barred:
            self._reach_all(ladder, aggressor.price, len(fills))
        if budget is not None:
            leaves, aggressor.quantity = 0, cum
            self.spent = budget.is_spent(ladder.best)
            _count_leaves(fills, cum)
        aggressor.leaves, aggressor.cum = leaves, cum
        self.exhausted = not room
        self._effort.charge(FILL, FILLS_PER_COMMAND_MAX - room)
        return fills

    def next_maker(self, ladder: Ladder) -> Order:
        """Give the oldest order at the best price."""
        assert ladder.best is not None
        return ladder.best.head

    def _reach(self, ladder: Ladder, maker: Order, fills_before: int) -> None:
        """Take an order whose time has come out of the book; the caller ends it."""
        ladder.remove(maker)
        self._effort.charge(REACHED)
        self.reached.append(Reached(maker, fills_before, len(self.prevented)))

    def _reach_all(self, ladder: Ladder, price: int, fills_before: int) -> None:
        """Take out the dead that are next in turn, also beyond the band: none stands in the way."""
        while ladder.crosses(price):
            maker = self.next_maker(ladder)
            if not maker.is_dead(self._dead_ns):
                return
            self._reach(ladder, maker, fills_before)

    def _trade_price(self, maker: Order, aggressor: Order) -> int:
        """Give the price of a trade: the maker's, whatever the aggressor would have paid."""
        return maker.price

    def _prevent(self, aggressor: Order, maker: Order, leaves: int, fills_before: int) -> int:
        """Let the aggressor's policy act on a match with its own user.

        Returns:
            The aggressor's leaves; `barred` says whether it goes on.
        """
        policy, price, maker_canceled = aggressor.self_trade, maker.price, maker.leaves
        if policy == _CANCEL_TAKER:
            maker_canceled = 0
        elif policy == _DECREMENT:
            maker_canceled = min(leaves, maker.leaves)
        if maker_canceled:
            self._cancel_of(maker, maker_canceled)
        self.barred = policy not in (_CANCEL_MAKER, _DECREMENT)
        taken = 0
        if self.barred:
            # For the report; the caller ends the order. A budget has no lots that are canceled.
            taken = leaves if aggressor.quantity else 0
        elif policy == _DECREMENT:
            taken = maker_canceled
            aggressor.canceled += taken
        after = 0 if self.barred or not aggressor.quantity else leaves - taken
        self.prevented.append(
            Prevented(maker, price, maker_canceled, taken, maker.leaves, after, fills_before)
        )
        return leaves if self.barred else leaves - taken

    def _cancel_of(self, maker: Order, quantity: int) -> None:
        """Take canceled lots off a resting order, and it out of the book when none are left."""
        ladder = maker.book.side(maker.side)
        maker.canceled += quantity
        if quantity < maker.leaves:
            ladder.reduce(maker, maker.leaves - quantity)
        else:
            ladder.remove(maker)
            maker.leaves = maker.hidden = 0

    # --- what would trade, without trading ----------------------------------------------------

    def fillable(self, order: Order, limit: int, quantity: int) -> bool:
        """Tell whether so much of an order would trade at once within a limit (0 for none)."""
        return sum(part for _, part in self._walk(order, limit, order.leaves)) >= quantity

    def cost(self, order: Order, limit: int, ticks_lots_max: int) -> int:
        """Sum price x quantity (ticks x lots) of what an order would trade now, or a little more.

        More where FILLS_PER_COMMAND_MAX ends it among hidden lots. Stops once the sum is above
        `ticks_lots_max`: more than that cannot be paid anyway.
        """
        total = 0
        for price, part in self._walk(order, limit, order.leaves, upward=True):
            total += part * price
            if total > ticks_lots_max:
                break
        return total

    def spendable(self, order: Order, limit: int, amount: int) -> bool:
        """Tell whether a budget would be used up now, and buy something."""
        budget, quantity = Budget(order, amount), 0
        ladder, dead_ns = order.book.asks, order.book.dead_ns()
        best: Level | Order | None = ladder.best
        if dead_ns:
            best = next(ladder.living(0, dead_ns), None)
        lots_max = budget.lots(best.price) + 1 if best is not None else 1  # one to be refused
        for price, part in self._walk(order, limit, lots_max):
            lots = min(part, budget.lots(price))
            quantity += lots
            budget.spend(price, lots)
            if lots < part or (self._walk_own_last and not budget.lots(price)):
                return quantity > 0
        return quantity > 0 and budget.is_spent_at(self._walk_end)

    def _walk(
        self, order: Order, limit: int, leaves: int, *, upward: bool = False
    ) -> Iterator[tuple[int, int]]:
        """Yield (price, quantity) of what an order would trade, best first.

        Ends at FILLS_PER_COMMAND_MAX makers; an iceberg counts once per slice there, and takes
        with it what it hides only where all slices of its level have room (`upward`: always).
        `_walk_end` is the price that it came to and left, 0 for none; `_walk_own_last` whether
        the last that it came to at a level was one's own order.
        """
        self._walk_end, self._walk_left, self._walk_own_last = 0, False, False
        careful, room = order.self_trade != _NONE, FILLS_PER_COMMAND_MAX
        ladder = order.book.opposite(order.side)
        dead_ns = self._dead_ns = order.book.dead_ns()
        for level in ladder.levels_within(order.price):
            if dead_ns and all(each.is_dead(dead_ns) for each in level.orders()):
                continue
            self._walk_end = level.price
            if not room or (limit and (level.price - limit) * ladder.sign < 0):
                return
            self._effort.charge(LEVEL)
            if careful or level.hidden or level.count > room or dead_ns:
                part, room = self._walk_level(level, order, leaves, room, upward)
                leaves = self._walk_leaves
            else:
                part = min(level.quantity, leaves)
                leaves -= part
                room -= level.count
            yield level.price, part
            if not leaves or self._walk_left:
                return
        self._walk_end = 0

    def _walk_level(
        self, level: Level, order: Order, leaves: int, room: int, upward: bool
    ) -> tuple[int, int]:
        """Give what would trade at one level, order by order, and the room after it.

        First every order's shown lots in their turn, where one's own are met under a self-trade
        policy; then what icebergs of others show one slice after the other. `_walk_leaves` is
        what the order has left, `_walk_left` tells that something of the level is.
        """
        policy, traded, hidden, slices = order.self_trade, 0, 0, 0
        self._walk_own_last = self._walk_left = False
        for maker in level.orders():
            if not leaves or not room:
                self._walk_left = True
                break
            self._effort.charge(ROW)
            if maker.is_dead(self._dead_ns):
                continue
            room -= 1
            if maker.user != order.user or policy == _NONE:
                part = min(maker.leaves - maker.hidden, leaves)
                traded += part
                leaves -= part
                hidden += maker.hidden
                slices += _slices(maker) if maker.hidden else 0
                self._walk_own_last = False
                continue
            self._walk_own_last = True
            if policy == _DECREMENT:
                leaves -= min(maker.leaves, leaves)
            elif policy != _CANCEL_MAKER:
                self._walk_left = True
                break
        part = 0 if self._walk_left else min(hidden, leaves)
        if part:
            self._walk_own_last = False
            slices = min(slices, leaves)  # every fill takes a lot at least
            self._walk_left = slices > room
            if self._walk_left and not upward:
                part = 0
            room = max(room - slices, 0)
        self._walk_leaves = leaves - part
        return traded + part, room


class Budget:
    """What is left of the quote atoms that a market buy may spend, taker fee included.

    Counted in millionths of an atom at price x (1 + rate): the fee of all fills together is
    rounded up once, so whole atoms are kept exactly.
    """

    __slots__ = ("_lot_micro_per_tick", "_rest_micro")

    def __init__(self, order: Order, amount: int) -> None:
        atoms = order.book.instrument.quote_atoms_per_tick
        self._lot_micro_per_tick = atoms * (PPM + order.rates.taker)
        self._rest_micro = amount * PPM

    def lots(self, price: int) -> int:
        """Give how many lots it pays for at a price."""
        return self._rest_micro // (price * self._lot_micro_per_tick)

    def spend(self, price: int, lots: int) -> None:
        """Take off what lots cost."""
        self._rest_micro -= price * lots * self._lot_micro_per_tick

    def is_spent_at(self, price: int) -> bool:
        """Tell whether no lot more can be bought at the next price (0: there is none)."""
        return self._rest_micro < max(PPM, price * self._lot_micro_per_tick)

    def is_spent(self, best: Level | None) -> bool:
        """Tell whether no lot more can be bought at the best price that is left."""
        return self.is_spent_at(best.price if best is not None else 0)


def _budget_of(order: Order) -> Budget | None:
    terms = order.terms
    return Budget(order, terms.budget) if terms is not None and terms.budget else None


def _count_leaves(fills: list[Fill], cum: int) -> None:
    """Set the taker's leaves of each fill, now that it is known how much a budget bought."""
    for fill in fills:
        fill.taker_leaves = cum - fill.taker_cum


def _slices(maker: Order) -> int:
    """Count the slices that an iceberg still hides."""
    assert maker.terms is not None
    return -(-maker.hidden // maker.terms.display)
