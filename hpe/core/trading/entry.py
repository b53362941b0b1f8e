"""Order entry: submit and cancel.

Part of the deterministic core. Decides whether a command is accepted, checking rejects in the order
of protocol.md's lists; a rejected command changes nothing, except that dead orders that it names
expire. market.py executes accepted orders. The two most frequent commands, a plain limit order and
the cancel of an order without terms, have short paths with inline checks: a call for each would
cost more than the check.
"""

from __future__ import annotations

from typing import Final

from hpe.core.context.command import Context
from hpe.core.context.holders import No
from hpe.core.context.places import Taken
from hpe.core.money.balances import Account
from hpe.core.money.fees import FeeRates
from hpe.core.money.wide import charge, notional, ticks_paid_by, trail_trigger, worst_fee
from hpe.core.trading.admission import ORDER_CHECKS, admitted_to_call, barred, contradicts
from hpe.core.trading.answers import order_rejected, order_response
from hpe.core.trading.exchange_state import ExchangeState
from hpe.core.trading.kinds import Reserve
from hpe.core.trading.matcher import Fill
from hpe.core.trading.order_index import STRANGER, UserOrders
from hpe.core.trading.order_states import OrderState
from hpe.core.trading.orderbook import Ladder, OrderBook
from hpe.core.trading.orders import Order, Terms
from hpe.protocol.codes import CancelReason, RejectReason
from hpe.protocol.enums import (
    ExecType,
    InstrumentStatus,
    OrderStatus,
    OrderType,
    SelfTrade,
    Side,
    TimeInForce,
)
from hpe.protocol.flags import ORDER_CANCEL_ON_DISCONNECT, ORDER_POST_ONLY
from hpe.protocol.limits import AMOUNT_MAX
from hpe.protocol.orders import (
    CancelOrder,
    CancelResponse,
    OrderResponse,
    OrderTerms,
    SubmitOrder,
)

_ARRIVING: Final = OrderState.ARRIVING
_RESTS: Final = OrderState.RESTING
_ENDED: Final = OrderState.ENDED
_BUY: Final = Side.BUY
_LIMIT: Final = OrderType.LIMIT
_GTC: Final = TimeInForce.GTC
_IOC: Final = TimeInForce.IOC
_HALTED: Final = InstrumentStatus.HALTED
_NONE: Final = RejectReason.NONE
_REQUESTED: Final = CancelReason.REQUESTED
_IOC_REMAINDER: Final = CancelReason.IOC_REMAINDER
_EXEC_NEW: Final = ExecType.NEW
_EXEC_CANCELED: Final = ExecType.CANCELED
_CANCELED: Final = OrderStatus.CANCELED
_NO_CHOICE_WITH_BUDGET: Final = (SelfTrade.CANCEL_BOTH, SelfTrade.DECREMENT)


class OrderEntry:
    """Accepts or rejects new orders and cancels of one exchange."""

    def __init__(self, exchange: ExchangeState) -> None:
        self._exchange = exchange
        self._books = exchange.books
        self._orders = exchange.orders
        self._users = exchange.orders.users
        self._market = exchange.market
        self._events = exchange.market.events
        self._touch = exchange.balances.touch
        self._settings = exchange.settings
        self._timers = exchange.timers
        self._places = exchange.places
        self._parties = exchange.parties

    # --- submit ---------------------------------------------------------------------------------

    def submit_order(self, context: Context, command: SubmitOrder) -> OrderResponse:
        """Accept a new order and execute it, or let it wait for its trigger.

        The short path: a plain limit order is accepted, or goes to `_submit`, as all others do.
        """
        book, tif, flags = self._books.get(command.instrument), command.time_in_force, command.flags
        if (
            book is None or not book.plain or command.terms is not None
            or command.order_type is not _LIMIT or (tif is not _GTC and (tif is not _IOC or flags))
            or flags > ORDER_POST_ONLY or context.cancel_on_disconnect or self._timers.overdue
        ):  # fmt: skip
            return self._submit(context, command)
        user, price, quantity = command.user or context.user, command.price, command.quantity
        side, client_order_id, holder = command.side, command.client_order_id, context.holder
        instrument, fees, orders = book.instrument, book.fees, self._orders
        rates = fees.own.get(user, fees.common) if fees.own else fees.common
        try:
            mine = self._users[user]
            base, quote = mine.accounts[instrument.base], mine.accounts[instrument.quote]
        except KeyError:  # a new user, or a user's first order in one of the two assets
            return self._submit(context, command)
        if (
            not instrument.price_min <= price <= instrument.price_max
            or not instrument.quantity_min <= quantity <= instrument.quantity_max
            or (ticks := price * quantity) > AMOUNT_MAX  # checked_notional(), inline
            or (needed := ticks * instrument.quote_atoms_per_tick) > instrument.notional_max
            or needed < instrument.notional_min
            or (rates.worst and (needed := needed + worst_fee(needed, rates.worst)) > AMOUNT_MAX)
            or mine.blocked or (client_order_id and client_order_id in mine.by_client_id)
            or orders.open_count >= self._settings.open_orders_any_max
        ):  # fmt: skip
            return self._submit(context, command)
        if side is _BUY:
            ladder, best = book.bids, book.asks.best
            paying, receiving = quote, base
            crosses = best is not None and best.price <= price
        else:
            ladder, best = book.asks, book.bids.best
            paying, receiving = base, quote
            crosses = best is not None and best.price >= price
            needed = quantity * instrument.base_atoms_per_lot  # base_atoms(), inline
        if needed > paying.available or (crosses and flags):
            return self._submit(context, command)
        order_id = self._exchange.last_order_id = self._exchange.last_order_id + 1
        if tif is _IOC and not crosses:
            return self._met_nobody(context, command, order_id, book, (rates, paying, receiving))
        order = Order(
            order_id, user, client_order_id, command.instrument, side, _LIMIT, tif, price, quantity,
            quantity, flags, command.self_trade or instrument.self_trade, rates, paying, receiving,
            holder, needed, _ARRIVING if crosses else _RESTS,
        )  # fmt: skip
        if not paying.touched:
            self._touch(paying)
        paying.available -= needed
        paying.reserved += needed
        self._events.append(order)
        if crosses:
            fills = self._market.meet(context, book, order, price, command.request_id)
            return self._filed(context, command, book, order, fills)
        return self._rested(context, command, order, ladder, mine)

    def _rested(
        self,
        context: Context,
        command: SubmitOrder,
        order: Order,
        ladder: Ladder,
        mine: UserOrders,
    ) -> OrderResponse:
        """Let an accepted order rest; the short form of OrderIndex.add()."""
        order_id, client_order_id = order.order_id, order.client_order_id
        ladder.add(order)
        shelves = mine.buys if order.side is _BUY else mine.sells
        mine.by_id[order_id] = shelves[order.instrument_id].rows[order_id] = order
        if client_order_id:
            mine.by_client_id[client_order_id] = order
        self._orders.open_count += 1
        order.holder.orders += 1
        return OrderResponse(
            command.request_id, 0, context.sequence, 0, context.time_ns, 0, order_id,
            order.quantity, 0, 0, 0, 0, 0, 0,
        )  # fmt: skip

    def _met_nobody(
        self,
        context: Context,
        command: SubmitOrder,
        order_id: int,
        book: OrderBook,
        rates_and_accounts: tuple[FeeRates, Account, Account],
    ) -> OrderResponse:
        """Accept an immediate-or-cancel order that trades nothing, and so reserves nothing."""
        user, quantity = command.user or context.user, command.quantity
        order = Order(
            order_id, user, command.client_order_id, command.instrument, command.side, _LIMIT, _IOC,
            command.price, quantity, 0, 0, command.self_trade or book.instrument.self_trade,
            *rates_and_accounts, context.holder, canceled=quantity, reason=_IOC_REMAINDER,
            state=_ENDED,
        )  # fmt: skip
        if command.client_order_id and self._reuses_id(order):
            self._orders.keep(order)
        self._events += (order, (order, _EXEC_CANCELED))
        return OrderResponse(
            command.request_id, 0, context.sequence, _IOC_REMAINDER, context.time_ns, _CANCELED,
            order_id, 0, 0, quantity, 0, 0, 0, 0,
        )  # fmt: skip

    def _submit(self, context: Context, command: SubmitOrder) -> OrderResponse:
        """Make all checks in order of precedence, then execute the order."""
        exchange = self._exchange
        user = command.user or context.user
        exchange.expiry.end_named(context, user, 0, command.client_order_id)
        if contradicts(command):
            return order_rejected(context, command, RejectReason.INVALID_COMBINATION)
        book = self._books.get(command.instrument)
        if book is None:
            return order_rejected(context, command, RejectReason.UNKNOWN_INSTRUMENT)
        order = self.made(context, user, command, book)
        needed = 0
        no = (
            barred(book, self.mine(user), admitted_to_call(command))
            or self.check(context, book, [order])
            or self._check_market(book, order)
        )
        if not no:
            needed = self._needed(book, order)
            if needed > order.paying.available:
                no = RejectReason.INSUFFICIENT_FUNDS
        if no:
            return order_rejected(context, command, no)
        self.open_accounts([order])
        self._market.executor.reserve(order, needed)
        exchange.last_order_id += 1
        return self._carry_out(context, command, book, order)

    def mine(self, user: int) -> UserOrders:
        """Return a user's orders for reading only; empty for an unknown user."""
        return self._users.get(user, STRANGER)

    def made(self, context: Context, user: int, command: SubmitOrder, book: OrderBook) -> Order:
        """Return the order that a command describes, not yet accepted and without new accounts."""
        instrument, side, peek = book.instrument, command.side, self._exchange.balances.peek
        base, quote = peek(user, instrument.base), peek(user, instrument.quote)
        paying, receiving = (quote, base) if side is _BUY else (base, quote)
        order = Order(
            self._exchange.last_order_id + 1, user, command.client_order_id, command.instrument,
            side, command.order_type, command.time_in_force, command.price, command.quantity,
            command.quantity, command.flags, command.self_trade or instrument.self_trade,
            book.fees.of(user), paying, receiving, context.holder,
        )  # fmt: skip
        if command.terms is not None:
            self._take_terms(context, book, order, command.terms)
        if order.may_rest or order.is_stop:
            self._take_session(context, order)
        return order

    def _take_session(self, context: Context, order: Order) -> None:
        """Bind an order to its session, if the order or the session asks for that."""
        if context.cancel_on_disconnect or order.flags & ORDER_CANCEL_ON_DISCONNECT:
            order.flags |= ORDER_CANCEL_ON_DISCONNECT
            if order.terms is None:
                order.terms = Terms(place=context.sequence)
            order.terms.session_id = context.session_id

    def _take_terms(
        self, context: Context, book: OrderBook, order: Order, wanted: OrderTerms
    ) -> None:
        """Set the fields of an order beyond price and quantity."""
        terms = order.terms = Terms(
            wanted.stop_price, wanted.trail, wanted.display_quantity, wanted.minimum_quantity,
            wanted.budget, wanted.expires_ns, context.sequence,
        )  # fmt: skip
        last_price = book.last_price
        if wanted.trail and last_price:
            sign = 1 if order.side is _BUY else -1
            terms.stop_price = trail_trigger(last_price, wanted.trail, sign)
        if wanted.budget and order.self_trade in _NO_CHOICE_WITH_BUDGET:
            order.self_trade = SelfTrade.CANCEL_TAKER

    def check(self, context: Context, book: OrderBook, legs: list[Order]) -> No:
        """Check new orders by themselves, and that there is room for them."""
        mine = self.mine(legs[0].user)
        for check in ORDER_CHECKS:
            for leg in legs:
                reason = check(book, leg, context.time_ns)
                if reason:
                    return reason
        for leg in legs:
            if leg.client_order_id and leg.client_order_id in mine.by_client_id:
                return RejectReason.DUPLICATE_CLIENT_ORDER_ID
        instrument = book.instrument
        return self._check_room(context, legs, mine) or self._parties.refusal(
            context, legs[0].user, instrument.base, instrument.quote
        )

    def _check_room(self, context: Context, legs: list[Order], mine: UserOrders) -> No:
        """Check that there are places; an order that is no stop and may not rest needs none."""
        more = sum(leg.may_rest or leg.is_stop for leg in legs)
        if not more:
            return _NONE
        settings = self._settings
        taken = Taken(self._orders.open_count, len(mine.by_id), context.holder.orders)
        return self._places.refusal(
            context, RejectReason.TOO_MANY_ORDERS, more, taken, settings.open_orders_max,
            settings.open_orders_per_user_max,
        )  # fmt: skip

    def open_accounts(self, orders: list[Order]) -> None:
        """Create the owner of accepted orders and the accounts that they use, where new."""
        for order in orders:
            paid, received = order.paying.asset, order.receiving.asset
            accounts = self._parties.admit(order.holder, order.user, paid, received)
            order.paying, order.receiving = accounts[paid], accounts[received]

    def _check_market(self, book: OrderBook, order: Order) -> RejectReason:
        """Check a new order against the present market."""
        terms = order.terms
        if terms is not None and terms.trail and not book.last_price:
            return RejectReason.NO_LAST_PRICE
        if order.flags & ORDER_POST_ONLY and book.crosses(order.side, order.price):
            return RejectReason.POST_ONLY_WOULD_CROSS
        return _NONE

    def _needed(self, book: OrderBook, order: Order) -> int:
        """Return what a new order must reserve."""
        if order.side is _BUY and order.kind.reserves is Reserve.COST:
            return self._market_cost(book, order)
        executor = self._market.executor
        return executor.requirement(book.instrument, order, order.price, order.leaves)

    def _market_cost(self, book: OrderBook, order: Order) -> int:
        """Return what a market buy by quantity costs now, or an amount above what is available."""
        available = order.paying.available
        atoms, limit = book.instrument.quote_atoms_per_tick, book.limit_within_band(_BUY, 0)
        ticks_max = ticks_paid_by(available, atoms)
        ticks = self._market.matcher.cost(book, order, limit, ticks_max)
        if ticks > ticks_max:
            return available + 1
        cost = notional(1, ticks, atoms)
        return cost + charge(cost, order.rates.taker, 0)[0]

    def _carry_out(
        self, context: Context, command: SubmitOrder, book: OrderBook, order: Order
    ) -> OrderResponse:
        """Start an accepted order: it arrives or, if it is a stop, waits."""
        self._market.note_answered(order, _EXEC_NEW)
        if order.is_stop:
            self._orders.add(order)
            self._market.wait(book, order)
            answer = order_response(context, command, book, order, [])
            self._market.give_turns(context, book)
            return answer
        fills = self._market.arrive(context, book, order, command.request_id)
        return self._filed(context, command, book, order, fills)

    def _filed(
        self,
        context: Context,
        command: SubmitOrder,
        book: OrderBook,
        order: Order,
        fills: list[Fill],
    ) -> OrderResponse:
        """Index an order that arrived, or keep it as ended; answer; then stops get turns."""
        if order.leaves:
            self._orders.add(order)
        elif order.cum or self._reuses_id(order):
            self._orders.keep(order)
        if order.reason:
            self._events.append((order, _EXEC_CANCELED))
        answer = order_response(context, command, book, order, fills)
        if book.work is not None:
            self._market.give_turns(context, book)
        return answer

    def _reuses_id(self, order: Order) -> bool:
        """True if an older order that is kept has the client order id of one that ended."""
        return order.client_order_id in self._users[order.user].ended_by_client_id

    # --- cancel ---------------------------------------------------------------------------------

    def cancel_order(self, context: Context, command: CancelOrder) -> OrderResponse:
        """Remove an open order and release its money."""
        order_id, client_order_id = command.order_id, command.client_order_id
        user, orders = command.user or context.user, self._orders
        if (order_id == 0) is (client_order_id == 0):
            self._exchange.expiry.end_named(context, user, order_id, client_order_id)
            return order_rejected(context, command, RejectReason.INVALID_COMBINATION)
        try:
            mine = self._users[user]
            order = mine.by_id[order_id] if order_id else mine.by_client_id[client_order_id]
        except KeyError:
            return order_rejected(context, command, RejectReason.UNKNOWN_ORDER)
        book = self._books[order.instrument_id]
        if order.terms is not None or book.status is _HALTED:
            return self._cancel_rare(context, command, book, order)
        ladder, shelves = (book.bids, mine.buys) if order.side is _BUY else (book.asks, mine.sells)
        ladder.remove(order)
        order_id, client_order_id = order.order_id, order.client_order_id
        del mine.by_id[order_id]
        rows = shelves[order.instrument_id].rows  # unshelve(), inline
        del rows[order_id]
        if not rows:
            del shelves[order.instrument_id]
        if client_order_id:
            del mine.by_client_id[client_order_id]
        orders.open_count -= 1
        order.holder.orders -= 1
        account, reserved = order.paying, order.reserved
        if not account.touched:
            self._touch(account)
        account.reserved -= reserved
        account.available += reserved
        order.leaves, order.reason, order.state, cum = 0, _REQUESTED, _ENDED, order.cum
        canceled = order.canceled = order.quantity - cum
        if cum or (client_order_id and client_order_id in mine.ended_by_client_id):
            order.reserved = 0
            orders.keep(order)
        self._events.append((order, _EXEC_CANCELED))
        return CancelResponse(
            command.request_id, 0, context.sequence, _REQUESTED, context.time_ns, _CANCELED,
            order_id, 0, cum, canceled, order.quote_total, 0, 0, order.fee_total,
        )  # fmt: skip

    def _cancel_rare(
        self, context: Context, command: CancelOrder, book: OrderBook, order: Order
    ) -> OrderResponse:
        """Cancel an order that has terms, or is of a halted instrument; a dead one expires."""
        exchange, market = self._exchange, self._market
        if exchange.expiry.is_dead(context, order):
            market.cancel(book, order, CancelReason.EXPIRED)
            return order_rejected(context, command, RejectReason.UNKNOWN_ORDER)
        if book.status is _HALTED:
            return order_rejected(context, command, RejectReason.NOT_TRADING)
        market.take_out(book, order)
        market.close(order, _REQUESTED)
        self._orders.end(order, told=True)
        market.note_answered(order, _EXEC_CANCELED)
        market.unlink(book, order, command.request_id)
        return order_response(context, command, book, order, [])
