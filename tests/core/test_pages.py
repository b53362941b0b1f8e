"""The cost of a page of a list depends on what it shows, not on where it begins."""

import pytest

from hpe.core.contract import Batch, Limits
from hpe.protocol.enums import Side
from hpe.protocol.listings import AddAsset, AddInstrument, ListAssets, ListInstruments
from hpe.protocol.money import HoldsReply, ListHolds, LockBalance
from hpe.protocol.orders import (
    CancelOrder,
    FillsReply,
    ListFills,
    ListOrders,
    MassCancel,
    OrdersReply,
)
from tests.support.core_pit import Pit
from tests.support.meter import asked_by
from tests.support.steps import steps_of

BUY, SELL = Side
FEW, MANY = 200, 3_200
PAGE = 5
STEPS_MORE = 1_300
"""20 for each of 64 rows that may be looked at beside a page of 5; it would be 3,000 rows."""


def steps_for(client, *requests):
    """Return the steps in which a core answers a batch."""
    venue = client.venue
    run = client.run(*requests)
    venue.time_ns += venue.pace_ns
    return steps_of(lambda: venue.core.apply(Batch(venue.time_ns, [run], b"")))


def with_orders(new_core, count):
    pit = Pit(new_core)
    return pit, [pit.bob.submit(BUY, 50 + n % 7, 1).order_id for n in range(count)]


def with_fills(new_core, count):
    pit = Pit(new_core)
    pit.alice.submit(SELL, 100, count)
    for _ in range(count):
        pit.bob.submit(BUY, 100, 1)
    return pit, [row.private_sequence for row in all_fills(pit)]


def all_fills(pit):
    rows = []
    while page := pit.bob.get(
        FillsReply, ListFills(1, rows[-1].private_sequence if rows else 0)
    ).rows:
        rows += page
    return rows


def with_holds(new_core, count):
    pit, ids = Pit(new_core), [*range(1, count + 1)]
    for number in ids:
        assert pit.bob.ask(LockBalance(pit.bob.next_id(), 1, 1, 0, number)).reason == 0
    return pit, ids


LISTS = {
    "orders": (with_orders, lambda after, n: ListOrders(1, 0, after, n)),
    "orders of an instrument": (with_orders, lambda after, n: ListOrders(1, 1, after, n)),
    "fills": (with_fills, lambda after, n: ListFills(1, after, n)),
    "holds": (with_holds, lambda after, n: ListHolds(1, after, n)),
}  # fmt: skip


@pytest.mark.parametrize("kind", LISTS)
def test_a_page_costs_what_it_shows_wherever_it_begins(kind, new_core):
    make, page = LISTS[kind]
    steps = {}
    for count in (FEW, MANY):
        pit, ids = make(new_core, count)
        for name, place in (("first", 0), ("middle", ids[count // 2]), ("last", ids[-PAGE - 1])):
            query = page(place, PAGE)
            steps[count, name] = steps_for(pit.bob, query)
            assert asked_by(pit.bob, query) == PAGE
    assert max(steps.values()) < min(steps.values()) + STEPS_MORE, steps


def test_orders_of_one_instrument_are_found_without_those_of_others(new_core):
    steps = []
    for count in (FEW, MANY):
        pit, _ = with_orders(new_core, count)
        pit.alice.get_id(AddInstrument(pit.alice.next_id(), "SECOND", 1, 2))
        assert asked_by(pit.bob, ListOrders(1, 2)) == 0
        others = [
            pit.bob.submit(side, price, 1, instrument=2).order_id
            for side, price in ((BUY, 50), (SELL, 60), (BUY, 50))
        ]
        more = pit.bob.submit(BUY, 50, 1).order_id
        others.append(pit.bob.submit(BUY, 50, 1, instrument=2).order_id)
        assert others[0] < others[1] < others[2] < more < others[3], "both sides, by id"
        for after, limit, shown in ((0, 9, others), (0, 2, others[:2]), (others[0], 9, others[1:])):
            query = ListOrders(1, 2, after, limit)
            rows = pit.bob.get(OrdersReply, query).rows
            assert [row.order_id for row in rows] == shown
            assert asked_by(pit.bob, query) == len(shown)
            steps.append(steps_for(pit.bob, query))
        assert asked_by(pit.bob, ListOrders(1, 3)) == 0, "none is of one that is not there"
    assert max(steps) < min(steps) + STEPS_MORE, steps


def test_what_the_lists_of_the_catalogue_show_counts(new_core):
    pit = Pit(new_core)
    for number in range(6):
        pit.alice.get_id(AddAsset(pit.alice.next_id(), f"MORE{number}", 0))
    assert asked_by(pit.bob, ListAssets(1)) == 8
    assert asked_by(pit.bob, ListAssets(1, 2, 5)) == 5
    assert asked_by(pit.bob, ListInstruments(1)) == 1


def test_lists_that_show_much_fill_the_batch(new_core):
    """None of them is free: else 1,024 pages of 1,000 rows would hold everybody up for seconds."""
    pit, _ = with_holds(new_core, 10)
    pit.venue.limit(query_effort=20)
    replies = pit.bob.send(*[ListHolds(number, 0, 10) for number in range(1, 5)])
    assert [type(reply) is HoldsReply for reply in replies] == [True, True, False, False]


@pytest.mark.parametrize("query", [ListOrders(1), MassCancel(10**6, 0, SELL)])
def test_orders_that_ended_cost_a_walk_nothing_later(query, new_core):
    """A stretch of ids that are no more is passed once, then it is forgotten."""
    pit, ids = with_orders(new_core, MANY)
    kept = ids[:: MANY // 4]
    before = steps_for(Pit(new_core).bob, query)
    for order_id in ids:
        if order_id not in kept:
            pit.bob.cancel(order_id)
    steps_for(pit.bob, ListOrders(1))
    assert steps_for(pit.bob, query) < before + 400 * len(kept)
    rows = pit.bob.get(OrdersReply, ListOrders(1)).rows
    assert [row.order_id for row in rows] == kept
    pit.venue.core.check()


@pytest.mark.parametrize("asks", [False, True])
def test_a_list_is_right_whatever_came_and_went_before(asks, new_core):
    """Places of ended orders are given up in many ways: by lists, by new orders, by a load."""
    pit, open_ids = Pit(new_core, Limits(mass_cancel=7)), []
    for number in range(600):
        open_ids.append(pit.bob.submit(BUY, 50 + number % 7, 1).order_id)
        if number % 3:
            gone = open_ids.pop((number * 7) % len(open_ids))
            assert pit.bob.ask(CancelOrder(pit.bob.next_id(), gone)).reason != 0
        if asks and number % 10 == 0:
            after = open_ids[len(open_ids) // 2]
            rows = pit.bob.get(OrdersReply, ListOrders(1, 0, after, 20)).rows
            assert [row.order_id for row in rows] == [i for i in open_ids if i > after][:20]
        if number == 300:
            pit.venue.core = pit.venue.restored()
    pit.bob.ask(MassCancel(pit.bob.next_id()))
    rows = pit.bob.get(OrdersReply, ListOrders(1)).rows
    assert [row.order_id for row in rows] == open_ids[7:]
    pit.venue.check()
