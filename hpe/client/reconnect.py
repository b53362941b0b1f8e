"""Keeping one session connected: what happens when a connection ends.

Owns the connections of a client, one after the other; one task runs `run`. Guarantees: whatever can
be repeated is repeated on the next connection before anything new (channel.py), and streams begin
again (subscriptions.py); a refusal that another attempt cannot change ends the client, with the
reason, except `session_replaced` if an earlier attempt of this client took the session. Relies on
the server's `retryable` for which refusals these are.
"""

from __future__ import annotations

import logging
from typing import Final, NamedTuple

from hpe.client import aio
from hpe.client.backoff import Backoff
from hpe.client.dialer import Dialer
from hpe.client.link import Link
from hpe.client.session import ClientSession
from hpe.errors import AcknowledgedLost, ConnectionLost, HpeError, RequestRefused
from hpe.protocol.codes import ErrorCode

LOGGER: Final = logging.getLogger("hpe.client")


class SessionTerms(NamedTuple):
    """What a client requests for its session.

    Attributes:
        user: the session's user.
        session_id: the session to resume; 0 opens a new one.
        window: requests that may be unanswered; 0 leaves it to the server.
        timeout_s: deadline of every request.
        answered_request_id: highest command id that was answered before.
    """

    user: int
    session_id: int
    window: int
    timeout_s: float
    answered_request_id: int


class Reconnector:
    """The life of a session's connections.

    Args:
        dialer: opens connections.
        backoff: the waits between attempts; None: there is only the first connection.
        terms: what the client requests for its session.
    """

    def __init__(self, dialer: Dialer, backoff: Backoff | None, terms: SessionTerms) -> None:
        self._dialer = dialer
        self._backoff = backoff
        self._terms = terms

    async def run(self, task_status: aio.TaskStatus[ClientSession]) -> None:
        """Make the first connection, then the following ones, until the client has ended.

        It reports start with the session that the first one attached.

        Raises:
            ConnectionLost: the first one could not be made; and whatever else Dialer.open raises.
            AcknowledgedLost: the server forgot commands that it had answered.
        """
        terms = self._terms
        async with self._dialer.open(terms.session_id, terms.window) as (link, welcome):
            if welcome.last_request_id < terms.answered_request_id:
                lost = range(welcome.last_request_id + 1, terms.answered_request_id + 1)
                raise AcknowledgedLost(lost)
            session = ClientSession(link.send, terms.user, welcome, terms.timeout_s)
            task_status.started(session)
            reason = await self._serve(session, link)
        while (backoff := self._backoff) is not None and not self._final(session, reason):
            session.requests.suspend(reason)
            session.subscriptions.suspend()
            await aio.sleep(backoff.next_s())
            reason = await self._reconnect(session)
        session.end(reason)

    async def _serve(self, session: ClientSession, link: Link) -> HpeError:
        begin_s = aio.current_time()
        reason = await link.serve(session.requests)
        if self._backoff is not None:
            self._backoff.worked(aio.current_time() - begin_s)
        return reason

    async def _reconnect(self, session: ClientSession) -> HpeError:
        """Make one attempt and serve the connection; return why it ended."""
        requests = session.requests
        session_id = 0 if session.forgotten else requests.session_id
        try:
            async with self._dialer.open(session_id, requests.window_max) as (link, welcome):
                window = session.window_of(welcome)
                requests.resume(link.send, welcome.last_request_id, window)
                requests.session_id = welcome.session_id
                session.welcome = welcome
                session.reconnects += 1
                session.subscriptions.resume()
                reason = await self._serve(session, link)
        except HpeError as error:
            reason = error
        return reason

    def _final(self, session: ClientSession, reason: HpeError) -> bool:
        if session.requests.logged_out:
            return True
        if isinstance(reason, RequestRefused):
            if reason.code == ErrorCode.SESSION_REPLACED and self._dialer.abandoned():
                LOGGER.info("an attempt that was given up took the session late: connecting again")
                return False
            return not reason.retryable
        # Any other error is not a lost connection: a server of another protocol, a session that
        # forgot answered commands or that another client used.
        return not isinstance(reason, ConnectionLost)
