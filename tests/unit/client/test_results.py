"""What requests of orders, markets and holds return, against the real core in memory."""

from collections.abc import Callable
from typing import Any

import msgspec

from hpe.client.results import (
    Balance,
    HoldResult,
    MassCancelResult,
    OcoResult,
    UncrossResult,
)
from hpe.protocol.codes import CancelReason
from hpe.protocol.enums import ExecType, InstrumentStatus, OrderStatus, SelfTrade
from hpe.protocol.flags import ORDER_POST_ONLY
from hpe.protocol.frames import encode_frame
from hpe.protocol.orders import MassCancel, MassCancelResponse, OrderTerms, SubmitOrder
from hpe.protocol.reports import OrderReport, PreventedMatch
from tests.support.core_peer import USER, CorePeer, market, served

PAIR = "BTC/USD"


async def test_terms_travel_only_when_one_is_set() -> None:
    peer = CorePeer()
    await market(peer)

    def last() -> SubmitOrder:
        return msgspec.msgpack.decode(peer.sent[-1][4:], type=SubmitOrder)

    await served(peer, peer.client.submit_order, PAIR, "sell", 1, 100)
    assert (last().terms, last().self_trade, last().flags) == (None, 0, 0)
    order = await served(
        peer,
        peer.client.submit_order,
        PAIR,
        "sell",
        7,
        100,
        display_quantity=2,
        post_only=True,
        self_trade=SelfTrade.CANCEL_BOTH,
    )
    assert last().terms == OrderTerms(display_quantity=2)
    assert (last().self_trade, last().flags) == (SelfTrade.CANCEL_BOTH, ORDER_POST_ONLY)
    row = (await served(peer, peer.client.get_order, order.order_id)).raw
    assert (row.leaves, row.display_quantity, row.self_trade) == (
        7,
        2,
        SelfTrade.CANCEL_BOTH,
    )


async def test_an_order_result_has_the_match_that_was_prevented() -> None:
    peer = CorePeer()
    await market(peer)
    maker = await served(peer, peer.client.submit_order, PAIR, "sell", 5, 100)
    taker = await served(
        peer, peer.client.submit_order, PAIR, "buy", 3, 100, self_trade=SelfTrade.CANCEL_TAKER
    )
    assert (taker.status, taker.reason) == (OrderStatus.CANCELED, CancelReason.SELF_TRADE)
    [event] = taker.raw.events
    assert isinstance(event, PreventedMatch)
    assert (event.request_id, event.policy) == (taker.raw.request_id, SelfTrade.CANCEL_TAKER)
    assert (event.maker_order_id, event.taker_order_id) == (maker.order_id, taker.order_id)
    assert (event.maker_canceled, event.taker_canceled) == (0, 3)
    assert taker.fills == ()


async def test_an_order_result_has_its_fees_and_the_linked_order_that_ended() -> None:
    peer = CorePeer()
    await market(peer)
    await served(peer, peer.client.set_fees, PAIR, -100, 1_500)
    await served(peer, peer.client.submit_order, PAIR, "buy", 4, 99)
    both = await served(peer, peer.client.submit_oco, PAIR, "sell", 10, 100, 90)
    taken = await served(peer, peer.client.submit_order, PAIR, "buy", 5, 100)
    # 500 at 0.15 % is 0.75, taken as 1.
    assert (taken.quote_total, taken.fee_total, taken.fills[0].fee) == (500, 1, 1)
    [event] = taken.raw.events
    assert isinstance(event, OrderReport)
    assert (event.order_id, event.reason) == (both.stop_order_id, CancelReason.LINKED)
    assert event.exec_type == ExecType.CANCELED


async def test_the_outcome_of_every_newer_command_is_what_its_method_returns() -> None:
    peer = CorePeer(window=64)
    base, _, _ = await market(peer)
    client = peer.client

    async def twice(kind: type, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        result = await served(peer, function, *args, **kwargs)
        result = getattr(result, "raw", result)
        assert isinstance(result, kind)
        again = await served(peer, client.outcome, peer.late(client.requests.last_request_id))
        assert again == result
        return result

    await twice(OcoResult, client.submit_oco, PAIR, "sell", 10, 100, 90)
    canceled = await twice(MassCancelResult, client.mass_cancel, PAIR, "sell")
    assert (canceled.canceled, canceled.remaining, len(canceled.orders)) == (2, 0, 2)
    assert await twice(int, client.block_user, USER + 1) == 0
    status = InstrumentStatus.CALL_AUCTION
    assert await twice(InstrumentStatus, client.set_status, PAIR, status) is status
    await served(peer, client.submit_order, PAIR, "sell", 3, 100)
    await served(peer, client.submit_order, PAIR, "buy", 3, 100)
    opening = await twice(UncrossResult, client.uncross, PAIR, InstrumentStatus.HALTED)
    assert (opening.price, opening.volume) == (100, 3)
    await twice(type(None), client.set_fees, PAIR, 1, 2)
    await twice(Balance, client.transfer, "BTC", 5, USER + 1)
    await twice(Balance, client.lock_balance, "BTC", 50, hold_id=9)
    hold = await twice(HoldResult, client.capture_hold, 9, 20, USER + 1)
    assert (hold.hold_id, hold.asset, hold.remaining, hold.balance.held) == (9, base, 30, 30)
    assert (await twice(HoldResult, client.release_hold, 9)).remaining == 0


async def test_reports_of_a_request_are_its_own_and_all_others_are_nobodys() -> None:
    peer = CorePeer()
    channel = peer.channel
    pending = channel.send_nowait(MassCancel(0))
    order = [1, 1, ExecType.CANCELED, OrderStatus.CANCELED, 1, 5, 0, 2, 0, 0, 3]
    told = [
        OrderReport(request_id, 0, number, *order, CancelReason.MASS_CANCEL, 2, 100, 0)
        for number, request_id in enumerate((pending.request_id, 0, pending.request_id), 1)
    ]
    prevented = PreventedMatch(0, 0, 4, 1, 1, 1, SelfTrade.DECREMENT, 100, 5, 6, 1, 1, 2, 0)
    for message in (*told, prevented):
        channel.feed(encode_frame(message))
    channel.feed(encode_frame(MassCancelResponse(pending.request_id, 0, 9, 0, 2, 0)))
    answer = await pending.wait()
    assert answer.reports == answer.events == (told[0], told[2])
    assert answer.fills == ()
