"""Icebergs: orders that show a slice of themselves and trade with all of it."""

from tests.scenarios.table import agrees


def test_only_the_slice_is_in_the_book_and_all_of_it_is_reserved(venue):
    agrees(
        venue,
        """
        given ann 10 BTC, 1000 USD
        ann sells 10 @ 100 shows 3 as a1    | new 0/10
        ann buys 9 @ 90 shows 9 as a2       | new 0/9
        book                                | bids 9@90 asks 3@100
        ann                                 | 190+810 USD, 0+10 BTC
        ann orders                          | a1 sell 0/10 @ 100 shows 3, a2 buy 0/9 @ 90 shows 9
        ann cancels a1                      | canceled requested 0/10
        ann                                 | 190+810 USD, 10+0 BTC
        book                                | bids 9@90 asks -
        """,
    )


def test_the_next_slice_goes_to_the_end_of_the_queue(venue):
    agrees(
        venue,
        """
        given ann 10 BTC
        given ben 10 BTC
        given cat 10000 USD
        ann sells 10 @ 100 shows 3 as a1    | new 0/10
        ben sells 4 @ 100 as b1             | new 0/4
        book                                | bids - asks 7@100
        cat buys 5 @ 100                    | filled 5/5: 3@100 a1, 2@100 b1
        book                                | bids - asks 5@100
        cat buys 20 @ 100 as c1             | partially_filled 9/20: 2@100 b1, 3@100 a1, 3@100 a1,
                                            | 1@100 a1
        ann hears                           | a1 partially_filled 3@100 ?,
                                            | a1 partially_filled 3@100 c1,
                                            | a1 partially_filled 3@100 c1, a1 filled 1@100 c1
        book                                | bids 11@100 asks -
        ann                                 | 1000+0 USD, 0+0 BTC
        """,
    )


def test_a_slice_that_is_partly_taken_keeps_its_place(venue):
    agrees(
        venue,
        """
        given ann 10 BTC
        given ben 10 BTC
        given cat 10000 USD
        ann sells 10 @ 100 shows 3 as a1    | new 0/10
        ben sells 4 @ 100 as b1             | new 0/4
        cat buys 2 @ 100                    | filled 2/2: 2@100 a1
        book                                | bids - asks 5@100
        cat buys 2 @ 100                    | filled 2/2: 1@100 a1, 1@100 b1
        book                                | bids - asks 6@100
        """,
    )


def test_icebergs_at_one_price_take_turns(venue):
    agrees(
        venue,
        """
        given ann 10 BTC
        given ben 10 BTC
        given cat 10000 USD
        ann sells 6 @ 100 shows 2 as a1     | new 0/6
        ben sells 5 @ 100 shows 3 as b1     | new 0/5
        cat buys 11 @ 100                   | filled 11/11: 2@100 a1, 3@100 b1, 2@100 a1, 2@100 b1,
                                            | 2@100 a1
        book                                | bids - asks -
        """,
    )


def test_a_price_with_hidden_lots_is_used_up_before_the_next(venue):
    agrees(
        venue,
        """
        given ann 20 BTC
        given cat 10000 USD
        ann sells 5 @ 100 shows 1 as a1     | new 0/5
        ann sells 5 @ 101 as a2             | new 0/5
        cat buys 6 at market                | filled 6/6: 1@100 a1, 1@100 a1, 1@100 a1, 1@100 a1,
                                            | 1@100 a1, 1@101 a2
        """,
    )


def test_an_arriving_iceberg_trades_with_all_its_leaves_and_then_shows_a_slice(venue):
    agrees(
        venue,
        """
        given ann 20 BTC
        given cat 10000 USD
        cat buys 6 @ 100 as c1              | new 0/6
        ann sells 10 @ 100 shows 3 as a1    | partially_filled 6/10: 6@100 c1
        book                                | bids - asks 3@100
        cat buys 4 @ 100                    | filled 4/4: 3@100 a1, 1@100 a1
        """,
    )


def test_hidden_lots_count_for_fill_or_kill(venue):
    agrees(
        venue,
        """
        given ann 10 BTC
        given cat 10000 USD
        ann sells 10 @ 100 shows 1 as a1    | new 0/10
        cat buys 11 @ 100 fok               | canceled fok_not_fillable 0/11
        cat buys 3 @ 100 fok                | filled 3/3: 1@100 a1, 1@100 a1, 1@100 a1
        """,
    )


def test_what_an_iceberg_may_be(venue):
    agrees(
        venue,
        """
        given ann 100 BTC
        ann sells 5 @ 100 shows 6           | rejected invalid_combination
        ann sells 5 @ 100 shows 2 ioc       | rejected invalid_combination
        ann sells 5 @ 100 shows 2 fok       | rejected invalid_combination
        ann sells 5 at market shows 2       | rejected invalid_combination
        ann sells 5 stop 90 shows 2         | rejected invalid_combination
        ann sells 5 @ 90 stop 90 shows 2    | rejected invalid_combination
        ann sells 5 @ 100 shows 2 at least 3    | rejected invalid_combination
        ann sells 5 @ 100 shows 2 post-only | new 0/5
        ann sells 5 @ 100 shows 2 until 10  | new 0/5
        book                                | bids - asks 4@100
        time is 10
        book                                | bids - asks 2@100
        """,
    )


QUEUE = """
    given ann 100 BTC
    given ben 100 BTC
    given cat 10000 USD
    ann sells 10 @ 100 shows 3 as a1        | new 0/10
    ben sells 4 @ 100 as b1                 | new 0/4
"""


def test_replaced_to_less_it_loses_hidden_lots_first_and_keeps_its_place(venue):
    agrees(
        venue,
        f"""
        {QUEUE}
        ann replaces a1 open 4              | new 0/4
        book                                | bids - asks 7@100
        cat buys 2 @ 100                    | filled 2/2: 2@100 a1
        book                                | bids - asks 5@100
        ann                                 | 200+0 USD, 96+2 BTC
        cat buys 9 @ 100                    | partially_filled 6/9: 1@100 a1, 4@100 b1, 1@100 a1
        """,
    )


def test_replaced_to_less_than_it_shows_it_shows_that_and_keeps_its_place(venue):
    agrees(
        venue,
        f"""
        {QUEUE}
        ann replaces a1 open 2              | new 0/2
        book                                | bids - asks 6@100
        cat buys 3 @ 100                    | filled 3/3: 2@100 a1, 1@100 b1
        """,
    )


def test_less_takes_no_lot_off_the_shown_slice_while_any_is_hidden(venue):
    # One lot of the slice is sold: 2 shown, 7 hidden. 7 off the hidden ones leave 2, all shown.
    agrees(
        venue,
        f"""
        {QUEUE}
        cat buys 1 @ 100                    | filled 1/1: 1@100 a1
        ann replaces a1 open 3              | partially_filled 1/4
        book                                | bids - asks 6@100
        ann replaces a1 open 2              | partially_filled 1/3
        book                                | bids - asks 6@100
        cat buys 3 @ 100                    | filled 3/3: 2@100 a1, 1@100 b1
        """,
    )


def test_replaced_to_more_it_goes_to_the_end_and_shows_a_new_slice(venue):
    agrees(
        venue,
        f"""
        {QUEUE}
        cat buys 2 @ 100                    | filled 2/2: 2@100 a1
        book                                | bids - asks 5@100
        ann replaces a1 open 9              | partially_filled 2/11
        book                                | bids - asks 7@100
        cat buys 5 @ 100                    | filled 5/5: 4@100 b1, 1@100 a1
        """,
    )


def test_requeued_or_at_another_price_it_shows_a_new_slice(venue):
    agrees(
        venue,
        f"""
        {QUEUE}
        cat buys 2 @ 100                    | filled 2/2: 2@100 a1
        ann replaces a1 open 5 requeue      | partially_filled 2/7
        book                                | bids - asks 7@100
        cat buys 5 @ 100                    | filled 5/5: 4@100 b1, 1@100 a1
        ann replaces a1 open 4 @ 101        | partially_filled 3/7
        book                                | bids - asks 3@101
        """,
    )


def test_a_replace_that_crosses_trades_with_all_its_leaves(venue):
    agrees(
        venue,
        f"""
        {QUEUE}
        cat buys 8 @ 95 as c1               | new 0/8
        ann replaces a1 open 10 @ 95        | partially_filled 8/10: 8@95 c1
        book                                | bids - asks 2@95 4@100
        """,
    )
