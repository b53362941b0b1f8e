"""The registry of messages and the error codes as flat rows: the compiled core's tables.

Part of the deterministic core; run once, at import. Names and ranges come from the messages
themselves, as those of the reference do (hpe/core/decoding/fields.py): they are written once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec
from msgspec import inspect

from hpe.core.codec import error_body
from hpe.core.decoding.fields import Rows, Rule, rows_of
from hpe.core.decoding.wellformed import ValueKind
from hpe.core.permissions import SCOPES, Scope
from hpe.protocol.codes import (
    BATCH_FULL,
    CALL_TOO_DEEP,
    ERROR_TRAITS,
    QUERIES_FULL,
    UNFINISHED,
    ErrorCase,
    ErrorCode,
)

NOTHING: Final = -1
"""No rows, no item, no slot: NO_ROWS of fields.pxd."""

PRINTABLE: Final = r"^[!-~]+\Z"
"""The one pattern of strings that a client sends to the core."""

REFUSAL_CASES: Final = (BATCH_FULL, UNFINISHED, QUERIES_FULL, CALL_TOO_DEEP)
"""RefusalCase of refusals.pxd: their numbers follow that of the highest error code."""


class FlatRule(NamedTuple):
    """A rule as fields.pxd has it; `rows` and `item` are places in the lists of FlatTables."""

    name: bytes
    kind: int
    nullable: bool
    required: bool
    printable: bool
    low: int
    high: int
    multiple_of: int
    allowed: int
    rows: int
    item: int
    slot: int


@dataclass(slots=True)
class FlatTables:
    """All rules; rows are (first rule, number of rules).

    `messages`: type -> the place of its rows. `absent`: type -> (values, which of them are nil) of
    a request whose fields are all missing. `slots`: type -> the name of each slot's field.
    """

    rules: list[FlatRule] = field(default_factory=list)
    rows: list[tuple[int, int]] = field(default_factory=list)
    messages: dict[int, int] = field(default_factory=dict)
    absent: dict[int, tuple[list[int], int]] = field(default_factory=dict)
    slots: dict[int, list[str]] = field(default_factory=dict)


def flat_tables(messages: dict[int, type[msgspec.Struct]]) -> FlatTables:
    """Return the tables of these messages, by type number."""
    tables = FlatTables()
    for number, message in messages.items():
        slots: list[str] = []
        tables.messages[number] = _add_rows(tables, rows_of(message), "", slots)
        tables.slots[number] = slots
        tables.absent[number] = _absent(message, slots)
    return tables


def _add_rows(tables: FlatTables, rows: Rows, prefix: str, slots: list[str] | None) -> int:
    """Add rows and what they contain; return their place."""
    place, first = len(tables.rows), len(tables.rules)
    tables.rows.append((first, len(rows.fields)))
    # The fields of one array stand together, so those inside follow after all of them.
    tables.rules += [_NOT_YET] * len(rows.fields)
    slot = NOTHING if slots is None else len(slots)
    if slots is not None:
        slots += [prefix + each.name for each in rows.fields]
    for number, each in enumerate(rows.fields):
        tables.rules[first + number] = _flat(
            tables, prefix + each.name, each.rule, required=each.required,
            slot=NOTHING if slots is None else slot + number, slots=slots,
        )  # fmt: skip
    return place


def _flat(
    tables: FlatTables, name: str, rule: Rule, *, required: bool, slot: int, slots: list[str] | None
) -> FlatRule:
    assert rule.pattern is None or rule.pattern.pattern == PRINTABLE, (name, rule.pattern)
    rows = item = NOTHING
    if rule.rows is not None:
        rows = _add_rows(tables, rule.rows, f"{name}.", slots)
    if rule.item is not None:
        inner = _flat(tables, name, rule.item, required=True, slot=NOTHING, slots=None)
        item = len(tables.rules)
        tables.rules.append(inner)
    return FlatRule(
        name.encode(), rule.kind, rule.nullable, required, rule.pattern is not None, rule.low,
        rule.high, rule.multiple_of, sum(1 << number for number in rule.allowed or ()), rows, item,
        slot,
    )  # fmt: skip


_NOT_YET: Final = FlatRule(b"", ValueKind.NIL, False, False, False, 0, 0, 1, 0, -1, -1, -1)


def _absent(message: type[msgspec.Struct], slots: list[str]) -> tuple[list[int], int]:
    """Return what each slot holds if its field is missing, and which are nil."""
    values, nulls = [0] * len(slots), 0
    for place, name in enumerate(slots):
        default = _default(message, name.split("."))
        if default is None:
            nulls |= 1 << place
        elif isinstance(default, int):
            values[place] = int(default)
    return values, nulls


def _default(message: type[msgspec.Struct], path: list[str]) -> object:
    """Return the default of a field, 0 if it has none or is an array."""
    described = inspect.type_info(message)
    assert isinstance(described, inspect.StructType)
    (found,) = [each for each in described.fields if each.encode_name == path[0]]
    if len(path) > 1:
        kind = found.type
        if isinstance(kind, inspect.UnionType):
            (kind,) = [each for each in kind.types if not isinstance(each, inspect.NoneType)]
        assert isinstance(kind, inspect.StructType)
        return _default(kind.cls, path[1:])
    return 0 if found.default is msgspec.NODEFAULT else found.default


class FlatPermissions(NamedTuple):
    """The table of permissions as permissions.pxd has it.

    `scopes`: (role, type) -> scope. `named`: type -> the slots of user, to_user and all_users,
    NOTHING for a field that it does not have.
    """

    scopes: dict[tuple[int, int], int]
    named: dict[int, tuple[int, ...]]


def flat_permissions(
    messages: dict[int, type[msgspec.Struct]], tables: FlatTables
) -> FlatPermissions:
    """Return who may send these messages, by type number; `tables` are theirs."""
    scopes: dict[tuple[int, int], int] = {}
    for role, by_kind in SCOPES.items():
        found: dict[type, Scope] = dict(by_kind)
        for number, message in messages.items():
            scopes[role, number] = found.get(message, Scope.ANYBODY)
    named = {number: _named(tables.slots[number]) for number in messages}
    return FlatPermissions(scopes, named)


def _named(slots: list[str]) -> tuple[int, ...]:
    names = ("user", "to_user", "all_users")
    return tuple(slots.index(name) if name in slots else NOTHING for name in names)


class FlatRefusal(NamedTuple):
    """What follows the request id in a refusal, and whether the connection ends."""

    tail: bytes
    fatal: bool


def flat_refusals() -> dict[int, FlatRefusal]:
    """Return the refusals of all codes and cases, by number."""
    cases = [ErrorCase(code, "") for code in ErrorCode if code in ERROR_TRAITS]
    numbered = {int(case.code): case for case in cases}
    numbered |= dict(enumerate(REFUSAL_CASES, max(ErrorCode) + 1))
    return {
        # Array header, type and request id take one byte each.
        number: FlatRefusal(error_body(0, *case)[3:], ERROR_TRAITS[case.code].fatal)
        for number, case in numbered.items()
    }
