"""Self-trade prevention: what happens when an order meets one of the same user.

Every policy against a plain resting order, an iceberg, with fill or kill, and after fills of
others. `resting 5->2 incoming 3->0`: the leaves of both before and after.
"""

import pytest

from tests.scenarios.table import agrees

# policy -> (outcome, the book afterwards)
PLAIN = {
    "none": ("filled 5/5: 3@100 a1 self-trade, 2@100 b1", "bids - asks 2@100"),
    "cancel_taker": (
        "canceled self_trade 0/5: prevented a1@100 cancel_taker resting 3->3 incoming 5->0",
        "bids - asks 7@100",
    ),
    "cancel_maker": (
        "partially_filled 4/5: prevented a1@100 cancel_maker resting 3->0 incoming 5->5, 4@100 b1",
        "bids 1@100 asks -",
    ),
    "cancel_both": (
        "canceled self_trade 0/5: prevented a1@100 cancel_both resting 3->0 incoming 5->0",
        "bids - asks 4@100",
    ),
    "decrement": (
        "filled 2/5: prevented a1@100 decrement resting 3->0 incoming 5->2, 2@100 b1",
        "bids - asks 2@100",
    ),
}


@pytest.mark.parametrize("policy", PLAIN)
@pytest.mark.parametrize("named_by", ["order", "market"])
def test_against_a_plain_order(venue, policy, named_by):
    outcome, book = PLAIN[policy]
    given, word = "", ""
    if named_by == "order":
        word = f"self-trade {policy}"
    else:
        given = f"given self-trade {policy}"
    agrees(
        venue,
        f"""
        {given}
        given ann 1000 USD, 10 BTC
        given ben 10 BTC
        ann sells 3 @ 100 as a1             | new 0/3
        ben sells 4 @ 100 as b1             | new 0/4
        ann buys 5 @ 100 {word}             | {outcome}
        book                                | {book}
        """,
    )


# The resting iceberg of ann has 9, of which 2 show; behind it stand 4 of ben.
ICEBERG = {
    "none": ("filled 5/5: 2@100 a1 self-trade, 3@100 b1", "bids - asks 3@100"),
    "cancel_taker": (
        "canceled self_trade 0/5: prevented a1@100 cancel_taker resting 9->9 incoming 5->0",
        "bids - asks 6@100",
    ),
    "cancel_maker": (
        "partially_filled 4/5: prevented a1@100 cancel_maker resting 9->0 incoming 5->5, 4@100 b1",
        "bids 1@100 asks -",
    ),
    "cancel_both": (
        "canceled self_trade 0/5: prevented a1@100 cancel_both resting 9->0 incoming 5->0",
        "bids - asks 4@100",
    ),
    "decrement": (
        "canceled self_trade 0/5: prevented a1@100 decrement resting 9->4 incoming 5->0",
        "bids - asks 6@100",
    ),
}


@pytest.mark.parametrize("policy", ICEBERG)
def test_against_an_iceberg(venue, policy):
    outcome, book = ICEBERG[policy]
    agrees(
        venue,
        f"""
        given ann 1000 USD, 10 BTC
        given ben 10 BTC
        ann sells 9 @ 100 shows 2 as a1     | new 0/9
        ben sells 4 @ 100 as b1             | new 0/4
        ann buys 5 @ 100 self-trade {policy}    | {outcome}
        book                                | {book}
        """,
    )


def test_a_decremented_iceberg_keeps_its_place_and_its_slice(venue):
    agrees(
        venue,
        """
        given ann 1000 USD, 10 BTC
        given ben 10 BTC
        given cat 1000 USD
        ann sells 9 @ 100 shows 3 as a1     | new 0/9
        ben sells 4 @ 100 as b1             | new 0/4
        cat buys 1 @ 100                    | filled 1/1: 1@100 a1
        ann buys 5 @ 100 self-trade decrement   | canceled self_trade 0/5:
                                            | prevented a1@100 decrement resting 8->3
                                            | incoming 5->0
        book                                | bids - asks 6@100
        ann                                 | 1100+0 USD, 6+3 BTC
        cat buys 4 @ 100                    | filled 4/4: 2@100 a1, 2@100 b1
        """,
    )


# Asks: 2@100 of ben, 3@100 of ann, 4@101 of ben.
PARTIAL = {
    "none": "filled 7/7: 2@100 b1, 3@100 a1 self-trade, 2@101 b2",
    "cancel_taker": (
        "canceled self_trade 2/7: 2@100 b1,"
        " prevented a1@100 cancel_taker resting 3->3 incoming 5->0"
    ),
    "cancel_maker": (
        "partially_filled 6/7: 2@100 b1,"
        " prevented a1@100 cancel_maker resting 3->0 incoming 5->5, 4@101 b2"
    ),
    "cancel_both": (
        "canceled self_trade 2/7: 2@100 b1, prevented a1@100 cancel_both resting 3->0 incoming 5->0"
    ),
    "decrement": (
        "filled 4/7: 2@100 b1, prevented a1@100 decrement resting 3->0 incoming 5->2, 2@101 b2"
    ),
}
ASKS = """
    given ann 2000 USD, 10 BTC
    given ben 10 BTC
    ben sells 2 @ 100 as b1                 | new 0/2
    ann sells 3 @ 100 as a1                 | new 0/3
    ben sells 4 @ 101 as b2                 | new 0/4
"""


@pytest.mark.parametrize("policy", PARTIAL)
def test_after_fills_of_others(venue, policy):
    agrees(
        venue,
        f"""
        {ASKS}
        ann buys 7 @ 101 self-trade {policy}    | {PARTIAL[policy]}
        """,
    )


# policy -> how many of the 9 there are trade, so that fill or kill of that many succeeds
FILL_OR_KILL = {
    "none": (9, "filled 9/9: 2@100 b1, 3@100 a1 self-trade, 4@101 b2"),
    "cancel_taker": (2, "filled 2/2: 2@100 b1"),
    "cancel_maker": (
        6,
        "filled 6/6: 2@100 b1, prevented a1@100 cancel_maker resting 3->0 incoming 4->4, 4@101 b2",
    ),
    "cancel_both": (2, "filled 2/2: 2@100 b1"),
    "decrement": (2, "filled 2/2: 2@100 b1"),
}


@pytest.mark.parametrize("policy", FILL_OR_KILL)
def test_fill_or_kill_counts_what_may_trade(venue, policy):
    most, outcome = FILL_OR_KILL[policy]
    agrees(
        venue,
        f"""
        {ASKS}
        ann buys {most + 1} @ 101 fok self-trade {policy}   | canceled fok_not_fillable 0/{most + 1}
        book                                | bids - asks 5@100 4@101
        ann hears                           | -
        ann                                 | 2000+0 USD, 7+3 BTC
        ann buys {most} @ 101 fok self-trade {policy}   | {outcome}
        """,
    )


def test_it_is_the_incoming_order_that_decides(venue):
    agrees(
        venue,
        """
        given self-trade cancel_taker
        given ann 1000 USD, 10 BTC
        ann sells 3 @ 100 self-trade cancel_both as a1  | new 0/3
        ann buys 3 @ 100 self-trade none    | filled 3/3: 3@100 a1 self-trade
        ann sells 3 @ 100 self-trade none as a2 | new 0/3
        ann buys 3 @ 100                    | canceled self_trade 0/3:
                                            | prevented a2@100 cancel_taker resting 3->3
                                            | incoming 3->0
        """,
    )


def test_a_trade_with_oneself_pays_oneself(venue):
    agrees(
        venue,
        """
        given ann 1000 USD, 10 BTC
        ann sells 3 @ 100 as a1             | new 0/3
        ann buys 5 @ 100 as a2              | partially_filled 3/5: 3@100 a1 self-trade
        ann hears                           | a1 filled 3@100 a2 self-trade
        ann                                 | 800+200 USD, 10+0 BTC
        """,
    )


def test_others_are_not_concerned(venue):
    agrees(
        venue,
        """
        given self-trade cancel_both
        given ann 1000 USD
        given ben 10 BTC
        ben sells 3 @ 100 as b1             | new 0/3
        ann buys 3 @ 100                    | filled 3/3: 3@100 b1
        """,
    )


def test_one_order_beyond_its_limit_is_not_met(venue):
    agrees(
        venue,
        """
        given self-trade cancel_both
        given ann 1000 USD, 10 BTC
        ann sells 3 @ 101 as a1             | new 0/3
        ann buys 3 @ 100                    | new 0/3
        book                                | bids 3@100 asks 3@101
        """,
    )


def test_what_decrement_leaves_of_an_order_rests(venue):
    agrees(
        venue,
        """
        given ann 1000 USD, 10 BTC
        ann sells 3 @ 100 as a1             | new 0/3
        ann buys 5 @ 100 self-trade decrement as a2 | new 0/5:
                                            | prevented a1@100 decrement resting 3->0
                                            | incoming 5->2
        ann                                 | 800+200 USD, 10+0 BTC
        ann asks a1                         | canceled self_trade 0/3
        ann asks a2                         | new 0/5
        ann replaces a2 total 4             | new 0/4
        book                                | bids 1@100 asks -
        """,
    )


def test_decrement_of_equals_ends_both(venue):
    agrees(
        venue,
        """
        given ann 1000 USD, 10 BTC
        ann sells 3 @ 100 as a1             | new 0/3
        ann buys 3 @ 100 self-trade decrement   | canceled self_trade 0/3:
                                            | prevented a1@100 decrement resting 3->0
                                            | incoming 3->0
        ann orders                          | -
        ann                                 | 1000+0 USD, 10+0 BTC
        """,
    )


def test_several_of_ones_own_are_met_one_after_the_other(venue):
    agrees(
        venue,
        """
        given ann 1000 USD, 10 BTC
        given ben 10 BTC
        ann sells 1 @ 100 as a1             | new 0/1
        ann sells 2 @ 101 as a2             | new 0/2
        ben sells 3 @ 101 as b1             | new 0/3
        ann sells 1 @ 102 as a3             | new 0/1
        ann buys 5 @ 101 self-trade cancel_maker    | partially_filled 3/5:
                                            | prevented a1@100 cancel_maker resting 1->0
                                            | incoming 5->5,
                                            | prevented a2@101 cancel_maker resting 2->0
                                            | incoming 5->5, 3@101 b1
        book                                | bids 2@101 asks 1@102
        """,
    )


def test_market_orders_have_a_policy_too(venue):
    agrees(
        venue,
        f"""
        {ASKS}
        ann buys 9 at market self-trade decrement   | filled 6/9: 2@100 b1,
                                            | prevented a1@100 decrement resting 3->0
                                            | incoming 7->4, 4@101 b2
        """,
    )


def test_a_market_buy_needs_money_only_for_what_trades(venue):
    agrees(
        venue,
        """
        given ann 200 USD, 10 BTC
        given ben 10 BTC
        ben sells 2 @ 100 as b1             | new 0/2
        ann sells 3 @ 100 as a1             | new 0/3
        ann buys 3 at market                | rejected insufficient_funds
        ann buys 3 at market self-trade cancel_taker    | canceled self_trade 2/3: 2@100 b1,
                                            | prevented a1@100 cancel_taker resting 3->3
                                            | incoming 1->0
        """,
    )


def test_a_replaced_order_keeps_its_policy(venue):
    agrees(
        venue,
        """
        given ann 1000 USD, 10 BTC
        ann sells 3 @ 100 as a1             | new 0/3
        ann buys 2 @ 90 self-trade cancel_maker as a2   | new 0/2
        ann replaces a2 open 2 @ 100        | new 0/2:
                                            | prevented a1@100 cancel_maker resting 3->0
                                            | incoming 2->2
        book                                | bids 2@100 asks -
        """,
    )


def test_post_only_is_about_every_order_and_comes_first(venue):
    agrees(
        venue,
        """
        given ann 1000 USD, 10 BTC
        ann sells 3 @ 100 as a1             | new 0/3
        ann buys 2 @ 100 post-only self-trade cancel_maker  | rejected post_only_would_cross
        book                                | bids - asks 3@100
        """,
    )


@pytest.mark.parametrize("policy", ["none", "cancel_taker", "cancel_maker", "decrement"])
def test_a_rest_after_an_ioc(venue, policy):
    outcomes = {
        "none": "canceled ioc_remainder 5/9: 2@100 b1, 3@100 a1 self-trade",
        "cancel_taker": PARTIAL["cancel_taker"].replace("2/7", "2/9").replace("5->0", "7->0"),
        "cancel_maker": "canceled ioc_remainder 2/9: 2@100 b1,"
        " prevented a1@100 cancel_maker resting 3->0 incoming 7->7",
        "decrement": "canceled ioc_remainder 2/9: 2@100 b1,"
        " prevented a1@100 decrement resting 3->0 incoming 7->4",
    }
    agrees(
        venue,
        f"""
        {ASKS}
        ann buys 9 @ 100 ioc self-trade {policy}    | {outcomes[policy]}
        """,
    )
