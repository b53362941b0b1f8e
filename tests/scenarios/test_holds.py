"""Where money is bound: by orders and by locks, which never touch each other."""

from tests.scenarios.table import agrees


def test_unlocking_never_releases_what_an_order_reserved(venue):
    agrees(
        venue,
        """
        given ann 1000 USD
        ann buys 6 @ 100 as a1          | new 0/6
        ann unlocks 1 USD               | insufficient_hold
        ann locks 300 USD               | done
        ann                             | 100+900 USD, 0+0 BTC
        ann unlocks 301 USD             | insufficient_hold
        ann unlocks 300 USD             | done
        ann                             | 400+600 USD, 0+0 BTC
        """,
    )


def test_locks_and_withdrawals_take_available_money_only(venue):
    agrees(
        venue,
        """
        given ann 1000 USD
        ann buys 6 @ 100 as a1          | new 0/6
        ann locks 401 USD               | insufficient_funds
        ann withdraws 401 USD           | insufficient_funds
        ann locks 150 USD               | done
        ann withdraws 251 USD           | insufficient_funds
        ann withdraws 250 USD           | done
        ann                             | 0+750 USD, 0+0 BTC
        ann cancels a1                  | canceled requested 0/6
        ann                             | 600+150 USD, 0+0 BTC
        """,
    )


def test_locked_money_buys_nothing(venue):
    agrees(
        venue,
        """
        given ann 1000 USD
        given ben 10 BTC
        ben sells 5 @ 100 as b1         | new 0/5
        ann locks 600 USD               | done
        ann buys 5 @ 100                | rejected insufficient_funds
        ann buys 5 at market            | rejected insufficient_funds
        ann buys 4 @ 100                | filled 4/4: 4@100 b1
        ann                             | 0+600 USD, 4+0 BTC
        """,
    )


def test_a_fill_pays_out_of_the_reservation_and_leaves_the_lock(venue):
    agrees(
        venue,
        """
        given ann 1000 USD
        given ben 10 BTC
        ann buys 5 @ 100 as a1          | new 0/5
        ann locks 500 USD               | done
        ben locks 4 BTC                 | done
        ben sells 7 @ 100               | rejected insufficient_funds
        ben sells 6 @ 100               | partially_filled 5/6: 5@100 a1
        ann                             | 0+500 USD, 5+0 BTC
        ben                             | 500+0 USD, 0+5 BTC
        """,
    )


def test_the_last_unit_can_be_spent(venue):
    agrees(
        venue,
        """
        given ann 500 USD
        ann buys 5 @ 101                | rejected insufficient_funds
        ann buys 5 @ 100 as a1          | new 0/5
        ann buys 1 @ 1                  | rejected insufficient_funds
        ann                             | 0+500 USD, 0+0 BTC
        """,
    )


def test_lots_and_ticks_scale_to_atoms(venue):
    agrees(
        venue,
        """
        given ann 1000 USD
        given ben 100 BTC
        ben sells 3 @ 20 as b1          | new 0/3
        ben                             | 0+0 USD, 70+30 BTC
        ann buys 8 @ 25 as a1           | partially_filled 3/8: 3@20 b1
        ann                             | 75+625 USD, 30+0 BTC
        ben                             | 300+0 USD, 70+0 BTC
        ben sells 8 @ 1                 | rejected insufficient_funds
        """,
        base_atoms_per_lot=10,
        quote_atoms_per_tick=5,
    )


def test_all_deposits_of_an_asset_stay_within_the_limit(venue):
    agrees(
        venue,
        f"""
        given ann {2**62 - 10} USD
        given ben 4 USD
        ann deposits 7 USD              | deposit_limit
        ann deposits 6 USD              | done
        ben deposits 1 USD              | deposit_limit
        ben withdraws 4 USD             | done
        ann deposits 4 USD              | done
        ann                             | {2**62}+0 USD, 0+0 BTC
        """,
    )
