"""Moving the end of an order that has one: the order keeps its place, the timer moves."""

import pytest

from tests.scenarios.table import agrees

QUEUE = """
    given ann 100 BTC
    given ben 100 BTC
    given cat 10000 USD
    ann sells 5 @ 100 until 10 as a1        | new 0/5
    ben sells 5 @ 100 as b1                 | new 0/5
"""


def test_an_order_lives_until_its_new_end(venue):
    agrees(
        venue,
        f"""
        {QUEUE}
        ann replaces a1 until 20            | new 0/5
        ann orders                          | a1 sell 0/5 @ 100 until 20
        time is 19
        book                                | bids - asks 10@100
        time is 20
        ann hears                           | a1 expired 0/5
        ann                                 | 0+0 USD, 100+0 BTC
        """,
    )


def test_an_end_may_come_nearer(venue):
    agrees(
        venue,
        f"""
        {QUEUE}
        ann replaces a1 until 5             | new 0/5
        time is 5
        ann hears                           | a1 expired 0/5
        ann replaces a1 until 9             | rejected unknown_order
        """,
    )


@pytest.mark.parametrize(
    ("change", "first"),
    [
        ("until 20                | new 0/5", "4@100 a1"),
        ("until 10                | new 0/5", "4@100 a1"),
        ("open 5 until 20         | new 0/5", "4@100 a1"),
        ("total 3 until 20        | new 0/3", "3@100 a1, 1@100 b1"),
        ("@ 100 until 20          | new 0/5", "4@100 a1"),
        ("@ 101 until 20          | new 0/5", "4@100 b1"),
        ("open 6 until 20         | new 0/6", "4@100 b1"),
        ("until 20 requeue        | new 0/5", "4@100 b1"),
    ],
)
def test_a_new_end_keeps_the_place(venue, change, first):
    agrees(
        venue,
        f"""
        {QUEUE}
        ann replaces a1 {change}
        cat buys 4 @ 105                    | filled 4/4: {first}
        """,
    )


def test_a_replace_without_an_end_keeps_the_old_one(venue):
    agrees(
        venue,
        f"""
        {QUEUE}
        ann replaces a1 open 6 @ 101        | new 0/6
        time is 10
        ann hears                           | a1 expired 0/6
        """,
    )


@pytest.mark.parametrize("order", ["5 @ 110", "5 @ 110 shows 2", "5 @ 110 stop 90"])
def test_only_an_order_with_an_end_has_one_to_move(venue, order):
    agrees(
        venue,
        f"""
        given ann 10 BTC
        ann sells {order} as a1             | new 0/5
        ann replaces a1 until 20            | rejected invalid_combination
        ann replaces a1 open 3 until 20     | rejected invalid_combination
        ann replaces a1 open 0 until 20     | rejected invalid_combination
        ann replaces a1                     | rejected invalid_combination
        """,
    )


def test_both_quantities_are_one_too_many_with_an_end_too(venue):
    agrees(
        venue,
        f"""
        {QUEUE}
        ann replaces a1 open 5 total 5 until 20 | rejected invalid_combination
        ann replaces a1 @ 101               | rejected invalid_combination
        """,
    )


def test_an_end_that_has_come_is_refused_and_changes_nothing(venue):
    agrees(
        venue,
        f"""
        {QUEUE}
        time is 6
        ann replaces a1 until 6             | rejected expiry_passed
        ann replaces a1 open 3 @ 99 until 1 | rejected expiry_passed
        ann orders                          | a1 sell 0/5 @ 100 until 10
        cat buys 4 @ 105                    | filled 4/4: 4@100 a1
        time is 10
        ann hears                           | a1 partially_filled 4@100 ?, a1 expired 4/5
        """,
    )


def test_what_leaves_nothing_is_a_cancel_whatever_its_end(venue):
    agrees(
        venue,
        f"""
        {QUEUE}
        time is 6
        ann replaces a1 open 0 until 1      | canceled replaced_away 0/5
        time is 10
        ann hears                           | -
        """,
    )


def test_a_new_expiry_is_no_partial_cancel(venue):
    agrees(
        venue,
        f"""
        {QUEUE}
        market becomes cancel_only          | cancel_only
        ann replaces a1 until 20            | rejected not_trading
        ann replaces a1 open 3 until 20     | rejected not_trading
        market becomes trading              | trading
        operator blocks ann                 | 1 open orders
        ann replaces a1 until 20            | rejected user_blocked
        """,
    )


def test_a_post_only_order_that_stays_at_its_price_may_stay_longer(venue):
    agrees(
        venue,
        """
        given ann 1000 USD
        given ben 10 BTC
        ann buys 5 @ 100 post-only until 10 as a1   | new 0/5
        market becomes call_auction         | call_auction
        ben sells 5 @ 100                   | new 0/5
        ann replaces a1 until 20            | new 0/5
        ann replaces a1 open 6 until 21     | new 0/6
        ann replaces a1 @ 101 until 22      | rejected post_only_would_cross
        ann orders                          | a1 buy 0/6 @ 100 until 21
        """,
    )


def test_a_waiting_stop_moves_its_end_and_keeps_its_place(venue):
    agrees(
        venue,
        """
        given ann 100 BTC
        given ben 100 BTC
        given cat 10000 USD
        ann sells 5 @ 900 stop 90 until 10 as s1    | new 0/5
        ann sells 5 @ 901 stop 90 until 10 as s2    | new 0/5
        ann replaces s1 until 30            | new 0/5
        ann replaces s1 @ 902 until 20      | new 0/5
        ben sells 1 @ 90                    | new 0/1
        cat buys 1 @ 90                     | filled 1/1: 1@90 ?
        ann hears                           | s1 triggered, s2 triggered
        time is 10
        ann hears                           | s2 expired 0/5
        time is 20
        ann hears                           | s1 expired 0/5
        """,
    )


def test_the_legs_of_a_pair_end_each_at_its_time_and_the_first_ends_both(venue):
    agrees(
        venue,
        """
        given ann 100 BTC
        ann sells 5 @ 110 or stop 90 until 10 as a1 and s1  | new
        ann replaces a1 until 20            | new 0/5
        time is 10
        ann hears                           | s1 expired 0/5, a1 canceled linked 0/5
        """,
    )
