"""docs/state-format.md against hpe/core/state/rows.py: neither may say more than the other."""

import json
import re

import msgspec
import pytest
from msgspec import inspect

from hpe.core.contract import CORE_VERSION
from hpe.core.state.rows import KINDS, ONCE, DumpedHead, DumpedOrder
from hpe.protocol.limits import INT_MAX
from tests.conftest import PROJECT_ROOT
from tests.support import protocol_document as document
from tests.support.dumps import chunks_of

TEXT = (PROJECT_ROOT / "docs" / "state-format.md").read_text(encoding="utf-8")
SECTIONS = document.sections(TEXT)
COLUMNS = ("#", "field", "type", "unit", "meaning")
FIRST_KIND, LAST_KIND = 1, 127  # one byte each

each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def name_of(kind):
    return kind.__name__.removeprefix("Dumped").lower()


def number_of(kind):
    return kind.__struct_config__.tag


def section_of(kind):
    return SECTIONS[f"Kind {number_of(kind)} `{name_of(kind)}`"]


def described(kind):
    """Return the type column of a field."""
    match kind:
        case inspect.BoolType():
            return "bool"
        case inspect.StrType():
            return "str"
        case inspect.BytesType():
            return "bytes"
        case inspect.ListType():
            return f"array of {described(kind.item_type)}"
        case inspect.EnumType():
            return ", ".join(str(int(value)) for value in kind.cls)
        case inspect.IntType(ge=0):
            return {INT_MAX: "uint", 2**32 - 1: "u32"}[kind.le]
        case inspect.IntType():
            assert (kind.ge, kind.le) == (-INT_MAX, INT_MAX)
            return "int"
    raise AssertionError(f"no words for {kind}")


def test_every_kind_is_documented_once_in_order_and_nothing_else_is():
    found = re.findall(r"^### Kind (\d+) `(\w+)`$", TEXT, flags=re.MULTILINE)
    assert found == [(str(number_of(kind)), name_of(kind)) for kind in KINDS]
    assert len({name for _, name in found}) == len(found)


def test_kinds_are_numbered_without_gap_in_one_byte():
    assert [number_of(kind) for kind in KINDS] == list(range(FIRST_KIND, len(KINDS) + 1))
    assert len(KINDS) <= LAST_KIND


@each_kind
def test_fields_of_a_kind(kind):
    rows = document.numbered_rows(section_of(kind))
    if issubclass(kind, DumpedOrder):
        assert 'Fields as in "Fields of an order"' in section_of(kind)
        rows = document.table(SECTIONS["Fields of an order"], *COLUMNS) + rows
    fields = inspect.type_info(kind).fields
    expected = [
        (str(number), field.name, described(field.type)) for number, field in enumerate(fields, 1)
    ]
    assert [(row["#"], row["field"], row["type"]) for row in rows] == expected
    for field in fields:
        assert field.required, f"{field.name} may be left out"


@each_kind
def test_key_of_a_kind(kind):
    text = " ".join(section_of(kind).split())
    names = ", ".join(f"`{name}`" for name in kind.KEY)
    if kind in ONCE:
        assert not kind.KEY
        assert re.match(r".*\. Always the \w+ row\.|Always the last row\.", text)
    elif not kind.KEY:
        assert kind.QUEUED
        assert "In the queue." in text
    else:
        queued = ", then in the queue" if kind.QUEUED else ""
        assert f"Sorted by {names}{queued}." in text
    assert set(kind.KEY) <= set(kind.__struct_fields__)


def test_types_of_the_tables_are_explained():
    rows = document.table(SECTIONS["The dump"], "type", "values")
    types = {described(field.type) for kind in KINDS for field in inspect.type_info(kind).fields}
    listed = {row["type"] for row in rows}
    assert types - listed == {each for each in types if re.fullmatch(r"\d(, \d)*", each)} - listed
    assert "1, 2" in listed
    assert len(rows) == len(listed), "one of them stands there twice"
    values = {row["type"]: row["values"] for row in rows}
    assert INT_MAX == 2**63 - 1
    assert values["uint"] == "0..2^63-1"
    assert values["int"] == "-(2^63-1)..2^63-1"
    assert values["u32"] == "0..2^32-1"


def test_the_version_is_the_first_field_of_the_first_row():
    assert KINDS[0] is DumpedHead
    assert DumpedHead.__struct_fields__[0] == "version"
    assert f"this build is core version {CORE_VERSION}" in SECTIONS["Loading"]


def test_fields_of_golden_vectors():
    rows = document.table(SECTIONS["Golden vectors"], "field", "content")
    files = sorted((PROJECT_ROOT / "tests" / "vectors").glob("*.json"))
    assert files
    for file in files:
        assert [row["field"] for row in rows] == [*json.loads(file.read_text(encoding="utf-8"))]


def test_operators_learn_the_version():
    text = (PROJECT_ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert f"This is core version {CORE_VERSION}." in " ".join(text.split())


def test_the_example_is_the_dump_of_a_new_core(new_core):
    core = new_core()
    lines = re.search(r"^```\n(.*?)^```$", SECTIONS["Example"], re.MULTILINE | re.DOTALL)[1]
    values, dump = "", b""
    for line in lines.splitlines():
        if re.fullmatch(r"[0-9a-f]{2}( [0-9a-f]{2})*", line):
            dump += bytes.fromhex(line)
        else:
            values += line if values[-1:] in ("", "]") else f" {line}"
    assert list(core.dump()) == chunks_of(dump)
    written = "".join(document.notation(msgspec.msgpack.decode(row)) for row in core.dump())
    assert values == written
    assert f"`{core.state_hash().hex()}`" in SECTIONS["Example"]
