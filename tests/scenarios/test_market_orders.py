"""Orders without a limit: by base quantity, at whatever the book asks."""

from tests.scenarios.table import agrees


def test_a_market_buy_pays_exactly_what_walking_the_book_costs(venue):
    agrees(
        venue,
        """
        given ann 100 BTC
        given ben 502 USD
        ann sells 2 @ 100 as a1         | new 0/2
        ann sells 9 @ 101 as a2         | new 0/9
        ben buys 5 at market            | rejected insufficient_funds
        ben deposits 1 USD              | done
        ben buys 5 at market            | filled 5/5: 2@100 a1, 3@101 a2
        ben                             | 0+0 USD, 5+0 BTC
        """,
    )


def test_without_the_money_nothing_trades(venue):
    agrees(
        venue,
        """
        given ann 100 BTC
        given ben 299 USD
        ann sells 3 @ 100 as a1         | new 0/3
        ben buys 3 at market            | rejected insufficient_funds
        ben                             | 299+0 USD, 0+0 BTC
        book                            | bids - asks 3@100
        """,
    )


def test_too_little_liquidity_fills_what_there_is(venue):
    agrees(
        venue,
        """
        given ann 100 BTC
        given ben 1000 USD
        ann sells 3 @ 100 as a1         | new 0/3
        ben buys 10 at market           | canceled no_liquidity 3/10: 3@100 a1
        ben                             | 700+0 USD, 3+0 BTC
        book                            | bids - asks -
        """,
    )


def test_no_liquidity_at_all(venue):
    agrees(
        venue,
        """
        given ann 10 BTC
        given ben 10 USD
        ben buys 10 at market           | canceled no_liquidity 0/10
        ann sells 10 at market          | canceled no_liquidity 0/10
        ann                             | 0+0 USD, 10+0 BTC
        """,
    )


def test_a_market_sell_reserves_base_and_gets_each_bid(venue):
    agrees(
        venue,
        """
        given ann 9 BTC
        given ben 1000 USD
        ben buys 2 @ 100 as b1          | new 0/2
        ben buys 3 @ 99 as b2           | new 0/3
        ann sells 10 at market          | rejected insufficient_funds
        ann sells 9 at market           | canceled no_liquidity 5/9: 2@100 b1, 3@99 b2
        ann                             | 497+0 USD, 4+0 BTC
        """,
    )


def test_a_market_fill_or_kill(venue):
    agrees(
        venue,
        """
        given ann 100 BTC
        given ben 1000 USD
        ann sells 3 @ 100 as a1         | new 0/3
        ben buys 4 at market fok        | canceled fok_not_fillable 0/4
        ben                             | 1000+0 USD, 0+0 BTC
        ben buys 3 at market fok        | filled 3/3: 3@100 a1
        """,
    )


def test_a_market_buy_from_oneself_needs_the_money_all_the_same(venue):
    agrees(
        venue,
        """
        given ann 300 USD, 5 BTC
        ann sells 4 @ 100 as a1         | new 0/4
        ann buys 4 at market            | rejected insufficient_funds
        ann buys 3 at market            | filled 3/3: 3@100 a1 self-trade
        ann                             | 300+0 USD, 4+1 BTC
        """,
    )
