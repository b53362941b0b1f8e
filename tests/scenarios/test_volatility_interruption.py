"""Volatility interruption: trading that would leave the band becomes a call auction."""

import pytest

from tests.scenarios.markets import ASKS_OF_A_BAND as ASKS
from tests.scenarios.markets import INSIDE_THE_BAND as INSIDE
from tests.scenarios.table import agrees


@pytest.mark.parametrize(
    ("order", "outcome", "book"),
    [
        ("buys 9 @ 107", f"partially_filled 3/9: {INSIDE}", "bids 6@107 asks 4@106"),
        ("buys 9 @ 107 until 9", f"partially_filled 3/9: {INSIDE}", "bids 6@107 asks 4@106"),
        ("buys 9 @ 107 shows 2", f"partially_filled 3/9: {INSIDE}", "bids 2@107 asks 4@106"),
        ("buys 9 @ 107 ioc", f"canceled band 3/9: {INSIDE}", "bids - asks 4@106"),
        ("buys 9 at market", f"canceled band 3/9: {INSIDE}", "bids - asks 4@106"),
        ("buys for 999 at market", f"canceled band 3/3: {INSIDE}", "bids - asks 4@106"),
    ],
)
def test_what_would_trade_beyond_the_band_begins_a_call(venue, order, outcome, book):
    agrees(
        venue,
        f"""
        {ASKS}
        cat {order} as c1                   | {outcome}
        market becomes call_auction         | call_auction
        book                                | {book}
        market becomes trading              | rejected call_open, call_auction
        """,
    )


@pytest.mark.parametrize(
    ("order", "outcome"),
    [
        ("buys 3 @ 107", f"filled 3/3: {INSIDE}"),
        ("buys 9 @ 105", f"partially_filled 3/9: {INSIDE}"),
        ("buys 3 at market", f"filled 3/3: {INSIDE}"),
        ("buys 9 @ 106 fok", "canceled fok_not_fillable 0/9"),
        ("buys 7 @ 106 fok", "canceled fok_not_fillable 0/7"),
        ("buys 7 @ 106 at least 4", "canceled minimum_not_fillable 0/7"),
        ("buys 7 at market fok", "canceled fok_not_fillable 0/7"),
        ("buys 7 @ 106 post-only", "rejected post_only_would_cross"),
    ],
)
def test_what_needs_nothing_beyond_the_band_or_trades_nothing_begins_none(venue, order, outcome):
    agrees(
        venue,
        f"""
        {ASKS}
        cat {order}                         | {outcome}
        market uncrosses                    | rejected no_call
        """,
    )


def test_an_empty_side_is_no_volatility(venue):
    # What is left of cat's order rests far beyond the band; whoever meets it there begins a call.
    agrees(
        venue,
        f"""
        {ASKS}
        ben cancels b3                      | canceled requested 0/4
        cat buys 9 @ 200                    | partially_filled 3/9: {INSIDE}
        market                              | trading last 105 band 100-110
        book                                | bids 6@200 asks -
        ben sells 1 @ 150                   | new 0/1
        market                              | call_auction last 105 band 100-110
                                            | would trade 1@200 surplus 5
        """,
    )


def test_the_call_collects_and_its_uncross_moves_the_band(venue):
    agrees(
        venue,
        f"""
        {ASKS}
        cat buys 9 @ 107 as c1              | partially_filled 3/9: {INSIDE}
        market                              | call_auction last 105 band 100-110
                                            | would trade 4@107 surplus 2
        cat buys 1 at market                | rejected not_in_call
        ben sells 3 @ 112 as b4             | new 0/3
        ann buys 5 @ 115 as a1              | new 0/5
        market                              | call_auction last 105 band 100-110
                                            | would trade 5@112 surplus -2
        market uncrosses                    | 5@112
        """,
    )


def test_the_order_that_causes_it_has_fills_that_fire_stops_into_the_call(venue):
    # The trade at 105 reaches all four. A limit joins the call, the others are canceled.
    agrees(
        venue,
        f"""
        {ASKS}
        ann buys 2 @ 106 stop 105 as s1     | new 0/2
        ann buys for 300 stop 105 as s2     | new 0/0
        ann buys 2 @ 107 stop 105 ioc as s3 | new 0/2
        ann buys 2 @ 107 stop 105 fok as s4 | new 0/2
        ann buys 2 @ 108 stop 105 until 9 as s5 | new 0/2
        cat buys 4 @ 106                    | partially_filled 3/4: {INSIDE}
        ann hears                           | s1 triggered, s2 triggered, s2 canceled band 0/0,
                                            | s3 triggered, s3 canceled band 0/2,
                                            | s4 triggered, s4 canceled band 0/2, s5 triggered
        book                                | bids 2@108 3@106 asks 4@106
        market                              | call_auction last 105 band 100-110
                                            | would trade 4@106 surplus 1
        """,
    )


def test_a_fired_stop_may_be_what_begins_it(venue):
    agrees(
        venue,
        f"""
        {ASKS}
        ben cancels b2                      | canceled requested 0/2
        ben cancels b3                      | canceled requested 0/4
        ben sells 4 @ 110 as b4             | new 0/4
        ann buys 2 @ 120 stop 104 as s1     | new 0/2
        ann buys 2 @ 110 stop 104 as s2     | new 0/2
        cat buys 1 @ 104                    | filled 1/1: 1@104 b1
        ann hears                           | s1 triggered, s2 triggered
        market                              | call_auction last 104 band 99-109
                                            | would trade 4@110 surplus 0
        """,
    )


def test_prices_are_never_refused_only_met(venue):
    agrees(
        venue,
        f"""
        {ASKS}
        cat buys 1 @ 9                      | new 0/1
        ben sells 1 @ 500 as b5             | new 0/1
        ben replaces b5 open 1 @ 50         | new 0/1
        market                              | trading last - band 95-105
        """,
    )


def test_a_replaced_order_begins_it_too(venue):
    agrees(
        venue,
        f"""
        {ASKS}
        cat buys 9 @ 90 as c1               | new 0/9
        cat replaces c1 open 9 @ 106        | partially_filled 3/9: {INSIDE}
        market                              | call_auction last 105 band 100-110
                                            | would trade 4@106 surplus 2
        """,
    )


@pytest.mark.parametrize("order", ["sells 3 @ 94", "sells 3 @ 90"])
def test_the_lower_end_is_guarded_alike(venue, order):
    agrees(
        venue,
        f"""
        given band 50000 ppm around 100 interrupts
        given ben 1000 BTC
        given cat 100000 USD
        cat buys 1 @ 95 as c1               | new 0/1
        cat buys 5 @ 94 as c2               | new 0/5
        ben {order} as b1                   | partially_filled 1/3: 1@95 c1
        market uncrosses to halted          | 2@94
        market                              | halted last 94 band 90-98
        """,
    )


def test_an_order_on_the_near_side_of_the_band_begins_it_too(venue):
    # An ask at 90, from a call, is below the band 95 .. 105: nobody may buy it so cheaply.
    agrees(
        venue,
        """
        given band 50000 ppm around 100 interrupts
        given ben 10 BTC
        given cat 10000 USD
        market becomes call_auction         | call_auction
        ben sells 1 @ 90                    | new 0/1
        market uncrosses                    | nothing
        cat buys 2 @ 100                    | new 0/2
        market                              | call_auction last - band 95-105
                                            | would trade 1@100 surplus 1
        """,
    )


def test_a_stop_of_the_other_side_joins_the_call_too(venue):
    agrees(
        venue,
        f"""
        {ASKS}
        ann sells 3 @ 90 stop 107 as s1     | new 0/3
        cat buys 9 @ 107                    | partially_filled 3/9: {INSIDE}
        ann hears                           | s1 triggered
        market                              | call_auction last 105 band 100-110
                                            | would trade 6@106 surplus -1
        """,
    )


# --- who may begin one ----------------------------------------------------------------------------

ALONE = """
    given band 50000 ppm around 100 interrupts
    given ann 10000 USD, 100 BTC
    given ben 1000 BTC, 1000000 USD
    ann sells 1 @ 120 as a1                 | new 0/1
"""


@pytest.mark.parametrize(
    "policy", ["none", "cancel_taker", "cancel_maker", "cancel_both", "decrement"]
)
@pytest.mark.parametrize(
    ("order", "outcome"),
    [
        ("buys 2 @ 120", "canceled band 0/2"),
        ("buys 2 @ 125 until 9", "canceled band 0/2"),
        ("buys 2 @ 125 shows 1", "canceled band 0/2"),
        ("buys 2 @ 125 ioc", "canceled band 0/2"),
        ("buys 2 at market", "canceled band 0/2"),
        ("buys for 500 at market", "canceled band 0/0"),
    ],
)
def test_nobody_begins_one_with_an_order_of_ones_own(venue, policy, order, outcome):
    agrees(
        venue,
        f"""
        {ALONE}
        ann {order} self-trade {policy}     | {outcome}
        market                              | trading last - band 95-105
        book                                | bids - asks 1@120
        ann                                 | 10000+0 USD, 99+1 BTC
        """,
    )


def test_the_oldest_at_the_price_is_next_and_orders_behind_it_do_not_count(venue):
    agrees(
        venue,
        f"""
        {ALONE}
        ben sells 1 @ 120                   | new 0/1
        ann buys 2 @ 120                    | canceled band 0/2
        market                              | trading last - band 95-105
        ann cancels a1                      | canceled requested 0/1
        ann sells 1 @ 120                   | new 0/1
        ann buys 2 @ 120                    | new 0/2
        market                              | call_auction last - band 95-105
                                            | would trade 2@120 surplus 0
        """,
    )


def test_what_traded_inside_the_band_stands_and_makers_of_ones_own_there_are_prevented(venue):
    agrees(
        venue,
        f"""
        {ALONE}
        ben sells 1 @ 104 as b1             | new 0/1
        ann sells 1 @ 105 as a2             | new 0/1
        ann buys 5 @ 120 self-trade cancel_maker    | canceled band 1/5: 1@104 b1,
                                            | prevented a2@105 cancel_maker resting 1->0
                                            | incoming 4->4
        market                              | trading last 104 band 99-109
        """,
    )


def test_at_the_lower_end_and_at_the_near_side_alike(venue):
    agrees(
        venue,
        """
        given band 50000 ppm around 100 interrupts
        given ann 10000 USD, 100 BTC
        ann buys 1 @ 80 as a1               | new 0/1
        ann sells 1 @ 80                    | canceled band 0/1
        market becomes call_auction         | call_auction
        ann sells 1 @ 90                    | new 0/1
        market uncrosses                    | nothing
        ann buys 1 @ 100                    | canceled band 0/1
        market                              | trading last - band 95-105
        """,
    )


def test_a_replaced_order_and_a_fired_stop_that_meet_ones_own_end(venue):
    agrees(
        venue,
        f"""
        {ALONE}
        ann buys 2 @ 90 as a2               | new 0/2
        ann replaces a2 open 2 @ 120        | canceled band 0/2
        ann buys 1 @ 125 stop 100 as s1     | new 0/1
        ben sells 1 @ 100                   | new 0/1
        ann buys 1 @ 100                    | filled 1/1: 1@100 ?
        ann hears                           | s1 triggered, s1 canceled band 0/1
        market                              | trading last 100 band 95-105
        """,
    )
