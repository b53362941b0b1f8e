"""Replace: changing quantity, price, trigger or expiry of an open order.

Part of the deterministic core. A quantity that does not grow at the same price keeps the place;
anything else, or `requeue`, loses it and may trade, or fire. A smaller quantity and nothing else is
a partial cancel, which passes wherever a cancel does. A rejected replace leaves a living
order unchanged. protocol.md, "Replacing an order", has the rules per kind of order.
"""

from __future__ import annotations

from typing import Final

from hpe.core.context.command import Context
from hpe.core.money.wide import base_atoms, checked_notional, worst_fee
from hpe.core.trading.admission import barred, beyond_band
from hpe.core.trading.answers import order_rejected, order_response
from hpe.core.trading.exchange_state import ExchangeState
from hpe.core.trading.matcher import Fill
from hpe.core.trading.order_index import UserOrders
from hpe.core.trading.order_states import ARRIVING
from hpe.core.trading.orderbook import OrderBook
from hpe.core.trading.orders import Order
from hpe.protocol.codes import CancelReason, RejectReason
from hpe.protocol.enums import ExecType, InstrumentStatus, OrderStatus, Side, TimeInForce
from hpe.protocol.flags import FLAG_UNCHANGED, ORDER_POST_ONLY
from hpe.protocol.limits import AMOUNT_MAX
from hpe.protocol.orders import CancelOrder, OrderResponse, ReplaceOrder, ReplaceResponse

_INVALID: Final = RejectReason.INVALID_COMBINATION
_BUY: Final = Side.BUY
_REPLACED: Final = ExecType.REPLACED
_NEW: Final = OrderStatus.NEW
_PARTIALLY_FILLED: Final = OrderStatus.PARTIALLY_FILLED
_TRADING: Final = InstrumentStatus.TRADING


class OrderReplacing:
    """Executes replaces on one exchange."""

    def __init__(self, exchange: ExchangeState) -> None:
        self._exchange = exchange
        self._books = exchange.books
        self._orders = exchange.orders
        self._users = exchange.orders.users
        self._market = exchange.market
        self._executor = exchange.market.executor

    def replace_order(self, context: Context, command: ReplaceOrder) -> OrderResponse:
        """Change an open order."""
        exchange = self._exchange
        leaves, total = command.leaves_quantity, command.quantity
        if (
            ((leaves is None) is (total is None) and (total is not None or not command.expires_ns))
            or (command.order_id == 0) is (command.client_order_id == 0)
        ):  # fmt: skip
            exchange.expiry.end_named(
                context, command.user or context.user, command.order_id, command.client_order_id
            )
            return order_rejected(context, command, _INVALID)
        try:
            mine = self._users[command.user or context.user]
            if command.order_id:
                order = mine.by_id[command.order_id]
            else:
                order = mine.by_client_id[command.client_order_id]
        except KeyError:
            return order_rejected(context, command, RejectReason.UNKNOWN_ORDER)
        book, terms = self._books[order.instrument_id], order.terms
        if terms is not None and exchange.expiry.is_dead(context, order):
            self._market.cancel(book, order, CancelReason.EXPIRED)
            return order_rejected(context, command, RejectReason.UNKNOWN_ORDER)
        if (
            terms is not None or command.stop_price or command.expires_ns or not order.price
        ) and _does_not_fit(command, order):
            return order_rejected(context, command, _INVALID)
        done = order.cum + order.canceled
        if leaves is None:
            leaves = total - done if total is not None else order.leaves
        if leaves <= 0:
            return self._replace_away(context, command, book, order)
        price = command.price or order.price
        reason = self._check(context, command, book, order, price, leaves)
        if reason:
            return order_rejected(context, command, reason)
        flags = 0
        if leaves == order.leaves and price == order.price and _changes_nothing(command, order):
            flags = FLAG_UNCHANGED
        order.quantity, was_finished = leaves + done, book.work is None
        if command.expires_ns:
            self._orders.move_end(order, command.expires_ns)
        if order.waiting:
            self._replace_waiting(context, command, book, order, price, leaves)
            fills: list[Fill] = []
        else:
            fills = self._replace_resting(context, command, book, order, price, leaves)
        if fills or order.reason:
            answer = order_response(context, command, book, order, fills)
        else:
            cum = order.cum
            answer = ReplaceResponse(
                command.request_id, flags, context.sequence, 0, context.time_ns,
                _PARTIALLY_FILLED if cum else _NEW, order.order_id, order.leaves, cum,
                order.canceled, order.quote_total, 0, 0, order.fee_total,
            )  # fmt: skip
        if was_finished and book.work is not None:
            self._market.give_turns(context, book)
        return answer

    def _replace_away(
        self, context: Context, command: ReplaceOrder, book: OrderBook, order: Order
    ) -> OrderResponse:
        """End an order of which the replace leaves nothing open."""
        market = self._market
        if book.status is InstrumentStatus.HALTED:
            return order_rejected(context, command, RejectReason.NOT_TRADING)
        market.take_out(book, order)
        market.close(order, CancelReason.REPLACED_AWAY)
        self._orders.end(order, told=True)
        market.note_answered(order, ExecType.CANCELED)
        market.unlink(book, order, command.request_id)
        return order_response(context, command, book, order, [])

    def _check(
        self,
        context: Context,
        command: ReplaceOrder,
        book: OrderBook,
        order: Order,
        price: int,
        leaves: int,
    ) -> RejectReason:
        """Check the order as it would be after the replace; reserve what it would then need."""
        terms, rates, same_price = order.terms, order.rates, price == order.price
        instrument, mine = book.instrument, self._users[order.user]
        if same_price and leaves < order.leaves and _is_part_cancel(command, order):
            if book.status is InstrumentStatus.HALTED:
                return RejectReason.NOT_TRADING
            enough = self._market.reserve_for(book, order, price, leaves)
            assert enough  # less never needs more
            return RejectReason.NONE
        if mine.blocked or not book.plain:
            reason = barred(book, mine, in_call=True)
            if reason:
                return reason
        low, high, stop_price = instrument.price_min, instrument.price_max, command.stop_price
        if (price and not low <= price <= high) or (stop_price and not low <= stop_price <= high):
            return RejectReason.PRICE_OUT_OF_RANGE
        if not book.plain and not order.waiting and beyond_band(book, order.side, price):
            return RejectReason.PRICE_OUT_OF_BAND
        done, needed = order.cum + order.canceled, 0
        if not instrument.quantity_min - done <= leaves <= instrument.quantity_max - done:
            return RejectReason.QUANTITY_OUT_OF_RANGE
        if price:
            notional = checked_notional(price, leaves, instrument.quote_atoms_per_tick)
            if notional is None or not (
                instrument.notional_min <= notional <= instrument.notional_max
            ):
                return RejectReason.NOTIONAL_OUT_OF_RANGE
            needed = notional
            if rates.worst:
                needed += worst_fee(notional, rates.worst, order.fee_rest)
            # With what it has traded included, the order's whole life stays within 64 bits.
            if needed > AMOUNT_MAX - order.quote_total - order.fee_total:
                return RejectReason.NOTIONAL_OUT_OF_RANGE
        if 0 < command.expires_ns <= context.time_ns:
            return RejectReason.EXPIRY_PASSED
        stays = same_price and (leaves == order.leaves or command.expires_ns > 0)
        if order.flags & ORDER_POST_ONLY and not stays and book.crosses(order.side, price):
            return RejectReason.POST_ONLY_WOULD_CROSS
        if terms is not None:
            enough = self._market.reserve_for(book, order, price, leaves)
        else:  # Executor.requirement, inline: replaces are a tenth of a market maker's messages
            if order.side is not _BUY:
                needed = base_atoms(leaves, instrument.base_atoms_per_lot)
            enough = self._executor.reserve(order, needed)
        return RejectReason.NONE if enough else RejectReason.INSUFFICIENT_FUNDS

    def _replace_waiting(
        self,
        context: Context,
        command: ReplaceOrder,
        book: OrderBook,
        order: Order,
        price: int,
        leaves: int,
    ) -> None:
        """Change a stop that has not fired; if it loses its place, it counts as the newest."""
        terms, trigger = order.terms, order.trigger()
        assert terms is not None
        keeps = leaves <= order.leaves and command.stop_price in (None, trigger)
        order.price, order.leaves = price, leaves
        if keeps and not command.requeue:
            self._market.note_answered(order, _REPLACED)
            return
        book.triggers.remove(order)
        terms.stop_price = command.stop_price or trigger
        terms.place = context.sequence
        self._market.note_answered(order, _REPLACED)
        self._market.wait(book, order)

    def _replace_resting(
        self,
        context: Context,
        command: ReplaceOrder,
        book: OrderBook,
        order: Order,
        price: int,
        leaves: int,
    ) -> list[Fill]:
        """Change an order in the book; it trades if it crosses now."""
        if order.side is _BUY:
            ladder, opposite = book.bids, book.asks
        else:
            ladder, opposite = book.asks, book.bids
        if price == order.price and leaves <= order.leaves and not command.requeue:
            ladder.reduce(order, leaves)
            self._market.events.append((order, _REPLACED))
            return []
        ladder.remove(order)
        order.move(ARRIVING)
        order.price, order.leaves = price, leaves
        market = self._market
        if not opposite.crosses(price) or book.status is not _TRADING:
            market.events.append((order, _REPLACED))
            market.rest(book, order)
            return []
        market.note_answered(order, _REPLACED)
        order.hidden = 0
        limit = book.limit_within_band(order.side, price)
        fills = market.meet(context, book, order, limit, command.request_id)
        if not order.leaves:
            self._orders.end(order, told=True)
            if order.reason:
                market.note_answered(order, ExecType.CANCELED)
            market.unlink(book, order, command.request_id)
        return fills


def named_order(
    users: dict[int, UserOrders], user: int, command: CancelOrder | ReplaceOrder
) -> Order | None:
    """Return the open order that a command names."""
    mine = users.get(command.user or user)
    if mine is None:
        return None
    if command.order_id:
        return mine.by_id.get(command.order_id)
    return mine.by_client_id.get(command.client_order_id)


def only_cancels(command: ReplaceOrder, order: Order) -> bool:
    """True if a replace only cancels lots of an order, or leaves nothing of it."""
    leaves, total = command.leaves_quantity, command.quantity
    if leaves is None:
        leaves = order.leaves if total is None else total - order.cum - order.canceled
    if leaves <= 0:
        return True
    same_price = command.price in (None, order.price)
    return same_price and leaves < order.leaves and _is_part_cancel(command, order)


def _is_part_cancel(command: ReplaceOrder, order: Order) -> bool:
    """True if a replace to a smaller quantity changes nothing else: it is a partial cancel."""
    if command.requeue or command.expires_ns:
        return False
    trigger = command.stop_price
    return trigger is None or trigger == order.trigger()


def _changes_nothing(command: ReplaceOrder, order: Order) -> bool:
    """True if a replace with an order's own price and quantity leaves it unchanged."""
    terms, expires_ns = order.terms, command.expires_ns
    if command.requeue or (expires_ns and (terms is None or expires_ns != terms.expires_ns)):
        return False
    trigger = command.stop_price
    return trigger is None or trigger == order.trigger()


def _does_not_fit(command: ReplaceOrder, order: Order) -> bool:
    """True if the replace sets a field that this kind of order does not have."""
    terms, kind = order.terms, order.kind
    if not kind.quantity or (command.price and not kind.price):
        return True
    if command.expires_ns and order.time_in_force is not TimeInForce.GTD:
        return True
    if command.stop_price is None:
        return False
    return not kind.trigger or terms is None or not order.waiting or terms.trail > 0
