"""A channel that outlives its transport, against the real core in memory: each command once."""

from collections.abc import Callable
from typing import Any

import msgpack
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from hpe.client.pending import Repeat
from hpe.errors import (
    AcknowledgedLost,
    ConnectionLost,
    NotConnected,
    ReplyTimeout,
    RequestRefused,
    SessionTaken,
)
from hpe.protocol.control import Error, Ping
from hpe.protocol.frames import encode_frame
from hpe.protocol.market_data import Subscribe
from hpe.protocol.money import Deposit, GetBalance
from tests.support.core_peer import CorePeer, market, served

CUT = ConnectionLost("cut")


def heads(frames: list[bytes]) -> list[list[int]]:
    """Return (type, request id) of frames."""
    return [msgpack.unpackb(frame[4:])[:2] for frame in frames]


async def test_commands_go_out_unchanged_in_order_of_id_then_queries_under_new_ids() -> None:
    peer = CorePeer(window=16)
    base, _, _ = await market(peer)
    channel = peer.channel
    known = channel.last_request_id
    answered = channel.send_nowait(Deposit(0, base, 1))
    peer.serve()
    requests = [Deposit(0, base, 2), GetBalance(0, base), Deposit(0, base, 4), Ping(0)]
    pending = [channel.send_nowait(request) for request in requests]
    peer.waiting.clear()
    channel.suspend(CUT)
    assert not channel.connected.value
    with pytest.raises(trio.WouldBlock):
        channel.send_nowait(Deposit(0, base, 8))
    peer.sent.clear()
    channel.resume(peer.take, answered.request_id, peer.window)
    assert channel.connected.value
    deposit = 69
    assert heads(peer.sent) == [
        [deposit, known + 2],
        [deposit, known + 4],
        [33, known + 6],
        [2, known + 7],
    ]
    assert peer.sent[:2] == [pending[0].frame, pending[2].frame]
    channel.send_nowait(Deposit(0, base, 8))
    assert heads(peer.sent)[-1] == [deposit, known + 8]
    # The ping is the connection's to answer, not the core's.
    peer.waiting = [frame for frame in peer.waiting if heads([frame])[0][0] >= 32]
    peer.serve()
    assert (await pending[0].wait()).response.flags == 0
    balance: Any = (await pending[1].wait()).response
    assert balance.available == 1_000 + 1 + 2 + 4
    assert (await served(peer, peer.client.get_balance, "BTC")).available == 1_000 + 1 + 2 + 4 + 8


async def test_what_was_executed_before_the_cut_is_not_executed_again() -> None:
    peer = CorePeer(window=16)
    await market(peer)
    channel = peer.channel
    await served(peer, peer.client.submit_order, "BTC/USD", "sell", 3, 100)
    fed: list[bytes] = []
    result: list[Any] = []

    async def buy() -> None:
        result.append(await peer.client.submit_order("BTC/USD", "buy", 2, 100))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(buy)
        await wait_all_tasks_blocked()
        take, channel.feed = channel.feed, fed.append  # type: ignore[method-assign]  # of this one channel
        peer.serve()  # executed, but the answer is cut after the fill's report
        channel.feed = take  # type: ignore[method-assign]  # of this one channel
        report_end = 4 + int.from_bytes(fed[0][:4], "big")
        channel.feed(fed[0][:report_end])
        channel.suspend(CUT)
        channel.resume(peer.take, channel.last_request_id, peer.window)
        peer.serve()
    [bought] = result
    assert bought.raw.duplicate
    assert (bought.cum, bought.raw.fill_count) == (2, 1)
    assert bought.fills == ()  # all or none: they are in the private stream
    book = await served(peer, peer.client.get_orderbook, "BTC/USD")
    assert book.raw.asks == [(100, 1, 1)]


async def test_no_more_commands_are_repeated_at_a_time_than_the_window_allows() -> None:
    """Else the server forgets responses that the client has not seen, and calls them stale."""
    peer = CorePeer(window=8)
    base, _, _ = await market(peer)
    channel = peer.channel
    known = channel.last_request_id
    pending = [channel.send_nowait(Deposit(0, base, 1)) for _ in range(8)]
    peer.waiting.clear()
    channel.suspend(CUT)
    peer.sent.clear()
    channel.resume(peer.take, known, 3)
    ids = [head[1] for head in heads(peer.sent)]
    assert ids == [known + 1, known + 2, known + 3]
    with pytest.raises(trio.WouldBlock):
        channel.send_nowait(Deposit(0, base, 1))
    channel.suspend(CUT)
    peer.sent.clear()
    peer.waiting.clear()
    channel.resume(peer.take, known, 3)
    answers = []
    while peer.waiting:
        answers.append(peer.serve())
    assert answers == [3, 3, 2]
    assert [head[1] for head in heads(peer.sent)] == [each.request_id for each in pending]
    assert [(await each.wait()).response.flags for each in pending] == [0] * 8
    for _ in range(3):
        channel.send_nowait(Deposit(0, base, 1))
    with pytest.raises(trio.WouldBlock):
        channel.send_nowait(Deposit(0, base, 1))
    channel.suspend(CUT)
    peer.waiting.clear()
    channel.resume(peer.take, known + 8, 8)
    for _ in range(5):
        channel.send_nowait(Deposit(0, base, 1))
    with pytest.raises(trio.WouldBlock):
        channel.send_nowait(Deposit(0, base, 1))
    assert peer.serve() == 8


async def test_those_that_waited_for_a_transport_keep_to_a_smaller_window() -> None:
    peer = CorePeer(window=4)
    base, _, _ = await market(peer)
    channel = peer.channel
    known = channel.last_request_id
    channel.send_nowait(Deposit(0, base, 1))
    peer.waiting.clear()
    channel.suspend(CUT)
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(channel.send, Deposit(0, base, 1))
        await wait_all_tasks_blocked()
        channel.resume(peer.take, known, 2)
        answers = []
        for _ in range(4):
            await wait_all_tasks_blocked()
            answers.append(peer.serve())
    assert answers == [2, 2, 2, 0]
    assert not channel.unanswered


async def test_a_closed_channel_wakes_all_that_wait_behind_a_smaller_window() -> None:
    peer = CorePeer(window=4)
    base, _, _ = await market(peer)
    channel = peer.channel
    for _ in range(4):
        channel.send_nowait(Deposit(0, base, 1))
    channel.suspend(CUT)
    channel.resume(peer.take, channel.last_request_id - 4, 1)
    async with trio.open_nursery() as nursery:

        async def ask() -> None:
            with pytest.raises(ConnectionLost, match="not sent"):
                await channel.send(Deposit(0, base, 1))

        for _ in range(6):
            nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        channel.close(ConnectionLost("over"))


async def test_callers_wait_for_the_next_transport_within_their_own_deadline(
    autojump_clock: MockClock,
) -> None:
    peer = CorePeer(timeout_s=1.0)
    await market(peer)
    channel = peer.channel
    errors: list[Exception] = []

    async def ask(function: Callable[..., Any], *args: Any) -> None:
        try:
            await function(*args)
        except (ReplyTimeout, NotConnected) as error:
            errors.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, peer.client.deposit, "BTC", 1)
        await wait_all_tasks_blocked()
        peer.waiting.clear()
        channel.suspend(CUT)
        nursery.start_soon(ask, peer.client.deposit, "BTC", 2)
        sent = len(peer.sent)
        await trio.sleep(2)
        assert len(peer.sent) == sent
    never_sent, late = sorted(errors, key=lambda error: isinstance(error, ReplyTimeout))
    assert isinstance(late, ReplyTimeout)
    assert isinstance(never_sent, NotConnected)
    assert "no connection for 1 s; nothing was sent" in str(never_sent)
    channel.resume(peer.take, channel.last_request_id - 1, peer.window)
    assert (await served(peer, peer.client.outcome, late)).available == 1_001
    assert (await served(peer, peer.client.get_balance, "BTC")).available == 1_001


async def test_requests_about_the_connection_end_with_it() -> None:
    peer = CorePeer(window=2)
    channel = peer.channel
    pending = await channel.send(Subscribe(0, 1, 2), Repeat.NEVER)
    channel.suspend(CUT)
    with pytest.raises(ConnectionLost, match="cut"):
        await pending.wait()
    peer.sent.clear()
    channel.resume(peer.take, 0, peer.window)
    assert peer.sent == []
    for _ in range(2):  # its place in the window is free again
        channel.send_nowait(GetBalance(0, 1))


async def test_a_server_that_forgot_what_it_answered_is_found_out() -> None:
    peer = CorePeer()
    base, _, _ = await market(peer)
    answered = peer.channel.answered_request_id
    lost = peer.channel.send_nowait(Deposit(0, base, 1))
    peer.channel.suspend(CUT)
    peer.sent.clear()
    with pytest.raises(AcknowledgedLost) as caught:
        peer.channel.resume(peer.take, answered - 2, peer.window)
    assert caught.value.request_ids == range(answered - 1, answered + 1)
    assert peer.sent == []
    peer.channel.close(caught.value)
    for waiting in (lost.wait, peer.client.list_assets):
        with pytest.raises(AcknowledgedLost, match=f"{answered - 1}..{answered} were lost"):
            await waiting()


async def test_a_session_that_somebody_else_used_is_not_gone_on_with() -> None:
    peer = CorePeer()
    await market(peer)
    peer.channel.suspend(CUT)
    with pytest.raises(SessionTaken, match="another client used"):
        peer.channel.resume(peer.take, peer.channel.last_request_id + 1, peer.window)


async def test_waiting_requests_continue_however_many_attempts_it_takes() -> None:
    peer = CorePeer()
    channel = peer.channel
    channel.suspend(CUT)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(channel.send, GetBalance(0, 1))
        await wait_all_tasks_blocked()
        channel.suspend(CUT)
        channel.resume(peer.take, 0, peer.window)
    assert len(peer.sent) == 1


async def test_close_wakes_tasks_that_wait_for_a_transport() -> None:
    peer = CorePeer()
    peer.channel.suspend(CUT)
    async with trio.open_nursery() as nursery:

        async def ask() -> None:
            with pytest.raises(ConnectionLost, match="not sent"):
                await peer.client.list_orders()

        for _ in range(6):
            nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        peer.channel.close(ConnectionLost("over"))
    assert peer.channel.failure is not None


async def test_a_waiter_cancelled_without_transport_gives_its_place_back() -> None:
    peer = CorePeer(window=1)
    peer.channel.suspend(CUT)
    with trio.move_on_after(0):
        await peer.channel.send(GetBalance(0, 1))
    peer.channel.resume(peer.take, 0, peer.window)
    assert peer.channel.send_nowait(GetBalance(0, 1)).request_id == 1


@pytest.mark.parametrize("request_id", [0, 1])
async def test_a_fatal_error_ends_the_connection_with_the_servers_words(request_id: int) -> None:
    peer = CorePeer()
    pending = peer.channel.send_nowait(GetBalance(0, 1))
    words = Error(request_id, 0, 221, "slow_consumer", "read faster", True, True, False)
    with pytest.raises(RequestRefused, match="slow_consumer") as caught:
        peer.channel.feed(encode_frame(words))
    assert caught.value.retryable
    assert pending.answered == (request_id == 1)


async def test_asking_again_keeps_its_reports_over_a_cut() -> None:
    peer = CorePeer(window=16)
    await market(peer)
    channel = peer.channel
    await served(peer, peer.client.submit_order, "BTC/USD", "sell", 3, 100)
    first = await served(peer, peer.client.submit_order, "BTC/USD", "buy", 3, 100)
    results: list[Any] = []

    async def ask() -> None:
        results.append(await peer.client.outcome(peer.late(first.raw.request_id)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        peer.waiting.clear()
        channel.suspend(CUT)
        channel.resume(peer.take, channel.last_request_id, peer.window)
        peer.serve()
    [again] = results
    assert again.duplicate
    assert again.fills == first.raw.fills
