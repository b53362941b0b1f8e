"""Orders in the client library: words and Decimals in, views out.

A part of Client (hpe/client/client.py). protocol.md, "The rules of the exchange", says which fields
each kind of order may have. Every call raises what `SessionChannel.call` raises, OrderRejected if
it was executed and rejected, and before anything is sent: ValueError for a value off the
instrument's grid or an unknown word, TypeError for a float, LookupError for an unknown symbol.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from decimal import Decimal
from functools import partial
from typing import Final

from hpe.client.arguments import flag, integer
from hpe.client.calls import ClientCall, ClientCalls
from hpe.client.decimals import Grid
from hpe.client.listings import word
from hpe.client.market_views import OrderbookView
from hpe.client.pages import read_fills, read_orders
from hpe.client.results import (
    MassCancelResult,
    OcoResult,
    OrderResult,
    mass_cancel_result,
    oco_result,
    order_result,
)
from hpe.client.scales import InstrumentView
from hpe.client.views import FillsView, FillView, MassCancelView, OrderStateView, OrderView
from hpe.errors import RequestError
from hpe.protocol.enums import OrderType, SelfTrade, Side, TimeInForce
from hpe.protocol.flags import ORDER_CANCEL_ON_DISCONNECT, ORDER_POST_ONLY
from hpe.protocol.market_data import GetOrderbook, OrderbookReply
from hpe.protocol.orders import (
    CancelOrder,
    GetOrder,
    MassCancel,
    OrderReply,
    OrderRow,
    OrderTerms,
    ReplaceOrder,
    SubmitOco,
    SubmitOrder,
)
from hpe.protocol.reports import OrderReport

_NO_TERMS: Final = OrderTerms()


class OrderCalls(ClientCalls):
    """Orders as methods of a client."""

    @ClientCall
    async def submit_order(
        self,
        instrument: InstrumentView | str,
        side: Side | str,
        quantity: Decimal | int = 0,
        price: Decimal | int | None = None,
        *,
        time_in_force: TimeInForce | str | None = None,
        client_order_id: int = 0,
        post_only: bool = False,
        self_trade: SelfTrade | str | None = None,
        stop_price: Decimal | int | None = None,
        trail: Decimal | int | None = None,
        display_quantity: Decimal | int | None = None,
        minimum_quantity: Decimal | int | None = None,
        budget: Decimal | int | None = None,
        expires_ns: int = 0,
        cancel_on_disconnect: bool = False,
        user: int = 0,
    ) -> OrderView:
        """Submit an order: a price makes it a limit, a stop_price or trail a stop, else market.

        Args:
            instrument: its view or symbol.
            side: "buy" or "sell".
            quantity: a multiple of the lot size; none for orders with a budget.
            price: a multiple of the tick size.
            time_in_force: "gtc", "ioc", "fok" or "gtd"; default gtd with expires_ns, else ioc
                for market orders, else gtc.
            client_order_id: unique among the user's live orders; 0 for none.
            post_only: reject rather than trade on arrival.
            self_trade: "none", "cancel_taker", "cancel_maker", "cancel_both" or "decrement";
                default is the instrument's.
            stop_price: the trigger of the stop.
            trail: the distance of a trailing stop from the last price.
            display_quantity: the quantity that the book shows at a time.
            minimum_quantity: the quantity that must trade at once, or nothing does.
            budget: the most that a buy may cost, fees included.
            expires_ns: expiry of the order, in the server's nanoseconds since 1970.
            cancel_on_disconnect: cancel it when this client loses its connection.
            user: the order's user; 0 for the session's own.
        """
        view = await self.session.view(instrument)
        kind = _order_type(price, waits=stop_price is not None or trail is not None)
        terms = OrderTerms(
            _count(view.prices, "stop_price", stop_price),
            _count(view.prices, "trail", trail),
            _count(view.quantities, "display_quantity", display_quantity),
            _count(view.quantities, "minimum_quantity", minimum_quantity),
            _count(view.quote.amounts, "budget", budget),
            expires_ns,
        )
        flags = ORDER_POST_ONLY if flag("post_only", post_only) else 0
        request = SubmitOrder(
            0, view.id, client_order_id, word("side", Side, side), kind,
            _force(time_in_force, kind, expires_ns), _count(view.prices, "price", price),
            view.quantities.count(quantity), flags | _disconnect_flag(cancel_on_disconnect),
            _policy(self_trade), None if terms == _NO_TERMS else terms, user,
        )  # fmt: skip
        return await self.session.show(request, order_result, partial(self._shown, view))

    @ClientCall
    async def submit_oco(
        self,
        instrument: InstrumentView | str,
        side: Side | str,
        quantity: Decimal | int,
        price: Decimal | int,
        stop_price: Decimal | int,
        *,
        stop_limit_price: Decimal | int | None = None,
        budget: Decimal | int | None = None,
        limit_client_order_id: int = 0,
        stop_client_order_id: int = 0,
        expires_ns: int = 0,
        self_trade: SelfTrade | str | None = None,
        cancel_on_disconnect: bool = False,
        user: int = 0,
    ) -> OcoResult:
        """Submit a limit order and a stop, of which one cancels the other.

        Args:
            instrument: its view or symbol.
            side: "buy" or "sell", for both orders.
            quantity: the quantity of both orders.
            price: limit of the limit order.
            stop_price: the trigger of the stop.
            stop_limit_price: makes the stop a stop limit order.
            budget: the most that a stop order may cost, fees included.
            limit_client_order_id: the limit order's id; 0 for none.
            stop_client_order_id: the stop's id; 0 for none.
            expires_ns: expiry of both, in the server's nanoseconds since 1970; 0 for never.
            self_trade: policy of both; default is the instrument's.
            cancel_on_disconnect: cancel both when this client loses its connection.
            user: the orders' user; 0 for the session's own.

        Raises:
            OrderRejected: neither order was accepted.
        """
        view = await self.session.view(instrument)
        request = SubmitOco(
            0,
            view.id,
            word("side", Side, side),
            view.quantities.count(quantity),
            view.prices.count(price),
            view.prices.count(stop_price, "stop_price"),
            _count(view.prices, "stop_limit_price", stop_limit_price),
            _count(view.quote.amounts, "budget", budget),
            limit_client_order_id,
            stop_client_order_id,
            expires_ns,
            _policy(self_trade),
            user,
            _disconnect_flag(cancel_on_disconnect),
        )
        return await self.session.show(request, oco_result, partial(self._both_shown, view))

    @ClientCall
    async def cancel_order(
        self,
        instrument: InstrumentView | str,
        order_id: int = 0,
        *,
        client_order_id: int = 0,
        user: int = 0,
    ) -> OrderView:
        """Cancel an order, named by exactly one of its ids.

        First asks which order a client order id names, and which instrument an order is on that
        this client has not seen.

        Raises:
            ValueError: the order is on another instrument; nothing was sent.
        """
        view = await self.session.view(instrument)
        name = await self._on(view, order_id, client_order_id, user)
        return await self.session.show(CancelOrder(0, *name, user), order_result, view.order)

    @ClientCall
    async def mass_cancel(
        self,
        instrument: InstrumentView | str | None = None,
        side: Side | str | None = None,
        user: int = 0,
        *,
        all_users: bool = False,
    ) -> MassCancelView:
        """Cancel the matching open orders of a user (0: the session's own) or of all users."""
        on = 0 if instrument is None else (await self.session.view(instrument)).id
        of_side = 0 if side is None else word("side", Side, side)
        request = MassCancel(0, on, of_side, user, all_users)
        canceled = await self.session.show(request, mass_cancel_result, self._mass_canceled)
        await self._learn(canceled.raw.orders)
        return self._mass_canceled(canceled.raw)

    @ClientCall
    async def replace_order(
        self,
        instrument: InstrumentView | str,
        order_id: int = 0,
        *,
        client_order_id: int = 0,
        quantity: Decimal | int | None = None,
        leaves_quantity: Decimal | int | None = None,
        price: Decimal | int | None = None,
        requeue: bool = False,
        stop_price: Decimal | int | None = None,
        expires_ns: int = 0,
        user: int = 0,
    ) -> OrderView:
        """Change an order: exactly one of new total or new open quantity, optionally its prices.

        A quantity that does not grow at an unchanged price keeps the order's place in the queue
        unless `requeue`; anything else loses it and may trade. `expires_ns` moves the expiry of a
        gtd order, in the server's nanoseconds since 1970; both quantities may then be omitted.
        First asks as `cancel_order` does: on another instrument's scale, a price would be another
        one.

        Raises:
            ValueError: the order is on another instrument; nothing was sent.
        """
        view = await self.session.view(instrument)
        name = await self._on(view, order_id, client_order_id, user)
        request = ReplaceOrder(
            0,
            *name,
            _count_or_none(view.quantities, "quantity", quantity),
            _count_or_none(view.quantities, "leaves_quantity", leaves_quantity),
            _count_or_none(view.prices, "price", price),
            requeue,
            _count_or_none(view.prices, "stop_price", stop_price),
            user,
            expires_ns,
        )
        return await self.session.show(request, order_result, view.order)

    @ClientCall
    async def get_orderbook(
        self, instrument: InstrumentView | str, depth: int = 10
    ) -> OrderbookView:
        """Return the best `depth` price levels of each side."""
        view = await self.session.view(instrument)
        request = GetOrderbook(0, view.id, depth)
        return view.orderbook(await self.session.read(OrderbookReply, request))

    @ClientCall
    async def get_order(
        self, order_id: int = 0, *, client_order_id: int = 0, user: int = 0
    ) -> OrderStateView:
        """Return an order by exactly one of its ids, open or ended not too long ago."""
        return await self._order_state(await self._read_order(order_id, client_order_id, user))

    @ClientCall
    async def list_orders(
        self, instrument: InstrumentView | str | None = None, user: int = 0
    ) -> list[OrderStateView]:
        """Return the open orders of a user, waiting stops included, in order of id."""
        session = self.session
        on = 0 if instrument is None else (await session.view(instrument)).id
        rows = (await session.told(read_orders(session.requests, user, on))).rows
        if on and not rows:
            # None, or the instrument is no longer listed: then this query is rejected.
            await session.read(OrderbookReply, GetOrderbook(0, on, 1))
        return [await self._order_state(row) for row in rows]

    @ClientCall
    async def list_fills(self, user: int = 0, *, after: int = 0) -> list[FillView]:
        """Return the recent fills with private sequences above `after`, oldest first."""
        return (await self.read_fills(user, after=after)).fills

    @ClientCall
    async def read_fills(self, user: int = 0, *, after: int = 0) -> FillsView:
        """Return the same as `list_fills`, and the position after which no fill is missing."""
        session = self.session
        found = await session.told(read_fills(session.requests, user, after))
        instrument = session.listings.instrument_of
        fills = [(await instrument(row.instrument)).fill(row) for row in found.rows]
        return FillsView(found.sequence, found.complete_after, fills)

    async def _on(
        self, view: InstrumentView, order_id: int, client_order_id: int, user: int
    ) -> tuple[int, int]:
        """Return the two ids for a request, after checking that the order is on the instrument."""
        order_id = integer("order_id", order_id)
        if bool(order_id) == bool(client_order_id):
            return order_id, client_order_id  # both or none were given: will be rejected
        found = self.session.listings.orders.instrument_of(order_id)
        if found is None:
            row = await self._read_order(order_id, client_order_id, user)
            # By the engine's id from here on: the client order id may soon name another order.
            order_id, found = row.order_id, row.instrument
            self.session.listings.orders.add(order_id, found)
        if found != view.id:
            symbol = (await self.session.listings.instrument_of(found)).symbol
            raise ValueError(
                f"order {order_id} is on {symbol}, not on {view.symbol}; nothing was sent"
            )
        return order_id, 0

    async def _read_order(self, order_id: int, client_order_id: int, user: int) -> OrderRow:
        request = GetOrder(0, order_id, client_order_id, user)
        order = (await self.session.read(OrderReply, request)).order
        assert order is not None
        return order

    async def _learn(self, reports: Iterable[OrderReport]) -> None:
        """Ask for the instruments that are not known yet."""
        with suppress(RequestError):  # the result is returned in any case
            for report in reports:
                await self.session.listings.instrument_of(report.instrument)

    def _mass_canceled(self, result: MassCancelResult) -> MassCancelView:
        seen = self.session.listings.seen_instrument
        orders = [seen(report.instrument).order_report(report) for report in result.orders]
        return MassCancelView(result.canceled, result.remaining, tuple(orders), result)

    def _shown(self, view: InstrumentView, result: OrderResult) -> OrderView:
        self.session.listings.orders.add(result.order_id, view.id)
        return view.order(result)

    def _both_shown(self, view: InstrumentView, result: OcoResult) -> OcoResult:
        self.session.listings.orders.add(result.limit_order_id, view.id)
        self.session.listings.orders.add(result.stop_order_id, view.id)
        return result

    async def _order_state(self, row: OrderRow) -> OrderStateView:
        self.session.listings.orders.add(row.order_id, row.instrument)
        return (await self.session.listings.instrument_of(row.instrument)).order_state(row)


def _order_type(price: Decimal | int | None, *, waits: bool) -> OrderType:
    if price is None:
        return OrderType.STOP if waits else OrderType.MARKET
    return OrderType.STOP_LIMIT if waits else OrderType.LIMIT


def _force(given: TimeInForce | str | None, kind: OrderType, expires_ns: int) -> TimeInForce:
    if given is not None:
        return word("time in force", TimeInForce, given)
    if expires_ns:
        return TimeInForce.GTD
    return TimeInForce.IOC if kind is OrderType.MARKET else TimeInForce.GTC


def _policy(given: SelfTrade | str | None) -> int:
    return 0 if given is None else word("self trade", SelfTrade, given)


def _disconnect_flag(cancel_on_disconnect: bool) -> int:
    return ORDER_CANCEL_ON_DISCONNECT if flag("cancel_on_disconnect", cancel_on_disconnect) else 0


def _count(grid: Grid, argument: str, value: Decimal | int | None) -> int:
    """Return the number of steps of an optional value; the wire's 0 if omitted."""
    return 0 if value is None else grid.count(value, argument)


def _count_or_none(grid: Grid, argument: str, value: Decimal | int | None) -> int | None:
    """Return the number of steps of a value that a replace may leave unchanged; nil if omitted."""
    return None if value is None else grid.count(value, argument)
