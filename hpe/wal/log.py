"""The interface of a log: a chain of records, and the operations on it.

Owns the record's bytes and the `CommandLog` interface; knows nothing of files, so that another
adapter can carry the same bytes. Pure except for the interface, whose methods block and belong to
the log thread (to recovery, before that thread starts). Guarantee: each record names
the digest of the one before it, which covers every byte, so a record that was removed, inserted or
changed is detected. Relies on batch bodies being opaque. Source: docs/log-format.md, "The record".
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Final, NamedTuple, Protocol

from hpe.errors import WalWriteError

HASH_BYTES: Final = 16
"""Length of a record's digest: with 128 bits, no log will ever see an accidental collision."""

GENESIS_HASH: Final = bytes(HASH_BYTES)
"""The predecessor's hash in the first record of a log."""

RECORD_BYTES_MAX: Final = 4 * 1024 * 1024 - 64
"""Longest record. With its frame it takes at most 4 MiB, which bounds one write, the memory of one
group commit, and one message of a replicated log."""

_RECORD_MAGIC: Final = b"HPR2"
_KIND_DATA: Final = 1
_LOCAL_SHARD: Final = 0
LOCAL_EPOCH: Final = 0
"""A log in local files has only data records, one shard, and one writer forever. A replicated log
will have other values here and otherwise the same records."""

_HEAD: Final = struct.Struct(">4sIIIQQQ16s")
_BODY_LENGTH: Final = struct.Struct(">I")
RECORD_HEAD_BYTES: Final = _HEAD.size


Piece = bytes | memoryview
"""Bytes of a record; a body may be a view of the buffer in which its core made it."""


class Tail(NamedTuple):
    """The end of a log.

    `position` is the last sequence written, `durable_position` the last one that is known to
    survive a power cut.
    """

    position: int
    durable_position: int


class Record(NamedTuple):
    """The bodies of one group commit, linked to the record before.

    The bodies hold the commands `first_sequence` to `last_sequence`, all of them.
    """

    first_sequence: int
    last_sequence: int
    previous_hash: bytes
    bodies: tuple[Piece, ...]

    def encode(self) -> bytes:
        """Return the record's bytes. Raises like `parts`."""
        return b"".join(self.parts())

    def parts(self) -> list[Piece]:
        """Return the record's bytes in pieces. The bodies are not copied.

        Raises:
            WalWriteError: the record exceeds RECORD_BYTES_MAX.
        """
        size_bytes = RECORD_HEAD_BYTES + encoded_bodies_bytes(self.bodies)
        if size_bytes > RECORD_BYTES_MAX:
            raise WalWriteError(
                f"record {self.first_sequence}..{self.last_sequence} would take {size_bytes} "
                f"bytes; at most {RECORD_BYTES_MAX} are allowed"
            )
        head = _HEAD.pack(
            _RECORD_MAGIC,
            _KIND_DATA,
            _LOCAL_SHARD,
            len(self.bodies),
            LOCAL_EPOCH,
            self.first_sequence,
            self.last_sequence,
            self.previous_hash,
        )
        parts: list[Piece] = [head]
        for body in self.bodies:
            parts += (_BODY_LENGTH.pack(len(body)), body)
        return parts

    @classmethod
    def decode(cls, encoded: bytes) -> Record:
        """Return the record that these bytes encode.

        Raises:
            ValueError: the bytes are not a record; the message says what was found.
        """
        if len(encoded) < RECORD_HEAD_BYTES:
            raise ValueError(f"a record of {len(encoded)} bytes is shorter than its head")
        magic, kind, shard, count, epoch, *rest = _HEAD.unpack_from(encoded)
        if magic != _RECORD_MAGIC:
            raise ValueError(f"a record starts with {_RECORD_MAGIC!r}, found {magic!r}")
        if (kind, shard, epoch) != (_KIND_DATA, _LOCAL_SHARD, LOCAL_EPOCH):
            raise ValueError(
                f"a record of a local log has kind {_KIND_DATA}, shard {_LOCAL_SHARD}, "
                f"epoch {LOCAL_EPOCH}; found {kind}, {shard}, {epoch}"
            )
        first_sequence, last_sequence, previous_hash = rest
        if not 1 <= first_sequence <= last_sequence:
            raise ValueError(f"not a range of sequences: {first_sequence}..{last_sequence}")
        bodies = _decode_bodies(encoded, count)
        return cls(first_sequence, last_sequence, previous_hash, bodies)


def encoded_bodies_bytes(bodies: Sequence[Piece]) -> int:
    """Return the number of bytes that bodies take in a record, not counting its head."""
    return sum(map(len, bodies)) + _BODY_LENGTH.size * len(bodies)


def record_hash(parts: Iterable[Piece]) -> bytes:
    """Return the digest by which the next record refers to the record with these bytes."""
    digest = blake2b(digest_size=HASH_BYTES)
    for part in parts:
        digest.update(part)
    return digest.digest()


def _decode_bodies(encoded: bytes, count: int) -> tuple[bytes, ...]:
    bodies: list[bytes] = []
    offset = RECORD_HEAD_BYTES
    for _ in range(count):
        if offset + _BODY_LENGTH.size > len(encoded):
            raise ValueError(f"body {len(bodies) + 1} of {count} is missing")
        (length,) = _BODY_LENGTH.unpack_from(encoded, offset)
        offset += _BODY_LENGTH.size
        if offset + length > len(encoded):
            raise ValueError(f"body {len(bodies) + 1} of {count} ends beyond the record")
        bodies.append(encoded[offset : offset + length])
        offset += length
    if offset != len(encoded):
        raise ValueError(f"{len(encoded) - offset} bytes follow the last body")
    if not bodies:
        raise ValueError("a record must have at least one body")
    return tuple(bodies)


class CommandLog(Protocol):
    """An append-only log of records with one writer. Every method blocks.

    Order of use: open; read as often as needed; sync, which makes durable what was read and the
    log writable; append and sync; close. At most one append is in flight.
    """

    def open(self) -> Tail:
        """Lock the log for this process and find its end. Changes nothing that is logged."""

    def read(self, after: int) -> Iterator[Record]:
        """Yield the records that hold sequences above `after`, with chain and contiguity verified.

        Raises:
            WalDamagedError: the log contains bytes that no crash explains.
        """

    def append(self, expect: Tail, record: Record) -> Tail:
        """Write a record at the end, as durable as the sync policy promises.

        The digest is left to `link`, so that the caller need not wait for it before it publishes.

        Raises:
            Fenced: `expect` is not the log's end, or the record does not continue it.
            WalWriteError: the write or sync failed; the log accepts nothing more.
        """

    def link(self) -> bytes:
        """Return the digest by which the next record must refer to the last one.

        The first call after an append computes it, so make that call after publishing.
        """

    def sync(self) -> Tail:
        """Make everything written durable.

        Raises:
            WalWriteError: the sync failed; the log accepts nothing more.
        """

    def check_place(self) -> None:
        """Verify that the log is where the next start will look for it.

        Raises:
            WalWriteError: it was removed, moved or replaced; the log accepts nothing more.
        """

    @property
    def mark_due(self) -> bool:
        """True if `mark` should be called as soon as no append is pending."""

    def mark(self, *, closed: bool = False) -> None:
        """Record durably, outside the records, up to which sequence they are durable.

        This makes a later loss of the log's end detectable. After `closed`, append nothing.

        Raises:
            WalWriteError: the write failed; the log accepts nothing more.
        """

    def close(self) -> None:
        """Release the log. Makes nothing durable."""
