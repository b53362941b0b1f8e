"""Explain a refusal or a reject: which argument, which value was sent, what is allowed.

Owns the wording. The server names only the field or the reason; the value found comes from the
request that was sent, and what is allowed from the ranges in protocol/ and the limits of what is
listed. Pure; any thread may use it. Guarantees: it fails for no answer, not even a newer server's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec

from hpe.client.arguments import allowed_values
from hpe.protocol.base import Request, type_number
from hpe.protocol.codes import RejectReason
from hpe.protocol.frames import body_of, type_of
from hpe.protocol.orders import OrderTerms
from hpe.protocol.registry import COMMANDS, CONTROL, QUERIES

_MESSAGES: Final = {type_number(each): each for each in (*CONTROL, *QUERIES, *COMMANDS)}
_ARRAYS: Final[dict[str, type[msgspec.Struct]]] = {"terms": OrderTerms}
_ZERO_IS_FOUND: Final = ("quantity", "leaves_quantity")
"""In other fields, 0 means that the argument was omitted."""


class Words:
    """How arguments are described: by the wire's names, in its integers."""

    def name(self, field: str) -> str:
        """Return the caller's name for a field."""
        return field

    def value(self, field: str, value: Any) -> Any:
        """Return a field's value as the caller gave it."""
        return value

    def span(self, reason: int) -> tuple[int, int] | None:
        """Return the limits whose violation a reason means, None if they are not known."""
        return None

    def notional(self, price: int, quantity: int) -> str:
        """Return an order's value."""
        return f"{price} x {quantity}"


WIRE: Final = Words()


class _Concern(NamedTuple):
    """The arguments that a reject is about, and what each of them may be."""

    fields: tuple[str, ...]
    allowed: str


_NOTIONAL: Final = RejectReason.NOTIONAL_OUT_OF_RANGE
_CONCERNS: Final[dict[int, _Concern]] = {
    RejectReason.UNKNOWN_ORDER: _Concern(("order_id", "client_order_id"), "an order of the user"),
    RejectReason.UNKNOWN_INSTRUMENT: _Concern(("instrument",), "one that is listed"),
    RejectReason.UNKNOWN_ASSET: _Concern(("asset", "base", "quote"), "one that is listed"),
    RejectReason.UNKNOWN_HOLD: _Concern(("hold_id",), "a hold of the user"),
    RejectReason.SAME_ASSET: _Concern(("base", "quote"), "two different assets"),
    RejectReason.DUPLICATE_SYMBOL: _Concern(("symbol",), "one that is not listed"),
    RejectReason.PRICE_OUT_OF_RANGE: _Concern(
        ("price", "stop_price", "stop_limit_price", "trail"),
        "price_min to price_max of the instrument",
    ),
    RejectReason.PRICE_OUT_OF_BAND: _Concern(
        ("price",), "what the price band takes (band_low and band_high of get_instrument)"
    ),
    RejectReason.QUANTITY_OUT_OF_RANGE: _Concern(
        ("quantity", "leaves_quantity"), "quantity_min to quantity_max of the instrument"
    ),
    _NOTIONAL: _Concern(("budget",), "notional_min to notional_max of the instrument"),
    RejectReason.EXPIRY_PASSED: _Concern(("expires_ns",), "a time after the command's"),
    RejectReason.DUPLICATE_CLIENT_ORDER_ID: _Concern(
        ("client_order_id", "limit_client_order_id", "stop_client_order_id"),
        "one that no live order of the user has",
    ),
    RejectReason.DUPLICATE_HOLD: _Concern(("hold_id",), "one that no hold of the user has"),
    RejectReason.INSUFFICIENT_FUNDS: _Concern(("amount", "budget"), "what is available"),
    RejectReason.INSUFFICIENT_HOLD: _Concern(("amount",), "what is held"),
    RejectReason.DEPOSIT_LIMIT: _Concern(
        ("amount",), "what keeps all of the asset within 2^62 of its smallest units"
    ),
    RejectReason.FEES_BELOW_ZERO: _Concern(
        ("maker_fee_ppm", "taker_fee_ppm"), "rates whose sum is not below 0"
    ),
}


def explain_reject(
    request: Request | None, reason: int, time_ns: int = 0, words: Words = WIRE
) -> str:
    """Return which arguments a reject is about, "" if it is about none.

    Args:
        request: what was sent, if it is known.
        reason: why it was rejected.
        time_ns: the command's time, 0 if the response does not contain it.
        words: how arguments are described.
    """
    concern = _CONCERNS.get(reason)
    if request is None or concern is None:
        return ""
    values = dict(_values(request))
    found = {name: values[name] for name in concern.fields if _is_given(name, values.get(name))}
    allowed, span = concern.allowed, words.span(reason)
    if span is not None:
        outside = {n: v for n, v in found.items() if n != "trail" and not span[0] <= v <= span[1]}
        found = outside or found
        unit = next(iter(found), concern.fields[0])
        allowed = f"{words.value(unit, span[0])} to {words.value(unit, span[1])}"
    if reason == RejectReason.EXPIRY_PASSED and time_ns:
        allowed = f"above {time_ns}, the command's time"
    told = [f"{words.name(name)}: found {words.value(name, each)}" for name, each in found.items()]
    if reason == _NOTIONAL and not told and values.get("price") and values.get("quantity"):
        told = [f"price x quantity: found {words.notional(values['price'], values['quantity'])}"]
        if span is not None:
            allowed = f"{words.value('budget', span[0])} to {words.value('budget', span[1])}"
    return f"{', '.join(told)}, allowed {allowed}" if told else ""


def explain_field(frame: bytes, field: str, words: Words = WIRE) -> str:
    """Return what was sent in a field that the server refused, and what is allowed, if known.

    Args:
        frame: the whole request.
        field: its name, `outer.inner` inside an array; "" for an excess field.
        words: how arguments are described.
    """
    body = body_of(frame)
    row = msgspec.msgpack.decode(body)
    message: type[msgspec.Struct] | None = _MESSAGES.get(type_of(body))
    if message is None or not isinstance(row, list):
        return field
    values: Any = row[1:]
    if not field:
        return f"found {len(values)} fields, allowed {len(message.__struct_fields__)}"
    *outer, name = field.split(".")
    for each in outer:
        if each not in message.__struct_fields__ or each not in _ARRAYS:
            return field  # a newer server may have fields that this client does not know
        message, values = _ARRAYS[each], _at(message, values, each)
    if name not in message.__struct_fields__:
        return field
    value = _at(message, values, name)
    found = "nothing" if value is None else words.value(name, value)
    low, high, text = allowed_values(message, name)
    if high is not None:
        text = f"{words.value(name, low)} to {words.value(name, high)}"
    return f"{words.name(name)}: found {found}, allowed {text}"


def _at(message: type[msgspec.Struct], values: Any, name: str) -> Any:
    """Return the value of a field in a row, None if the row ends before it."""
    index = message.__struct_fields__.index(name)
    return values[index] if isinstance(values, list) and index < len(values) else None


def _values(struct: msgspec.Struct) -> Iterator[tuple[str, Any]]:
    for name, value in msgspec.structs.asdict(struct).items():
        if isinstance(value, OrderTerms):
            yield from _values(value)
        else:
            yield name, value


def _is_given(name: str, value: Any) -> bool:
    return value is not None and (value != 0 or name in _ZERO_IS_FOUND)
