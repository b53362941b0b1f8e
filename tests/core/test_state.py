"""The whole state as bytes: what is dumped, loaded and hashed."""

import msgspec
import pytest

from hpe.core.contract import Batch
from hpe.core.state.rows import DumpedEnded, DumpedHead, DumpedOrder, DumpedUser, DumpedWaiting
from hpe.protocol.enums import OrderType, Side, TimeInForce
from hpe.protocol.flags import ORDER_CANCEL_ON_DISCONNECT
from hpe.protocol.listings import AddAsset
from hpe.protocol.market_data import GetOrderbook
from hpe.protocol.money import Deposit, GetBalance, LockBalance, Withdraw
from hpe.protocol.orders import CancelOrder, SubmitOrder
from tests.model.commands import addressed, seeded_commands
from tests.support.core_parts import place
from tests.support.dumps import rows_of
from tests.support.listed import listed
from tests.support.lively import ICEBERG, LIMIT_LEG, STOP, STOP_LEG, TRAILING, hashes_differ, lively

__all__ = ["lively"]

BUY, SELL = Side


def test_a_lively_venue_has_a_bit_of_everything(lively):
    orders = {row.order_id: row for row in rows_of(lively.core, DumpedOrder)}
    iceberg, stop, trailing, limit_leg, stop_leg = (
        orders[number] for number in (ICEBERG, STOP, TRAILING, LIMIT_LEG, STOP_LEG)
    )
    assert (iceberg.hidden, iceberg.expires_ns) == (7, 10**15)
    assert isinstance(stop, DumpedWaiting)
    assert isinstance(trailing, DumpedWaiting)
    assert trailing.trail > 0
    assert (limit_leg.partner, stop_leg.partner) == (STOP_LEG, LIMIT_LEG)
    assert [row.user for row in rows_of(lively.core, DumpedUser) if row.blocked] == [3]
    assert rows_of(lively.core, DumpedEnded)
    lively.check()


def test_a_loaded_core_is_the_same_and_behaves_the_same(lively, client, other):
    loaded = lively.restored()
    assert list(loaded.dump()) == list(lively.core.dump())
    loaded.check()
    (head,) = rows_of(lively.core, DumpedHead)
    requests = [
        addressed(command, 100 + number, head.last_order_id, lively.time_ns)
        for number, command in enumerate(seeded_commands(11, 200))
    ]
    runs = [client.run(*requests), other.run(*requests), client.run(GetOrderbook(1, 1, 50))]
    expected = lively.apply(*runs)
    assert listed(loaded.apply(Batch(lively.time_ns, runs))) == expected
    assert loaded.state_hash() == lively.core.state_hash()


def test_dumping_changes_nothing(lively):
    first = list(lively.core.dump())
    assert list(lively.core.dump()) == first
    assert all(isinstance(msgspec.msgpack.decode(chunk)[0], int) for chunk in first)


def test_queries_and_refusals_are_no_state(lively, client):
    def look():
        client.ask(GetOrderbook(1, 1, 50))
        client.ask(GetBalance(1, 9, 9))
        client.refused(Deposit(10**6, 1, 1), 500)

    assert not hashes_differ(lively, look)


@pytest.mark.parametrize(
    "request_of",
    [
        lambda n: AddAsset(n, "X", 0),
        lambda n: Deposit(n, 1, 1, 9),
        lambda n: Withdraw(n, 1, 10**9),
        lambda n: LockBalance(n, 1, 1),
        lambda n: CancelOrder(n, 1),
        lambda n: CancelOrder(n, 10**6),
        lambda n: SubmitOrder(n, 1, 0, BUY, OrderType.LIMIT, TimeInForce.FOK, 90, 1),
        lambda n: SubmitOrder(n, 9, 0, BUY, OrderType.LIMIT, TimeInForce.GTC, 90, 1),
    ],
)
def test_every_command_changes_the_state_rejected_or_not(lively, client, request_of):
    assert hashes_differ(lively, lambda: client.ask(request_of(client.next_id())))


def test_only_stops_have_a_place(lively, client):
    """What an order has of its terms is the same whether it got them one way or another."""
    place(client, BUY, 91, 1, flags=ORDER_CANCEL_ON_DISCONNECT)
    orders = {row.order_id: row for row in rows_of(lively.core, DumpedOrder)}
    assert max(orders) > STOP_LEG
    assert {number for number, row in orders.items() if row.place} == {STOP, TRAILING, STOP_LEG}


def test_a_core_that_ran_loads_nothing(lively):
    with pytest.raises(AssertionError):
        lively.core.load([])
