"""The session in which a client's calls are made: what they send, and how answers are converted.

Owns what all calls of one client share: its channel, its streams and what it knows of what is
listed. Used from one event loop; any number of tasks may call. Guarantees: errors about rejected or
refused calls, and about arguments out of range, use the caller's symbols and Decimals; a command
that ends in ReplyTimeout keeps the conversion of its result, for `outcome`; a session that is
left with nothing unanswered is logged out, otherwise its id is logged.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from hpe.client import aio
from hpe.client.arguments import OutOfRange
from hpe.client.channel import SessionChannel
from hpe.client.listings import KnownListings
from hpe.client.pending import Answer
from hpe.client.results import expect, result_of
from hpe.client.scales import AssetView, InstrumentView
from hpe.client.subscriptions import Subscriptions
from hpe.client.words import reword
from hpe.errors import (
    ConnectionLost,
    HpeError,
    OrderRejected,
    QueryTimeout,
    ReplyTimeout,
    RequestError,
    RequestRefused,
)
from hpe.protocol.base import Reply, Request
from hpe.protocol.codes import ErrorCode, RejectReason
from hpe.protocol.control import LoggedOut, Logout, Welcome
from hpe.protocol.enums import Role

LOGGER: Final = logging.getLogger("hpe.client")

LOGOUT_S: Final = 1.0
"""Deadline of the logout when a block is left: enough for a few syncs."""

MARKET_DATA_WINDOW: Final = 64
"""Queries in flight of a session that has no window, because it sends no commands."""

_UNLISTED: Final = (RejectReason.UNKNOWN_INSTRUMENT, RejectReason.UNKNOWN_ASSET)

_A = TypeVar("_A")
_T = TypeVar("_T", bound=Reply)
_V = TypeVar("_V")


class ClientSession:
    """One session of a client.

    Args:
        send: takes one whole frame for the server; must not block or raise.
        user: the session's user.
        welcome: the welcome of the first connection.
        timeout_s: deadline of every request.

    Attributes:
        requests: the session's requests in the integers of the wire, with pipelining.
        subscriptions: the session's streams.
        listings: what this client knows of what is listed.
        welcome: the welcome of the newest connection.
        reconnects: number of connections after the first.
    """

    def __init__(
        self, send: Callable[[bytes], None], user: int, welcome: Welcome, timeout_s: float
    ) -> None:
        self.user = user
        self.welcome = welcome
        self.reconnects = 0
        self.requests = SessionChannel(
            send,
            session_id=welcome.session_id,
            window=self.window_of(welcome),
            last_request_id=welcome.last_request_id,
            timeout_s=timeout_s,
        )
        self.subscriptions = Subscriptions(self.requests)
        self.listings = KnownListings(self.requests)

    @property
    def forgotten(self) -> bool:
        """True if it ends with its connection: a market-data session repeats nothing."""
        return self.welcome.role == Role.MARKET_DATA

    def window_of(self, welcome: Welcome) -> int:
        """Return the number of requests that may be unanswered on a connection."""
        return MARKET_DATA_WINDOW if self.forgotten else welcome.window

    # --- calls --------------------------------------------------------------------------------

    async def view(self, instrument: InstrumentView | str) -> InstrumentView:
        """Return an instrument; raise LookupError if none has that symbol."""
        if isinstance(instrument, InstrumentView):
            return instrument
        return await self.listings.instrument(instrument)

    async def show(
        self,
        request: Request,
        result: Callable[[Answer], _A],
        show: Callable[[_A], _V],
        asset: AssetView | None = None,
    ) -> _V:
        """Execute a command and convert its result; `outcome` converts late ones the same way.

        Args:
            request: the command.
            result: extracts the result from an answer.
            show: converts the result to what the call returns.
            asset: the asset of its amount, if the request does not name it.
        """
        try:
            answered = await self.ask(request, result, asset)
        except ReplyTimeout as error:
            error.show = lambda answer: show(result(answer))
            raise
        return show(answered)

    async def ask(
        self, request: Request, result: Callable[[Answer], _A], asset: AssetView | None = None
    ) -> _A:
        """Send a request and return its result; the arguments are those of `show`."""
        return await self.told(self._answered(request, result), asset)

    async def read(self, kind: type[_T], request: Request) -> _T:
        """Send a query and return its reply, which must be of this kind."""
        return await self.told(self._answered(request, lambda answer: expect(kind, answer)))

    async def told(self, answer: Awaitable[_A], asset: AssetView | None = None) -> _A:
        """Wait for a result; describe errors about arguments in Decimals and symbols.

        Args:
            answer: makes the request.
            asset: the asset of its amount, if the request does not name it.
        """
        try:
            return await answer
        except (RequestRefused, OrderRejected) as error:
            if isinstance(error, OrderRejected) and error.reason in _UNLISTED:
                self.listings.forget()  # the symbol may now belong to something else
            if isinstance(error.request, Request):
                reword(error, self.listings.words_of(error.request, asset))
            raise
        except OutOfRange as error:
            if error.request is None:
                raise
            words = self.listings.words_of(error.request, asset)
            raise ValueError(error.told_in(words.name, words.value)) from None

    async def outcome(self, error: ReplyTimeout) -> object:
        """Return the outcome of a command that raised ReplyTimeout, converted as by its call."""
        request_id, frame = self._askable(error)
        show = error.show or result_of

        async def ask() -> object:
            return show(await self.requests.ask_again(request_id, frame))

        try:
            return await self.told(ask())
        except ReplyTimeout as again:
            again.show = error.show
            raise

    async def _answered(self, request: Request, result: Callable[[Answer], _A]) -> _A:
        return result(await self.requests.call(request))

    def _askable(self, error: ReplyTimeout) -> tuple[int, bytes]:
        if not isinstance(error, ReplyTimeout):
            raise TypeError(
                f"outcome: found {type(error).__name__}, allowed the ReplyTimeout of a command"
            )
        if isinstance(error, QueryTimeout):
            raise ValueError("outcome: found the timeout of a query, which has none: ask it again")
        if error.session_id != self.requests.session_id:
            raise ValueError(
                f"outcome: found an error of session {error.session_id}, allowed one of this "
                f"session, {self.requests.session_id}"
            )
        return error.request_id, error.frame

    # --- its end ------------------------------------------------------------------------------

    async def log_out(self, flags: int = 0) -> None:
        """Close the session for good: its remembered responses are forgotten."""
        try:
            await self.read(LoggedOut, Logout(0, flags))
        except ConnectionLost as error:
            # The answer was lost with a connection; the next one found the session closed.
            cause = error.__cause__
            if not (isinstance(cause, RequestRefused) and cause.code == ErrorCode.UNKNOWN_SESSION):
                raise

    async def leave(self, *, keep: bool) -> None:
        """Log out if possible; called when the block is left without an exception."""
        requests = self.requests
        if self.forgotten or requests.logged_out or requests.failure is not None:
            return
        if keep:
            self.stay("keep_session was requested")
        elif requests.unanswered:
            self.stay("a command has no answer yet")
        else:
            with aio.move_on_after(LOGOUT_S) as patience:
                try:
                    await self.log_out()
                except RequestError as error:
                    self.stay(f"logging out failed: {error}")
            if patience.cancelled_caught:
                self.stay(f"logging out took longer than {LOGOUT_S:g} s")

    def stay(self, why: str) -> None:
        """Log that the session stays, and how to resume it."""
        requests = self.requests
        if not (self.forgotten or requests.logged_out):
            LOGGER.info(
                "session %d stays (%s): resume it with session_id=%d",
                *(requests.session_id, why, requests.session_id),
            )

    def end(self, reason: HpeError) -> None:
        """End the client: all waiting tasks learn the reason."""
        self.requests.close(reason)
        self.subscriptions.end(reason)
