"""The in-process API: the sketch's methods, for programs that run the engine themselves.

Owns the cached session of each user and delegates to its channel; used from the engine's Trio
loop by any number of tasks. Guarantees: a call takes the same way as a request over TCP, from
the sequencer to the log; its deadline (default 100 ms) covers everything after the session is
attached. Integers only: ticks, lots, atoms. Relies on RequestChannel for ids and answers.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import trio

from hpe.errors import ConnectionLost, HpeError, RequestRefused
from hpe.messages import (
    AssetRow,
    ErrorCode,
    InstrumentRow,
    OrderbookReply,
    OrderType,
    Side,
    TimeInForce,
)
from hpe.net.local import LocalConnection
from hpe.net.requests import Balance, OrderResult, RequestChannel
from hpe.net.switchboard import Switchboard


class InProcessApi:
    """What HighPerformanceEngine offers to the program around it.

    Every method that sends a request raises what RequestChannel's method of that name raises:
    OrderRejected, RequestRefused, ReplyTimeout (outcome unknown: `outcome`), ConnectionLost.
    """

    def __init__(self, request_timeout_s: float) -> None:
        self._request_timeout_s = request_timeout_s
        self._cached: dict[int, LocalConnection] = {}
        self._local_switchboard: Switchboard | None = None

    def _open_door(self, switchboard: Switchboard) -> None:
        self._local_switchboard = switchboard

    def _log_out_cached(self) -> None:
        """Have the cached sessions forgotten: nobody outside knows their ids."""
        for local in self._cached.values():
            local.log_out()

    def _close_door(self) -> None:
        """Fail what waits and what comes; the engine is through."""
        self._local_switchboard = None
        for local in self._cached.values():
            local.close(ConnectionLost("the engine has stopped"))

    def _new_connection(self) -> LocalConnection:
        if self._local_switchboard is None:
            raise ConnectionLost("the engine is not running: nothing was sent")
        return LocalConnection(self._local_switchboard, self._request_timeout_s)

    @contextlib.asynccontextmanager
    async def session(
        self, user: int, *, session_id: int = 0, window: int = 0
    ) -> AsyncIterator[RequestChannel]:
        """Attach a session of its own, as a TCP client would, and give its channel.

        Args:
            user: whose session.
            session_id: an earlier session to resume, 0 for a new one.
            window: commands in flight, 0 for the default.

        Raises:
            RequestRefused: the session is refused.
        """
        local = self._new_connection()
        try:
            local.log_on(user, session_id, window)
            yield await local.wait_channel()
        finally:
            local.close(ConnectionLost("the session was left"))

    async def channel(self, user: int) -> RequestChannel:
        """Give the user's cached channel, attaching its session on first use.

        Raises:
            RequestRefused: busy, when the session was not attached within the deadline; nothing
                was sent.
        """
        local = self._cached.get(user)
        if local is None or local.closed:
            local = self._cached[user] = self._new_connection()
            local.log_on(user)
        with trio.move_on_after(self._request_timeout_s):
            return await local.wait_channel()
        raise _not_attached(user)

    async def outcome(self, user: int, request_id: int) -> OrderResult | Balance | int:
        """Ask again how a command of the user's cached session ended, after a ReplyTimeout."""
        return await (await self.channel(user)).outcome(request_id)

    # --- orders -------------------------------------------------------------------------------

    async def submit_order(
        self,
        user: int,
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
        """Submit an order: quantity in lots, price in ticks (0 for market orders)."""
        channel = await self.channel(user)
        return await channel.submit_order(
            instrument,
            side,
            quantity,
            price,
            order_type=order_type,
            time_in_force=time_in_force,
            client_order_id=client_order_id,
            post_only=post_only,
        )

    async def cancel_order(
        self, user: int, order_id: int = 0, client_order_id: int = 0
    ) -> OrderResult:
        """Cancel an order of the user, named by exactly one of its ids."""
        return await (await self.channel(user)).cancel_order(order_id, client_order_id)

    async def replace_order(
        self,
        user: int,
        order_id: int = 0,
        client_order_id: int = 0,
        *,
        quantity: int | None = None,
        leaves_quantity: int | None = None,
        price: int | None = None,
        requeue: bool = False,
    ) -> OrderResult:
        """Change an order: one of new total or new open quantity, and maybe the price."""
        channel = await self.channel(user)
        return await channel.replace_order(
            order_id,
            client_order_id,
            quantity=quantity,
            leaves_quantity=leaves_quantity,
            price=price,
            requeue=requeue,
        )

    async def get_orderbook(self, user: int, instrument: int, depth: int = 10) -> OrderbookReply:
        """Give the best `depth` price levels of each side."""
        return await (await self.channel(user)).get_orderbook(instrument, depth)

    # --- balances -----------------------------------------------------------------------------

    async def get_balance(self, user: int, asset: int) -> Balance:
        """Give (available, locked, ...) of one account in atoms."""
        return await (await self.channel(user)).get_balance(asset)

    async def lock_balance(self, user: int, asset: int, amount: int) -> Balance:
        """Move available atoms to held and give the account after it."""
        return await (await self.channel(user)).lock_balance(asset, amount)

    async def unlock_balance(self, user: int, asset: int, amount: int) -> Balance:
        """Move held atoms back to available and give the account after it."""
        return await (await self.channel(user)).unlock_balance(asset, amount)

    async def deposit(self, user: int, asset: int, amount: int) -> Balance:
        """Credit atoms from outside and give the account after it."""
        return await (await self.channel(user)).deposit(asset, amount)

    async def withdraw(self, user: int, asset: int, amount: int) -> Balance:
        """Debit available atoms to outside and give the account after it."""
        return await (await self.channel(user)).withdraw(asset, amount)

    # --- listings -----------------------------------------------------------------------------

    async def add_asset(self, user: int, symbol: str, decimals: int) -> int:
        """Define an asset and give its id."""
        return await (await self.channel(user)).add_asset(symbol, decimals)

    async def list_assets(self, user: int) -> list[AssetRow]:
        """Give all assets, in order of id."""
        return await (await self.channel(user)).list_assets()

    async def add_instrument(
        self, user: int, symbol: str, base: int, quote: int, **scale_and_limits: int
    ) -> int:
        """Define a pair of two asset ids and give its id; see RequestChannel.add_instrument."""
        channel = await self.channel(user)
        return await channel.add_instrument(symbol, base, quote, **scale_and_limits)

    async def list_instruments(self, user: int) -> list[InstrumentRow]:
        """Give all instruments, in order of id."""
        return await (await self.channel(user)).list_instruments()

    async def resolve_instrument(self, user: int, base: str, quote: str) -> int:
        """Give the id of a pair of asset symbols, creating it where auto_create is on."""
        return await (await self.channel(user)).resolve_instrument(base, quote)


def _not_attached(user: int) -> HpeError:
    code = ErrorCode.BUSY
    text = f"the session of user {user} is not attached yet; nothing was sent"
    return RequestRefused(0, code, code.name.lower(), text, True)
