"""The in-process API: the client's requests, for programs that run the engine themselves.

Owns the cached session of each user and delegates to its channel; used from the engine's Trio
loop by any number of tasks. Guarantees: a call takes the same way as a request over TCP, from
the sequencer to the log; its deadline (default 100 ms) covers everything after the session is
attached. Integers only: ticks, lots, atoms. Relies on RequestChannel for ids and answers.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Concatenate, Final, ParamSpec, TypeVar

import trio

from hpe.client.reconnect import log_out
from hpe.client.requests import RequestChannel
from hpe.client.results import Result
from hpe.client.retrying import WITHIN_S, retry
from hpe.errors import ConnectionLost, NotConnected, ReplyTimeout
from hpe.local_connection import LocalConnection
from hpe.net.delivery.switchboard import Switchboard

LOGGER: Final = logging.getLogger("hpe.inprocess")

_STAYS: Final = "session %d stays: %s"

_P = ParamSpec("_P")
_R = TypeVar("_R")


def _as_user(
    method: Callable[Concatenate[RequestChannel, _P], Awaitable[_R]],
) -> Callable[Concatenate[InProcessApi, int, _P], Awaitable[_R]]:
    """Make the twin of a method of RequestChannel that goes out by a user's cached session."""

    async def call(
        self: InProcessApi, session_user: int, /, *args: _P.args, **kwargs: _P.kwargs
    ) -> _R:
        return await method(await self.channel(session_user), *args, **kwargs)

    own = [*inspect.signature(call).parameters.values()][:2]
    further = [*inspect.signature(method).parameters.values()][1:]
    call.__signature__ = inspect.Signature([*own, *further])  # type: ignore[attr-defined]  # help() reads it
    call.__name__ = method.__name__
    call.__doc__ = method.__doc__
    return call


class InProcessApi:
    """What HighPerformanceEngine offers to the program around it.

    Every request is RequestChannel's method of that name with the user whose session sends it in
    front: `await engine.submit_order(7, instrument, Side.BUY, 3, 100)`. It raises what that
    raises: OrderRejected, RequestRefused, ReplyTimeout (outcome unknown: `outcome`, `retry`),
    NotConnected, ConnectionLost.
    """

    def __init__(self, request_timeout_s: float) -> None:
        self._request_timeout_s = request_timeout_s
        self._cached: dict[int, LocalConnection] = {}
        self._local_switchboard: Switchboard | None = None

    def _open_door(self, switchboard: Switchboard) -> None:
        self._local_switchboard = switchboard

    def _log_out_cached(self) -> None:
        """Close the cached sessions for good: nobody outside knows their ids."""
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
        self, user: int, *, session_id: int = 0, window: int = 0, keep_session: bool = False
    ) -> AsyncIterator[RequestChannel]:
        """Attach a session of its own, as a TCP client would, and return its channel.

        It is logged out when the block is left without an exception and nothing is unanswered.

        Args:
            user: whose session.
            session_id: an earlier session to resume, 0 for a new one.
            window: commands in flight, 0 for the default.
            keep_session: do not log out: `session_id` takes it up again.

        Raises:
            RequestRefused: the session is refused.
        """
        local = self._new_connection()
        try:
            local.log_on(user, session_id, window)
            channel = await local.wait_channel()
            yield channel
            if not (keep_session or channel.unanswered or channel.failure or channel.logged_out):
                await log_out(channel, lambda why: LOGGER.info(_STAYS, channel.session_id, why))
        finally:
            local.close(ConnectionLost("the session was left"))

    async def channel(self, user: int) -> RequestChannel:
        """Return the user's cached channel, attaching its session on first use.

        Raises:
            NotConnected: the session was not attached within the deadline; nothing was sent.
        """
        local = self._cached.get(user)
        if local is None or local.closed:
            local = self._cached[user] = self._new_connection()
            local.log_on(user)
        with trio.move_on_after(self._request_timeout_s):
            return await local.wait_channel()
        raise NotConnected(
            f"the session of user {user} is not attached yet, after {self._request_timeout_s:g} s; "
            "nothing was sent"
        )

    async def outcome(self, error: ReplyTimeout) -> Result:
        """Ask how a command ended that ended in ReplyTimeout; as RequestChannel.outcome.

        Raises:
            ConnectionLost: its session has ended.
        """
        for local in self._cached.values():
            channel = local.channel
            if channel is not None and channel.session_id == error.session_id:
                return await channel.outcome(error)
        raise ConnectionLost(f"session {error.session_id} is none that this engine has open")

    async def retry(self, ask: Callable[[], Awaitable[_R]], *, within_s: float = WITHIN_S) -> _R:
        """Execute one request once, over time-outs and refusals that pass.

        Args:
            ask: makes the request; called again only if it was surely not executed.
            within_s: how long to go on; then the last error is raised.
        """
        return await retry(ask, self.outcome, within_s)

    # --- orders -------------------------------------------------------------------------------

    submit_order = _as_user(RequestChannel.submit_order)
    submit_oco = _as_user(RequestChannel.submit_oco)
    cancel_order = _as_user(RequestChannel.cancel_order)
    mass_cancel = _as_user(RequestChannel.mass_cancel)
    replace_order = _as_user(RequestChannel.replace_order)
    get_orderbook = _as_user(RequestChannel.get_orderbook)
    get_order = _as_user(RequestChannel.get_order)
    list_orders = _as_user(RequestChannel.list_orders)
    read_orders = _as_user(RequestChannel.read_orders)
    list_fills = _as_user(RequestChannel.list_fills)
    read_fills = _as_user(RequestChannel.read_fills)

    # --- money --------------------------------------------------------------------------------

    get_balance = _as_user(RequestChannel.get_balance)
    list_balances = _as_user(RequestChannel.list_balances)
    read_balances = _as_user(RequestChannel.read_balances)
    deposit = _as_user(RequestChannel.deposit)
    withdraw = _as_user(RequestChannel.withdraw)
    transfer = _as_user(RequestChannel.transfer)
    lock_balance = _as_user(RequestChannel.lock_balance)
    unlock_balance = _as_user(RequestChannel.unlock_balance)
    capture_hold = _as_user(RequestChannel.capture_hold)
    release_hold = _as_user(RequestChannel.release_hold)
    list_holds = _as_user(RequestChannel.list_holds)
    read_holds = _as_user(RequestChannel.read_holds)
    get_conservation = _as_user(RequestChannel.get_conservation)

    # --- markets ------------------------------------------------------------------------------

    add_asset = _as_user(RequestChannel.add_asset)
    list_assets = _as_user(RequestChannel.list_assets)
    add_instrument = _as_user(RequestChannel.add_instrument)
    list_instruments = _as_user(RequestChannel.list_instruments)
    resolve_instrument = _as_user(RequestChannel.resolve_instrument)
    get_instrument = _as_user(RequestChannel.get_instrument)
    set_status = _as_user(RequestChannel.set_status)
    uncross = _as_user(RequestChannel.uncross)
    set_fees = _as_user(RequestChannel.set_fees)
    delist_asset = _as_user(RequestChannel.delist_asset)
    delist_instrument = _as_user(RequestChannel.delist_instrument)
    block_user = _as_user(RequestChannel.block_user)
    get_state_hash = _as_user(RequestChannel.get_state_hash)
