"""Price bands: how far from the last price an order may ask, and how far it trades."""

import pytest

from tests.scenarios.markets import TRADERS, a_trade_at
from tests.scenarios.table import agrees


@pytest.mark.parametrize(
    ("order", "outcome"),
    [
        ("buys 1 @ 105", "new 0/1"),
        ("buys 1 @ 106", "rejected price_out_of_band"),
        ("buys 1 @ 1", "new 0/1"),
        ("sells 1 @ 95", "new 0/1"),
        ("sells 1 @ 94", "rejected price_out_of_band"),
        ("sells 1 @ 9999", "new 0/1"),
        ("buys 1 @ 106 ioc", "rejected price_out_of_band"),
        ("buys 1 @ 106 fok", "rejected price_out_of_band"),
        ("buys 1 @ 106 post-only", "rejected price_out_of_band"),
        ("buys 1 @ 106 until 9", "rejected price_out_of_band"),
        ("buys 1 @ 106 shows 1", "rejected price_out_of_band"),
        ("buys 1 @ 106 stop 120", "new 0/1"),
        ("sells 1 @ 94 stop 90", "new 0/1"),
        ("sells 1 stop 90", "new 0/1"),
        ("sells 1 @ 94 or stop 90 as a1 and s1", "rejected price_out_of_band"),
        ("sells 1 @ 95 or stop 90 limit 80 as a1 and s1", "new"),
    ],
)
def test_before_any_trade_the_reference_price_decides(venue, order, outcome):
    # 5 % of 105 is 5: the band is 95 .. 105 around 100.
    agrees(
        venue,
        f"""
        given band 50000 ppm around 100
        given ann 1000 USD, 10 BTC
        market                              | trading last - band 95-105
        ann {order}                         | {outcome}
        """,
    )


@pytest.mark.parametrize(
    ("around", "ppm", "band"),
    [
        (10050, 10000, "9950-10150"),
        (333, 50000, "317-349"),
        (99, 10000, "99-99"),
        (7, 1000000, "0-14"),
    ],
)
def test_the_bounds_are_rounded_towards_the_middle(venue, around, ppm, band):
    low, high = map(int, band.split("-"))
    agrees(
        venue,
        f"""
        given band {ppm} ppm around {around}
        given ann 100000 USD, 10 BTC
        market                              | trading last - band {band}
        ann buys 1 @ {high + 1}             | rejected price_out_of_band
        ann buys 1 @ {high} as a1           | new 0/1
        ann cancels a1                      | canceled requested 0/1
        ann sells 1 @ {max(low, 1)}         | new 0/1
        """,
    )


def test_after_a_trade_the_last_price_decides(venue):
    agrees(
        venue,
        f"""
        given band 1000000 ppm around 100
        {TRADERS}
        {a_trade_at(200)}
        market                              | trading last 200 band 0-400
        cat buys 1 @ 401                    | rejected price_out_of_band
        cat buys 1 @ 400                    | new 0/1
        """,
    )


@pytest.mark.parametrize(
    ("order", "outcome"),
    [
        ("buys 9 at market", "canceled band 3/9: 1@104 b1, 2@105 b2"),
        ("buys 3 at market", "filled 3/3: 1@104 b1, 2@105 b2"),
        ("buys 3 at market fok", "filled 3/3: 1@104 b1, 2@105 b2"),
        ("buys 4 at market fok", "canceled fok_not_fillable 0/4"),
        ("buys 9 @ 105", "partially_filled 3/9: 1@104 b1, 2@105 b2"),
        ("buys 9 @ 105 ioc", "canceled ioc_remainder 3/9: 1@104 b1, 2@105 b2"),
        ("sells 9 at market", "canceled band 0/9"),
    ],
)
def test_a_sweep_ends_at_the_band_and_its_fills_stand(venue, order, outcome):
    agrees(
        venue,
        f"""
        given band 50000 ppm around 100
        {TRADERS}
        cat buys 5 @ 94                     | new 0/5
        ben sells 1 @ 104 as b1             | new 0/1
        ben sells 2 @ 105 as b2             | new 0/2
        ben sells 4 @ 106 as b3             | new 0/4
        cat {order}                         | {outcome}
        """,
    )


def test_the_band_of_an_order_is_that_of_its_arrival(venue):
    # The band 95 .. 105 holds for the whole sweep, although its first trade is at 104.
    agrees(
        venue,
        f"""
        given band 50000 ppm around 100
        {TRADERS}
        ben sells 1 @ 104 as b1             | new 0/1
        ben sells 2 @ 107 as b2             | new 0/2
        cat buys 2 at market                | canceled band 1/2: 1@104 b1
        market                              | trading last 104 band 99-109
        cat buys 2 at market                | filled 2/2: 2@107 b2
        """,
    )


def test_a_market_buy_pays_only_for_what_lies_in_the_band(venue):
    agrees(
        venue,
        """
        given band 50000 ppm around 100
        given ben 10 BTC
        given cat 104 USD
        ben sells 1 @ 104 as b1             | new 0/1
        ben sells 2 @ 106 as b2             | new 0/2
        cat buys 2 at market                | canceled band 1/2: 1@104 b1
        """,
    )


def test_a_replace_is_tested_like_a_submission(venue):
    agrees(
        venue,
        f"""
        given band 50000 ppm around 100
        {TRADERS}
        cat buys 5 @ 94 as c1               | new 0/5
        cat replaces c1 open 5 @ 106        | rejected price_out_of_band
        cat replaces c1 open 5 @ 105        | new 0/5
        cat replaces c1 open 4              | new 0/4
        """,
    )


def test_the_band_follows_trade_by_trade(venue):
    agrees(
        venue,
        f"""
        given band 50000 ppm around 100
        {TRADERS}
        cat buys 5 @ 95 as c1               | new 0/5
        ben sells 1 @ 95                    | filled 1/1: 1@95 c1
        market                              | trading last 95 band 91-99
        cat buys 1 @ 91 as c2               | new 0/1
        ben sells 5 @ 91                    | filled 5/5: 4@95 c1, 1@91 c2
        market                              | trading last 91 band 87-95
        cat buys 2 @ 95 as c3               | new 0/2
        ben sells 1 @ 86                    | rejected price_out_of_band
        """,
    )


def test_the_next_in_priority_decides_none_is_passed_over(venue):
    # 90 is below the band: nothing trades with it, nor with 100 behind it.
    agrees(
        venue,
        f"""
        given band 50000 ppm around 100
        {TRADERS}
        market becomes call_auction         | call_auction
        ben sells 1 @ 90                    | new 0/1
        ben sells 5 @ 100                   | new 0/5
        market uncrosses                    | nothing
        cat buys 6 at market                | canceled band 0/6
        cat buys 6 @ 100                    | canceled band 0/6
        cat buys for 500 at market          | canceled band 0/0
        cat buys 1 @ 100 fok                | canceled fok_not_fillable 0/1
        cat buys 6 @ 89                     | new 0/6
        """,
    )


def test_a_resting_order_outside_the_band_trades_with_nobody(venue):
    # The call ends at 200; the asks left at 205 and 215, the bid at 185 are outside 190 .. 210.
    agrees(
        venue,
        f"""
        given band 50000 ppm around 100
        {TRADERS}
        market becomes call_auction         | call_auction
        cat buys 5 @ 200                    | new 0/5
        ben sells 5 @ 200                   | new 0/5
        ben sells 1 @ 205 as b1             | new 0/1
        ben sells 2 @ 215 as b2             | new 0/2
        cat buys 1 @ 185 as c1              | new 0/1
        market uncrosses                    | 5@200
        market                              | trading last 200 band 190-210
        ben sells 1 at market               | canceled band 0/1
        cat buys 2 at market                | canceled band 1/2: 1@205 b1
        """,
    )


def test_a_resting_order_beyond_the_band_can_only_be_moved_back_or_made_less(venue):
    # Placed in a call, the bid at 150 is beyond the band 95 .. 105 of the trading that follows.
    agrees(
        venue,
        f"""
        given band 50000 ppm around 100
        {TRADERS}
        market becomes call_auction         | call_auction
        cat buys 5 @ 150 as c1              | new 0/5
        cat buys 5 @ 151 as c2              | new 0/5
        market uncrosses                    | nothing
        cat replaces c1 open 5              | rejected price_out_of_band
        cat replaces c1 open 4              | new 0/4
        cat replaces c1 open 5 @ 105        | new 0/5
        ben sells 1 at market               | canceled band 0/1
        cat replaces c2 open 0              | canceled replaced_away 0/5
        ben sells 1 at market               | filled 1/1: 1@105 c1
        """,
    )


@pytest.mark.parametrize("policy", ["cancel_taker", "cancel_maker", "cancel_both", "decrement"])
def test_ones_own_order_beyond_the_band_is_not_met(venue, policy):
    agrees(
        venue,
        f"""
        given band 50000 ppm around 100
        given ann 1000 USD, 10 BTC
        ann sells 3 @ 106                   | new 0/3
        ann buys 3 at market self-trade {policy}    | canceled band 0/3
        book                                | bids - asks 3@106
        """,
    )


def test_a_fired_stop_takes_the_band_anew_and_ends_at_it(venue):
    # cat's trade at 104 moves the band to 99 .. 109 before s1 has its turn.
    agrees(
        venue,
        f"""
        given band 50000 ppm around 100
        given ann 10000 USD
        {TRADERS}
        ann buys for 900 stop 104 as s1     | new 0/0
        ann buys 3 @ 120 stop 104 as s2     | new 0/3
        ben sells 1 @ 104 as b1             | new 0/1
        ben sells 1 @ 108 as b2             | new 0/1
        ben sells 4 @ 114 as b3             | new 0/4
        cat buys 1 @ 104                    | filled 1/1: 1@104 b1
        ann hears                           | s1 triggered, s1 filled 1@108 b2,
                                            | s1 canceled band 1/1, s2 triggered,
                                            | s2 canceled band 0/3
        market                              | trading last 108 band 103-113
        """,
    )


def test_a_fired_stop_limit_is_replaced_like_a_limit_a_waiting_one_is_not(venue):
    agrees(
        venue,
        f"""
        given band 50000 ppm around 100
        given ann 10000 USD
        {TRADERS}
        ann buys 3 @ 99 stop 104 as s1      | new 0/3
        ann replaces s1 open 3 @ 130        | new 0/3
        ann replaces s1 open 3 @ 90         | new 0/3
        ben sells 1 @ 104 as b1             | new 0/1
        cat buys 1 @ 104                    | filled 1/1: 1@104 b1
        ann hears                           | s1 triggered
        ann replaces s1 open 3 @ 110        | rejected price_out_of_band
        ann replaces s1 open 3 @ 109        | new 0/3
        """,
    )


def test_post_only_compares_with_the_book_alone(venue):
    agrees(
        venue,
        f"""
        given band 50000 ppm around 100
        {TRADERS}
        market becomes call_auction         | call_auction
        ben sells 5 @ 90                    | new 0/5
        market uncrosses                    | nothing
        cat buys 5 @ 90 post-only           | rejected post_only_would_cross
        cat buys 5 @ 90                     | canceled band 0/5
        cat buys 5 @ 89 post-only           | new 0/5
        """,
    )


def test_an_order_on_the_near_side_of_the_band_is_replaced_freely(venue):
    # The call moves the band to 143 .. 157: only prices on the far side are refused.
    agrees(
        venue,
        f"""
        given band 50000 ppm around 100
        {TRADERS}
        cat buys 5 @ 100 as c1              | new 0/5
        market becomes call_auction         | call_auction
        cat buys 5 @ 150 as c2              | new 0/5
        ben sells 5 @ 150                   | new 0/5
        market uncrosses                    | 5@150
        ben sells 5 @ 160 as b1             | new 0/5
        cat replaces c1 open 4              | new 0/4
        cat replaces c1 open 4 @ 157        | new 0/4
        cat replaces c1 open 4 @ 158        | rejected price_out_of_band
        ben replaces b1 open 4 @ 142        | rejected price_out_of_band
        """,
    )


def test_bands_do_not_act_in_a_call(venue):
    agrees(
        venue,
        f"""
        given band 50000 ppm around 100
        {TRADERS}
        market becomes call_auction         | call_auction
        cat buys 5 @ 150 as c1              | new 0/5
        ben sells 5 @ 150                   | new 0/5
        cat replaces c1 open 5 @ 151        | new 0/5
        market uncrosses                    | 5@150
        market                              | trading last 150 band 143-157
        """,
    )
