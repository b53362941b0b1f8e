"""The request side against the real core in memory: numbers, window, deadlines, outcomes."""

from collections.abc import Callable
from typing import Any

import msgpack
import msgspec
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from hpe.client.requests import RequestChannel
from hpe.client.results import Balance, Listing, OrderResult
from hpe.core.contract import Limits
from hpe.errors import (
    ConnectionLost,
    OrderRejected,
    ProtocolError,
    ReplyTimeout,
    RequestRefused,
)
from hpe.protocol.codes import CancelReason, ErrorCode, RejectReason
from hpe.protocol.control import Pong
from hpe.protocol.enums import OrderStatus, OrderType, Side, TimeInForce
from hpe.protocol.flags import FLAG_DUPLICATE
from hpe.protocol.frames import encode_frame, split_frames
from hpe.protocol.limits import AMOUNT_MAX, DEPTH_MAX, PAGE_MAX
from hpe.protocol.listings import AddAsset
from hpe.protocol.market_data import GetOrderbook
from hpe.protocol.money import BalanceReply, Deposit, GetBalance
from hpe.protocol.orders import FillRow, OrderResponse
from tests.support.core_peer import CorePeer, market, serve_when_asked, served


def request_ids(frames: list[bytes]) -> list[int]:
    return [msgpack.unpackb(frame[4:])[1] for frame in frames]


async def test_every_typed_request_round_trips_through_the_core() -> None:
    peer = CorePeer()
    base, quote, pair = await market(peer)
    channel = peer.channel

    async def ask(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return await served(peer, function, *args, **kwargs)

    assert await ask(channel.list_assets) == [(base, "BTC", 8), (quote, "USD", 2)]
    [row] = await ask(channel.list_instruments)
    assert (row.instrument, row.symbol, row.price_max) == (pair, "BTC/USD", 10_000)
    assert await ask(channel.resolve_instrument, "BTC", "USD") == pair
    assert await ask(channel.lock_balance, base, 300) == Balance(700, 300, 0, 300)
    assert await ask(channel.unlock_balance, base, 100) == Balance(800, 200, 0, 200)
    assert await ask(channel.withdraw, quote, 1) == Balance(999_999, 0, 0, 0)
    sell = await ask(channel.submit_order, pair, Side.SELL, 10, 101, client_order_id=5)
    assert (sell.status, sell.leaves, sell.fills) == (OrderStatus.NEW, 10, ())
    assert await ask(channel.get_balance, base) == Balance(790, 210, 10, 200)
    assert await ask(channel.deposit, base, 1) == Balance(791, 210, 10, 200)
    book = await ask(channel.get_orderbook, pair, 3)
    assert (book.bids, book.asks) == ([], [(101, 10, 1)])
    smaller = await ask(channel.replace_order, sell.order_id, quantity=8)
    assert (smaller.order_id, smaller.leaves) == (sell.order_id, 8)
    gone = await ask(channel.cancel_order, client_order_id=5)
    assert (gone.status, gone.reason) == (OrderStatus.CANCELED, CancelReason.REQUESTED)


async def test_fills_say_from_which_on_none_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpe.client.results.PAGE_MAX", 2)
    peer = CorePeer(limits=Limits(recent_fills=6))
    channel, (_, _, pair) = peer.channel, await market(peer)

    async def trade() -> None:  # with oneself: two fills
        await served(peer, channel.submit_order, pair, Side.SELL, 1, 100)
        await served(peer, channel.submit_order, pair, Side.BUY, 1, 100)

    for _ in range(3):
        await trade()
    whole = await served(peer, channel.read_fills)
    assert (len(whole.rows), whole.complete_after) == (6, 0)
    await trade()
    less = await served(peer, channel.read_fills)
    assert [row.trade_id for row in less.rows] == [2, 2, 3, 3, 4, 4]
    gone = [row.private_sequence for row in whole.rows if row.trade_id == 1]
    assert less.complete_after == max(gone)
    behind = await served(peer, channel.read_fills, after=less.complete_after)
    assert (behind.rows, behind.complete_after) == (less.rows, 0)


async def test_fills_that_are_forgotten_between_two_pages_are_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hpe.client.results.PAGE_MAX", 2)
    peer = CorePeer(limits=Limits(recent_fills=6))
    channel, (_, _, pair) = peer.channel, await market(peer)
    for _ in range(3):
        await served(peer, channel.submit_order, pair, Side.SELL, 1, 100)
        await served(peer, channel.submit_order, pair, Side.BUY, 1, 100)
    found: list[Listing[FillRow]] = []
    done = trio.Event()

    async def read() -> None:
        found.append(await channel.read_fills())
        done.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        peer.serve()  # the first page
        await wait_all_tasks_blocked()
        page = peer.waiting.pop()
        for _ in range(2):
            await served(peer, channel.submit_order, pair, Side.SELL, 1, 100)
            await served(peer, channel.submit_order, pair, Side.BUY, 1, 100)
        peer.take(page)
        nursery.start_soon(serve_when_asked, peer)
        await done.wait()
        nursery.cancel_scope.cancel()
    [fills] = found
    assert [row.trade_id for row in fills.rows] == [1, 1, 3, 3, 4, 4, 5, 5]
    assert fills.rows[1].private_sequence < fills.complete_after < fills.rows[2].private_sequence


async def test_an_order_result_collects_its_fills() -> None:
    peer = CorePeer()
    _, _, pair = await market(peer)
    for price in (101, 102):
        await served(peer, peer.channel.submit_order, pair, Side.SELL, 10, price)
    buy = await served(peer, peer.channel.submit_order, pair, Side.BUY, 15, 102)
    assert [(fill.last_price, fill.last_quantity) for fill in buy.fills] == [(101, 10), (102, 5)]
    assert {fill.request_id for fill in buy.fills} == {buy.request_id}
    assert buy.fill_count == 2
    assert (buy.status, buy.cum, buy.quote_total) == (OrderStatus.FILLED, 15, 1010 + 510)
    assert not buy.duplicate


async def test_a_reject_raises_with_name_and_response_and_an_ioc_remainder_does_not() -> None:
    peer = CorePeer()
    _, _, pair = await market(peer)
    with pytest.raises(OrderRejected) as caught:
        await served(peer, peer.channel.submit_order, pair, Side.BUY, 1, 10_001)
    error = caught.value
    assert (error.reason, error.name) == (RejectReason.PRICE_OUT_OF_RANGE, "price_out_of_range")
    assert isinstance(error.response, OrderResponse)
    unfilled = await served(
        peer,
        peer.channel.submit_order,
        pair,
        Side.BUY,
        1,
        order_type=OrderType.LIMIT,
        price=100,
        time_in_force=TimeInForce.IOC,
    )
    assert (unfilled.status, unfilled.canceled) == (OrderStatus.CANCELED, 1)
    assert unfilled.reason == CancelReason.IOC_REMAINDER


@pytest.mark.parametrize("query", ["get_orderbook", "get_balance"])
async def test_a_query_about_nothing_raises_its_reason(query: str) -> None:
    peer = CorePeer()
    with pytest.raises(OrderRejected) as caught:
        await served(peer, getattr(peer.channel, query), 99)
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
        await peer.channel.outcome(ValueError())  # type: ignore[arg-type]  # wrong on purpose


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
    rows = await served(peer, peer.channel.list_assets)
    assert [symbol for _, symbol, _ in rows] == [f"A{number}" for number in range(total)]


async def test_request_ids_increase_in_sending_order_and_go_on_above_the_welcome() -> None:
    peer = CorePeer(window=2)
    channel = peer.channel_of(last_request_id=1_000)
    peer.channel = channel
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
        await peer.channel.get_balance(1)
    assert (caught.value.code, caught.value.retryable) == (ErrorCode.BUSY, True)
    assert len(peer.sent) == 1


async def test_no_answer_in_time_is_an_unknown_outcome_that_can_be_asked(
    autojump_clock: MockClock,
) -> None:
    peer = CorePeer(timeout_s=0.1)
    _, _, pair = await market(peer)
    await served(peer, peer.channel.submit_order, pair, Side.SELL, 3, 100)
    with pytest.raises(ReplyTimeout) as caught:
        await peer.channel.submit_order(pair, Side.BUY, 3, 100)
    error = caught.value
    request_id = error.request_id
    assert error.session_id == peer.session_id
    assert "outcome(error)" in str(error)
    assert "not send it again" in str(error)
    assert peer.channel.unanswered
    # Still unanswered: nothing is sent twice, and the fills of the late answer are kept.
    count = len(peer.sent)
    late = await served(peer, peer.channel.outcome, error)
    assert not peer.channel.unanswered
    assert len(peer.sent) == count
    assert isinstance(late, OrderResult)
    assert (late.request_id, late.duplicate, len(late.fills)) == (request_id, False, 1)
    # Answered meanwhile: the same bytes go out again and change nothing.
    again = await served(peer, peer.channel.outcome, error)
    assert peer.sent[-1] == peer.sent[-2]
    assert again.duplicate
    assert msgspec.structs.replace(again, duplicate=False) == late


async def test_a_late_answer_counts_as_unanswered_until_it_was_heard(
    autojump_clock: MockClock,
) -> None:
    peer = CorePeer(timeout_s=0.1)
    base, _, _ = await market(peer)
    with pytest.raises(ReplyTimeout) as late:
        await peer.channel.deposit(base, 1)
    peer.serve()
    assert peer.channel.unanswered
    assert (await served(peer, peer.channel.outcome, late.value)).available == 1_001
    assert not peer.channel.unanswered
    peer.refuse = ErrorCode.BUSY
    with pytest.raises(ReplyTimeout) as late:
        await peer.channel.deposit(base, 1)
    peer.serve()
    assert peer.channel.unanswered
    with pytest.raises(RequestRefused, match="busy"):  # as it was then: never executed
        await peer.channel.outcome(late.value)
    assert not peer.channel.unanswered


async def test_the_outcome_of_every_kind_of_command_has_its_own_form() -> None:
    peer = CorePeer()
    await market(peer)
    deposit = peer.channel.last_request_id
    assert await served(peer, peer.channel.outcome, peer.late(deposit)) == Balance(
        1_000_000, 0, 0, 0
    )
    assert await served(peer, peer.channel.outcome, peer.late(deposit - 2)) == 1
    count = len(peer.sent)
    with pytest.raises(RequestRefused) as caught:  # window is 4
        await served(peer, peer.channel.outcome, peer.late(deposit - 4))
    error = caught.value
    assert error.code == ErrorCode.STALE_ID
    assert len(peer.sent) == count


async def test_what_was_refused_is_not_asked_again_for_it_would_run() -> None:
    peer = CorePeer()
    base, _, _ = await market(peer)
    peer.refuse = ErrorCode.BUSY
    with pytest.raises(RequestRefused) as caught:
        await served(peer, peer.channel.deposit, base, 5)
    error = caught.value
    assert error.retryable
    peer.refuse = 0
    count = len(peer.sent)
    with pytest.raises(RequestRefused) as caught:
        await served(peer, peer.channel.outcome, peer.late(error.request_id))
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
    peer.channel = peer.channel_of(last_request_id=executed.request_id)
    for pending in (executed, lost):
        repeated = await peer.channel.resend(pending.frame)
        peer.serve()
        flags = (await repeated.wait()).response.flags
        assert flags == (FLAG_DUPLICATE if pending is executed else 0)
    assert (await served(peer, peer.channel.get_balance, base)).available == 1_000 + 7 + 9
    assert peer.channel.last_request_id == lost.request_id + 1


async def test_the_highest_answered_command_is_known() -> None:
    peer = CorePeer()
    await market(peer)
    answered = peer.channel.last_request_id
    await served(peer, peer.channel.get_balance, 1)
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
            await peer.channel.get_balance(1)
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
        await peer.channel.get_balance(1)


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

    channel = RequestChannel(answer, session_id=1, window=1, last_request_id=0)
    with pytest.raises(ProtocolError, match="expected Pong, the server answered BalanceReply"):
        await channel.ping()


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
