"""The request side against the real core in memory: numbers, window, deadlines, outcomes."""

from collections.abc import Callable
from typing import Any

import msgpack
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from hpe.client.results import Balance
from hpe.client.views import FillsView, OrderView
from hpe.core.contract import Limits
from hpe.errors import (
    ConnectionLost,
    OrderRejected,
    ProtocolError,
    ReplyTimeout,
    RequestRefused,
)
from hpe.protocol.base import Request
from hpe.protocol.codes import CancelReason, ErrorCode, RejectReason
from hpe.protocol.control import Pong
from hpe.protocol.enums import OrderStatus
from hpe.protocol.flags import FLAG_DUPLICATE
from hpe.protocol.frames import encode_frame, split_frames
from hpe.protocol.limits import AMOUNT_MAX, DEPTH_MAX, PAGE_MAX
from hpe.protocol.listings import AddAsset
from hpe.protocol.market_data import GetOrderbook, OrderbookReply
from hpe.protocol.money import BalanceReply, Deposit, GetBalance
from hpe.protocol.orders import OrderResponse
from tests.support.core_peer import CorePeer, market, serve_when_asked, served

PAIR = "BTC/USD"


def request_ids(frames: list[bytes]) -> list[int]:
    return [msgpack.unpackb(frame[4:])[1] for frame in frames]


async def test_calls_round_trip_through_the_core() -> None:
    peer = CorePeer()
    base, quote, pair = await market(peer)
    client = peer.client

    async def ask(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return await served(peer, function, *args, **kwargs)

    assets = await ask(client.list_assets)
    assert [(each.id, each.symbol) for each in assets] == [(base, "BTC"), (quote, "USD")]
    [view] = await ask(client.list_instruments)
    assert (view.id, view.symbol, view.raw.price_max) == (pair, "BTC/USD", 10_000)
    assert await ask(client.resolve_instrument, "BTC", "USD") == pair
    assert (await ask(client.lock_balance, "BTC", 300)).raw == Balance(700, 300, 0, 300)
    assert (await ask(client.unlock_balance, "BTC", 100)).raw == Balance(800, 200, 0, 200)
    assert (await ask(client.withdraw, "USD", 1)).raw == Balance(999_999, 0, 0, 0)
    sell = await ask(client.submit_order, PAIR, "sell", 10, 101, client_order_id=5)
    assert (sell.status, sell.leaves, sell.fills) == (OrderStatus.NEW, 10, ())
    assert (await ask(client.get_balance, "BTC")).raw == Balance(790, 210, 10, 200)
    assert (await ask(client.deposit, "BTC", 1)).raw == Balance(791, 210, 10, 200)
    book = (await ask(client.get_orderbook, PAIR, 3)).raw
    assert (book.bids, book.asks) == ([], [(101, 10, 1)])
    smaller = await ask(client.replace_order, PAIR, sell.order_id, quantity=8)
    assert (smaller.order_id, smaller.leaves) == (sell.order_id, 8)
    gone = await ask(client.cancel_order, PAIR, client_order_id=5)
    assert (gone.status, gone.reason) == (OrderStatus.CANCELED, CancelReason.REQUESTED)


async def test_fills_say_from_which_on_none_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpe.client.pages.PAGE_MAX", 2)
    peer = CorePeer(limits=Limits(recent_fills=6))
    await market(peer)

    async def trade() -> None:  # with oneself: two fills
        await served(peer, peer.client.submit_order, PAIR, "sell", 1, 100)
        await served(peer, peer.client.submit_order, PAIR, "buy", 1, 100)

    for _ in range(3):
        await trade()
    whole = await served(peer, peer.client.read_fills)
    assert (len(whole.fills), whole.complete_after) == (6, 0)
    await trade()
    less = await served(peer, peer.client.read_fills)
    assert [fill.trade_id for fill in less.fills] == [2, 2, 3, 3, 4, 4]
    gone = [fill.private_sequence for fill in whole.fills if fill.trade_id == 1]
    assert less.complete_after == max(gone)
    behind = await served(peer, peer.client.read_fills, after=less.complete_after)
    assert (behind.fills, behind.complete_after) == (less.fills, 0)


async def test_fills_that_are_forgotten_between_two_pages_are_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hpe.client.pages.PAGE_MAX", 2)
    peer = CorePeer(limits=Limits(recent_fills=6))
    await market(peer)
    for _ in range(3):
        await served(peer, peer.client.submit_order, PAIR, "sell", 1, 100)
        await served(peer, peer.client.submit_order, PAIR, "buy", 1, 100)
    found: list[FillsView] = []
    done = trio.Event()

    async def read() -> None:
        found.append(await peer.client.read_fills())
        done.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        peer.serve()  # the first page
        await wait_all_tasks_blocked()
        page = peer.waiting.pop()
        for _ in range(2):
            await served(peer, peer.client.submit_order, PAIR, "sell", 1, 100)
            await served(peer, peer.client.submit_order, PAIR, "buy", 1, 100)
        peer.take(page)
        nursery.start_soon(serve_when_asked, peer)
        await done.wait()
        nursery.cancel_scope.cancel()
    [fills] = found
    assert [fill.trade_id for fill in fills.fills] == [1, 1, 3, 3, 4, 4, 5, 5]
    before, behind = fills.fills[1:3]
    assert before.private_sequence < fills.complete_after < behind.private_sequence


async def test_an_order_result_collects_its_fills() -> None:
    peer = CorePeer()
    await market(peer)
    for price in (101, 102):
        await served(peer, peer.client.submit_order, PAIR, "sell", 10, price)
    buy = await served(peer, peer.client.submit_order, PAIR, "buy", 15, 102)
    assert [(fill.price, fill.quantity) for fill in buy.fills] == [(101, 10), (102, 5)]
    assert {fill.raw.request_id for fill in buy.fills} == {buy.raw.request_id}
    assert buy.raw.fill_count == 2
    assert (buy.status, buy.cum, buy.quote_total) == (OrderStatus.FILLED, 15, 1010 + 510)
    assert not buy.raw.duplicate


async def test_a_reject_raises_with_name_and_response_and_an_ioc_remainder_does_not() -> None:
    peer = CorePeer()
    await market(peer)
    with pytest.raises(OrderRejected) as caught:
        await served(peer, peer.client.submit_order, PAIR, "buy", 1, 10_001)
    error = caught.value
    assert (error.reason, error.name) == (RejectReason.PRICE_OUT_OF_RANGE, "price_out_of_range")
    assert isinstance(error.response, OrderResponse)
    unfilled = await served(
        peer, peer.client.submit_order, PAIR, "buy", 1, 100, time_in_force="ioc"
    )
    assert (unfilled.status, unfilled.canceled) == (OrderStatus.CANCELED, 1)
    assert unfilled.reason == CancelReason.IOC_REMAINDER


@pytest.mark.parametrize("query", [GetOrderbook(0, 99, 1), GetBalance(0, 99)])
async def test_a_query_about_nothing_raises_its_reason(query: Request) -> None:
    peer = CorePeer()
    reply = OrderbookReply if isinstance(query, GetOrderbook) else BalanceReply
    with pytest.raises(OrderRejected) as caught:
        await served(peer, peer.client.session.read, reply, query)
    error = caught.value
    assert error.name in ("unknown_instrument", "unknown_asset")


async def test_a_refusal_raises_its_code() -> None:
    peer = CorePeer()
    frame = encode_frame(GetOrderbook(1, 1, DEPTH_MAX + 1))
    pending = await peer.channel.resend(frame)
    peer.serve()
    with pytest.raises(RequestRefused) as caught:
        await pending.wait()
    error = caught.value
    assert (error.code, error.retryable) == (ErrorCode.BAD_FIELD, False)
    assert error.field == "depth"
    assert str(error).endswith(": depth: found 1001, allowed 1 to 1000")


async def test_the_outcome_of_no_time_out_is_a_type_error() -> None:
    peer = CorePeer()
    with pytest.raises(TypeError, match="outcome: found ValueError, allowed the ReplyTimeout"):
        await peer.client.outcome(ValueError())  # type: ignore[arg-type]  # wrong on purpose


async def test_what_cannot_be_encoded_uses_up_neither_id_nor_window() -> None:
    peer = CorePeer(window=1)
    for amount in (2**64, 2**63, -1):
        with pytest.raises(ValueError, match=f"amount: found {amount}, allowed 1 to {AMOUNT_MAX}"):
            peer.channel.send_nowait(Deposit(0, 1, amount))
    assert peer.channel.send_nowait(Deposit(0, 1, 1)).request_id == 1


async def test_all_pages_of_a_list_are_read() -> None:
    peer = CorePeer(window=512)
    total = PAGE_MAX + 1
    for number in range(total):
        if not peer.channel.send_nowait(AddAsset(0, f"A{number}", 0)).request_id % 500:
            peer.serve()
    assets = await served(peer, peer.client.list_assets)
    assert [asset.symbol for asset in assets] == [f"A{number}" for number in range(total)]


async def test_request_ids_increase_in_sending_order_and_go_on_above_the_welcome() -> None:
    peer = CorePeer(window=2)
    peer.client = peer.client_of(last_request_id=1_000)
    channel = peer.channel
    results: list[int] = []

    async def ask(asset: int) -> None:
        pending = await channel.send(GetBalance(0, asset))
        await pending.wait()
        results.append(pending.request_id)

    async with trio.open_nursery() as nursery:
        for asset in range(1, 11):
            nursery.start_soon(ask, asset)
        while len(results) < 10:
            await wait_all_tasks_blocked()
            assert len(peer.waiting) <= 2
            peer.serve()
    assert request_ids(peer.sent) == list(range(1_001, 1_011))
    assert sorted(results) == list(range(1_001, 1_011))


async def test_a_full_window_blocks_send_and_refuses_send_nowait() -> None:
    peer = CorePeer(window=2)
    for _ in range(2):
        peer.channel.send_nowait(GetBalance(0, 1))
    with pytest.raises(trio.WouldBlock):
        peer.channel.send_nowait(GetBalance(0, 1))
    peer.serve()
    assert peer.channel.send_nowait(GetBalance(0, 1)).request_id == 3


async def test_a_window_that_stays_full_is_busy_and_nothing_was_sent(
    autojump_clock: MockClock,
) -> None:
    peer = CorePeer(window=1, timeout_s=0.1)
    peer.channel.send_nowait(GetBalance(0, 1))
    with pytest.raises(RequestRefused, match="nothing was sent") as caught:
        await peer.client.list_balances()
    assert (caught.value.code, caught.value.retryable) == (ErrorCode.BUSY, True)
    assert len(peer.sent) == 1


async def test_no_answer_in_time_is_an_unknown_outcome_that_can_be_asked(
    autojump_clock: MockClock,
) -> None:
    peer = CorePeer(timeout_s=0.1)
    await market(peer)
    await served(peer, peer.client.submit_order, PAIR, "sell", 3, 100)
    with pytest.raises(ReplyTimeout) as caught:
        await peer.client.submit_order(PAIR, "buy", 3, 100)
    error = caught.value
    request_id = error.request_id
    assert error.session_id == peer.session_id
    assert "outcome(error)" in str(error)
    assert "not send it again" in str(error)
    assert peer.channel.unanswered
    # Still unanswered: nothing is sent twice, and the fills of the late answer are kept.
    count = len(peer.sent)
    late = await served(peer, peer.client.outcome, error)
    assert not peer.channel.unanswered
    assert len(peer.sent) == count
    assert isinstance(late, OrderView)
    assert (late.raw.request_id, late.raw.duplicate, len(late.fills)) == (request_id, False, 1)
    # Answered meanwhile: the same bytes go out again and change nothing.
    again = await served(peer, peer.client.outcome, error)
    assert peer.sent[-1] == peer.sent[-2]
    assert again.raw.duplicate
    assert again == late


async def test_a_late_answer_counts_as_unanswered_until_it_was_heard(
    autojump_clock: MockClock,
) -> None:
    peer = CorePeer(timeout_s=0.1)
    await market(peer)
    with pytest.raises(ReplyTimeout) as late:
        await peer.client.deposit("BTC", 1)
    peer.serve()
    assert peer.channel.unanswered
    assert (await served(peer, peer.client.outcome, late.value)).available == 1_001
    assert not peer.channel.unanswered
    peer.refuse = ErrorCode.BUSY
    with pytest.raises(ReplyTimeout) as late:
        await peer.client.deposit("BTC", 1)
    peer.serve()
    assert peer.channel.unanswered
    with pytest.raises(RequestRefused, match="busy"):  # as it was then: never executed
        await peer.client.outcome(late.value)
    assert not peer.channel.unanswered


async def test_the_outcome_of_every_kind_of_command_has_its_own_form() -> None:
    peer = CorePeer()
    await market(peer)
    deposit = peer.channel.last_request_id
    assert await served(peer, peer.client.outcome, peer.late(deposit)) == Balance(
        1_000_000, 0, 0, 0
    )
    assert await served(peer, peer.client.outcome, peer.late(deposit - 4)) == 1
    count = len(peer.sent)
    with pytest.raises(RequestRefused) as caught:  # window is 4
        await served(peer, peer.client.outcome, peer.late(deposit - 6))
    error = caught.value
    assert error.code == ErrorCode.STALE_ID
    assert len(peer.sent) == count


async def test_what_was_refused_is_not_asked_again_for_it_would_run() -> None:
    peer = CorePeer()
    await market(peer)
    peer.refuse = ErrorCode.BUSY
    with pytest.raises(RequestRefused) as caught:
        await served(peer, peer.client.deposit, "BTC", 5)
    error = caught.value
    assert error.retryable
    peer.refuse = 0
    count = len(peer.sent)
    with pytest.raises(RequestRefused) as caught:
        await served(peer, peer.client.outcome, peer.late(error.request_id))
    error = caught.value
    assert len(peer.sent) == count


async def test_a_new_channel_of_the_session_resends_and_goes_on() -> None:
    peer = CorePeer()
    base, _, _ = await market(peer)
    executed = peer.channel.send_nowait(Deposit(0, base, 7))
    peer.serve()
    lost = peer.channel.send_nowait(Deposit(0, base, 9))
    peer.waiting.clear()
    peer.channel.close(ConnectionLost("cut"))
    with pytest.raises(ConnectionLost, match="outcome unknown: cut"):
        await lost.wait()
    peer.client = peer.client_of(last_request_id=executed.request_id)
    for pending in (executed, lost):
        repeated = await peer.channel.resend(pending.frame)
        peer.serve()
        flags = (await repeated.wait()).response.flags
        assert flags == (FLAG_DUPLICATE if pending is executed else 0)
    assert (await served(peer, peer.client.get_balance, "BTC")).available == 1_000 + 7 + 9
    asked = 3  # what is listed, and the balance
    assert peer.channel.last_request_id == lost.request_id + asked


async def test_the_highest_answered_command_is_known() -> None:
    peer = CorePeer()
    await market(peer)
    answered = peer.channel.last_request_id
    await served(peer, peer.client.list_balances)
    peer.channel.send_nowait(Deposit(0, 1, 1))
    assert peer.channel.answered_request_id == answered
    peer.refuse = ErrorCode.BUSY
    peer.serve()
    assert peer.channel.answered_request_id == answered


async def test_close_fails_what_waits_for_an_answer_and_what_waits_for_the_window() -> None:
    peer = CorePeer(window=2)
    errors: list[Exception] = []

    async def ask() -> None:
        try:
            await peer.client.list_balances()
        except ConnectionLost as error:
            errors.append(error)

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        cause = ConnectionLost("cable cut")
        peer.channel.close(cause)
        peer.channel.close(ConnectionLost("later"))
    assert len(errors) == 5
    assert all(error.__cause__ is cause for error in errors)
    assert len(peer.sent) == 2
    with pytest.raises(ConnectionLost, match="not sent"):
        peer.channel.send_nowait(GetBalance(0, 1))
    with pytest.raises(ConnectionLost, match="not sent"):
        await peer.client.list_balances()


async def test_a_cancelled_waiter_leaves_the_window_in_order() -> None:
    peer = CorePeer(window=1)
    first = peer.channel.send_nowait(GetBalance(0, 1))
    with trio.move_on_after(0):
        await peer.channel.send(GetBalance(0, 1))
    peer.serve()
    assert first.answered
    assert peer.channel.send_nowait(GetBalance(0, 1)).request_id == 2


@pytest.mark.parametrize(
    "frames",
    [
        b"\x00\x00\x00\x02\x91\x01",
        b"\x00\x00\x00\x03\x93\x7e\x01",
        b"\x00\x00\x00\x02\xc1\xc1",
        encode_frame(Pong(99, 0, 0)),
        encode_frame(Pong(1, 0, 0))[:-1],
    ],
)
async def test_replies_that_are_none_are_protocol_errors(frames: bytes) -> None:
    with pytest.raises(ProtocolError):
        CorePeer().channel.feed(frames)


async def test_an_answer_of_another_type_is_a_protocol_error() -> None:
    def answer(frame: bytes) -> None:
        channel.feed(encode_frame(BalanceReply(1, 0, 0, 0, 1, 0, 0, 0, 0)))

    peer = CorePeer()
    channel = peer.channel
    channel._send = answer
    with pytest.raises(ProtocolError, match="expected Pong, the server answered BalanceReply"):
        await peer.client.ping()


async def test_fields_added_by_a_newer_server_are_ignored() -> None:
    peer = CorePeer()
    pending = peer.channel.send_nowait(GetBalance(0, 1))
    body = msgpack.packb([33, 1, 0, 5, 0, 1, 2, 3, 4, 5, "new", {"more": 1}])
    peer.channel.feed(len(body).to_bytes(4, "big") + body)
    assert (await pending.wait()).response == BalanceReply(1, 0, 5, 0, 1, 2, 3, 4, 5)
    assert [*split_frames(b"")] == []


async def test_messages_added_by_a_newer_server_are_ignored() -> None:
    peer = CorePeer()
    pending = peer.channel.send_nowait(GetBalance(0, 1))
    body = msgpack.packb([30, 1, 0, "news"])
    peer.channel.feed(len(body).to_bytes(4, "big") + body)
    assert not pending.answered
