"""protocol.md against hpe/protocol/: neither may say anything that the other does not."""

import ast
import re

import msgpack
import msgspec
import pytest
from msgspec import inspect

from hpe.protocol.base import Reply, Request, type_number
from hpe.protocol.codes import (
    ERROR_CASES,
    ERROR_TRAITS,
    CancelReason,
    ErrorCase,
    ErrorCode,
    RejectReason,
)
from hpe.protocol.control import Error, Ping
from hpe.protocol.enums import InstrumentStatus, OrderStatus, OrderType, SelfTrade, TimeInForce
from hpe.protocol.frames import HINTS
from hpe.protocol.limits import COMMAND_FIRST, INTERNAL_FIRST, QUERY_FIRST, TYPE_LAST
from hpe.protocol.listings import InstrumentReply
from hpe.protocol.market_data import (
    StatusUpdate,
)
from hpe.protocol.operations import SetStatusResponse
from hpe.protocol.orders import (
    CancelOrder,
    MassCancel,
    OrderTerms,
    ReplaceOrder,
    SubmitOco,
    SubmitOrder,
)
from hpe.protocol.registry import (
    ARRAYS,
    COMMANDS,
    CONTROL,
    EMBEDDED,
    INTERNAL,
    INTERNAL_REPLIES,
    QUERIES,
    REPLIES,
    ROWS,
    SIGNED,
)
from tests.conftest import PROJECT_ROOT
from tests.support import protocol_document as document
from tests.support.protocol_document import snake
from tests.support.wire_facts import facts

TEXT = (PROJECT_ROOT / "protocol.md").read_text(encoding="utf-8")
SECTIONS = document.sections(TEXT)
DOCUMENTED = document.messages(TEXT)
REQUESTS = (*CONTROL, *QUERIES, *COMMANDS)
ANSWERS = (*REPLIES, *EMBEDDED)
CLASSES = (*REQUESTS, *ANSWERS)
# replace_order tests the fields before it looks for the order, and the order after it.
SECOND_LOOK = {ReplaceOrder: (2, RejectReason.INVALID_COMBINATION)}


def direction(message):
    if issubclass(message, Request):
        return "request"
    return "report" if type_number(message) >= INTERNAL_FIRST else "reply"


def find(message):
    (found,) = [
        section
        for section in DOCUMENTED
        if (section.direction, section.type_number) == (direction(message), type_number(message))
    ]
    return found


def spelled(value):
    """Return a default as the tables write it."""
    for text in ("2^31-1", "2^62", "2^63-2", "2^63-1"):
        if value == document.number(text):
            return text
    return document.notation(value)


def described(kind):
    """Return the type and range columns of a field."""
    match kind:
        case inspect.UnionType():
            # A union of several messages is an array whichever it is, without a range.
            kinds = [each for each in kind.types if not isinstance(each, inspect.NoneType)]
            ((name, span),) = {described(each) for each in kinds}
            return f"{name} or nil", span
        case inspect.IntType(ge=None, le=None):
            return "int", ""
        case inspect.IntType(multiple_of=int()):
            return "int", ", ".join(map(str, range(kind.ge, kind.le + 1, kind.multiple_of)))
        case inspect.IntType():
            return "int", f"{spelled(kind.ge)}..{spelled(kind.le)}"
        case inspect.EnumType():
            return "int", ", ".join(str(int(value)) for value in kind.cls)
        case inspect.StrType(max_length=None):
            return "str", ""
        case inspect.StrType():
            return "str", f"{kind.min_length or 0}..{kind.max_length} characters"
        case inspect.BytesType(max_length=None):
            return "bytes", ""
        case inspect.BytesType():
            lengths = dict.fromkeys((kind.min_length, kind.max_length))
            return "bytes", f"{'..'.join(map(str, lengths))} bytes"
        case inspect.BoolType():
            return "bool", ""
        case inspect.ListType() | inspect.StructType():
            return "array", ""
        case inspect.DictType():
            return "map", ""
    raise AssertionError(f"no words for {kind}")


def test_every_message_is_documented_once_and_nothing_else_is():
    expected = [(direction(each), type_number(each), snake(each.__name__)) for each in CLASSES]
    found = [section[:3] for section in DOCUMENTED]
    assert sorted(found) == sorted(expected)


def test_the_code_lists_every_message_class():
    """A message class that no tuple of the registry lists would escape every other test here."""
    defined = {
        value
        for value in facts().values()
        if isinstance(value, type)
        and issubclass(value, Request | Reply)
        and value not in (Request, Reply)
    }
    listed = [*CLASSES, *INTERNAL, *INTERNAL_REPLIES]
    assert sorted(map(repr, listed)) == sorted(map(repr, defined)), "once each"


def documented_fields(kind, implied, *, bounded):
    """Return the rows that a class's table must have, without their meaning."""
    rows = []
    for position, field in enumerate(inspect.type_info(kind).fields[implied:], implied):
        name, span = described(field.type)
        # The type number stands before the fields of a message, nothing before those of an array.
        row = {"#": str(position + (implied > 0)), "field": field.name, "type": name}
        if bounded:
            row |= {"range": span, "default": "" if field.required else spelled(field.default)}
        else:
            assert span == "", "what the server sends has no ranges: no column for one"
        rows.append(row)
    return rows


def assert_table(rows, expected):
    assert [{key: row[key] for key in row if key != "meaning"} for row in rows] == expected
    assert all(row["meaning"] for row in rows)


@pytest.mark.parametrize("message", CLASSES, ids=lambda each: each.__name__)
def test_fields_of_a_message(message):
    """Position, name, type, range and default of every field, in wire order."""
    section = find(message)
    (parent,) = message.__bases__
    if parent in ANSWERS:  # one table for all that have the same fields
        assert message.__struct_fields__ == parent.__struct_fields__
        assert not section.rows
        assert section.like == f"{type_number(parent)} `{snake(parent.__name__)}`"
        return
    assert not section.like
    is_request = issubclass(message, Request)
    expected = documented_fields(message, 1 if is_request else 2, bounded=is_request)
    assert_table(section.rows, expected)


@pytest.mark.parametrize("array", ARRAYS, ids=lambda each: each.__name__)
def test_fields_of_an_array_inside_messages(array):
    rows = document.numbered_rows(SECTIONS[f"Array `{array.__name__}`"])
    assert_table(rows, documented_fields(array, 0, bounded=array is OrderTerms))


@pytest.mark.parametrize(
    ("section", "row"),
    [
        ("Reply 32 `orderbook_reply`", "BookLevel"),
        ("Reply 34 `assets_reply`", "AssetRow"),
        ("Reply 39 `balances_reply`", "BalanceRow"),
        ("Reply 40 `holds_reply`", "HoldRow"),
        ("Report 125 `levels_update`", "BookLevel"),
        ("Report 116 `orders_snapshot`", "BookOrderRow"),
        ("Report 126 `orders_update`", "BookChangeRow"),
        ("Report 127 `trades_update`", "TradeRow"),
    ],
)
def test_columns_of_short_rows(section, row):
    (columns,) = re.findall(r"rows `\[([a-z_,\s]+)\]`", SECTIONS[section])
    assert tuple(columns.split(", ")) == ROWS[row].columns
    assert len(ROWS[row].columns) == len(ROWS[row].kind.__args__)


def test_fields_that_may_be_below_zero_are_named():
    (sentence,) = re.findall(
        r"Only these may be negative: (.*?)\.\s", SECTIONS["Values"], re.DOTALL
    )
    assert tuple(re.findall(r"`(\w+)`", sentence)) == SIGNED
    fields = {
        field.name: field.type
        for kind in (*CLASSES, *ARRAYS)
        for field in inspect.type_info(kind).fields
    }
    assert set(SIGNED) <= fields.keys()
    for name, kind in fields.items():
        low = described(kind)[1].partition("..")[0]
        assert not low.startswith("-") or name in SIGNED


@pytest.mark.parametrize("message", CLASSES, ids=lambda each: each.__name__)
def test_examples_of_a_message(message):
    """The hex is what the value written above it encodes to, in both codecs, and is valid."""
    for written, frame in find(message).examples:
        length, body = int.from_bytes(frame[:4], "big"), frame[4:]
        assert length == len(body)
        value = msgpack.unpackb(body)
        assert document.notation(value) == written
        assert value[0] == type_number(message)
        msgspec.msgpack.decode(body, type=message)
        assert msgpack.packb(value) == body
        assert msgspec.msgpack.encode(value) == body


@pytest.mark.parametrize("message", ANSWERS, ids=lambda each: each.__name__)
def test_examples_of_replies_use_defined_values(message):
    (example,) = find(message).examples
    decoded = msgspec.msgpack.decode(example.frame[4:], type=message)
    assert msgspec.msgpack.encode(decoded) == example.frame[4:], "a reply leaves no field out"
    if hasattr(decoded, "status"):
        of_instrument = (
            InstrumentReply,
            SetStatusResponse,
            StatusUpdate,
        )
        kind = InstrumentStatus if isinstance(decoded, of_instrument) else None
        (kind or OrderStatus)(decoded.status)
    if hasattr(decoded, "reason"):
        assert decoded.reason in {*RejectReason, *CancelReason}
    if isinstance(decoded, Error):
        code = ErrorCode(decoded.code)
        traits = ERROR_TRAITS[code]
        assert decoded.name == code.name.lower()
        assert (decoded.retryable, decoded.fatal) == (traits.retryable, traits.fatal)
        assert decoded.executed is False


def test_message_table_pairs_requests_and_replies():
    rows = document.table(SECTIONS["Message table"], "type", "request", "reply", "section")
    requests = {type_number(each): snake(each.__name__) for each in REQUESTS}
    expected = [
        {
            "type": str(type_number(reply)),
            "request": requests.get(type_number(reply), "-"),
            "reply": snake(reply.__name__),
            "section": find(reply).under,
        }
        for reply in sorted(ANSWERS, key=type_number)
    ]
    assert rows == expected
    for request in REQUESTS:
        row = next(row for row in rows if row["request"] == snake(request.__name__))
        assert row["section"] == find(request).under
    assert {int(row["type"]) for row in rows} >= requests.keys()


def test_type_ranges():
    rows = document.table(SECTIONS["Type numbers"], "range", "to the server", "answered")
    starts = [1, QUERY_FIRST, COMMAND_FIRST, INTERNAL_FIRST]
    ends = [*(start - 1 for start in starts[1:]), TYPE_LAST]
    assert [row["range"] for row in rows] == [
        f"{first}-{last}" for first, last in zip(starts, ends, strict=True)
    ]
    groups = (CONTROL, QUERIES, COMMANDS, INTERNAL)
    for group, first, last in zip(groups, starts, ends, strict=True):
        assert all(first <= type_number(each) <= last for each in group)


def listed_after(phrase, text):
    """Return the names of the sentence that starts with a phrase."""
    found = re.search(rf"{phrase}: ([a-z_,\s]+)[.,]", text)
    return re.findall(r"\w+", found[1]) if found else []


def section_of_request(message):
    return SECTIONS[f"Request {type_number(message)} `{snake(message.__name__)}`"]


def can_reject(message):
    replies = {type_number(each): each for each in REPLIES}
    return "reason" in replies[type_number(message)].__struct_fields__


@pytest.mark.parametrize("message", REQUESTS, ids=lambda each: each.__name__)
def test_rejects_of_a_request_are_reasons_in_precedence_order(message):
    text = section_of_request(message)
    rejects = [RejectReason[each.upper()] for each in listed_after("Rejects, in order", text)]
    assert bool(rejects) == can_reject(message), "what can be rejected says how, or none"
    if message in SECOND_LOOK:
        place, reason = SECOND_LOOK[message]
        assert rejects.pop(place) is reason
    assert rejects == [reason for reason in RejectReason if reason in rejects]
    for each in listed_after("Cancel reasons", text):
        assert CancelReason[each.upper()]


def test_the_manual_says_of_each_reason_of_orders_where_to_look():
    manual = (PROJECT_ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = document.sections(manual)["Why was this order rejected or canceled?"]
    rows = document.table(section, "reason", "where to look")
    named = [name for row in rows for name in re.findall(r"\w+", row["reason"])]
    expected = {reason.name.lower() for reason in CancelReason}
    for message in (SubmitOrder, SubmitOco, ReplaceOrder, CancelOrder, MassCancel):
        expected.update(listed_after("Rejects, in order", section_of_request(message)))
    assert sorted(named) == sorted(expected)


def test_every_reason_belongs_to_some_command():
    used = {
        each
        for message in COMMANDS
        for each in listed_after("Rejects, in order", section_of_request(message))
    }
    assert used | {"none"} == {reason.name.lower() for reason in RejectReason}


def test_the_life_of_an_order_has_every_state_and_reason():
    life = SECTIONS["The life of an order"]
    states = document.table(life, "state", "status", "leaves", "meaning")
    statuses = [row["status"].partition(" ") for row in states]
    for value, _, name in statuses:
        assert OrderStatus(int(value)).name.lower() == name
    assert {int(value) for value, _, _ in statuses} == {int(each) for each in OrderStatus}
    names = {row["state"] for row in states}
    steps = document.table(life, "from", "what happens", "to", "reason")
    reached = {row["to"] for row in steps}
    left = {name for row in steps for name in row["from"].split(", ")}
    assert reached == names | {"arriving"}
    assert left == {"arriving", "waiting", "open", "partially filled", "live"}
    expected = {f"{int(each)} {each.name.lower()}" for each in CancelReason}
    assert {row["reason"] for row in steps} == expected | {"0", "a reject reason"}


@pytest.mark.parametrize(
    ("section", "column", "enum"),
    [
        ("Self-trade prevention", "policy", SelfTrade),
        ("Market states", "status", InstrumentStatus),
    ],
)
def test_tables_of_the_rules_have_every_value(section, column, enum):
    (rows,) = document.tables(SECTIONS[section])
    assert [row[column] for row in rows] == [f"{int(each)} {each.name.lower()}" for each in enum]


def test_kinds_of_orders_name_values_and_fields_that_exist():
    (rows,) = document.tables(SECTIONS["Kinds of orders"])
    assert {int(row["order_type"]) for row in rows} == {int(each) for each in OrderType}
    for row in rows:
        for value, name in re.findall(r"(\d) (\w+)", row["time_in_force"]):
            assert TimeInForce(int(value)).name.lower() == name
        fields = {*SubmitOrder.__struct_fields__, *OrderTerms.__struct_fields__}
        assert set(re.findall(r"`(\w+)`", row["needs"] + row["may have"])) <= fields


def test_frame_example_in_the_conventions():
    ((value, frame),) = document.examples(SECTIONS["Frames"].partition("```\n\n-")[2])
    assert msgpack.unpackb(frame[4:]) == [2, 2]
    assert (value, int.from_bytes(frame[:4], "big")) == ("[2, 2]", len(frame) - 4)
    assert msgspec.msgpack.decode(frame[4:], type=Ping) == Ping(2)


def test_guarantees_are_numbered_without_gap():
    numbers = [int(each) for each in re.findall(r"^(\d+)\. ", SECTIONS["Guarantees"], re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) > 10


def test_sections_that_the_text_refers_to_exist():
    prose = re.sub(r"^```\n.*?^```$|`[^`]*`", "", TEXT, flags=re.MULTILINE | re.DOTALL)
    referred = set(re.findall(r'"([A-Z][^"]+)"', prose))
    assert len(referred) > 10
    assert referred <= SECTIONS.keys()


def test_texts_of_errors():
    """All texts that frames carry beside those of the codes, in the order of their codes."""
    rows = document.table(SECTIONS["Error codes"], "name", "message")
    found = [(row["name"], row["message"]) for row in rows]
    assert found == [(case.code.name.lower(), case.text) for case in ERROR_CASES]
    codes = [case.code for case in ERROR_CASES]
    assert codes == sorted(codes)
    assert {id(each) for each in facts().values() if isinstance(each, ErrorCase)} == {
        *map(id, ERROR_CASES)
    }


def test_hints_of_what_stands_where_a_length_should():
    (listed,) = re.findall(r"followed by one of: (.*?)\.\n", SECTIONS["Error codes"], re.DOTALL)
    found = re.findall(r"`([^`]*)`", listed)
    assert [re.sub(r"\s+", " ", each) for each in found] == list(HINTS)


def test_errors_are_made_of_these_texts_alone():
    """No call that makes an error writes a text of its own."""
    makers = {"error_body", "error_frame", "refuse", "_cut", "_cut_slow", "FrameError"}
    calls = 0
    for path in sorted((PROJECT_ROOT / "hpe").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name in makers:
                calls += 1
                texts = [
                    each for each in node.args if isinstance(each, ast.JoinedStr | ast.Constant)
                ]
                assert not [each for each in texts if getattr(each, "value", None) != 0], (
                    f"{path}:{node.lineno}"
                )
    assert calls > 20
