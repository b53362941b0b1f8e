"""Price-time priority: which orders trade, at what price, and what rests."""

from tests.scenarios.table import agrees


def test_the_best_price_first_and_at_one_price_the_oldest(venue):
    agrees(
        venue,
        """
        given ann 100 BTC
        given ben 100 BTC
        given cat 5000 USD
        ann sells 5 @ 101 as a1         | new 0/5
        ben sells 5 @ 100 as b1         | new 0/5
        ann sells 5 @ 100 as a2         | new 0/5
        cat buys 12 @ 101               | filled 12/12: 5@100 b1, 5@100 a2, 2@101 a1
        book                            | bids - asks 3@101
        """,
    )


def test_trades_are_at_the_resting_price_and_the_difference_comes_back(venue):
    agrees(
        venue,
        """
        given ann 1000 USD
        given ben 10 BTC
        ben sells 4 @ 90 as b1          | new 0/4
        ann buys 10 @ 100 as a1         | partially_filled 4/10: 4@90 b1
        ann                             | 40+600 USD, 4+0 BTC
        ben sells 6 @ 80 as b2          | filled 6/6: 6@100 a1
        ann                             | 40+0 USD, 10+0 BTC
        ben                             | 960+0 USD, 0+0 BTC
        """,
    )


def test_the_book_after_every_message(venue):
    agrees(
        venue,
        """
        given ann 10000 USD
        given ben 100 BTC
        book                            | bids - asks -
        ann buys 3 @ 98 as a1           | new 0/3
        book                            | bids 3@98 asks -
        ann buys 4 @ 99 as a2           | new 0/4
        book                            | bids 4@99 3@98 asks -
        ben sells 5 @ 101 as b1         | new 0/5
        book                            | bids 4@99 3@98 asks 5@101
        ben sells 6 @ 98 as b2          | filled 6/6: 4@99 a2, 2@98 a1
        book                            | bids 1@98 asks 5@101
        ann cancels a1                  | canceled requested 2/3
        book                            | bids - asks 5@101
        ann buys 5 @ 101                | filled 5/5: 5@101 b1
        book                            | bids - asks -
        """,
    )


def test_the_rest_of_a_sweep_is_the_new_touch(venue):
    agrees(
        venue,
        """
        given ann 10000 USD
        given ben 100 BTC
        ben sells 2 @ 100 as b1         | new 0/2
        ben sells 3 @ 101 as b2         | new 0/3
        ben sells 1 @ 103 as b3         | new 0/1
        ann buys 9 @ 102 as a1          | partially_filled 5/9: 2@100 b1, 3@101 b2
        book                            | bids 4@102 asks 1@103
        ben sells 1 @ 50                | filled 1/1: 1@102 a1
        """,
    )


def test_canceling_the_middle_or_the_head_keeps_the_queue(venue):
    agrees(
        venue,
        """
        given ann 100 BTC
        given ben 10000 USD
        ann sells 1 @ 100 as a1         | new 0/1
        ann sells 2 @ 100 as a2         | new 0/2
        ann sells 3 @ 100 as a3         | new 0/3
        ann sells 4 @ 100 as a4         | new 0/4
        ann cancels a2                  | canceled requested 0/2
        ann cancels a1                  | canceled requested 0/1
        ben buys 7 @ 100                | filled 7/7: 3@100 a3, 4@100 a4
        """,
    )


def test_no_phantom_level_after_canceling_the_best(venue):
    agrees(
        venue,
        """
        given ann 100 BTC
        given ben 10000 USD
        ann sells 1 @ 100 as a1         | new 0/1
        ann sells 1 @ 105 as a2         | new 0/1
        ann cancels a1                  | canceled requested 0/1
        ben buys 1 @ 102 as b1          | new 0/1
        book                            | bids 1@102 asks 1@105
        """,
    )


def test_a_side_emptied_and_refilled(venue):
    agrees(
        venue,
        """
        given ann 100 BTC
        given ben 10000 USD
        ann sells 2 @ 100 as a1         | new 0/2
        ben buys 2 @ 100                | filled 2/2: 2@100 a1
        ann sells 3 @ 100 as a2         | new 0/3
        book                            | bids - asks 3@100
        ben buys 1 @ 100                | filled 1/1: 1@100 a2
        ann cancels a2                  | canceled requested 1/3
        ann sells 4 @ 101 as a3         | new 0/4
        book                            | bids - asks 4@101
        """,
    )


def test_ids_of_ended_orders_are_unknown_and_nothing_trades_with_them(venue):
    agrees(
        venue,
        """
        given ann 100 BTC
        given ben 10000 USD
        ann sells 2 @ 100 as a1         | new 0/2
        ann cancels a1                  | canceled requested 0/2
        ann cancels a1                  | rejected unknown_order
        ann replaces a1 open 1          | rejected unknown_order
        ann sells 2 @ 100 as a2         | new 0/2
        ben buys 2 @ 100 as b1          | filled 2/2: 2@100 a2
        ann cancels a2                  | rejected unknown_order
        ann replaces a2 open 5 @ 90     | rejected unknown_order
        ben cancels b1                  | rejected unknown_order
        book                            | bids - asks -
        ann                             | 200+0 USD, 98+0 BTC
        """,
    )


def test_an_order_of_ones_own_is_traded_with_like_any_other(venue):
    agrees(
        venue,
        """
        given ann 1000 USD, 10 BTC
        ann sells 4 @ 100 as a1         | new 0/4
        ann buys 6 @ 110 as a2          | partially_filled 4/6: 4@100 a1 self-trade
        ann                             | 780+220 USD, 10+0 BTC
        """,
    )


def test_a_sweep_of_five_thousand_fills(venue):
    rests = "\n".join(f"ann sells 1 @ {100 + n % 50} as a{n} | new 0/1" for n in range(5_000))
    order = sorted(range(5_000), key=lambda n: (n % 50, n))
    fills = ", ".join(f"1@{100 + n % 50} a{n}" for n in order)
    agrees(
        venue,
        f"""
        given ann 5000 BTC
        given ben 1000000 USD
        {rests}
        ben buys 5001 @ 149             | partially_filled 5000/5001: {fills}
        book                            | bids 1@149 asks -
        """,
    )


def test_prices_at_the_ceiling(venue):
    ceiling = 2**63 - 1
    agrees(
        venue,
        f"""
        given ann 10 BTC
        given ben {2**62} USD
        ann sells 1 @ {2**62} as a1     | new 0/1
        ann sells 1 @ {2**62 + 1}       | rejected notional_out_of_range
        ann sells 1 @ {ceiling}         | rejected notional_out_of_range
        ben buys 2 @ {2**61} as b1      | new 0/2
        book                            | bids 2@{2**61} asks 1@{2**62}
        ann sells 2 @ 1                 | filled 2/2: 2@{2**61} b1
        ann                             | {2**62}+0 USD, 7+1 BTC
        """,
    )
