"""The requests of a session, typed: integers in, small frozen results out.

Owns the whole of a session's requests; the themes are in requests_orders.py, requests_money.py
and requests_operations.py, what answers mean in results.py, the mechanics (ids, window,
deadlines) and their guarantees in channel.py. Used by the TCP client and by the in-process API,
from one Trio loop. Everything here is integers: ticks, lots, atoms.
"""

from __future__ import annotations

from typing import Final

from hpe.client import aio
from hpe.client.arguments import flag
from hpe.client.pending import Answer
from hpe.client.requests_money import MoneyRequests
from hpe.client.requests_operations import OperationRequests
from hpe.client.requests_orders import OrderRequests
from hpe.client.results import Result, expect, result_of
from hpe.errors import ConnectionLost, QueryTimeout, ReplyTimeout, RequestRefused
from hpe.protocol.base import Request
from hpe.protocol.codes import ErrorCode, RejectReason
from hpe.protocol.control import LoggedOut, Logout, Ping, Pong, ServerInfo, ServerInfoReply
from hpe.protocol.flags import LOGOUT_KEEP_ORDERS

_UNLISTED: Final = (RejectReason.UNKNOWN_INSTRUMENT, RejectReason.UNKNOWN_ASSET)


class RequestChannel(OrderRequests, MoneyRequests, OperationRequests):
    """Every request of the protocol as a method; construction is SessionChannel's."""

    async def call(self, request: Request) -> Answer:
        """Call as SessionChannel does, and report when what a request names is not listed."""
        answer = await super().call(request)
        if getattr(answer.response, "reason", 0) in _UNLISTED:
            self.on_unlisted()
        return answer

    async def outcome(self, error: ReplyTimeout) -> Result:
        """Ask how a command ended that ended in ReplyTimeout, one of the session's last `window`.

        Returns:
            Result: what the command's own method would have returned.

        Raises:
            OrderRejected: the command was rejected.
            RequestRefused: it was refused, and so never executed; or it is too old to be asked for.
            ReplyTimeout: no answer this time either.
            ValueError: of a query, or of another session.
            TypeError: no ReplyTimeout.
        """
        if not isinstance(error, ReplyTimeout):
            raise TypeError(
                f"outcome: found {type(error).__name__}, allowed the ReplyTimeout that a command "
                "ended in"
            )
        if isinstance(error, QueryTimeout):
            raise ValueError("outcome: found the time-out of a query, which has none: ask it again")
        if error.session_id != self.session_id:
            raise ValueError(
                f"outcome: found an error of session {error.session_id}, allowed one of this "
                f"session, {self.session_id}"
            )
        try:
            return result_of(await self.ask_again(error.request_id, error.frame))
        except ReplyTimeout as again:
            again.show = error.show
            raise

    async def server_info(self) -> ServerInfoReply:
        """Return the state of the service."""
        return expect(ServerInfoReply, await self.call(ServerInfo(0)))

    async def ping(self) -> float:
        """Return the seconds of a round trip to the connection, which the core takes no part in."""
        start = aio.current_time()
        expect(Pong, await self.call(Ping(0)))
        return aio.current_time() - start

    async def logout(self, *, keep_orders: bool = False) -> None:
        """Close the session for good: its remembered responses are forgotten.

        Args:
            keep_orders: leave the orders that a lost connection would cancel.
        """
        flags = LOGOUT_KEEP_ORDERS if flag("keep_orders", keep_orders) else 0
        try:
            expect(LoggedOut, await self.call(Logout(0, flags)))
        except ConnectionLost as error:
            # The answer was lost with a connection; the next one found the session closed.
            cause = error.__cause__
            if not (isinstance(cause, RequestRefused) and cause.code == ErrorCode.UNKNOWN_SESSION):
                raise
