"""Part cancels in every status: less of an order is not judged like a new order.

A replace that only reduces the quantity passes although the price is out of the band by now, or
the order is post-only and crosses by now. Source: protocol.md, "Replace".
"""

from __future__ import annotations

from typing import Final

import pytest
from msgspec.structs import replace

from hpe.protocol.codes import RejectReason
from hpe.protocol.enums import InstrumentStatus, Side
from hpe.protocol.listings import AddInstrument
from hpe.protocol.operations import SetStatus, Uncross
from hpe.protocol.orders import GetOrder, OrderReply, OrderResponse, OrderRow
from tests.support.core_driver import VenueClient

BUY, SELL = Side
TRADING, CANCEL_ONLY = InstrumentStatus.TRADING, InstrumentStatus.CANCEL_ONLY
HALTED, CALL = InstrumentStatus.HALTED, InstrumentStatus.CALL_AUCTION
NONE, NOT_TRADING = RejectReason.NONE, RejectReason.NOT_TRADING
OUT_OF_BAND: Final = RejectReason.PRICE_OUT_OF_BAND
WOULD_CROSS: Final = RejectReason.POST_ONLY_WOULD_CROSS
BANDED: Final = {"band_ppm": 50_000, "reference_price": 100}


def set_status(client: VenueClient, pair: int, status: InstrumentStatus) -> None:
    client.ask(SetStatus(client.next_id(), pair, status))


def get(client: VenueClient, order: OrderResponse) -> OrderRow:
    row = client.get(OrderReply, GetOrder(1, order.order_id)).order
    assert row is not None
    return row


def reserved(row: OrderRow, leaves: int) -> int:
    return leaves * (row.price if row.side == BUY else 1)


def out_of_band(client: VenueClient, other: VenueClient, status: InstrumentStatus) -> OrderResponse:
    """Return an order for 10 that is out of the band: it joined a call, where it did not trade."""
    pair = client.get_id(AddInstrument(client.next_id(), "C2", 1, 2, **BANDED))
    set_status(client, pair, CALL)
    order = client.submit(SELL, 90, 10, instrument=pair)
    client.ask(Uncross(client.next_id(), pair, TRADING))
    set_status(client, pair, status)
    return order


def post_only(client: VenueClient, other: VenueClient, status: InstrumentStatus) -> OrderResponse:
    """Return a post-only order for 10; it crosses in a call: no other status has crossed books."""
    order = client.submit(BUY, 100, 10, post_only=True)
    set_status(client, 1, status)
    if status is CALL:
        assert other.submit(SELL, 100, 5).reason == NONE
        book = client.book()
        assert book.bids[0][0] == book.asks[0][0]
    return order


@pytest.mark.parametrize(
    ("order_that_is", "status", "less", "requeued"),
    [
        (out_of_band, TRADING, NONE, OUT_OF_BAND),
        (out_of_band, CANCEL_ONLY, NONE, NOT_TRADING),
        (out_of_band, HALTED, NOT_TRADING, NOT_TRADING),
        (out_of_band, CALL, NONE, NONE),
        (post_only, TRADING, NONE, NONE),
        (post_only, CANCEL_ONLY, NONE, NOT_TRADING),
        (post_only, HALTED, NOT_TRADING, NOT_TRADING),
        (post_only, CALL, NONE, WOULD_CROSS),
    ],
)
def test_a_partial_cancel_is_not_judged_like_a_new_order(
    market, client, other, order_that_is, status, less, requeued
):
    """The same change with `requeue` is no partial cancel, and shows what would have refused it."""
    order = order_that_is(client, other, status)
    assert order.reason == NONE
    row = get(client, order)
    same_price = {"leaves_quantity": 4, "price": row.price}
    for change, leaves in (({"leaves_quantity": 8}, 8), ({"quantity": 6}, 6), (same_price, 4)):
        assert client.replace(order.order_id, **change).reason == less
        row = (
            row
            if less
            else replace(row, quantity=leaves, leaves=leaves, reserved=reserved(row, leaves))
        )
        assert get(client, order) == row
    assert client.replace(order.order_id, leaves_quantity=3, requeue=True).reason == requeued
    market.check()
