"""The background thread of a blocking client: a Trio loop with one Client in it.

Owns the thread, the loop and every call on its way into it. Any thread may call, but the loop's own
and those that run Trio. Guarantees: a call that is interrupted (Ctrl-C) is canceled in the loop
before the interruption goes on; a call that finds the client left raises ConnectionLost, whenever
it comes; an interrupted start leaves nothing behind; the thread is a daemon and keeps no
interpreter from its exit, whatever was forgotten.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, wait
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, TypeVar

import trio

from hpe.client.client import Client
from hpe.errors import ConnectionLost

CANCEL_S: Final = 2.0
"""How long an interrupted caller waits for the loop to begin, or to let go of its calls."""

_LEFT: Final = "the client was left: nothing was sent"

_R = TypeVar("_R")


class _LeftByError(Exception):
    """The block was left with an exception."""


class _Call:
    """One call: what to run, what becomes of it, and how to stop it."""

    def __init__(self, function: Callable[[], Awaitable[Any]]) -> None:
        self.function = function
        self.future: Future[Any] = Future()
        self.scope = trio.CancelScope()

    async def perform(self) -> None:
        """Run in the loop."""
        try:
            with self.scope:
                self.future.set_result(await self.function())
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            self.future.set_exception(error)  # the caller's, and not the loop's
        finally:
            if not self.future.done():
                self.future.set_exception(ConnectionLost("the client was left meanwhile"))


class ClientLoop:
    """A client in a thread of its own.

    Args:
        open_client: gives the client for the length of an async block.
    """

    client: Client

    def __init__(self, open_client: Callable[[], AbstractAsyncContextManager[Client]]) -> None:
        self._open_client = open_client
        self._thread = threading.Thread(target=self._run, name="hpe-client", daemon=True)
        self._up = threading.Event()
        self._begun: Future[None] = Future()
        self._ended: Future[None] = Future()
        self._scope = trio.CancelScope()
        self._leave = trio.Event()
        self._failed = False
        self._calls: trio.Nursery | None = None  # while calls are taken
        self._token: trio.lowlevel.TrioToken

    # --- the callers' side --------------------------------------------------------------------

    def start(self) -> None:
        """Wait for the client's first connection; raises what `connect` raises."""
        self._thread.start()
        try:
            wait([self._begun])
        except BaseException:
            if self._up.wait(CANCEL_S):  # else the loop failed before it began
                self._soon(self._scope.cancel)
            wait([self._ended], CANCEL_S)
            raise
        self._begun.result()

    def call(self, function: Callable[[], Awaitable[_R]]) -> _R:
        """Run an async function in the loop and return what it returns.

        Raises:
            ConnectionLost: the client was left.
            RuntimeError: called from a Trio task, whose loop would stand still meanwhile.
        """
        if threading.current_thread() is self._thread or trio.lowlevel.in_trio_run():
            raise RuntimeError("a blocking call in a Trio task: use hpe.connect there")
        call = _Call(function)
        if not self._soon(self._begin, call):
            raise ConnectionLost(_LEFT)
        try:
            wait([call.future])
        except BaseException:
            self._soon(call.scope.cancel)
            wait([call.future], CANCEL_S)
            raise
        result: _R = call.future.result()
        return result

    def leave(self, *, failed: bool) -> None:
        """End the client, the loop and the thread; raises what the client ended with."""
        self._failed = failed
        self._soon(self._leave.set)
        wait([self._ended])
        self._thread.join()
        self._ended.result()

    def _soon(self, function: Callable[..., object], *args: object) -> bool:
        """Run a function in the loop; False when it has ended."""
        try:
            self._token.run_sync_soon(function, *args)
        except trio.RunFinishedError:
            return False
        return True

    # --- the loop's side ----------------------------------------------------------------------

    def _run(self) -> None:
        try:
            trio.run(self._main)
        except BaseException as error:  # noqa: ASYNC103 - outside of the loop
            # Handed to whoever waits: this thread has nobody to raise it to.
            if not self._begun.done():
                self._begun.set_exception(error)
            self._ended.set_exception(error)
            return  # noqa: ASYNC104 - as above
        if not self._begun.done():
            self._begun.set_exception(ConnectionLost(_LEFT))
        self._ended.set_result(None)

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._up.set()
        try:
            with self._scope:
                async with self._open_client() as self.client:
                    await self._serve()
                    if self._failed:
                        raise _LeftByError
        except _LeftByError:
            pass

    async def _serve(self) -> None:
        async with trio.open_nursery() as nursery:
            self._calls = nursery
            self._begun.set_result(None)
            try:
                await self._leave.wait()
            finally:
                self._calls = None  # a nursery that has closed takes no task
            nursery.cancel_scope.cancel()

    def _begin(self, call: _Call) -> None:
        if self._calls is None:
            call.future.set_exception(ConnectionLost(_LEFT))
        else:
            self._calls.start_soon(call.perform, name="hpe client call")
