"""The client library for scripts and notebooks: the same methods, each waits for its result.

Each client has one background thread (sync_loop.py), which runs a Trio loop with an ordinary Client
in it. Any thread may call (not from inside a Trio task: a blocking call would stop its loop).
Guarantees: leaving the `with` block ends the connection, the loop and the thread, in that order;
an error is the same exception as the asynchronous client's; Ctrl-C interrupts every call, and what
a stream had for it then is given to the next one.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, Unpack

from hpe.client.client import Client, connect
from hpe.client.options import ConnectOptions, check_options
from hpe.client.retrying import WITHIN_S, retry_blocking
from hpe.client.subscriptions import Stream
from hpe.client.sync_loop import ClientLoop
from hpe.errors import ReplyTimeout
from hpe.protocol.control import Welcome

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
        # What came and was not given out yet, because the caller was interrupted.
        self._taken: deque[Any] = deque()
        self._changed = False

    def __iter__(self) -> Self:
        """Iterate over private events or trades, without an end."""
        return self

    def __next__(self) -> Any:
        """Return the next event or trade; raises what the stream's `__anext__` does."""
        try:
            while not self._taken:
                self._client.run(self._take)
        except StopAsyncIteration:
            raise StopIteration from None
        return self._taken.popleft()

    async def _take(self) -> None:
        self._taken.append(await self._stream.__anext__())

    def changed(self) -> None:
        """Wait until a book, best prices or a status changed."""
        while not self._changed:
            self._client.run(self._wait_changed)
        self._changed = False

    async def _wait_changed(self) -> None:
        await self._stream.changed()
        self._changed = True

    def __getattr__(self, name: str) -> Any:
        """Raise AttributeError; of what the stream itself has, saying how it is read."""
        text = f"{type(self).__name__!r} object has no attribute {name!r}"
        stream = self.__dict__.get("_stream")
        if not name.startswith("_") and (hasattr(type(stream), name) or name in vars(stream)):
            text += f"; read it where nothing changes meanwhile: look(lambda stream: stream.{name})"
        raise AttributeError(text, name=name, obj=self)

    def look(self, function: Callable[[_S], _R]) -> _R:
        """Run a function on the stream in the client's loop, where nothing changes meanwhile."""

        async def call() -> _R:
            return function(self._stream)

        return self._client.run(call)


class _Following(Generic[_S]):
    """A stream for the length of a `with` block.

    No generator: one that was forgotten would be ended with the interpreter, when no loop runs.
    """

    def __init__(self, client: SyncClient, manager: AbstractAsyncContextManager[_S]) -> None:
        self._client = client
        # Entered and left by different tasks: it holds neither a nursery nor a cancel scope.
        self._manager = manager
        self._stream: _S | None = None

    def __enter__(self) -> SyncStream[_S]:
        """Begin the stream."""
        try:
            self._client.run(self._begin)
        except BaseException:
            if self._stream is not None:  # interrupted when it had just begun
                self._client.run(self._end)
            raise
        assert self._stream is not None
        return SyncStream(self._client, self._stream)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the stream."""
        self._client.run(self._end)

    async def _begin(self) -> None:
        self._stream = await self._manager.__aenter__()

    async def _end(self) -> None:
        await self._manager.__aexit__(None, None, None)


def _followed(
    method: Callable[Concatenate[Client, _P], AbstractAsyncContextManager[_S]],
) -> Callable[Concatenate[SyncClient, _P], AbstractContextManager[SyncStream[_S]]]:
    """Make the blocking twin of a method of Client that gives a stream."""

    @functools.wraps(method)
    def follow(
        self: SyncClient, /, *args: _P.args, **kwargs: _P.kwargs
    ) -> AbstractContextManager[SyncStream[_S]]:
        return _Following(self, method(self.client, *args, **kwargs))

    return follow


class SyncClient:
    """A Client whose methods block. Made by `connect_sync`.

    `client` is the asynchronous one; it may be used only through `run`.
    """

    def __init__(self, loop: ClientLoop) -> None:
        self.client = loop.client
        self._loop = loop

    @property
    def session_id(self) -> int:
        """Return the id with which `connect_sync` resumes this session."""
        return self.client.session_id

    @property
    def welcome(self) -> Welcome:
        """Return the welcome of the newest logon."""
        return self.client.welcome

    @property
    def connected(self) -> bool:
        """True if there is a connection now."""
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
            ConnectionLost: the `with` block was left.
        """
        return self._loop.call(function)

    outcome = _blocking(Client.outcome)

    def retry(self, ask: Callable[[], _R], *, within_s: float = WITHIN_S) -> _R:
        """Execute one request once, over time-outs, lost connections and restarts.

        Example: `order = client.retry(lambda: client.submit_order("BTC/USD", "buy", 1))`.

        Args:
            ask: makes the request; called again only if it was surely not executed.
            within_s: how long to go on; then the last error is raised, and a ReplyTimeout says
                that the outcome is still unknown.

        Raises:
            TypeError: `ask` is no function.
        """
        return retry_blocking(ask, self._outcome, within_s)

    def _outcome(self, error: ReplyTimeout) -> object:
        return self.outcome(error)

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
    delist_asset = _blocking(Client.delist_asset)
    delist_instrument = _blocking(Client.delist_instrument)
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


class _Connection:
    """A blocking client for the length of a `with` block."""

    def __init__(self, loop: ClientLoop) -> None:
        self._loop = loop

    def __enter__(self) -> SyncClient:
        """Connect."""
        self._loop.start()
        return SyncClient(self._loop)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the connection, the loop and the thread."""
        self._loop.leave(failed=kind is not None)


def connect_sync(
    address: str | None = None, *, user: int, **options: Unpack[ConnectOptions]
) -> AbstractContextManager[SyncClient]:
    """Open a session for scripts and notebooks; arguments and errors are `connect`'s."""
    check_options(user, options)
    return _Connection(ClientLoop(functools.partial(connect, address, user=user, **options)))
