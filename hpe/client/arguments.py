"""Check every argument of a request against the wire's types before it is sent.

Owns the checks that the client library and the in-process API make; the ranges are those of
hpe/protocol/. Pure; any thread may use it. Guarantees: arguments that pass can be encoded and cause
no field error at the server; an error names the argument, what was found and what is allowed.
Anything with `__index__` is an integer (numpy's are), but a bool or a float is not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from operator import index
from typing import Any, Final, TypeVar

import msgspec
from msgspec import inspect

from hpe.protocol.base import Request
from hpe.protocol.limits import INT_MAX

_R = TypeVar("_R", bound=Request)

_Check = Callable[[str, Any], Any]
"""Takes the argument's name and its value; returns the value to send."""


class OutOfRange(ValueError):
    """An integer is out of its range; `request` is the request that it is a field of, if any."""

    def __init__(self, name: str, found: int, low: int, high: int) -> None:
        super().__init__(f"{name}: found {shown(found)}, allowed {low} to {high}")
        self.name = name
        self.numbers = (found, low, high)
        self.request: Request | None = None

    def told_in(self, name: Callable[[str], str], value: Callable[[str, int], object]) -> str:
        """Return the same error in other words, given functions for the name and for its values."""
        found, low, high = (value(self.name, number) for number in self.numbers)
        return f"{name(self.name)}: found {found}, allowed {low} to {high}"


def integer(name: str, value: object, low: int = 0, high: int = INT_MAX) -> int:
    """Return an argument as an integer.

    Raises:
        TypeError: it is not an integer.
        OutOfRange: a ValueError: it is out of range.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name}: {_found(value)}, allowed an integer from {low} to {high}")
    number = index(value)
    if not low <= number <= high:
        raise OutOfRange(name, number, low, high)
    return number


def flag(name: str, value: object) -> bool:
    """Return an argument that is True or False; raise TypeError for anything else."""
    if not isinstance(value, bool):
        raise TypeError(f"{name}: {_found(value)}, allowed True or False")
    return value


def seconds(name: str, value: object, *, low: float = 0.0, high: float = math.inf) -> float:
    """Return an argument in seconds: above `low`, or from 0 if `low` is 0 and `high` finite.

    Raises:
        TypeError: it is not a number.
        ValueError: it is out of range.
    """
    if isinstance(value, bool) or not (hasattr(value, "__float__") or hasattr(value, "__index__")):
        raise TypeError(f"{name}: {_found(value)}, allowed a number of seconds")
    try:
        number = float(value)  # type: ignore[arg-type]  # checked above
    except OverflowError:  # an integer beyond the range of floats
        number = math.inf if index(value) > 0 else -math.inf  # type: ignore[arg-type]  # as above
    allowed = f"above {low:g}" if high == math.inf else f"{low:g} to {high:g}"
    inside = low < number if high == math.inf else low <= number <= high
    if not inside:  # NaN is not inside
        raise ValueError(f"{name}: found {shown(value)}, allowed {allowed} seconds")
    return number


def checked(request: _R) -> _R:
    """Return a request in the form in which it can be sent.

    Raises:
        TypeError: a field is of another type.
        ValueError: a field is out of its range.
    """
    try:
        sent: _R = _checked(request, _checks(type(request)))
    except OutOfRange as error:
        error.request = request
        raise
    return sent


def _checked(struct: Any, checks: tuple[tuple[str, _Check], ...]) -> Any:
    changed: dict[str, Any] = {}
    for name, check in checks:
        value = getattr(struct, name)
        sent = check(name, value)
        if sent is not value:
            changed[name] = sent
    return msgspec.structs.replace(struct, **changed) if changed else struct


def allowed_values(kind: type[msgspec.Struct], name: str) -> tuple[int, int | None, str]:
    """Return what a field of a message may be: the bounds of an integer, and a description.

    The upper bound is None if the field is not an integer with bounds.
    """
    if name == "request_id":
        return 1, INT_MAX, ""
    check = dict(_checks(kind))[name]
    inner = check.check if isinstance(check, _OrNone) else check
    if isinstance(inner, _Integer):
        return inner.low, inner.high, ""
    return 0, None, _words(inner)


def _words(check: _Check) -> str:
    match check:
        case _Member(kind):
            return ", ".join(f"{member.name.lower()} ({member.value})" for member in kind)
        case _Text(low, high, pattern):
            like = f" that {pattern} matches" if pattern else ""
            return f"text of {low} to {high or INT_MAX} characters{like}"
        case _Bytes(low, high):
            return f"{low} to {high} bytes"
        case _Nested(kind):
            return str(kind.__name__)
    return "True or False" if check is flag else "another value"


@cache
def _checks(kind: type[msgspec.Struct]) -> tuple[tuple[str, _Check], ...]:
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    # The channel sets the request's id.
    fields = [field for field in info.fields if field.name != "request_id"]
    return tuple((field.name, _check_of(field.type)) for field in fields)


def _check_of(kind: inspect.Type) -> _Check:
    match kind:
        case inspect.IntType():
            assert kind.ge is not None
            assert kind.le is not None
            return _Integer(kind.ge, kind.le)
        case inspect.EnumType():
            return _Member(kind.cls)
        case inspect.BoolType():
            return flag
        case inspect.StrType():
            return _Text(kind.min_length or 0, kind.max_length, kind.pattern)
        case inspect.BytesType():
            return _Bytes(kind.min_length or 0, kind.max_length or INT_MAX)
        case inspect.StructType():
            return _Nested(kind.cls)
        case inspect.UnionType() if kind.includes_none:
            [inner] = [each for each in kind.types if not isinstance(each, inspect.NoneType)]
            return _OrNone(_check_of(inner))
        case _:
            return _anything


@dataclass(frozen=True, slots=True)
class _Integer:
    low: int
    high: int

    def __call__(self, name: str, value: Any) -> Any:
        if type(value) is int and self.low <= value <= self.high:
            return value
        return integer(name, value, self.low, self.high)


@dataclass(frozen=True, slots=True)
class _Member:
    kind: Any

    def __call__(self, name: str, value: Any) -> Any:
        if isinstance(value, self.kind):
            return value
        members: list[IntEnum] = [*self.kind]
        if not isinstance(value, bool) and hasattr(value, "__index__"):
            for member in members:
                if member == index(value):
                    return member
        allowed = ", ".join(f"{member.name.lower()} ({member.value})" for member in members)
        raise ValueError(f"{name}: {_found(value)}, allowed {allowed}")


@dataclass(frozen=True, slots=True)
class _Text:
    length_min: int
    length_max: int | None
    pattern: str | None

    def __call__(self, name: str, value: Any) -> Any:
        if not isinstance(value, str):
            raise TypeError(f"{name}: {_found(value)}, allowed text")
        longest = self.length_max or INT_MAX
        if not self.length_min <= len(value) <= longest:
            raise ValueError(
                f"{name}: found {len(value)} characters, allowed {self.length_min} to {longest}"
            )
        if self.pattern is not None and not re.search(self.pattern, value):
            raise ValueError(f"{name}: found {value!r}, allowed text that {self.pattern} matches")
        return value


@dataclass(frozen=True, slots=True)
class _Bytes:
    length_min: int
    length_max: int

    def __call__(self, name: str, value: Any) -> Any:
        if not isinstance(value, bytes):
            raise TypeError(f"{name}: {_found(value)}, allowed bytes")
        if not self.length_min <= len(value) <= self.length_max:
            allowed = f"{self.length_min} to {self.length_max}"
            raise ValueError(f"{name}: found {len(value)} bytes, allowed {allowed}")
        return value


@dataclass(frozen=True, slots=True)
class _Nested:
    kind: Any

    def __call__(self, name: str, value: Any) -> Any:
        if not isinstance(value, self.kind):
            raise TypeError(f"{name}: {_found(value)}, allowed {self.kind.__name__}")
        return _checked(value, _checks(self.kind))


@dataclass(frozen=True, slots=True)
class _OrNone:
    check: _Check

    def __call__(self, name: str, value: Any) -> Any:
        return None if value is None else self.check(name, value)


def _anything(name: str, value: Any) -> Any:
    return value


_SHOWN_MAX: Final = 100
"""Characters of a value in a message: enough to recognize it."""


def _found(value: object) -> str:
    return f"found {type(value).__name__} {shown(value)}"


def shown(value: object) -> str:
    """Return a value as text for an error message: never long, whatever it is."""
    try:
        text = repr(value)
    except ValueError:  # Python does not print an integer of so many decimal digits
        return "an integer of thousands of digits"
    return text if len(text) <= _SHOWN_MAX else text[:_SHOWN_MAX] + "..."
