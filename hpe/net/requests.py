"""The requests of a session, typed: integers in, small frozen results out.

Owns what each request's answer means to a caller; hpe/net/channel.py has the mechanics (ids,
window, deadlines) and their guarantees. Used by the TCP client and by the in-process API, from
one Trio loop. Everything here is integers: ticks, lots, atoms. Every method raises what
`Channel.call` raises, and OrderRejected when the request was executed to a business reject.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeVar

import msgspec
import trio

from hpe.errors import OrderRejected, ProtocolError
from hpe.messages import (
    FLAG_DUPLICATE,
    PAGE_MAX,
    AddAsset,
    AddAssetResponse,
    AddInstrument,
    AssetRow,
    AssetsReply,
    BalanceReply,
    CancelOrder,
    CancelReason,
    Deposit,
    ExecutionReport,
    GetBalance,
    GetOrderbook,
    InstrumentRow,
    InstrumentsReply,
    ListAssets,
    ListInstruments,
    LockBalance,
    LockResponse,
    LoggedOut,
    Logout,
    OrderbookReply,
    OrderResponse,
    OrderStatus,
    OrderType,
    Ping,
    Pong,
    RejectReason,
    ReplaceOrder,
    Reply,
    ResolveInstrument,
    ServerInfo,
    ServerInfoReply,
    Side,
    SubmitOrder,
    TimeInForce,
    UnlockBalance,
    Withdraw,
)
from hpe.net.channel import Answer, Channel

_REJECT_NAMES: Final = {int(reason): reason.name.lower() for reason in RejectReason}

_R = TypeVar("_R", bound=Reply)


class OrderResult(msgspec.Struct, frozen=True, gc=False):
    """How an order command ended. Prices in ticks, quantities in lots, money in atoms.

    `reason` is 0 or a CancelReason (a reject raises OrderRejected). `quantity` of the order =
    leaves + cum + canceled. A `duplicate` is the remembered response to a repeated request: the
    server sends fills once, so `fills` may then be empty while `fill_count` is not 0.
    """

    request_id: int
    duplicate: bool
    sequence: int
    reason: int
    time_ns: int
    status: OrderStatus
    order_id: int
    leaves: int
    cum: int
    canceled: int
    quote_total: int
    fill_count: int
    first_trade_id: int
    fills: tuple[ExecutionReport, ...]


class Balance(NamedTuple):
    """One account in atoms; locked = reserved (by open orders) + held (by lock_balance)."""

    available: int
    locked: int
    reserved: int
    held: int


class RequestChannel(Channel):
    """Every request of the protocol as a method; construction is Channel's."""

    async def outcome(self, request_id: int) -> OrderResult | Balance | int:
        """Ask again how one of the last `window` commands ended, after a ReplyTimeout.

        Returns:
            OrderResult, Balance or id: what the command's own method would have returned.

        Raises:
            OrderRejected: the command was rejected. Also what `ask_again` raises.
        """
        return _result(await self.ask_again(request_id))

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
    ) -> OrderResult:
        """Submit an order: quantity in lots, price in ticks (0 for market orders).

        Raises:
            OrderRejected: executed to a reject; nothing changed. Also what `call` raises.
        """
        return _order_result(
            await self.call(
                SubmitOrder(
                    0,
                    instrument,
                    client_order_id,
                    side,
                    order_type,
                    time_in_force,
                    price,
                    quantity,
                    int(post_only),
                )
            )
        )

    async def cancel_order(self, order_id: int = 0, client_order_id: int = 0) -> OrderResult:
        """Cancel one's own order, named by exactly one id; raises OrderRejected if not live."""
        return _order_result(await self.call(CancelOrder(0, order_id, client_order_id)))

    async def replace_order(
        self,
        order_id: int = 0,
        client_order_id: int = 0,
        *,
        quantity: int | None = None,
        leaves_quantity: int | None = None,
        price: int | None = None,
        requeue: bool = False,
    ) -> OrderResult:
        """Change an order: exactly one of new total or new open quantity, and maybe the price.

        Raises:
            OrderRejected: the old order stays as it was. Also what `call` raises.
        """
        return _order_result(
            await self.call(
                ReplaceOrder(
                    0, order_id, client_order_id, quantity, leaves_quantity, price, requeue
                )
            )
        )

    async def get_orderbook(self, instrument: int, depth: int = 10) -> OrderbookReply:
        """Give the best `depth` levels of each side; OrderRejected for an unknown instrument."""
        reply = _expect(OrderbookReply, await self.call(GetOrderbook(0, instrument, depth)))
        _raise_reject(reply, reply.reason)
        return reply

    async def get_balance(self, asset: int, user: int = 0) -> Balance:
        """Give one account (user 0: one's own); OrderRejected for an unknown asset."""
        reply = _expect(BalanceReply, await self.call(GetBalance(0, asset, user)))
        _raise_reject(reply, reply.reason)
        return Balance(reply.available, reply.locked, reply.reserved, reply.held)

    async def lock_balance(self, asset: int, amount: int, user: int = 0) -> Balance:
        """Move available atoms to held and give the account after it."""
        return _balance(await self.call(LockBalance(0, asset, amount, user)))

    async def unlock_balance(self, asset: int, amount: int, user: int = 0) -> Balance:
        """Move held atoms back to available and give the account after it."""
        return _balance(await self.call(UnlockBalance(0, asset, amount, user)))

    async def deposit(self, asset: int, amount: int, user: int = 0) -> Balance:
        """Credit atoms from outside and give the account after it."""
        return _balance(await self.call(Deposit(0, asset, amount, user)))

    async def withdraw(self, asset: int, amount: int, user: int = 0) -> Balance:
        """Debit available atoms to outside and give the account after it."""
        return _balance(await self.call(Withdraw(0, asset, amount, user)))

    async def add_asset(self, symbol: str, decimals: int) -> int:
        """Define an asset and give its id."""
        return _new_id(await self.call(AddAsset(0, symbol, decimals)))

    async def list_assets(self) -> list[AssetRow]:
        """Give all assets, in order of id, page by page."""
        rows: list[AssetRow] = []
        while True:
            after = rows[-1][0] if rows else 0
            page = _expect(AssetsReply, await self.call(ListAssets(0, after))).rows
            rows += page
            if len(page) < PAGE_MAX:
                return rows

    async def add_instrument(
        self,
        symbol: str,
        base: int,
        quote: int,
        *,
        base_atoms_per_lot: int = 1,
        quote_atoms_per_tick: int = 1,
        **limits: int,
    ) -> int:
        """Define a pair of two asset ids and give its id.

        Args:
            symbol: of the pair, unique.
            base: asset id.
            quote: asset id.
            base_atoms_per_lot: scale of quantities, for ever.
            quote_atoms_per_tick: scale of prices, for ever.
            limits: price_min, price_max, quantity_min, quantity_max, notional_min.
        """
        request = AddInstrument(
            0, symbol, base, quote, base_atoms_per_lot, quote_atoms_per_tick, **limits
        )
        return _new_id(await self.call(request))

    async def list_instruments(self) -> list[InstrumentRow]:
        """Give all instruments, in order of id, page by page."""
        rows: list[InstrumentRow] = []
        while True:
            after = rows[-1].instrument if rows else 0
            page = _expect(InstrumentsReply, await self.call(ListInstruments(0, after))).rows
            rows += page
            if len(page) < PAGE_MAX:
                return rows

    async def resolve_instrument(self, base: str, quote: str) -> int:
        """Give the id of a pair of asset symbols, creating it where the service allows that."""
        return _new_id(await self.call(ResolveInstrument(0, base, quote)))

    async def server_info(self) -> ServerInfoReply:
        """Give the state of the service."""
        return _expect(ServerInfoReply, await self.call(ServerInfo(0)))

    async def ping(self) -> float:
        """Give the seconds of a round trip to the connection, which the core takes no part in."""
        start = trio.current_time()
        _expect(Pong, await self.call(Ping(0)))
        return trio.current_time() - start

    async def logout(self) -> None:
        """Close the session for good: its remembered responses are forgotten."""
        _expect(LoggedOut, await self.call(Logout(0)))


def _expect(kind: type[_R], answer: Answer) -> _R:
    if not isinstance(answer.response, kind):
        found = type(answer.response).__name__
        raise ProtocolError(f"expected {kind.__name__}, the server answered {found}")
    return answer.response


def _raise_reject(response: Reply, reason: int) -> None:
    """Raise what a reject reason means; cancel reasons, from 101 on, are none."""
    if 0 < reason < CancelReason.REQUESTED:
        # A newer server may know more reasons: its number is then the name.
        name = _REJECT_NAMES.get(reason, f"reason_{reason}")
        raise OrderRejected(response.request_id, reason, name, response)


def _order_result(answer: Answer) -> OrderResult:
    response = _expect(OrderResponse, answer)
    _raise_reject(response, response.reason)
    return OrderResult(
        request_id=response.request_id,
        duplicate=bool(response.flags & FLAG_DUPLICATE),
        sequence=response.sequence,
        reason=response.reason,
        time_ns=response.time_ns,
        status=OrderStatus(response.status),
        order_id=response.order_id,
        leaves=response.leaves,
        cum=response.cum,
        canceled=response.canceled,
        quote_total=response.quote_total,
        fill_count=response.fill_count,
        first_trade_id=response.first_trade_id,
        fills=answer.fills,
    )


def _balance(answer: Answer) -> Balance:
    response = _expect(LockResponse, answer)
    _raise_reject(response, response.reason)
    locked = response.reserved + response.held
    return Balance(response.available, locked, response.reserved, response.held)


def _new_id(answer: Answer) -> int:
    response = _expect(AddAssetResponse, answer)
    _raise_reject(response, response.reason)
    return response.id


def _result(answer: Answer) -> OrderResult | Balance | int:
    if isinstance(answer.response, OrderResponse):
        return _order_result(answer)
    if isinstance(answer.response, LockResponse):
        return _balance(answer)
    return _new_id(answer)
