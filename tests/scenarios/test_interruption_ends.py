"""A volatility interruption that ends by itself: when, and what may prevent that."""

from tests.scenarios.markets import ASKS_OF_A_BAND as ASKS
from tests.scenarios.markets import INSIDE_THE_BAND as INSIDE
from tests.scenarios.table import agrees

INTERRUPTED = f"""
    {ASKS}
    cat buys 9 @ 107 as c1                  | partially_filled 3/9: {INSIDE}
    market                                  | call_auction last 105 band 100-110
                                            | would trade 4@107 surplus 2
"""


def lasting_a_millisecond(venue, table):
    """Play a table in which an interruption lasts 1 ms: a thousand units of its time."""
    agrees(venue, table, interruption_ms=1)


def test_when_its_time_has_come_it_is_uncrossed_to_trading(venue):
    lasting_a_millisecond(
        venue,
        f"""
        {INTERRUPTED}
        time is 1000
        market                              | call_auction last 105 band 100-110
                                            | would trade 4@107 surplus 2
        time is 1001
        market                              | trading last 107 band 102-112
        book                                | bids 2@107 asks -
        cat hears                           | c1 partially_filled 4@107 b3 auction
        market uncrosses                    | rejected no_call
        """,
    )


def test_it_acts_before_the_command_that_comes_just_then(venue):
    lasting_a_millisecond(
        venue,
        f"""
        {INTERRUPTED}
        next line at 1001
        cat buys 1 at market                | canceled no_liquidity 0/1
        market                              | trading last 107 band 102-112
        """,
    )


def test_without_a_time_it_waits_for_an_operator(venue):
    agrees(
        venue,
        f"""
        {INTERRUPTED}
        time is 9000000
        market                              | call_auction last 105 band 100-110
                                            | would trade 4@107 surplus 2
        """,
    )


def test_a_call_of_an_operator_lasts_until_he_ends_it(venue):
    lasting_a_millisecond(
        venue,
        f"""
        {ASKS}
        market becomes call_auction         | call_auction
        time is 9000
        market                              | call_auction last - band 95-105
        """,
    )


def test_an_operator_who_sets_the_call_takes_it_over(venue):
    lasting_a_millisecond(
        venue,
        f"""
        {INTERRUPTED}
        market becomes halted               | rejected call_open, call_auction
        market becomes call_auction         | call_auction
        time is 9000
        market                              | call_auction last 105 band 100-110
                                            | would trade 4@107 surplus 2
        market uncrosses                    | 4@107
        """,
    )


def test_a_refused_status_leaves_its_time(venue):
    lasting_a_millisecond(
        venue,
        f"""
        {INTERRUPTED}
        market becomes halted               | rejected call_open, call_auction
        time is 1001
        market                              | trading last 107 band 102-112
        """,
    )


def test_an_operator_may_end_it_earlier_and_the_next_has_a_time_of_its_own(venue):
    lasting_a_millisecond(
        venue,
        f"""
        {INTERRUPTED}
        market uncrosses                    | 4@107
        time is 500
        ben sells 1 @ 107                   | filled 1/1: 1@107 c1
        ben sells 2 @ 130 as b4             | new 0/2
        cat cancels c1                      | canceled requested 8/9
        cat buys 1 @ 130                    | new 0/1
        time is 1001
        market                              | call_auction last 107 band 102-112
                                            | would trade 1@130 surplus -1
        time is 1500
        market                              | call_auction last 107 band 102-112
                                            | would trade 1@130 surplus -1
        time is 1501
        market                              | trading last 130 band 124-136
        """,
    )


def test_its_end_fires_the_stops_that_its_price_reaches(venue):
    lasting_a_millisecond(
        venue,
        f"""
        {ASKS}
        ann buys 2 @ 107 stop 106 as s1     | new 0/2
        cat buys 9 @ 107 as c1              | partially_filled 3/9: {INSIDE}
        time is 1001
        ann hears                           | s1 triggered
        book                                | bids 4@107 asks -
        """,
    )


def test_what_expires_with_it_expires_before(venue):
    lasting_a_millisecond(
        venue,
        f"""
        {ASKS}
        cat buys 9 @ 107 until 1001 as c1   | partially_filled 3/9: {INSIDE}
        time is 1002
        cat hears                           | c1 expired 3/9
        market                              | trading last 105 band 100-110
        book                                | bids - asks 4@106
        """,
    )
