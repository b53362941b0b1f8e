"""The life of accepted orders: arrive, trade, rest, end, fire, and meet in an uncross.

Part of the deterministic core. Commands (entry.py, replacing.py, operations.py) decide whether an
order is accepted; everything after that happens here, in the order that protocol.md defines
under "Order of events". Owns the trade ids, the unfinished work, and the list of events of the
current command.
"""

from __future__ import annotations

from typing import Final

from msgspec import structs

from hpe.core.context.command import Context
from hpe.core.context.effort import FIRED, MATCH, MOVED, REPORT, RESUMED, ROW, Effort
from hpe.core.contract import Limits
from hpe.core.money.balances import BalanceCache
from hpe.core.timers import Timers
from hpe.core.trading.calls import Calls
from hpe.core.trading.dead import dead_before
from hpe.core.trading.events import Event, order_change
from hpe.core.trading.executor import Executor
from hpe.core.trading.matcher import Fill, Match, Matched, Matcher, Prevented, Reached
from hpe.core.trading.order_index import OrderIndex
from hpe.core.trading.order_states import ARRIVING, ENDED, QUEUED, RESTS, WAITING
from hpe.core.trading.orderbook import OrderBook
from hpe.core.trading.orders import Order
from hpe.core.trading.triggers import Firing
from hpe.core.trading.turns import Turns
from hpe.protocol.codes import CancelReason
from hpe.protocol.enums import ExecType, InstrumentStatus, TimeInForce

_THE_END: Final = (None, None, None)
_TRADING: Final = InstrumentStatus.TRADING
_FOK: Final = TimeInForce.FOK
_SELF_TRADE: Final = CancelReason.SELF_TRADE


class Market:
    """Everything that happens to accepted orders."""

    def __init__(
        self, balances: BalanceCache, orders: OrderIndex, timers: Timers, limits: Limits
    ) -> None:
        self.limits = limits
        self.orders = orders
        self.timers = timers
        self.effort = Effort()
        self.matcher = Matcher(self.effort, limits.fills)
        self.executor = Executor(balances)
        self.events: list[Event] = []
        self.turns = Turns()
        self.last_trade_id = 0
        self.calls = Calls(self)

    # --- arriving -------------------------------------------------------------------------------

    def arrive(
        self, context: Context, book: OrderBook, order: Order, request_id: int
    ) -> list[Fill]:
        """Execute an accepted order that has reserved what it needs: trade, then rest or end.

        An order without leaves afterwards has ended; `reason` says why. The caller adds it to the
        index or removes it.
        """
        if book.status is not _TRADING:
            self._join_call(book, order)
            return []
        limit = book.limit_within_band(order.side, order.price)
        terms = order.terms
        if terms is not None and terms.budget:
            return self._spend(context, book, order, limit, request_id)
        if order.time_in_force is _FOK:
            if not self.matcher.fillable(book, order, limit, order.leaves):
                self.close(order, CancelReason.FOK_NOT_FILLABLE)
                return []
        elif (
            terms is not None
            and terms.minimum
            and not self.matcher.fillable(book, order, limit, terms.minimum)
        ):
            self.close(order, CancelReason.MINIMUM_NOT_FILLABLE)
            return []
        return self.meet(context, book, order, limit, request_id)

    def meet(
        self, context: Context, book: OrderBook, order: Order, limit: int | None, request_id: int
    ) -> list[Fill]:
        """Trade within a limit, then rest or end.

        The limit is that of `limit_within_band`: a price, 0 for none, or None: nothing may trade.
        """
        matched = self._trade(book, order, limit, request_id)
        if order.leaves:
            if matched.barred or matched.exhausted or limit != order.price:
                reason = self._what_ends(context, book, order, limit, matched)
            else:
                reason = 0 if order.may_rest else remainder_reason(order)
            if reason:
                self.close(order, reason)
            else:
                self.rest(book, order)
        else:
            order.move(ENDED)
            if order.reserved:
                self.executor.release(order)
        return matched.fills

    def _what_ends(
        self, context: Context, book: OrderBook, order: Order, limit: int | None, matched: Matched
    ) -> int:
        """Return why an order that could not trade further must end, 0 if it rests."""
        if matched.barred:
            return _SELF_TRADE
        opposite = book.opposite(order.side)  # its next order is not a dead one
        if matched.exhausted and opposite.crosses(limit):
            return CancelReason.FILL_LIMIT
        if limit != order.price and opposite.crosses(order.price):  # the band's limit, or None
            return self._meet_band(context, book, order)
        return 0 if order.may_rest else remainder_reason(order)

    def _meet_band(self, context: Context, book: OrderBook, order: Order) -> int:
        """Refuse to trade outside the band; interrupt trading if the instrument wants that.

        The next maker decides, on either side of the band: a user that has emptied a side, or found
        it empty, must not be able to begin a call with its own order at no cost.
        """
        if book.instrument.volatility_interruption:
            maker = self.matcher.next_maker(book.opposite(order.side))
            if maker.user != order.user:
                self.calls.interrupt(context, book)
                if order.may_rest:
                    return 0
        return CancelReason.BAND

    def _join_call(self, book: OrderBook, order: Order) -> None:
        """Let an order rest in a call; a stop whose turn comes there may not be allowed to."""
        if order.may_rest:
            self.rest(book, order)
        else:  # also without a band: the reason that an interruption of trading gives
            self.close(order, CancelReason.BAND)

    def _spend(
        self, context: Context, book: OrderBook, order: Order, limit: int | None, request_id: int
    ) -> list[Fill]:
        """Buy as many whole lots as a budget pays for."""
        terms = order.terms
        assert terms is not None
        fills_all = order.time_in_force is _FOK
        if fills_all and not self.matcher.spendable(book, order, limit, terms.budget):
            self.close(order, CancelReason.FOK_NOT_FILLABLE)
            return []
        matched, reason = self._trade(book, order, limit, request_id), 0
        if not matched.spent:
            reason = self._what_ends(context, book, order, limit, matched)
        elif not matched.fills:
            reason = CancelReason.NO_LIQUIDITY  # the budget does not pay for a single lot
        self.close(order, reason)
        return matched.fills

    def rest(self, book: OrderBook, order: Order) -> None:
        """Put an order at the end of its price's queue."""
        if order.terms is not None:
            order.show_slice()
        order.move(RESTS)
        book.side(order.side).add(order)

    def close(self, order: Order, reason: int) -> None:
        """End an order that is in no queue: cancel its leaves, release what it reserved."""
        self.executor.release(order)
        order.canceled += order.leaves
        order.leaves = order.hidden = 0
        order.reason = reason
        order.move(ENDED)

    # --- trading --------------------------------------------------------------------------------

    def _trade(self, book: OrderBook, order: Order, limit: int | None, request_id: int) -> Matched:
        """Match an order, settle and number its fills, and do everything that follows."""
        matched = self.matcher.match(book, order, limit)
        fills, prevented = matched.fills, matched.prevented
        if not (fills or prevented or matched.reached):
            return matched
        self.executor.settle(book.instrument, order, fills)
        first_id, orders = self.last_trade_id + 1, self.orders
        match = Match(order, request_id, first_id, fills, prevented)
        if matched.reached:
            self._note_in_parts(book, match, matched.reached)
        else:
            self.events.append(match)
        self.effort.charge(MATCH)
        if fills:
            book.last_trade_id = self.last_trade_id = self.last_trade_id + len(fills)
        for fill in fills:
            maker = fill.maker
            if not fill.maker_leaves:
                orders.end(maker)
            if maker.terms is not None:
                self.unlink(book, maker, request_id if maker.user == order.user else 0)
        if prevented:
            self._after_prevention(book, order, prevented, request_id)
        if fills:
            if order.terms is not None:
                self.unlink(book, order, request_id)
            triggers = book.triggers
            if triggers.count and not (
                # From the first to the last, prices only rise or only fall.
                triggers.is_quiet(fills[0].price) and triggers.is_quiet(fills[-1].price)
            ):
                self.fire(book, [fill.price for fill in fills])
        return matched

    def _note_in_parts(self, book: OrderBook, match: Match, reached: list[Reached]) -> None:
        """Report a match, and in their places the expiry of the dead orders that it met."""
        done = prevented_done = 0
        for order, fills_before, prevented_before in [*reached, _THE_END]:
            fills = match.fills[done:fills_before]
            prevented = [
                structs.replace(each, fills_before=each.fills_before - done)
                for each in match.prevented[prevented_done:prevented_before]
            ]
            if fills or prevented:
                first_id = match.first_trade_id + done
                part = Match(match.taker, match.request_id, first_id, fills, prevented)
                self.events.append(part)
            if order is not None:
                self._end_reached(book, order)
            done, prevented_done = fills_before or 0, prevented_before or 0

    def _end_reached(self, book: OrderBook, order: Order) -> None:
        """End a dead order that is already out of its book."""
        self.close(order, CancelReason.EXPIRED)
        self.orders.end(order)
        self.note(order, ExecType.EXPIRED, 0)
        self.unlink(book, order, 0)

    def clear_way(self, book: OrderBook, order: Order) -> None:
        """End the dead orders that a resting order would cross."""
        dead_ns, opposite = book.dead_ns(), book.opposite(order.side)
        while dead_ns and opposite.crosses(order.price):
            maker = self.matcher.next_maker(opposite)
            if not maker.is_dead(dead_ns):
                return
            self.cancel(book, maker, CancelReason.EXPIRED)

    def _after_prevention(
        self, book: OrderBook, taker: Order, prevented: list[Prevented], request_id: int
    ) -> None:
        """Release the money of what self-trade prevention canceled; end orders without leaves."""
        executor = self.executor
        for each in prevented:
            maker = each.maker
            if each.maker_canceled and not maker.leaves:
                executor.release(maker)
                maker.reason = _SELF_TRADE
                self.orders.end(maker)
                self.note(maker, ExecType.CANCELED, 0)
                self.unlink(book, maker, request_id)
            elif each.maker_canceled:
                self.reserve_for(book, maker, maker.price, maker.leaves)
        if not taker.leaves:
            if not prevented[-1].taker_leaves and prevented[-1].taker_canceled:
                taker.reason = _SELF_TRADE
        elif taker.price:
            self.reserve_for(book, taker, taker.price, taker.leaves)

    def reserve_for(self, book: OrderBook, order: Order, price: int, leaves: int) -> bool:
        """Reserve what an order (or its pair) needs with this limit and these leaves.

        Returns:
            False if it is not available; nothing has changed then.
        """
        partner = order.partner
        holder = order
        if partner is not None and partner.terms is not None and partner.terms.holds_pair:
            holder = partner
        needed = self.executor.pair_requirement(book.instrument, order, price, leaves)
        return self.executor.reserve(holder, needed)

    # --- ending ---------------------------------------------------------------------------------

    def cancel(
        self, book: OrderBook, order: Order, reason: CancelReason, request_id: int = 0
    ) -> None:
        """Cancel an open order wherever it is, and its pair's other leg; report it."""
        self.take_out(book, order)
        self.close(order, reason)
        self.orders.end(order)
        expired = reason is CancelReason.EXPIRED
        self.note(order, ExecType.EXPIRED if expired else ExecType.CANCELED, request_id)
        self.unlink(book, order, request_id)

    def take_out(self, book: OrderBook, order: Order) -> None:
        """Remove an open order from its book, or from where it waits."""
        if order.state is RESTS:
            book.side(order.side).remove(order)
        elif order.state is QUEUED:
            assert book.work is not None
            book.work.remove(order)
            self.turns.review(book)
        else:
            book.triggers.remove(order)

    def part(self, order: Order) -> Order | None:
        """Separate the legs of an OCO pair; return the other one."""
        partner = order.partner
        if partner is not None:
            for leg in (order, partner):
                assert leg.terms is not None
                leg.terms.partner = None
                leg.terms.holds_pair = False
        return partner

    def unlink(self, book: OrderBook, order: Order, request_id: int) -> None:
        """Dissolve an OCO pair, if the order belongs to one: the other leg ends."""
        partner = self.part(order)
        if partner is None:
            return
        self.cancel(book, partner, CancelReason.LINKED, request_id)
        executor = self.executor
        if order.leaves or order.waiting:
            needed = executor.requirement(book.instrument, order, order.price, order.leaves)
            executor.reserve(order, needed)
        else:
            executor.release(order)

    def note(self, order: Order, exec_type: ExecType, request_id: int) -> None:
        """Report what happened to an order."""
        self.events.append(order_change(order, exec_type, request_id))
        self.effort.charge(REPORT)

    def note_answered(self, order: Order, exec_type: ExecType) -> None:
        """Report what the command's response also says; no path charges effort for that."""
        self.events.append(order_change(order, exec_type, 0))

    # --- stops ----------------------------------------------------------------------------------

    def wait(self, book: OrderBook, order: Order) -> None:
        """Let an accepted stop wait for its trigger, which may already be reached.

        The caller answers the command first, then gives stops their turns.
        """
        if order.state is not WAITING:  # otherwise it is replaced, and waits in another place
            order.move(WAITING)
        book.triggers.add(order)
        if book.status is _TRADING and book.last_price:
            self.fire(book, [book.last_price])

    def fire(self, book: OrderBook, prices: list[int]) -> None:
        """Note the prices of trades; `give_turns` takes out the stops that they reach."""
        self.turns.of(book).firings.append(Firing(prices))

    def _take_out_fired(self, context: Context, book: OrderBook, left: int) -> int:
        """Queue stops that were reached, at most `left`; return how many more may be queued."""
        work, room = book.work, min(left, max(1, context.effort_max - self.effort.spent))
        while work is not None and work.firings and room > 0:
            firing = work.firings[0]
            side = firing.side
            rows, moved = book.triggers.take(firing, room)
            work.file(rows, firing.side != side)
            room -= len(rows)
            left -= len(rows)
            self.effort.charge(FIRED, len(rows))
            self.effort.charge(MOVED, moved)
            if firing.is_done:
                work.firings.popleft()
        self.turns.review(book)
        return left

    @property
    def unfinished(self) -> bool:
        """True if work continues by itself."""
        return self.turns.count > 0

    def give_turns(
        self, context: Context, book: OrderBook, *, fired: bool = True, resumed: bool = False
    ) -> None:
        """Run the turns of an instrument's stops, after a command that was answered.

        `fired`: the command reached stops; they leave their triggers even in a full batch.
        `resumed`: stops that were queued before and had to wait may continue.
        """
        turns, limits, left = 0, self.limits, self.limits.fired
        if fired:
            left = self._take_out_fired(context, book, left)
        if resumed:
            self.effort.charge(RESUMED)
        while turns < limits.stops and self.effort.spent < context.effort_max:
            work = book.work
            if work is None or work.uncrossing is not None or not work.goes_on(book.status):
                break
            left = self._take_out_fired(context, book, left)
            if work.firings or not work.queued:
                break
            turns += 1
            stop = work.first_stop()
            if stop.is_dead(book.dead_ns()):
                self.cancel(book, stop, CancelReason.EXPIRED)
            elif self.timers.overdue and self._many_dead_before(book, stop):
                break  # the rest continues in a `continue`
            else:
                work.remove(stop)
                left = self._take_turn(context, book, stop, left)
        self.turns.review(book)

    def _many_dead_before(self, book: OrderBook, order: Order) -> bool:
        """True if an order would meet more dead orders than one turn may."""
        passed = dead_before(book, order, self.limits)
        self.effort.charge(ROW, passed.rows)
        return passed.dead > self.limits.dead

    def go_on(self, context: Context) -> None:
        """Do the next part of the unfinished work of the instrument whose turn it is."""
        book = self.turns.next_served()
        work = self.turns.of(book)
        self.effort.charge(self.limits.continue_effort)
        if work.uncrossing is not None:
            self.calls.go_on_uncrossing(context, book, work.uncrossing)
        elif work.interrupted and not (work.queued or work.firings or book.dead_ns()):
            work.interrupted = False
            self.calls.uncross(context, book, _TRADING)
        else:
            self.give_turns(context, book, fired=False)

    def _take_turn(self, context: Context, book: OrderBook, order: Order, left: int) -> int:
        """Turn a stop into the order that it stands for; its pair's other leg ends first.

        `left` is used and returned as in `_take_out_fired`, for the stops that it reaches.
        """
        self.note(order, ExecType.TRIGGERED, 0)
        self.unlink(book, order, 0)
        order.move(ARRIVING)
        self.arrive(context, book, order, 0)
        if order.reason:
            self.note(order, ExecType.CANCELED, 0)
        if not order.leaves:
            self.orders.end(order)
        return self._take_out_fired(context, book, left)


def remainder_reason(order: Order) -> CancelReason:
    """Return why the rest of an order that may not rest is canceled."""
    if order.time_in_force is _FOK:
        return CancelReason.FOK_NOT_FILLABLE
    limited = order.kind.needs_price
    return CancelReason.IOC_REMAINDER if limited else CancelReason.NO_LIQUIDITY
