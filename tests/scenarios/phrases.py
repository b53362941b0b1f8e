"""Read the words of a line about an order into the fields of its message.

Pure functions; table.py describes the language.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from hpe.protocol.enums import OrderType, SelfTrade, Side, TimeInForce
from hpe.protocol.flags import ORDER_POST_ONLY
from hpe.protocol.orders import OrderTerms, SubmitOco, SubmitOrder

UNIT_NS: Final = 1_000
"""One unit of a table's time. A batch takes 1 ns, so a table's lines take none of it."""

SIDES: Final = {"buys": Side.BUY, "sells": Side.SELL}
_TIMES: Final = {"ioc": TimeInForce.IOC, "fok": TimeInForce.FOK}
_WITH_NUMBER: Final = {
    "@": "price",
    "for": "budget",
    "stop": "stop_price",
    "limit": "stop_limit_price",
    "trail": "trail",
    "shows": "display_quantity",
    "least": "minimum_quantity",
    "until": "until",
    "open": "leaves_quantity",
    "total": "quantity",
    "under": "hold_id",
    "maker": "maker_fee_ppm",
    "taker": "taker_fee_ppm",
    "band": "band_ppm",
    "around": "reference_price",
}
_WITH_WORD: Final = {
    "as": "label",
    "and": "second_label",
    "in": "market",
    "of": "of",
    "to": "to",
    "for": "user",
    "self-trade": "self_trade",
}
_SILENT: Final = {"at", "market", "or", "ppm", "fees"}
_TERMS: Final = ("stop_price", "trail", "display_quantity", "minimum_quantity", "budget")


def read(words: list[str]) -> dict[str, Any]:
    """Return what the words say, by name; a bare number is the quantity, other words are True."""
    said: dict[str, Any] = {}
    left = iter(words)
    for word in left:
        if word in _WITH_NUMBER or word in _WITH_WORD:
            _take_value(word, left, said)
        elif word.isdigit():
            said["quantity"] = int(word)
        elif word not in _SILENT:
            said[word] = True
    return said


def _take_value(word: str, left: Iterator[str], said: dict[str, Any]) -> None:
    """Read the value behind a word; `for` a number is a budget, `for` a name a user."""
    value = next(left)
    number = value.lstrip("-").isdigit()
    assert number or word in _WITH_WORD, f"{word} {value}"
    if number and word in _WITH_NUMBER:
        said[_WITH_NUMBER[word]] = int(value)
    else:
        said[_WITH_WORD[word]] = value


def order_of(request_id: int, instrument: int, side: Side, said: dict[str, Any]) -> SubmitOrder:
    """Make the command of a single order."""
    price, until = said.get("price", 0), said.get("until", 0)
    stop = "stop_price" in said or "trail" in said
    if stop:
        order_type = OrderType.STOP_LIMIT if price else OrderType.STOP
    else:
        order_type = OrderType.LIMIT if price else OrderType.MARKET
    named = [tif for word, tif in _TIMES.items() if word in said]
    stays = TimeInForce.GTC if price or stop else TimeInForce.IOC
    terms = {name: said[name] for name in _TERMS if name in said}
    return SubmitOrder(
        request_id,
        instrument,
        0,
        side,
        order_type,
        named[0] if named else TimeInForce.GTD if until else stays,
        price,
        said.get("quantity", 0),
        ORDER_POST_ONLY if "post-only" in said else 0,
        policy_of(said),
        OrderTerms(**terms, expires_ns=until * UNIT_NS) if terms or until else None,
    )


def pair_of(request_id: int, instrument: int, side: Side, said: dict[str, Any]) -> SubmitOco:
    """Make the command of two orders of which one cancels the other."""
    return SubmitOco(
        request_id,
        instrument,
        side,
        said["quantity"],
        said["price"],
        said["stop_price"],
        said.get("stop_limit_price", 0),
        said.get("budget", 0),
        expires_ns=said.get("until", 0) * UNIT_NS,
        self_trade=policy_of(said),
    )


def policy_of(said: dict[str, Any]) -> int:
    """Return the self-trade policy that was named, 0 for none."""
    return SelfTrade[said["self_trade"].upper()] if "self_trade" in said else 0
