"""The kill switch: a blocked user's new orders are refused."""

from tests.scenarios.table import agrees

RESTING = """
    given ann 10000 USD, 100 BTC
    given cat 10000 USD, 100 BTC
    ann sells 5 @ 110 as a1                 | new 0/5
    ann sells 5 @ 70 stop 80 as s1          | new 0/5
    operator blocks ann                     | 2 open orders
"""


def test_new_orders_and_replaces_are_refused(venue):
    agrees(
        venue,
        f"""
        {RESTING}
        ann buys 1 @ 100                    | rejected user_blocked
        ann buys 1 at market                | rejected user_blocked
        ann sells 1 stop 70                 | rejected user_blocked
        ann sells 5 @ 120 or stop 70 as a2 and s2   | rejected user_blocked
        ann replaces a1 open 5              | rejected user_blocked
        ann replaces a1 open 4 @ 99         | rejected user_blocked
        ann replaces s1 open 6              | rejected user_blocked
        """,
    )


def test_cancels_go_on_and_replaces_to_less_and_to_nothing_are_such(venue):
    agrees(
        venue,
        f"""
        {RESTING}
        ann replaces a1 open 4              | new 0/4
        ann replaces s1 open 4              | new 0/4
        ann cancels a1                      | canceled requested 0/4
        ann replaces s1 open 0              | canceled replaced_away 0/4
        """,
    )


def test_what_rests_goes_on_trading_and_stops_fire(venue):
    agrees(
        venue,
        f"""
        {RESTING}
        cat buys 2 @ 110                    | filled 2/2: 2@110 a1
        cat buys 4 @ 75 as c1               | new 0/4
        cat buys 1 @ 80 as c2               | new 0/1
        cat sells 1 @ 80                    | filled 1/1: 1@80 c2 self-trade
        ann hears                           | a1 partially_filled 2@110 ?, s1 triggered,
                                            | s1 partially_filled 4@75 c1
        ann orders                          | a1 sell 2/5 @ 110, s1 sell 4/5 @ 70
        """,
    )


def test_money_and_others_are_not_concerned(venue):
    agrees(
        venue,
        f"""
        {RESTING}
        ann withdraws 100 USD               | done
        ann deposits 100 USD                | done
        cat buys 1 @ 100                    | new 0/1
        """,
    )


def test_it_can_be_turned_back_and_turned_twice(venue):
    agrees(
        venue,
        f"""
        {RESTING}
        operator blocks ann                 | 2 open orders
        operator unblocks ann               | 2 open orders
        ann replaces a1 open 4              | new 0/4
        operator unblocks ann               | 2 open orders
        ann buys 1 @ 100                    | new 0/1
        """,
    )


def test_somebody_can_be_blocked_before_his_first_order(venue):
    agrees(
        venue,
        """
        operator blocks dan                 | 0 open orders
        dan deposits 100 USD                | done
        dan buys 1 @ 100                    | rejected user_blocked
        operator unblocks dan               | 0 open orders
        dan buys 1 @ 100                    | new 0/1
        """,
    )


def test_block_then_mass_cancel_leaves_nothing(venue):
    agrees(
        venue,
        f"""
        {RESTING}
        operator cancels all of ann         | 2 canceled: a1 canceled mass_cancel 0/5,
                                            | s1 canceled mass_cancel 0/5
        ann hears                           | a1 canceled mass_cancel 0/5,
                                            | s1 canceled mass_cancel 0/5
        ann                                 | 10000+0 USD, 100+0 BTC
        ann orders                          | -
        """,
    )


def test_a_blocked_user_takes_part_in_an_uncross_with_what_he_has(venue):
    agrees(
        venue,
        f"""
        {RESTING}
        market becomes call_auction         | call_auction
        ann buys 1 @ 100                    | rejected user_blocked
        cat buys 2 @ 110 as c1              | new 0/2
        market uncrosses                    | 2@110
        ann hears                           | a1 partially_filled 2@110 c1 auction
        """,
    )
