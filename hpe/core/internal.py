"""Internal commands: what the service itself tells the core, logged like any command.

Part of the deterministic core. They come from connection 0: connections that take and leave
sessions, the timer, the configuration, and the continuation of unfinished work.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

from hpe.core.context.command import Context
from hpe.core.context.effort import REVOKED
from hpe.core.contract import RoomLimit
from hpe.core.output.private_reports import PrivateFeed
from hpe.core.routing import InternalHandler
from hpe.core.sessions.registry import Sessions
from hpe.core.trading.configuring import configure
from hpe.core.trading.exchange import Exchange
from hpe.protocol.base import Request
from hpe.protocol.codes import ErrorCode
from hpe.protocol.enums import Role
from hpe.protocol.flags import LOGOUT_KEEP_ORDERS
from hpe.protocol.internal import (
    Configure,
    ConfigureResponse,
    Continue,
    ContinueResponse,
    InternalResponse,
    KeysValid,
    KeysValidResponse,
    SessionAttached,
    SessionAttachedResponse,
    SessionClosed,
    SessionClosedResponse,
    SessionDetached,
    Tick,
    TickResponse,
)

CONTINUE_MARKET: Final = 1
CONTINUE_CLOSING: Final = 2
"""The request id of a `continue` says what continues: an instrument, or the closing of sessions."""


class InternalCommands:
    """Executes internal commands.

    Args:
        exchange: the exchange whose timers, orders and configuration they change.
        sessions: the sessions of all clients.
        feed: knows the private sequences that `welcome` contains.
    """

    def __init__(self, exchange: Exchange, sessions: Sessions, feed: PrivateFeed) -> None:
        self._exchange = exchange
        self._sessions = sessions
        self._feed = feed
        self.handlers: dict[type[Request], InternalHandler] = {
            SessionAttached: self._session_attached,
            SessionDetached: self._session_detached,
            SessionClosed: self._session_closed,
            Tick: self._tick,
            Configure: self._configure,
            Continue: self._go_on,
            KeysValid: self._keys_valid,
        }

    def _session_attached(
        self, context: Context, command: SessionAttached
    ) -> SessionAttachedResponse:
        result = self._sessions.attach(command, context.time_ns)
        number, sequence = command.request_id, context.sequence
        if isinstance(result, ErrorCode | RoomLimit):
            error, limit = result, 0
            if isinstance(result, RoomLimit):
                error, limit = ErrorCode.TOO_MANY_SESSIONS, result
            return SessionAttachedResponse(
                number, 0, sequence, error, command.session_id, 0, 0, 0, limit
            )
        self._exchange.disconnects.back(context, result.session_id)
        return SessionAttachedResponse(
            number, 0, sequence, 0, result.session_id, result.window, result.last_request_id,
            # A market-data key may name any user, but must not learn whether it has reports.
            0 if result.role is Role.MARKET_DATA else self._feed.last(result.user),
            time_ns=context.time_ns,
        )  # fmt: skip

    def _session_detached(self, context: Context, command: SessionDetached) -> InternalResponse:
        session = self._sessions.detach(command.session_id, command.attach_number, context.time_ns)
        if session is not None:
            self._exchange.disconnects.lost(context, session.session_id, session.grace_ns)
        return InternalResponse(command.request_id, 0, context.sequence)

    def _session_closed(self, context: Context, command: SessionClosed) -> InternalResponse:
        if self._sessions.close(command.session_id, command.attach_number):
            if command.flags & LOGOUT_KEEP_ORDERS:
                self._exchange.disconnects.left_for_good(command.session_id)
            else:
                self._exchange.disconnects.lost(context, command.session_id, 0)
        return SessionClosedResponse(command.request_id, 0, context.sequence)

    def _tick(self, context: Context, command: Tick) -> InternalResponse:
        return TickResponse(command.request_id, 0, context.sequence)

    def _go_on(self, context: Context, command: Continue) -> InternalResponse:
        if command.request_id == CONTINUE_CLOSING:
            self._close_revoked(context)
        else:
            self._exchange.market.go_on(context)
        return ContinueResponse(command.request_id, 0, context.sequence)

    def _configure(self, context: Context, command: Configure) -> InternalResponse:
        configure(self._exchange, context, command)
        self._sessions.set_times(command.session_expiry_ns, command.session_keep_ns)
        return ConfigureResponse(command.request_id, 0, context.sequence)

    def _keys_valid(self, context: Context, command: KeysValid) -> InternalResponse:
        self._sessions.set_keys({key.number: key.role for key in command.keys})
        self._close_revoked(context)
        return KeysValidResponse(command.request_id, 0, context.sequence)

    def _close_revoked(self, context: Context) -> None:
        """Forget sessions whose key was revoked; they get no grace."""
        exchange = self._exchange
        for session_id in list(islice(self._sessions.revoked, exchange.limits.revocations)):
            self._sessions.revoke(session_id)
            exchange.market.effort.charge(REVOKED)
            exchange.disconnects.back(context, session_id)
            exchange.disconnects.lost(context, session_id, 0)
