"""Canceling many orders with one command."""

import pytest

from tests.scenarios.table import agrees

ORDERS = """
    given ann 10000 USD, 100 BTC
    given ben 10000 USD, 100 BTC
    given market ETH/USD
    ann sells 1 @ 110 as a1                 | new 0/1
    ann buys 1 @ 90 as a2                   | new 0/1
    ben sells 1 @ 111 as b1                 | new 0/1
    ann buys 1 @ 80 in ETH/USD as a3        | new 0/1
    ann sells 1 stop 50 as a4               | new 0/1
    ben buys 1 @ 81 in ETH/USD as b2        | new 0/1
"""
ALL_OF_ANN = ("a1", "a2", "a3", "a4")


def outcome_of(labels):
    """Write what a mass cancel says that ended these orders of the user's own, of one lot each."""
    said = ", ".join(f"{label} canceled mass_cancel 0/1" for label in labels)
    return f"{len(labels)} canceled{': ' if said else ''}{said}"


@pytest.mark.parametrize(
    ("scope", "canceled"),
    [
        ("", "a1 a2 a3 a4"),
        ("sells", "a1 a4"),
        ("buys", "a2 a3"),
        ("in BTC/USD", "a1 a2 a4"),
        ("in ETH/USD", "a3"),
        ("buys in BTC/USD", "a2"),
        ("sells in ETH/USD", ""),
        ("of ann", "a1 a2 a3 a4"),
    ],
)
def test_a_user_cancels_his_own(venue, scope, canceled):
    ended = canceled.split()
    left = [label for label in ALL_OF_ANN if label not in ended]
    agrees(
        venue,
        f"""
        {ORDERS}
        ann cancels all {scope}             | {outcome_of(ended)}
        ann cancels all {scope}             | 0 canceled
        ann hears                           | -
        ben hears                           | -
        ann cancels all                     | {outcome_of(left)}
        ann                                 | 10000+0 USD, 100+0 BTC
        """,
    )


def test_reports_of_another_users_orders_go_to_that_user_and_the_sender(venue):
    agrees(
        venue,
        f"""
        {ORDERS}
        operator cancels all sells of ann   | 2 canceled: a1 canceled mass_cancel 0/1,
                                            | a4 canceled mass_cancel 0/1
        ann hears                           | a1 canceled mass_cancel 0/1,
                                            | a4 canceled mass_cancel 0/1
        ann orders                          | a2 buy 0/1 @ 90, a3 buy 0/1 @ 80
        """,
    )


def test_everybodys(venue):
    agrees(
        venue,
        f"""
        {ORDERS}
        ann cancels all of everybody in BTC/USD | 4 canceled: a1 canceled mass_cancel 0/1,
                                            | a2 canceled mass_cancel 0/1,
                                            | a4 canceled mass_cancel 0/1
        ann hears                           | -
        ben hears                           | b1 canceled mass_cancel 0/1
        operator cancels all of everybody   | 2 canceled
        ann hears                           | a3 canceled mass_cancel 0/1
        ben hears                           | b2 canceled mass_cancel 0/1
        """,
    )


def test_nothing_to_cancel_is_no_error(venue):
    agrees(
        venue,
        """
        ann cancels all                     | 0 canceled
        operator cancels all of ann         | 0 canceled
        operator cancels all of everybody   | 0 canceled
        """,
    )


def test_orders_of_halted_markets_stay(venue):
    agrees(
        venue,
        f"""
        {ORDERS}
        market becomes halted               | halted
        ann cancels all                     | 1 canceled: a3 canceled mass_cancel 0/1
        ann cancels all in BTC/USD          | 0 canceled
        market becomes cancel_only          | cancel_only
        ann cancels all                     | 3 canceled: a1 canceled mass_cancel 0/1,
                                            | a2 canceled mass_cancel 0/1,
                                            | a4 canceled mass_cancel 0/1
        """,
    )


def test_what_was_filled_stays_filled(venue):
    agrees(
        venue,
        """
        given ann 10 BTC
        given cat 1000 USD
        ann sells 5 @ 100 as a1             | new 0/5
        cat buys 2 @ 100                    | filled 2/2: 2@100 a1
        ann cancels all                     | 1 canceled: a1 canceled mass_cancel 2/5
        ann                                 | 200+0 USD, 8+0 BTC
        """,
    )


def test_both_orders_of_a_pair_match_and_count(venue):
    agrees(
        venue,
        """
        given ann 10 BTC
        ann sells 5 @ 110 or stop 90 as a1 and s1   | new
        ann sells 5 @ 120 as a2             | new 0/5
        ann cancels all sells               | 3 canceled: a1 canceled mass_cancel 0/5,
                                            | s1 canceled mass_cancel 0/5,
                                            | a2 canceled mass_cancel 0/5
        ann                                 | 0+0 USD, 10+0 BTC
        """,
    )


def test_pairs_of_others_are_told_to_them(venue):
    agrees(
        venue,
        """
        given ann 1000 USD
        ann buys 5 @ 90 or stop 110 for 600 as a1 and s1    | new
        operator cancels all of everybody   | 2 canceled
        ann hears                           | a1 canceled mass_cancel 0/5,
                                            | s1 canceled mass_cancel 0/0
        ann                                 | 1000+0 USD, 0+0 BTC
        """,
    )


def test_icebergs_and_orders_of_a_call_go_too(venue):
    agrees(
        venue,
        """
        given ann 100 BTC, 1000 USD
        market becomes call_auction         | call_auction
        ann sells 9 @ 90 shows 2 as a1      | new 0/9
        ann buys 9 @ 100 as a2              | new 0/9
        ann cancels all                     | 2 canceled: a1 canceled mass_cancel 0/9,
                                            | a2 canceled mass_cancel 0/9
        market uncrosses                    | nothing
        """,
    )
