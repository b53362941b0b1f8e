"""The client library for scripts and notebooks: the same methods, each waits for its result.

Owns one background thread per client, which runs a Trio loop with an ordinary Client in it.
Any thread may call (not from inside a Trio task: a blocking call would stop its loop).
Guarantees: leaving the `with` block ends the connection, the loop and the thread, in that
order; an error is the same exception as the asynchronous client's.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from typing import Any, Concatenate, Generic, NamedTuple, ParamSpec, Self, TypeVar, Unpack

import trio

from hpe.messages import Welcome
from hpe.net.client import Client, ConnectOptions, connect
from hpe.net.subscriptions import Stream

_P = ParamSpec("_P")
_R = TypeVar("_R")
_S = TypeVar("_S", bound=Stream)


def _blocking(
    method: Callable[Concatenate[Client, _P], Awaitable[_R]],
) -> Callable[Concatenate[SyncClient, _P], _R]:
    """Make the blocking twin of a method of Client."""

    @functools.wraps(method)
    def call(self: SyncClient, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        return self.run(functools.partial(method, self.client, *args, **kwargs))

    return call


class SyncStream(Generic[_S]):
    """A stream of a client, for blocking code: iterate over it, wait for a change, look into it.

    Example: `with client.book("BTC/USD") as book: bids = book.look(lambda book: book.bids)`.
    """

    def __init__(self, client: SyncClient, stream: _S) -> None:
        self._client = client
        self._stream: Any = stream

    def __iter__(self) -> Self:
        """Iterate over private events or trades, without an end."""
        return self

    def __next__(self) -> Any:
        """Give the next event or trade; raises what the stream's `__anext__` does."""
        return self._client.run(self._stream.__anext__)

    def changed(self) -> None:
        """Wait until a book, best prices or a status changed."""
        self._client.run(self._stream.changed)

    def look(self, function: Callable[[_S], _R]) -> _R:
        """Run a function on the stream in the client's loop, where nothing changes meanwhile."""

        async def call() -> _R:
            return function(self._stream)

        return self._client.run(call)


def _followed(
    method: Callable[Concatenate[Client, _P], AbstractAsyncContextManager[_S]],
) -> Callable[Concatenate[SyncClient, _P], AbstractContextManager[SyncStream[_S]]]:
    """Make the blocking twin of a method of Client that gives a stream."""

    @functools.wraps(method)
    @contextmanager
    def follow(
        self: SyncClient, /, *args: _P.args, **kwargs: _P.kwargs
    ) -> Iterator[SyncStream[_S]]:
        # Entered and left by different tasks: it holds neither a nursery nor a cancel scope.
        manager = method(self.client, *args, **kwargs)
        stream = self.run(manager.__aenter__)
        try:
            yield SyncStream(self, stream)
        finally:
            self.run(functools.partial(manager.__aexit__, None, None, None))

    return follow


class SyncClient:
    """A Client whose methods block. Made by `connect_sync`.

    `client` is the asynchronous one; it may be used only through `run`.
    """

    def __init__(self, client: Client, token: trio.lowlevel.TrioToken) -> None:
        self.client = client
        self._token = token

    @property
    def session_id(self) -> int:
        """What `connect_sync` takes to go on with this session."""
        return self.client.session_id

    @property
    def welcome(self) -> Welcome:
        """What the server said at the newest logon."""
        return self.client.welcome

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return bool(self.client.connected.value)

    @property
    def reconnects(self) -> int:
        """How many connections followed the first."""
        return self.client.reconnects

    @property
    def failure(self) -> Exception | None:
        """Why this client has ended; None while it goes on."""
        return self.client.failure

    def run(self, function: Callable[[], Awaitable[_R]]) -> _R:
        """Run an async function in the client's loop, for what has no method here.

        Example: `client.run(lambda: client.client.requests.add_asset("BTC", 8))`.

        Raises:
            trio.RunFinishedError: the `with` block was left.
        """
        return trio.from_thread.run(function, trio_token=self._token)

    list_assets = _blocking(Client.list_assets)
    list_instruments = _blocking(Client.list_instruments)
    asset = _blocking(Client.asset)
    instrument = _blocking(Client.instrument)

    submit_order = _blocking(Client.submit_order)
    submit_oco = _blocking(Client.submit_oco)
    cancel_order = _blocking(Client.cancel_order)
    mass_cancel = _blocking(Client.mass_cancel)
    replace_order = _blocking(Client.replace_order)
    get_orderbook = _blocking(Client.get_orderbook)
    get_order = _blocking(Client.get_order)
    list_orders = _blocking(Client.list_orders)
    list_fills = _blocking(Client.list_fills)
    read_fills = _blocking(Client.read_fills)

    get_balance = _blocking(Client.get_balance)
    list_balances = _blocking(Client.list_balances)
    deposit = _blocking(Client.deposit)
    withdraw = _blocking(Client.withdraw)
    transfer = _blocking(Client.transfer)
    lock_balance = _blocking(Client.lock_balance)
    unlock_balance = _blocking(Client.unlock_balance)
    capture_hold = _blocking(Client.capture_hold)
    release_hold = _blocking(Client.release_hold)
    list_holds = _blocking(Client.list_holds)
    get_conservation = _blocking(Client.get_conservation)

    get_instrument = _blocking(Client.get_instrument)
    set_status = _blocking(Client.set_status)
    uncross = _blocking(Client.uncross)
    set_fees = _blocking(Client.set_fees)
    block_user = _blocking(Client.block_user)
    get_state_hash = _blocking(Client.get_state_hash)

    private_events = _followed(Client.private_events)
    book = _followed(Client.book)
    orders_book = _followed(Client.orders_book)
    best = _followed(Client.best)
    trades = _followed(Client.trades)
    status = _followed(Client.status)

    server_info = _blocking(Client.server_info)
    ping = _blocking(Client.ping)
    logout = _blocking(Client.logout)


class _Started(NamedTuple):
    client: Client
    token: trio.lowlevel.TrioToken
    stop: trio.Event


@contextmanager
def connect_sync(
    address: str | None = None, *, user: int, **options: Unpack[ConnectOptions]
) -> Iterator[SyncClient]:
    """Open a session for scripts and notebooks; arguments and errors are `connect`'s."""
    open_client = functools.partial(connect, address, user=user, **options)
    started: Future[_Started] = Future()

    async def main() -> None:
        async with open_client() as client:
            stop = trio.Event()
            started.set_result(_Started(client, trio.lowlevel.current_trio_token(), stop))
            await stop.wait()

    with ThreadPoolExecutor(1, thread_name_prefix="hpe-client") as executor:
        running = executor.submit(trio.run, main)
        either: list[Future[Any]] = [started, running]
        wait(either, return_when=FIRST_COMPLETED)
        if running.done():
            running.result()
        client, token, stop = started.result()
        try:
            yield SyncClient(client, token)
        finally:
            token.run_sync_soon(stop.set)
            running.result()
