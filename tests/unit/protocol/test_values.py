"""protocol.md's tables of values against the code: constants, enums, roles, channels, errors."""

import re
from enum import IntEnum

import pytest

from hpe.core.contract import DEFAULT_LIMITS
from hpe.core.permissions import SCOPES, Scope
from hpe.protocol.base import type_number
from hpe.protocol.codes import (
    ERROR_TRAITS,
    RESERVED_CODES,
    CancelReason,
    ErrorCode,
    RejectReason,
)
from hpe.protocol.enums import (
    Channel,
    DetachCause,
    ExecType,
    Role,
)
from hpe.protocol.flags import HELLO_FLAGS_ALL, LOGOUT_FLAGS_ALL, ORDER_FLAGS_ALL
from hpe.protocol.market_data import MarketUpdate
from hpe.protocol.registry import COMMANDS, CONTROL, ENUMS, INTERNAL, QUERIES
from hpe.protocol.reports import PrivateReport
from tests.conftest import PROJECT_ROOT
from tests.support import protocol_document as document
from tests.support.protocol_document import snake
from tests.support.wire_facts import facts

SECTIONS = document.sections((PROJECT_ROOT / "protocol.md").read_text(encoding="utf-8"))
REQUESTS = (*CONTROL, *QUERIES, *COMMANDS)
YES_NO = {True: "yes", False: "no"}


def test_internal_commands():
    rows = document.table(SECTIONS["Internal commands"], "type", "name", "meaning")
    assert [(int(row["type"]), row["name"]) for row in rows] == [
        (type_number(each), snake(each.__name__)) for each in INTERNAL
    ]


def test_limits():
    rows = document.table(SECTIONS["Limits"], "constant", "value", "why")
    limits = {row["constant"]: document.number(row["value"]) for row in rows}
    no_limits = ("FLAG_", "ORDER_", "HELLO_", "LOGOUT_")
    type_numbers = {"QUERY_FIRST", "COMMAND_FIRST", "INTERNAL_FIRST", "TYPE_LAST"}
    expected = {
        name: value
        for name, value in facts().items()
        if name.isupper() and type(value) is int  # no booleans
        if not name.startswith(no_limits) and name not in type_numbers
    }
    assert limits == expected


def test_limits_of_a_core():
    rows = document.table(SECTIONS["Limits of a core"], "limit", "value", "of what")
    limits = DEFAULT_LIMITS._asdict()
    room = limits.pop("room")
    limits |= {f"room.{name}": value for name, value in room._asdict().items()}
    limits["room"] = limits.pop("room.room")
    values = {row["limit"]: tuple(map(int, row["value"].split(", "))) for row in rows}
    acts = {"acts": limits.pop("acts")}
    assert values == acts | {name: (value,) for name, value in limits.items()}
    assert len(rows) == len(values), "one of them stands there twice"


def test_flags():
    groups = document.tables(SECTIONS["Flags"])
    for prefix, rows in zip(("FLAG_", "ORDER_", "HELLO_", "LOGOUT_"), groups, strict=True):
        assert {row["constant"]: int(row["value"]) for row in rows} == {
            name: value
            for name, value in facts().items()
            if name.startswith(prefix) and not name.endswith("_FLAGS_ALL")
        }
    values = [sum(int(row["value"]) for row in rows) for rows in groups]
    assert values[1:] == [
        ORDER_FLAGS_ALL,
        HELLO_FLAGS_ALL,
        LOGOUT_FLAGS_ALL,
    ]


@pytest.mark.parametrize("enum", ENUMS, ids=lambda each: each.__name__)
def test_values_of_an_enum_in_their_order(enum):
    rows = document.table(SECTIONS[enum.__name__], "value", "name", "meaning")
    assert [(int(row["value"]), row["name"]) for row in rows] == [
        (int(value), value.name.lower()) for value in enum
    ]


def test_every_enum_that_clients_see_is_documented():
    defined = {
        value
        for value in facts().values()
        if isinstance(value, type) and issubclass(value, IntEnum) and value is not IntEnum
    }
    assert defined == {*ENUMS, ErrorCode, DetachCause}


def test_a_reason_is_a_reject_or_a_cancel():
    assert not {int(each) for each in RejectReason} & {int(each) for each in CancelReason}


@pytest.mark.parametrize("role", Role, ids=lambda role: role.name.lower())
def test_roles_are_those_of_the_core(role):
    """Every request once, and for every role the scope that the core refuses by."""
    words = {Scope.NOBODY: "no", Scope.OWN: "own", Scope.ANYBODY: "any"}
    names = [each.name.lower() for each in Role]
    rows = document.table(SECTIONS["Roles"], "request", *names)
    listed = [
        (request, row[role.name.lower()]) for row in rows for request in row["request"].split(", ")
    ]
    assert len(dict(listed)) == len(listed)
    assert dict(listed) == {snake(kind.__name__): words[s] for kind, s in SCOPES[role].items()}
    assert {request for request, _ in listed} == {snake(each.__name__) for each in REQUESTS}


def test_channels_name_their_messages():
    (rows,) = document.tables(SECTIONS["Channels"])
    assert [row["channel"] for row in rows] == [
        f"{int(each)} {each.name.lower()}" for each in Channel
    ]
    known = {snake(each.__name__) for each in MarketUpdate.__args__}
    assert {row["snapshot"].split()[0] for row in rows} <= known


def test_private_reports_are_those_of_the_stream():
    """The table of what is reported names every kind of report and every exec type but fills."""
    (rows,) = document.tables(SECTIONS["What is reported"])
    assert {row["report"].split()[0] for row in rows} == {
        snake(each.__name__) for each in PrivateReport.__args__
    }
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row["report"])]
    assert sorted(named) == sorted(
        each.name.lower() for each in ExecType if each is not ExecType.TRADE
    )


def test_error_codes():
    rows = document.table(SECTIONS["Error codes"], "code", "name", "retryable", "fatal", "meaning")
    assert rows == [
        {
            "code": str(int(code)),
            "name": code.name.lower(),
            "retryable": YES_NO[traits.retryable],
            "fatal": YES_NO[traits.fatal],
            "meaning": traits.text,
        }
        for code, traits in ERROR_TRAITS.items()
    ]
    assert list(ERROR_TRAITS) == list(ErrorCode)


def test_nothing_sends_a_reserved_code() -> None:
    sent = {
        name
        for path in (PROJECT_ROOT / "hpe").rglob("*.py")
        if path.name != "codes.py"
        for name in re.findall(r"ErrorCode\.([A-Z_]+)", path.read_text())
    }
    assert "BUSY" in sent
    assert not sent & {code.name for code in RESERVED_CODES}
