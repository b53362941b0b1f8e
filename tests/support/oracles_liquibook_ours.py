"""Where Liquibook's convention differs from ours: what must come out here instead.

Two conventions cannot be expressed by ours. Each case that one of them decides is here by name,
with every step that comes out otherwise, written by hand from the rules of protocol.md. A test
that finds a step here to be as recorded fails, so the table holds nothing that is not needed.
"""

from __future__ import annotations

from typing import Final, NamedTuple

ALL_OR_NONE: Final = "all_or_none"
"""A resting all-or-none order is passed over by whoever cannot fill all of it, and rests even
where it crosses. Ours rests as a plain limit order, that is, in price-time order and divisible;
where it would cross it does not rest. A fok walks the book in strict price-time order too."""

MARKET_ORDERS_REST: Final = "market_orders_rest"
"""A market order that finds nothing rests ahead of all prices. Ours is canceled no_liquidity; so
is what a stop becomes when it fires."""


class StepResult(NamedTuple):
    """What a step gives: its events, and the orders on the book, best first, in text.

    An event is `accept 1`, `fill 2 100@1251` (of maker 2), `cancel 1`, `replace 1` or
    `reject 1` (of a cancel); an order is `B1 100@1250`.
    """

    events: list[str]
    book: list[str]


def step(events: str, *book: str) -> StepResult:
    """Write a step of OURS."""
    return StepResult(events.split(", "), list(book))


_NO_BID_FOR_MARKET: Final = {
    2: step("accept 2, cancel 2", "B1 100@1250"),
    3: step("accept 3", "B1 100@1250", "S3 100@1253"),
}
_NO_ASK_FOR_MARKET: Final = {
    2: step("accept 2, cancel 2", "S1 100@1252"),
    3: step("accept 3", "B3 100@1250", "S1 100@1252"),
}
_NO_BIDS_FOR_MARKET: Final = {
    2: step("accept 2, cancel 2", "B1 100@1250"),
    3: step("accept 3, cancel 3", "B1 100@1250"),
    4: step("accept 4", "B1 100@1250", "S4 400@1253"),
}
_NO_ASKS_FOR_MARKET: Final = {
    2: step("accept 2, cancel 2", "S1 100@1252"),
    3: step("accept 3, cancel 3", "S1 100@1252"),
    4: step("accept 4", "B4 300@1250", "S1 100@1252"),
}
_NOTHING_FOR_MARKET: Final = {
    1: step("accept 1, cancel 1"),
    2: step("accept 2, cancel 2"),
}
_A_BID_IN_TWO_PARTS: Final = {
    2: step("accept 2, fill 1 100@1251", "B1 200@1251"),
    3: step("accept 3, fill 1 200@1251"),
}

OURS: Final[dict[str, tuple[str, dict[int, StepResult]]]] = {
    "TestRegBidMatchAon": (
        ALL_OR_NONE,
        {
            5: step(
                "accept 5, fill 2 100@1251",
                "B1 100@1250", "S2 100@1251", "S3 100@1251", "S4 100@1252",
            )
        },
    ),
    "TestAonBidNoMatch": (
        ALL_OR_NONE,
        {4: step("accept 4, cancel 4", "B1 100@1250", "S2 100@1251", "S3 100@1252")},
    ),
    "TestAonBidMatchMulti": (
        ALL_OR_NONE,
        {
            6: step(
                "accept 6, fill 2 400@1251, fill 3 200@1251",
                "B1 100@1250", "S3 200@1251", "S4 100@1252", "S5 100@1252",
            )
        },
    ),
    "TestAonBidNoMatchMulti": (
        ALL_OR_NONE,
        {
            5: step(
                "accept 5, fill 2 400@1251, fill 3 100@1252, fill 4 100@1252",
                "B1 100@1250", "S4 300@1252",
            )
        },
    ),
    "TestRegAskMatchAon": (
        ALL_OR_NONE,
        {
            5: step(
                "accept 5, fill 2 100@1251",
                "B2 100@1251", "B3 100@1251", "B1 100@1250", "S4 100@1252",
            )
        },
    ),
    "TestAonAskNoMatch": (
        ALL_OR_NONE,
        {
            5: step(
                "accept 5, cancel 5",
                "B3 100@1251", "B4 100@1251", "B2 700@1250", "S1 100@1252",
            )
        },
    ),
    "TestOneAonBidTwoAsk": (ALL_OR_NONE, _A_BID_IN_TWO_PARTS),
    "TestOneBidTwoAonAsk": (ALL_OR_NONE, _A_BID_IN_TWO_PARTS),
    "TestAonAskNoMatchMulti": (
        ALL_OR_NONE,
        {
            5: step(
                "accept 5, fill 3 100@1251, fill 4 400@1251, fill 2 100@1250",
                "B2 300@1250", "S1 100@1252",
            )
        },
    ),
    "TestReplaceAonBidSmallerMatch": (
        ALL_OR_NONE,
        {
            3: step("accept 3, fill 2 100@1251", "B2 100@1251", "B1 100@1250"),
            4: step("accept 4", "B2 100@1251", "B1 100@1250", "S4 100@1252"),
            5: step("accept 5", "B2 100@1251", "B1 100@1250", "S4 100@1252", "S5 100@1253"),
            6: step("replace 2, cancel 2", "B1 100@1250", "S4 100@1252", "S5 100@1253"),
        },
    ),
    "TestReplaceAonBidPriceMatch": (
        ALL_OR_NONE,
        {
            3: step("accept 3, fill 2 100@1251", "B2 100@1251", "B1 100@1250"),
            4: step("accept 4", "B2 100@1251", "B1 100@1250", "S4 100@1252"),
            5: step("accept 5", "B2 100@1251", "B1 100@1250", "S4 100@1252", "S5 100@1253"),
            6: step("replace 2, fill 4 100@1252", "B1 100@1250", "S5 100@1253"),
        },
    ),
    "TestReplaceBidLargerMatchAon": (
        ALL_OR_NONE,
        {
            3: step("accept 3, cancel 3", "B2 100@1251", "B1 100@1250"),
            4: step("accept 4", "B2 100@1251", "B1 100@1250", "S4 100@1252"),
            5: step("accept 5", "B2 100@1251", "B1 100@1250", "S4 100@1252", "S5 100@1253"),
            6: step("replace 2", "B2 200@1251", "B1 100@1250", "S4 100@1252", "S5 100@1253"),
        },
    ),
    "TestBboMatchMarketOrderBid": (MARKET_ORDERS_REST, _NO_BID_FOR_MARKET),
    "TestMatchMarketOrderBid": (MARKET_ORDERS_REST, _NO_BID_FOR_MARKET),
    "TestBboMatchMarketOrderAsk": (MARKET_ORDERS_REST, _NO_ASK_FOR_MARKET),
    "TestMatchMarketOrderAsk": (MARKET_ORDERS_REST, _NO_ASK_FOR_MARKET),
    "TestBboMatchMultipleMarketOrderBid": (MARKET_ORDERS_REST, _NO_BIDS_FOR_MARKET),
    "TestMatchMultipleMarketOrderBid": (MARKET_ORDERS_REST, _NO_BIDS_FOR_MARKET),
    "TestBboMatchMultipleMarketOrderAsk": (MARKET_ORDERS_REST, _NO_ASKS_FOR_MARKET),
    "TestMatchMultipleMarketOrderAsk": (MARKET_ORDERS_REST, _NO_ASKS_FOR_MARKET),
    "TestNoMktToMktWithoutPreviousTrade": (MARKET_ORDERS_REST, _NOTHING_FOR_MARKET),
    "TestTradeSetsMarketPrice": (
        MARKET_ORDERS_REST,
        {
            **_NOTHING_FOR_MARKET,
            3: step("accept 3", "B3 100@9900"),
            4: step("accept 4, fill 3 100@9900"),
        },
    ),
    # Its third step sets the market price, which a resting market order would trade at.
    "TestExplicitlySettingMarketPriceAllowsMarketToMarketTrades": (
        MARKET_ORDERS_REST,
        {
            **_NOTHING_FOR_MARKET,
            4: step("accept 3, cancel 3"),
            5: step("accept 4, cancel 4"),
        },
    ),
    "TestStopMarketOrdersOnMarketTradeImmediately": (
        MARKET_ORDERS_REST,
        {3: step("accept 3, cancel 3"), 4: step("accept 4, cancel 4")},
    ),
}  # fmt: skip
"""Case -> the convention that decides it, and each step that comes out otherwise here."""
