"""The client library for scripts and notebooks: the same calls, blocking.

Each client has one background thread (sync_loop.py), which runs a Trio loop with an ordinary Client
in it. Any thread may call it (but not from inside a Trio task: a blocking call would stop its
loop). Guarantees: leaving the `with` block ends the connection, the loop and the thread, in that
order; an error is the same exception as the asynchronous client's; Ctrl-C interrupts every call,
and an event that a stream had for an interrupted call is returned by the next one.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TypeVar, Unpack

from hpe.client.blocking import Blocking
from hpe.client.client import AnyClient, Client, connect
from hpe.client.options import ConnectOptions, check_options
from hpe.client.retrying import WITHIN_S, retry_blocking
from hpe.client.sync_loop import ClientLoop

_R = TypeVar("_R")


class SyncClient(AnyClient, Blocking):
    """A Client whose calls block. Made by `connect_sync`.

    `client` is the asynchronous one; it may be used only through `run`.
    """

    client: Client

    def __init__(self, loop: ClientLoop) -> None:
        super().__init__(loop.client.session)
        self.client = loop.client
        self._loop = loop

    @property
    def connected(self) -> bool:
        """True if there is a connection now."""
        return bool(self.client.connected.value)

    def run(self, function: Callable[[], Awaitable[_R]]) -> _R:
        """Run an async function in the client's loop, for what has no method here.

        Example: `client.run(lambda: client.client.requests.call(GetStateHash(0)))`.

        Raises:
            ConnectionLost: the `with` block was left.
        """
        return self._loop.call(function)

    def retry(self, ask: Callable[[], _R], *, within_s: float = WITHIN_S) -> _R:
        """Execute one request once, despite timeouts, lost connections and restarts.

        Example: `order = client.retry(lambda: client.submit_order("BTC/USD", "buy", 1))`.

        Args:
            ask: makes the request; called again only if it was certainly not executed.
            within_s: how long to keep trying; then the last error is raised, and a ReplyTimeout
                says that the outcome is still unknown.

        Raises:
            TypeError: `ask` is not a function.
        """
        return retry_blocking(ask, self.outcome, within_s)


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
