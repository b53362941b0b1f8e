"""Decide what to do about a request that failed on the way, so that it is executed once.

Owns the decision; the clients own the loops around it. Pure, apart from the clock. Guarantees: a
command whose outcome is unknown is never sent as a new one: its outcome is asked for until it is
known; a request that was certainly not executed is sent again.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from hpe.client import aio
from hpe.client.backoff import Backoff
from hpe.errors import NotConnected, QueryTimeout, ReplyTimeout, RequestError, RequestRefused

WITHIN_S: Final = 60.0
"""How long a retry keeps trying by default: longer than a restart with much to recover."""

_R = TypeVar("_R")


class RetryPlan:
    """The decisions about one request.

    Args:
        within_s: how long to keep trying after the first attempt.

    Attributes:
        unknown: the timeout of a command whose outcome must be asked for; None: send it.
    """

    def __init__(self, within_s: float) -> None:
        self.unknown: ReplyTimeout | None = None
        self._end_s = time.monotonic() + within_s
        self._backoff = Backoff()

    def pause_s(self, error: RequestError) -> float:
        """Decide about a failed attempt; return how long to wait before the next one.

        Raises:
            RequestError: the error itself: another attempt would not help, or the time is up.
        """
        match error:
            case QueryTimeout():
                pass
            case ReplyTimeout():
                self.unknown = error
            case RequestRefused(retryable=True):
                # Also for a command that was asked for: it was refused, and so never executed.
                self.unknown = None
            case NotConnected():
                pass
            case _:
                raise error
        if time.monotonic() >= self._end_s:
            # The latest fact about a command that was sent is that its outcome is unknown.
            raise self.unknown or error
        return self._backoff.next_s()


def check_ask(ask: object) -> None:
    """Raise TypeError for anything that cannot be called again; close a coroutine first."""
    if callable(ask):
        return
    if inspect.iscoroutine(ask):
        ask.close()
    raise TypeError(
        f"retry: found {type(ask).__name__}, allowed a function that makes the request, such as "
        'lambda: client.deposit("USD", 1)'
    )


async def retry(
    ask: Callable[[], Awaitable[_R]],
    outcome: Callable[[ReplyTimeout], Awaitable[object]],
    within_s: float,
) -> _R:
    """Execute one request once, however often it has to be asked for."""
    check_ask(ask)
    plan = RetryPlan(within_s)
    while True:
        try:
            if plan.unknown is None:
                return await ask()
            return await outcome(plan.unknown)  # type: ignore[return-value]  # what `ask` returns
        except RequestError as error:
            pause_s = plan.pause_s(error)
        await aio.sleep(pause_s)


def retry_blocking(
    ask: Callable[[], _R], outcome: Callable[[ReplyTimeout], object], within_s: float
) -> _R:
    """Do the same as `retry`, for blocking calls."""
    check_ask(ask)
    plan = RetryPlan(within_s)
    while True:
        try:
            if plan.unknown is None:
                return ask()
            return outcome(plan.unknown)  # type: ignore[return-value]  # what `ask` returns
        except RequestError as error:
            pause_s = plan.pause_s(error)
        aio.block(pause_s)
