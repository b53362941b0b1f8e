"""Framing: whole frames come out of any stream, however it was cut; bad lengths are named."""

from itertools import pairwise

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpe.errors import ProtocolError
from hpe.protocol.codes import ErrorCode
from hpe.protocol.control import Ping
from hpe.protocol.frames import Chunk, FrameScanner, encode_frame, split_frames
from hpe.protocol.limits import REQUEST_BYTES_MAX
from hpe.protocol.listings import AssetsReply
from hpe.protocol.orders import SubmitOrder

BODY_BYTES_MAX = 300
pytestmark = pytest.mark.usefixtures("each_form")


def framed(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


def shown(chunks: list[Chunk]) -> list[tuple[bool, int, bytes]]:
    return [(chunk.control, chunk.count, chunk.frames) for chunk in chunks]


def order(request_id: int) -> bytes:
    return encode_frame(SubmitOrder(request_id, 1, 0, 1, 2, 1, 100, 5))


def ping(request_id: int) -> bytes:
    return encode_frame(Ping(request_id, 9))


def array16(type_number: int, fields: int = 20) -> bytes:
    body = b"\xdc" + fields.to_bytes(2, "big") + bytes([type_number]) + bytes(fields - 1)
    return framed(body)


def test_a_frame_is_length_prefix_and_messagepack_array() -> None:
    frame = encode_frame(Ping(7, 300))
    assert frame == bytes.fromhex("00000006930207cd012c")
    assert msgpack.unpackb(frame[4:]) == [2, 7, 300]


def test_a_frame_longer_than_any_request_is_encoded_too() -> None:
    reply = AssetsReply(1, 0, 5, [(i, "X" * 40, 2) for i in range(100)])
    frame = encode_frame(reply)
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4 > REQUEST_BYTES_MAX


def test_consecutive_requests_are_one_chunk_and_control_is_a_chunk_of_its_own() -> None:
    stream = order(1) + order(2) + ping(3) + ping(4) + order(5)
    assert shown(FrameScanner(2048).feed(stream)) == [
        (False, 2, order(1) + order(2)),
        (True, 1, ping(3)),
        (True, 1, ping(4)),
        (False, 1, order(5)),
    ]


def test_a_chunk_has_at_most_frames_max_frames() -> None:
    chunks = FrameScanner(2048, frames_max=4).feed(b"".join(map(order, range(1, 12))))
    assert [chunk.count for chunk in chunks] == [4, 4, 3]
    assert b"".join(chunk.frames for chunk in chunks) == b"".join(map(order, range(1, 12)))


@pytest.mark.parametrize(
    ("frame", "control"),
    [
        (framed(b"\x91\x01"), True),
        (framed(b"\x9f\x1f" + bytes(14)), True),
        (framed(b"\x91\x20"), False),
        (framed(b"\x91\x00"), False),
        (array16(1), True),
        (array16(31), True),
        (array16(32), False),
        (array16(0), False),
        # 0x2000 elements: the byte after the header looks like a query, the type is control.
        (framed(b"\xdc\x20\x00\x05"), True),
        (framed(b"\xdc\x00\x01"), False),  # ends before its type
        (framed(b"\x91"), False),
        (framed(b"\x01"), False),
        (framed(b"\x81\x01\x02"), False),  # a map
        (framed(b"\xc4\x01\x02"), False),
    ],
)
def test_control_is_read_from_the_type_byte(frame: bytes, control: bool) -> None:
    # What follows must not be taken for this frame's type.
    chunks = FrameScanner(2048).feed(frame + array16(1))
    assert shown(chunks)[0] == (control, 1, frame)
    assert shown(FrameScanner(2048).feed(frame)) == [(control, 1, frame)]


def kinds(chunks: list[Chunk]) -> list[bool]:
    return [chunk.control for chunk in chunks for _ in range(chunk.count)]


bodies = st.one_of(
    st.binary(min_size=1, max_size=BODY_BYTES_MAX),
    st.sampled_from([order(1)[4:], ping(2)[4:], array16(1)[4:], array16(70)[4:], b"\x91", b"\xdc"]),
)


@given(st.lists(bodies, max_size=12), st.lists(st.integers(0, 4000), max_size=12), st.data())
def test_any_cut_of_the_stream_gives_the_same_frames(
    contents: list[bytes], cuts: list[int], data: st.DataObject
) -> None:
    stream = b"".join(map(framed, contents))
    tail = data.draw(st.sampled_from([b"", b"\0", b"\0\0\0", b"\0\0\0\x09", b"\0\0\0\x09abc"]))
    stream += tail
    borders = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    whole, pieces = FrameScanner(BODY_BYTES_MAX, 3), FrameScanner(BODY_BYTES_MAX, 3)
    at_once = whole.feed(stream)
    in_pieces = [
        chunk for start, end in pairwise(borders) for chunk in pieces.feed(stream[start:end])
    ]
    for chunks in (at_once, in_pieces):
        assert [body for chunk in chunks for body in split_frames(chunk.frames)] == contents
        assert all(len(list(split_frames(chunk.frames))) == chunk.count for chunk in chunks)
        assert all(chunk.count <= 3 for chunk in chunks)
    assert kinds(at_once) == kinds(in_pieces)
    assert whole.pending == pieces.pending == tail
    assert whole.error is pieces.error is None


@given(st.lists(bodies, max_size=5), st.integers(1, 7), st.sampled_from([0, 301, 2**31, 2**32 - 1]))
def test_a_bad_length_ends_the_stream_after_the_good_frames(
    contents: list[bytes], piece_bytes: int, length: int
) -> None:
    scanner = FrameScanner(BODY_BYTES_MAX)
    stream = b"".join(map(framed, contents)) + length.to_bytes(4, "big") + order(1)
    found = [
        body
        for start in range(0, len(stream), piece_bytes)
        for chunk in scanner.feed(stream[start : start + piece_bytes])
        for body in split_frames(chunk.frames)
    ]
    assert found == contents
    assert scanner.error is not None
    code = ErrorCode.EMPTY_FRAME if length == 0 else ErrorCode.FRAME_TOO_LARGE
    assert scanner.error.code == code
    assert f"is {length}, allowed 1..{BODY_BYTES_MAX}" in str(scanner.error)
    assert scanner.feed(order(2)) == []
    assert scanner.pending == b""


def test_a_bad_length_is_seen_as_soon_as_its_four_bytes_are_there() -> None:
    scanner = FrameScanner(BODY_BYTES_MAX)
    assert shown(scanner.feed(order(1) + bytes(3))) == [(False, 1, order(1))]
    assert scanner.error is None
    assert scanner.feed(b"\0") == []
    assert isinstance(scanner.error, ProtocolError)


def test_the_limit_may_be_raised_between_feeds() -> None:
    scanner = FrameScanner(256)
    large = framed(b"\x91\x40" + bytes(400))
    assert shown(scanner.feed(order(1))) == [(False, 1, order(1))]
    scanner.body_bytes_max = 2048
    assert shown(scanner.feed(large)) == [(False, 1, large)]


def test_the_longest_frame_is_taken_and_one_byte_more_is_not() -> None:
    longest = framed(b"\x91\x40" + bytes(BODY_BYTES_MAX - 2))
    assert shown(FrameScanner(BODY_BYTES_MAX).feed(longest)) == [(False, 1, longest)]
    scanner = FrameScanner(BODY_BYTES_MAX)
    assert scanner.feed(framed(bytes(BODY_BYTES_MAX + 1))) == []
    assert scanner.error is not None


@pytest.mark.parametrize(
    ("greeting", "hint"),
    [
        (b"GET / HTTP/1.1\r\n", "an HTTP request"),
        (b"POST /orders HTTP/1.1\r\n", "an HTTP request"),
        (b"PRI * HTTP/2.0\r\n", "an HTTP request"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "an SSH greeting"),
        (bytes.fromhex("16030101fc"), "a TLS client hello"),
        (bytes.fromhex("1c000000") + bytes(28), "a little-endian length"),
        (order(1)[4:], "without its length prefix"),
        (array16(1)[4:], "without its length prefix"),
    ],
)
def test_a_wrong_port_is_named(greeting: bytes, hint: str) -> None:
    scanner = FrameScanner(2048)
    assert scanner.feed(greeting) == []
    assert scanner.error is not None
    assert hint in str(scanner.error)


def test_a_plain_oversize_gets_no_hint() -> None:
    scanner = FrameScanner(2048)
    scanner.feed(bytes.fromhex("00001001"))
    assert str(scanner.error) == "length prefix is 4097, allowed 1..2048"


@pytest.mark.parametrize("missing", [1, 5, len(order(1)) - 1])
def test_bodies_of_cut_frames_are_refused(missing: int) -> None:
    with pytest.raises(ProtocolError, match="inside a frame"):
        list(split_frames(order(1)[:-missing]))
