"""The bytes of segments: what is written is read back, what is not is told apart."""

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
    decode_frame,
    decode_header,
    encode_frame,
    encode_header,
    torn_by_crash,
)
from hpe.wal.log import RECORD_BYTES_MAX

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
        b"HPEWAL\r\n".hex() + "00000001" + "00000007" + "4c" * 16 + SALT.hex()
        + "0000000000000002" + "000000000000000b" + "000000000000000a" + "48" * 16
        + "000000000000000a" + "00000002" + "5120291d"
    )  # fmt: skip


def test_golden_frame():
    assert frame_of(b"payload").hex() == (
        "f5485046" + "00000007" + "000000000000000b" + "000000000000000d" + "0000000000000009"
        + "62eebb86" + "4bc0a9a7" + b"payload".hex() + "a5"
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
        with pytest.raises(ValueError, match="too few"):
            decode_header(encoded[:length])
    for bit in range(8 * len(encoded)):
        with pytest.raises((ValueError, LogVersionError)):
            decode_header(flipped(encoded, bit))


def test_another_format_version_is_named():
    with pytest.raises(LogVersionError, match="format version 2; this build reads 1"):
        decode_header(encode_header(HEADER)[:8] + b"\0\0\0\2" + encode_header(HEADER)[12:])


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


@pytest.mark.parametrize("offset", [0, 1, 104, 471, 472, 480, 511])
def test_a_frame_with_any_whole_sector_gone_is_torn(offset):
    before = b"\1" * offset
    data = before + frame_of(bytes([7]) * 1500)
    starts = [offset, *range(SECTOR_BYTES, len(data), SECTOR_BYTES)]
    ends = [*starts[1:], len(data)]
    for start, end in zip(starts, ends, strict=True):
        torn = data[:start] + bytes(end - start) + data[end:]
        assert judged_torn(torn, offset)
    for length in range(offset, len(data)):
        assert judged_torn(data[:length], offset)


@pytest.mark.parametrize("offset", [0, 104, 471, 511])
@pytest.mark.parametrize("size", [0, 430, 467, 468, 469, 470, 471, 1100])
def test_a_flipped_bit_never_looks_torn(offset, size):
    before = b"\1" * offset
    encoded = frame_of(bytes([7]) * size)
    for bit in range(8 * len(encoded)):
        assert not judged_torn(before + flipped(encoded, bit), offset)


def test_a_flipped_bit_before_a_missing_end_is_not_judged_torn():
    """The head cannot be trusted, so nobody knows that bytes are missing: refuse."""
    encoded = flipped(frame_of(b"x" * 1000), 40)
    assert not judged_torn(encoded[:900], 0)


def test_a_bad_frame_that_something_follows_is_not_torn():
    encoded = frame_of(b"x" * 600)
    torn = encoded[:512] + bytes(len(encoded) - 512)
    assert judged_torn(torn, 0)
    assert not judged_torn(torn + b"\1", 0)


def judged_torn(data: bytes, offset: int) -> bool:
    bad = decode_frame(SALT, data, offset)
    assert isinstance(bad, BadFrame)
    return torn_by_crash(data, offset, bad)


def flipped(data: bytes, bit: int) -> bytes:
    altered = bytearray(data)
    altered[bit // 8] ^= 1 << bit % 8
    return bytes(altered)
