"""The client library: a session over TCP, with Decimals at its edge.

Owns `connect` and the Client that it gives. Used from one Trio loop; any number of tasks may
call one client, and requests of several tasks travel together. Guarantees: prices, quantities
and amounts go in and come out as exact Decimals; `requests` underneath speaks the integers of
the wire. Leaving the `async with` block closes the connection and not the session: the session
can be taken up again with its id. Every method raises what hpe/net/requests.py's do.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from enum import IntEnum
from typing import Final, TypeVar

import trio

from hpe.errors import AcknowledgedLost, ConnectionLost
from hpe.messages import (
    PROTOCOL_VERSION,
    Hello,
    OrderType,
    ServerInfoReply,
    Side,
    TimeInForce,
    Welcome,
)
from hpe.net.channel import TIMEOUT_S
from hpe.net.link import CONNECT_TIMEOUT_S, DEFAULT_ADDRESS, Link, parse_address
from hpe.net.requests import RequestChannel
from hpe.net.views import AssetView, BalanceView, InstrumentView, OrderbookView, OrderView

CLIENT_NAME: Final = "hpe-python"

_E = TypeVar("_E", bound=IntEnum)


@asynccontextmanager
async def connect(
    address: str | None = None,
    *,
    user: int,
    session_id: int = 0,
    window: int = 0,
    timeout_s: float = TIMEOUT_S,
    answered_request_id: int = 0,
) -> AsyncIterator[Client]:
    """Open a connection and a session, or take up an old session, for the length of a block.

    Args:
        address: "host:port", or "port" on this machine; without it the environment's
            HPE_ADDRESS, else 127.0.0.1:7070.
        user: whose session it is.
        session_id: of the session to take up again; 0 opens a new one.
        window: requests that may be unanswered; 0 leaves it to the server.
        timeout_s: deadline of every request.
        answered_request_id: `requests.answered_request_id` of the session's last connection.

    Raises:
        ConnectionLost: no connection, or no welcome in time.
        RequestRefused: the server refuses the session.
        AcknowledgedLost: the server forgot commands that it had answered (relaxed sync only).
    """
    host, port = parse_address(address or os.environ.get("HPE_ADDRESS", DEFAULT_ADDRESS))
    failure: Exception | None = None
    with trio.move_on_after(CONNECT_TIMEOUT_S) as deadline:
        stream = await _open(host, port)
    if deadline.cancelled_caught:
        raise ConnectionLost(f"no connection to {host}:{port} within {CONNECT_TIMEOUT_S} s")
    async with stream, trio.open_nursery() as nursery:
        try:
            link = Link(stream)
            welcome = await _log_on(
                link, Hello(1, PROTOCOL_VERSION, user, session_id, window, CLIENT_NAME)
            )
            if welcome.last_request_id < answered_request_id:
                raise AcknowledgedLost(welcome.last_request_id + 1, answered_request_id)
            channel = RequestChannel(
                link.send,
                session_id=welcome.session_id,
                window=welcome.window,
                last_request_id=welcome.last_request_id,
                timeout_s=timeout_s,
            )
            nursery.start_soon(link.write, name="hpe client writer")
            nursery.start_soon(link.read, channel, name="hpe client reader")
            try:
                yield Client(channel, welcome)
            finally:
                channel.close(ConnectionLost("the client left"))
        except Exception as error:
            # Raised outside: the caller's own error must not come wrapped in our nursery's group.
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _open(host: str, port: int) -> trio.SocketStream:
    try:
        return await trio.open_tcp_stream(host, port)
    except OSError as error:
        raise ConnectionLost(f"no connection to {host}:{port}: {error}") from error


async def _log_on(link: Link, hello: Hello) -> Welcome:
    with trio.move_on_after(CONNECT_TIMEOUT_S):
        return await link.log_on(hello)
    raise ConnectionLost(f"no welcome within {CONNECT_TIMEOUT_S} s")


class Client:
    """A session with a service. Made by `connect`.

    Attributes:
        requests: the same session in the integers of the wire, with pipelining.
        welcome: what the server said at logon: versions, durability, limits.
    """

    def __init__(self, requests: RequestChannel, welcome: Welcome) -> None:
        self.requests = requests
        self.welcome = welcome
        self._assets: dict[str, AssetView] = {}
        self._instruments: dict[str, InstrumentView] = {}

    @property
    def session_id(self) -> int:
        """What `connect` takes to go on with this session."""
        return self.requests.session_id

    # --- what is traded -----------------------------------------------------------------------

    async def list_assets(self) -> list[AssetView]:
        """Give all assets."""
        views = [AssetView.of(row) for row in await self.requests.list_assets()]
        self._assets = {view.symbol: view for view in views}
        return views

    async def list_instruments(self) -> list[InstrumentView]:
        """Give all instruments."""
        assets = {view.id: view for view in await self.list_assets()}
        rows = await self.requests.list_instruments()
        views = [InstrumentView.of(row, assets[row.base], assets[row.quote]) for row in rows]
        self._instruments = {view.symbol: view for view in views}
        return views

    async def asset(self, symbol: str) -> AssetView:
        """Give an asset; asks the server only for what this client has not seen yet.

        Raises:
            LookupError: there is none.
        """
        if symbol not in self._assets:
            await self.list_assets()
        return _lookup("asset", self._assets, symbol)

    async def instrument(self, symbol: str) -> InstrumentView:
        """Give an instrument; asks the server only for what this client has not seen yet.

        Raises:
            LookupError: there is none.
        """
        if symbol not in self._instruments:
            await self.list_instruments()
        return _lookup("instrument", self._instruments, symbol)

    # --- orders -------------------------------------------------------------------------------

    async def submit_order(
        self,
        instrument: InstrumentView | str,
        side: Side | str,
        quantity: Decimal | int,
        price: Decimal | int | None = None,
        *,
        time_in_force: TimeInForce | str | None = None,
        client_order_id: int = 0,
        post_only: bool = False,
    ) -> OrderView:
        """Submit a limit order, or without a price a market order.

        Args:
            instrument: its view or symbol.
            side: "buy" or "sell".
            quantity: a multiple of the lot size.
            price: a multiple of the tick size.
            time_in_force: "gtc", "ioc" or "fok"; default gtc, for market orders ioc.
            client_order_id: unique among one's live orders; 0 for none.
            post_only: reject rather than trade on arrival.

        Raises:
            OrderRejected: the exchange said no; nothing changed.
            ValueError: off the instrument's grid, or an unknown word; nothing was sent.
            TypeError: a float; nothing was sent.
        """
        view = await self._view(instrument)
        market = price is None
        force = time_in_force or (TimeInForce.IOC if market else TimeInForce.GTC)
        result = await self.requests.submit_order(
            view.id,
            _word("side", Side, side),
            view.quantities.count(quantity),
            0 if price is None else view.prices.count(price),
            order_type=OrderType.MARKET if market else OrderType.LIMIT,
            time_in_force=_word("time in force", TimeInForce, force),
            client_order_id=client_order_id,
            post_only=post_only,
        )
        return view.order(result)

    async def cancel_order(
        self, instrument: InstrumentView | str, order_id: int = 0, *, client_order_id: int = 0
    ) -> OrderView:
        """Cancel one's own order, named by exactly one of its ids."""
        view = await self._view(instrument)
        return view.order(await self.requests.cancel_order(order_id, client_order_id))

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
    ) -> OrderView:
        """Change an order: exactly one of new total or new open quantity, and maybe the price.

        Less at the same price keeps its place in the queue unless `requeue`; anything else
        loses it and may trade.
        """
        view = await self._view(instrument)
        result = await self.requests.replace_order(
            order_id,
            client_order_id,
            quantity=None if quantity is None else view.quantities.count(quantity),
            leaves_quantity=(
                None if leaves_quantity is None else view.quantities.count(leaves_quantity)
            ),
            price=None if price is None else view.prices.count(price),
            requeue=requeue,
        )
        return view.order(result)

    async def get_orderbook(
        self, instrument: InstrumentView | str, depth: int = 10
    ) -> OrderbookView:
        """Give the best `depth` price levels of each side."""
        view = await self._view(instrument)
        return view.orderbook(await self.requests.get_orderbook(view.id, depth))

    # --- money --------------------------------------------------------------------------------

    async def get_balance(self, symbol: str, user: int = 0) -> BalanceView:
        """Give one account; user 0 is one's own, here and below."""
        asset = await self.asset(symbol)
        return asset.balance(await self.requests.get_balance(asset.id, user))

    async def lock_balance(self, symbol: str, amount: Decimal | int, user: int = 0) -> BalanceView:
        """Move available money to held and give the account after it."""
        asset = await self.asset(symbol)
        atoms = asset.amounts.count(amount)
        return asset.balance(await self.requests.lock_balance(asset.id, atoms, user))

    async def unlock_balance(
        self, symbol: str, amount: Decimal | int, user: int = 0
    ) -> BalanceView:
        """Move held money back to available and give the account after it."""
        asset = await self.asset(symbol)
        atoms = asset.amounts.count(amount)
        return asset.balance(await self.requests.unlock_balance(asset.id, atoms, user))

    async def deposit(self, symbol: str, amount: Decimal | int, user: int = 0) -> BalanceView:
        """Credit money from outside and give the account after it."""
        asset = await self.asset(symbol)
        atoms = asset.amounts.count(amount)
        return asset.balance(await self.requests.deposit(asset.id, atoms, user))

    async def withdraw(self, symbol: str, amount: Decimal | int, user: int = 0) -> BalanceView:
        """Debit available money to outside and give the account after it."""
        asset = await self.asset(symbol)
        atoms = asset.amounts.count(amount)
        return asset.balance(await self.requests.withdraw(asset.id, atoms, user))

    # --- the service --------------------------------------------------------------------------

    async def server_info(self) -> ServerInfoReply:
        """Give the state of the service."""
        return await self.requests.server_info()

    async def ping(self) -> float:
        """Give the seconds of a round trip to the connection."""
        return await self.requests.ping()

    async def logout(self) -> None:
        """Close the session for good; the connection ends with it."""
        await self.requests.logout()

    async def _view(self, instrument: InstrumentView | str) -> InstrumentView:
        if isinstance(instrument, InstrumentView):
            return instrument
        return await self.instrument(instrument)


_V = TypeVar("_V")


def _lookup(kind: str, views: dict[str, _V], symbol: str) -> _V:
    try:
        return views[symbol]
    except KeyError:
        known = ", ".join(sorted(views)[:20]) or "none"
        raise LookupError(f"no {kind} {symbol!r} (known: {known})") from None


def _word(name: str, kind: type[_E], word: _E | str) -> _E:
    """Give the enum member of a word like "buy"."""
    if isinstance(word, kind):
        return word
    try:
        return kind[str(word).upper()]
    except KeyError:
        allowed = ", ".join(member.name.lower() for member in kind)
        raise ValueError(f"{name}: found {word!r}, allowed {allowed}") from None
