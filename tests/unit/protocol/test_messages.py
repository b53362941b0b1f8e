"""The wire schema: two codecs agree byte for byte, and every range is held."""

import re
from functools import cache

import msgpack
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect

from hpe.protocol.base import Reply, Request, type_number
from hpe.protocol.control import Error, Hello, Logon, ServerInfoReply
from hpe.protocol.limits import (
    CHANGES_PER_UPDATE_MAX,
    COMMAND_FIRST,
    DEPTH_MAX,
    INT_MAX,
    INTERNAL_FIRST,
    LOGON_BYTES_MAX,
    NONCE_BYTES,
    PAGE_MAX,
    PAIR_SYMBOL_CHARS_MAX,
    REPLY_BYTES_MAX,
    REPORTS_PER_UPDATE_MAX,
    REQUEST_BYTES_MAX,
    RESPONSE_BYTES_MAX,
    SNAPSHOT_ORDERS_MAX,
)
from hpe.protocol.market_data import (
    LevelsUpdate,
    OrdersUpdate,
    Subscribed,
    TradesUpdate,
)
from hpe.protocol.orders import OrderTerms, SubmitOrder
from hpe.protocol.registry import COMMANDS, CONTROL, EMBEDDED, INTERNAL, QUERIES, REPLIES
from hpe.protocol.reports import PrivateUpdate

REQUESTS = (*CONTROL, *QUERIES, *COMMANDS, *INTERNAL)
ALL = (*REQUESTS, *REPLIES, *EMBEDDED)


def scalar(kind):
    """Return the type of a field's value; of one that may be nil, that of its other values.

    A union of several messages stays what it is.
    """
    if isinstance(kind, inspect.UnionType):
        others = [each for each in kind.types if not isinstance(each, inspect.NoneType)]
        return others[0] if len(others) == 1 else kind
    return kind


BOUNDED = [
    (message, position, field.name, field.type)
    for message in REQUESTS
    for position, field in enumerate(inspect.type_info(message).fields, 1)
    if isinstance(scalar(field.type), inspect.IntType | inspect.StrType | inspect.BytesType)
]
TERMS = inspect.type_info(OrderTerms).fields


@cache
def patterned(pattern, length_min, length_max):
    """Return a strategy for a text whose pattern says which characters it may have."""
    characters = [each for each in map(chr, range(0x80)) if re.match(pattern, each)]
    return st.text(characters, min_size=length_min, max_size=length_max)


def values(kind):
    """Return a strategy for one field's type, inside its range."""
    match kind:
        case inspect.IntType():
            low = 0 if kind.ge is None else kind.ge
            high = INT_MAX if kind.le is None else kind.le
            step = kind.multiple_of or 1
            inside = st.integers(low // step, high // step).map(lambda each: each * step)
            return st.sampled_from([low, high]) | inside
        case inspect.BytesType():
            return st.binary(min_size=kind.min_length or 0, max_size=kind.max_length or 80)
        case inspect.StrType(pattern=None):
            return st.text(max_size=kind.max_length or 80)
        case inspect.StrType():
            return patterned(kind.pattern, kind.min_length or 0, kind.max_length)
        case inspect.BoolType():
            return st.booleans()
        case inspect.FloatType():
            return st.floats(allow_nan=False)
        case inspect.NoneType():
            return st.none()
        case inspect.EnumType():
            return st.sampled_from(kind.cls)
        case inspect.UnionType():
            return st.one_of(*map(values, kind.types))
        case inspect.ListType():
            return st.lists(values(kind.item_type), max_size=3)
        case inspect.TupleType():
            return st.tuples(*map(values, kind.item_types))
        case inspect.DictType():
            return st.dictionaries(values(kind.key_type), values(kind.value_type), max_size=3)
        case inspect.StructType():
            return structs(kind.cls)
    raise AssertionError(f"no strategy for {kind}")


def structs(message):
    return st.builds(message, *(values(field.type) for field in inspect.type_info(message).fields))


def smallest(kind):
    """Return a valid value of a type."""
    match kind:
        case inspect.StrType():
            return "A"
        case inspect.BytesType():
            return bytes(kind.min_length)
        case inspect.IntType():
            return kind.ge or 0
        case inspect.BoolType():
            return False
        case inspect.EnumType():
            return next(iter(kind.cls))
        case inspect.UnionType():
            return None
        case inspect.ListType():
            return []
        case inspect.StructType():
            return [smallest(field.type) for field in kind.fields]
    raise AssertionError(f"no value for {kind}")


def valid_array(message):
    """Return the smallest valid array of a request, as plain values."""
    fields = inspect.type_info(message).fields
    return [type_number(message), *(smallest(field.type) for field in fields)]


def decode(message, array):
    return msgspec.msgpack.decode(msgpack.packb(array), type=message)


def assert_refused(message, array):
    with pytest.raises(msgspec.ValidationError):
        decode(message, array)


@pytest.mark.parametrize("message", ALL, ids=lambda each: each.__name__)
@settings(max_examples=25)  # eighty-odd messages share the work
@given(data=st.data())
def test_two_codecs_give_the_same_bytes(message, data):
    value = data.draw(structs(message))
    body = msgspec.msgpack.encode(value)
    plain = msgpack.unpackb(body)
    assert plain[0] == type_number(message)
    assert msgpack.packb(plain) == body
    assert msgspec.msgpack.decode(body, type=message) == value


@pytest.mark.parametrize("message", REQUESTS, ids=lambda each: each.__name__)
def test_type_number_is_a_fixint_at_its_fixed_place(message):
    array = valid_array(message)
    body = msgpack.packb(array)
    place = 1 if len(array) < 16 else 3  # bytes 5 and 7 of the frame
    assert body[0] == (0x90 | len(array) if place == 1 else 0xDC)
    assert body[place] == type_number(message) < 0x80


@pytest.mark.parametrize(
    ("message", "position", "name", "kind"),
    BOUNDED,
    ids=[f"{message.__name__}.{name}" for message, _, name, _ in BOUNDED],
)
def test_bounds_of_every_field(message, position, name, kind):
    """The last value inside is taken, the first one outside and every other type is refused."""
    array = valid_array(message)

    def with_value(value):
        return [*array[:position], value, *array[position + 1 :]]

    if kind is scalar(kind):
        assert_refused(message, with_value(None))
    kind = scalar(kind)
    if isinstance(kind, inspect.StrType):
        inside = ["A" * kind.max_length, "A" * (kind.min_length or 0)]
        outside = ["A" * (kind.max_length + 1), 1, b"A"]
        outside += ["A B", "A\n", "é", "\x7f"] if kind.pattern else []
        outside += [""] if kind.min_length else []
    elif isinstance(kind, inspect.BytesType):
        inside = [bytes(kind.min_length), bytes(kind.max_length)]
        outside = [bytes(kind.min_length - 1), bytes(kind.max_length + 1)]
        outside += ["A" * kind.min_length, 1, [0] * kind.min_length]
    else:
        inside = [kind.ge, kind.le]
        outside = [kind.ge - 1, kind.le + 1, -(2**63), 2**64 - 1, "1", 1.5, True, [], {}]
        outside += [kind.ge + 1] if kind.multiple_of else []
    for value in inside:
        assert getattr(decode(message, with_value(value)), name) == value
    for value in outside:
        assert_refused(message, with_value(value))


@pytest.mark.parametrize("position", range(len(TERMS)), ids=[field.name for field in TERMS])
def test_bounds_of_every_term_of_an_order(position):
    """The array inside submit_order is held as its other fields are."""
    name, kind = TERMS[position].name, TERMS[position].type

    def submitted(*terms):
        return decode(SubmitOrder, [64, 1, 1, 0, 1, 2, 1, 5, 5, 0, 0, [*terms]])

    before = [0] * position
    for value in (kind.ge, kind.le):
        assert getattr(submitted(*before, value).terms, name) == value
    for value in (kind.ge - 1, kind.le + 1, 2**64 - 1, None, "1", 1.5, True, [], {}):
        with pytest.raises(msgspec.ValidationError):
            submitted(*before, value)
    with pytest.raises(msgspec.ValidationError):
        submitted(*[0] * len(TERMS), 0)
    assert submitted(*before).terms == OrderTerms(*before)


@pytest.mark.parametrize("message", REQUESTS, ids=lambda each: each.__name__)
def test_requests_of_a_wrong_length_or_type_are_refused(message):
    array = valid_array(message)
    decode(message, array)
    assert_refused(message, [*array, 0])
    assert_refused(message, [type_number(message) + 1, *array[1:]])
    assert_refused(message, [*array[:1], 0, *array[2:]])  # request ids start at 1
    fields = inspect.type_info(message).fields
    required = 1 + sum(field.required for field in fields)
    decode(message, array[:required])
    assert_refused(message, array[: required - 1])
    assert all(field.required for field in fields[: required - 1]), "defaults stand at the end"


@pytest.mark.parametrize("message", REQUESTS, ids=lambda each: each.__name__)
def test_enums_refuse_other_values(message):
    for position, field in enumerate(inspect.type_info(message).fields, 1):
        if isinstance(field.type, inspect.EnumType):
            array = valid_array(message)
            for value in {*range(-1, 9)} - {int(each) for each in field.type.cls}:
                assert_refused(message, [*array[:position], value, *array[position + 1 :]])


@pytest.mark.parametrize("message", REPLIES, ids=lambda each: each.__name__)
@settings(max_examples=25)  # eighty-odd messages share the work
@given(data=st.data())
def test_replies_may_grow(message, data):
    """A client of today reads a frame of tomorrow, with more fields."""
    value = data.draw(structs(message))
    grown = [*msgpack.unpackb(msgspec.msgpack.encode(value)), 1, "new"]
    assert decode(message, grown) == value


COMMAND_RESPONSES = [
    reply for reply in REPLIES if COMMAND_FIRST <= type_number(reply) < INTERNAL_FIRST
]


@pytest.mark.parametrize("response", COMMAND_RESPONSES, ids=lambda each: each.__name__)
def test_a_command_response_fits_what_sessions_remember(response):
    largest = response(*[INT_MAX] * len(response.__struct_fields__))
    assert len(msgspec.msgpack.encode(largest)) <= RESPONSE_BYTES_MAX


def test_every_command_has_a_response_of_its_type():
    assert sorted(map(type_number, COMMAND_RESPONSES)) == sorted(map(type_number, COMMANDS))
    of_others = {type_number(each) for each in (*CONTROL, *QUERIES)}
    assert of_others <= {type_number(each) for each in REPLIES}


@pytest.mark.parametrize("base", [Request, Reply])
def test_type_numbers_are_unique_per_direction(base):
    numbers = [type_number(each) for each in ALL if issubclass(each, base)]
    assert len(numbers) == len(set(numbers))


def largest(kind, rows):
    """Return the value of a type that takes the most bytes, in plain values; lists have `rows`."""
    match kind:
        case inspect.IntType() | inspect.EnumType():
            return INT_MAX
        case inspect.StrType():
            return "x" * (kind.max_length or PAIR_SYMBOL_CHARS_MAX)
        case inspect.BytesType():
            return bytes(kind.max_length or NONCE_BYTES)
        case inspect.BoolType():
            return True
        case inspect.NoneType():
            return None
        case inspect.UnionType():
            return max((largest(each, rows) for each in kind.types), key=packed_length)
        case inspect.StructType():
            return largest_array(kind.cls, rows)
        case inspect.TupleType():
            return [largest(each, rows) for each in kind.item_types]
        case inspect.ListType():
            return [largest(kind.item_type, rows)] * rows
    raise AssertionError(f"no largest value for {kind}")


def largest_array(array, rows):
    number = [type_number(array)] if issubclass(array, Request | Reply) else []
    return [*number, *(largest(field.type, rows) for field in inspect.type_info(array).fields)]


def packed_length(value):
    return len(msgpack.packb(value))


@pytest.mark.parametrize(
    "message",
    [*CONTROL, *QUERIES, *COMMANDS],
    ids=lambda each: each.__name__,
)
def test_the_largest_requests_fit_their_limits(message):
    limit = REQUEST_BYTES_MAX
    if message in (Hello, Logon):
        limit = LOGON_BYTES_MAX
    assert packed_length(largest_array(message, 0)) <= limit


ROWS_MAX = {
    Subscribed: SNAPSHOT_ORDERS_MAX,  # no fewer than DEPTH_MAX
    PrivateUpdate: REPORTS_PER_UPDATE_MAX,
    LevelsUpdate: CHANGES_PER_UPDATE_MAX,
    OrdersUpdate: CHANGES_PER_UPDATE_MAX,
    TradesUpdate: CHANGES_PER_UPDATE_MAX,
}


@pytest.mark.parametrize(
    "message",
    [each for each in REPLIES if each not in (ServerInfoReply, Error)],
    ids=lambda each: each.__name__,
)
def test_the_largest_replies_fit_a_frame(message):
    assert DEPTH_MAX <= PAGE_MAX <= SNAPSHOT_ORDERS_MAX
    rows = ROWS_MAX.get(message, PAGE_MAX)
    assert packed_length(largest_array(message, rows)) <= REPLY_BYTES_MAX
