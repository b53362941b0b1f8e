"""The requests about orders: submit, cancel, replace, look at.

A part of RequestChannel (hpe/client/requests.py). Prices in ticks, quantities in lots, money in
atoms; what every order type may carry is protocol.md's, "The rules of the exchange". Every method
raises what `SessionChannel.call` raises, and OrderRejected when the request was executed to a
business reject.
"""

from __future__ import annotations

from typing import Final

from hpe.client.arguments import flag
from hpe.client.channel import SessionChannel
from hpe.client.results import (
    Listing,
    MassCancelResult,
    OcoResult,
    OrderResult,
    accepted,
    expect,
    mass_cancel_result,
    oco_result,
    order_result,
    pages,
)
from hpe.protocol.enums import OrderType, SelfTrade, Side, TimeInForce
from hpe.protocol.flags import ORDER_CANCEL_ON_DISCONNECT, ORDER_POST_ONLY
from hpe.protocol.market_data import GetOrderbook, OrderbookReply
from hpe.protocol.orders import (
    CancelOrder,
    FillRow,
    FillsReply,
    GetOrder,
    ListFills,
    ListOrders,
    MassCancel,
    OrderReply,
    OrderRow,
    OrdersReply,
    OrderTerms,
    ReplaceOrder,
    SubmitOco,
    SubmitOrder,
)

_NO_TERMS: Final = OrderTerms()


class OrderRequests(SessionChannel):
    """Orders as methods of a channel."""

    async def submit_order(
        self,
        instrument: int,
        side: Side,
        quantity: int,
        price: int = 0,
        *,
        order_type: OrderType = OrderType.LIMIT,
        time_in_force: TimeInForce = TimeInForce.GTC,
        client_order_id: int = 0,
        post_only: bool = False,
        self_trade: SelfTrade | None = None,
        stop_price: int = 0,
        trail: int = 0,
        display_quantity: int = 0,
        minimum_quantity: int = 0,
        budget: int = 0,
        expires_ns: int = 0,
        cancel_on_disconnect: bool = False,
        user: int = 0,
    ) -> OrderResult:
        """Submit an order.

        Args:
            instrument: its id.
            side: of the order.
            quantity: lots; 0 for orders with a budget.
            price: limit in ticks; 0 for market and stop orders.
            order_type: of the order.
            time_in_force: of the order.
            client_order_id: unique among one's live orders; 0 for none.
            post_only: reject rather than trade on arrival.
            self_trade: policy; None is the instrument's.
            stop_price: trigger in ticks.
            trail: ticks between the best last price and the trigger.
            display_quantity: lots that the book shows at a time.
            minimum_quantity: lots that trade at once, or none does.
            budget: quote atoms that a buy may cost, fees included.
            expires_ns: end of a gtd order, in logged time.
            cancel_on_disconnect: cancel it when this session loses its connection.
            user: whose order; 0 for one's own.

        Raises:
            OrderRejected: executed to a reject; nothing changed. Also what `call` raises.
        """
        terms = OrderTerms(
            stop_price, trail, display_quantity, minimum_quantity, budget, expires_ns
        )
        request = SubmitOrder(
            0,
            instrument,
            client_order_id,
            side,
            order_type,
            time_in_force,
            price,
            quantity,
            (ORDER_POST_ONLY if flag("post_only", post_only) else 0)
            | _disconnect_flag(cancel_on_disconnect),
            0 if self_trade is None else self_trade,
            None if terms == _NO_TERMS else terms,
            user,
        )
        return order_result(await self.call(request))

    async def submit_oco(
        self,
        instrument: int,
        side: Side,
        quantity: int,
        price: int,
        stop_price: int,
        *,
        stop_limit_price: int = 0,
        budget: int = 0,
        limit_client_order_id: int = 0,
        stop_client_order_id: int = 0,
        expires_ns: int = 0,
        self_trade: SelfTrade | None = None,
        cancel_on_disconnect: bool = False,
        user: int = 0,
    ) -> OcoResult:
        """Submit a limit order and a stop of which one cancels the other.

        Args:
            instrument: its id.
            side: of both orders.
            quantity: lots, of both orders.
            price: limit of the limit order in ticks.
            stop_price: trigger of the stop in ticks.
            stop_limit_price: makes the stop a stop limit order; 0 for a stop order.
            budget: quote atoms that a stop order may buy for, instead of the quantity.
            limit_client_order_id: of the limit order; 0 for none.
            stop_client_order_id: of the stop; 0 for none.
            expires_ns: end of both in logged time; 0 for never.
            self_trade: policy of both; None is the instrument's.
            cancel_on_disconnect: cancel both when this session loses its connection.
            user: whose orders; 0 for one's own.

        Raises:
            OrderRejected: neither order was accepted. Also what `call` raises.
        """
        request = SubmitOco(
            0,
            instrument,
            side,
            quantity,
            price,
            stop_price,
            stop_limit_price,
            budget,
            limit_client_order_id,
            stop_client_order_id,
            expires_ns,
            0 if self_trade is None else self_trade,
            user,
            _disconnect_flag(cancel_on_disconnect),
        )
        return oco_result(await self.call(request))

    async def cancel_order(
        self, order_id: int = 0, client_order_id: int = 0, user: int = 0
    ) -> OrderResult:
        """Cancel an order, named by exactly one id; raises OrderRejected if not live."""
        return order_result(await self.call(CancelOrder(0, order_id, client_order_id, user)))

    async def mass_cancel(
        self,
        instrument: int = 0,
        side: Side | None = None,
        user: int = 0,
        *,
        all_users: bool = False,
    ) -> MassCancelResult:
        """Cancel the open orders of a user (0: one's own) or of all.

        Args:
            instrument: on it alone; 0 for all.
            side: of it alone; None for both.
            user: whose.
            all_users: everybody's; `user` is then 0.
        """
        of_side = 0 if side is None else side
        request = MassCancel(0, instrument, of_side, user, all_users)
        return mass_cancel_result(await self.call(request))

    async def replace_order(
        self,
        order_id: int = 0,
        client_order_id: int = 0,
        *,
        quantity: int | None = None,
        leaves_quantity: int | None = None,
        price: int | None = None,
        requeue: bool = False,
        stop_price: int | None = None,
        expires_ns: int = 0,
        user: int = 0,
    ) -> OrderResult:
        """Change an order: exactly one of new total or new open quantity, and maybe its prices.

        Args:
            order_id: the engine's id, or else
            client_order_id: the client's.
            quantity: new total in lots.
            leaves_quantity: new open quantity in lots.
            price: new limit in ticks.
            requeue: lose the place even where it could be kept.
            stop_price: new trigger in ticks.
            expires_ns: new end of a gtd order; both quantities may then be left out.
            user: whose order; 0 for one's own.

        Raises:
            OrderRejected: the old order stays as it was. Also what `call` raises.
        """
        request = ReplaceOrder(
            0,
            order_id,
            client_order_id,
            quantity,
            leaves_quantity,
            price,
            requeue,
            stop_price,
            user,
            expires_ns,
        )
        return order_result(await self.call(request))

    async def get_orderbook(self, instrument: int, depth: int = 10) -> OrderbookReply:
        """Return the best `depth` levels of each side; OrderRejected for an unknown instrument."""
        return accepted(OrderbookReply, await self.call(GetOrderbook(0, instrument, depth)))

    async def get_order(
        self, order_id: int = 0, client_order_id: int = 0, user: int = 0
    ) -> OrderRow:
        """Return an order by exactly one id, open or ended; OrderRejected when it is unknown."""
        request = GetOrder(0, order_id, client_order_id, user)
        order = accepted(OrderReply, await self.call(request)).order
        assert order is not None
        return order

    async def list_orders(
        self, instrument: int = 0, user: int = 0, *, after: int = 0
    ) -> list[OrderRow]:
        """Return the open orders of a user with ids above `after`, in order, page by page."""
        return (await self.read_orders(instrument, user, after=after)).rows

    async def read_orders(
        self, instrument: int = 0, user: int = 0, *, after: int = 0
    ) -> Listing[OrderRow]:
        """Return the same as `list_orders`, with the sequence."""

        async def page(after: int, limit: int) -> OrdersReply:
            request = ListOrders(0, instrument, after, limit, user)
            return expect(OrdersReply, await self.call(request))

        return await pages(page, lambda row: row.order_id, after)

    async def list_fills(self, user: int = 0, *, after: int = 0) -> list[FillRow]:
        """Return the recent fills with private sequences above `after`, oldest first."""
        return (await self.read_fills(user, after=after)).rows

    async def read_fills(self, user: int = 0, *, after: int = 0) -> Listing[FillRow]:
        """Return the same as `list_fills`, with the sequence and where none is missing from."""
        complete_after = 0

        async def page(after: int, limit: int) -> FillsReply:
            nonlocal complete_after
            reply = expect(FillsReply, await self.call(ListFills(0, after, limit, user)))
            # What the server forgot of the pages before was shown by then.
            if reply.complete_after > after:
                complete_after = reply.complete_after
            return reply

        listing = await pages(page, lambda row: row.private_sequence, after)
        return listing._replace(complete_after=complete_after)


def _disconnect_flag(cancel_on_disconnect: bool) -> int:
    return ORDER_CANCEL_ON_DISCONNECT if flag("cancel_on_disconnect", cancel_on_disconnect) else 0
