r"""The bytes of a segment file: its header and its frames.

Pure functions over bytes; any thread may call them. Guarantee: `decode_*` accepts only what
`encode_*` made for this very segment, bit for bit; it reports faults and repairs none. Relies on
CRC-32 finding every single-bit error and, because no client knows the salt, on clients not being
able to forge a frame inside an order. Source: docs/log-format.md, "The segment".

Segment = one header, then frames without padding, then zeros up to where the file was filled ahead.
All integers are unsigned, big-endian.

    header, 104 bytes                          frame, 41 bytes + payload + 1
     0  8  magic "HPEWAL\r\n"                    0  4  magic F5 48 50 46
     8  4  format version                       4  4  payload length
    12  4  core version                         8  8  first sequence
    16 16  log id                              16  8  last sequence
    32 16  salt                                24  8  durable sequence
    48  8  segment number, from 1              32  4  CRC-32 of salt + payload
    56  8  first sequence                      36  4  CRC-32 of salt + bytes 0..35 and 40
    64  8  predecessor's last sequence         40  1  head mark 5A, 69: zeros in the payload
    72 16  predecessor's last record hash      41  n  payload: one record
                                             41+n  1  end mark A5
    88  8  durable sequence
    96  4  sync mode
   100  4  CRC-32 of bytes 0..99

`durable sequence` is the highest sequence that was known to be durable when these bytes were
written. It later distinguishes damage from a torn tail.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import Final, NamedTuple
from zlib import crc32

from hpe.errors import LogVersionError
from hpe.wal.log import RECORD_BYTES_MAX, Piece

FORMAT_VERSION: Final = 2

SALT_BYTES: Final = 16
LOG_ID_BYTES: Final = 16

SECTOR_BYTES: Final = 512
"""The unit that a disk writes completely or not at all."""

FRAME_BYTES_MAX: Final = 4 * 1024 * 1024
"""Longest frame. Bounds one write, and what a reader must hold to judge a length."""

_SEGMENT_MAGIC: Final = b"HPEWAL\r\n"
"""The line ending reveals a copy that was made in text mode."""

_HEADER: Final = struct.Struct(">8sII16s16sQQQ16sQI")
_CRC: Final = struct.Struct(">I")
HEADER_BYTES: Final = _HEADER.size + _CRC.size

# No sector's share of a head or frame may be all zeros, or one flipped bit elsewhere would pass for
# a torn write. So heads and frames begin and end with bytes that have several bits set.
FRAME_MAGIC: Final = b"\xf5HPF"
_HEAD_MARK: Final = b"\x5a"
_HEAD_MARK_ZEROS: Final = b"\x69"
_END_MARK: Final = b"\xa5"

_PIECE_OF_ZEROS: Final = bytes(64 * 1024)
"""Compared in one step, which is far faster than byte by byte."""

_ZEROS: Final = bytes(SECTOR_BYTES // 2)
"""If no part of a payload contains such a run, no sector of it is all zeros: a run that spans two
parts has at most the 3 zero bytes of a length in the other part."""

_FRAME_HEAD: Final = struct.Struct(">4sIQQQI")
_FRAME_HEAD_BYTES: Final = _FRAME_HEAD.size + _CRC.size + len(_HEAD_MARK)
FRAME_OVERHEAD_BYTES: Final = _FRAME_HEAD_BYTES + len(_END_MARK)

assert HEADER_BYTES <= SECTOR_BYTES
assert RECORD_BYTES_MAX + FRAME_OVERHEAD_BYTES <= FRAME_BYTES_MAX


class SyncMode(IntEnum):
    """The sync policy that a segment was written under; only `batch` bounds a torn tail."""

    BATCH = 1
    EVERY = 2
    INTERVAL = 3


class SegmentHeader(NamedTuple):
    """The header of a segment: its identity and its place in the log."""

    core_version: int
    log_id: bytes
    salt: bytes
    number: int
    first_sequence: int
    previous_sequence: int
    previous_hash: bytes
    durable_sequence: int
    sync_mode: SyncMode


class Frame(NamedTuple):
    """A frame whose checksums match; `end_offset` is the offset just after it."""

    first_sequence: int
    last_sequence: int
    durable_sequence: int
    payload: bytes
    end_offset: int


class BadFrame(NamedTuple):
    """Bytes that are not a valid frame.

    `end_offset` is where the frame would end, None if its head is bad. `holds_zeros` is True if it
    was written with whole sectors of zeros: zero sectors then prove nothing.
    """

    reason: str
    end_offset: int | None
    holds_zeros: bool = False


def encode_header(header: SegmentHeader) -> bytes:
    """Return the bytes of a segment header."""
    head = _HEADER.pack(
        _SEGMENT_MAGIC,
        FORMAT_VERSION,
        header.core_version,
        header.log_id,
        header.salt,
        header.number,
        header.first_sequence,
        header.previous_sequence,
        header.previous_hash,
        header.durable_sequence,
        header.sync_mode,
    )
    return head + _CRC.pack(crc32(head))


def decode_header(data: bytes) -> SegmentHeader:
    """Read the header at the beginning of `data`.

    Raises:
        ValueError: the bytes are not a segment header; the message says what was found.
        LogVersionError: the format has another version.
    """
    if len(data) < HEADER_BYTES:
        raise ValueError(f"a header takes {HEADER_BYTES} bytes, found {len(data)}")
    magic, version, *fields = _HEADER.unpack_from(data)
    if magic != _SEGMENT_MAGIC:
        raise ValueError(f"a segment starts with {_SEGMENT_MAGIC!r}, found {magic!r}")
    # Before the checksum, which another version may have put elsewhere.
    if version != FORMAT_VERSION:
        raise LogVersionError(f"format version {version}; this build reads {FORMAT_VERSION}")
    (crc,) = _CRC.unpack_from(data, _HEADER.size)
    if crc != crc32(data[: _HEADER.size]):
        raise ValueError("the header's checksum does not match")
    header = SegmentHeader._make(fields)
    header = header._replace(sync_mode=SyncMode(header.sync_mode))
    if header.first_sequence != header.previous_sequence + 1:
        raise ValueError(
            f"starts at sequence {header.first_sequence} after {header.previous_sequence}"
        )
    return header


def encode_frame(
    salt: bytes, payload: bytes, *, first_sequence: int, last_sequence: int, durable_sequence: int
) -> bytes:
    """Return the bytes of a frame around a record's bytes."""
    return b"".join(
        frame_parts(
            salt,
            [payload],
            first_sequence=first_sequence,
            last_sequence=last_sequence,
            durable_sequence=durable_sequence,
        )
    )


def frame_parts(
    salt: bytes,
    payload: Sequence[Piece],
    *,
    first_sequence: int,
    last_sequence: int,
    durable_sequence: int,
) -> list[Piece]:
    """Return the parts of a frame around the parts of a record. Copies nothing."""
    salt_crc = crc32(salt)
    payload_crc = salt_crc
    length = 0
    mark = _HEAD_MARK
    for part in payload:
        payload_crc = crc32(part, payload_crc)
        length += len(part)
        # A view knows no search for bytes: `in` would compare single numbers.
        if not part or _ZEROS in bytes(part):
            mark = _HEAD_MARK_ZEROS
    assert length <= RECORD_BYTES_MAX
    head = _FRAME_HEAD.pack(
        FRAME_MAGIC, length, first_sequence, last_sequence, durable_sequence, payload_crc
    )
    head_crc = crc32(mark, crc32(head, salt_crc))
    return [head + _CRC.pack(head_crc) + mark, *payload, _END_MARK]


def decode_frame(salt: bytes, data: bytes, offset: int) -> Frame | BadFrame:
    """Return the frame at `offset`, or a BadFrame that says why there is none."""
    available = len(data) - offset
    if available < FRAME_OVERHEAD_BYTES:
        # No frame is this short, so the frame was longer and ends beyond the file.
        return BadFrame("the file ends inside a frame's head", offset + FRAME_OVERHEAD_BYTES)
    magic, length, first, last, durable, payload_crc = _FRAME_HEAD.unpack_from(data, offset)
    salt_crc = crc32(salt)
    crc_offset = offset + _FRAME_HEAD.size
    (head_crc,) = _CRC.unpack_from(data, crc_offset)
    payload_offset = offset + _FRAME_HEAD_BYTES
    mark = data[payload_offset - len(_HEAD_MARK) : payload_offset]
    found_crc = crc32(mark, crc32(data[offset:crc_offset], salt_crc))
    marks = (_HEAD_MARK, _HEAD_MARK_ZEROS)
    if magic != FRAME_MAGIC or mark not in marks or head_crc != found_crc:
        return BadFrame("a frame's head does not match its checksum", None)
    end_offset = payload_offset + length + len(_END_MARK)
    holds_zeros = mark == _HEAD_MARK_ZEROS
    if end_offset > len(data):
        return BadFrame("the file ends inside a frame's payload", end_offset, holds_zeros)
    payload = data[payload_offset : payload_offset + length]
    if payload_crc != crc32(payload, salt_crc):
        return BadFrame("a frame's payload does not match its checksum", end_offset, holds_zeros)
    if data[end_offset - 1 : end_offset] != _END_MARK:
        return BadFrame("a frame's end mark is wrong", end_offset, holds_zeros)
    return Frame(first, last, durable, payload, end_offset)


def content_end(data: bytes) -> int:
    """Return the offset at which the zeros at the end of the file begin."""
    end = len(data)
    while end:
        piece = data[max(0, end - len(_PIECE_OF_ZEROS)) : end]
        if piece != _PIECE_OF_ZEROS[: len(piece)]:
            return end - len(piece) + len(piece.rstrip(b"\0"))
        end -= len(piece)
    return 0


def torn_by_crash(data: bytes, offset: int, bad: BadFrame) -> bool:
    """True if a crash during the last write explains the bad bytes at `offset`.

    A disk writes whole sectors. A torn write lacks some of them: they are still zero, or beyond
    the end of the file. Complete sectors with wrong content are damage. Valid only where every
    write was synced before the next.
    """
    if bad.end_offset is None:
        return _lacks_sector(data, offset, offset + _FRAME_HEAD_BYTES)
    if bad.end_offset > len(data):
        return True
    if content_end(data) > bad.end_offset:
        return False  # another write followed, so this one had been synced completely
    return not bad.holds_zeros and _lacks_sector(data, offset, bad.end_offset)


def _lacks_sector(data: bytes, start: int, end: int) -> bool:
    """True if some sector in this range holds only zeros, as far as the range covers it."""
    while start < end:
        sector_end = min((start // SECTOR_BYTES + 1) * SECTOR_BYTES, end)
        if not any(data[start:sector_end]):
            return True
        start = sector_end
    return False
