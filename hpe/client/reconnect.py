"""Keeping one session connected: what happens when a connection ends.

Owns the connections of a client, one after the other; one task runs `run`. Guarantees: what can be
repeated is repeated on the next connection before anything new (channel.py), and streams begin
again (subscriptions.py); a refusal that another attempt cannot change ends the client, with the
reason; a session that is left with nothing unanswered is logged out, else its id is logged. Relies
on the server's word, `retryable`, for which refusals these are.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, NamedTuple

from hpe.client import aio
from hpe.client.backoff import Backoff
from hpe.client.dialer import Dialer
from hpe.client.link import Link
from hpe.client.requests import RequestChannel
from hpe.client.subscriptions import Subscriptions
from hpe.errors import AcknowledgedLost, ConnectionLost, HpeError, RequestError, RequestRefused
from hpe.protocol.control import Welcome
from hpe.protocol.enums import Role

LOGGER: Final = logging.getLogger("hpe.client")

LOGOUT_S: Final = 1.0
"""What a logout may take when a block is left: a few syncs; nobody waits longer for it."""

MARKET_DATA_WINDOW: Final = 64
"""Queries in flight of a session that has no window, because it has no commands."""


class SessionTerms(NamedTuple):
    """What a client wants of its session.

    Attributes:
        session_id: to take up again; 0 opens a new one.
        window: requests that may be unanswered; 0 leaves it to the server.
        timeout_s: deadline of every request.
        answered_request_id: highest command id that was answered before.
        keep_session: whether it stays when the client leaves.
    """

    session_id: int
    window: int
    timeout_s: float
    answered_request_id: int
    keep_session: bool


class Reconnector:
    """The life of a session's connections.

    Args:
        dialer: opens connections.
        backoff: between attempts; None: there is only the first connection.
        terms: of the session.

    Attributes:
        welcome: of the newest connection.
        requests: the session's requests.
        subscriptions: the session's streams.
        reconnects: how many connections followed the first.
    """

    welcome: Welcome
    requests: RequestChannel
    subscriptions: Subscriptions

    def __init__(self, dialer: Dialer, backoff: Backoff | None, terms: SessionTerms) -> None:
        self.reconnects = 0
        self._dialer = dialer
        self._backoff = backoff
        self._terms = terms

    async def run(self, task_status: aio.TaskStatus[None]) -> None:
        """Make the first connection, then those that follow it, until the client has ended.

        Raises:
            ConnectionLost: the first one could not be made; and whatever else Dialer.open raises.
            AcknowledgedLost: the server forgot commands that it had answered.
        """
        terms = self._terms
        async with self._dialer.open(terms.session_id, terms.window) as (link, welcome):
            if welcome.last_request_id < terms.answered_request_id:
                lost = range(welcome.last_request_id + 1, terms.answered_request_id + 1)
                raise AcknowledgedLost(lost)
            self._begin(link, welcome)
            task_status.started()
            reason = await self._serve(link)
        while (backoff := self._backoff) is not None and not self._final(reason):
            self.requests.suspend(reason)
            self.subscriptions.suspend()
            await aio.sleep(backoff.next_s())
            reason = await self._reconnect()
        self.end(reason)

    def _begin(self, link: Link, welcome: Welcome) -> None:
        self.welcome = welcome
        self.requests = RequestChannel(
            link.send,
            session_id=welcome.session_id,
            window=MARKET_DATA_WINDOW if _forgotten(welcome) else welcome.window,
            last_request_id=welcome.last_request_id,
            timeout_s=self._terms.timeout_s,
        )
        self.subscriptions = Subscriptions(self.requests)

    async def _serve(self, link: Link) -> HpeError:
        begin_s = aio.current_time()
        reason = await link.serve(self.requests)
        if self._backoff is not None:
            self._backoff.worked(aio.current_time() - begin_s)
        return reason

    async def _reconnect(self) -> HpeError:
        """Make one attempt and serve what it gave; return why it ended."""
        requests = self.requests
        session_id = 0 if _forgotten(self.welcome) else requests.session_id
        try:
            async with self._dialer.open(session_id, requests.window) as (link, welcome):
                requests.resume(link.send, welcome.last_request_id)
                requests.session_id = welcome.session_id
                self.welcome = welcome
                self.reconnects += 1
                self.subscriptions.resume()
                reason = await self._serve(link)
        except HpeError as error:
            reason = error
        return reason

    async def leave(self) -> None:
        """Log out, if nothing speaks against it: the block was left without an exception."""
        requests = self.requests
        if _forgotten(self.welcome) or requests.logged_out or requests.failure is not None:
            return
        if self._terms.keep_session:
            self.stay("keep_session was asked for")
        elif requests.unanswered:
            self.stay("a command has no answer yet")
        else:
            await log_out(requests, self.stay)

    def stay(self, why: str) -> None:
        """Log that the session stays, and how to resume it."""
        requests = self.requests
        if not (_forgotten(self.welcome) or requests.logged_out):
            LOGGER.info(
                "session %d stays (%s): resume it with session_id=%d",
                *(requests.session_id, why, requests.session_id),
            )

    def end(self, reason: HpeError) -> None:
        """End the client: whoever waits for something learns why it will not come."""
        self.requests.close(reason)
        self.subscriptions.end(reason)

    def _final(self, reason: HpeError) -> bool:
        if self.requests.logged_out:
            return True
        if isinstance(reason, RequestRefused):
            return not reason.retryable
        # All else is no accident of the connection: a server of another protocol, a session that
        # forgot answered commands or that somebody else used.
        return not isinstance(reason, ConnectionLost)


async def log_out(requests: RequestChannel, stay: Callable[[str], None]) -> None:
    """Log a session out that nobody needs any more, within LOGOUT_S; else tell why it stays."""
    with aio.move_on_after(LOGOUT_S) as patience:
        try:
            await requests.logout()
        except RequestError as error:
            stay(f"logging out failed: {error}")
    if patience.cancelled_caught:
        stay(f"logging out took longer than {LOGOUT_S:g} s")


def _forgotten(welcome: Welcome) -> bool:
    """True if the session ends with its connection: one of market data has nothing to repeat."""
    return welcome.role == Role.MARKET_DATA
