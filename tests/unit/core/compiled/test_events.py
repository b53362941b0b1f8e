"""The events of the compiled core hold what the reference's hold."""

from random import Random
from zlib import crc32

import pytest

from hpe.core.money.holds import HoldEvent
from hpe.core.trading.events import AuctionMatch, Delisted, OrderChange
from hpe.core.trading.matcher import Match
from hpe.core.trading.orders import Order
from hpe.protocol.enums import ExecType
from tests.unit.core.compiled.happenings import USERS, any_event, any_order, append, change


def fields_of(event, before):
    """Return what the compiled event is to show; `before`: fills and prevented matches so far."""
    match event:
        case Order():
            return "accepted", event.order_id, ExecType.NEW
        case OrderChange():
            return (
                "change", event.order.order_id, event.exec_type, event.request_id, event.status,
                event.leaves, event.cum, event.canceled, event.reason, event.price,
                event.stop_price,
            )  # fmt: skip
        case Match():
            ids = event.taker.order_id, event.request_id, event.first_trade_id
            return "match", *ids, before[0], len(event.fills), before[1], len(event.prevented)
        case AuctionMatch():
            ids = event.instrument_id, event.first_trade_id
            return "auction", *ids, before[2], len(event.fills)
        case HoldEvent():
            return (
                "hold", event.user, event.hold_id, event.asset, event.change,
                event.amount, event.remaining, event.expires_ns,
            )  # fmt: skip
        case Delisted():
            return "delisted", event.instrument
    return "answered", event[0].order_id, event[1]


@pytest.mark.parametrize("seed", range(3))
def test_events_are_the_references(outputs, seed):
    random, compiled = Random(seed), outputs.Outputs()
    orders = [any_order(random, number, random.choice(USERS)) for number in range(1, 9)]
    for order in orders:
        compiled.set(order)
    for _ in range(300):
        count, expected, before = random.randint(1, 12), [], [0, 0, 0]
        compiled.reserve(0, 0, count, 4 * count)
        for _ in range(count):
            event = any_event(random, orders)
            append(compiled, event)
            expected.append(fields_of(event, before))
            if isinstance(event, Match):
                before[0] += len(event.fills)
                before[1] += len(event.prevented)
            if isinstance(event, AuctionMatch):
                before[2] += len(event.fills)
            changed = random.choice(orders)
            change(random, changed)
            compiled.set(changed)
        assert compiled.happened() == expected
        compiled.forget()
        assert compiled.happened() == []


def test_arrivals_and_ends_have_room(outputs):
    compiled, order = outputs.Outputs(), any_order(Random(1), 1, 1)
    compiled.set(order)
    compiled.reserve(1_000, 1_000, 0, 0)
    for _ in range(7_000):
        compiled.add_accepted(1)
    assert compiled.happened() == [("accepted", 1, ExecType.NEW)] * 7_000


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 15, 16, 1_000])
def test_checksums_are_those_of_zlib(outputs, size):
    random = Random(size)
    data, before = random.randbytes(size), random.getrandbits(32)
    assert outputs.checksum(data, before) == crc32(data, before)
    assert outputs.checksum(data, 0) == crc32(data)
