"""Bytes at the core's edge: what is accepted, what is answered, what ends a connection."""

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpe.core.codec import (
    Body,
    Trade,
    decode_body,
    encode,
    encode_body,
    error_body,
    with_duplicate_flag,
)
from hpe.protocol.base import type_number
from hpe.protocol.codes import ERROR_TRAITS, ErrorCode
from hpe.protocol.control import Error
from hpe.protocol.flags import FLAG_DUPLICATE
from hpe.protocol.frames import frame, split_frames, type_of
from hpe.protocol.limits import INT_MAX, RESPONSE_BYTES_MAX
from hpe.protocol.orders import OrderResponse
from hpe.protocol.registry import COMMANDS, REPLIES

pack = msgpack.packb
DEPOSIT = [69, 1, 1, 5]


def array16(values):
    return b"\xdc" + len(values).to_bytes(2, "big") + pack(values)[1:]


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


def test_frames_are_cut_where_they_end():
    bodies = [b"a", b"bb" * 300, b""]
    frames = b"".join(map(frame, bodies))
    assert list(split_frames(frames)) == bodies


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
