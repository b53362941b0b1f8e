"""The bytes of segments: what is written is read back, and other bytes are distinguished."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpe.errors import LogVersionError
from hpe.wal.format import (
    FRAME_BYTES_MAX,
    FRAME_OVERHEAD_BYTES,
    HEADER_BYTES,
    SECTOR_BYTES,
    BadFrame,
    Frame,
    SegmentHeader,
    SyncMode,
    content_end,
    decode_frame,
    decode_header,
    encode_frame,
    encode_header,
    frame_parts,
    torn_by_crash,
)
from hpe.wal.log import GENESIS_HASH, RECORD_BYTES_MAX, Record

SALT = bytes(range(16))
HEADER = SegmentHeader(
    core_version=7,
    log_id=b"L" * 16,
    salt=SALT,
    number=2,
    first_sequence=11,
    previous_sequence=10,
    previous_hash=b"H" * 16,
    durable_sequence=10,
    sync_mode=SyncMode.EVERY,
)


def frame_of(payload: bytes, salt: bytes = SALT) -> bytes:
    return encode_frame(salt, payload, first_sequence=11, last_sequence=13, durable_sequence=9)


def test_golden_header():
    """Changing these bytes is a change of format: raise FORMAT_VERSION."""
    assert encode_header(HEADER).hex() == (
        b"HPEWAL\r\n".hex() + "00000002" + "00000007" + "4c" * 16 + SALT.hex()
        + "0000000000000002" + "000000000000000b" + "000000000000000a" + "48" * 16
        + "000000000000000a" + "00000002" + "fd649f85"
    )  # fmt: skip


def test_golden_frame():
    assert frame_of(b"payload").hex() == (
        "f5485046" + "00000007" + "000000000000000b" + "000000000000000d" + "0000000000000009"
        + "62eebb86" + "1145a185" + "5a" + b"payload".hex() + "a5"
    )  # fmt: skip


def test_sizes():
    assert len(encode_header(HEADER)) == HEADER_BYTES
    assert len(frame_of(b"")) == FRAME_OVERHEAD_BYTES
    assert len(frame_of(bytes(RECORD_BYTES_MAX))) <= FRAME_BYTES_MAX


def test_header_round_trip():
    assert decode_header(encode_header(HEADER) + b"frames") == HEADER


def test_every_bit_and_length_of_a_header_matters():
    encoded = encode_header(HEADER)
    for length in range(len(encoded)):
        with pytest.raises(ValueError, match="header takes"):
            decode_header(encoded[:length])
    for bit in range(8 * len(encoded)):
        with pytest.raises((ValueError, LogVersionError)):
            decode_header(flipped(encoded, bit))


def test_another_format_version_is_named():
    with pytest.raises(LogVersionError, match="format version 1; this build reads 2"):
        decode_header(encode_header(HEADER)[:8] + b"\0\0\0\1" + encode_header(HEADER)[12:])


def test_a_header_that_contradicts_itself_is_refused():
    with pytest.raises(ValueError, match="starts at sequence 11 after 9"):
        decode_header(encode_header(HEADER._replace(previous_sequence=9)))


@given(st.binary(max_size=100), st.binary(max_size=10), st.binary(max_size=10))
def test_frame_round_trip(payload, before, behind):
    data = before + frame_of(payload) + behind
    end_offset = len(data) - len(behind)
    assert decode_frame(SALT, data, len(before)) == Frame(11, 13, 9, payload, end_offset)


def test_every_bit_and_length_of_a_frame_matters():
    encoded = frame_of(b"some payload")
    for bit in range(8 * len(encoded)):
        assert isinstance(decode_frame(SALT, flipped(encoded, bit), 0), BadFrame)
    for length in range(len(encoded)):
        bad = decode_frame(SALT, encoded[:length], 0)
        assert isinstance(bad, BadFrame)
        assert bad.end_offset is not None
        assert bad.end_offset > length


def test_a_frame_of_another_segment_is_none():
    assert isinstance(decode_frame(bytes(16), frame_of(b"x"), 0), BadFrame)


HEAD_BYTES = FRAME_OVERHEAD_BYTES - 1
"""The rest is the end mark."""

AHEAD = [0, 3, 600, 5000]
"""Zeros behind a frame: how far the file was filled ahead."""


def test_where_zeros_begin():
    for size in (0, 1, 70_000, 200_000):
        assert content_end(bytes(size)) == 0
        for ahead in (0, 1, 65_536, 140_000):
            assert content_end(bytes(size) + b"x" + bytes(ahead)) == size + 1


@pytest.mark.parametrize("ahead", AHEAD)
@pytest.mark.parametrize("offset", [0, 1, 104, 470, 471, 472, 480, 511])
def test_a_frame_with_any_whole_sector_gone_is_torn(offset, ahead):
    before = b"\1" * offset
    data = before + frame_of(bytes([7]) * 1500)
    starts = [offset, *range(SECTOR_BYTES, len(data), SECTOR_BYTES)]
    ends = [*starts[1:], len(data)]
    for start, end in zip(starts, ends, strict=True):
        torn = data[:start] + bytes(end - start) + data[end:]
        assert judged_torn(torn + bytes(ahead), offset)
    for length in range(offset, len(data)):
        assert judged_torn(data[:length], offset)


@pytest.mark.parametrize("size", [1, 100, 469, 470, 471, 1500])
@pytest.mark.parametrize("offset", [104, 300, *range(470, 513)])
def test_any_sectors_of_a_frame_may_be_missing(offset, size):
    """In a file that was filled ahead: nothing there, torn, or whole; never damage."""
    data = b"\1" * offset + frame_of(bytes([7]) * size)
    borders = [offset, *range(offset // SECTOR_BYTES * SECTOR_BYTES + 512, len(data), 512)]
    sectors = list(zip(borders, [*borders[1:], len(data)], strict=True))
    for gone in product([False, True], repeat=len(sectors)):
        left = bytearray(data + bytes(3000))
        for (start, end), is_gone in zip(sectors, gone, strict=True):
            if is_gone:
                left[start:end] = bytes(end - start)
        if all(gone):
            assert content_end(left) == offset
        elif any(gone):
            assert judged_torn(bytes(left), offset)
        else:
            assert isinstance(decode_frame(SALT, bytes(left), offset), Frame)


@pytest.mark.parametrize("offset", [0, 104, *range(470, 512)])
@pytest.mark.parametrize("size", [0, 430, 1100])
def test_a_flipped_bit_never_looks_torn(offset, size):
    before = b"\1" * offset
    encoded = frame_of(bytes([7]) * size)
    for bit in range(0, 8 * len(encoded), 1 if size < 1000 else 3):
        altered = before + flipped(encoded, bit)
        for ahead in (0, 3000):
            assert not judged_torn(altered + bytes(ahead), offset)


@pytest.mark.parametrize("offset", range(471, 512))
def test_no_head_passes_for_torn_whatever_its_checksum_is(offset):
    """Its last bytes are a checksum, and may be zero, in a sector of their own but for a mark."""
    before = b"\1" * offset
    for number in range(600):
        encoded = frame_of(number.to_bytes(8, "big"))
        assert not judged_torn(before + flipped(encoded, 70) + bytes(3000), offset)


@pytest.mark.parametrize("hole", [256, 511, 512, 600, 1023, 1024, 5000])
@pytest.mark.parametrize("before", [1, 300, 512])
def test_zeros_in_a_payload_never_pass_for_a_missing_sector(hole, before):
    """Whoever chose the bytes: a frame that has such a run says so in its head."""
    encoded = frame_of(b"x" * before + bytes(hole) + b"x" * 700)
    for offset in (0, 104, 511):
        for bit in (330, 8 * (HEAD_BYTES + before) + 1, 8 * len(encoded) - 9, 8 * len(encoded) - 1):
            assert not judged_torn(b"\1" * offset + flipped(encoded, bit) + bytes(900), offset)
        for length in range(offset + HEAD_BYTES, offset + len(encoded), 50):
            assert judged_torn((b"\1" * offset + encoded)[:length], offset)


def test_zeros_in_pieces_of_a_payload_are_found():
    """A record is framed body by body: a run over the lengths between them counts, too."""
    for bodies in ([bytes(509), b"x"], [b"x", bytes(509)], [b""] * 200, [b"x" * 65536, bytes(257)]):
        payload = Record(1, 1, GENESIS_HASH, tuple(bodies)).parts()
        whole = b"".join(payload)
        sequences = {"first_sequence": 1, "last_sequence": 1, "durable_sequence": 0}
        encoded = b"".join(frame_parts(SALT, payload, **sequences))
        assert decode_frame(SALT, encoded, 0) == Frame(1, 1, 0, whole, len(encoded))
        assert encoded[HEAD_BYTES - 1] == 0x69
        views = list(map(memoryview, payload))
        assert b"".join(frame_parts(SALT, views, **sequences)) == encoded
    assert frame_of(bytes(255))[HEAD_BYTES - 1] == 0x5A


def test_a_flipped_bit_before_a_missing_end_is_not_judged_torn():
    """The head cannot be trusted, so nobody knows that bytes are missing: refuse."""
    encoded = flipped(frame_of(b"x" * 1000), 40)
    assert not judged_torn(encoded[:900], 0)


def test_a_bad_frame_that_something_follows_is_not_torn():
    encoded = frame_of(b"x" * 600)
    torn = encoded[:512] + bytes(len(encoded) - 512)
    assert judged_torn(torn + bytes(700), 0)
    assert not judged_torn(torn + b"\1", 0)
    assert not judged_torn(torn + bytes(700) + b"\1", 0)


def judged_torn(data: bytes, offset: int) -> bool:
    bad = decode_frame(SALT, data, offset)
    assert isinstance(bad, BadFrame)
    return torn_by_crash(data, offset, bad)


def flipped(data: bytes, bit: int) -> bytes:
    altered = bytearray(data)
    altered[bit // 8] ^= 1 << bit % 8
    return bytes(altered)
