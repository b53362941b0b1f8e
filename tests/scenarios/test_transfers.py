"""Money from one user to another."""

from tests.scenarios.table import agrees


def test_available_money_moves_at_once(venue):
    agrees(
        venue,
        """
        given ann 100 USD
        given ben 5 USD
        ann transfers 30 USD to ben         | done
        ann                                 | 70+0 USD, 0+0 BTC
        ben                                 | 35+0 USD, 0+0 BTC
        ann transfers 71 USD to ben         | insufficient_funds
        ann transfers 70 USD to ben         | done
        ann                                 | 0+0 USD, 0+0 BTC
        ben                                 | 105+0 USD, 0+0 BTC
        """,
    )


def test_reserved_and_held_money_stays(venue):
    agrees(
        venue,
        """
        given ann 100 USD
        ann buys 1 @ 40                     | new 0/1
        ann locks 30 USD                    | done
        ann holds 20 USD under 1            | done
        ann transfers 11 USD to ben         | insufficient_funds
        ann transfers 10 USD to ben         | done
        """,
    )


def test_a_new_user_can_be_paid_and_trade_with_it(venue):
    agrees(
        venue,
        """
        given ann 100 BTC
        given cat 1000 USD
        ann transfers 10 BTC to dan         | done
        dan sells 10 @ 100 as d1            | new 0/10
        cat buys 10 @ 100                   | filled 10/10: 10@100 d1
        dan                                 | 1000+0 USD, 0+0 BTC
        """,
    )


def test_to_oneself_is_a_contradiction(venue):
    agrees(
        venue,
        """
        given ann 100 USD
        ann transfers 30 USD to ann         | invalid_combination
        operator transfers 30 USD to ann for ann    | invalid_combination
        """,
    )


def test_an_operator_may_move_a_users_money(venue):
    agrees(
        venue,
        """
        given ann 100 USD
        operator transfers 30 USD to ben for ann    | done
        operator transfers 30 USD to ben    | insufficient_funds
        ann                                 | 70+0 USD, 0+0 BTC
        ben                                 | 30+0 USD, 0+0 BTC
        """,
    )


def test_what_the_house_earned_can_be_paid_out(venue):
    agrees(
        venue,
        """
        given fees maker 10000 ppm taker 10000 ppm
        given ann 100 BTC
        given cat 1010 USD
        ann sells 10 @ 100                  | new 0/10
        cat buys 10 @ 100                   | filled 10/10: 10@100 ? fee 10
        house                               | 20+0 USD, 0+0 BTC
        operator transfers 21 USD to ann for house  | insufficient_funds
        operator transfers 20 USD to ann for house  | done
        house                               | 0+0 USD, 0+0 BTC
        ann                                 | 1010+0 USD, 90+0 BTC
        """,
    )


def test_no_transfer_meets_the_limit_of_deposits(venue):
    # All money of an asset may lie in one account.
    agrees(
        venue,
        f"""
        given ann {2**61} USD
        given ben {2**61} USD
        ben transfers {2**61} USD to ann    | done
        ann                                 | {2**62}+0 USD, 0+0 BTC
        ann deposits 1 USD                  | deposit_limit
        """,
    )
