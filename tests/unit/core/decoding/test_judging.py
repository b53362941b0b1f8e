"""Bytes that are not a request: which error answers them, and the field that it names."""

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpe.core.decoding.judging import (
    CONTROL_TABLES,
    REQUEST_TABLES,
    Undecodable,
    decode_request,
    judge,
    refusal,
)
from hpe.protocol.base import type_number
from hpe.protocol.codes import ERROR_TRAITS, ErrorCode
from hpe.protocol.control import Error, Ping
from hpe.protocol.limits import INT_MAX
from hpe.protocol.money import Deposit
from hpe.protocol.registry import COMMANDS, QUERIES

pack = msgpack.packb
DEPOSIT = [69, 1, 1, 5]


def problem_of(body):
    """Return what is wrong with a body, None when nothing is."""
    try:
        decode_request(body)
    except Undecodable as problem:
        return problem
    return None


def refused(body):
    problem = problem_of(body)
    return problem.code, problem.request_id, problem.field


def array16(values):
    return b"\xdc" + len(values).to_bytes(2, "big") + pack(values)[1:]


def test_both_array_headers_are_read():
    assert decode_request(pack(DEPOSIT)) == Deposit(1, 1, 5)
    assert decode_request(array16(DEPOSIT)) == Deposit(1, 1, 5)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", ErrorCode.EMPTY_FRAME),
        (b"\xc1", ErrorCode.BAD_MESSAGEPACK),
        (pack(DEPOSIT)[:-1], ErrorCode.BAD_MESSAGEPACK),
        (b"\x94\x45", ErrorCode.BAD_MESSAGEPACK),
        (b"\xdc\xff\xff\x45\x01", ErrorCode.BAD_MESSAGEPACK),
        (b"\xdd\xff\xff\xff\xff", ErrorCode.BAD_MESSAGEPACK),
        (b"\x93\x45\x01\xdd\x7f\xff\xff\xff", ErrorCode.BAD_MESSAGEPACK),
        (b"\x93\x45\x01\xdf\x7f\xff\xff\xff", ErrorCode.BAD_MESSAGEPACK),
        (b"\x93\x45\x01\xc6\x7f\xff\xff\xff", ErrorCode.BAD_MESSAGEPACK),
        (b"\x91" * 2_000, ErrorCode.BAD_MESSAGEPACK),
        (b"\x94\x47\x01\xa2\xff\xfe\x02", ErrorCode.BAD_MESSAGEPACK),
        (pack(DEPOSIT) + b"\x00", ErrorCode.TRAILING_BYTES),
        (pack(DEPOSIT) * 2, ErrorCode.TRAILING_BYTES),
        (pack({1: 2}), ErrorCode.NOT_AN_ARRAY),
        (pack("hello"), ErrorCode.NOT_AN_ARRAY),
        (pack(69), ErrorCode.NOT_AN_ARRAY),
        (pack(None), ErrorCode.NOT_AN_ARRAY),
        (b"\xdd\x00\x00\x00\x04" + pack(DEPOSIT)[1:], ErrorCode.NOT_AN_ARRAY),
    ],
)
def test_what_is_no_frame_of_the_protocol_is_fatal(body, code):
    assert refused(body) == (code, 0, "")
    assert ERROR_TRAITS[code].fatal
    assert not refusal(problem_of(body))[1]


@pytest.mark.parametrize(
    ("values", "code", "request_id", "field"),
    [
        ([], ErrorCode.UNKNOWN_TYPE, 0, ""),
        ([63, 9], ErrorCode.UNKNOWN_TYPE, 9, ""),
        ([2, 9], ErrorCode.UNKNOWN_TYPE, 9, ""),
        ([111, 9, 1], ErrorCode.UNKNOWN_TYPE, 9, ""),
        ([200, 9], ErrorCode.UNKNOWN_TYPE, 9, ""),
        ([-1, 9], ErrorCode.UNKNOWN_TYPE, 9, ""),
        (["x", 9], ErrorCode.UNKNOWN_TYPE, 9, ""),
        ([69], ErrorCode.BAD_FIELD, 0, "request_id"),
        ([69, 9], ErrorCode.BAD_FIELD, 9, "asset"),
        ([69, 9, 1], ErrorCode.BAD_FIELD, 9, "amount"),
        ([69, 9, 1, 5, 0, 0], ErrorCode.BAD_FIELD, 9, ""),
        ([69, 9, 1, "5"], ErrorCode.BAD_FIELD, 9, "amount"),
        ([69, 9, 1, 5.0], ErrorCode.BAD_FIELD, 9, "amount"),
        ([69, 9, 1, True], ErrorCode.BAD_FIELD, 9, "amount"),
        ([69, 9, 1, None], ErrorCode.BAD_FIELD, 9, "amount"),
        ([69, 9, 1, [5]], ErrorCode.BAD_FIELD, 9, "amount"),
        ([69, 9, 1, b"5"], ErrorCode.BAD_FIELD, 9, "amount"),
        ([69, 9, 1, msgpack.ExtType(3, b"x")], ErrorCode.BAD_FIELD, 9, "amount"),
        ([69, 9, 1, 0], ErrorCode.BAD_FIELD, 9, "amount"),
        ([69, 9, 1, -1], ErrorCode.BAD_FIELD, 9, "amount"),
        ([69, 9, 1, 2**62 + 1], ErrorCode.BAD_FIELD, 9, "amount"),
        ([69, 9, 1, 2**64 - 1], ErrorCode.BAD_FIELD, 9, "amount"),
        ([69, 9, 0, 5], ErrorCode.BAD_FIELD, 9, "asset"),
        ([69, 9, 2**31, 5], ErrorCode.BAD_FIELD, 9, "asset"),
        ([69, 9, 1, 5, 2**63], ErrorCode.BAD_FIELD, 9, "user"),
        ([69, 0, 1, 5], ErrorCode.BAD_FIELD, 0, "request_id"),
        ([69, 2**63, 1, 5], ErrorCode.BAD_FIELD, 0, "request_id"),
        ([69, "9", 1, 5], ErrorCode.BAD_FIELD, 0, "request_id"),
        ([69, True, 1, 5], ErrorCode.BAD_FIELD, 0, "request_id"),
        ([71, 9, "A B", 2], ErrorCode.BAD_FIELD, 9, "symbol"),
        ([71, 9, "A\n", 2], ErrorCode.BAD_FIELD, 9, "symbol"),
        ([71, 9, "\u00e9", 2], ErrorCode.BAD_FIELD, 9, "symbol"),
        ([71, 9, "", 2], ErrorCode.BAD_FIELD, 9, "symbol"),
        ([71, 9, "A" * 49, 2], ErrorCode.BAD_FIELD, 9, "symbol"),
        ([71, 9, b"ABC", 2], ErrorCode.BAD_FIELD, 9, "symbol"),
        ([71, 9, "ABC", 19], ErrorCode.BAD_FIELD, 9, "decimals"),
        ([64, 9, 1, 0, 3, 2, 1, 5, 5], ErrorCode.BAD_FIELD, 9, "side"),
        ([64, 9, 1, 0, 1, 2, 2, 5, 5], ErrorCode.BAD_FIELD, 9, "time_in_force"),
        ([64, 9, 1, 0, 1, 2, 1, 5, 5, 4], ErrorCode.BAD_FIELD, 9, "flags"),
        ([64, 9, 1, 0, 1, 2, 1, 5, 5, 0, 0, None, 2**63 - 1], ErrorCode.BAD_FIELD, 9, "user"),
        ([66, 9, 1, 0, 5, None, 0], ErrorCode.BAD_FIELD, 9, "price"),
        ([66, 9, 1, 0, 5, None, 1, 1], ErrorCode.BAD_FIELD, 9, "requeue"),
    ],
)
def test_a_wrong_message_is_answered_with_its_id_and_is_not_fatal(values, code, request_id, field):
    assert refused(pack(values)) == (code, request_id, field)
    assert not ERROR_TRAITS[code].fatal
    answer, goes_on = refusal(problem_of(pack(values)))
    error = msgspec.msgpack.decode(answer, type=Error)
    assert (error.request_id, error.code, error.field) == (request_id, code, field)
    assert error.message == ERROR_TRAITS[code].text
    assert goes_on


def test_a_type_that_is_no_fixint_is_unknown():
    assert refused(b"\x94\xcc\x45\x01\x01\x05") == (ErrorCode.UNKNOWN_TYPE, 1, "")


@given(st.binary(max_size=80) | st.binary(max_size=40).map(lambda tail: b"\x94\x45\x01" + tail))
def test_any_bytes_are_decoded_or_refused_briefly(body):
    problem = problem_of(body)
    if problem is not None:
        assert 0 <= problem.request_id <= INT_MAX
        assert len(refusal(problem)[0]) < 512


def test_every_request_has_its_decoder():
    for message in (*QUERIES, *COMMANDS):
        body = pack([type_number(message), 7])
        problem = problem_of(body)
        if problem is None:
            assert type(decode_request(body)) is message
        else:
            assert (problem.code, problem.request_id) == (ErrorCode.BAD_FIELD, 7)
            assert problem.field == REQUEST_TABLES[type_number(message)].fields[1].name


def test_what_a_library_would_have_decoded_is_decoded():
    assert judge(pack(DEPOSIT), REQUEST_TABLES) == Deposit(1, 1, 5)
    assert judge(pack([2, 7, 8]), CONTROL_TABLES) == Ping(7, 8)


def test_requests_are_unknown_where_their_table_is_not():
    with pytest.raises(Undecodable) as caught:
        judge(pack([2, 7, 8]), REQUEST_TABLES)
    assert caught.value.code == ErrorCode.UNKNOWN_TYPE
