"""Changing a stop: while it waits, and after it fired."""

import pytest

from tests.scenarios.markets import TRADERS, a_trade_at
from tests.scenarios.table import agrees

# Two stop limits of one trigger: the one that fires first is the one that kept its place.
STOPS = f"""
    {TRADERS}
    given ann 100 BTC
    {a_trade_at(100)}
    ann sells 5 @ 900 stop 90 as s1         | new 0/5
    ann sells 5 @ 901 stop 90 as s2         | new 0/5
"""


@pytest.mark.parametrize(
    ("change", "first"),
    [
        ("open 3                  | new 0/3", "s1"),
        ("open 3 @ 905            | new 0/3", "s1"),
        ("open 3 stop 90          | new 0/3", "s1"),
        ("total 3                 | new 0/3", "s1"),
        ("open 3 requeue          | new 0/3", "s2"),
        ("open 5                  | new 0/5", "s1"),
        ("open 5 @ 905            | new 0/5", "s1"),
        ("open 5 stop 90          | new 0/5", "s1"),
        ("open 5 requeue          | new 0/5", "s2"),
        ("open 6                  | new 0/6", "s2"),
        ("open 3 stop 89          | new 0/3", "s2"),
        ("open 3 stop 91          | new 0/3", "s1"),
    ],
)
def test_a_waiting_stop_keeps_its_place_with_not_more_quantity_at_the_same_trigger(
    venue, change, first
):
    second = "s2" if first == "s1" else "s1"
    agrees(
        venue,
        f"""
        {STOPS}
        ann replaces s1 {change}
        {a_trade_at(89)}
        ann hears                           | {first} triggered, {second} triggered
        """,
    )


def test_going_away_to_another_trigger_and_back_loses_the_place(venue):
    agrees(
        venue,
        f"""
        {STOPS}
        ann replaces s1 open 5 stop 80      | new 0/5
        ann orders                          | s1 sell 0/5 @ 900 stop 80, s2 sell 0/5 @ 901 stop 90
        ann replaces s1 open 5 stop 90      | new 0/5
        {a_trade_at(90)}
        ann hears                           | s2 triggered, s1 triggered
        """,
    )


def test_a_trigger_that_the_last_price_has_reached_fires_it_at_once(venue):
    agrees(
        venue,
        f"""
        {STOPS}
        cat buys 9 @ 97 as c1               | new 0/9
        ann replaces s1 open 4 @ 95 stop 99 | new 0/4
        ann hears                           | -
        ann replaces s1 open 3 @ 96 stop 100    | new 0/3
        ann hears                           | s1 triggered, s1 filled 3@97 c1
        """,
    )


def test_in_a_call_a_reached_trigger_waits_for_its_end(venue):
    agrees(
        venue,
        f"""
        {STOPS}
        market becomes call_auction         | call_auction
        ann replaces s1 open 5 stop 100     | new 0/5
        ann hears                           | -
        market uncrosses                    | nothing
        ann hears                           | s1 triggered
        """,
    )


def test_a_waiting_stop_limit_reserves_for_its_new_limit(venue):
    agrees(
        venue,
        """
        given ann 1000 USD
        ann buys 5 @ 100 stop 110 as s1     | new 0/5
        ann                                 | 500+500 USD, 0+0 BTC
        ann replaces s1 open 5 @ 201        | rejected insufficient_funds
        ann replaces s1 open 5 @ 200 stop 120   | new 0/5
        ann                                 | 0+1000 USD, 0+0 BTC
        ann replaces s1 open 2              | new 0/2
        ann                                 | 600+400 USD, 0+0 BTC
        ann replaces s1 open 2 stop 801     | rejected price_out_of_range
        ann replaces s1 open 2 @ 801        | rejected price_out_of_range
        ann replaces s1 open 0              | canceled replaced_away 0/2
        ann                                 | 1000+0 USD, 0+0 BTC
        """,
        price_max=800,
    )


def test_a_stop_order_changes_its_quantity_and_trigger_but_has_no_price(venue):
    agrees(
        venue,
        """
        given ann 10 BTC
        ann sells 5 stop 90 as s1           | new 0/5
        ann replaces s1 open 6 stop 80      | new 0/6
        ann replaces s1 open 6 @ 70         | rejected invalid_combination
        ann                                 | 0+0 USD, 4+6 BTC
        ann orders                          | s1 sell 0/6 stop 80
        """,
    )


def test_a_trailing_stop_changes_its_quantity_only_and_keeps_trail_and_trigger(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 10 BTC
        {a_trade_at(100)}
        ann sells 5 trail 3 as s1           | new 0/5
        {a_trade_at(105)}
        {a_trade_at(103)}
        ann replaces s1 open 4              | new 0/4
        ann replaces s1 open 6              | new 0/6
        ann orders                          | s1 sell 0/6 trail 3 stop 102
        ann replaces s1 open 5 stop 101     | rejected invalid_combination
        ann replaces s1 open 5 @ 101        | rejected invalid_combination
        ann                                 | 0+0 USD, 4+6 BTC
        ann replaces s1 open 0              | canceled replaced_away 0/6
        """,
    )


@pytest.mark.parametrize(
    ("change", "first"),
    [("open 3", "s1"), ("open 6", "s2"), ("open 5", "s1"), ("open 5 requeue", "s2")],
)
def test_a_trailing_stop_that_loses_its_place_counts_as_newer(venue, change, first):
    second = "s2" if first == "s1" else "s1"
    left = {"s1": change.split()[1], "s2": 5}
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 100 BTC
        {a_trade_at(100)}
        ann sells 5 trail 3 as s1           | new 0/5
        ann sells 5 trail 3 as s2           | new 0/5
        ann replaces s1 {change}            | new 0/{left["s1"]}
        {a_trade_at(97)}
        ann hears                           | {first} triggered,
                                            | {first} canceled no_liquidity 0/{left[first]},
                                            | {second} triggered,
                                            | {second} canceled no_liquidity 0/{left[second]}
        """,
    )


@pytest.mark.parametrize(
    "change", ["open 5", "open 0", "total 0", "open 5 stop 120", "open 5 @ 90"]
)
def test_a_stop_with_a_budget_cannot_be_replaced(venue, change):
    agrees(
        venue,
        f"""
        given ann 1000 USD
        ann buys for 500 stop 110 as s1     | new 0/0
        ann replaces s1 {change}            | rejected invalid_combination
        ann                                 | 500+500 USD, 0+0 BTC
        """,
    )


def test_a_fired_stop_limit_is_a_limit_order(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 10 BTC
        given dan 10 BTC
        ann sells 5 @ 99 stop 100 as s1     | new 0/5
        {a_trade_at(100)}
        ann hears                           | s1 triggered
        dan sells 5 @ 99 as d1              | new 0/5
        ann replaces s1 open 4 stop 90      | rejected invalid_combination
        ann replaces s1 open 4              | new 0/4
        cat buys 2 @ 99                     | filled 2/2: 2@99 s1
        ann replaces s1 open 4              | partially_filled 2/6
        cat buys 2 @ 99                     | filled 2/2: 2@99 d1
        cat buys 9 @ 95 as c1               | new 0/9
        ann replaces s1 open 3 @ 95         | filled 5/5: 3@95 c1
        """,
    )


@pytest.mark.parametrize("order", ["5 @ 110", "5 @ 110 shows 2", "5 @ 110 until 99"])
def test_a_limit_order_has_no_trigger_to_change(venue, order):
    agrees(
        venue,
        f"""
        given ann 10 BTC
        ann sells {order} as a1             | new 0/5
        ann replaces a1 open 4 stop 90      | rejected invalid_combination
        ann replaces a1 open 0 stop 90      | rejected invalid_combination
        """,
    )
