"""The compiled decoder against the reference's: the same requests, the same errors and fields."""

from collections import Counter

import msgspec
import pytest

from hpe.core.codec import array_header, encode
from hpe.core.compiled.tables import flat_tables
from hpe.core.decoding.judging import LOGGED_TABLES, REQUEST_TABLES, Undecodable, judge
from hpe.protocol.base import type_number
from hpe.protocol.codes import ErrorCode
from hpe.protocol.internal import Tick
from hpe.protocol.registry import COMMANDS, INTERNAL, QUERIES
from hpe.protocol.vectors import vectors_of
from tests.support.hostile_frames import hostile_bodies
from tests.support.msgpack_forms import MALFORMED, well_formed

PER_SEED = 10_000
CLIENT = {type_number(each): each for each in (*QUERIES, *COMMANDS)}
LOGGED = {**CLIENT, **{type_number(each): each for each in INTERNAL}}
TABLES = flat_tables(LOGGED)
ABSENT = object()


def judged_by_reference(body, tables):
    try:
        return judge(body, tables)
    except Undecodable as fault:
        return int(fault.code), fault.request_id, fault.field


def value_of(request, path):
    """Return a field, ABSENT if the array around it is."""
    value = request
    for name in path.split("."):
        if value is None:
            return ABSENT
        names = type(value).__struct_encode_fields__
        value = getattr(value, type(value).__struct_fields__[names.index(name)])
    return value


def differences(request, body, found):
    """Yield the fields whose compiled value is another one."""
    _, number, values, nulls = found
    for slot, path in enumerate(TABLES.slots[number]):
        expected, value = value_of(request, path), values[slot]
        if isinstance(expected, msgspec.Struct | list):
            continue
        if expected is ABSENT:
            expected = TABLES.absent[number][0][slot]
        if nulls >> slot & 1:
            value = None
        elif isinstance(expected, str):
            value = body[value >> 32 : value & 0xFFFFFFFF].decode()
        if value != expected:
            yield path, value, expected


def compare(parts, body, tables=REQUEST_TABLES, *, internal=False):
    """Hold one body against the reference; return its error's code, 0 for a request."""
    expected, found = judged_by_reference(body, tables), parts.judged(body, internal=internal)
    if isinstance(expected, tuple):
        assert found == expected, body.hex()
        return expected[0]
    assert found[:2] == (0, type_number(type(expected))), body.hex()
    assert not list(differences(expected, body, found)), body.hex()
    return 0


@pytest.mark.parametrize("seed", range(3))
def test_hostile_bodies_are_judged_as_the_reference_judges_them(parts, seed):
    print(f"seed {seed}")
    codes = Counter()
    for _, body in zip(range(PER_SEED), hostile_bodies(seed), strict=False):
        codes[compare(parts, body)] += 1
    print(codes)
    assert codes[0] > PER_SEED // 100
    assert codes[ErrorCode.BAD_FIELD] > PER_SEED // 4
    assert codes.keys() >= {ErrorCode.BAD_MESSAGEPACK, ErrorCode.TRAILING_BYTES}


@pytest.mark.parametrize("message", LOGGED.values(), ids=lambda message: message.__name__)
def test_every_form_of_every_field_is_judged_alike(parts, message):
    fields = [encode(each) for each in next(iter(vectors_of(message).values()))]
    forms = [*well_formed(), *MALFORMED]
    for place in range(len(fields)):
        for form in forms:
            body = b"".join(
                (array_header(len(fields)), *fields[:place], form, *fields[place + 1 :])
            )
            compare(parts, body, LOGGED_TABLES, internal=True)


@pytest.mark.parametrize("message", LOGGED.values(), ids=lambda message: message.__name__)
def test_every_cut_of_every_example_is_judged_alike(parts, message):
    for example in vectors_of(message).values():
        body = encode(example)
        assert compare(parts, body, LOGGED_TABLES, internal=True) == 0
        for end in range(len(body)):
            assert compare(parts, body[:end], LOGGED_TABLES, internal=True)


def test_a_clients_tables_have_no_internal_request(parts):
    body = encode(Tick(1))
    assert compare(parts, body) == ErrorCode.UNKNOWN_TYPE
    assert compare(parts, body, LOGGED_TABLES, internal=True) == 0
