"""Stop and stop limit orders once they fired: what they trade, and what becomes of the rest."""

import pytest

from tests.scenarios.markets import TRADERS, a_trade_at
from tests.scenarios.table import agrees


def test_a_fired_stop_sells_at_what_the_book_pays(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 10 BTC
        ann sells 5 stop 95 as s1           | new 0/5
        cat buys 3 @ 95 as c1               | new 0/3
        cat buys 9 @ 90 as c2               | new 0/9
        ben sells 1 @ 95                    | filled 1/1: 1@95 c1
        ann hears                           | s1 triggered, s1 partially_filled 2@95 c1,
                                            | s1 filled 3@90 c2
        cat hears                           | c1 partially_filled 1@95 ?, c1 filled 2@95 s1,
                                            | c2 partially_filled 3@90 s1
        ann                                 | 460+0 USD, 5+0 BTC
        ann asks s1                         | filled 5/5
        market                              | trading last 90
        """,
    )


def test_a_fired_stop_that_finds_too_little_is_canceled(venue):
    agrees(
        venue,
        """
        given ann 10 BTC
        given ben 10 BTC
        given cat 1000 USD
        ann sells 5 stop 95 as s1           | new 0/5
        cat buys 3 @ 95 as c1               | new 0/3
        ben sells 1 @ 95                    | filled 1/1: 1@95 c1
        ann hears                           | s1 triggered, s1 partially_filled 2@95 c1,
                                            | s1 canceled no_liquidity 2/5
        ann                                 | 190+0 USD, 8+0 BTC
        """,
    )


def test_a_fired_stop_limit_rests_at_its_limit(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 10 BTC
        ann sells 5 @ 94 stop 95 as s1      | new 0/5
        cat buys 3 @ 95 as c1               | new 0/3
        cat buys 9 @ 93 as c2               | new 0/9
        ben sells 1 @ 95                    | filled 1/1: 1@95 c1
        ann hears                           | s1 triggered, s1 partially_filled 2@95 c1
        book                                | bids 9@93 asks 3@94
        ann orders                          | s1 sell 2/5 @ 94
        ann                                 | 190+0 USD, 5+3 BTC
        cat buys 3 @ 94                     | filled 3/3: 3@94 s1
        ann hears                           | s1 filled 3@94 ?
        """,
    )


@pytest.mark.parametrize(
    ("tif", "hears"),
    [
        ("", "s1 triggered, s1 partially_filled 2@105 b2"),
        ("until 99", "s1 triggered, s1 partially_filled 2@105 b2"),
        ("ioc", "s1 triggered, s1 partially_filled 2@105 b2, s1 canceled ioc_remainder 2/5"),
        ("fok", "s1 triggered, s1 canceled fok_not_fillable 0/5"),
    ],
)
def test_a_fired_stop_limit_has_its_time_in_force(venue, tif, hears):
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 1000 USD
        ann buys 5 @ 106 stop 105 {tif} as s1  | new 0/5
        ben sells 1 @ 105 as b1             | new 0/1
        ben sells 2 @ 105 as b2             | new 0/2
        ben sells 9 @ 107 as b3             | new 0/9
        cat buys 1 @ 105                    | filled 1/1: 1@105 b1
        ann hears                           | {hears}
        """,
    )


@pytest.mark.parametrize("tif", ["", "ioc", "until 99"])
def test_a_fired_stop_order_never_rests_whatever_its_time_in_force(venue, tif):
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 10 BTC
        ann sells 5 stop 95 {tif} as s1     | new 0/5
        {a_trade_at(95)}
        ann hears                           | s1 triggered, s1 canceled no_liquidity 0/5
        book                                | bids - asks -
        """,
    )


@pytest.mark.parametrize(
    ("budget", "outcome", "left"),
    [
        (309, "s1 partially_filled 2@100 b1, s1 filled 1@105 b2", "4+0 USD, 3+0 BTC"),
        (99, "s1 canceled no_liquidity 0/0", "99+0 USD, 0+0 BTC"),
        (
            900,
            "s1 partially_filled 2@100 b1, s1 filled 4@105 b2, s1 canceled no_liquidity 6/6",
            "280+0 USD, 6+0 BTC",
        ),
    ],
)
def test_a_fired_stop_buy_spends_its_budget(venue, budget, outcome, left):
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann {budget} USD
        ann buys for {budget} stop 100 as s1  | new 0/0
        ben sells 3 @ 100 as b1             | new 0/3
        ben sells 4 @ 105 as b2             | new 0/4
        cat buys 1 @ 100                    | filled 1/1: 1@100 b1
        ann hears                           | s1 triggered, {outcome}
        ann                                 | {left}
        """,
    )


def test_a_fired_stop_buy_with_fok_spends_all_or_nothing(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 1209 USD
        ann buys for 309 stop 100 fok as s1  | new 0/0
        ann buys for 900 stop 100 fok as s2  | new 0/0
        ben sells 3 @ 100 as b1             | new 0/3
        ben sells 4 @ 105 as b2             | new 0/4
        cat buys 1 @ 100                    | filled 1/1: 1@100 b1
        ann hears                           | s1 triggered, s1 partially_filled 2@100 b1,
                                            | s1 filled 1@105 b2, s2 triggered,
                                            | s2 canceled fok_not_fillable 0/0
        ann                                 | 904+0 USD, 3+0 BTC
        """,
    )


def test_stops_that_a_fired_stop_reaches_queue_behind(venue):
    # s1's trade at 90 reaches s3, but s2 fired before: it comes first.
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 100 BTC
        {a_trade_at(100)}
        ann sells 2 stop 95 as s1           | new 0/2
        ann sells 3 stop 94 as s2           | new 0/3
        ann sells 4 stop 91 as s3           | new 0/4
        ann sells 5 stop 79 as s4           | new 0/5
        cat buys 1 @ 94 as c1               | new 0/1
        cat buys 3 @ 90 as c2               | new 0/3
        cat buys 9 @ 80 as c3               | new 0/9
        ben sells 1 @ 94                    | filled 1/1: 1@94 c1
        ann hears                           | s1 triggered, s1 filled 2@90 c2, s2 triggered,
                                            | s2 partially_filled 1@90 c2, s2 filled 2@80 c3,
                                            | s3 triggered, s3 filled 4@80 c3
        ann                                 | 750+0 USD, 86+5 BTC
        """,
    )


def test_the_response_shows_the_order_before_the_stops_that_it_fired(venue):
    # Her stop sells to what her order left in the book; the response came before that.
    agrees(
        venue,
        """
        given ann 1000 USD, 10 BTC
        given ben 10 BTC
        ben sells 1 @ 100 as b1             | new 0/1
        ann sells 2 stop 100 as s1          | new 0/2
        ann buys 5 @ 100 as a1              | partially_filled 1/5: 1@100 b1
        ann hears                           | s1 triggered, s1 filled 2@100 a1 self-trade,
                                            | a1 partially_filled 2@100 s1 self-trade
        ann orders                          | a1 buy 3/5 @ 100
        """,
    )


def test_a_stop_keeps_its_self_trade_policy_until_it_fires(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        given ann 1000 USD, 10 BTC
        ann buys 3 @ 90 as a1               | new 0/3
        ann sells 5 stop 95 self-trade cancel_taker as s1   | new 0/5
        {a_trade_at(95)}
        ann hears                           | s1 triggered,
                                            | prevented a1@90 cancel_taker resting 3->3
                                            | incoming 5->0, s1 canceled self_trade 0/5
        ann                                 | 730+270 USD, 10+0 BTC
        """,
    )
