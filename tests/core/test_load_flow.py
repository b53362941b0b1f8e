"""The load generator's mixed flow on a core: a book that keeps its size, and few rejects."""

from __future__ import annotations

from bench.load_run import REJECTS_MAX
from bench.traffic import FIRST_REQUEST_ID, encode_traffic, funds_needed
from hpe.protocol.codes import CancelReason
from hpe.protocol.orders import CancelResponse, OrderResponse
from tests.support.core_driver import Venue, VenueClient


def resting_orders(client: VenueClient) -> int:
    book = client.book()
    return sum(orders for side in (book.bids, book.asks) for _, _, orders in side)


def test_the_mixed_flow_keeps_its_book_and_few_requests_are_rejected(
    market: Venue,
) -> None:
    resting, count, step = 2_000, 12_000, 500
    traffic = encode_traffic("mixed", 23, 1, count, 1, resting)
    assert traffic.filling == resting
    market.configure(open_orders_per_user_max=100_000)
    client = market.attach(1)
    base, quote = 1, 2
    for asset in (base, quote):
        client.deposit(asset, funds_needed(resting + count))
    assert client.last_request_id < FIRST_REQUEST_ID
    rejected, sizes = 0, []
    begin = 0
    for end in traffic.ends[step - 1 :: step]:
        output = market.apply(client.run_of(traffic.frames[begin:end]))
        begin = end
        for reply in client.replies(output):
            if isinstance(reply, OrderResponse | CancelResponse):
                rejected += 0 < reply.reason < CancelReason.REQUESTED
        sizes.append(resting_orders(client))
    assert begin == len(traffic.frames)
    filled, on_the_clock = sizes[resting // step - 1], sizes[resting // step :]
    assert filled == resting
    assert all(0.7 * resting < size < 1.1 * resting for size in on_the_clock), sizes
    assert 0 < rejected < REJECTS_MAX * count
