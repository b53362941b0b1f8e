"""Market orders by budget: the most whole lots that an amount of money pays for, fees included."""

import pytest

from tests.scenarios.table import agrees

ASKS = """
    given ann 1000 BTC
    given ben 1000 BTC
    given cat 10000 USD
    ann sells 3 @ 100 as a1                 | new 0/3
    ben sells 5 @ 110 as b1                 | new 0/5
    ann sells 4 @ 120 as a2                 | new 0/4
"""
ALL = "3@100 a1, 5@110 b1, 4@120 a2"


@pytest.mark.parametrize(
    ("budget", "outcome", "spent", "bought"),
    [
        (99, "canceled no_liquidity 0/0", 0, 0),
        (100, "filled 1/1: 1@100 a1", 100, 1),
        (300, "filled 3/3: 3@100 a1", 300, 3),
        (409, "filled 3/3: 3@100 a1", 300, 3),
        (410, "filled 4/4: 3@100 a1, 1@110 b1", 410, 4),
        (1000, "filled 9/9: 3@100 a1, 5@110 b1, 1@120 a2", 970, 9),
        (1329, "filled 11/11: 3@100 a1, 5@110 b1, 3@120 a2", 1210, 11),
        (1330, f"filled 12/12: {ALL}", 1330, 12),
        (1331, f"canceled no_liquidity 12/12: {ALL}", 1330, 12),
    ],
)
def test_it_buys_what_it_can_and_the_rest_comes_back(venue, budget, outcome, spent, bought):
    agrees(
        venue,
        f"""
        {ASKS}
        cat buys for {budget} at market     | {outcome}
        cat                                 | {10000 - spent}+0 USD, {bought}+0 BTC
        cat orders                          | -
        """,
    )


@pytest.mark.parametrize(
    ("budget", "outcome"),
    [
        (99, "canceled fok_not_fillable 0/0"),
        (1330, f"filled 12/12: {ALL}"),
        (1331, "canceled fok_not_fillable 0/0"),
        (415, "filled 4/4: 3@100 a1, 1@110 b1"),
    ],
)
def test_fill_or_kill_uses_it_up_or_buys_nothing(venue, budget, outcome):
    agrees(
        venue,
        f"""
        {ASKS}
        cat buys for {budget} at market fok | {outcome}
        """,
    )


def test_an_empty_book(venue):
    agrees(
        venue,
        """
        given cat 100 USD
        cat buys for 100 at market          | canceled no_liquidity 0/0
        cat buys for 100 at market fok      | canceled fok_not_fillable 0/0
        cat                                 | 100+0 USD, 0+0 BTC
        """,
    )


def test_the_whole_budget_must_be_there(venue):
    agrees(
        venue,
        f"""
        {ASKS}
        cat buys for 10001 at market        | rejected insufficient_funds
        cat buys for 10000 at market        | canceled no_liquidity 12/12: {ALL}
        cat                                 | 8670+0 USD, 12+0 BTC
        """,
    )


@pytest.mark.parametrize(
    ("budget", "outcome", "left"),
    [
        (1000, "filled 9/9: 3@100 a1 fee 1, 5@110 b1, 1@120 a2", "9029+0 USD, 9+0 BTC"),
        # 850 cost 0.85; the lot at 120 needs 970.97, so 971 to the last atom.
        (970, "filled 8/8: 3@100 a1 fee 1, 5@110 b1", "9149+0 USD, 8+0 BTC"),
        (971, "filled 9/9: 3@100 a1 fee 1, 5@110 b1, 1@120 a2", "9029+0 USD, 9+0 BTC"),
        (300, "filled 2/2: 2@100 a1 fee 1", "9799+0 USD, 2+0 BTC"),
        (301, "filled 3/3: 3@100 a1 fee 1", "9699+0 USD, 3+0 BTC"),
    ],
)
def test_the_fee_is_paid_out_of_it(venue, budget, outcome, left):
    agrees(
        venue,
        f"""
        given fees maker 0 ppm taker 1000 ppm
        {ASKS}
        cat buys for {budget} at market     | {outcome}
        cat                                 | {left}
        """,
    )


def test_ticks_and_lots_of_many_atoms(venue):
    # A tick is 5 atoms: 3 lots at 20 cost 300, one at 21 costs 105.
    agrees(
        venue,
        """
        given ann 1000 BTC
        given cat 500 USD
        ann sells 3 @ 20 as a1              | new 0/3
        ann sells 3 @ 21 as a2              | new 0/3
        cat buys for 404 at market          | filled 3/3: 3@20 a1
        ann sells 3 @ 20 as a3              | new 0/3
        cat                                 | 200+0 USD, 30+0 BTC
        cat buys for 100 at market          | filled 1/1: 1@20 a3
        """,
        base_atoms_per_lot=10,
        quote_atoms_per_tick=5,
    )


def test_hidden_lots_are_bought_too(venue):
    agrees(
        venue,
        """
        given ann 100 BTC
        given cat 1000 USD
        ann sells 5 @ 100 shows 2 as a1     | new 0/5
        cat buys for 450 at market          | filled 4/4: 2@100 a1, 2@100 a1
        """,
    )


def test_the_bounds_are_those_of_notional_not_of_quantity(venue):
    agrees(
        venue,
        f"""
        {ASKS}
        cat buys for 199 at market          | rejected notional_out_of_range
        cat buys for 200 at market          | filled 2/2: 2@100 a1
        cat buys for 900 at market          | filled 8/8: 1@100 a1, 5@110 b1, 2@120 a2
        cat buys for 901 at market          | rejected notional_out_of_range
        """,
        quantity_min=3,
        quantity_max=5,
        notional_min=200,
        notional_max=900,
    )


def test_only_buys_have_a_budget(venue):
    agrees(
        venue,
        """
        given ann 100 BTC
        ann sells for 100 at market         | rejected invalid_combination
        ann buys 5 for 100 at market        | rejected invalid_combination
        ann buys for 100 @ 50               | rejected invalid_combination
        ann buys at market                  | rejected quantity_out_of_range
        """,
    )


OWN_ASK_BETWEEN = """
    given ann 100 BTC
    given cat 10000 USD, 100 BTC
    ann sells 2 @ 100 as a1                 | new 0/2
    cat sells 3 @ 110 as c1                 | new 0/3
    ann sells 4 @ 120 as a2                 | new 0/4
"""


@pytest.mark.parametrize(
    ("policy", "budget", "outcome"),
    [
        ("none", 650, "filled 6/6: 2@100 a1, 3@110 c1 self-trade, 1@120 a2"),
        (
            "cancel_taker",
            650,
            "canceled self_trade 2/2: 2@100 a1,"
            " prevented c1@110 cancel_taker resting 3->3 incoming 0->0",
        ),
        # Less than one lot more is affordable at the next maker: nobody asks who that is.
        ("cancel_taker", 309, "filled 2/2: 2@100 a1"),
        (
            "cancel_taker",
            310,
            "canceled self_trade 2/2: 2@100 a1,"
            " prevented c1@110 cancel_taker resting 3->3 incoming 0->0",
        ),
        (
            "cancel_maker",
            650,
            "filled 5/5: 2@100 a1,"
            " prevented c1@110 cancel_maker resting 3->0 incoming 0->0, 3@120 a2",
        ),
        (
            "cancel_both",
            650,
            "canceled self_trade 2/2: 2@100 a1,"
            " prevented c1@110 cancel_taker resting 3->3 incoming 0->0",
        ),
        (
            "decrement",
            650,
            "canceled self_trade 2/2: 2@100 a1,"
            " prevented c1@110 cancel_taker resting 3->3 incoming 0->0",
        ),
    ],
)
def test_ones_own_ask_in_the_way(venue, policy, budget, outcome):
    agrees(
        venue,
        f"""
        {OWN_ASK_BETWEEN}
        cat buys for {budget} at market self-trade {policy} | {outcome}
        """,
    )


@pytest.mark.parametrize("policy", ["cancel_taker", "cancel_both", "decrement"])
def test_ones_own_ask_kills_fill_or_kill_without_a_word(venue, policy):
    agrees(
        venue,
        f"""
        {OWN_ASK_BETWEEN}
        cat buys for 650 at market fok self-trade {policy}  | canceled fok_not_fillable 0/0
        book                                | bids - asks 2@100 3@110 4@120
        """,
    )


@pytest.mark.parametrize(
    ("budget", "outcome"),
    [
        (309, "filled 2/2: 2@100 a1"),
        (310, "canceled band 2/2: 2@100 a1"),
    ],
)
def test_the_band_ends_it_when_one_lot_more_could_be_paid(venue, budget, outcome):
    agrees(
        venue,
        f"""
        given band 50000 ppm around 100
        given ann 100 BTC
        given cat 10000 USD
        ann sells 2 @ 100 as a1             | new 0/2
        ann sells 4 @ 110 as a2             | new 0/4
        cat buys for {budget} at market     | {outcome}
        """,
    )


def test_the_first_ask_beyond_the_band(venue):
    agrees(
        venue,
        """
        given band 50000 ppm around 100
        given ann 100 BTC
        given cat 10000 USD
        ann sells 4 @ 110 as a2             | new 0/4
        cat buys for 109 at market          | canceled no_liquidity 0/0
        cat buys for 110 at market          | canceled band 0/0
        cat                                 | 10000+0 USD, 0+0 BTC
        """,
    )


def test_with_volatility_interruption_the_band_calls_an_auction(venue):
    agrees(
        venue,
        """
        given band 50000 ppm around 100 interrupts
        given ann 100 BTC
        given cat 10000 USD
        ann sells 2 @ 100 as a1             | new 0/2
        ann sells 4 @ 110 as a2             | new 0/4
        cat buys for 309 at market          | filled 2/2: 2@100 a1
        market                              | trading last 100 band 95-105
        cat buys for 310 at market fok      | canceled fok_not_fillable 0/0
        market                              | trading last 100 band 95-105
        cat buys for 310 at market          | canceled band 0/0
        market                              | call_auction last 100 band 95-105
        """,
    )
