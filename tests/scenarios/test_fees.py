"""Fees: what each side pays to the atom, what is reserved for it, and what the house gets."""

import pytest

from tests.scenarios.table import agrees


def test_an_order_of_three_fills_pays_for_the_whole_rounded_up_once(venue):
    # 0.1 % of 777, 2011 and 4356 in all: 1, 3, 5. Each fill by itself would make 1 + 2 + 3.
    agrees(
        venue,
        """
        given fees maker 0 ppm taker 1000 ppm
        given ann 10 BTC
        given cat 10000 USD
        ann sells 1 @ 777 as a1             | new 0/1
        ann sells 1 @ 1234 as a2            | new 0/1
        ann sells 1 @ 2345 as a3            | new 0/1
        cat buys 3 @ 2345 as c1             | filled 3/3: 1@777 a1 fee 1, 1@1234 a2 fee 2,
                                            | 1@2345 a3 fee 2
        cat asks c1                         | filled 3/3 fee 5
        cat                                 | 5639+0 USD, 3+0 BTC
        ann                                 | 4356+0 USD, 7+0 BTC
        house                               | 5+0 USD, 0+0 BTC
        """,
    )


def test_a_resting_order_collects_its_fee_over_the_fills_of_many(venue):
    # 0.5 % of 101, four times: 0.505, 1.01, 1.515, 2.02.
    agrees(
        venue,
        """
        given fees maker 5000 ppm taker 0 ppm
        given ann 10 BTC
        given cat 10000 USD
        ann sells 4 @ 101 as a1             | new 0/4
        cat buys 1 @ 101                    | filled 1/1: 1@101 a1
        cat buys 1 @ 101                    | filled 1/1: 1@101 a1
        cat buys 1 @ 101                    | filled 1/1: 1@101 a1
        cat buys 1 @ 101                    | filled 1/1: 1@101 a1
        ann hears                           | a1 partially_filled 1@101 ? fee 1,
                                            | a1 partially_filled 1@101 ? fee 1,
                                            | a1 partially_filled 1@101 ?,
                                            | a1 filled 1@101 ? fee 1
        ann                                 | 401+0 USD, 6+0 BTC
        house                               | 3+0 USD, 0+0 BTC
        """,
    )


def test_both_sides_pay_in_the_quote_asset(venue):
    agrees(
        venue,
        """
        given fees maker 10000 ppm taker 20000 ppm
        given ann 10 BTC
        given cat 1020 USD
        ann sells 10 @ 100 as a1            | new 0/10
        cat buys 10 @ 100 as c1             | filled 10/10: 10@100 a1 fee 20
        ann hears                           | a1 filled 10@100 c1 fee 10
        ann                                 | 990+0 USD, 0+0 BTC
        cat                                 | 0+0 USD, 10+0 BTC
        house                               | 30+0 USD, 0+0 BTC
        """,
    )


def test_a_limit_buy_reserves_the_worst_fee_a_sell_none(venue):
    agrees(
        venue,
        """
        given fees maker 500 ppm taker 1000 ppm
        given ann 1000 USD
        given ben 10 BTC
        ann buys 10 @ 100                   | rejected insufficient_funds
        ann deposits 1 USD                  | done
        ann buys 10 @ 100 as a1             | new 0/10
        ann                                 | 0+1001 USD, 0+0 BTC
        ann cancels a1                      | canceled requested 0/10
        ann                                 | 1001+0 USD, 0+0 BTC
        ben sells 10 @ 100                  | new 0/10
        ben                                 | 0+0 USD, 0+10 BTC
        """,
    )


def test_the_worst_is_the_makers_rate_where_that_is_higher(venue):
    agrees(
        venue,
        """
        given fees maker 2000 ppm taker 1000 ppm
        given ann 1002 USD
        ann buys 10 @ 100                   | new 0/10
        ann                                 | 0+1002 USD, 0+0 BTC
        """,
    )


def test_price_improvement_and_the_fee_that_was_not_charged_come_back_at_once(venue):
    # The worked example of protocol.md: reserved 1052, 631, 424.
    agrees(
        venue,
        """
        given fees maker 500 ppm taker 1000 ppm
        given ann 1052 USD
        given ben 100 BTC
        ben sells 4 @ 100 as b1             | new 0/4
        ann buys 10 @ 105 as a1             | partially_filled 4/10: 4@100 b1 fee 1
        ann                                 | 20+631 USD, 4+0 BTC
        ann replaces a1 open 4 @ 106        | partially_filled 4/8
        ann                                 | 227+424 USD, 4+0 BTC
        ben sells 4 @ 106 as b2             | filled 4/4: 4@106 a1 fee 1
        ann hears                           | a1 filled 4@106 b2
        ann                                 | 227+0 USD, 8+0 BTC
        house                               | 3+0 USD, 0+0 BTC
        """,
    )


def test_a_rebate_is_paid_by_the_house_in_the_same_trade(venue):
    # The worked example of protocol.md.
    agrees(
        venue,
        """
        given fees maker -300 ppm taker 500 ppm
        given ann 10 BTC
        given cat 10000 USD
        ann sells 1 @ 1234 as a1            | new 0/1
        ann sells 3 @ 1152 as a2            | new 0/3
        cat buys 3 @ 1152                   | filled 3/3: 3@1152 a2 fee 2
        ann hears                           | a2 filled 3@1152 ? fee -1
        ann                                 | 3457+0 USD, 6+1 BTC
        cat                                 | 6542+0 USD, 3+0 BTC
        house                               | 1+0 USD, 0+0 BTC
        cat buys 1 @ 1234                   | filled 1/1: 1@1234 a1 fee 1
        ann hears                           | a1 filled 1@1234 ?
        house                               | 2+0 USD, 0+0 BTC
        """,
    )


def test_a_resting_buyer_gets_his_rebate_too_and_reserves_nothing_for_it(venue):
    agrees(
        venue,
        """
        given fees maker -10000 ppm taker 10000 ppm
        given ann 1010 USD
        given ben 10 BTC
        ann buys 10 @ 100 as a1             | new 0/10
        ann                                 | 0+1010 USD, 0+0 BTC
        ben sells 10 @ 100                  | filled 10/10: 10@100 a1 fee 10
        ann hears                           | a1 filled 10@100 ? fee -10
        ann                                 | 20+0 USD, 10+0 BTC
        ben                                 | 990+0 USD, 0+0 BTC
        house                               | 0+0 USD, 0+0 BTC
        """,
    )


def test_once_the_house_was_paid_out_rounding_may_take_it_below_zero(venue):
    # 1 %: dan's order owes 0.4 and pays 1, ben's owes 0.6 and pays 1; the house hands that on.
    # Then dan takes from ben for 60: dan owes 1.0 in all and pays nothing more, ben owes 0 in all
    # and gets 1 back.
    agrees(
        venue,
        """
        given fees maker -10000 ppm taker 10000 ppm
        given ann 10 BTC
        given ben 10 BTC
        given cat 1000 USD
        given dan 1000 USD
        ann sells 1 @ 40 as a1              | new 0/1
        dan buys 2 @ 40 as d1               | partially_filled 1/2: 1@40 a1 fee 1
        cat buys 1 @ 60 as c1               | new 0/1
        ben sells 2 @ 60 as b1              | partially_filled 1/2: 1@60 c1 fee 1
        house                               | 2+0 USD, 0+0 BTC
        operator withdraws 2 USD for house  | done
        dan replaces d1 open 1 @ 60         | filled 2/2: 1@60 b1
        ben hears                           | b1 filled 1@60 d1 fee -1
        house                               | -1+0 USD, 0+0 BTC
        operator withdraws 1 USD for house  | insufficient_funds
        cat buys 1 @ 40                     | new 0/1
        ben sells 1 @ 40                    | filled 1/1: 1@40 ? fee 1
        house                               | 0+0 USD, 0+0 BTC
        """,
    )


def test_what_decrement_takes_off_needs_no_fee_any_more(venue):
    agrees(
        venue,
        """
        given fees maker 0 ppm taker 1000 ppm
        given ann 1000 USD, 10 BTC
        ann sells 3 @ 100 as a1             | new 0/3
        ann buys 5 @ 100 self-trade decrement   | new 0/5:
                                            | prevented a1@100 decrement resting 3->0
                                            | incoming 5->2
        ann                                 | 799+201 USD, 10+0 BTC
        """,
    )


def test_own_rates_come_before_the_markets(venue):
    agrees(
        venue,
        """
        given fees maker 10000 ppm taker 20000 ppm
        given ann 100 BTC
        given cat 10000 USD
        given cat fees maker 0 ppm taker 1000 ppm
        ann sells 10 @ 100 as a1            | new 0/10
        cat buys 10 @ 100 as c1             | filled 10/10: 10@100 a1 fee 1
        ann hears                           | a1 filled 10@100 c1 fee 10
        cat buys 10 @ 100 as c2             | new 0/10
        cat                                 | 7998+1001 USD, 10+0 BTC
        ann sells 10 @ 100                  | filled 10/10: 10@100 c2 fee 20
        cat hears                           | c2 filled 10@100 ?
        operator removes fees of cat        | done
        operator removes fees of cat        | done
        cat buys 10 @ 100 as c3             | new 0/10
        cat                                 | 6979+1020 USD, 20+0 BTC
        """,
    )


def test_new_rates_are_for_orders_that_come_later(venue):
    agrees(
        venue,
        """
        given fees maker 10000 ppm taker 20000 ppm
        given ann 100 BTC
        given cat 10000 USD
        ann sells 10 @ 100 as a1            | new 0/10
        ann sells 20 @ 110 as a2            | new 0/20
        operator sets fees maker 0 ppm taker 0 ppm  | done
        ann replaces a2 open 10 @ 100       | new 0/10
        ann sells 10 @ 100 as a3            | new 0/10
        cat buys 30 @ 100                   | filled 30/30: 10@100 a1, 10@100 a2, 10@100 a3
        ann hears                           | a1 filled 10@100 ? fee 10, a2 filled 10@100 ? fee 10,
                                            | a3 filled 10@100 ?
        house                               | 20+0 USD, 0+0 BTC
        """,
    )


def test_a_market_buy_must_have_cost_and_fee(venue):
    agrees(
        venue,
        """
        given fees maker 0 ppm taker 1000 ppm
        given ann 100 BTC
        given cat 300 USD
        ann sells 3 @ 100 as a1             | new 0/3
        cat buys 3 at market                | rejected insufficient_funds
        cat deposits 1 USD                  | done
        cat buys 3 at market                | filled 3/3: 3@100 a1 fee 1
        cat                                 | 0+0 USD, 3+0 BTC
        """,
    )


def test_a_seller_pays_out_of_the_proceeds_and_needs_no_money(venue):
    agrees(
        venue,
        """
        given fees maker 0 ppm taker 1000 ppm
        given ann 10000 USD
        given ben 10 BTC
        ann buys 3 @ 100 as a1              | new 0/3
        ben sells 3 at market               | filled 3/3: 3@100 a1 fee 1
        ben                                 | 299+0 USD, 7+0 BTC
        """,
    )


def test_a_fired_stop_limit_has_the_rates_of_its_submission(venue):
    agrees(
        venue,
        """
        given fees maker 0 ppm taker 10000 ppm
        given ann 1010 USD
        given ben 100 BTC
        given cat 1000 USD
        ann buys 10 @ 100 stop 90 as s1     | new 0/10
        ann                                 | 0+1010 USD, 0+0 BTC
        operator sets fees maker 0 ppm taker 0 ppm  | done
        ben sells 1 @ 90 as b1              | new 0/1
        ben sells 10 @ 100 as b2            | new 0/10
        cat buys 1 @ 90                     | filled 1/1: 1@90 b1
        ann hears                           | s1 triggered, s1 filled 10@100 b2 fee 10
        """,
    )


def test_a_trade_with_oneself_pays_both_fees(venue):
    agrees(
        venue,
        """
        given fees maker 10000 ppm taker 20000 ppm
        given ann 1020 USD, 10 BTC
        ann sells 10 @ 100 as a1            | new 0/10
        ann buys 10 @ 100 as a2             | filled 10/10: 10@100 a1 fee 20 self-trade
        ann hears                           | a1 filled 10@100 a2 fee 10 self-trade
        ann                                 | 990+0 USD, 10+0 BTC
        house                               | 30+0 USD, 0+0 BTC
        """,
    )


def test_fees_on_ticks_and_lots_of_many_atoms(venue):
    # 3 lots at 20 with 5 atoms a tick are 300 atoms.
    agrees(
        venue,
        """
        given fees maker 0 ppm taker 10000 ppm
        given ann 100 BTC
        given cat 303 USD
        ann sells 3 @ 20 as a1              | new 0/3
        cat buys 3 @ 20                     | filled 3/3: 3@20 a1 fee 3
        cat                                 | 0+0 USD, 30+0 BTC
        """,
        base_atoms_per_lot=10,
        quote_atoms_per_tick=5,
    )


@pytest.mark.parametrize(
    ("setting", "outcome"),
    [
        ("maker -20 ppm taker 20 ppm", "done"),
        ("maker -21 ppm taker 20 ppm", "fees_below_zero"),
        ("maker -30 ppm taker 30 ppm", "fees_below_zero"),  # cat takes for 20
        ("maker -20 ppm taker 20 ppm of dan", "done"),
        ("maker -21 ppm taker 30 ppm of dan", "fees_below_zero"),
        ("maker 0 ppm taker 9 ppm of dan", "fees_below_zero"),  # ann's order gives back 10
        ("maker 0 ppm taker 10 ppm of dan", "done"),
        ("maker -10 ppm taker 10 ppm of dan", "done"),
        ("maker 0 ppm taker 10 ppm of cat", "done"),
        ("maker -30 ppm taker 30 ppm of cat", "done"),
        ("maker -31 ppm taker 30 ppm of cat", "fees_below_zero"),
    ],
)
def test_no_two_rates_that_can_meet_may_cost_the_house_money(venue, setting, outcome):
    # Rates: everybody -10/30, cat 0/20, and an order of ann's that carries -10/30.
    agrees(
        venue,
        f"""
        given fees maker -10 ppm taker 30 ppm
        given ann 10 BTC
        given cat fees maker 0 ppm taker 20 ppm
        ann sells 1 @ 100                   | new 0/1
        operator sets fees {setting}        | {outcome}
        """,
    )


@pytest.mark.parametrize(
    ("order", "new", "canceled"),
    [
        ("sells 1 @ 100 as a1", "new 0/1", "1 canceled: a1 canceled mass_cancel 0/1"),
        ("sells 1 stop 90 as a1", "new 0/1", "1 canceled: a1 canceled mass_cancel 0/1"),
        (
            "sells 1 @ 100 or stop 90 limit 80 as a1 and a2",
            "new",
            "2 canceled: a1 canceled mass_cancel 0/1, a2 canceled mass_cancel 0/1",
        ),
    ],
)
def test_rates_that_open_orders_carry_count_until_these_end(venue, order, new, canceled):
    agrees(
        venue,
        f"""
        given fees maker -10 ppm taker 10 ppm
        given ann 10 BTC
        ann {order}                         | {new}
        operator sets fees maker 0 ppm taker 0 ppm  | fees_below_zero
        operator sets fees maker 0 ppm taker 10 ppm | done
        operator sets fees maker 0 ppm taker 9 ppm  | fees_below_zero
        ann cancels all                     | {canceled}
        operator sets fees maker 0 ppm taker 9 ppm  | done
        """,
    )


def test_one_rate_alone_says_too_little(venue):
    agrees(
        venue,
        """
        operator sets fees maker 0 ppm      | invalid_combination
        operator sets fees taker 0 ppm of ann   | invalid_combination
        operator sets fees                  | invalid_combination
        """,
    )
