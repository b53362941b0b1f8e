"""What may be done with orders in each status of a market: every cell of protocol.md's table."""

import pytest

from tests.scenarios.table import agrees

RESTING = """
    given ann 10000 USD, 1000 BTC
    given cat 10000 USD, 1000 BTC
    ann sells 5 @ 110 as a1                 | new 0/5
    ann sells 5 stop 80 as s1               | new 0/5
    cat buys 5 @ 90 post-only as c1         | new 0/5
"""
# what is submitted -> (while trading, in a call)
SUBMISSIONS = {
    "sells 1 @ 120": ("new 0/1", "new 0/1"),
    "sells 1 @ 120 until 99": ("new 0/1", "new 0/1"),
    "sells 9 @ 120 shows 2": ("new 0/9", "new 0/9"),
    "sells 9 @ 120 shows 2 until 99": ("new 0/9", "new 0/9"),
    "sells 1 stop 70": ("new 0/1", "new 0/1"),
    "sells 1 @ 60 stop 70": ("new 0/1", "new 0/1"),
    "sells 1 stop 70 ioc": ("new 0/1", "new 0/1"),
    "sells 1 @ 60 stop 70 fok": ("new 0/1", "new 0/1"),
    "sells 1 stop 70 until 99": ("new 0/1", "new 0/1"),
    "buys for 99 stop 130": ("new 0/0", "new 0/0"),
    "sells 1 @ 120 post-only": ("new 0/1", "rejected not_in_call"),
    "sells 1 @ 120 shows 1 post-only": ("new 0/1", "rejected not_in_call"),
    "sells 1 @ 120 ioc": ("canceled ioc_remainder 0/1", "rejected not_in_call"),
    "sells 1 @ 120 fok": ("canceled fok_not_fillable 0/1", "rejected not_in_call"),
    "sells 1 at market": ("filled 1/1: 1@90 c1", "rejected not_in_call"),
    "sells 1 at market fok": ("filled 1/1: 1@90 c1", "rejected not_in_call"),
    "buys for 109 at market": ("canceled no_liquidity 0/0", "rejected not_in_call"),
    "sells 9 @ 120 at least 2": ("canceled minimum_not_fillable 0/9", "rejected not_in_call"),
    "sells 9 at market at least 6": (
        "canceled minimum_not_fillable 0/9",
        "rejected not_in_call",
    ),
    "sells 1 @ 120 or stop 70 as a2 and s2": ("new", "rejected not_in_call"),
}


@pytest.mark.parametrize("order", SUBMISSIONS)
@pytest.mark.parametrize("status", ["trading", "cancel_only", "halted", "call_auction"])
def test_submitting(venue, status, order):
    trading, in_call = SUBMISSIONS[order]
    outcome = {"trading": trading, "call_auction": in_call}.get(status, "rejected not_trading")
    agrees(
        venue,
        f"""
        {RESTING}
        market becomes {status}             | {status}
        ann {order}                         | {outcome}
        """,
    )


@pytest.mark.parametrize(
    ("status", "less", "changed"),
    [
        ("trading", "new 0/4", None),
        ("cancel_only", "new 0/4", "rejected not_trading"),
        ("halted", "rejected not_trading", "rejected not_trading"),
        ("call_auction", "new 0/4", None),
    ],
)
def test_replacing(venue, status, less, changed):
    agrees(
        venue,
        f"""
        {RESTING}
        market becomes {status}             | {status}
        ann replaces a1 open 4              | {less}
        ann replaces a1 open 6 @ 111        | {changed or "new 0/6"}
        ann replaces s1 open 6 stop 81      | {changed or "new 0/6"}
        cat replaces c1 open 6 @ 91         | {changed or "new 0/6"}
        """,
    )


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("trading", "canceled replaced_away 0/5"),
        ("cancel_only", "canceled replaced_away 0/5"),
        ("halted", "rejected not_trading"),
        ("call_auction", "canceled replaced_away 0/5"),
    ],
)
def test_replacing_to_nothing_is_a_cancel(venue, status, outcome):
    agrees(
        venue,
        f"""
        {RESTING}
        market becomes {status}             | {status}
        ann replaces a1 open 0              | {outcome}
        ann replaces s1 total 0             | {outcome}
        """,
    )


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("trading", "canceled requested 0/5"),
        ("cancel_only", "canceled requested 0/5"),
        ("halted", "rejected not_trading"),
        ("call_auction", "canceled requested 0/5"),
    ],
)
def test_canceling(venue, status, outcome):
    agrees(
        venue,
        f"""
        {RESTING}
        market becomes {status}             | {status}
        ann cancels a1                      | {outcome}
        ann cancels s1                      | {outcome}
        cat cancels c1                      | {outcome}
        """,
    )


@pytest.mark.parametrize("status", ["trading", "cancel_only", "halted", "call_auction"])
def test_mass_canceling(venue, status):
    both = "2 canceled: a1 canceled mass_cancel 0/5, s1 canceled mass_cancel 0/5"
    agrees(
        venue,
        f"""
        {RESTING}
        market becomes {status}             | {status}
        ann cancels all                     | {"0 canceled" if status == "halted" else both}
        """,
    )


@pytest.mark.parametrize(
    ("status", "outcome", "book", "market"),
    [
        ("trading", "filled 1/1: 1@110 a1", "bids 5@90 asks 4@110", "last 110"),
        ("cancel_only", "rejected not_trading", "bids 5@90 asks 5@110", "last -"),
        ("halted", "rejected not_trading", "bids 5@90 asks 5@110", "last -"),
        (
            "call_auction",
            "new 0/1",
            "bids 1@110 5@90 asks 5@110",
            "last - would trade 1@110 surplus -4",
        ),
    ],
)
def test_trading(venue, status, outcome, book, market):
    agrees(
        venue,
        f"""
        {RESTING}
        market becomes {status}             | {status}
        cat buys 1 @ 110                    | {outcome}
        book                                | {book}
        market                              | {status} {market}
        """,
    )


@pytest.mark.parametrize("first", ["trading", "cancel_only", "halted"])
@pytest.mark.parametrize("second", ["trading", "cancel_only", "halted", "call_auction"])
def test_every_status_follows_every_other_outside_a_call(venue, first, second):
    agrees(
        venue,
        f"""
        market becomes {first}              | {first}
        market becomes {second}             | {second}
        market becomes {second}             | {second}
        market                              | {second} last -
        """,
    )


@pytest.mark.parametrize("status", ["trading", "cancel_only", "halted"])
def test_a_call_ends_by_its_uncross_alone(venue, status):
    agrees(
        venue,
        f"""
        market becomes call_auction         | call_auction
        market becomes {status}             | rejected call_open, call_auction
        market becomes call_auction         | call_auction
        market uncrosses to {status}        | nothing
        market                              | {status} last -
        """,
    )


def test_the_status_that_it_has_changes_nothing(venue):
    # Neither orders nor stops notice.
    agrees(
        venue,
        f"""
        {RESTING}
        market becomes trading              | trading
        ann hears                           | -
        book                                | bids 5@90 asks 5@110
        """,
    )


def test_every_market_has_a_status_of_its_own(venue):
    agrees(
        venue,
        """
        given ann 100 BTC, 1000 USD
        given market ETH/USD
        market becomes halted               | halted
        ann buys 1 @ 100 in ETH/USD as e1   | new 0/1
        ann buys 1 @ 100                    | rejected not_trading
        ETH/USD becomes cancel_only         | cancel_only
        ann buys 1 @ 100 in ETH/USD         | rejected not_trading
        ann cancels e1                      | canceled requested 0/1
        """,
    )


def test_money_moves_whatever_the_market_does(venue):
    agrees(
        venue,
        """
        given ann 100 BTC, 1000 USD
        market becomes halted               | halted
        ann withdraws 10 USD                | done
        ann transfers 10 USD to ben         | done
        ann holds 10 USD under 1            | done
        """,
    )
