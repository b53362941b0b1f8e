"""The background thread of a blocking client: a Trio loop with one Client in it.

Owns the thread, the loop and every call on its way into it. Any thread may call, except the loop's
own and those that run Trio. Guarantees: an interrupted call (Ctrl-C) is canceled in the loop before
the interruption propagates; a call to a client that was left raises ConnectionLost, whenever it
comes; an interrupted start leaves nothing behind; the thread is a daemon and does not keep the
interpreter from exiting, whatever was forgotten.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, TypeVar

from hpe.client import aio
from hpe.client.client import Client
from hpe.errors import ConnectionLost

CANCEL_S: Final = 2.0
"""How long an interrupted caller waits for the loop to begin, or to cancel its calls."""

_LEFT: Final = "the client was left: nothing was sent"

_R = TypeVar("_R")


class _LeftByError(Exception):
    """The block was left with an exception."""


class _Call:
    """One call: what to run, its result, and how to stop it."""

    def __init__(self, function: Callable[[], Awaitable[Any]]) -> None:
        self.function = function
        self.future: aio.Future[Any] = aio.Future()
        self.scope = aio.CancelScope()

    async def perform(self) -> None:
        """Run in the loop."""
        try:
            with self.scope:
                self.future.set_result(await self.function())
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            self.future.set_exception(error)  # for the caller, not for the loop
        finally:
            if not self.future.done():
                self.future.set_exception(ConnectionLost("the client was left meanwhile"))


class ClientLoop:
    """A client in a thread of its own.

    Args:
        open_client: yields the client for the length of an async block.
    """

    client: Client

    def __init__(self, open_client: Callable[[], AbstractAsyncContextManager[Client]]) -> None:
        self._open_client = open_client
        self._thread = aio.LoopThread(self._main, self._end)
        self._begun: aio.Future[None] = aio.Future()
        self._ended: aio.Future[None] = aio.Future()
        self._scope = aio.CancelScope()
        self._leave = aio.Event()
        self._failed = False
        self._calls: aio.Nursery | None = None  # set while calls are accepted

    # --- the callers' side --------------------------------------------------------------------

    def start(self) -> None:
        """Wait for the client's first connection; raise what `connect` raises."""
        self._thread.start()
        try:
            aio.wait([self._begun])
        except BaseException:
            if self._thread.wait_up(CANCEL_S):  # otherwise the loop failed before it began
                self._thread.soon(self._scope.cancel)
            aio.wait([self._ended], CANCEL_S)
            raise
        self._begun.result()

    def call(self, function: Callable[[], Awaitable[_R]]) -> _R:
        """Run an async function in the loop and return what it returns.

        Raises:
            ConnectionLost: the client was left.
            RuntimeError: called from a Trio task, whose loop it would block.
        """
        if self._thread.would_stall():
            raise RuntimeError("a blocking call in a Trio task: use hpe.connect there")
        call = _Call(function)
        if not self._thread.soon(self._begin, call):
            raise ConnectionLost(_LEFT)
        try:
            aio.wait([call.future])
        except BaseException:
            self._thread.soon(call.scope.cancel)
            aio.wait([call.future], CANCEL_S)
            raise
        result: _R = call.future.result()
        return result

    def leave(self, *, failed: bool) -> None:
        """End the client, the loop and the thread; raise the client's last error, if any."""
        self._failed = failed
        self._thread.soon(self._leave.set)
        aio.wait([self._ended])
        self._thread.join()
        self._ended.result()

    # --- the loop's side ----------------------------------------------------------------------

    def _end(self, error: BaseException | None) -> None:
        """Tell all waiting callers how the loop ended."""
        if not self._begun.done():
            self._begun.set_exception(error or ConnectionLost(_LEFT))
        if error is None:
            self._ended.set_result(None)
        else:
            self._ended.set_exception(error)

    async def _main(self) -> None:
        try:
            with self._scope:
                async with self._open_client() as self.client:
                    await self._serve()
                    if self._failed:
                        raise _LeftByError
        except _LeftByError:
            pass

    async def _serve(self) -> None:
        async with aio.open_nursery() as nursery:
            self._calls = nursery
            self._begun.set_result(None)
            try:
                await self._leave.wait()
            finally:
                self._calls = None  # a closed nursery accepts no task
            nursery.cancel_scope.cancel()

    def _begin(self, call: _Call) -> None:
        if self._calls is None:
            call.future.set_exception(ConnectionLost(_LEFT))
        else:
            self._calls.start_soon(call.perform, name="hpe client call")
