"""Decode the fields of requests by table: find the wrong one, or return all values.

Part of the deterministic core; tables built once from the registry of messages, and pure
functions. A fast library decodes good requests; this module judges what it refused, names the
field, and is the authority where the two differ. Order of judgment: each field that is present, in
order, first its type, then its range, an array's content before the next field; then the first
missing field; then excess fields, which have no name. Source: protocol.md, "Error codes".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import inspect

from hpe.core.decoding.wellformed import Value, ValueKind, read_value, value_end
from hpe.protocol.limits import INT_MAX


class BadField(Exception):
    """A field is missing, mistyped or out of range; `field` is its name, "" for an excess one."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


class Rule(NamedTuple):
    """What one element of an array may be.

    `low` and `high` bound an integer, or the length of a string in code points, of a binary in
    bytes, of a list in elements. `allowed`: an integer must be one of these. `rows` describes an
    array inside: `make` is called with its fields, in order. `item` is the rule for a list's
    elements.
    """

    kind: ValueKind
    low: int = 0
    high: int = INT_MAX
    nullable: bool = False
    multiple_of: int = 1
    allowed: frozenset[int] | None = None
    pattern: re.Pattern[str] | None = None
    make: Callable[..., Any] | None = None
    rows: Rows | None = None
    item: Rule | None = None


class Field(NamedTuple):
    """One field of a message: its name on the wire, its rule, and whether it may be missing."""

    name: str
    rule: Rule
    required: bool


class Rows(NamedTuple):
    """The fields of one message, or of one array inside a message."""

    make: Callable[..., Any]
    fields: tuple[Field, ...]


def rows_of(message: type[msgspec.Struct]) -> Rows:
    """Return the table of a message class."""
    described = inspect.type_info(message)
    assert isinstance(described, inspect.StructType)
    return _rows(described)


def _rows(described: inspect.StructType) -> Rows:
    fields = tuple(
        Field(field.encode_name, _rule(field.type), field.required) for field in described.fields
    )
    return Rows(described.cls, fields)


def _rule(described: inspect.Type) -> Rule:
    match described:
        case inspect.UnionType(types=types):
            (only,) = [each for each in types if not isinstance(each, inspect.NoneType)]
            return _rule(only)._replace(nullable=True)
        case inspect.BoolType():
            return Rule(ValueKind.BOOL)
        case inspect.EnumType(cls=cls):
            return Rule(ValueKind.INTEGER, allowed=frozenset(each.value for each in cls), make=cls)
        case inspect.IntType(ge=low, le=high, multiple_of=step):
            return Rule(ValueKind.INTEGER, _bounded(low), _bounded(high), multiple_of=step or 1)
        case inspect.StrType(min_length=low, max_length=high, pattern=pattern):
            compiled = re.compile(pattern) if pattern else None
            return Rule(ValueKind.STRING, low or 0, _bounded(high), pattern=compiled)
        case inspect.BytesType(min_length=low, max_length=high):
            return Rule(ValueKind.BINARY, low or 0, _bounded(high))
        case inspect.StructType():
            return Rule(ValueKind.ARRAY, rows=_rows(described))
        case inspect.ListType(item_type=item):
            return Rule(ValueKind.ARRAY, item=_rule(item))
    raise TypeError(f"no rule for {described}")


def _bounded(bound: int | None) -> int:
    assert bound is not None, "everything in a request has its bounds"
    return bound


def read_fields(rows: Rows, body: bytes, position: int, count: int) -> tuple[list[Any], int]:
    """Read `count` consecutive values in a well-formed body.

    Returns:
        The fields' values (those with a default only if present), and the offset after the last
        one.

    Raises:
        BadField: a field is wrong; names the first one.
    """
    values: list[Any] = []
    for field in rows.fields[:count]:
        value, position = _read(field.name, field.rule, body, position)
        values.append(value)
    for field in rows.fields[count:]:
        if field.required:
            raise BadField(field.name)
    if count > len(rows.fields):
        raise BadField("")
    return values, position


def _read(name: str, rule: Rule, body: bytes, position: int) -> tuple[Any, int]:
    """Read one field: check its type, then its range, then its content."""
    value = read_value(body, position)
    if value.kind is ValueKind.NIL and rule.nullable:
        return None, value.end
    if value.kind is not rule.kind:
        raise BadField(name)
    if value.kind is not ValueKind.ARRAY:
        return _SCALARS[value.kind](name, rule, body, value), value.end
    if rule.rows is not None:
        return _read_array(name, rule.rows, body, value)
    assert rule.item is not None
    items, position = [], value.end
    for _ in range(value.number):
        item, position = _read(name, rule.item, body, position)
        items.append(item)
    return items, position


def _read_array(name: str, rows: Rows, body: bytes, value: Value) -> tuple[Any, int]:
    try:
        values, position = read_fields(rows, body, value.end, value.number)
    except BadField as fault:
        raise BadField(f"{name}.{fault.field}" if fault.field else name) from None
    return rows.make(*values), position


def _bool(_name: str, _rule: Rule, _body: bytes, value: Value) -> bool:
    return bool(value.number)


def _integer(name: str, rule: Rule, _body: bytes, value: Value) -> int:
    number = value.number
    good = number in rule.allowed if rule.allowed is not None else rule.low <= number <= rule.high
    if not good or number % rule.multiple_of:
        raise BadField(name)
    return number if rule.make is None else int(rule.make(number))


def _string(name: str, rule: Rule, body: bytes, value: Value) -> str:
    text = body[value.start : value.end].decode()
    if not rule.low <= len(text) <= rule.high or (rule.pattern and not rule.pattern.search(text)):
        raise BadField(name)
    return text


def _binary(name: str, rule: Rule, body: bytes, value: Value) -> bytes:
    content = body[value.start : value.end]
    if not rule.low <= len(content) <= rule.high:
        raise BadField(name)
    return content


_SCALARS: Final[dict[ValueKind, Callable[[str, Rule, bytes, Value], Any]]] = {
    ValueKind.BOOL: _bool,
    ValueKind.INTEGER: _integer,
    ValueKind.STRING: _string,
    ValueKind.BINARY: _binary,
}


def skip_values(body: bytes, position: int, count: int) -> int:
    """Return the offset after the last of `count` values in a well-formed body."""
    for _ in range(count):
        position = value_end(body, position)
    return position
