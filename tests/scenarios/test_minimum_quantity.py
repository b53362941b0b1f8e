"""Minimum quantity: at least that much at once, or nothing."""

import pytest

from tests.scenarios.table import agrees

ASKS = """
    given ann 1000 BTC
    given cat 10000 USD
    ann sells 3 @ 100 as a1                 | new 0/3
    ann sells 4 @ 101 as a2                 | new 0/4
    ann sells 9 @ 102 as a3                 | new 0/9
"""


@pytest.mark.parametrize(
    ("order", "outcome"),
    [
        ("9 @ 101 at least 7", "partially_filled 7/9: 3@100 a1, 4@101 a2"),
        ("9 @ 101 at least 8", "canceled minimum_not_fillable 0/9"),
        ("9 @ 101 at least 9", "canceled minimum_not_fillable 0/9"),
        ("9 @ 101 at least 1", "partially_filled 7/9: 3@100 a1, 4@101 a2"),
        ("7 @ 101 at least 7", "filled 7/7: 3@100 a1, 4@101 a2"),
        ("9 @ 99 at least 1", "canceled minimum_not_fillable 0/9"),
        ("9 @ 101 at least 7 ioc", "canceled ioc_remainder 7/9: 3@100 a1, 4@101 a2"),
        ("9 @ 101 at least 8 ioc", "canceled minimum_not_fillable 0/9"),
        ("9 @ 101 at least 7 until 99", "partially_filled 7/9: 3@100 a1, 4@101 a2"),
        ("9 at market at least 9", "filled 9/9: 3@100 a1, 4@101 a2, 2@102 a3"),
        ("20 at market at least 17", "canceled minimum_not_fillable 0/20"),
        (
            "20 at market at least 16",
            "canceled no_liquidity 16/20: 3@100 a1, 4@101 a2, 9@102 a3",
        ),
    ],
)
def test_enough_trades_at_once_or_nothing_does(venue, order, outcome):
    agrees(
        venue,
        f"""
        {ASKS}
        cat buys {order}                    | {outcome}
        """,
    )


def test_when_too_little_can_trade_nothing_is_reserved_and_nothing_rests(venue):
    agrees(
        venue,
        f"""
        {ASKS}
        cat buys 9 @ 101 at least 8 as c1   | canceled minimum_not_fillable 0/9
        cat                                 | 10000+0 USD, 0+0 BTC
        cat orders                          | -
        book                                | bids - asks 3@100 4@101 9@102
        cat hears                           | -
        """,
    )


def test_after_the_arrival_the_minimum_is_spent(venue):
    agrees(
        venue,
        f"""
        {ASKS}
        cat buys 9 @ 101 at least 7 as c1   | partially_filled 7/9: 3@100 a1, 4@101 a2
        ann sells 1 @ 101                   | filled 1/1: 1@101 c1
        cat replaces c1 open 3 @ 90         | partially_filled 8/11
        ann sells 1 @ 95 as a4              | new 0/1
        cat replaces c1 open 3 @ 95         | partially_filled 9/11: 1@95 a4
        """,
    )


def test_hidden_lots_count(venue):
    agrees(
        venue,
        """
        given ann 100 BTC
        given cat 10000 USD
        ann sells 5 @ 100 shows 2 as a1     | new 0/5
        cat buys 6 @ 100 at least 6         | canceled minimum_not_fillable 0/6
        cat buys 6 @ 100 at least 5         | partially_filled 5/6: 2@100 a1, 2@100 a1, 1@100 a1
        """,
    )


@pytest.mark.parametrize(
    ("policy", "minimum", "outcome"),
    [
        ("none", 7, "filled 7/7: 2@100 a1, 3@100 c1 self-trade, 2@101 a2"),
        ("cancel_taker", 3, "canceled minimum_not_fillable 0/7"),
        (
            "cancel_taker",
            2,
            "canceled self_trade 2/7: 2@100 a1,"
            " prevented c1@100 cancel_taker resting 3->3 incoming 5->0",
        ),
        ("cancel_maker", 7, "canceled minimum_not_fillable 0/7"),
        (
            "cancel_maker",
            6,
            "partially_filled 6/7: 2@100 a1,"
            " prevented c1@100 cancel_maker resting 3->0 incoming 5->5, 4@101 a2",
        ),
        ("cancel_both", 3, "canceled minimum_not_fillable 0/7"),
        (
            "cancel_both",
            2,
            "canceled self_trade 2/7: 2@100 a1,"
            " prevented c1@100 cancel_both resting 3->0 incoming 5->0",
        ),
        ("decrement", 5, "canceled minimum_not_fillable 0/7"),
        (
            "decrement",
            4,
            "filled 4/7: 2@100 a1, prevented c1@100 decrement resting 3->0 incoming 5->2, 2@101 a2",
        ),
    ],
)
def test_it_counts_what_the_self_trade_policy_lets_trade(venue, policy, minimum, outcome):
    agrees(
        venue,
        f"""
        given ann 100 BTC
        given cat 10000 USD, 100 BTC
        ann sells 2 @ 100 as a1             | new 0/2
        cat sells 3 @ 100 as c1             | new 0/3
        ann sells 4 @ 101 as a2             | new 0/4
        cat buys 7 @ 101 at least {minimum} self-trade {policy} | {outcome}
        """,
    )


@pytest.mark.parametrize("interrupts", ["", "interrupts"])
def test_it_counts_what_the_band_lets_trade_and_calls_no_auction(venue, interrupts):
    agrees(
        venue,
        f"""
        given band 10000 ppm around 100 {interrupts}
        {ASKS}
        cat buys 9 at market at least 8     | canceled minimum_not_fillable 0/9
        market                              | trading last - band 99-101
        book                                | bids - asks 3@100 4@101 9@102
        cat buys 7 at market at least 7     | filled 7/7: 3@100 a1, 4@101 a2
        """,
    )


def test_a_market_buy_must_have_the_money_for_all_that_it_could_get(venue):
    agrees(
        venue,
        """
        given ann 100 BTC
        given cat 300 USD
        ann sells 3 @ 100 as a1             | new 0/3
        ann sells 4 @ 101 as a2             | new 0/4
        cat buys 4 at market at least 3     | rejected insufficient_funds
        cat buys 3 at market at least 3     | filled 3/3: 3@100 a1
        """,
    )


def test_a_seller_may_ask_for_a_minimum_too(venue):
    agrees(
        venue,
        """
        given ann 100 BTC
        given cat 10000 USD
        cat buys 5 @ 100 as c1              | new 0/5
        ann sells 9 @ 100 at least 6        | canceled minimum_not_fillable 0/9
        ann sells 9 @ 100 at least 5        | partially_filled 5/9: 5@100 c1
        ann                                 | 500+0 USD, 91+4 BTC
        """,
    )


def test_what_may_not_have_a_minimum(venue):
    agrees(
        venue,
        """
        given ann 100 BTC, 1000 USD
        ann sells 5 @ 100 at least 6        | rejected invalid_combination
        ann sells 5 @ 100 at least 5 fok    | rejected invalid_combination
        ann sells 5 @ 100 at least 5 post-only  | rejected invalid_combination
        ann sells 5 at market at least 5 fok    | rejected invalid_combination
        ann sells 5 at market at least 6    | rejected invalid_combination
        ann sells 5 stop 90 at least 5      | rejected invalid_combination
        ann sells 5 @ 90 stop 90 at least 5 | rejected invalid_combination
        ann buys for 500 at market at least 5   | rejected invalid_combination
        """,
    )
