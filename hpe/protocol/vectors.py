"""Test vectors: messages whose bytes another implementation can compare with its own.

Pure: the same class and choice always give the same array of plain values.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, Final

import msgspec
from msgspec import inspect as types

from hpe.protocol.base import Reply, Request, type_number
from hpe.protocol.limits import INT_MAX
from hpe.protocol.registry import SIGNED

Choice = Callable[[int, int], int]
"""Return one of low..high."""

LENGTH_MAX: Final = 8
"""Length of texts that the server sends and that have no limit of their own."""


def _distinct() -> Choice:
    numbers = count(1)
    return lambda low, high: low + (next(numbers) - low) % (high - low + 1)


CHOICES: Final[dict[str, Callable[[], Choice]]] = {
    "least": lambda: min,
    "distinct": _distinct,
    "most": lambda: max,
}
"""Name of a vector -> how its values are chosen. `least` and `most` are the ends of every range; in
`distinct`, numbers differ where their ranges allow it, so that a field in a wrong place shows."""


def vectors_of(message: type[Request] | type[Reply]) -> dict[str, list[Any]]:
    """Return arrays of plain values by name; for a request, also one without its defaults."""
    found = {name: array_of(message, choice()) for name, choice in CHOICES.items()}
    required = sum(field.required for field in _fields(message))
    if issubclass(message, Request) and required < len(_fields(message)):
        found["shortest"] = found["least"][: 1 + required]
    return found


def array_of(kind: type[msgspec.Struct], choose: Choice) -> list[Any]:
    """Return a valid array for a class; for a message, with its type number."""
    values = [
        _value(field.type, choose, -INT_MAX if field.name in SIGNED else 0)
        for field in _fields(kind)
    ]
    return [type_number(kind), *values] if issubclass(kind, Request | Reply) else values


def _fields(kind: type[msgspec.Struct]) -> tuple[types.Field, ...]:
    described = types.type_info(kind)
    assert isinstance(described, types.StructType)
    return described.fields


def _value(kind: types.Type, choose: Choice, least: int = 0) -> Any:
    match kind:
        case types.UnionType():
            others = [each for each in kind.types if not isinstance(each, types.NoneType)]
            if len(others) < len(kind.types) and choose is min:
                return None
            return _value(others[choose(0, len(others) - 1)], choose, least)
        case types.EnumType():
            values = sorted(each.value for each in kind.cls)
            return values[choose(0, len(values) - 1)]
        case types.IntType():
            step = kind.multiple_of or 1
            low = least if kind.ge is None else kind.ge
            high = INT_MAX if kind.le is None else kind.le
            return choose(low // step, high // step) * step
        case types.StrType():
            return "A" * choose(kind.min_length or 0, _length_max(kind.max_length))
        case types.BytesType():
            return b"\xab" * choose(kind.min_length or 0, _length_max(kind.max_length))
        case types.BoolType():
            return bool(choose(0, 1))
        case types.FloatType():
            return choose(0, 1) + 0.5
        case types.ListType():
            return [_value(kind.item_type, choose) for _ in range(choose(0, 1))]
        case types.TupleType():
            return [_value(each, choose) for each in kind.item_types]
        case types.DictType():
            return {"name": _value(kind.value_type, choose)} if choose(0, 1) else {}
        case types.StructType():
            return array_of(kind.cls, choose)
    raise AssertionError(f"no value for {kind}")


def _length_max(given: int | None) -> int:
    return LENGTH_MAX if given is None else given
