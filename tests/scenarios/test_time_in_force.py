"""How long an order may wait: good till cancel, immediate or cancel, fill or kill."""

from tests.scenarios.table import agrees


def test_good_till_cancel_rests(venue):
    agrees(
        venue,
        """
        given ann 10 BTC
        ann sells 4 @ 100 as a1         | new 0/4
        book                            | bids - asks 4@100
        ann                             | 0+0 USD, 6+4 BTC
        ann cancels a1                  | canceled requested 0/4
        ann                             | 0+0 USD, 10+0 BTC
        """,
    )


def test_immediate_or_cancel_never_rests(venue):
    agrees(
        venue,
        """
        given ann 10 BTC
        given ben 1000 USD
        ben buys 4 @ 100 ioc as b1      | canceled ioc_remainder 0/4
        book                            | bids - asks -
        ann sells 3 @ 90 as a1          | new 0/3
        ben buys 4 @ 100 ioc as b2      | canceled ioc_remainder 3/4: 3@90 a1
        book                            | bids - asks -
        ben                             | 730+0 USD, 3+0 BTC
        ben cancels b2                  | rejected unknown_order
        """,
    )


def test_an_ioc_sweep_stops_exactly_at_its_limit(venue):
    agrees(
        venue,
        """
        given ann 100 BTC
        given ben 10000 USD
        ann sells 2 @ 100 as a1         | new 0/2
        ann sells 3 @ 101 as a2         | new 0/3
        ann sells 4 @ 102 as a3         | new 0/4
        ben buys 5 @ 101 ioc            | filled 5/5: 2@100 a1, 3@101 a2
        book                            | bids - asks 4@102
        ben buys 1 @ 101 ioc            | canceled ioc_remainder 0/1
        """,
    )


def test_an_ioc_sell_gives_back_what_it_did_not_sell(venue):
    agrees(
        venue,
        """
        given ann 10 BTC
        given ben 1000 USD
        ben buys 3 @ 100 as b1          | new 0/3
        ann sells 8 @ 100 ioc           | canceled ioc_remainder 3/8: 3@100 b1
        ann                             | 300+0 USD, 7+0 BTC
        """,
    )


def test_fill_or_kill_takes_all_or_nothing(venue):
    agrees(
        venue,
        """
        given ann 100 BTC
        given ben 10000 USD
        ann sells 2 @ 100 as a1         | new 0/2
        ann sells 3 @ 101 as a2         | new 0/3
        ben buys 6 @ 101 fok            | canceled fok_not_fillable 0/6
        ben buys 5 @ 100 fok            | canceled fok_not_fillable 0/5
        book                            | bids - asks 2@100 3@101
        ben                             | 10000+0 USD, 0+0 BTC
        ben buys 5 @ 101 fok            | filled 5/5: 2@100 a1, 3@101 a2
        ben                             | 9497+0 USD, 5+0 BTC
        """,
    )


def test_fill_or_kill_counts_one_level_of_several_orders(venue):
    agrees(
        venue,
        """
        given ann 100 USD
        given ben 10 BTC
        ann buys 2 @ 5 as a1            | new 0/2
        ann buys 2 @ 5 as a2            | new 0/2
        ben sells 4 @ 5 fok             | filled 4/4: 2@5 a1, 2@5 a2
        """,
    )
