"""Orders in the client library: words and Decimals in, views out.

A part of Client (hpe/client/client.py). What every order may carry is protocol.md's, "The rules of
the exchange". Every method raises what hpe/client/requests_orders.py's do, and before anything is
sent: ValueError for what is off the instrument's grid or an unknown word, TypeError for a float,
LookupError for an unknown symbol.
"""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import suppress
from decimal import Decimal
from functools import partial

from hpe.client.arguments import integer
from hpe.client.decimals import Grid
from hpe.client.listings import ListingCalls, word
from hpe.client.market_views import OrderbookView
from hpe.client.results import MassCancelResult, OcoResult, OrderResult
from hpe.client.scales import InstrumentView
from hpe.client.views import FillsView, FillView, MassCancelView, OrderStateView, OrderView
from hpe.errors import RequestError
from hpe.protocol.enums import OrderType, SelfTrade, Side, TimeInForce
from hpe.protocol.orders import OrderRow


class OrderCalls(ListingCalls):
    """Orders as methods of a client."""

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
            client_order_id: unique among one's live orders; 0 for none.
            post_only: reject rather than trade on arrival.
            self_trade: "none", "cancel_taker", "cancel_maker", "cancel_both" or "decrement";
                default is the instrument's.
            stop_price: where the stop fires.
            trail: how far a trailing stop stays behind the last price.
            display_quantity: what the book shows at a time.
            minimum_quantity: what trades at once, or nothing does.
            budget: what a buy may cost, fees included.
            expires_ns: end of the order, in the server's nanoseconds since 1970.
            cancel_on_disconnect: cancel it when this client loses its connection.
            user: whose order; 0 for one's own.
        """
        view = await self._view(instrument)
        kind = _order_type(price, waits=stop_price is not None or trail is not None)
        answer = self.requests.submit_order(
            view.id,
            word("side", Side, side),
            view.quantities.count(quantity),
            _count(view.prices, "price", price),
            order_type=kind,
            time_in_force=_force(time_in_force, kind, expires_ns),
            client_order_id=client_order_id,
            post_only=post_only,
            self_trade=_policy(self_trade),
            stop_price=_count(view.prices, "stop_price", stop_price),
            trail=_count(view.prices, "trail", trail),
            display_quantity=_count(view.quantities, "display_quantity", display_quantity),
            minimum_quantity=_count(view.quantities, "minimum_quantity", minimum_quantity),
            budget=_count(view.quote.amounts, "budget", budget),
            expires_ns=expires_ns,
            cancel_on_disconnect=cancel_on_disconnect,
            user=user,
        )
        return await self._show(answer, partial(self._shown, view))

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
        """Submit a limit order and a stop of which one cancels the other.

        Args:
            instrument: its view or symbol.
            side: "buy" or "sell", of both orders.
            quantity: of both orders.
            price: limit of the limit order.
            stop_price: where the stop fires.
            stop_limit_price: makes the stop a stop limit order.
            budget: what a stop order may buy for, fees included.
            limit_client_order_id: of the limit order; 0 for none.
            stop_client_order_id: of the stop; 0 for none.
            expires_ns: end of both, in the server's nanoseconds since 1970; 0 for never.
            self_trade: policy of both; default is the instrument's.
            cancel_on_disconnect: cancel both when this client loses its connection.
            user: whose orders; 0 for one's own.

        Raises:
            OrderRejected: neither order was accepted.
        """
        view = await self._view(instrument)
        answer = self.requests.submit_oco(
            view.id,
            word("side", Side, side),
            view.quantities.count(quantity),
            view.prices.count(price),
            view.prices.count(stop_price, "stop_price"),
            stop_limit_price=_count(view.prices, "stop_limit_price", stop_limit_price),
            budget=_count(view.quote.amounts, "budget", budget),
            limit_client_order_id=limit_client_order_id,
            stop_client_order_id=stop_client_order_id,
            expires_ns=expires_ns,
            self_trade=_policy(self_trade),
            cancel_on_disconnect=cancel_on_disconnect,
            user=user,
        )
        result = await self._told(answer)
        self.listings.orders.add(result.limit_order_id, view.id)
        self.listings.orders.add(result.stop_order_id, view.id)
        return result

    async def cancel_order(
        self,
        instrument: InstrumentView | str,
        order_id: int = 0,
        *,
        client_order_id: int = 0,
        user: int = 0,
    ) -> OrderView:
        """Cancel an order, named by exactly one of its ids.

        Asks first which order a client order id names, and what an order is on that this client
        has not seen.

        Raises:
            ValueError: the order is on another instrument; nothing was sent.
        """
        view = await self._view(instrument)
        name = await self._on(view, order_id, client_order_id, user)
        answer = self.requests.cancel_order(*name, user)
        return await self._show(answer, view.order)

    async def mass_cancel(
        self,
        instrument: InstrumentView | str | None = None,
        side: Side | str | None = None,
        user: int = 0,
        *,
        all_users: bool = False,
    ) -> MassCancelView:
        """Cancel the open orders of a user (0: one's own) or of all, where they match."""
        answer = self.requests.mass_cancel(
            0 if instrument is None else (await self._view(instrument)).id,
            None if side is None else word("side", Side, side),
            user,
            all_users=all_users,
        )
        return await self._show(self._learn(answer), self._mass_canceled)

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
        """Change an order: exactly one of new total or new open quantity, and maybe its prices.

        Not more at the same price keeps its place in the queue unless `requeue`; anything else
        loses it and may trade. `expires_ns` moves the end of a gtd order, in the server's
        nanoseconds since 1970; both quantities may then be left out. Asks first as `cancel_order`
        does: a price on another instrument's scale would be another price.

        Raises:
            ValueError: the order is on another instrument; nothing was sent.
        """
        view = await self._view(instrument)
        name = await self._on(view, order_id, client_order_id, user)
        answer = self.requests.replace_order(
            *name,
            quantity=_count_or_none(view.quantities, "quantity", quantity),
            leaves_quantity=_count_or_none(view.quantities, "leaves_quantity", leaves_quantity),
            price=_count_or_none(view.prices, "price", price),
            requeue=requeue,
            stop_price=_count_or_none(view.prices, "stop_price", stop_price),
            expires_ns=expires_ns,
            user=user,
        )
        return await self._show(answer, view.order)

    async def get_orderbook(
        self, instrument: InstrumentView | str, depth: int = 10
    ) -> OrderbookView:
        """Return the best `depth` price levels of each side."""
        view = await self._view(instrument)
        return view.orderbook(await self._told(self.requests.get_orderbook(view.id, depth)))

    async def get_order(
        self, order_id: int = 0, *, client_order_id: int = 0, user: int = 0
    ) -> OrderStateView:
        """Return an order by exactly one of its ids, open or ended not too long ago."""
        return await self._order_state(
            await self._told(self.requests.get_order(order_id, client_order_id, user))
        )

    async def list_orders(
        self, instrument: InstrumentView | str | None = None, user: int = 0
    ) -> list[OrderStateView]:
        """Return the open orders of a user, waiting stops included, in order of id."""
        on = 0 if instrument is None else (await self._view(instrument)).id
        rows = await self._told(self.requests.list_orders(on, user))
        if on and not rows:
            # None, or the instrument is no longer listed: this query is rejected then.
            await self._told(self.requests.get_orderbook(on, 1))
        return [await self._order_state(row) for row in rows]

    async def list_fills(self, user: int = 0, *, after: int = 0) -> list[FillView]:
        """Return the recent fills with private sequences above `after`, oldest first."""
        return (await self.read_fills(user, after=after)).fills

    async def read_fills(self, user: int = 0, *, after: int = 0) -> FillsView:
        """Return the same as `list_fills`, and from which fill on none is missing."""
        found = await self._told(self.requests.read_fills(user, after=after))
        instrument = self.listings.instrument_of
        fills = [(await instrument(row.instrument)).fill(row) for row in found.rows]
        return FillsView(found.sequence, found.complete_after, fills)

    async def _on(
        self, view: InstrumentView, order_id: int, client_order_id: int, user: int
    ) -> tuple[int, int]:
        """Return the two ids of a request about an order that is surely on an instrument."""
        order_id = integer("order_id", order_id)
        if bool(order_id) == bool(client_order_id):
            return order_id, client_order_id  # one too many or few: rejected
        found = self.listings.orders.instrument_of(order_id)
        if found is None:
            row = await self._told(self.requests.get_order(order_id, client_order_id, user))
            # By its own id from here on: a client order id could be another order's by then.
            order_id, found = row.order_id, row.instrument
            self.listings.orders.add(order_id, found)
        if found != view.id:
            symbol = (await self.listings.instrument_of(found)).symbol
            raise ValueError(
                f"order {order_id} is on {symbol}, not on {view.symbol}; nothing was sent"
            )
        return order_id, 0

    async def _learn(self, answer: Awaitable[MassCancelResult]) -> MassCancelResult:
        """Wait for what was canceled and ask for the instruments that are not known yet."""
        result = await answer
        with suppress(RequestError):  # what was done is told in any case, with `raw` if need be
            for report in result.orders:
                await self.listings.instrument_of(report.instrument)
        return result

    def _mass_canceled(self, result: MassCancelResult) -> MassCancelView:
        seen = self.listings.seen_instrument
        orders = [seen(report.instrument).order_report(report) for report in result.orders]
        return MassCancelView(result.canceled, result.remaining, tuple(orders), result)

    def _shown(self, view: InstrumentView, result: OrderResult) -> OrderView:
        self.listings.orders.add(result.order_id, view.id)
        return view.order(result)

    async def _order_state(self, row: OrderRow) -> OrderStateView:
        self.listings.orders.add(row.order_id, row.instrument)
        return (await self.listings.instrument_of(row.instrument)).order_state(row)


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


def _policy(given: SelfTrade | str | None) -> SelfTrade | None:
    return None if given is None else word("self trade", SelfTrade, given)


def _count(grid: Grid, argument: str, value: Decimal | int | None) -> int:
    """Count what may be left out: the wire's 0."""
    return 0 if value is None else grid.count(value, argument)


def _count_or_none(grid: Grid, argument: str, value: Decimal | int | None) -> int | None:
    """Count what a replace may leave as it is: the wire's nil."""
    return None if value is None else grid.count(value, argument)
