"""Fields by table: the same requests as the library's, and the name of the wrong field."""

import msgspec
import pytest

from hpe.core.decoding.fields import BadField, Rule, read_fields, rows_of
from hpe.core.decoding.wellformed import Malformed, ValueKind, read_value, value_end
from hpe.protocol.base import type_number
from hpe.protocol.internal import Configure
from hpe.protocol.listings import AddAsset
from hpe.protocol.money import Deposit
from hpe.protocol.orders import GetOrder, MassCancel, ReplaceOrder, SubmitOco, SubmitOrder
from hpe.protocol.registry import COMMANDS, CONTROL, INTERNAL, QUERIES
from tests.support.msgpack_forms import MALFORMED, well_formed

REQUESTS = (*CONTROL, *QUERIES, *COMMANDS, *INTERNAL)
TABLES = {message: rows_of(message) for message in REQUESTS}
FORMS = sorted({*well_formed(), *MALFORMED})
FAULTS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def read(message, body):
    """Read a body with the table of its message; what is wrong comes as an exception."""
    assert value_end(body) == len(body)
    header = read_value(body, 0)
    values, end = read_fields(TABLES[message], body, header.end + 1, header.number - 1)
    assert end == len(body)
    return message(*values)


def fault_of(message, *fields):
    body = msgspec.msgpack.encode([type_number(message), *fields])
    with pytest.raises(BadField) as caught:
        read(message, body)
    return caught.value.field


def good(rule: Rule) -> bytes:
    """Encode a value that a rule allows."""
    if rule.nullable:
        return b"\xc0"
    if rule.rows is not None:
        inner = [field for field in rule.rows.fields if field.required]
        return bytes([0x90 | len(inner)]) + b"".join(good(field.rule) for field in inner)
    if rule.kind is ValueKind.INTEGER:
        allowed = rule.allowed or range(max(rule.low, 0), 128)
        return bytes([next(n for n in sorted(allowed) if n % rule.multiple_of == 0)])
    simple = {ValueKind.BOOL: b"\xc2", ValueKind.STRING: b"\xa1a", ValueKind.ARRAY: b"\x90"}
    return simple.get(rule.kind) or b"\xc4\x20" + bytes(32)


def bodies_of(message):
    """Yield bodies in which one field at a time has every form, with and without those behind.

    Fields inside an array, or inside those of a list, are fields as well.
    """
    for fields in rows_in_every_form(TABLES[message].fields):
        yield array([bytes([type_number(message)]), *fields])


def rows_in_every_form(fields):
    """Yield the encoded values of fields, one of which has a form."""
    goods = [good(field.rule) for field in fields]
    for index, field in enumerate(fields):
        for form in [*FORMS, *forms_inside(field.rule)]:
            for count in {index + 1, len(goods)}:
                yield [*goods[:index], form, *goods[index + 1 : count]]


def forms_inside(rule):
    """Yield arrays in which one field has every form, one element of a list after a good one."""
    if rule.rows is not None:
        yield from map(array, rows_in_every_form(rule.rows.fields))
    elif rule.item is not None:
        for form in [*FORMS, *forms_inside(rule.item)]:
            yield array([form])
            yield array([good(rule.item), form])


def array(parts):
    length = len(parts)
    short = bytes([0x90 | length]) if length < 16 else b"\xdc\x00" + bytes([length])
    return short + b"".join(parts)


@pytest.mark.parametrize("message", REQUESTS, ids=lambda message: message.__name__)
def test_every_form_of_every_field_is_judged_as_the_library_judges_it(message):
    decode = msgspec.msgpack.Decoder(message).decode
    accepted = refused = 0
    for body in bodies_of(message):
        try:
            theirs = decode(body)
        except FAULTS:
            theirs = None
        try:
            ours = read(message, body)
        except (BadField, Malformed, AssertionError):
            ours = None
        # Encoded: an integer and a bool may be equal, and an enum's member and its number.
        assert ours == theirs, body.hex()
        assert msgspec.msgpack.encode(ours) == msgspec.msgpack.encode(theirs), body.hex()
        accepted += ours is not None
        refused += ours is None
    assert accepted
    assert refused


def test_the_first_wrong_field_is_named():
    assert fault_of(Deposit, 0, 1, 5) == "request_id"
    assert fault_of(Deposit, 1, "1", 0) == "asset"
    assert fault_of(Deposit, 1, 1, 0, -1) == "amount"
    assert fault_of(SubmitOrder, 1, 1, 0, 3, 9, 1, 100, 1) == "side"
    assert fault_of(AddAsset, 1, "A B", 99) == "symbol"
    assert fault_of(SubmitOco, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1) == "flags"
    assert fault_of(GetOrder, 1, 1.0) == "order_id"
    assert fault_of(MassCancel, 1, 0, 0, 0, 1) == "all_users"


def test_what_is_there_is_judged_before_what_is_missing_and_what_is_too_many():
    assert fault_of(Deposit, 1) == "asset"
    assert fault_of(Deposit, 1, 1) == "amount"
    assert fault_of(Deposit) == "request_id"
    assert fault_of(Deposit, 1, 0) == "asset"
    assert fault_of(Deposit, 1, 1, 5, 0, 0) == ""
    assert fault_of(Deposit, 1, 1, 5, -1, 0) == "user"


def test_a_field_inside_an_array_has_both_names():
    order = (1, 1, 0, 1, 2, 1, 100, 1, 0, 0)
    assert fault_of(SubmitOrder, *order, 7) == "terms"
    assert fault_of(SubmitOrder, *order, [0, -1]) == "terms.trail"
    assert fault_of(SubmitOrder, *order, [0, 0, 0, 0, 2**62 + 1]) == "terms.budget"
    assert fault_of(SubmitOrder, *order, [0] * 7) == "terms"
    assert fault_of(SubmitOrder, *order, [], -1) == "user"
    head = [good(field.rule) for field in TABLES[Configure].fields]
    index = [field.name for field in TABLES[Configure].fields].index("assets")
    head[index] = b"\x91\x91\xa1A"
    body = bytes([0x90 | (len(head) + 1), type_number(Configure)]) + b"".join(head)
    with pytest.raises(BadField) as caught:
        read(Configure, body)
    assert caught.value.field == "assets.decimals"


def test_nil_is_only_for_fields_that_may_be_nil():
    assert read(ReplaceOrder, msgspec.msgpack.encode([66, 1, 1, 0, None, 5])) == ReplaceOrder(
        1, 1, 0, None, 5
    )
    assert fault_of(ReplaceOrder, 1, None, 0) == "order_id"


def test_lengths_count_code_points_of_strings_and_bytes_of_binaries():
    hello = (1, 1, 1, 0, 0)
    encode = msgspec.msgpack.encode
    assert read(CONTROL[0], encode([1, *hello, "é" * 64])).client == "é" * 64
    assert fault_of(CONTROL[0], *hello, "é" * 65) == "client"
