"""protocol.json: the wire as data, generated from the registry, for programs in other languages.

`python -m hpe.protocol.export > protocol.json` regenerates it. Otherwise pure; the same registry
gives the same bytes. It leaves out what clients may not send and never receive.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from typing import Any, Final, get_args

import msgspec
from msgspec import inspect as types

from hpe.protocol import flags, limits
from hpe.protocol.base import Reply, Request, type_number
from hpe.protocol.codes import ERROR_CASES, ERROR_TRAITS
from hpe.protocol.frames import frame
from hpe.protocol.registry import (
    ARRAYS,
    COMMANDS,
    CONTROL,
    EMBEDDED,
    ENUMS,
    QUERIES,
    REPLIES,
    ROWS,
    SIGNED,
    Row,
)
from hpe.protocol.vectors import vectors_of

EXACT_MAX: Final = 2**53 - 1
"""Largest integer that every reader of JSON keeps exact; larger ones become strings of digits."""

LINE_CHARS: Final = 120
"""A field or a table row that fits into this many characters is written on one line."""

_NOTES: Final = {
    "source": "made by `python -m hpe.protocol.export`; protocol.md says what all of it means",
    "integers": "beyond 2^53-1 they are strings of their digits",
    "bytes": "byte strings and frames are hexadecimal",
    "message": "the array [type, ...fields]; a frame is its length, u32 big-endian, and the array",
    "default": "a field that has one may be left out of a request if all after it are left out too",
    "array": "the array that the field is: `arrays` has its fields",
    "items": "what its rows are: one of `arrays`, or messages of any of these names",
    "messages": "the field is a message of any of these names",
    "nil": "the field may be nil",
    "pattern": "a regular expression of ECMAScript",
}


def protocol() -> dict[str, Any]:
    """Return the whole document as plain values."""
    return {
        "notes": _NOTES,
        "version": limits.PROTOCOL_VERSION,
        "limits": _constants(limits),
        "flags": _constants(flags),
        "enums": {kind.__name__: {e.name.lower(): int(e) for e in kind} for kind in ENUMS},
        "error_codes": [
            {"code": int(code), "name": code.name.lower(), **msgspec.structs.asdict(trait)}
            for code, trait in ERROR_TRAITS.items()
        ],
        "error_texts": [{"code": int(case.code), "text": case.text} for case in ERROR_CASES],
        "arrays": {
            **{name: _columns(row) for name, row in ROWS.items()},
            **{kind.__name__: _fields(kind) for kind in ARRAYS},
        },
        "messages": [
            _message(kind, group)
            for group, kinds in (
                ("control", CONTROL),
                ("query", QUERIES),
                ("command", COMMANDS),
                ("reply", REPLIES),
                ("embedded", EMBEDDED),
            )
            for kind in kinds
        ],
    }


def text_of(document: dict[str, Any]) -> str:
    """Return the document as JSON, one field per line."""
    return _laid_out(document, 0) + "\n"


def _constants(module: Any) -> dict[str, Any]:
    names = [name for name in vars(module) if name.isupper() and not name.endswith("_FLAGS_ALL")]
    return {name: _exact(getattr(module, name)) for name in names}


def _columns(row: Row) -> list[dict[str, Any]]:
    found = []
    for name, kind in zip(row.columns, get_args(row.kind), strict=True):
        of_name = _range_of(name) if kind is int else {}
        found.append({"name": name, "type": kind.__name__, **of_name})
    return found


def _range_of(name: str) -> dict[str, Any]:
    """Return the range of an integer that the server sends."""
    return _given(min=-limits.INT_MAX if name in SIGNED else 0, max=limits.INT_MAX)


def _message(kind: type[Request] | type[Reply], group: str) -> dict[str, Any]:
    return {
        "name": _snake(kind.__name__),
        "type": type_number(kind),
        "group": group,
        "to": "server" if issubclass(kind, Request) else "client",
        "about": inspect.getdoc(kind),
        "fields": _fields(kind),
        "vectors": [
            {
                "name": name,
                "value": _exact(array),
                "frame": frame(msgspec.msgpack.encode(array)).hex(),
            }
            for name, array in vectors_of(kind).items()
        ],
    }


def _fields(kind: type[msgspec.Struct]) -> list[dict[str, Any]]:
    written: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        written |= inspect.get_annotations(base)
    described = types.type_info(kind)
    assert isinstance(described, types.StructType)
    found = []
    for field in described.fields:
        row = {"name": field.name, **_type(field.type)}
        if row["type"] == "int" and not row.keys() & {"enum", "max"}:
            row |= _range_of(field.name)
        item = re.fullmatch(r"list\[(\w+)\]", written[field.name])
        if item is not None and "items" not in row:
            row["items"] = item[1]
        if not field.required:
            row["default"] = _exact(field.default)
        found.append(row)
    return found


def _type(kind: types.Type) -> dict[str, Any]:
    match kind:
        case types.UnionType():
            others = [each for each in kind.types if not isinstance(each, types.NoneType)]
            nil = {"nil": True} if len(others) < len(kind.types) else {}
            if len(others) == 1:
                return {**_type(others[0]), **nil}
            names = [
                _snake(each.cls.__name__) for each in others if isinstance(each, types.StructType)
            ]
            return {"type": "array", "messages": names, **nil}
        case types.EnumType():
            return {"type": "int", "enum": kind.cls.__name__}
        case types.IntType():
            return {"type": "int"} | _given(min=kind.ge, max=kind.le, multiple_of=kind.multiple_of)
        case types.StrType():
            # The end of a text is \Z in Python and $ everywhere else.
            pattern = None if kind.pattern is None else kind.pattern.replace(r"\Z", "$")
            lengths = _given(min_length=kind.min_length, max_length=kind.max_length)
            return {"type": "str"} | lengths | _given(pattern=pattern)
        case types.BytesType():
            lengths = _given(min_length=kind.min_length, max_length=kind.max_length)
            return {"type": "bytes"} | lengths
        case types.BoolType():
            return {"type": "bool"}
        case types.ListType():
            return {"type": "array"} | _given(items=_type(kind.item_type).get("messages"))
        case types.TupleType():
            return {"type": "array"}
        case types.StructType():
            return {"type": "array", "array": kind.cls.__name__}
        case types.DictType():
            return {"type": "map"}
    raise AssertionError(f"no words for {kind}")


def _given(**values: Any) -> dict[str, Any]:
    return {name: _exact(value) for name, value in values.items() if value is not None}


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _exact(value: Any) -> Any:
    match value:
        case bool() | None | str() | float():
            return value
        case bytes():
            return value.hex()
        case int():
            return int(value) if abs(value) <= EXACT_MAX else str(int(value))
        case list():
            return [_exact(each) for each in value]
        case dict():
            return {name: _exact(each) for name, each in value.items()}
    raise AssertionError(f"no words for {value!r}")


def _laid_out(value: Any, indent: int) -> str:
    """Return JSON in which a vector's values, and whatever fits one line, are on one line."""
    flat = json.dumps(value, ensure_ascii=False)
    margin = " " * (indent + 1)
    if len(flat) + indent > LINE_CHARS:
        if isinstance(value, dict):
            rows = [
                f'{margin}"{name}": {_laid_out(each, indent + 1)}' for name, each in value.items()
            ]
            return "{\n" + ",\n".join(rows) + f"\n{margin[1:]}}}"
        if isinstance(value, list) and isinstance(value[0], dict):
            rows = [margin + _laid_out(each, indent + 1) for each in value]
            return "[\n" + ",\n".join(rows) + f"\n{margin[1:]}]"
    return flat


if __name__ == "__main__":
    sys.stdout.write(text_of(protocol()))
