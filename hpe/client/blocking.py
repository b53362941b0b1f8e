"""Make a client's calls and streams blocking.

Owns the wait for what runs in the loop of a blocking client. Any thread may use it except the
loop's own. Guarantees: an interrupted wait (Ctrl-C) loses nothing: an event that a stream had for
it is returned by the next one; leaving the block of a stream ends the stream.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from hpe.client.subscriptions import Stream

_R = TypeVar("_R")
_S = TypeVar("_S", bound=Stream)


class Blocking(ABC):
    """A client whose calls block. `client` is the asynchronous one, in its own loop."""

    client: object

    @abstractmethod
    def run(self, function: Callable[[], Awaitable[_R]]) -> _R:
        """Run an async function in the client's loop and return what it returns."""


class SyncStream(Generic[_S]):
    """A client's stream for blocking code: iterate over it, wait for a change, read it.

    Example: `with client.book("BTC/USD") as book: bids = book.look(lambda book: book.bids)`.
    """

    def __init__(self, client: Blocking, stream: _S) -> None:
        self._client = client
        self._stream: Any = stream
        # An event that was received but not returned, because the caller was interrupted.
        self._taken: deque[Any] = deque()
        self._changed = False

    def __iter__(self) -> Self:
        """Iterate over private events or trades, forever."""
        return self

    def __next__(self) -> Any:
        """Return the next event or trade; raise what the stream's `__anext__` raises."""
        try:
            while not self._taken:
                self._client.run(self._take)
        except StopAsyncIteration:
            raise StopIteration from None
        return self._taken.popleft()

    async def _take(self) -> None:
        self._taken.append(await self._stream.__anext__())

    def changed(self) -> None:
        """Wait until a book, best prices or a status changed."""
        while not self._changed:
            self._client.run(self._wait_changed)
        self._changed = False

    async def _wait_changed(self) -> None:
        await self._stream.changed()
        self._changed = True

    def __getattr__(self, name: str) -> Any:
        """Raise AttributeError; for attributes of the stream itself, say how to read them."""
        text = f"{type(self).__name__!r} object has no attribute {name!r}"
        stream = self.__dict__.get("_stream")
        if not name.startswith("_") and (hasattr(type(stream), name) or name in vars(stream)):
            text += f"; read it where nothing changes meanwhile: look(lambda stream: stream.{name})"
        raise AttributeError(text, name=name, obj=self)

    def look(self, function: Callable[[_S], _R]) -> _R:
        """Run a function on the stream in the client's loop, where nothing changes meanwhile."""

        async def call() -> _R:
            return function(self._stream)

        return self._client.run(call)


class BlockingFollow(Generic[_S]):
    """A stream for the length of a `with` block.

    Not a generator: a forgotten one would be closed when the interpreter ends and no loop runs.
    """

    def __init__(self, client: Blocking, manager: AbstractAsyncContextManager[_S]) -> None:
        self._client = client
        # Entered and left by different tasks, so it holds neither a nursery nor a cancel scope.
        self._manager = manager
        self._stream: _S | None = None

    def __enter__(self) -> SyncStream[_S]:
        """Begin the stream."""
        try:
            self._client.run(self._begin)
        except BaseException:
            if self._stream is not None:  # interrupted just after it had begun
                self._client.run(self._end)
            raise
        assert self._stream is not None
        return SyncStream(self._client, self._stream)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the stream."""
        self._client.run(self._end)

    async def _begin(self) -> None:
        self._stream = await self._manager.__aenter__()

    async def _end(self) -> None:
        await self._manager.__aexit__(None, None, None)
