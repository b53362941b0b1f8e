"""The in-process API: a client of the engine without a socket, and the sketch's methods on it.

Owns the in-process connections of one engine; used from the engine's Trio loop by any number of
tasks. Guarantees: `client` yields the same kind of client as `hpe.connect`, and its calls go the
same way, from the sequencer to the log; its deadline (default 100 ms) covers everything after the
session is attached; the engine's end ends them all. Relies on LocalConnection for the transport.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Concatenate, ParamSpec, TypeVar

import trio

from hpe.client.client import Client, opened
from hpe.client.options import check_options
from hpe.client.retrying import WITHIN_S, retry
from hpe.errors import ConnectionLost, NotConnected, ReplyTimeout
from hpe.local_connection import LocalConnection
from hpe.net.delivery.switchboard import Switchboard

_P = ParamSpec("_P")
_R = TypeVar("_R")


def _as_user(
    method: Callable[Concatenate[Client, _P], Awaitable[_R]],
) -> Callable[Concatenate[InProcessApi, int, _P], Awaitable[_R]]:
    """Return a method like one of Client's calls that sends from a user's cached session."""

    async def call(
        self: InProcessApi, session_user: int, /, *args: _P.args, **kwargs: _P.kwargs
    ) -> _R:
        return await method(await self._client_of(session_user), *args, **kwargs)

    own = [*inspect.signature(call).parameters.values()][:2]
    further = [*inspect.signature(method).parameters.values()][1:]
    call.__signature__ = inspect.Signature([*own, *further])  # type: ignore[attr-defined]  # help() reads it
    call.__name__ = method.__name__
    call.__doc__ = method.__doc__
    return call


class InProcessApi:
    """The API that HighPerformanceEngine offers to the program around it.

    `client` has every call of `hpe.connect`. The sketch's methods are calls of such a client,
    preceded by the user whose session sends them: `await engine.submit_order(7, "BTC/USD", "buy",
    3, 100)`. They raise what those calls raise: OrderRejected, RequestRefused, ReplyTimeout
    (outcome unknown: `outcome`, `retry`), NotConnected, ConnectionLost.
    """

    def __init__(self, request_timeout_s: float) -> None:
        self._request_timeout_s = request_timeout_s
        self._cached: dict[int, LocalConnection] = {}
        self._blocks: set[LocalConnection] = set()
        self._local_switchboard: Switchboard | None = None

    def _open_door(self, switchboard: Switchboard) -> None:
        self._local_switchboard = switchboard

    def _log_out_cached(self) -> None:
        """Close the cached sessions for good: no other code knows their ids."""
        for local in self._cached.values():
            local.log_out()

    def _close_door(self) -> None:
        """Fail waiting and later requests: the engine has stopped."""
        self._local_switchboard = None
        for local in (*self._cached.values(), *self._blocks):
            local.close(ConnectionLost("the engine has stopped"))

    def _open_switchboard(self) -> Switchboard:
        if self._local_switchboard is None:
            raise ConnectionLost("the engine is not running: nothing was sent")
        return self._local_switchboard

    @contextlib.asynccontextmanager
    async def client(
        self,
        *,
        user: int,
        session_id: int = 0,
        window: int = 0,
        timeout_s: float | None = None,
        keep_session: bool = False,
    ) -> AsyncIterator[Client]:
        """Attach a session for the length of a block: like `hpe.connect`, without a socket.

        It is logged out when the block is left without an exception and with nothing unanswered.

        Args:
            user: the session's user.
            session_id: an earlier session to resume, 0 for a new one.
            window: requests that may be unanswered, 0 for the default.
            timeout_s: deadline of every request; None: the setting request_timeout_ms.
            keep_session: do not log out; the session can be resumed by its `session_id`.

        Raises:
            RequestRefused: the session is refused.
            ConnectionLost: the engine is not running.
            TypeError: and ValueError: an option is of another type, or out of its range.
        """
        patience_s = self._request_timeout_s if timeout_s is None else timeout_s
        check_options(
            user,
            {
                "session_id": session_id,
                "window": window,
                "timeout_s": patience_s,
                "keep_session": keep_session,
            },
        )
        switchboard = self._open_switchboard()
        local = LocalConnection(switchboard, user, patience_s, session_id, window)
        self._blocks.add(local)
        try:
            async with opened(local, keep=keep_session) as client:
                yield client
        finally:
            self._blocks.discard(local)
            local.close(ConnectionLost("the client was left"))

    async def outcome(self, error: ReplyTimeout) -> object:
        """Return the outcome of a command that raised ReplyTimeout; as Client.outcome.

        Raises:
            ConnectionLost: its session has ended.
        """
        for local in self._cached.values():
            session = local.client_session
            if session is not None and session.requests.session_id == error.session_id:
                return await session.outcome(error)
        raise ConnectionLost(f"this engine has no open session {error.session_id}")

    async def retry(self, ask: Callable[[], Awaitable[_R]], *, within_s: float = WITHIN_S) -> _R:
        """Execute one request once, repeating it after timeouts and temporary refusals.

        Args:
            ask: makes the request; called again only if it was certainly not executed.
            within_s: how long to keep trying; then the last error is raised.
        """
        return await retry(ask, self.outcome, within_s)

    submit_order = _as_user(Client.submit_order)
    cancel_order = _as_user(Client.cancel_order)
    get_orderbook = _as_user(Client.get_orderbook)
    lock_balance = _as_user(Client.lock_balance)
    unlock_balance = _as_user(Client.unlock_balance)
    get_balance = _as_user(Client.get_balance)

    async def _client_of(self, user: int) -> Client:
        """Return a client of the user's cached session, attaching it on first use.

        Raises:
            NotConnected: the session was not attached within the deadline; nothing was sent.
        """
        local = self._cached.get(user)
        if local is None or local.closed:
            check_options(user, {})
            switchboard = self._open_switchboard()
            local = LocalConnection(switchboard, user, self._request_timeout_s)
            self._cached[user] = local
        with trio.move_on_after(self._request_timeout_s):
            return Client(await local.wait_session())
        raise NotConnected(
            f"the session of user {user} is not attached yet, after {self._request_timeout_s:g} s; "
            "nothing was sent"
        )
