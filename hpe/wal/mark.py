r"""The head mark: a small file that records, outside the log, how far the log was durable.

Owns the bytes of the file and the order in which its two slots are written. Any thread may read the
mark; HeadMark belongs to the log's writer. Guarantees: a mark claims only what was synced before,
so no crash can make a good log contradict it; a crash while one slot is written leaves the other
one intact. Relies on LogFiles. segments.py judges a log by its mark. Source: docs/log-format.md,
"The head mark".

The file holds one slot at offset 0 and one at 4096, so that no sector of any size holds both. Of
the slots whose checksum matches, the one with the higher generation counts. Integers are unsigned,
big-endian.

     0  8  magic "HPEMARK\n"                  56 16  salt of that segment
     8  4  format version                     72 16  another salt that it may have
    12  4  1: closed, else 0                  88  8  durable sequence
    16  8  generation, from 1                 96  8  offset behind that sequence's frame
    24 16  log id                            104  4  CRC-32 of bytes 0..103
    40  8  number of the newest segment
    48  8  first sequence of that segment
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple
from zlib import crc32

from hpe.errors import WalDamagedError
from hpe.wal.files import LogFiles, WriteFile, write_file
from hpe.wal.format import LOG_ID_BYTES, SALT_BYTES, SegmentHeader

MARK_NAME: Final = "head.mark"

_MAGIC: Final = b"HPEMARK\n"
_VERSION: Final = 1
_SLOT: Final = struct.Struct(">8sIIQ16sQQ16s16sQQ")
_CRC: Final = struct.Struct(">I")
_SLOT_BYTES: Final = _SLOT.size + _CRC.size
_SLOT_OFFSETS: Final = (0, 4096)
"""A disk that writes 4 KiB at once may lose 4 KiB, but never both slots."""


class Mark(NamedTuple):
    """The part of a log that must not be missing.

    `number` is the newest segment, 0 if there is none yet. While that segment is rewritten, its
    salt is one of the two; otherwise both are the same. The frame of `durable_sequence` ends at
    `offset`; with `closed`, the log ends there too.
    """

    log_id: bytes
    number: int
    first_sequence: int
    salt: bytes
    other_salt: bytes
    durable_sequence: int
    offset: int
    closed: bool

    def describe(self) -> str:
        """Return one line that says what the mark claims."""
        if not self.number:
            return f"{MARK_NAME}: log {self.log_id.hex()}, no segment yet"
        return (
            f"{MARK_NAME}: segment {self.number}, durable up to sequence {self.durable_sequence} "
            f"at offset {self.offset}, {'closed' if self.closed else 'open'}"
        )


def mark_of(
    header: SegmentHeader,
    durable_sequence: int,
    offset: int,
    *,
    other_salt: bytes | None = None,
    closed: bool = False,
) -> Mark:
    """Return the mark of a segment. Without `other_salt`, both salts are the segment's own."""
    return Mark(
        header.log_id,
        header.number,
        header.first_sequence,
        header.salt,
        header.salt if other_salt is None else other_salt,
        durable_sequence,
        offset,
        closed,
    )


def empty_mark(log_id: bytes) -> Mark:
    """Return the mark of a log that has no segment yet."""
    return Mark(log_id, 0, 0, bytes(SALT_BYTES), bytes(SALT_BYTES), 0, 0, closed=False)


def read_mark(files: LogFiles) -> Mark | WalDamagedError | None:
    """Return the mark of a directory, None if there is no such file.

    If neither slot is good, return the error: the caller raises it once it knows that the segments
    are of a version that has marks.
    """
    if MARK_NAME not in files.names():
        return None
    data = files.read(MARK_NAME, _SLOT_OFFSETS[-1] + _SLOT_BYTES)
    slots = [slot for offset in _SLOT_OFFSETS if (slot := _decode(data, offset)) is not None]
    if not slots:
        return WalDamagedError(f"{MARK_NAME}: neither of its two slots is readable")
    return max(slots, key=lambda slot: slot[0])[1]


class HeadMark:
    """Writes the mark of a log that this process has locked."""

    def __init__(self, files: LogFiles) -> None:
        self._files = files
        self._file: WriteFile | None = None
        self._generation = 1

    def begin(self, mark: Mark) -> None:
        """Rewrite the file with the same mark in both slots.

        After a failed sync, the contents of the existing file may be in the page cache only.
        Overwriting one of its slots could then leave no good one.
        """
        slot = _encode(self._generation, mark)
        gap = bytes(_SLOT_OFFSETS[1] - len(slot))
        write_file(self._files, MARK_NAME, [slot + gap + slot]).close()
        self._file = self._files.open_in_place(MARK_NAME)

    def write(self, mark: Mark) -> None:
        """Write the next slot and make it durable.

        Raises:
            WalWriteError: the write failed, or the file was moved; the log accepts nothing more.
        """
        assert self._file is not None
        self._generation += 1
        slot = _encode(self._generation, mark)
        self._file.write(_SLOT_OFFSETS[self._generation % 2], [slot])
        self._file.datasync()
        self._file.check_place()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def _encode(generation: int, mark: Mark) -> bytes:
    assert len(mark.log_id) == LOG_ID_BYTES
    slot = _SLOT.pack(
        _MAGIC,
        _VERSION,
        mark.closed,
        generation,
        mark.log_id,
        mark.number,
        mark.first_sequence,
        mark.salt,
        mark.other_salt,
        mark.durable_sequence,
        mark.offset,
    )
    return slot + _CRC.pack(crc32(slot))


def _decode(data: bytes, offset: int) -> tuple[int, Mark] | None:
    slot = data[offset : offset + _SLOT_BYTES]
    if len(slot) < _SLOT_BYTES or _CRC.unpack_from(slot, _SLOT.size) != (crc32(slot[:-4]),):
        return None
    magic, version, closed, generation, *fields = _SLOT.unpack_from(slot)
    if (magic, version) != (_MAGIC, _VERSION):
        return None
    return generation, Mark._make((*fields, bool(closed)))
