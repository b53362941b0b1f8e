"""Each call is stated once: the client that is awaited and the one that blocks have the same."""

import inspect
import pydoc
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from hpe.client.blocking import Blocking, BlockingFollow, SyncStream
from hpe.client.calls import ClientCall, ClientCalls, StreamCall
from hpe.client.client import AnyClient, Client
from hpe.client.subscriptions import Stream
from hpe.client.sync import SyncClient
from tests.support.core_peer import CorePeer, market, served

STATED = {
    name: stated
    for kind in AnyClient.__mro__
    for name, stated in vars(kind).items()
    if isinstance(stated, ClientCall | StreamCall)
}
OF_THE_LOOP = {"connected", "retry", "requests"}
"""What a client that is awaited has in a form of its own."""


def public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def test_whatever_a_client_can_do_is_stated_for_both() -> None:
    for kind in AnyClient.__mro__:
        for name, found in vars(kind).items():
            if callable(found) and not name.startswith("_"):
                pytest.fail(f"{kind.__name__}.{name} is no ClientCall and no StreamCall")
    assert len(STATED) > 40
    assert public(Client) - OF_THE_LOOP == public(AnyClient)
    assert public(SyncClient) - OF_THE_LOOP - {"run"} == public(AnyClient)


@pytest.mark.parametrize("name", sorted(STATED))
def test_both_forms_have_the_same_arguments_and_documentation(name: str) -> None:
    awaited, blocking = getattr(Client, name), getattr(SyncClient, name)
    assert inspect.signature(awaited) == inspect.signature(blocking)
    assert awaited.__name__ == blocking.__name__ == name
    assert awaited.__doc__
    assert awaited.__doc__ == blocking.__doc__ == STATED[name].__doc__
    assert inspect.iscoroutinefunction(awaited) == isinstance(STATED[name], ClientCall)
    assert not inspect.iscoroutinefunction(blocking)


def test_help_shows_them() -> None:
    for kind in (Client, SyncClient):
        text = pydoc.plain(pydoc.render_doc(kind))
        assert "deposit(self, symbol: 'str', amount: 'Decimal | int', user: 'int' = 0)" in text
        assert "Credit money from outside and return the account after it." in text


async def test_a_client_has_them_as_methods() -> None:
    peer = CorePeer()
    await market(peer)
    method = peer.client.deposit
    assert inspect.ismethod(method)
    assert (await served(peer, method, "BTC", 5)).available == 1_005
    assert (await served(peer, Client.deposit, peer.client, "BTC", 5)).available == 1_010


class Followed(Stream):
    """A stream of nothing."""

    ask = take = None  # type: ignore[assignment]  # nobody asks


class EchoCalls(ClientCalls):
    """One call and one stream."""

    def __init__(self) -> None:
        pass

    @ClientCall
    async def twice(self, number: int, *, by: int = 2) -> int:
        """Return a multiple of a number."""
        return number * by

    @StreamCall
    def stream(self, topic: int) -> AbstractAsyncContextManager[Stream]:
        """Give a stream of nothing."""

        @asynccontextmanager
        async def follow() -> Any:
            yield Followed.__new__(Followed)

        return follow()


class BlockingEcho(EchoCalls, Blocking):
    """The same, run to the end at once, without a loop."""

    def __init__(self) -> None:
        self.client = EchoCalls()

    def run(self, function: Any) -> Any:
        try:
            function().send(None)
        except StopIteration as end:
            return end.value
        pytest.fail("it waits")


async def test_a_blocking_client_runs_them_on_its_client() -> None:
    assert await EchoCalls().twice(3, by=4) == 12
    assert BlockingEcho().twice(3, by=4) == 12
    assert BlockingEcho.twice(BlockingEcho(), 3) == 6
    with pytest.raises(TypeError, match="unexpected keyword"):
        BlockingEcho().twice(3, times=4)  # type: ignore[call-arg]  # wrong on purpose
    async with EchoCalls().stream(1) as stream:
        assert isinstance(stream, Followed)
    following = BlockingEcho().stream(1)
    assert isinstance(following, BlockingFollow)
    with following as blocking:
        assert isinstance(blocking, SyncStream)
