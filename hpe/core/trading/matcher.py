"""Price-time priority: which resting orders an incoming order trades with, and at what price.

Part of the deterministic core. The matcher changes quantities and queues; executor.py moves the
money. It is the only place that knows priority: best price first, within a price oldest first,
every trade at the resting (maker) order's price. The limit (which includes the band) and the
self-trade policy are parameters.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from hpe.core.context.effort import FILL, LEVEL, REACHED, ROW, Effort
from hpe.core.contract import DEFAULT_LIMITS
from hpe.core.money.wide import Budget, slices, ticks_of
from hpe.core.trading.orderbook import Ladder, Level, OrderBook
from hpe.core.trading.orders import Order
from hpe.protocol.enums import SelfTrade
from hpe.protocol.limits import INT_MAX

_NONE: Final = int(SelfTrade.NONE)
_CANCEL_MAKER: Final = int(SelfTrade.CANCEL_MAKER)
_CANCEL_TAKER: Final = int(SelfTrade.CANCEL_TAKER)
_DECREMENT: Final = int(SelfTrade.DECREMENT)
_GOES_ON: Final = (_CANCEL_MAKER, _DECREMENT)
"""The policies with which an aggressor continues after a match that they prevent."""

_NOTHING: Final[list[Prevented]] = []
_NOBODY: Final[list[Reached]] = []


class Fill(msgspec.Struct, gc=False):
    """One trade of the aggressor with one maker: price in ticks, quantity in lots.

    Leaves and cum are those right after this fill, because the orders themselves change further.
    The executor sets the fees, in quote atoms.
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
    """A match of a user with itself that did not happen, and what was canceled for it.

    `fills_before`: the number of its order's fills before it.
    """

    maker: Order
    price: int
    maker_canceled: int
    taker_canceled: int
    maker_leaves: int
    taker_leaves: int
    fills_before: int


class Reached(NamedTuple):
    """A dead order that a match met, after so many fills and prevented matches."""

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


class Matched(msgspec.Struct, frozen=True, gc=False):
    """The result of matching one aggressor, apart from its own leaves and cum.

    `prevented` are the matches that its self-trade policy prevented, `reached` the dead orders that
    it met, which are no longer in the book. `barred`: it ended at a prevented match; `exhausted`:
    it met as many orders as it may; `spent`: it used up its budget.
    """

    fills: list[Fill]
    prevented: list[Prevented]
    reached: list[Reached]
    barred: bool
    exhausted: bool
    spent: bool


class Matcher:
    """Matches one aggressor at a time against its book; keeps no state of it.

    Each walk ends after at most `fills_max` fills; all of it is charged to `effort`.
    """

    def __init__(self, effort: Effort, fills_max: int = DEFAULT_LIMITS.fills) -> None:
        self._effort = effort
        self._fills_max = fills_max

    def match(self, book: OrderBook, aggressor: Order, limit: int | None) -> Matched:
        """Trade as much of the aggressor as the limit and its bound of fills allow.

        The limit is a price, 0 for no limit, or None if nothing may trade. Filled makers leave the
        book. The aggressor is not in the book, and the caller rests or cancels its remainder. With
        a budget, it buys the lots that this pays for, taker fee included, and has no leaves then.
        Its leaves and cum are updated. Cost: O(fills), plus O(log levels) per level that is used
        up.
        """
        fills: list[Fill] = []
        user, room, careful = aggressor.user, self._fills_max, aggressor.self_trade != _NONE
        prevented: list[Prevented] = [] if careful else _NOTHING
        barred = spent = False
        dead_ns = book.dead_ns() if book.timers.overdue else 0
        reached: list[Reached] = [] if dead_ns else _NOBODY
        ladder, cum = book.opposite(aggressor.side), aggressor.cum
        budget = _budget_of(book, aggressor)
        leaves = aggressor.leaves if budget is None else INT_MAX
        while leaves and room and ladder.crosses(limit):
            maker = self.next_maker(ladder)
            if dead_ns and maker.is_dead(dead_ns):
                self._reach(ladder, Reached(maker, len(fills), len(prevented)), reached)
                continue
            if budget is not None:
                leaves = budget.lots(maker.price)
                if not leaves:
                    break
            room -= 1
            if careful and maker.user == user:
                barred = aggressor.self_trade not in _GOES_ON
                prevented.append(_prevent(ladder, aggressor, maker, leaves, len(fills)))
                if barred:
                    break
                leaves -= prevented[-1].taker_canceled
                continue
            price = self._trade_price(maker, aggressor)
            shown = maker.leaves - maker.hidden
            quantity = shown if shown < leaves else leaves
            leaves, cum = leaves - quantity, cum + quantity
            maker.cum += quantity
            if quantity < shown or maker.hidden:
                ladder.take(maker, quantity)
                if quantity == shown:
                    ladder.refill(maker)
            else:
                ladder.remove(maker)
                maker.leaves = 0
            fills.append(Fill(maker, price, quantity, maker.leaves, maker.cum, leaves, cum))
            book.last_price = price
            if budget is not None:
                budget.spend(price, quantity)
                leaves = INT_MAX
        if dead_ns and leaves and not barred:
            self._clear_way(ladder, aggressor.price, dead_ns, reached, (len(fills), len(prevented)))
        if budget is not None:
            leaves, spent = 0, _end_budget(budget, ladder, aggressor, fills, cum)
        aggressor.leaves, aggressor.cum = leaves, cum
        self._effort.charge(FILL, self._fills_max - room)
        return Matched(fills, prevented, reached, barred, not room, spent)

    def _clear_way(
        self,
        ladder: Ladder,
        price: int,
        dead_ns: int,
        reached: list[Reached],
        before: tuple[int, int],
    ) -> None:
        """Remove the dead orders at the front of the book, even those beyond the band.

        `before`: how many fills and prevented matches came before them.
        """
        while ladder.crosses(price):
            maker = self.next_maker(ladder)
            if not maker.is_dead(dead_ns):
                break
            self._reach(ladder, Reached(maker, *before), reached)

    def next_maker(self, ladder: Ladder) -> Order:
        """Return the oldest order at the best price."""
        assert ladder.best is not None
        return ladder.best.head

    def _reach(self, ladder: Ladder, found: Reached, reached: list[Reached]) -> None:
        """Remove a dead order that was met from the book; the caller ends it."""
        ladder.remove(found.order)
        reached.append(found)
        self._effort.charge(REACHED)

    def _trade_price(self, maker: Order, aggressor: Order) -> int:
        """Return the price of a trade: the maker's, even if the aggressor's limit is worse."""
        return maker.price

    # --- what would trade, without trading ----------------------------------------------------

    def fillable(self, book: OrderBook, order: Order, limit: int | None, quantity: int) -> bool:
        """True if this much of an order would trade at once within a limit (0: none)."""
        walk = self._walk(book, order, limit, order.leaves)
        return sum(part.quantity for part in walk.parts()) >= quantity

    def cost(self, book: OrderBook, order: Order, limit: int | None, ticks_lots_max: int) -> int:
        """Return price x quantity (ticks x lots) of what an order would trade now, or more.

        It is slightly more if the bound of fills ends it among hidden lots. Stops once the sum
        exceeds `ticks_lots_max`, because more than that cannot be paid anyway.
        """
        total = 0
        for part in self._walk(book, order, limit, order.leaves, upward=True).parts():
            total += ticks_of(part.price, part.quantity)
            if total > ticks_lots_max:
                break
        return total

    def spendable(self, book: OrderBook, order: Order, limit: int | None, amount: int) -> bool:
        """True if a budget would be used up now, and buy something."""
        budget, quantity = new_budget(book, order, amount), 0
        ladder, dead_ns = book.asks, book.dead_ns()
        best: Level | Order | None = ladder.best
        if dead_ns:
            best = next(ladder.living(0, dead_ns), None)
        lots_max = budget.lots(best.price) + 1 if best is not None else 1  # one too many
        price = 0
        for price, part, own_last, beyond in self._walk(book, order, limit, lots_max).parts():
            if beyond:
                break
            lots = min(part, budget.lots(price))
            quantity += lots
            budget.spend(price, lots)
            if lots < part or (own_last and not budget.lots(price)):
                return quantity > 0
        return quantity > 0 and budget.is_spent(price)

    def _walk(
        self, book: OrderBook, order: Order, limit: int | None, leaves: int, *, upward: bool = False
    ) -> Walk:
        ladder, dead_ns = book.opposite(order.side), book.dead_ns()
        return Walk(ladder, order, limit, leaves, self._effort, self._fills_max, dead_ns, upward)


class Part(NamedTuple):
    """What an order would trade at one price.

    `own_last`: the last order that it met there belongs to its own user. `beyond`: it reached this
    price and trades nothing there or after it; the price is 0 if there is none.
    """

    price: int
    quantity: int
    own_last: bool = False
    beyond: bool = False


class _Share(NamedTuple):
    """What an order would trade of one level, and how it would continue.

    `is_left`: part of the level remains.
    """

    quantity: int
    leaves: int
    room: int
    own_last: bool
    is_left: bool


class Walk(NamedTuple):
    """What an order would trade with, level by level, without trading.

    `upward`: count what icebergs hide even where the bound of fills may end the order among it.
    """

    ladder: Ladder
    order: Order
    limit: int | None
    leaves: int
    effort: Effort
    fills_max: int
    dead_ns: int
    upward: bool

    def parts(self) -> Iterator[Part]:
        """Yield what the order would trade, best price first.

        Ends after `fills_max` makers. An iceberg counts once per slice, and its hidden part is
        included only if all slices of its level fit.
        """
        limit, dead_ns, leaves, room = self.limit, self.dead_ns, self.leaves, self.fills_max
        ladder, careful = self.ladder, self.order.self_trade != _NONE
        for level in ladder.levels_within(self.order.price):
            if dead_ns and all(each.is_dead(dead_ns) for each in level.orders()):
                continue
            beyond = limit is None or (limit and (level.price - limit) * ladder.sign < 0)
            if not room or beyond:
                yield Part(level.price, 0, beyond=True)
                return
            self.effort.charge(LEVEL)
            own_last = is_left = False
            if careful or level.hidden or level.count > room or dead_ns:
                part, leaves, room, own_last, is_left = self._share_of(level, leaves, room)
            else:
                part = min(level.quantity, leaves)
                leaves -= part
                room -= level.count
            yield Part(level.price, part, own_last)
            if not leaves or is_left:
                return
        yield Part(0, 0, beyond=True)

    def _share_of(self, level: Level, leaves: int, room: int) -> _Share:
        """Return what would trade at one level, order by order.

        First come every order's shown lots in queue order, where a self-trade policy applies to
        orders of the same user; then the slices of others' icebergs, one after the other.
        """
        order, policy = self.order, self.order.self_trade
        traded = hidden = slice_count = 0
        own_last = is_left = False
        for maker in level.orders():
            if not leaves or not room:
                is_left = True
                break
            self.effort.charge(ROW)
            if maker.is_dead(self.dead_ns):
                continue
            room -= 1
            if maker.user != order.user or policy == _NONE:
                part = min(maker.leaves - maker.hidden, leaves)
                traded += part
                leaves -= part
                hidden += maker.hidden
                slice_count += _slices(maker) if maker.hidden else 0
                own_last = False
                continue
            own_last = True
            if policy == _DECREMENT:
                leaves -= min(maker.leaves, leaves)
            elif policy != _CANCEL_MAKER:
                is_left = True
                break
        part = 0 if is_left else min(hidden, leaves)
        if part:
            own_last = False
            slice_count = min(slice_count, leaves)  # every fill takes at least one lot
            is_left = slice_count > room
            if is_left and not self.upward:
                part = 0
            room = max(room - slice_count, 0)
        return _Share(traded + part, leaves - part, room, own_last, is_left)


def _prevent(
    ladder: Ladder, aggressor: Order, maker: Order, leaves: int, fills_before: int
) -> Prevented:
    """Apply the aggressor's policy to a match with its own user; return what was canceled.

    If the policy ends the aggressor, `taker_canceled` is for the report: the caller ends the order.
    """
    policy, price, maker_canceled = aggressor.self_trade, maker.price, maker.leaves
    if policy == _CANCEL_TAKER:
        maker_canceled = 0
    elif policy == _DECREMENT:
        maker_canceled = min(leaves, maker.leaves)
    if maker_canceled:
        _cancel_of(ladder, maker, maker_canceled)
    barred, taken = policy not in _GOES_ON, 0
    if barred:
        taken = leaves if aggressor.quantity else 0  # a budget has no lots to cancel
    elif policy == _DECREMENT:
        taken = maker_canceled
        aggressor.canceled += taken
    after = 0 if barred or not aggressor.quantity else leaves - taken
    return Prevented(maker, price, maker_canceled, taken, maker.leaves, after, fills_before)


def _end_budget(
    budget: Budget, ladder: Ladder, aggressor: Order, fills: list[Fill], cum: int
) -> bool:
    """Set the quantity of a budget order to what it bought; True if the budget is used up."""
    aggressor.quantity = cum
    _count_leaves(fills, cum)
    return budget.is_spent(ladder.best.price if ladder.best is not None else 0)


def _cancel_of(ladder: Ladder, maker: Order, quantity: int) -> None:
    """Cancel lots of a resting order; remove it from the book if none remain."""
    maker.canceled += quantity
    if quantity < maker.leaves:
        ladder.reduce(maker, maker.leaves - quantity)
    else:
        ladder.remove(maker)
        maker.leaves = maker.hidden = 0


def new_budget(book: OrderBook, order: Order, amount: int) -> Budget:
    """Return the budget of an order that may spend this much."""
    return Budget(amount, book.instrument.quote_atoms_per_tick, order.rates.taker)


def _budget_of(book: OrderBook, order: Order) -> Budget | None:
    terms = order.terms
    return new_budget(book, order, terms.budget) if terms is not None and terms.budget else None


def _count_leaves(fills: list[Fill], cum: int) -> None:
    """Set the taker's leaves in each fill, once it is known how much a budget bought."""
    for fill in fills:
        fill.taker_leaves = cum - fill.taker_cum


def _slices(maker: Order) -> int:
    """Return how many slices an iceberg still hides."""
    assert maker.terms is not None
    return slices(maker.hidden, maker.terms.display)
