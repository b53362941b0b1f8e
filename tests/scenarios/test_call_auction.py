"""Call auctions: orders collect, and one price clears them."""

import pytest

from tests.scenarios.table import agrees

TRADERS = """
    given ann 10000 USD, 100 BTC
    given ben 10000 USD, 100 BTC
    given cat 10000 USD, 100 BTC
"""


def test_an_opening(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        market becomes call_auction         | call_auction
        ann buys 10 @ 102 as a1             | new 0/10
        ben sells 8 @ 100 as b1             | new 0/8
        cat buys 5 @ 101 as c1              | new 0/5
        ben sells 4 @ 101 as b2             | new 0/4
        book                                | bids 10@102 5@101 asks 8@100 4@101
        market                              | call_auction last - would trade 12@101 surplus 3
        market uncrosses                    | 12@101
        market                              | trading last 101
        ann hears                           | a1 partially_filled 8@101 b1 auction,
                                            | a1 filled 2@101 b2 auction
        cat hears                           | c1 partially_filled 2@101 b2 auction
        ben hears                           | b1 filled 8@101 a1 auction,
                                            | b2 partially_filled 2@101 a1 auction,
                                            | b2 filled 2@101 c1 auction
        book                                | bids 3@101 asks -
        ann                                 | 8990+0 USD, 110+0 BTC
        ben                                 | 11212+0 USD, 88+0 BTC
        cat                                 | 9495+303 USD, 102+0 BTC
        """,
    )


@pytest.mark.parametrize("status", ["cancel_only", "halted"])
def test_a_closing(venue, status):
    agrees(
        venue,
        f"""
        {TRADERS}
        ann buys 10 @ 100 as a1             | new 0/10
        market becomes call_auction         | call_auction
        ben sells 4 @ 99                    | new 0/4
        market uncrosses to {status}        | 4@100
        market                              | {status} last 100
        ben sells 4 @ 99                    | rejected not_trading
        book                                | bids 6@100 asks -
        """,
    )


def test_a_reopening_finds_the_orders_that_rested_before(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        ann buys 10 @ 100 as a1             | new 0/10
        ben sells 10 @ 105 as b1            | new 0/10
        market becomes halted               | halted
        market becomes call_auction         | call_auction
        cat sells 3 @ 98 as c1              | new 0/3
        cat buys 2 @ 110 as c2              | new 0/2
        market                              | call_auction last - would trade 3@100 surplus 9
        market uncrosses                    | 3@100
        cat hears                           | c2 filled 2@100 c1 self-trade auction,
                                            | c1 partially_filled 2@100 c2 self-trade auction,
                                            | c1 filled 1@100 a1 auction
        book                                | bids 9@100 asks 10@105
        """,
    )


# name -> (bids, asks, price, volume): orders are quantity@price
PRICES = {
    "most volume": ("10@102 5@101", "8@100 4@101", 101, 12),
    "least surplus": ("10@102 5@100", "10@100 3@102", 102, 10),
    "surplus above 0: the highest": ("10@103", "6@100", 103, 6),
    "surplus below 0: the lowest": ("6@103", "10@100", 100, 6),
    "no surplus: the middle": ("5@103", "5@100", 101, 5),
    "no surplus, an even middle": ("5@104", "5@100", 102, 5),
    "+2 and -2 make 0: the middle": ("10@101 2@100", "10@100 2@101", 100, 10),
    "one price": ("5@100", "5@100", 100, 5),
    "no surplus at a bid of several": ("1@105 1@104 1@103", "2@101", 104, 2),
    "nothing crosses": ("5@99", "5@100", 0, 0),
    "one side only": ("5@99", "", 0, 0),
}


@pytest.mark.parametrize("name", PRICES)
def test_the_price(venue, name):
    bids, asks, price, volume = PRICES[name]
    orders = "\n".join(
        f"{user} {verb} {order.replace('@', ' @ ')} | new 0/{order.split('@')[0]}"
        for user, verb, side in (("ann", "buys", bids), ("ben", "sells", asks))
        for order in side.split()
    )
    agrees(
        venue,
        f"""
        {TRADERS}
        market becomes call_auction         | call_auction
        {orders}
        market uncrosses                    | {f"{volume}@{price}" if volume else "nothing"}
        market                              | trading last {price or "-"}
        """,
    )


def test_without_volume_the_last_price_stays(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        ann buys 1 @ 100 as a1              | new 0/1
        ben sells 1 @ 100                   | filled 1/1: 1@100 a1
        market becomes call_auction         | call_auction
        ann buys 1 @ 90                     | new 0/1
        ben sells 1 @ 91                    | new 0/1
        market uncrosses                    | nothing
        market                              | trading last 100
        """,
    )


def test_price_then_time_on_both_sides(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        market becomes call_auction         | call_auction
        ann buys 2 @ 100 as a1              | new 0/2
        cat buys 2 @ 100 as c1              | new 0/2
        ann buys 2 @ 105 as a2              | new 0/2
        ben sells 3 @ 100 as b1             | new 0/3
        ben sells 2 @ 99 as b2              | new 0/2
        market uncrosses                    | 5@100
        ben hears                           | b2 filled 2@100 a2 auction,
                                            | b1 partially_filled 2@100 a1 auction,
                                            | b1 filled 1@100 c1 auction
        book                                | bids 1@100 asks -
        """,
    )


def test_an_order_changed_in_the_call_has_the_place_of_the_change(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        market becomes call_auction         | call_auction
        ann buys 2 @ 100 as a1              | new 0/2
        cat buys 2 @ 100 as c1              | new 0/2
        ann replaces a1 open 3              | new 0/3
        ben sells 3 @ 100 as b1             | new 0/3
        market uncrosses                    | 3@100
        ben hears                           | b1 partially_filled 2@100 c1 auction,
                                            | b1 filled 1@100 a1 auction
        """,
    )


def test_canceled_in_the_call_it_takes_no_part(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        market becomes call_auction         | call_auction
        ann buys 2 @ 100 as a1              | new 0/2
        ben sells 3 @ 100 as b1             | new 0/3
        ann cancels a1                      | canceled requested 0/2
        market uncrosses                    | nothing
        """,
    )


def test_icebergs_count_and_trade_with_all_that_they_have(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        market becomes call_auction         | call_auction
        ben sells 10 @ 100 shows 2 as b1    | new 0/10
        cat sells 5 @ 100 as c1             | new 0/5
        ann buys 12 @ 100 as a1             | new 0/12
        book                                | bids 12@100 asks 7@100
        market                              | call_auction last - would trade 12@100 surplus -3
        market uncrosses                    | 12@100
        ann hears                           | a1 partially_filled 10@100 b1 auction,
                                            | a1 filled 2@100 c1 auction
        book                                | bids - asks 3@100
        """,
    )


def test_what_is_left_of_an_iceberg_shows_a_new_slice_in_its_place(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        ben sells 10 @ 100 shows 3 as b1    | new 0/10
        ben sells 9 @ 101 shows 4 as b2     | new 0/9
        cat sells 5 @ 100 as c1             | new 0/5
        ann buys 1 @ 100                    | filled 1/1: 1@100 b1
        ann buys 1 @ 99                     | new 0/1
        market becomes call_auction         | call_auction
        ann buys 2 @ 100                    | new 0/2
        market uncrosses                    | 2@100
        book                                | bids 1@99 asks 8@100 4@101
        ann buys 4 @ 100                    | filled 4/4: 3@100 b1, 1@100 c1
        """,
    )


def test_an_iceberg_that_did_not_trade_keeps_its_shown_slice(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        ben sells 10 @ 100 shows 3 as b1    | new 0/10
        ann buys 1 @ 100                    | filled 1/1: 1@100 b1
        market becomes call_auction         | call_auction
        cat sells 5 @ 99                    | new 0/5
        ann buys 2 @ 99                     | new 0/2
        market uncrosses                    | 2@99
        book                                | bids - asks 3@99 2@100
        """,
    )


def test_trades_with_oneself_happen_and_are_marked(venue):
    agrees(
        venue,
        f"""
        given self-trade cancel_both
        {TRADERS}
        market becomes call_auction         | call_auction
        ann buys 2 @ 100 as a1              | new 0/2
        ann sells 2 @ 100 as a2             | new 0/2
        market uncrosses                    | 2@100
        ann hears                           | a1 filled 2@100 a2 self-trade auction,
                                            | a2 filled 2@100 a1 self-trade auction
        ann                                 | 10000+0 USD, 100+0 BTC
        """,
    )


def test_both_sides_pay_the_takers_rate(venue):
    agrees(
        venue,
        f"""
        given fees maker -10000 ppm taker 20000 ppm
        {TRADERS}
        market becomes call_auction         | call_auction
        ann buys 10 @ 110 as a1             | new 0/10
        ann                                 | 8878+1122 USD, 100+0 BTC
        ben sells 20 @ 100 as b1            | new 0/20
        market uncrosses                    | 10@100
        ann hears                           | a1 filled 10@100 b1 fee 20 auction
        ben hears                           | b1 partially_filled 10@100 a1 fee 20 auction
        ann                                 | 8980+0 USD, 110+0 BTC
        ben                                 | 10980+0 USD, 80+10 BTC
        house                               | 40+0 USD, 0+0 BTC
        """,
    )


def test_stops_fire_when_trading_begins_after_it(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        cat sells 3 stop 100 as s1          | new 0/3
        cat buys 2 @ 120 stop 101 as s2     | new 0/2
        market becomes call_auction         | call_auction
        ann buys 5 @ 100 as a1              | new 0/5
        ben sells 3 @ 100 as b1             | new 0/3
        market uncrosses                    | 3@100
        cat hears                           | s1 triggered, s1 partially_filled 2@100 a1,
                                            | s1 canceled no_liquidity 2/3
        ann hears                           | a1 partially_filled 3@100 b1 auction,
                                            | a1 filled 2@100 s1
        """,
    )


def test_stops_wait_on_when_trading_does_not_begin(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        cat sells 3 @ 90 stop 100 as s1     | new 0/3
        market becomes call_auction         | call_auction
        ann buys 3 @ 100 as a1              | new 0/3
        ben sells 3 @ 100 as b1             | new 0/3
        market uncrosses to halted          | 3@100
        cat hears                           | -
        market becomes trading              | trading
        cat hears                           | s1 triggered
        """,
    )


def test_a_pair_in_a_call(venue):
    # The buyer's other order ends before the seller's.
    agrees(
        venue,
        f"""
        {TRADERS}
        ann buys 3 @ 100 or stop 120 for 400 as a1 and s1   | new
        ann sells 3 @ 115 or stop 90 as a2 and s2   | new
        market becomes call_auction         | call_auction
        ben sells 1 @ 100 as b1             | new 0/1
        ann replaces a2 open 3 @ 100        | new 0/3
        market                              | call_auction last - would trade 3@100 surplus -1
        market uncrosses                    | 3@100
        ann hears                           | a1 partially_filled 1@100 b1 auction,
                                            | a1 filled 2@100 a2 self-trade auction,
                                            | a2 partially_filled 2@100 a1 self-trade auction,
                                            | s1 canceled linked 0/0, s2 canceled linked 0/3
        """,
    )


def test_a_call_can_only_be_ended_by_its_uncross(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        market uncrosses                    | rejected no_call
        market becomes call_auction         | call_auction
        market becomes call_auction         | call_auction
        market becomes trading              | rejected call_open, call_auction
        market becomes cancel_only          | rejected call_open, call_auction
        market becomes halted               | rejected call_open, call_auction
        market uncrosses                    | nothing
        market uncrosses                    | rejected no_call
        """,
    )


def test_post_only_orders_that_rest_may_not_be_replaced_across(venue):
    agrees(
        venue,
        f"""
        {TRADERS}
        ann buys 3 @ 90 post-only as a1     | new 0/3
        market becomes call_auction         | call_auction
        ben sells 3 @ 100                   | new 0/3
        ann buys 3 @ 90 post-only           | rejected not_in_call
        ann replaces a1 open 3 @ 100        | rejected post_only_would_cross
        ann replaces a1 open 3 @ 99         | new 0/3
        market uncrosses                    | nothing
        """,
    )
