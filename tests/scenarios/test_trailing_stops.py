"""Trailing stops: a trigger that follows the last price one way and never the other."""

import pytest

from tests.scenarios.markets import TRADERS, a_trade_at
from tests.scenarios.table import agrees


def test_a_selling_trail_follows_the_highest_price(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 10 BTC
        {a_trade_at(100)}
        ann sells 5 trail 3 as s1           | new 0/5
        ann orders                          | s1 sell 0/5 trail 3 stop 97
        ann                                 | 0+0 USD, 5+5 BTC
        {a_trade_at(104)}
        ann orders                          | s1 sell 0/5 trail 3 stop 101
        {a_trade_at(102)}
        ann orders                          | s1 sell 0/5 trail 3 stop 101
        {a_trade_at(103)}
        ann orders                          | s1 sell 0/5 trail 3 stop 101
        {a_trade_at(105)}
        ann orders                          | s1 sell 0/5 trail 3 stop 102
        cat buys 9 @ 99 as c1               | new 0/9
        ann hears                           | -
        cat buys 1 @ 102 as c2              | new 0/1
        ben sells 1 @ 102                   | filled 1/1: 1@102 c2
        ann hears                           | s1 triggered, s1 filled 5@99 c1
        ann                                 | 495+0 USD, 5+0 BTC
        """,
    )


def test_a_buying_trail_follows_the_lowest_price(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 1000 USD
        {a_trade_at(100)}
        ann buys for 600 trail 5 as s1      | new 0/0
        ann orders                          | s1 buy for 600 trail 5 stop 105
        ann                                 | 400+600 USD, 0+0 BTC
        {a_trade_at(93)}
        ann orders                          | s1 buy for 600 trail 5 stop 98
        {a_trade_at(97)}
        ann orders                          | s1 buy for 600 trail 5 stop 98
        ben sells 9 @ 110 as b1             | new 0/9
        {a_trade_at(98)}
        ann hears                           | s1 triggered, s1 filled 5@110 b1
        ann                                 | 450+0 USD, 5+0 BTC
        """,
    )


def test_a_trail_counts_from_its_acceptance_on(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 10 BTC
        {a_trade_at(120)}
        {a_trade_at(100)}
        ann sells 5 trail 10 as s1          | new 0/5
        ann orders                          | s1 sell 0/5 trail 10 stop 90
        """,
    )


def test_every_trade_of_one_order_moves_it_in_turn(venue):
    # The trades at 108 and 104 are of one order: the first lifts the trigger to 105.
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 10 BTC
        {a_trade_at(100)}
        ann sells 5 trail 3 as s1           | new 0/5
        cat buys 1 @ 108 as c1              | new 0/1
        cat buys 1 @ 104 as c2              | new 0/1
        cat buys 5 @ 90 as c3               | new 0/5
        ben sells 2 @ 104                   | filled 2/2: 1@108 c1, 1@104 c2
        ann hears                           | s1 triggered, s1 filled 5@90 c3
        """,
    )


def test_a_trail_that_was_reached_is_not_moved_by_later_trades(venue):
    # One order trades at 96, which reaches s1 at 98 and s2 at 99, then at 110, which would have
    # lifted s1 to 107: s2 stays before s1.
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 10 BTC
        {a_trade_at(101)}
        {a_trade_at(100)}
        ann sells 2 trail 3 as s1           | new 0/2
        {a_trade_at(101)}
        ann sells 2 @ 999 stop 99 as s2     | new 0/2
        ann orders                          | s1 sell 0/2 trail 3 stop 98,
                                            | s2 sell 0/2 @ 999 stop 99
        ben sells 1 @ 96 as b1              | new 0/1
        ben sells 1 @ 110 as b2             | new 0/1
        cat buys 2 @ 110                    | filled 2/2: 1@96 b1, 1@110 b2
        ann hears                           | s2 triggered, s1 triggered,
                                            | s1 canceled no_liquidity 0/2
        """,
    )


def test_fixed_and_trailing_stops_fire_in_one_order_of_triggers(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 100 BTC
        {a_trade_at(100)}
        ann sells 1 trail 5 as s1           | new 0/1
        ann sells 1 stop 96 as s2           | new 0/1
        ann sells 1 stop 95 as s3           | new 0/1
        ann sells 1 trail 3 as s4           | new 0/1
        cat buys 1 @ 95 as c1               | new 0/1
        cat buys 9 @ 94 as c2               | new 0/9
        ben sells 1 @ 95                    | filled 1/1: 1@95 c1
        ann hears                           | s4 triggered, s4 filled 1@94 c2,
                                            | s2 triggered, s2 filled 1@94 c2,
                                            | s1 triggered, s1 filled 1@94 c2,
                                            | s3 triggered, s3 filled 1@94 c2
        """,
    )


def test_without_a_last_price_there_is_nothing_to_follow(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 1000 USD, 10 BTC
        ann sells 5 trail 3                 | rejected no_last_price
        ann buys for 500 trail 3            | rejected no_last_price
        {a_trade_at(100)}
        ann sells 5 trail 3                 | new 0/5
        """,
    )


@pytest.mark.parametrize(
    ("order", "outcome"),
    [
        ("sells 5 trail 50", "new 0/5"),
        ("sells 5 trail 51", "rejected price_out_of_range"),
        ("sells 5 trail 100", "rejected price_out_of_range"),
        ("sells 5 trail 101", "rejected price_out_of_range"),
        ("buys for 500 trail 50", "new 0/0"),
        ("buys for 500 trail 51", "rejected price_out_of_range"),
    ],
)
def test_the_first_trigger_must_be_a_price_of_the_market(venue, order, outcome):
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 1000 USD, 10 BTC
        {a_trade_at(100)}
        ann {order}                         | {outcome}
        """,
        price_min=50,
        price_max=150,
    )


def test_the_price_of_an_uncross_moves_it_and_may_reach_it(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 10 BTC
        {a_trade_at(100)}
        ann sells 2 trail 3 as s1           | new 0/2
        market becomes call_auction         | call_auction
        cat buys 2 @ 110 as c1              | new 0/2
        ben sells 1 @ 110 as b1             | new 0/1
        market uncrosses to cancel_only     | 1@110
        ann orders                          | s1 sell 0/2 trail 3 stop 107
        ann hears                           | -
        market becomes call_auction         | call_auction
        cat buys 5 @ 106 as c2              | new 0/5
        cat cancels c1                      | canceled requested 1/2
        ben sells 1 @ 106 as b2             | new 0/1
        market uncrosses                    | 1@106
        ann hears                           | s1 triggered, s1 filled 2@106 c2
        """,
    )


def test_a_trailing_stop_expires_and_is_canceled_like_any(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 10 BTC
        {a_trade_at(100)}
        ann sells 2 trail 3 until 10 as s1  | new 0/2
        ann sells 2 trail 4 as s2           | new 0/2
        {a_trade_at(105)}
        ann orders                          | s1 sell 0/2 trail 3 stop 102 until 10,
                                            | s2 sell 0/2 trail 4 stop 101
        time is 10
        ann hears                           | s1 expired 0/2
        ann cancels s2                      | canceled requested 0/2
        ann                                 | 0+0 USD, 10+0 BTC
        """,
    )
