"""Orders that end at a time of their own."""

import pytest

from tests.scenarios.table import agrees


def test_it_rests_until_its_time_and_then_its_money_is_free(venue):
    agrees(
        venue,
        """
        given ann 10 BTC
        ann sells 5 @ 100 until 10 as a1    | new 0/5
        ann orders                          | a1 sell 0/5 @ 100 until 10
        time is 9
        book                                | bids - asks 5@100
        time is 10
        book                                | bids - asks -
        ann hears                           | a1 expired 0/5
        ann                                 | 0+0 USD, 10+0 BTC
        ann asks a1                         | expired 0/5
        ann cancels a1                      | rejected unknown_order
        """,
    )


def test_what_was_filled_before_stays_filled(venue):
    agrees(
        venue,
        """
        given ann 10 BTC
        given cat 1000 USD
        ann sells 5 @ 100 until 10 as a1    | new 0/5
        cat buys 2 @ 100 as c1              | filled 2/2: 2@100 a1
        time is 10
        ann hears                           | a1 partially_filled 2@100 c1, a1 expired 2/5
        ann                                 | 200+0 USD, 8+0 BTC
        """,
    )


def test_a_filled_or_canceled_order_does_not_expire(venue):
    agrees(
        venue,
        """
        given ann 10 BTC
        given cat 1000 USD
        ann sells 5 @ 100 until 10 as a1    | new 0/5
        ann sells 5 @ 101 until 10 as a2    | new 0/5
        cat buys 5 @ 100 as c1              | filled 5/5: 5@100 a1
        ann cancels a2                      | canceled requested 0/5
        time is 20
        ann hears                           | a1 filled 5@100 c1
        ann asks a1                         | filled 5/5
        """,
    )


def test_a_time_that_has_come_is_refused(venue):
    agrees(
        venue,
        """
        given ann 10 BTC
        time is 9
        next line at 10
        ann sells 5 @ 100 until 10          | rejected expiry_passed
        ann sells 5 @ 100 until 9           | rejected expiry_passed
        ann sells 5 @ 90 stop 95 until 9    | rejected expiry_passed
        ann sells 5 @ 100 or stop 90 until 9 as a1 and a2   | rejected expiry_passed
        ann sells 5 @ 100 until 11          | new 0/5
        """,
    )


def test_a_due_order_is_gone_before_the_command_that_comes_then(venue):
    agrees(
        venue,
        """
        given ann 10 BTC
        given cat 1000 USD
        ann sells 5 @ 100 until 10 as a1    | new 0/5
        ann sells 5 @ 101 until 11 as a2    | new 0/5
        next line at 10
        cat buys 5 @ 105                    | filled 5/5: 5@101 a2
        ann hears                           | a1 expired 0/5, a2 filled 5@101 ?
        """,
    )


def test_due_orders_end_by_time_and_then_by_age(venue):
    agrees(
        venue,
        """
        given ann 100 BTC
        ann sells 5 @ 100 until 12 as a1    | new 0/5
        ann sells 5 @ 100 until 10 as a2    | new 0/5
        ann sells 5 @ 100 until 11 as a3    | new 0/5
        ann sells 5 stop 90 until 10 as a4  | new 0/5
        time is 12
        ann hears                           | a2 expired 0/5, a4 expired 0/5, a3 expired 0/5,
                                            | a1 expired 0/5
        """,
    )


@pytest.mark.parametrize("status", ["cancel_only", "halted", "call_auction"])
def test_expiry_goes_on_in_every_status(venue, status):
    agrees(
        venue,
        f"""
        given ann 10 BTC
        ann sells 3 @ 100 until 10 as a1    | new 0/3
        ann sells 3 stop 90 until 10 as a2  | new 0/3
        market becomes {status}             | {status}
        time is 10
        ann hears                           | a1 expired 0/3, a2 expired 0/3
        ann                                 | 0+0 USD, 10+0 BTC
        """,
    )


def test_an_order_that_joined_a_call_expires_in_it(venue):
    agrees(
        venue,
        """
        given ann 10 BTC
        given cat 1000 USD
        market becomes call_auction         | call_auction
        ann sells 3 @ 100 until 10 as a1    | new 0/3
        cat buys 3 @ 100                    | new 0/3
        market                              | call_auction last - would trade 3@100 surplus 0
        time is 10
        market                              | call_auction last -
        market uncrosses                    | nothing
        """,
    )


def test_a_waiting_stop_expires(venue):
    agrees(
        venue,
        """
        given ann 1000 USD, 10 BTC
        ann sells 5 stop 90 until 10 as s1  | new 0/5
        ann buys for 500 stop 110 until 10 as s2    | new 0/0
        ann buys 5 @ 90 stop 110 until 10 as s3     | new 0/5
        ann                                 | 50+950 USD, 5+5 BTC
        time is 10
        ann hears                           | s1 expired 0/5, s2 expired 0/0, s3 expired 0/5
        ann                                 | 1000+0 USD, 10+0 BTC
        """,
    )


def test_a_fired_stop_limit_rests_until_its_time(venue):
    agrees(
        venue,
        """
        given ann 10 BTC
        given ben 10 BTC
        given cat 1000 USD
        ann sells 5 @ 95 stop 90 until 10 as s1     | new 0/5
        cat buys 1 @ 90 as c1               | new 0/1
        ben sells 1 @ 90                    | filled 1/1: 1@90 c1
        ann orders                          | s1 sell 0/5 @ 95 until 10
        time is 10
        ann hears                           | s1 triggered, s1 expired 0/5
        """,
    )


def test_a_replace_keeps_the_time(venue):
    agrees(
        venue,
        """
        given ann 10 BTC
        ann sells 5 @ 100 until 10 as a1    | new 0/5
        ann replaces a1 open 6 @ 101        | new 0/6
        time is 10
        ann hears                           | a1 expired 0/6
        """,
    )


def test_the_linked_order_ends_with_the_one_that_expires(venue):
    agrees(
        venue,
        """
        given ann 100 BTC
        ann sells 5 @ 110 or stop 90 until 10 as a1 and s1  | new
        ann sells 5 @ 100 until 10 as a2    | new 0/5
        time is 10
        ann hears                           | a1 expired 0/5, s1 canceled linked 0/5,
                                            | a2 expired 0/5
        ann                                 | 0+0 USD, 100+0 BTC
        """,
    )


def test_an_order_with_a_time_and_a_hold_that_are_due_together(venue):
    agrees(
        venue,
        """
        given ann 10 BTC
        ann sells 5 @ 100 until 10 as a1    | new 0/5
        ann holds 5 BTC under 1 until 10    | done
        ann                                 | 0+0 USD, 0+10 BTC
        next line at 10
        ann sells 10 @ 100                  | new 0/10
        ann holds                           | -
        """,
    )
