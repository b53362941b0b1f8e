"""The calls of a client, each stated once: name, arguments, meaning, request and result.

Owns the two forms of a call. A theme (orders.py, money.py, ...) defines it as an async method
under `@ClientCall`, or as an async context manager under `@StreamCall`; a Client then has exactly
that method, and a SyncClient has the same one, with the same arguments and documentation, but
blocking. Type checkers see both. Pure; any thread may use it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from functools import partial, wraps
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from hpe.client.blocking import Blocking, BlockingFollow, SyncStream
from hpe.client.session import ClientSession
from hpe.client.subscriptions import Stream

_P = ParamSpec("_P")
_R = TypeVar("_R")
_S = TypeVar("_S", bound=Stream)


class ClientCalls:
    """The base of a theme of calls.

    Attributes:
        session: the session in which they are made.
    """

    def __init__(self, session: ClientSession) -> None:
        self.session = session


class ClientCall(Generic[_P, _R]):
    """A call that is awaited on a Client, and blocks on a SyncClient."""

    def __init__(self, method: Callable[Concatenate[Any, _P], Coroutine[Any, Any, _R]]) -> None:
        @wraps(method)
        def wait(client: Blocking, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
            return client.run(partial(method, client.client, *args, **kwargs))

        self._method = method
        self._wait = wait
        self.__doc__ = method.__doc__

    @overload
    def __get__(
        self, client: None, owner: type[Blocking]
    ) -> Callable[Concatenate[Any, _P], _R]: ...
    @overload
    def __get__(
        self, client: None, owner: type[ClientCalls]
    ) -> Callable[Concatenate[Any, _P], Coroutine[Any, Any, _R]]: ...
    @overload
    def __get__(self, client: Blocking, owner: type) -> Callable[_P, _R]: ...
    @overload
    def __get__(
        self, client: ClientCalls, owner: type
    ) -> Callable[_P, Coroutine[Any, Any, _R]]: ...
    def __get__(self, client: ClientCalls | Blocking | None, owner: type) -> Any:
        """Return the method in the form for that kind of client."""
        return _bound(self._method, self._wait, client, owner)


class StreamCall(Generic[_P, _S]):
    """A call that returns a stream for the length of an `async with` block, or a `with` block."""

    def __init__(
        self, method: Callable[Concatenate[Any, _P], AbstractAsyncContextManager[_S]]
    ) -> None:
        @wraps(method)
        def follow(
            client: Blocking, /, *args: _P.args, **kwargs: _P.kwargs
        ) -> AbstractContextManager[SyncStream[_S]]:
            return BlockingFollow(client, method(client.client, *args, **kwargs))

        self._method = method
        self._follow = follow
        self.__doc__ = method.__doc__

    @overload
    def __get__(
        self, client: None, owner: type[Blocking]
    ) -> Callable[Concatenate[Any, _P], AbstractContextManager[SyncStream[_S]]]: ...
    @overload
    def __get__(
        self, client: None, owner: type[ClientCalls]
    ) -> Callable[Concatenate[Any, _P], AbstractAsyncContextManager[_S]]: ...
    @overload
    def __get__(
        self, client: Blocking, owner: type
    ) -> Callable[_P, AbstractContextManager[SyncStream[_S]]]: ...
    @overload
    def __get__(
        self, client: ClientCalls, owner: type
    ) -> Callable[_P, AbstractAsyncContextManager[_S]]: ...
    def __get__(self, client: ClientCalls | Blocking | None, owner: type) -> Any:
        """Return the method in the form for that kind of client."""
        return _bound(self._method, self._follow, client, owner)


def _bound(
    awaited: Callable[..., Any], waiting: Callable[..., Any], client: object, owner: type
) -> Any:
    method = waiting if issubclass(owner, Blocking) else awaited
    return method if client is None else MethodType(method, client)
