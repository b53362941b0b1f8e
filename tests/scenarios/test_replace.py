"""Changing a resting order: when it keeps its place, when it loses it, when it trades or ends."""

import pytest

from tests.scenarios.table import agrees

QUEUE = """
    given ann 100 BTC
    given ben 100 BTC
    given cat 10000 USD
    ann sells 5 @ 100 as a1         | new 0/5
    ben sells 5 @ 100 as b1         | new 0/5
"""


@pytest.mark.parametrize(
    ("change", "first"),
    [
        ("open 3               | new 0/3", "3@100 a1, 1@100 b1"),
        ("open 5               | new 0/5", "4@100 a1"),
        ("open 5 @ 100         | new 0/5", "4@100 a1"),
        ("total 5              | new 0/5", "4@100 a1"),
        ("open 3 @ 100         | new 0/3", "3@100 a1, 1@100 b1"),
        ("total 3              | new 0/3", "3@100 a1, 1@100 b1"),
        ("open 6               | new 0/6", "4@100 b1"),
        ("total 6              | new 0/6", "4@100 b1"),
        ("open 3 requeue       | new 0/3", "4@100 b1"),
        ("open 5 requeue       | new 0/5", "4@100 b1"),
        ("open 5 @ 99          | new 0/5", "4@99 a1"),
        ("open 5 @ 101         | new 0/5", "4@100 b1"),
    ],
)
def test_not_more_at_the_same_price_keeps_its_place_and_anything_else_loses_it(
    venue, change, first
):
    agrees(
        venue,
        f"""
        {QUEUE}
        ann replaces a1 {change}
        cat buys 4 @ 105                | filled 4/4: {first}
        """,
    )


def test_an_iceberg_that_stays_as_it_is_keeps_the_slice_that_it_shows(venue):
    agrees(
        venue,
        """
        given ann 100 BTC
        given ben 100 BTC
        given cat 10000 USD
        ann sells 10 @ 100 shows 4 as a1    | new 0/10
        ben sells 5 @ 100 as b1             | new 0/5
        cat buys 1 @ 100                    | filled 1/1: 1@100 a1
        ann replaces a1 open 9              | partially_filled 1/10
        book                                | bids - asks 8@100
        cat buys 4 @ 100                    | filled 4/4: 3@100 a1, 1@100 b1
        """,
    )


def test_going_away_and_coming_back_loses_the_place(venue):
    agrees(
        venue,
        f"""
        {QUEUE}
        ann replaces a1 open 5 @ 101    | new 0/5
        ann replaces a1 open 5 @ 100    | new 0/5
        cat buys 6 @ 100                | filled 6/6: 5@100 b1, 1@100 a1
        """,
    )


def test_total_counts_what_was_filled_and_open_does_not(venue):
    agrees(
        venue,
        """
        given ann 100 BTC
        given cat 10000 USD
        ann sells 10 @ 100 as a1        | new 0/10
        cat buys 4 @ 100                | filled 4/4: 4@100 a1
        ann replaces a1 total 9         | partially_filled 4/9
        book                            | bids - asks 5@100
        ann replaces a1 open 2          | partially_filled 4/6
        book                            | bids - asks 2@100
        ann                             | 400+0 USD, 94+2 BTC
        ann replaces a1 total 4         | canceled replaced_away 4/6
        ann                             | 400+0 USD, 96+0 BTC
        book                            | bids - asks -
        """,
    )


@pytest.mark.parametrize("change", ["open 0", "total 0", "total 3", "total 2", "open 0 @ 105"])
def test_nothing_left_open_ends_the_order(venue, change):
    agrees(
        venue,
        f"""
        given ann 100 BTC
        given cat 10000 USD
        ann sells 10 @ 100 as a1        | new 0/10
        cat buys 3 @ 100                | filled 3/3: 3@100 a1
        ann replaces a1 {change}        | canceled replaced_away 3/10
        ann                             | 300+0 USD, 97+0 BTC
        ann replaces a1 open 5          | rejected unknown_order
        """,
    )


def test_a_replace_that_crosses_trades_at_the_resting_prices(venue):
    agrees(
        venue,
        """
        given ann 1000 USD
        given ben 100 BTC
        ben sells 2 @ 100 as b1         | new 0/2
        ben sells 2 @ 102 as b2         | new 0/2
        ann buys 5 @ 90 as a1           | new 0/5
        ann replaces a1 open 5 @ 103    | partially_filled 4/5: 2@100 b1, 2@102 b2
        book                            | bids 1@103 asks -
        ann                             | 493+103 USD, 4+0 BTC
        ben sells 1 @ 103 as b3         | filled 1/1: 1@103 a1
        """,
    )


def test_a_selling_replace_gets_the_better_price(venue):
    agrees(
        venue,
        """
        given ann 1000 USD
        given ben 100 BTC
        ann buys 2 @ 100 as a1          | new 0/2
        ben sells 3 @ 110 as b1         | new 0/3
        ben replaces b1 open 2 @ 95     | filled 2/2: 2@100 a1
        ben                             | 200+0 USD, 98+0 BTC
        """,
    )


def test_the_sibling_at_the_same_price_is_left_alone(venue):
    agrees(
        venue,
        f"""
        {QUEUE}
        ann replaces a1 open 5 @ 102    | new 0/5
        book                            | bids - asks 5@100 5@102
        ben                             | 0+0 USD, 95+5 BTC
        """,
    )


def test_a_replace_reserves_the_difference_or_changes_nothing(venue):
    agrees(
        venue,
        """
        given ann 1000 USD
        given ben 100 BTC
        ann buys 5 @ 100 as a1          | new 0/5
        ann                             | 500+500 USD, 0+0 BTC
        ann buys 1 @ 100 as a2          | new 0/1
        ann replaces a1 open 10         | rejected insufficient_funds
        ann replaces a1 open 5 @ 200    | rejected insufficient_funds
        ann                             | 400+600 USD, 0+0 BTC
        ben sells 1 @ 100               | filled 1/1: 1@100 a1
        ann                             | 400+500 USD, 1+0 BTC
        ann replaces a1 open 8 @ 100    | partially_filled 1/9
        ann                             | 0+900 USD, 1+0 BTC
        ann replaces a1 open 8 @ 50     | partially_filled 1/9
        ann                             | 400+500 USD, 1+0 BTC
        """,
    )


def test_a_rejected_replace_keeps_the_place(venue):
    agrees(
        venue,
        f"""
        {QUEUE}
        ann replaces a1 open 200        | rejected quantity_out_of_range
        ann replaces a1 open 5 @ 900    | rejected price_out_of_range
        ann replaces a1 open 1 @ 101    | rejected notional_out_of_range
        ann replaces a1 open 101        | rejected insufficient_funds
        cat buys 6 @ 100                | filled 6/6: 5@100 a1, 1@100 b1
        """,
        price_max=800,
        quantity_max=150,
        notional_min=200,
    )


# Three orders of ann's: one at the bounds, one a stop of the kind that has a limit, one an iceberg.
BOUND = """
    given ann 1000 USD, 100 BTC
    ann sells 50 @ 100 as a1                | new 0/50
    ann sells 50 @ 130 stop 60 as s1        | new 0/50
    ann buys 10 @ 60 shows 4 as a2          | new 0/10
"""


@pytest.mark.parametrize("change", ["open 1", "total 1", "open 1 @ 100"])
@pytest.mark.parametrize("barrier", ["operator blocks ann | 3 open orders",
                                     "market becomes cancel_only | cancel_only"])  # fmt: skip
def test_a_partial_cancel_passes_where_a_cancel_does_below_every_minimum(venue, change, barrier):
    agrees(
        venue,
        f"""
        {BOUND}
        {barrier}
        ann replaces a1 {change}            | new 0/1
        ann replaces a2 open 1              | new 0/1
        ann replaces s1 open 1 @ 130 stop 60    | new 0/1
        ann                                 | 940+60 USD, 98+2 BTC
        """,
        quantity_min=5,
        notional_min=500,
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("open 50", "not_trading"),
        ("open 20 requeue", "not_trading"),
        ("open 20 @ 99", "not_trading"),
        ("open 51", "not_trading"),
    ],
)
def test_what_is_no_partial_cancel_has_all_its_tests(venue, change, reason):
    agrees(
        venue,
        f"""
        {BOUND}
        market becomes cancel_only          | cancel_only
        ann replaces a1 {change}            | rejected {reason}
        ann replaces s1 open 20 stop 61     | rejected not_trading
        ann replaces s1 open 20 @ 131       | rejected not_trading
        market becomes trading              | trading
        operator blocks ann                 | 3 open orders
        ann replaces a1 {change}            | rejected user_blocked
        """,
    )


def test_a_halted_market_has_no_partial_cancels(venue):
    agrees(
        venue,
        f"""
        {BOUND}
        market becomes halted               | halted
        ann replaces a1 open 20             | rejected not_trading
        ann replaces s1 open 20             | rejected not_trading
        ann orders                          | a1 sell 0/50 @ 100, s1 sell 0/50 @ 130 stop 60,
                                            | a2 buy 0/10 @ 60 shows 4
        """,
    )


def test_a_partial_cancel_passes_where_the_band_would_refuse_the_price(venue):
    agrees(
        venue,
        """
        given band 50000 ppm around 100
        given ann 100 BTC
        given ben 1000 BTC
        given cat 10000 USD
        market becomes call_auction         | call_auction
        ann sells 5 @ 90 as a1              | new 0/5
        market uncrosses                    | nothing
        ann replaces a1 open 5              | rejected price_out_of_band
        ann replaces a1 open 3              | new 0/3
        """,
    )


def test_replace_meets_ones_own_orders(venue):
    agrees(
        venue,
        """
        given ann 1000 USD, 10 BTC
        ann buys 3 @ 90 as a1           | new 0/3
        ann sells 2 @ 110 as a2         | new 0/2
        ann replaces a1 open 3 @ 110    | partially_filled 2/3: 2@110 a2 self-trade
        ann                             | 890+110 USD, 10+0 BTC
        """,
    )


def test_a_post_only_order_stays_post_only(venue):
    agrees(
        venue,
        """
        given ann 1000 USD
        given ben 10 BTC
        ben sells 5 @ 100                   | new 0/5
        ann buys 5 @ 90 post-only as a1     | new 0/5
        ann replaces a1 open 5 @ 100        | rejected post_only_would_cross
        ann replaces a1 open 5 @ 99         | new 0/5
        """,
    )


def test_post_only_is_not_asked_again_where_price_and_quantity_stay(venue):
    # Only in a call may an order rest where it crosses.
    agrees(
        venue,
        """
        given ann 1000 USD
        given ben 10 BTC
        ann buys 5 @ 100 post-only as a1    | new 0/5
        market becomes call_auction         | call_auction
        ben sells 5 @ 100                   | new 0/5
        ann replaces a1 open 5              | new 0/5
        ann replaces a1 open 5 @ 101        | rejected post_only_would_cross
        ann replaces a1 open 6              | rejected post_only_would_cross
        ann replaces a1 open 4              | new 0/4
        """,
    )


def test_in_a_call_the_places_follow_the_same_rules_and_nothing_trades(venue):
    agrees(
        venue,
        f"""
        {QUEUE}
        cat buys 5 @ 90 as c1               | new 0/5
        market becomes call_auction         | call_auction
        ann replaces a1 open 4              | new 0/4
        ben replaces b1 open 6              | new 0/6
        cat replaces c1 open 5 @ 100        | new 0/5
        book                                | bids 5@100 asks 10@100
        market uncrosses                    | 5@100
        cat hears                           | c1 partially_filled 4@100 a1 auction,
                                            | c1 filled 1@100 b1 auction
        """,
    )


def test_a_replace_counts_what_was_canceled_by_decrement(venue):
    agrees(
        venue,
        """
        given ann 1000 USD, 10 BTC
        ann sells 5 @ 100 as a1             | new 0/5
        ann buys 2 @ 100 self-trade decrement   | canceled self_trade 0/2:
                                            | prevented a1@100 decrement resting 5->3
                                            | incoming 2->0
        ann replaces a1 total 6             | new 0/6
        book                                | bids - asks 4@100
        ann replaces a1 total 2             | canceled replaced_away 0/6
        """,
    )
