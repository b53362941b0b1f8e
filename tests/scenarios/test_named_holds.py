"""Named holds: money that is bound under an id, and paid out or given back in parts."""

from tests.scenarios.table import agrees


def test_a_hold_is_captured_and_released_in_parts(venue):
    agrees(
        venue,
        """
        given ann 100 USD
        ann holds 60 USD under 7            | done
        ann                                 | 40+60 USD, 0+0 BTC
        ann holds                           | 60 USD under 7
        ann captures 25 of 7 to ben         | 35 left
        ann                                 | 40+35 USD, 0+0 BTC
        ben                                 | 25+0 USD, 0+0 BTC
        ann releases 10 of 7                | 25 left
        ann                                 | 50+25 USD, 0+0 BTC
        ann captures 26 of 7 to ben         | insufficient_hold
        ann releases 26 of 7                | insufficient_hold
        ann captures 25 of 7 to ben         | 0 left
        ann holds                           | -
        ann captures 1 of 7 to ben          | unknown_hold
        ann releases 1 of 7                 | unknown_hold
        """,
    )


def test_all_of_a_hold_is_released_and_its_id_is_free_again(venue):
    agrees(
        venue,
        """
        given ann 100 USD
        ann holds 60 USD under 7            | done
        ann holds 10 USD under 7            | duplicate_hold
        ann releases all of 7               | 0 left
        ann                                 | 100+0 USD, 0+0 BTC
        ann releases all of 7               | unknown_hold
        ann holds 10 USD under 7            | done
        """,
    )


def test_ids_are_per_user_and_holds_of_several_assets_lie_side_by_side(venue):
    agrees(
        venue,
        """
        given ann 100 USD, 10 BTC
        given ben 100 USD
        ann holds 60 USD under 7            | done
        ben holds 50 USD under 7            | done
        ann holds 3 BTC under 1             | done
        ann holds 4 BTC under 1000000       | done
        ann holds                           | 3 BTC under 1, 60 USD under 7, 4 BTC under 1000000
        ann                                 | 40+60 USD, 3+7 BTC
        ben holds                           | 50 USD under 7
        """,
    )


def test_only_available_money_can_be_held_and_held_money_does_nothing_else(venue):
    agrees(
        venue,
        """
        given ann 100 USD
        ann buys 1 @ 50 as a1               | new 0/1
        ann holds 51 USD under 7            | insufficient_funds
        ann holds 50 USD under 7            | done
        ann buys 1 @ 1                      | rejected insufficient_funds
        ann withdraws 1 USD                 | insufficient_funds
        ann transfers 1 USD to ben          | insufficient_funds
        ann cancels a1                      | canceled requested 0/1
        ann                                 | 50+50 USD, 0+0 BTC
        """,
    )


def test_it_is_out_of_the_reach_of_unlock_and_what_is_locked_is_out_of_its(venue):
    agrees(
        venue,
        """
        given ann 100 USD
        ann locks 30 USD                    | done
        ann holds 50 USD under 7            | done
        ann                                 | 20+80 USD, 0+0 BTC
        ann unlocks 31 USD                  | insufficient_hold
        ann captures 51 of 7 to ben         | insufficient_hold
        ann unlocks 30 USD                  | done
        ann unlocks 1 USD                   | insufficient_hold
        ann releases all of 7               | 0 left
        ann                                 | 100+0 USD, 0+0 BTC
        """,
    )


def test_it_ends_at_its_time(venue):
    agrees(
        venue,
        """
        given ann 100 USD
        ann holds 60 USD under 7 until 10   | done
        ann holds 5 USD under 8             | done
        ann holds                           | 60 USD under 7 until 10, 5 USD under 8
        ann captures 20 of 7 to ben         | 40 left
        time is 9
        ann                                 | 35+45 USD, 0+0 BTC
        time is 10
        ann                                 | 75+5 USD, 0+0 BTC
        ann captures 1 of 7 to ben          | unknown_hold
        ann hears                           | -
        """,
    )


def test_it_is_gone_before_the_command_that_comes_at_its_time(venue):
    agrees(
        venue,
        """
        given ann 100 USD
        ann holds 100 USD under 7 until 10  | done
        next line at 10
        ann captures 1 of 7 to ben          | unknown_hold
        """,
    )


def test_a_time_that_has_come_is_refused(venue):
    agrees(
        venue,
        """
        given ann 100 USD
        next line at 10
        ann holds 5 USD under 7 until 10    | expiry_passed
        ann holds 5 USD under 7 until 9     | expiry_passed
        ann holds 5 USD under 7 until 11    | done
        """,
    )


def test_the_money_of_a_hold_that_ends_is_there_for_the_command_that_comes_then(venue):
    agrees(
        venue,
        """
        given ann 100 USD
        ann holds 100 USD under 7 until 10  | done
        ann buys 1 @ 100                    | rejected insufficient_funds
        next line at 10
        ann buys 1 @ 100                    | new 0/1
        """,
    )


def test_what_was_released_or_captured_before_does_not_end_again(venue):
    agrees(
        venue,
        """
        given ann 100 USD
        ann holds 60 USD under 7 until 10   | done
        ann releases all of 7               | 0 left
        ann holds 20 USD under 7            | done
        time is 10
        ann                                 | 80+20 USD, 0+0 BTC
        """,
    )


def test_an_operator_may_act_for_a_user(venue):
    agrees(
        venue,
        """
        given ann 100 USD
        operator holds 60 USD under 7 for ann   | done
        ann holds                           | 60 USD under 7
        operator captures 25 of 7 to ben for ann    | 35 left
        operator releases 5 of 7 for ann    | 30 left
        operator captures 1 of 7 to ben     | unknown_hold
        ben                                 | 25+0 USD, 0+0 BTC
        ann                                 | 45+30 USD, 0+0 BTC
        """,
    )


def test_a_capture_may_pay_the_owner_himself(venue):
    agrees(
        venue,
        """
        given ann 100 USD
        ann holds 60 USD under 7            | done
        ann captures 60 of 7 to ann         | 0 left
        ann                                 | 100+0 USD, 0+0 BTC
        """,
    )


def test_only_a_hold_with_an_id_can_end_by_itself(venue):
    agrees(
        venue,
        """
        given ann 100 USD
        ann holds 60 USD under 0 until 10   | invalid_combination
        ann holds 60 USD under 0            | done
        ann holds                           | -
        ann unlocks 60 USD                  | done
        """,
    )
