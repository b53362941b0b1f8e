"""One cancels the other: a limit order and a stop on one side, for the price of one."""

import pytest

from tests.scenarios.markets import TRADERS, a_trade_at
from tests.scenarios.table import agrees

SELLER = f"""
    {TRADERS}
    given ann 5 BTC
    ann sells 5 @ 110 or stop 90 as a1 and s1   | new
"""


def test_a_selling_pair_reserves_once(venue):
    agrees(
        venue,
        f"""
        {SELLER}
        ann                                 | 0+0 USD, 0+5 BTC
        ann orders                          | a1 sell 0/5 @ 110 or s1, s1 sell 0/5 stop 90 or a1
        book                                | bids - asks 5@110
        """,
    )


@pytest.mark.parametrize(
    ("pair", "reserved"),
    [
        ("5 @ 90 or stop 110 for 600", 600),
        ("5 @ 90 or stop 110 for 450", 450),
        ("5 @ 90 or stop 110 for 300", 450),
        ("5 @ 90 or stop 110 limit 112", 560),
        ("5 @ 90 or stop 110 limit 80", 450),
    ],
)
def test_a_buying_pair_reserves_the_larger_need(venue, pair, reserved):
    agrees(
        venue,
        f"""
        given ann {reserved - 1} USD
        ann buys {pair} as a1 and s1        | rejected insufficient_funds
        ann deposits 1 USD                  | done
        ann buys {pair} as a1 and s1        | new
        ann                                 | 0+{reserved} USD, 0+0 BTC
        ann cancels a1                      | canceled requested 0/5: s1 canceled linked
                                            | 0/{0 if "for" in pair else 5}
        ann                                 | {reserved}+0 USD, 0+0 BTC
        """,
    )


def test_the_first_fill_of_the_limit_cancels_the_stop(venue):
    agrees(
        venue,
        f"""
        {SELLER}
        cat buys 2 @ 110 as c1              | filled 2/2: 2@110 a1
        ann hears                           | a1 partially_filled 2@110 c1, s1 canceled linked 0/5
        ann orders                          | a1 sell 2/5 @ 110
        ann                                 | 220+0 USD, 0+3 BTC
        """,
    )


def test_a_complete_fill_of_the_limit_cancels_the_stop(venue):
    agrees(
        venue,
        f"""
        {SELLER}
        cat buys 9 @ 110 as c1              | partially_filled 5/9: 5@110 a1
        ann hears                           | a1 filled 5@110 c1, s1 canceled linked 0/5
        ann orders                          | -
        ann                                 | 550+0 USD, 0+0 BTC
        """,
    )


def test_the_stop_that_fires_cancels_the_limit_before_it_trades(venue):
    agrees(
        venue,
        f"""
        {SELLER}
        cat buys 1 @ 90 as c1               | new 0/1
        cat buys 3 @ 85 as c2               | new 0/3
        ben sells 1 @ 90                    | filled 1/1: 1@90 c1
        ann hears                           | s1 triggered, a1 canceled linked 0/5,
                                            | s1 partially_filled 3@85 c2,
                                            | s1 canceled no_liquidity 3/5
        ann                                 | 255+0 USD, 2+0 BTC
        book                                | bids - asks -
        """,
    )


def test_a_fired_stop_limit_rests_alone(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 600 USD
        ann buys 5 @ 90 or stop 110 limit 112 as a1 and s1  | new
        ann                                 | 40+560 USD, 0+0 BTC
        ben sells 1 @ 110 as b1             | new 0/1
        ben sells 2 @ 111 as b2             | new 0/2
        cat buys 1 @ 110                    | filled 1/1: 1@110 b1
        ann hears                           | s1 triggered, a1 canceled linked 0/5,
                                            | s1 partially_filled 2@111 b2
        ann orders                          | s1 buy 2/5 @ 112
        ann                                 | 42+336 USD, 2+0 BTC
        """,
    )


def test_a_stop_buy_of_a_pair_spends_its_budget(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 600 USD
        ann buys 5 @ 90 or stop 110 for 600 as a1 and s1    | new
        ben sells 1 @ 110 as b1             | new 0/1
        ben sells 9 @ 111 as b2             | new 0/9
        cat buys 1 @ 110                    | filled 1/1: 1@110 b1
        ann hears                           | s1 triggered, a1 canceled linked 0/5,
                                            | s1 filled 5@111 b2
        ann                                 | 45+0 USD, 5+0 BTC
        """,
    )


def test_what_the_pair_reserved_beyond_the_limit_order_comes_back_with_its_fill(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 600 USD
        ann buys 5 @ 90 or stop 110 for 600 as a1 and s1    | new
        ann                                 | 0+600 USD, 0+0 BTC
        ben sells 2 @ 90                    | filled 2/2: 2@90 a1
        ann                                 | 150+270 USD, 2+0 BTC
        """,
    )


def test_a_fill_cancels_the_stop_although_the_same_trade_reaches_it(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 5 BTC
        ann sells 5 @ 95 or stop 96 as a1 and s1    | new
        cat buys 2 @ 95 as c1               | filled 2/2: 2@95 a1
        ann hears                           | a1 partially_filled 2@95 c1, s1 canceled linked 0/5
        ann orders                          | a1 sell 2/5 @ 95
        """,
    )


def test_a_stop_in_the_queue_that_is_canceled_as_linked_never_fires(venue):
    # One order trades at 96, which reaches dan's stop, and at 89, which reaches ann's behind it.
    # dan's turn comes first and takes ann's limit order.
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 5 BTC
        given dan 1000 USD
        {a_trade_at(92)}
        ann sells 5 @ 110 or stop 90 as a1 and s1   | new
        dan buys 2 @ 110 stop 95 as s0      | new 0/2
        cat buys 1 @ 96 as c1               | new 0/1
        cat buys 1 @ 89 as c2               | new 0/1
        ben sells 2 @ 89                    | filled 2/2: 1@96 c1, 1@89 c2
        dan hears                           | s0 triggered, s0 filled 2@110 a1
        ann hears                           | a1 partially_filled 2@110 s0,
                                            | s1 canceled linked 0/5
        ann orders                          | a1 sell 2/5 @ 110
        """,
    )


# Two pairs of ann's: a replace makes the limit orders meet.
TWO_PAIRS = """
    given ann 1000 USD, 5 BTC
    ann sells 5 @ 110 or stop 90 as a1 and s1   | new
"""


def test_two_pairs_of_one_user_that_trade_with_each_other(venue):
    agrees(
        venue,
        f"""
        {TWO_PAIRS}
        ann buys 5 @ 95 or stop 120 for 600 as a2 and s2    | new
        ann replaces a2 open 2 @ 110        | filled 2/2: 2@110 a1 self-trade,
                                            | s1 canceled linked 0/5, s2 canceled linked 0/0
        ann hears                           | a1 partially_filled 2@110 a2 self-trade
        ann                                 | 1000+0 USD, 2+3 BTC
        """,
    )


def test_two_pairs_of_one_user_that_may_not_trade_with_each_other(venue):
    agrees(
        venue,
        f"""
        {TWO_PAIRS}
        ann buys 5 @ 95 or stop 120 for 600 self-trade cancel_both as a2 and s2 | new
        ann replaces a2 open 2 @ 110        | canceled self_trade 0/2:
                                            | prevented a1@110 cancel_both resting 5->0
                                            | incoming 2->0,
                                            | s1 canceled linked 0/5, s2 canceled linked 0/0
        ann orders                          | -
        ann                                 | 1000+0 USD, 5+0 BTC
        """,
    )


@pytest.mark.parametrize(
    ("ending", "outcome", "linked"),
    [
        ("cancels a1", "canceled requested", "s1"),
        ("cancels s1", "canceled requested", "a1"),
        ("replaces a1 open 0", "canceled replaced_away", "s1"),
        ("replaces s1 total 0", "canceled replaced_away", "a1"),
    ],
)
def test_the_end_of_either_ends_the_other(venue, ending, outcome, linked):
    agrees(
        venue,
        f"""
        {SELLER}
        ann {ending}                        | {outcome} 0/5: {linked} canceled linked 0/5
        ann orders                          | -
        ann                                 | 0+0 USD, 5+0 BTC
        ann asks {linked}                   | canceled linked 0/5
        """,
    )


@pytest.mark.parametrize("policy", ["cancel_maker", "cancel_both"])
def test_a_limit_order_that_self_trade_prevention_ends_takes_the_stop_along(venue, policy):
    ends, incoming, left = {
        "cancel_both": ("canceled self_trade 0/2", "2->0", "-"),
        "cancel_maker": ("new 0/2", "2->2", "? buy 0/2 @ 110"),
    }[policy]
    agrees(
        venue,
        f"""
        {SELLER}
        given ann 1000 USD
        ann buys 2 @ 110 self-trade {policy}    | {ends}:
                                            | prevented a1@110 {policy} resting 5->0
                                            | incoming {incoming}, s1 canceled linked 0/5
        ann orders                          | {left}
        """,
    )


def test_decrement_that_leaves_something_of_the_limit_order_keeps_the_link(venue):
    agrees(
        venue,
        f"""
        {SELLER}
        given ann 1000 USD
        ann buys 2 @ 110 self-trade decrement   | canceled self_trade 0/2:
                                            | prevented a1@110 decrement resting 5->3
                                            | incoming 2->0
        ann orders                          | a1 sell 0/5 @ 110 or s1, s1 sell 0/5 stop 90 or a1
        ann                                 | 1000+0 USD, 0+5 BTC
        """,
    )


def test_a_replace_keeps_the_link_and_reserves_the_larger_need_anew(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 600 USD
        ann buys 5 @ 90 or stop 110 limit 112 as a1 and s1  | new
        ann                                 | 40+560 USD, 0+0 BTC
        ann replaces s1 open 4              | new 0/4
        ann                                 | 150+450 USD, 0+0 BTC
        ann replaces a1 open 6 @ 91         | new 0/6
        ann                                 | 54+546 USD, 0+0 BTC
        ann replaces s1 open 5 @ 121 stop 120   | rejected insufficient_funds
        ann replaces s1 open 5 @ 120 stop 120   | new 0/5
        ann                                 | 0+600 USD, 0+0 BTC
        ann orders                          | a1 buy 0/6 @ 91 or s1,
                                            | s1 buy 0/5 @ 120 stop 120 or a1
        ben sells 6 @ 91 as b1              | filled 6/6: 6@91 a1
        ann hears                           | a1 filled 6@91 b1, s1 canceled linked 0/5
        ann                                 | 54+0 USD, 6+0 BTC
        """,
    )


def test_a_replaced_limit_order_that_trades_on_arrival_cancels_the_stop(venue):
    agrees(
        venue,
        f"""
        {SELLER}
        cat buys 2 @ 100 as c1              | new 0/2
        ann replaces a1 open 5 @ 100        | partially_filled 2/5: 2@100 c1,
                                            | s1 canceled linked 0/5
        ann orders                          | a1 sell 2/5 @ 100
        """,
    )


def test_a_replaced_stop_that_is_reached_fires_and_cancels_the_limit_order(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 5 BTC
        ben sells 1 @ 100 as b1             | new 0/1
        cat buys 1 @ 100                    | filled 1/1: 1@100 b1
        cat buys 9 @ 95 as c1               | new 0/9
        ann sells 5 @ 110 or stop 90 as a1 and s1   | new
        ann replaces s1 open 5 stop 100     | new 0/5
        ann hears                           | s1 triggered, a1 canceled linked 0/5,
                                            | s1 filled 5@95 c1
        """,
    )


@pytest.mark.parametrize(
    ("side", "pair", "outcome"),
    [
        ("sells", "5 @ 101 or stop 99", "new"),
        ("sells", "5 @ 101 or stop 100", "rejected stop_would_trigger"),
        ("sells", "5 @ 98 or stop 99", "rejected post_only_would_cross"),
        ("sells", "5 @ 98 or stop 100", "rejected stop_would_trigger"),
        ("buys", "5 @ 99 or stop 101 limit 101", "new"),
        ("buys", "5 @ 99 or stop 100 limit 101", "rejected stop_would_trigger"),
        ("buys", "5 @ 102 or stop 101 limit 101", "rejected post_only_would_cross"),
        ("buys", "5 @ 99 or stop 101", "rejected invalid_combination"),
        ("buys", "5 @ 99 or stop 101 limit 101 for 600", "rejected invalid_combination"),
        ("sells", "5 @ 101 or stop 99 for 600", "rejected invalid_combination"),
    ],
)
def test_neither_order_may_act_on_arrival(venue, side, pair, outcome):
    # The market: last 100, bid 98, ask 102.
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 10000 USD, 10 BTC
        ben sells 1 @ 100 as b1             | new 0/1
        cat buys 1 @ 100                    | filled 1/1: 1@100 b1
        cat buys 1 @ 98                     | new 0/1
        ben sells 1 @ 102                   | new 0/1
        ann {side} {pair} as a1 and s1      | {outcome}
        """,
    )


def test_ones_own_orders_count_as_crossing_too(venue):
    agrees(
        venue,
        """
        given ann 10000 USD, 10 BTC
        ann buys 1 @ 98                     | new 0/1
        ann sells 5 @ 98 or stop 90 as a1 and s1    | rejected post_only_would_cross
        """,
    )


def test_a_mass_cancel_of_the_side_cancels_both(venue):
    agrees(
        venue,
        f"""
        {SELLER}
        ann cancels all                     | 2 canceled: a1 canceled mass_cancel 0/5,
                                            | s1 canceled mass_cancel 0/5
        ann                                 | 0+0 USD, 5+0 BTC
        """,
    )


def test_an_uncross_that_fills_the_limit_cancels_the_stop(venue):
    agrees(
        venue,
        f"""
        {SELLER}
        market becomes call_auction         | call_auction
        ann sells 5 @ 110 or stop 90 as x1 and x2   | rejected not_in_call
        cat buys 2 @ 110 as c1              | new 0/2
        market uncrosses                    | 2@110
        ann hears                           | a1 partially_filled 2@110 c1 auction,
                                            | s1 canceled linked 0/5
        """,
    )


def test_fees_are_reserved_with_the_larger_need(venue):
    # 450 and its worst fee of 1 against a budget of 451 and of 450.
    agrees(
        venue,
        """
        given fees maker 0 ppm taker 1000 ppm
        given ann 1000 USD
        ann buys 5 @ 90 or stop 110 for 450 as a1 and s1    | new
        ann                                 | 549+451 USD, 0+0 BTC
        ann cancels s1                      | canceled requested 0/0: a1 canceled linked 0/5
        ann buys 5 @ 90 or stop 110 for 452 as a2 and s2    | new
        ann                                 | 548+452 USD, 0+0 BTC
        """,
    )
