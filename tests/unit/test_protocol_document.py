"""protocol.md against hpe/messages.py: neither may say what the other does not."""

import re
from enum import IntEnum

import msgpack
import msgspec
import pytest
from msgspec import inspect

from hpe import messages
from tests.conftest import PROJECT_ROOT
from tests.support import protocol_document as document

TEXT = (PROJECT_ROOT / "protocol.md").read_text(encoding="utf-8")
SECTIONS = document.sections(TEXT)
DOCUMENTED = document.messages(TEXT)
REQUESTS = (*messages.CONTROL, *messages.QUERIES, *messages.COMMANDS)
CLASSES = (*REQUESTS, *messages.REPLIES)
ENUMS = (
    messages.Side,
    messages.OrderType,
    messages.TimeInForce,
    messages.OrderStatus,
    messages.ExecType,
    messages.Liquidity,
    messages.RejectReason,
    messages.CancelReason,
)
YES_NO = {True: "yes", False: "no"}


def snake(name):
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def direction(message):
    if issubclass(message, messages.Request):
        return "request"
    return "report" if messages.type_number(message) >= messages.INTERNAL_FIRST else "reply"


def find(message):
    (found,) = [
        section
        for section in DOCUMENTED
        if (section.direction, section.type_number)
        == (direction(message), messages.type_number(message))
    ]
    return found


def spelled(value):
    """Give a default as the tables write it."""
    for text in ("2^31-1", "2^62", "2^63-1"):
        if value == document.number(text):
            return text
    return document.notation(value)


def described(kind):
    """Give the type and range columns of a field."""
    match kind:
        case inspect.UnionType():
            (inner,) = [each for each in kind.types if not isinstance(each, inspect.NoneType)]
            name, span = described(inner)
            return f"{name} or nil", span
        case inspect.IntType(ge=None, le=None):
            return "int", ""
        case inspect.IntType():
            return "int", f"{spelled(kind.ge)}..{spelled(kind.le)}"
        case inspect.EnumType():
            return "int", ", ".join(str(int(value)) for value in kind.cls)
        case inspect.StrType(max_length=None):
            return "str", ""
        case inspect.StrType():
            return "str", f"{kind.min_length or 0}..{kind.max_length} characters"
        case inspect.BoolType():
            return "bool", ""
        case inspect.ListType():
            return "array", ""
        case inspect.DictType():
            return "map", ""
    raise AssertionError(f"no words for {kind}")


def test_every_message_is_documented_once_and_nothing_else_is():
    expected = [
        (direction(each), messages.type_number(each), snake(each.__name__)) for each in CLASSES
    ]
    found = [section[:3] for section in DOCUMENTED]
    assert sorted(found) == sorted(expected)


def test_the_code_lists_every_message_class():
    """A message class that no tuple of messages.py lists would escape every other test here."""
    defined = {
        value
        for value in vars(messages).values()
        if isinstance(value, type)
        and issubclass(value, messages.Request | messages.Reply)
        and value not in (messages.Request, messages.Reply)
    }
    internal_replies = {
        messages.SessionAttachedResponse,
        messages.InternalResponse,
        messages.SessionClosedResponse,
        messages.TickResponse,
        messages.ConfigureResponse,
    }
    assert defined == {*CLASSES, *messages.INTERNAL} | internal_replies


@pytest.mark.parametrize("message", CLASSES, ids=lambda each: each.__name__)
def test_fields_of_a_message(message):
    """Position, name, type, range and default of every field, in wire order."""
    is_request = issubclass(message, messages.Request)
    implied = 1 if is_request else 2
    expected = []
    for position, field in enumerate(inspect.type_info(message).fields[implied:], implied + 1):
        name, span = described(field.type)
        row = {"#": str(position), "field": field.name, "type": name}
        if is_request:
            row |= {"range": span, "default": "" if field.required else spelled(field.default)}
        else:
            assert span == "", "replies have no ranges: the table has no column for one"
        expected.append(row)
    found = find(message).rows
    assert [{key: row[key] for key in row if key != "meaning"} for row in found] == expected
    assert all(row["meaning"] for row in found)


@pytest.mark.parametrize("message", CLASSES, ids=lambda each: each.__name__)
def test_example_of_a_message(message):
    """The hex is what the value written above it encodes to, in both codecs, and is valid."""
    section = find(message)
    length, body = int.from_bytes(section.frame[:4], "big"), section.frame[4:]
    assert length == len(body)
    value = msgpack.unpackb(body)
    assert document.notation(value) == section.value
    assert value[0] == messages.type_number(message)
    decoded = msgspec.msgpack.decode(body, type=message)
    assert msgspec.msgpack.encode(decoded) == body
    assert msgpack.packb(value) == body


@pytest.mark.parametrize("message", messages.REPLIES, ids=lambda each: each.__name__)
def test_examples_of_replies_use_defined_values(message):
    decoded = msgspec.msgpack.decode(find(message).frame[4:], type=message)
    if hasattr(decoded, "status"):
        messages.OrderStatus(decoded.status)
    if hasattr(decoded, "reason"):
        assert decoded.reason in {*messages.RejectReason, *messages.CancelReason}
    if isinstance(decoded, messages.Error):
        code = messages.ErrorCode(decoded.code)
        traits = messages.ERROR_TRAITS[code]
        assert decoded.name == code.name.lower()
        assert (decoded.retryable, decoded.fatal) == (traits.retryable, traits.fatal)
        assert decoded.executed is False


def test_message_table_pairs_requests_and_replies():
    rows = document.table(SECTIONS["Message table"], "type", "request", "reply")
    requests = {messages.type_number(each): snake(each.__name__) for each in REQUESTS}
    expected = [
        {
            "type": str(messages.type_number(reply)),
            "request": requests.get(messages.type_number(reply), "-"),
            "reply": snake(reply.__name__),
        }
        for reply in messages.REPLIES
    ]
    assert sorted(rows, key=str) == sorted(expected, key=str)
    assert {int(row["type"]) for row in rows} >= requests.keys()


def test_type_ranges():
    rows = document.table(SECTIONS["Type numbers"], "range", "to the server", "answered")
    starts = [1, messages.QUERY_FIRST, messages.COMMAND_FIRST, messages.INTERNAL_FIRST]
    ends = [*(start - 1 for start in starts[1:]), messages.TYPE_LAST]
    assert [row["range"] for row in rows] == [
        f"{first}-{last}" for first, last in zip(starts, ends, strict=True)
    ]
    groups = (messages.CONTROL, messages.QUERIES, messages.COMMANDS, messages.INTERNAL)
    for group, first, last in zip(groups, starts, ends, strict=True):
        assert all(first <= messages.type_number(each) <= last for each in group)


def test_internal_commands():
    rows = document.table(SECTIONS["Internal commands"], "type", "name", "meaning")
    assert [(int(row["type"]), row["name"]) for row in rows] == [
        (messages.type_number(each), snake(each.__name__)) for each in messages.INTERNAL
    ]


def test_limits():
    rows = document.table(SECTIONS["Limits"], "constant", "value", "why")
    limits = {row["constant"]: document.number(row["value"]) for row in rows}
    expected = {
        name: value
        for name, value in vars(messages).items()
        if name.endswith(("_MAX", "_DEFAULT", "_VERSION"))
    }
    assert limits == expected


def test_flags():
    (of_replies, of_orders) = document.tables(SECTIONS["Flags"])
    assert {row["constant"]: int(row["value"]) for row in of_replies} == {
        name: value for name, value in vars(messages).items() if name.startswith("FLAG_")
    }
    values = {row["constant"]: int(row["value"]) for row in of_orders}
    assert all(getattr(messages, name) == value for name, value in values.items())
    assert sum(values.values()) == messages.ORDER_FLAGS_ALL


@pytest.mark.parametrize("enum", ENUMS, ids=lambda each: each.__name__)
def test_values_of_an_enum_in_their_order(enum):
    rows = document.table(SECTIONS[enum.__name__], "value", "name", "meaning")
    assert [(int(row["value"]), row["name"]) for row in rows] == [
        (int(value), value.name.lower()) for value in enum
    ]


def test_every_enum_that_clients_see_is_documented():
    defined = {
        value
        for value in vars(messages).values()
        if isinstance(value, type) and issubclass(value, IntEnum) and value is not IntEnum
    }
    assert defined == {*ENUMS, messages.ErrorCode, messages.DetachCause}


def test_reject_reasons_are_numbered_by_precedence():
    assert [int(reason) for reason in messages.RejectReason] == list(
        range(len(messages.RejectReason))
    )
    assert not {int(each) for each in messages.RejectReason} & {
        int(each) for each in messages.CancelReason
    }


def listed_after(phrase, text):
    """Give the names of the sentence that starts with a phrase."""
    found = re.search(rf"{phrase}: ([a-z_,\s]+)\.", text)
    return re.findall(r"\w+", found[1]) if found else []


@pytest.mark.parametrize("message", messages.COMMANDS, ids=lambda each: each.__name__)
def test_rejects_of_a_command_are_reasons_in_precedence_order(message):
    number, name = messages.type_number(message), snake(message.__name__)
    text = SECTIONS[f"Request {number} `{name}`"]
    rejects = listed_after("Rejects, in order", text)
    assert rejects, "every command can be rejected"
    reasons = [messages.RejectReason[each.upper()] for each in rejects]
    assert reasons == sorted(reasons)
    for each in listed_after("Cancel reasons", text):
        assert messages.CancelReason[each.upper()]


def test_every_reason_belongs_to_some_command():
    text = "".join(
        SECTIONS[f"Request {messages.type_number(each)} `{snake(each.__name__)}`"]
        for each in messages.COMMANDS
    )
    used = re.findall(r"\w+", text)
    for reason in [*messages.RejectReason][1:]:
        assert reason.name.lower() in used
    life = document.table(
        SECTIONS["The life of an order"], "what happens", "status", "leaves", "reason"
    )
    for row in life:
        value, _, name = row["status"].partition(" ")
        assert messages.OrderStatus(int(value)).name.lower() == name
    explained = {row["reason"] for row in life}
    for cancel in messages.CancelReason:
        assert f"{int(cancel)} {cancel.name.lower()}" in explained


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
        for code, traits in messages.ERROR_TRAITS.items()
    ]
    assert list(messages.ERROR_TRAITS) == list(messages.ErrorCode)


def test_columns_of_replies_with_listed_rows():
    text = SECTIONS["Reply 35 `instruments_reply`"]
    (columns,) = re.findall(r"A row is `\[([a-z_,\s]+)\]`", text)
    assert tuple(re.findall(r"\w+", columns)) == messages.InstrumentRow.__struct_fields__


def test_frame_example_in_the_conventions():
    value, frame = document.example(SECTIONS["Frames"].partition("```\n\n-")[2])
    assert msgpack.unpackb(frame[4:]) == [2, 2]
    assert (value, int.from_bytes(frame[:4], "big")) == ("[2, 2]", len(frame) - 4)
    assert msgspec.msgpack.decode(frame[4:], type=messages.Ping) == messages.Ping(2)


def test_guarantees_are_numbered_without_gap():
    numbers = [int(each) for each in re.findall(r"^(\d+)\. ", SECTIONS["Guarantees"], re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) > 10
