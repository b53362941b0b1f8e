"""Post-only orders: they rest or they are rejected."""

from tests.scenarios.table import agrees


def test_post_only_rests_beside_the_touch_and_is_rejected_on_it(venue):
    agrees(
        venue,
        """
        given ann 100 BTC
        given ben 10000 USD
        ann sells 2 @ 100 as a1                | new 0/2
        ben buys 1 @ 100 post-only             | rejected post_only_would_cross
        ben buys 1 @ 101 post-only             | rejected post_only_would_cross
        ben                                    | 10000+0 USD, 0+0 BTC
        ben buys 1 @ 99 post-only as b1        | new 0/1
        ann sells 1 @ 99 post-only             | rejected post_only_would_cross
        book                                   | bids 1@99 asks 2@100
        """,
    )


def test_post_only_looks_at_ones_own_orders_too(venue):
    agrees(
        venue,
        """
        given ann 1000 USD, 10 BTC
        ann sells 2 @ 100 as a1                | new 0/2
        ann buys 1 @ 100 post-only             | rejected post_only_would_cross
        """,
    )


def test_a_resting_post_only_order_is_a_maker_like_any_other(venue):
    agrees(
        venue,
        """
        given ann 1000 USD
        given ben 10 BTC
        ann buys 2 @ 100 post-only as a1       | new 0/2
        ben sells 3 @ 100 as b1                | partially_filled 2/3: 2@100 a1
        """,
    )


def test_a_replace_that_would_cross_is_rejected_and_the_order_stays(venue):
    agrees(
        venue,
        """
        given ann 1000 USD
        given ben 10 BTC
        ben sells 2 @ 100 as b1                | new 0/2
        ann buys 1 @ 90 post-only as a1        | new 0/1
        ann buys 1 @ 90 as a2                  | new 0/1
        ann replaces a1 open 1 @ 100           | rejected post_only_would_cross
        ann                                    | 820+180 USD, 0+0 BTC
        ben sells 1 @ 90                       | filled 1/1: 1@90 a1
        ann replaces a2 open 1 @ 100           | filled 1/1: 1@100 b1
        """,
    )
