"""What a mass cancel costs, and how much of it one key has in a batch.

tests/scenarios/test_mass_cancel.py tests which orders it means.
"""

import pytest

from hpe.core.contract import DEFAULT_LIMITS, Batch
from hpe.protocol.enums import InstrumentStatus, Role, Side
from hpe.protocol.limits import HOUSE_USER
from hpe.protocol.listings import AddInstrument
from hpe.protocol.operations import SetStatus
from hpe.protocol.orders import ListOrders, MassCancel, MassCancelResponse, OrdersReply, SubmitOco
from tests.support.core_pit import Pit
from tests.support.meter import spent_by
from tests.support.steps import steps_of

BUY, SELL = Side
FEW, MANY = 100, 1_600
STEPS_MORE = 1_300
"""20 for each of 64 rows that may be looked at beside those that are meant."""


def with_orders(new_core, count, limits=DEFAULT_LIMITS):
    """Make a pit with a second market, and orders of bob's in the first."""
    pit = Pit(new_core, limits)
    pit.alice.get_id(AddInstrument(pit.alice.next_id(), "SECOND", 1, 2))
    for n in range(count):
        pit.bob.submit(BUY, 50 + n % 7, 1)
    return pit


def orders_of(client):
    return [row.order_id for row in client.get(OrdersReply, ListOrders(1)).rows]


def key_holder(venue, user, key):
    return venue.attach(user, role=Role.TRADER, key=key, user_first=1, user_last=HOUSE_USER)


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("there", [0, 1])
@pytest.mark.parametrize(("instrument", "side"), [(2, 0), (2, SELL), (0, SELL)])
def test_orders_that_are_not_meant_cost_nothing(instrument, side, there, closed, new_core):
    """One key could repeat it forever, and 100,000 orders took 30 ms each time."""
    steps = []
    for count in (FEW, MANY):
        pit = with_orders(new_core, count)
        if there:
            pit.bob.submit(SELL, 90, 1, instrument=2)
        if closed:
            command = SetStatus(pit.alice.next_id(), 1, InstrumentStatus.HALTED)
            assert pit.alice.ask(command).reason == 0
        cancel = MassCancel(pit.bob.next_id(), instrument, side)
        if count == FEW:
            assert spent_by(pit.bob, cancel) == 2 * there, "its market, and its report"
        run = pit.bob.run(cancel)
        batch = Batch(pit.venue.time_ns + 1, [run], b"")
        steps.append(steps_of(lambda batch=batch, pit=pit: pit.venue.core.apply(batch)))
    assert max(steps) < min(steps) + STEPS_MORE, steps


def test_all_orders_of_a_halted_market_cost_as_one(new_core):
    pit = with_orders(new_core, 30)
    pit.alice.ask(SetStatus(pit.alice.next_id(), 1, InstrumentStatus.HALTED))
    assert spent_by(pit.bob, MassCancel(pit.bob.next_id())) == 1


def test_a_crowd_is_taken_off_in_parts(new_core):
    pit = with_orders(new_core, 10, DEFAULT_LIMITS._replace(mass_cancel=4))
    ids = orders_of(pit.bob)
    for gone, left in ((4, 6), (4, 2), (2, 0), (0, 0)):
        response = pit.bob.ask(MassCancel(pit.bob.next_id(), 1))
        assert (response.canceled, response.remaining) == (gone, left)
        assert orders_of(pit.bob) == ids[10 - left :]
    pit.venue.check()


def test_a_batch_has_one_part_for_a_user(new_core):
    pit = with_orders(new_core, 10, DEFAULT_LIMITS._replace(mass_cancel=4))
    for _ in range(3):
        pit.alice.submit(SELL, 90, 1)
    sent = [MassCancel(pit.bob.next_id()) for _ in range(3)]
    alice = MassCancel(pit.alice.next_id())
    runs = [pit.bob.run(*sent), pit.alice.run(alice)]
    output = pit.venue.apply(*runs)
    found = [r for r in pit.bob.replies(output) if isinstance(r, MassCancelResponse)]
    assert [(r.canceled, r.remaining) for r in found] == [(4, 6), (0, 6), (0, 6)]
    [*_, response] = pit.alice.replies(output)
    assert (response.canceled, response.remaining) == (3, 0), "she has her own"
    assert pit.bob.ask(MassCancel(pit.bob.next_id())).canceled == 4, "the next batch has another"
    pit.venue.check()


def test_a_batch_has_one_part_for_a_key(new_core):
    pit = with_orders(new_core, 0, DEFAULT_LIMITS._replace(mass_cancel=4))
    pit.venue.keys_valid((7, Role.TRADER), (8, Role.TRADER))
    first, second = (key_holder(pit.venue, user, 7) for user in (1, 2))
    other = key_holder(pit.venue, 3, 8)
    pit.alice.deposit(2, 10**6, 3)
    for client in (first, second, other):
        for _ in range(3):
            client.submit(BUY, 50, 1)
    runs = [client.run(MassCancel(client.next_id())) for client in (first, second, other)]
    output = pit.venue.apply(*runs)
    found = [client.replies(output)[-1] for client in (first, second, other)]
    assert [(r.canceled, r.remaining) for r in found] == [(3, 0), (1, 2), (3, 0)]
    pit.venue.check()


def test_a_part_may_end_between_the_legs_of_a_pair(new_core):
    pit = with_orders(new_core, 3, DEFAULT_LIMITS._replace(mass_cancel=4))
    pit.trade_at(60)
    pair = SubmitOco(pit.bob.next_id(), 1, BUY, 1, 50, 70, 71)
    assert pit.bob.ask(pair).reason == 0
    response = pit.bob.ask(MassCancel(pit.bob.next_id()))
    assert (response.canceled, response.remaining) == (4, 0), "the fifth ended as linked"
    assert orders_of(pit.bob) == []
    pit.venue.check()


def test_a_mass_cancel_of_everybody_has_a_bound_of_its_own(new_core):
    """It is an operator's: all of 1,000,000 orders in parts of 256 would take minutes."""
    limits = DEFAULT_LIMITS._replace(mass_cancel=2, mass_cancel_all=5)
    pit = with_orders(new_core, 4, limits)
    for _ in range(3):
        pit.alice.submit(SELL, 90, 1)
    cancel = MassCancel(pit.alice.next_id(), all_users=True)
    assert spent_by(pit.alice, cancel) == 3 + 2 + 7 + 5, "users, markets, orders, reports"
    response = pit.alice.ask(cancel)
    assert (response.canceled, response.remaining) == (5, 2)
    assert DEFAULT_LIMITS.mass_cancel == 256
    assert DEFAULT_LIMITS.mass_cancel_all == 32_768
    pit.venue.check()
