"""OCO pairs: a limit order and a stop, of which one cancels the other.

Part of the deterministic core. Accepts both legs or none, checks them like order entry in
protocol.md's order; market.py executes the legs.
"""

from __future__ import annotations

from typing import Final

from hpe.core.context.command import Context
from hpe.core.context.holders import No, told
from hpe.core.trading.admission import barred
from hpe.core.trading.entry import OrderEntry
from hpe.core.trading.exchange_state import ExchangeState
from hpe.core.trading.kinds import is_for, kind_of
from hpe.core.trading.orderbook import OrderBook
from hpe.core.trading.orders import Order
from hpe.protocol.codes import RejectReason
from hpe.protocol.enums import ExecType, OrderType, Side, TimeInForce
from hpe.protocol.orders import OcoResponse, OrderTerms, SubmitOco, SubmitOrder

_BUY: Final = Side.BUY
_LIMIT: Final = OrderType.LIMIT
_NONE: Final = RejectReason.NONE


class PairEntry:
    """Accepts or rejects pairs of one exchange."""

    def __init__(self, exchange: ExchangeState, entry: OrderEntry) -> None:
        self._exchange = exchange
        self._books = exchange.books
        self._entry = entry
        self._orders = exchange.orders
        self._market = exchange.market

    def submit_oco(self, context: Context, command: SubmitOco) -> OcoResponse:
        """Accept a limit order and a stop, of which one cancels the other."""
        exchange = self._exchange
        user = command.user or context.user
        exchange.expiry.end_named(
            context, user, 0, command.limit_client_order_id, command.stop_client_order_id
        )
        book = self._books.get(command.instrument)
        if _pair_contradicts(command):
            return _oco_response(context, command, RejectReason.INVALID_COMBINATION)
        if book is None:
            return _oco_response(context, command, RejectReason.UNKNOWN_INSTRUMENT)
        legs = [self._entry.made(context, user, leg, book) for leg in _legs(command)]
        legs[1].order_id += 1
        no = (
            barred(book, self._entry.mine(user), False)
            or self._entry.check(context, book, legs)
            or _check_pair(book, legs)
            or self._link(book, *legs)
        )
        if no:
            return _oco_response(context, command, no)
        exchange.last_order_id += 2
        for leg in legs:
            self._orders.add(leg)
            self._market.note_answered(leg, ExecType.NEW)
        self._market.clear_way(book, legs[0])
        self._market.rest(book, legs[0])
        self._market.wait(book, legs[1])
        answer = _oco_response(context, command, _NONE, legs)
        self._market.give_turns(context, book)
        return answer

    def _link(self, book: OrderBook, limit: Order, stop: Order) -> RejectReason:
        """Link two orders as a pair, and reserve the larger need on the limit leg."""
        assert limit.terms is not None
        assert stop.terms is not None
        limit.terms.partner, stop.terms.partner = stop, limit
        limit.terms.holds_pair = True
        executor = self._market.executor
        needed = executor.pair_requirement(book.instrument, limit, limit.price, limit.leaves)
        if needed > limit.paying.available:
            self._market.part(limit)  # no cycle may remain: orders are invisible to the collector
            return RejectReason.INSUFFICIENT_FUNDS
        self._entry.open_accounts([limit, stop])
        executor.reserve(limit, needed)
        return _NONE


def _pair_contradicts(command: SubmitOco) -> bool:
    """True if the fields of a pair contradict each other."""
    stop = kind_of(_stop_type(command), _time_in_force(command), command.budget)
    same = command.limit_client_order_id == command.stop_client_order_id != 0
    return same or stop is None or not is_for(stop, command.side)


def _stop_type(command: SubmitOco) -> OrderType:
    return OrderType.STOP_LIMIT if command.stop_limit_price else OrderType.STOP


def _time_in_force(command: SubmitOco) -> TimeInForce:
    return TimeInForce.GTD if command.expires_ns else TimeInForce.GTC


def _legs(command: SubmitOco) -> tuple[SubmitOrder, SubmitOrder]:
    """Return the two orders of a pair."""
    tif, stop_type = _time_in_force(command), _stop_type(command)
    limit = SubmitOrder(
        command.request_id, command.instrument, command.limit_client_order_id, command.side,
        _LIMIT, tif, command.price, command.quantity, command.flags, command.self_trade,
        OrderTerms(expires_ns=command.expires_ns),
    )  # fmt: skip
    stop = SubmitOrder(
        command.request_id, command.instrument, command.stop_client_order_id, command.side,
        stop_type, tif, command.stop_limit_price, 0 if command.budget else command.quantity,
        command.flags, command.self_trade, OrderTerms(
            command.stop_price, budget=command.budget, expires_ns=command.expires_ns
        ),
    )  # fmt: skip
    return limit, stop


def _check_pair(book: OrderBook, legs: list[Order]) -> RejectReason:
    """Return the reject reason of a pair of which a leg would fire or trade on arrival."""
    limit, stop = legs
    assert stop.terms is not None
    trigger, last_price = stop.terms.stop_price, book.last_price
    reached = last_price >= trigger if stop.side is _BUY else last_price <= trigger
    if last_price and reached:
        return RejectReason.STOP_WOULD_TRIGGER
    if book.crosses(limit.side, limit.price):
        return RejectReason.POST_ONLY_WOULD_CROSS
    return _NONE


def _oco_response(
    context: Context, command: SubmitOco, no: No, legs: list[Order] | None = None
) -> OcoResponse:
    """Return the response to a pair: its two orders, or the reject."""
    order_ids = [leg.order_id for leg in legs] if legs else [0, 0]
    reason, flags = told(no)
    return OcoResponse(
        command.request_id, flags, context.sequence, reason, context.time_ns, *order_ids
    )
