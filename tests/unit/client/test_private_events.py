"""The private stream of the client against a scripted server: once, in order, nothing lost."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from hpe.client.listings import KnownListings
from hpe.client.scales import AssetView, InstrumentView
from hpe.client.streams import PrivateEvents, Snapshot
from hpe.client.subscriptions import followed
from hpe.client.views import BalanceReportView
from hpe.errors import ConnectionLost, ProtocolError, RequestRefused
from hpe.protocol.codes import ErrorCode
from hpe.protocol.listings import InstrumentRow
from hpe.protocol.money import BalancesReply, HoldsReply, ListBalances, ListHolds
from hpe.protocol.orders import FillRow, FillsReply, ListFills, ListOrders, OrdersReply
from hpe.protocol.reports import (
    BalanceReport,
    PrivateSubscribed,
    PrivateUpdate,
    SubscribePrivate,
    UnsubscribePrivate,
)
from tests.support.stream_peer import StreamPeer, stream_peer

USER = 7
D = Decimal


BTC = AssetView.of((1, "BTC", 8))
USD = AssetView.of((2, "USD", 2))
PAIR_ROW = InstrumentRow(1, "BTC/USD", 1, 2, 10**6, 1, 1, 9, 1, 9, 0, 9, 0, 0, 0, 0, 0, False)
PAIR = InstrumentView.of(PAIR_ROW, BTC, USD)
"""A lot is 0.01 BTC, a tick one USD."""


def listings(peer: StreamPeer) -> KnownListings:
    """Return a client's listings that know what the test's reports are about."""
    known = KnownListings(peer.channel)
    known.learn([BTC, USD], [PAIR])
    return known


def report(number: int) -> BalanceReport:
    """Return the report of a private sequence; its sequence is ten times that."""
    return BalanceReport(0, 0, number, 10 * number, 1, 1, number, 0, 0, 0)


def update(first: int, last: int) -> PrivateUpdate:
    reports = [report(number) for number in range(first, last + 1)]
    return PrivateUpdate(0, 0, USER, first, last, [*reports])


def begun(request: SubscribePrivate, after: int, last: int) -> PrivateSubscribed:
    return PrivateSubscribed(request.request_id, 0, USER, after, last)


@asynccontextmanager
async def following(
    peer: StreamPeer, after: int | None = None, *, at: int = 0, waiting_max: int = 100
) -> AsyncIterator[PrivateEvents]:
    """Follow the user; the server's newest report is `at`."""
    events = PrivateEvents(
        peer.channel, peer.subscriptions, listings(peer), USER, after, waiting_max
    )
    async with trio.open_nursery() as nursery:

        async def answer() -> None:
            request = await peer.request(SubscribePrivate)
            assert (request.after, request.user) == (after, USER)
            peer.say(begun(request, at if after is None else after, at))

        nursery.start_soon(answer)
        async with followed(peer.subscriptions, events):
            yield events


async def numbers(events: PrivateEvents, count: int) -> list[int]:
    taken: list[int] = []
    with trio.fail_after(120):
        for _ in range(count):
            event = await anext(events)
            assert isinstance(event, BalanceReportView)
            taken.append(event.private_sequence)
            assert events.position == event.private_sequence
    return taken


async def nothing(events: PrivateEvents) -> None:
    with trio.move_on_after(1) as scope:
        await anext(events)
    assert scope.cancelled_caught


async def test_reports_come_in_order_from_where_the_stream_began(autojump_clock: MockClock) -> None:
    async with stream_peer() as peer, following(peer, at=4) as events:
        assert events.position == 4
        peer.say(update(5, 6), update(7, 7))
        assert await numbers(events, 3) == [5, 6, 7]
        await nothing(events)
        peer.say(update(8, 8))
        assert await numbers(events, 1) == [8]


async def test_what_comes_twice_is_given_once(autojump_clock: MockClock) -> None:
    async with stream_peer() as peer, following(peer, 4, at=9) as events:
        peer.say(update(5, 6), update(3, 5), update(6, 8), update(7, 8))
        assert await numbers(events, 4) == [5, 6, 7, 8]
        await nothing(events)


async def test_after_a_cut_it_goes_on_where_it_was(autojump_clock: MockClock) -> None:
    async with stream_peer() as peer, following(peer, at=0) as events:
        peer.say(update(1, 3))
        peer.cut()
        assert await numbers(events, 2) == [1, 2]  # what came is given out meanwhile
        peer.connect()
        request = await peer.request(SubscribePrivate)
        assert request.after == 3
        peer.say(update(9, 9))  # of nobody's stream yet
        peer.say(begun(request, 3, 5), update(4, 5))
        assert await numbers(events, 3) == [3, 4, 5]


async def test_a_cut_before_it_began_begins_it_from_now(autojump_clock: MockClock) -> None:
    async with stream_peer() as peer, trio.open_nursery() as nursery:
        events = PrivateEvents(peer.channel, peer.subscriptions, listings(peer), USER, None)

        async def serve() -> None:
            await peer.request(SubscribePrivate)
            peer.cut()
            peer.connect()
            request = await peer.request(SubscribePrivate)
            assert request.after is None
            peer.say(begun(request, 12, 12), update(13, 13))

        nursery.start_soon(serve)
        async with followed(peer.subscriptions, events):
            assert await numbers(events, 1) == [13]


async def test_a_gap_that_should_not_be_is_asked_for(autojump_clock: MockClock) -> None:
    async with stream_peer() as peer, following(peer, at=0) as events:
        peer.say(update(1, 1), update(3, 3))
        request = await peer.request(SubscribePrivate)
        assert request.after == 1
        peer.say(update(4, 4), begun(request, 1, 4), update(2, 4))
        assert await numbers(events, 4) == [1, 2, 3, 4]


async def test_a_slow_reader_loses_nothing(autojump_clock: MockClock) -> None:
    async with stream_peer() as peer, following(peer, at=0, waiting_max=10) as events:
        peer.say(update(1, 9), update(10, 14), update(15, 20))
        stop = await peer.request(UnsubscribePrivate)
        assert stop.user == USER
        await peer.quiet()  # until its reader caught up
        assert await numbers(events, 14) == [*range(1, 15)]
        async with trio.open_nursery() as nursery:

            async def serve() -> None:
                request = await peer.request(SubscribePrivate)
                assert request.after == 14
                peer.say(begun(request, 14, 20), update(15, 20))

            nursery.start_soon(serve)
            assert await numbers(events, 6) == [*range(15, 21)]


async def test_a_slow_reader_is_not_asked_for_after_a_cut_either(autojump_clock: MockClock) -> None:
    async with stream_peer() as peer, following(peer, at=0, waiting_max=3) as events:
        peer.say(update(1, 3))
        peer.cut()
        peer.connect()
        await peer.quiet()
        assert await numbers(events, 3) == [1, 2, 3]
        with trio.move_on_after(0.1):
            await anext(events)
        assert (await peer.request(SubscribePrivate)).after == 3


async def answer_pages(peer: StreamPeer, after: int, sequence: int, fills: list[FillRow]) -> None:
    asked = await peer.request(ListFills)
    assert (asked.after, asked.user) == (after, USER)
    peer.say(FillsReply(asked.request_id, 0, sequence, fills, 70))
    orders = await peer.request(ListOrders)
    peer.say(OrdersReply(orders.request_id, 0, sequence + 5, []))
    balances = await peer.request(ListBalances)
    peer.say(BalancesReply(balances.request_id, 0, sequence + 5, [(1, 2, 3, 4, 0)]))
    holds = await peer.request(ListHolds)
    peer.say(HoldsReply(holds.request_id, 0, sequence + 5, [(9, 1, 4, 0)]))
    assert {orders.user, balances.user, holds.user} == {USER}


async def test_beyond_the_ring_a_snapshot_stands_for_what_is_missing(
    autojump_clock: MockClock,
) -> None:
    fill = FillRow(5, 77, 1, 1, 1, 0, 1, 1, 100, 1, 0, 2)
    async with stream_peer() as peer, following(peer, at=0) as events:
        peer.say(update(1, 2))
        peer.cut()
        peer.connect()
        peer.refuse(await peer.request(SubscribePrivate), ErrorCode.RESUME_TOO_OLD)
        request = await peer.request(SubscribePrivate)
        assert request.after is None
        # What comes while the lists are read: up to 102 they have it in them.
        peer.say(begun(request, 100, 100), update(101, 104))
        assert await numbers(events, 2) == [1, 2]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer_pages, peer, 2, 1_025, [fill])
            snapshot = await anext(events)
        assert isinstance(snapshot, Snapshot)
        assert snapshot.raw == (1_025, [], [(1, 2, 3, 4, 0)], [(9, 1, 4, 0)], [fill], 70)
        assert snapshot.fills_complete_after == 70
        [account], [hold], [filled] = snapshot.balances, snapshot.holds, snapshot.fills
        assert (account.symbol, account.balance.available) == ("BTC", D("0.00000002"))
        assert (hold.symbol, hold.amount) == ("BTC", D("0.00000004"))
        assert (filled.symbol, filled.price, filled.quantity) == ("BTC/USD", D(100), D("0.01"))
        assert (events.position, events.snapshots) == (100, 1)
        assert await numbers(events, 2) == [103, 104]


async def test_a_snapshot_is_read_until_all_of_it_came(autojump_clock: MockClock) -> None:
    async with stream_peer(timeout_s=1) as peer:
        events = PrivateEvents(peer.channel, peer.subscriptions, listings(peer), USER, 3)
        result: list[Any] = []

        async def serve() -> None:
            peer.refuse(await peer.request(SubscribePrivate), ErrorCode.RESUME_TOO_OLD)
            request = await peer.request(SubscribePrivate)
            peer.say(begun(request, 50, 50))
            late = await peer.request(ListFills)
            await trio.sleep(1.5)
            again = await peer.request(ListFills)
            peer.refuse(again, ErrorCode.BUSY, retryable=True)
            peer.say(FillsReply(late.request_id, 0, 1, []))
            await answer_pages(peer, 3, 500, [])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            async with followed(peer.subscriptions, events):
                with trio.move_on_after(0.5):
                    await anext(events)  # canceled in the middle: nothing is lost
                peer.asked.clear()
                result.append(await anext(events))
        assert result[0].sequence == 500


@pytest.mark.parametrize("code", [ErrorCode.RESUME_AHEAD, ErrorCode.NOT_AUTHORIZED])
async def test_a_no_is_the_callers(autojump_clock: MockClock, code: ErrorCode) -> None:
    async with stream_peer() as peer, trio.open_nursery() as nursery:

        async def serve() -> None:
            peer.refuse(await peer.request(SubscribePrivate), code)

        nursery.start_soon(serve)
        events = PrivateEvents(peer.channel, peer.subscriptions, listings(peer), USER, 3)
        with pytest.raises(RequestRefused) as caught:
            async with followed(peer.subscriptions, events):
                pytest.fail("begun")
        assert caught.value.code == code
        await peer.request(UnsubscribePrivate)


async def test_put_off_is_asked_again(autojump_clock: MockClock) -> None:
    async with stream_peer() as peer, trio.open_nursery() as nursery:

        async def serve() -> None:
            for _ in range(3):
                request = await peer.request(SubscribePrivate)
                peer.refuse(request, ErrorCode.THROTTLED, retryable=True)
            peer.say(begun(await peer.request(SubscribePrivate), 0, 0))

        nursery.start_soon(serve)
        events = PrivateEvents(peer.channel, peer.subscriptions, listings(peer), USER, 0)
        async with followed(peer.subscriptions, events):
            assert trio.current_time() > 0.5


async def test_a_client_follows_a_user_once_at_a_time(autojump_clock: MockClock) -> None:
    async with stream_peer() as peer, following(peer):
        second = PrivateEvents(peer.channel, peer.subscriptions, listings(peer), USER, None)
        with pytest.raises(ValueError, match="private events of user 7: this client follows"):
            peer.subscriptions.open(second)


async def test_a_stream_that_was_left_is_unsubscribed_and_can_be_opened_again(
    autojump_clock: MockClock,
) -> None:
    async with stream_peer() as peer:
        async with following(peer, at=0) as events:
            peer.say(update(1, 1))
        assert (await peer.request(UnsubscribePrivate)).user == USER
        peer.say(update(2, 2))
        assert await numbers(events, 1) == [1]
        with pytest.raises(ConnectionLost, match="left"):
            await anext(events)
        async with following(peer, events.position, at=2) as again:
            peer.say(update(2, 2))
            assert await numbers(again, 1) == [2]


async def test_the_beginning_of_a_stream_that_was_left_is_nobodys(
    autojump_clock: MockClock,
) -> None:
    async with stream_peer() as peer:
        first = PrivateEvents(peer.channel, peer.subscriptions, listings(peer), USER, None)
        peer.subscriptions.open(first)
        old = await peer.request(SubscribePrivate)
        peer.subscriptions.close(first)
        second = PrivateEvents(peer.channel, peer.subscriptions, listings(peer), USER, None)
        peer.subscriptions.open(second)
        peer.say(begun(old, 3, 3), update(4, 4))
        request = await peer.request(SubscribePrivate)
        peer.say(begun(request, 5, 5), update(6, 6))
        await second.wait_begun()
        assert second.position == 5
        assert await numbers(second, 1) == [6]


async def test_the_end_of_the_client_ends_it_after_what_waits(autojump_clock: MockClock) -> None:
    async with stream_peer() as peer, following(peer, at=0) as events:
        peer.say(update(1, 1))
        peer.channel.close(ProtocolError("nonsense"))
        peer.subscriptions.end(ProtocolError("nonsense"))
        assert await numbers(events, 1) == [1]
        with pytest.raises(ConnectionLost, match="has ended: nonsense"):
            await anext(events)
        with pytest.raises(ConnectionLost, match="nonsense"):
            peer.subscriptions.open(events)


async def test_an_update_that_contradicts_itself_is_a_protocol_error(
    autojump_clock: MockClock,
) -> None:
    async with stream_peer() as peer, following(peer, at=0):
        with pytest.raises(ProtocolError, match=r"private_update 1\.\.3 has 1 reports"):
            peer.say(PrivateUpdate(0, 0, USER, 1, 3, [report(1)]))


async def test_a_waiting_reader_wakes(autojump_clock: MockClock) -> None:
    async with (
        stream_peer() as peer,
        following(peer, at=0) as events,
        trio.open_nursery() as nursery,
    ):
        taken: list[int] = []

        async def read() -> None:
            taken.extend(await numbers(events, 2))

        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        peer.say(update(1, 1))
        await wait_all_tasks_blocked()
        assert taken == []
        peer.say(update(2, 2))
        await wait_all_tasks_blocked()
        assert taken == [1, 2]
