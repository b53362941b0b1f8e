"""Stop and stop limit orders: where they wait, what fires them, in which order."""

import pytest

from tests.scenarios.markets import TRADERS, a_trade_at
from tests.scenarios.table import agrees


def test_a_stop_waits_outside_the_book_and_is_an_open_order_like_any(venue):
    agrees(
        venue,
        """
        given ann 1000 USD, 10 BTC
        ann sells 5 stop 95 as s1           | new 0/5
        ann buys for 600 stop 105 as s2     | new 0/0
        ann buys 3 @ 110 stop 105 as s3     | new 0/3
        book                                | bids - asks -
        ann orders                          | s1 sell 0/5 stop 95, s2 buy for 600 stop 105,
                                            | s3 buy 0/3 @ 110 stop 105
        ann                                 | 70+930 USD, 5+5 BTC
        ann sells 6 stop 95                 | rejected insufficient_funds
        ann buys for 71 stop 105            | rejected insufficient_funds
        ann buys 1 @ 71 stop 70             | rejected insufficient_funds
        ann cancels s2                      | canceled requested 0/0
        ann cancels s1                      | canceled requested 0/5
        ann cancels s3                      | canceled requested 0/3
        ann                                 | 1000+0 USD, 10+0 BTC
        ann orders                          | -
        """,
    )


@pytest.mark.parametrize(
    ("price", "hears"), [(96, "-"), (95, "s1 triggered"), (94, "s1 triggered")]
)
def test_a_sell_stop_fires_when_a_trade_is_at_or_below_it(venue, price, hears):
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 10 BTC
        ann sells 5 @ 200 stop 95 as s1     | new 0/5
        {a_trade_at(price)}
        ann hears                           | {hears}
        """,
    )


@pytest.mark.parametrize(("price", "hears"), [(104, "-"), (105, "s1 triggered"), (9, "-")])
def test_a_buy_stop_fires_when_a_trade_is_at_or_above_it(venue, price, hears):
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 1000 USD
        ann buys 5 @ 8 stop 105 as s1       | new 0/5
        {a_trade_at(price)}
        ann hears                           | {hears}
        """,
    )


def test_a_quote_that_does_not_trade_fires_nothing(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 10 BTC
        ann sells 5 stop 95 as s1           | new 0/5
        {a_trade_at(100)}
        cat buys 1 @ 90                     | new 0/1
        ben sells 1 @ 94 as b1              | new 0/1
        ben cancels b1                      | canceled requested 0/1
        ann hears                           | -
        """,
    )


def test_buys_fire_by_ascending_trigger_then_sells_by_descending_and_ties_by_age(venue):
    # Two trades of one order, at 105 and 95, reach all of them.
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 10000 USD, 100 BTC
        {a_trade_at(100)}
        ann sells 1 @ 999 stop 95 as s1     | new 0/1
        ann sells 1 @ 999 stop 97 as s2     | new 0/1
        ann sells 1 @ 999 stop 95 as s3     | new 0/1
        ann buys 1 @ 1 stop 105 as s4       | new 0/1
        ann buys 1 @ 1 stop 103 as s5       | new 0/1
        ann buys 1 @ 1 stop 105 as s6       | new 0/1
        cat buys 1 @ 105 as c1              | new 0/1
        cat buys 1 @ 95 as c2               | new 0/1
        ben sells 2 @ 95                    | filled 2/2: 1@105 c1, 1@95 c2
        ann hears                           | s5 triggered, s4 triggered, s6 triggered,
                                            | s2 triggered, s1 triggered, s3 triggered
        """,
    )


@pytest.mark.parametrize(
    ("order", "fires"),
    [
        ("sells 2 @ 300 stop 100", True),
        ("sells 2 @ 300 stop 101", True),
        ("sells 2 @ 300 stop 99", False),
        ("buys 2 @ 3 stop 100", True),
        ("buys 2 @ 3 stop 99", True),
        ("buys 2 @ 3 stop 101", False),
    ],
)
def test_a_stop_that_the_last_price_has_reached_fires_on_arrival(venue, order, fires):
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 1000 USD, 10 BTC
        {a_trade_at(100)}
        ann {order} as s1                   | new 0/2
        ann hears                           | {"s1 triggered" if fires else "-"}
        """,
    )


def test_a_stop_reached_on_arrival_is_answered_as_waiting_and_then_runs(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 10 BTC, 1000 USD
        {a_trade_at(100)}
        cat buys 2 @ 99 as c1               | new 0/2
        ann sells 5 stop 100 as s1          | new 0/5
        ann hears                           | s1 triggered, s1 partially_filled 2@99 c1,
                                            | s1 canceled no_liquidity 2/5
        ann                                 | 1198+0 USD, 8+0 BTC
        ben sells 3 @ 98 as b1              | new 0/3
        ann buys for 98 stop 98 as s2       | new 0/0
        ann hears                           | s2 triggered, s2 filled 1@98 b1
        """,
    )


def test_without_a_last_price_nothing_fires_on_arrival(venue):
    agrees(
        venue,
        """
        given ann 10 BTC
        ann sells 5 stop 100 as s1          | new 0/5
        ann hears                           | -
        """,
    )


def test_a_stop_keeps_waiting_while_nothing_trades_and_fires_when_trading_comes_back(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 10 BTC
        {a_trade_at(100)}
        market becomes call_auction         | call_auction
        ann sells 5 @ 98 stop 100 as s1     | new 0/5
        ann sells 2 @ 97 stop 101 as s2     | new 0/2
        ann sells 1 @ 96 stop 99 as s3      | new 0/1
        ann hears                           | -
        market uncrosses to halted          | nothing
        ann hears                           | -
        market becomes trading              | trading
        ann hears                           | s2 triggered, s1 triggered
        book                                | bids - asks 2@97 5@98
        """,
    )


def test_the_trigger_must_be_a_price_of_the_market(venue):
    agrees(
        venue,
        """
        given ann 10000 USD, 10 BTC
        ann sells 5 stop 49                 | rejected price_out_of_range
        ann sells 5 stop 151                | rejected price_out_of_range
        ann sells 5 @ 49 stop 100           | rejected price_out_of_range
        ann sells 5 stop 50                 | new 0/5
        ann sells 5 stop 150                | new 0/5
        ann buys 5 @ 151 stop 150           | rejected price_out_of_range
        ann buys for 100 stop 151           | rejected price_out_of_range
        """,
        price_min=50,
        price_max=150,
    )


def test_bounds_of_quantity_and_notional_for_stops(venue):
    # A stop limit is bounded like a limit, a stop buy by its budget, a stop sell by quantity.
    agrees(
        venue,
        """
        given ann 10000 USD, 100 BTC
        ann sells 1 stop 100                | rejected quantity_out_of_range
        ann sells 2 stop 1                  | new 0/2
        ann sells 2 @ 99 stop 100           | rejected notional_out_of_range
        ann sells 2 @ 100 stop 100          | new 0/2
        ann buys for 199 stop 100           | rejected notional_out_of_range
        ann buys for 200 stop 100           | new 0/0
        ann buys for 1001 stop 100          | rejected notional_out_of_range
        ann buys 10 @ 101 stop 100          | rejected notional_out_of_range
        """,
        quantity_min=2,
        notional_min=200,
        notional_max=1000,
    )


def test_stops_of_two_users_fire_in_one_row(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 10 BTC
        given dan 10 BTC
        ann sells 2 stop 95 as a1           | new 0/2
        dan sells 2 stop 96 as d1           | new 0/2
        cat buys 1 @ 95 as c1               | new 0/1
        cat buys 3 @ 80 as c2               | new 0/3
        ben sells 1 @ 95                    | filled 1/1: 1@95 c1
        dan hears                           | d1 triggered, d1 filled 2@80 c2
        ann hears                           | a1 triggered, a1 partially_filled 1@80 c2,
                                            | a1 canceled no_liquidity 1/2
        """,
    )
