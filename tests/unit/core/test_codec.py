"""Bytes at the core's edge: what is accepted, what is answered, what ends a connection."""

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpe.core.codec import (
    Body,
    Trade,
    Undecodable,
    decode_body,
    decode_request,
    diagnose,
    encode,
    encode_body,
    ends_inside_frame,
    error_body,
    frame,
    split_frames,
    type_of,
    with_duplicate_flag,
)
from hpe.messages import (
    COMMANDS,
    ERROR_TRAITS,
    FLAG_DUPLICATE,
    INT_MAX,
    QUERIES,
    REPLIES,
    RESPONSE_BYTES_MAX,
    Deposit,
    Error,
    ErrorCode,
    OrderResponse,
    type_number,
)

pack = msgpack.packb
DEPOSIT = [69, 1, 1, 5]


def problem_of(body):
    """Give what is wrong with a body, None when nothing is."""
    try:
        decode_request(body)
    except Undecodable as problem:
        return problem
    return None


def refusal(body):
    problem = problem_of(body)
    return problem.code, problem.request_id


def array16(values):
    return b"\xdc" + len(values).to_bytes(2, "big") + pack(values)[1:]


def test_both_array_headers_are_read():
    assert decode_request(pack(DEPOSIT)) == Deposit(1, 1, 5)
    assert decode_request(array16(DEPOSIT)) == Deposit(1, 1, 5)


@pytest.mark.parametrize(
    ("body", "number"),
    [
        (pack(DEPOSIT), 69),
        (array16(DEPOSIT), 69),
        (b"", -1),
        (b"\x90", -1),
        (b"\xdc\x00\x04", -1),
        (b"\xdd\x00\x00\x00\x01\x45", -1),
        (b"\x92\xcc\x45\x01", -1),
        (b"\x92\xff\x01", -1),
        (b"\x80", -1),
    ],
)
def test_the_type_stands_at_its_place(body, number):
    assert type_of(body) == number


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
    assert refusal(body) == (code, 0)
    assert ERROR_TRAITS[code].fatal


@pytest.mark.parametrize(
    ("values", "code", "request_id"),
    [
        ([], ErrorCode.UNKNOWN_TYPE, 0),
        ([63, 9], ErrorCode.UNKNOWN_TYPE, 9),
        ([2, 9], ErrorCode.UNKNOWN_TYPE, 9),
        ([111, 9, 1], ErrorCode.UNKNOWN_TYPE, 9),
        ([200, 9], ErrorCode.UNKNOWN_TYPE, 9),
        ([-1, 9], ErrorCode.UNKNOWN_TYPE, 9),
        (["x", 9], ErrorCode.UNKNOWN_TYPE, 9),
        ([69], ErrorCode.BAD_FIELD, 0),
        ([69, 9], ErrorCode.BAD_FIELD, 9),
        ([69, 9, 1], ErrorCode.BAD_FIELD, 9),
        ([69, 9, 1, 5, 0, 0], ErrorCode.BAD_FIELD, 9),
        ([69, 9, 1, "5"], ErrorCode.BAD_FIELD, 9),
        ([69, 9, 1, 5.0], ErrorCode.BAD_FIELD, 9),
        ([69, 9, 1, True], ErrorCode.BAD_FIELD, 9),
        ([69, 9, 1, None], ErrorCode.BAD_FIELD, 9),
        ([69, 9, 1, [5]], ErrorCode.BAD_FIELD, 9),
        ([69, 9, 1, b"5"], ErrorCode.BAD_FIELD, 9),
        ([69, 9, 1, msgpack.ExtType(3, b"x")], ErrorCode.BAD_FIELD, 9),
        ([69, 9, 1, 0], ErrorCode.BAD_FIELD, 9),
        ([69, 9, 1, -1], ErrorCode.BAD_FIELD, 9),
        ([69, 9, 1, 2**62 + 1], ErrorCode.BAD_FIELD, 9),
        ([69, 9, 1, 2**64 - 1], ErrorCode.BAD_FIELD, 9),
        ([69, 9, 0, 5], ErrorCode.BAD_FIELD, 9),
        ([69, 9, 2**31, 5], ErrorCode.BAD_FIELD, 9),
        ([69, 9, 1, 5, 2**63], ErrorCode.BAD_FIELD, 9),
        ([69, 0, 1, 5], ErrorCode.BAD_FIELD, 0),
        ([69, 2**63, 1, 5], ErrorCode.BAD_FIELD, 0),
        ([69, "9", 1, 5], ErrorCode.BAD_FIELD, 0),
        ([69, True, 1, 5], ErrorCode.BAD_FIELD, 0),
        ([71, 9, "A B", 2], ErrorCode.BAD_FIELD, 9),
        ([71, 9, "A\n", 2], ErrorCode.BAD_FIELD, 9),
        ([71, 9, "\u00e9", 2], ErrorCode.BAD_FIELD, 9),
        ([71, 9, "", 2], ErrorCode.BAD_FIELD, 9),
        ([71, 9, "A" * 49, 2], ErrorCode.BAD_FIELD, 9),
        ([71, 9, b"ABC", 2], ErrorCode.BAD_FIELD, 9),
        ([71, 9, "ABC", 19], ErrorCode.BAD_FIELD, 9),
        ([64, 9, 1, 0, 3, 2, 1, 5, 5], ErrorCode.BAD_FIELD, 9),
        ([64, 9, 1, 0, 1, 2, 2, 5, 5], ErrorCode.BAD_FIELD, 9),
        ([64, 9, 1, 0, 1, 2, 1, 5, 5, 4], ErrorCode.BAD_FIELD, 9),
        ([64, 9, 1, 0, 1, 2, 1, 5, 5, 0, 0, None, 2**63 - 1], ErrorCode.BAD_FIELD, 9),
        ([66, 9, 1, 0, 5, None, 0], ErrorCode.BAD_FIELD, 9),
        ([66, 9, 1, 0, 5, None, 1, 1], ErrorCode.BAD_FIELD, 9),
    ],
)
def test_a_wrong_message_is_answered_with_its_id_and_is_not_fatal(values, code, request_id):
    assert refusal(pack(values)) == (code, request_id)
    assert not ERROR_TRAITS[code].fatal


def test_a_type_that_is_no_fixint_is_unknown():
    assert refusal(b"\x94\xcc\x45\x01\x01\x05") == (ErrorCode.UNKNOWN_TYPE, 1)


@given(st.binary(max_size=80) | st.binary(max_size=40).map(lambda tail: b"\x94\x45\x01" + tail))
def test_any_bytes_are_decoded_or_refused_briefly(body):
    problem = problem_of(body)
    if problem is not None:
        assert len(str(problem)) <= 128
        assert 0 <= problem.request_id <= INT_MAX
        assert len(error_body(problem.request_id, problem.code, str(problem))) < 512


def test_an_error_says_what_may_be_concluded():
    for code, traits in ERROR_TRAITS.items():
        error = msgspec.msgpack.decode(error_body(7, code), type=Error)
        assert (error.request_id, error.flags, error.code) == (7, 0, code)
        assert (error.name, error.message) == (code.name.lower(), traits.text)
        assert (error.retryable, error.fatal, error.executed) == (
            traits.retryable, traits.fatal, False,
        )  # fmt: skip
    assert msgspec.msgpack.decode(error_body(7, ErrorCode.BUSY, "why"), type=Error).message == "why"


@given(st.integers(1, INT_MAX) | st.sampled_from([2**n + d for n in range(5, 63) for d in (-1, 0)]))
def test_the_duplicate_flag_changes_one_field_only(request_id):
    for fields in ((), tuple(range(1, 13))):
        message = OrderResponse(request_id, 0, *(fields or range(12)))
        flagged = with_duplicate_flag(encode(message))
        expected = msgspec.structs.replace(message, flags=FLAG_DUPLICATE)
        assert msgspec.msgpack.decode(flagged, type=OrderResponse) == expected
        assert flagged == encode(expected)


def test_the_duplicate_flag_behind_a_long_array():
    """array16, as responses of 16 fields and more have."""
    body = pack([64, 300, 0, *range(14)])
    assert body[0] == 0xDC
    assert msgpack.unpackb(with_duplicate_flag(body)) == [64, 300, 1, *range(14)]


def test_the_largest_responses_fit_what_is_remembered():
    responses = {type_number(message): message for message in REPLIES}
    for command in COMMANDS:
        response = responses[type_number(command)]
        largest = response(INT_MAX, *[INT_MAX] * (len(response.__struct_fields__) - 1))
        assert len(encode(largest)) <= RESPONSE_BYTES_MAX


def test_every_request_has_its_decoder():
    for message in (*QUERIES, *COMMANDS):
        body = pack([type_number(message), 7])
        problem = problem_of(body)
        if problem is None:
            assert type(decode_request(body)) is message
        else:
            assert (problem.code, problem.request_id) == (ErrorCode.BAD_FIELD, 7)


def test_frames_are_cut_where_they_end():
    bodies = [b"a", b"bb" * 300, b""]
    frames = b"".join(map(frame, bodies))
    assert list(split_frames(frames)) == bodies
    assert not ends_inside_frame(frames)


@pytest.mark.parametrize("cut", [1, 3, 4, 5, 304])
def test_frames_that_are_not_whole(cut):
    frames = frame(b"a") + frame(b"b" * 300)
    assert ends_inside_frame(frames[:-cut]) is (cut != 304)
    assert ends_inside_frame(b"\x00\x00")
    assert not ends_inside_frame(b"")


def test_a_log_body_comes_back_as_it_was():
    body = Body(7, 2**60, [(0, 0, b"xx"), (1, 2, b"")], [Trade(1, 1, 100, 5, 1, 2)], 0xFFFFFFFF)
    data = encode_body(body)
    assert decode_body(data) == body
    assert msgpack.unpackb(data) == [
        7, 2**60, [[0, 0, b"xx"], [1, 2, b""]], [[1, 1, 100, 5, 1, 2]], 0xFFFFFFFF,
    ]  # fmt: skip


@given(st.binary(max_size=60))
def test_bytes_that_are_no_log_body_are_refused(data):
    try:
        decode_body(data)
    except msgspec.DecodeError:
        return
    assert isinstance(msgpack.unpackb(data), list)


def test_diagnose_reads_a_frame_that_would_decode():
    assert diagnose(pack(DEPOSIT), "why").code == ErrorCode.BAD_FIELD
