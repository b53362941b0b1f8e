"""What is well-formed MessagePack: one walk over the bytes, without a schema.

Part of the deterministic core; pure functions. This module decides, not a library: a body is
well-formed exactly if `value_end` returns. Values are read in place and nothing is built, so
hostile bytes cost no more than their length. Source: the MessagePack specification; protocol.md,
"Frames", says what is stricter here.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import Final, NamedTuple

DEPTH_MAX: Final = 8
"""Nesting of arrays and maps. A request has two levels; the rest is room to grow."""


class ValueKind(IntEnum):
    """The kind of a MessagePack value."""

    NIL = 0
    BOOL = 1
    INTEGER = 2
    FLOAT = 3
    STRING = 4
    BINARY = 5
    EXTENSION = 6
    ARRAY = 7
    MAP = 8


class Malformed(Exception):
    """The bytes are not MessagePack."""


class Value(NamedTuple):
    """One value and its place in the body.

    `number` is the integer (0 or 1 for a bool), the number of elements of an array, or of keys and
    values of a map; 0 for other kinds. `start` to `end` is the content of a string, a binary or an
    extension; for every other kind `end` is the offset after the value's header, which is where a
    container's first element begins.
    """

    kind: ValueKind
    number: int
    start: int
    end: int


class _Form(NamedTuple):
    """The meaning of a first byte: how the number or the length after it is read."""

    kind: ValueKind
    reader: Struct | None
    fixed: int
    """The number or length, if the first byte holds it."""


_UNSIGNED: Final = tuple(Struct(f">{letter}") for letter in "BHIQ")
_SIGNED: Final = tuple(Struct(f">{letter}") for letter in "bhiq")


def _forms() -> list[_Form | None]:
    forms: list[_Form | None] = [None] * 256  # 0xc1 stays None: it is never used
    for low in range(128):
        forms[low] = _Form(ValueKind.INTEGER, None, low)
    for low in range(32):
        forms[0xA0 | low] = _Form(ValueKind.STRING, None, low)
        forms[0xE0 | low] = _Form(ValueKind.INTEGER, None, low - 32)
    for low in range(16):
        forms[0x80 | low] = _Form(ValueKind.MAP, None, 2 * low)
        forms[0x90 | low] = _Form(ValueKind.ARRAY, None, low)
    forms[0xC0] = _Form(ValueKind.NIL, None, 0)
    forms[0xC2], forms[0xC3] = _Form(ValueKind.BOOL, None, 0), _Form(ValueKind.BOOL, None, 1)
    for power in range(4):
        forms[0xCC + power] = _Form(ValueKind.INTEGER, _UNSIGNED[power], 0)
        forms[0xD0 + power] = _Form(ValueKind.INTEGER, _SIGNED[power], 0)
    for power in range(3):
        forms[0xC4 + power] = _Form(ValueKind.BINARY, _UNSIGNED[power], 0)
        forms[0xC7 + power] = _Form(ValueKind.EXTENSION, _UNSIGNED[power], 0)
        forms[0xD9 + power] = _Form(ValueKind.STRING, _UNSIGNED[power], 0)
    for power in range(5):
        forms[0xD4 + power] = _Form(ValueKind.EXTENSION, None, 1 << power)
    for power in range(2):
        forms[0xCA + power] = _Form(ValueKind.FLOAT, None, 4 << power)
        forms[0xDC + power] = _Form(ValueKind.ARRAY, _UNSIGNED[1 + power], 0)
        forms[0xDE + power] = _Form(ValueKind.MAP, _UNSIGNED[1 + power], 0)
    return forms


_FORMS: Final = _forms()
_WITH_CONTENT: Final = (ValueKind.STRING, ValueKind.BINARY, ValueKind.EXTENSION, ValueKind.FLOAT)


def read_value(body: bytes, position: int) -> Value:
    """Read the value at a position; of a container, its header.

    Raises:
        Malformed: no value begins there, or the body ends inside it, or it is a string that is
            not UTF-8.
    """
    if position >= len(body):
        raise Malformed(f"the body ends at {position}, where a value must stand")
    form = _FORMS[body[position]]
    if form is None:
        raise Malformed(f"the byte 0xc1 at {position} begins no value")
    kind, reader, number = form
    start = position + 1
    if reader is not None:
        if start + reader.size > len(body):
            raise Malformed(f"the body ends inside the value at {position}")
        (number,) = reader.unpack_from(body, start)
        start += reader.size
        if kind is ValueKind.MAP:
            number *= 2
    if kind not in _WITH_CONTENT:
        return Value(kind, number, start, start)
    if kind is ValueKind.EXTENSION:
        start += 1  # its type
    end = start + number
    if end > len(body):
        raise Malformed(f"the body ends inside the value at {position}")
    if kind is ValueKind.STRING:
        _check_utf8(body, start, end)
    return Value(kind, 0, start, end)


def value_end(body: bytes, position: int = 0) -> int:
    """Return the offset after the value at a position, with everything inside it.

    Raises:
        Malformed: the value is not well-formed, or nested deeper than DEPTH_MAX.
    """
    missing = [1]  # for each open container, the number of values still to come
    while missing:
        if missing[-1] == 0:
            missing.pop()
            continue
        missing[-1] -= 1
        value = read_value(body, position)
        position = value.end
        if value.kind >= ValueKind.ARRAY:
            if len(missing) > DEPTH_MAX:
                raise Malformed(f"more than {DEPTH_MAX} arrays or maps stand inside each other")
            missing.append(value.number)
    return position


def _check_utf8(body: bytes, start: int, end: int) -> None:
    try:
        body[start:end].decode()
    except UnicodeDecodeError:
        raise Malformed(f"the string at {start} is not UTF-8") from None
