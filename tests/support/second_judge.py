"""A second opinion on frames: whether a body is a request, and if not, which error and field.

Reads the tables of protocol.md and walks MessagePack by its specification, in the plainest way.
Nothing is shared with hpe/core/decoding/ but the document. Pure.
Source: protocol.md, "Frames" and "Error codes".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any, Final, NamedTuple

from tests.conftest import PROJECT_ROOT
from tests.support import protocol_document as document

BAD_MESSAGEPACK, EMPTY_FRAME, TRAILING_BYTES, NOT_AN_ARRAY = 101, 102, 103, 104
UNKNOWN_TYPE, BAD_FIELD = 110, 111
LARGEST: Final = 2**63 - 1
DEEPEST: Final = 8
TO_THE_CORE: Final = range(32, 112)
TO_ANYBODY: Final = range(1, 112)

GRAPHIC: Final = "".join(map(chr, range(0x21, 0x7F)))
NAME: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._-"
ALPHABETS: Final = {"symbol": GRAPHIC, "base": GRAPHIC, "quote": GRAPHIC, "key_id": NAME}
"""What the meaning column says in words: of which characters a text is made."""


class SecondVerdict(NamedTuple):
    """The error that answers a body."""

    code: int
    request_id: int = 0
    field: str = ""


class Node(NamedTuple):
    """One MessagePack value: its type by the document's word, and what it holds."""

    kind: str
    value: Any
    first: int


class Column(NamedTuple):
    """One row of a table of fields."""

    name: str
    kind: str
    nil: bool
    required: bool
    fits: Callable[[Any], bool]
    inside: str


def verdict_on(body: bytes, types: range = TO_THE_CORE) -> SecondVerdict | None:
    """Return the error for a body, None for a request of these types."""
    if not body:
        return SecondVerdict(EMPTY_FRAME)
    try:
        root, end = _parse(body, 0, 1)
    except (IndexError, ValueError):
        return SecondVerdict(BAD_MESSAGEPACK)
    if end != len(body):
        return SecondVerdict(TRAILING_BYTES)
    if root.kind != "array" or root.first == 0xDD:
        return SecondVerdict(NOT_AN_ARRAY)
    if not root.value:
        return SecondVerdict(UNKNOWN_TYPE)
    kind, *fields = root.value
    known = fields and fields[0].kind == "int" and 1 <= fields[0].value <= LARGEST
    request_id = fields[0].value if known else 0
    number = kind.value if kind.first < 0x80 else 0
    columns = _requests().get(number) if number in types else None
    if columns is None:
        return SecondVerdict(UNKNOWN_TYPE, request_id)
    wrong = _wrong(columns, fields)
    return None if wrong is None else SecondVerdict(BAD_FIELD, request_id, wrong)


def _wrong(columns: list[Column], nodes: list[Node]) -> str | None:
    """Return the name of the first field that is wrong, None when none is."""
    for column, node in zip(columns, nodes, strict=False):
        if node.kind == "nil" and column.nil:
            continue
        if node.kind != column.kind or not column.fits(node.value):
            return column.name
        if column.inside:
            inner = _wrong(_array(column.inside), node.value)
            if inner is not None:
                return f"{column.name}.{inner}".rstrip(".")
    for column in columns[len(nodes) :]:
        if column.required:
            return column.name
    return "" if len(nodes) > len(columns) else None


# --- the document -------------------------------------------------------------------------------


@cache
def _text() -> str:
    return (PROJECT_ROOT / "protocol.md").read_text(encoding="utf-8")


@cache
def _requests() -> dict[int, list[Column]]:
    """Return the fields of what clients may send, by type number."""
    request_id = Column("request_id", "int", False, True, lambda n: 1 <= n <= LARGEST, "")
    return {
        message.type_number: [request_id, *map(_column, message.rows)]
        for message in document.messages(_text())
        if message.direction == "request"
    }


@cache
def _array(name: str) -> list[Column]:
    rows = document.numbered_rows(document.sections(_text())[f"Array `{name}`"])
    return [_column(row) for row in rows]


def _column(row: document.Row) -> Column:
    words = row["type"].split()
    kind, nil = words[0], words[1:] == ["or", "nil"]
    inside = row["meaning"].split(":")[0] if kind == "array" else ""
    return Column(row["field"], kind, nil, not row["default"], _fits(row, kind), inside)


def _fits(row: document.Row, kind: str) -> Callable[[Any], bool]:
    """Read the range column."""
    span = row["range"].split(" ")[0]
    if kind in ("bool", "array"):
        assert not span
        return lambda value: True
    if ".." not in span:
        allowed = {document.number(each) for each in re.split(", ?", row["range"].split(" b")[0])}
        return (lambda value: value in allowed) if kind == "int" else lambda v: len(v) in allowed
    low, high = map(document.number, span.split(".."))
    if kind == "int":
        return lambda value: low <= value <= high
    alphabet = ALPHABETS.get(row["field"], "")
    return lambda text: (
        low <= len(text) <= high and (not alphabet or all(each in alphabet for each in text))
    )


# --- MessagePack --------------------------------------------------------------------------------


def _parse(body: bytes, at: int, depth: int) -> tuple[Node, int]:
    """Read the value at a place; IndexError or ValueError where there is none."""
    first = body[at]
    at += 1
    if first < 0x80 or first >= 0xE0:
        return Node("int", first - 256 * (first > 0x80), first), at
    if first < 0x90:
        return _container("map", first, first & 15, body, at, depth)
    if first < 0xA0:
        return _container("array", first, first & 15, body, at, depth)
    if first < 0xC0:
        return _content("str", first, first & 31, body, at)
    if first == 0xC1:
        raise ValueError("c1")
    if first in (0xC0, 0xC2, 0xC3):
        return Node("nil" if first == 0xC0 else "bool", first == 0xC3, first), at
    if first in (0xCA, 0xCB):
        return _content("float", first, 4 if first == 0xCA else 8, body, at)
    if 0xCC <= first <= 0xD3:
        size = 1 << (first - 0xCC) % 4
        digits = _take(body, at, size)
        return Node("int", int.from_bytes(digits, "big", signed=first >= 0xD0), first), at + size
    if 0xD4 <= first <= 0xD8:
        return _content("ext", first, 1 + (1 << first - 0xD4), body, at)
    kind, size = _SIZED[first]
    length = int.from_bytes(_take(body, at, size), "big")
    if kind in ("map", "array"):
        return _container(kind, first, length, body, at + size, depth)
    return _content(kind, first, length + (kind == "ext"), body, at + size)


_SIZED: Final = {
    0xC4: ("bytes", 1),
    0xC5: ("bytes", 2),
    0xC6: ("bytes", 4),
    0xC7: ("ext", 1),
    0xC8: ("ext", 2),
    0xC9: ("ext", 4),
    0xD9: ("str", 1),
    0xDA: ("str", 2),
    0xDB: ("str", 4),
    0xDC: ("array", 2),
    0xDD: ("array", 4),
    0xDE: ("map", 2),
    0xDF: ("map", 4),
}


def _take(body: bytes, at: int, size: int) -> bytes:
    if at + size > len(body):
        raise IndexError(at)
    return body[at : at + size]


def _content(kind: str, first: int, size: int, body: bytes, at: int) -> tuple[Node, int]:
    content = _take(body, at, size)
    return Node(kind, content.decode() if kind == "str" else content, first), at + size


def _container(
    kind: str, first: int, count: int, body: bytes, at: int, depth: int
) -> tuple[Node, int]:
    if depth > DEEPEST:
        raise ValueError("too deep")
    nodes = []
    for _ in range(count * (1 + (kind == "map"))):
        node, at = _parse(body, at, depth + 1)
        nodes.append(node)
    return Node(kind, nodes, first), at
