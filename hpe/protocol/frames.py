"""Frames: made of messages, and found in byte streams without decoding them.

The one module that reads a length prefix or a type byte, with its compiled twin (_frames.pyx): that
does the same where it is built. The scanner finds whole frames and the admission classes that occur
among them. This travels with the bytes, so that nobody looks at them again before the core decodes
them. Whoever has to tell frames apart asks for their table, which has a row for each frame: where
it is, its type, its request id, its admission class. No sockets, no fields. A FrameScanner belongs
to one connection and is used by its reader task alone; the functions are pure. Guarantees: the same
stream gives the same frames however it is cut into pieces, and no more than one incomplete frame is
ever kept. Relies on the frame layout of protocol.md:

    byte 0..3   length of what follows, u32 big-endian, 1 .. body_bytes_max
    byte 4      MessagePack array header: 0x90-0x9f (fixarray) or 0xdc (array16, 2 count bytes)
    byte 5 / 7  type, a positive fixint: 1-31 is control
    behind it   request id, an integer in any form
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from hpe import extensions
from hpe.errors import ProtocolError
from hpe.protocol.admission import CLASSES, CONTROL, NO_CLASS
from hpe.protocol.base import Reply, Request
from hpe.protocol.codes import EMPTY_PREFIX, LARGE_PREFIX, ErrorCode
from hpe.protocol.limits import INT_MAX, REPLY_BYTES_MAX, REQUEST_BYTES_MAX

FRAMES_MAX: Final = 256
"""Frames of one connection that enter a batch at a time: a longer chunk would only be cut."""

NO_TYPE: Final = -1
"""Of a frame that has no type at its place: left to the core, which names the fault."""

_PREFIX_BYTES: Final = 4
_ENCODER: Final = msgspec.msgpack.Encoder()
PREFIXES: Final = tuple(
    length.to_bytes(_PREFIX_BYTES, "big") for length in range(REQUEST_BYTES_MAX + 1)
)
"""Length prefixes by length, up to the longest request: looking one up takes a third of the time
of making the four bytes."""

_PREFIXES_COUNT: Final = len(PREFIXES)
_FIXARRAY: Final = 0x90
_ARRAY16: Final = 0xDC
_UINT16: Final = 0xCD
_UINT32: Final = 0xCE

_HEAD: Final = struct.Struct(">IBBBI")
"""Length and array header; then, behind a fixarray's: type, first byte of the request id, and the
four bytes behind that, which are a uint32 or begin with a shorter one."""

_SHORT_HEAD: Final = struct.Struct(">IBB")
"""The same, up to the type."""

_QUICK_BYTES: Final = _HEAD.size - _PREFIX_BYTES
"""A body of this length has all that the head shows."""

_PADDING: Final = bytes(_QUICK_BYTES)
"""Lets a whole head be read at the last prefix of a buffer without a special case."""

_INTEGERS: Final = {
    0xCC + power: struct.Struct(f">{letter}") for power, letter in enumerate("BHIQbhiq")
}
"""Unsigned and signed integers by their first byte: 0xcc-0xcf, 0xd0-0xd3."""

_PREFIX_ONLY: Final = struct.Struct(">I")
_length_at: Final = _PREFIX_ONLY.unpack_from

Row = tuple[int, int, int, int, int]
"""(start, end, type, request id, admission class) of a frame: its body is `frames[start:end]`. The
type is NO_TYPE and the id 0 where none can be read."""

Decide = Callable[[int, int, int], int]
"""(admission class, start, end) -> 0, or the ErrorCode that refuses the frame."""


class FrameError(ProtocolError):
    """The rest of the stream cannot be cut into frames: the connection has to end."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class Chunk(msgspec.Struct, gc=False):
    """Consecutive whole frames, how many, and the admission classes that occur among them.

    Never changed once it is made.
    """

    frames: bytes
    count: int
    classes: int

    @property
    def control(self) -> bool:
        """True if there is control among it: then it is one frame where a scanner made it."""
        return self.classes & CONTROL > 0

    @property
    def table(self) -> list[Row]:
        """What each frame is. Cost: as much as scanning them; most chunks are never asked."""
        return rows_of(self.frames)

    @property
    def bodies(self) -> list[bytes]:
        """The bodies of the frames."""
        return [self.frames[row[0] : row[1]] for row in self.table]

    def split(self, decide: Decide) -> list[tuple[int, Chunk]]:
        """Cut where what is decided about frames changes; return (decided, part).

        `decide` is called once per frame, in order.
        """
        parts: list[tuple[int, Chunk]] = []
        rows, first, decided = self.table, 0, 0
        for number, (start, end, _, _, admission) in enumerate(rows):
            verdict = decide(admission, start, end)
            if verdict != decided:
                if number > first:
                    parts.append((decided, self._part(rows[first:number])))
                first, decided = number, verdict
        parts.append((decided, self._part(rows[first:]) if first else self))
        return parts

    def part(self, first: int, after: int) -> Chunk:
        """Return the frames from one number to before another one, at least one."""
        return self._part(self.table[first:after])

    def _part(self, rows: list[Row]) -> Chunk:
        """Return the frames of consecutive rows."""
        classes = NO_CLASS
        for row in rows:
            classes |= row[4]
        return Chunk(self.frames[rows[0][0] - _PREFIX_BYTES : rows[-1][1]], len(rows), classes)


def encode_frame(message: Request | Reply) -> bytes:
    """Return the frame of a message: length prefix and MessagePack body."""
    return frame(_ENCODER.encode(message))


def frame(body: bytes) -> bytes:
    """Put the length prefix before a body."""
    return prefix(len(body)) + body


def prefix(length: int) -> bytes:
    """Return the length prefix of a body."""
    if length < _PREFIXES_COUNT:
        return PREFIXES[length]
    assert length <= REPLY_BYTES_MAX
    return _PREFIX_ONLY.pack(length)


def body_of(frame: bytes) -> bytes:
    """Return the body of one whole frame."""
    return frame[_PREFIX_BYTES:]


def has_array_header(body: bytes) -> bool:
    """True if a body begins as every message does, whatever follows."""
    header = body[0] if body else 0
    return header & 0xF0 == _FIXARRAY or header == _ARRAY16


def type_of(body: bytes) -> int:
    """Read the type number at its fixed place; NO_TYPE when the body has none there."""
    return read_head(body, 0, len(body))[0]


def request_id_of(body: bytes) -> int:
    """Read the request id behind the type; 0 when the body has none there."""
    return read_head(body, 0, len(body))[1]


def with_flag(body: bytes, flag: int) -> bytes:
    """Set a flag of an encoded reply, `[type, request_id, flags, ...]`, and change nothing else."""
    at = 2 if body[0] != _ARRAY16 else 4
    reader = _INTEGERS.get(body[at])
    at += 1 + (reader.size if reader is not None else 0)
    return body[:at] + bytes([body[at] | flag]) + body[at + 1 :]


def chunk_of(frames: bytes) -> Chunk:
    """Classify whole frames, of whatever length and type.

    Raises:
        ProtocolError: the bytes end inside a frame.
    """
    end = len(frames)
    count, classes, after = scan(frames + _PADDING, 0, end, (0, end), end, NO_CLASS)
    if after != end:
        raise ProtocolError(f"{end - after} of {end} bytes are no whole frame")
    return Chunk(frames, count, classes)


def split_frames(frames: bytes) -> Iterator[bytes]:
    """Yield the bodies of whole frames.

    Raises:
        ProtocolError: the bytes end inside a frame.
    """
    position, end = 0, len(frames)
    while position < end:
        start = position + _PREFIX_BYTES
        if start > end:
            raise ProtocolError(f"bytes end {start - end} bytes inside a frame")
        position = start + _length_at(frames, position)[0]
        if position > end:
            raise ProtocolError(f"bytes end {position - end} bytes inside a frame")
        yield frames[start:position]


class FrameScanner:
    """Cuts one direction of a connection into whole frames.

    `body_bytes_max` may be raised between two feeds (after logon). `error` is set once, by the
    first impossible length; frames before it were returned, and nothing after it ever is.
    `pending` holds the bytes of the incomplete frame at the end.
    """

    __slots__ = ("body_bytes_max", "error", "frames_max", "pending")

    def __init__(self, body_bytes_max: int, frames_max: int = FRAMES_MAX) -> None:
        self.body_bytes_max = body_bytes_max
        self.frames_max = frames_max
        self.pending = b""
        self.error: FrameError | None = None

    def feed(self, data: bytes | bytearray | memoryview) -> list[Chunk]:
        """Accept the next bytes of the stream; return the frames that they complete, in order.

        A control frame is a chunk of its own, all others come together.

        Cost: one pass over the frames, one copy of the data.
        """
        if self.error is not None:
            return []
        buffer = b"".join((self.pending, data, _PADDING))
        end, lengths = len(buffer) - len(_PADDING), (1, self.body_bytes_max)
        chunks: list[Chunk] = []
        first = 0
        while end - first > _PREFIX_BYTES:
            count, classes, after = scan(buffer, first, end, lengths, self.frames_max, CONTROL)
            if not count:
                break
            chunks.append(Chunk(buffer[first:after], count, classes))
            first = after
        self.pending = buffer[first:end]
        if end - first >= _PREFIX_BYTES:
            (length,) = _length_at(buffer, first)
            if not 0 < length <= self.body_bytes_max:
                self.error = _frame_error(self.pending, length, self.body_bytes_max)
                self.pending = b""
        return chunks


def _scan(
    buffer: bytes, first: int, end: int, lengths: tuple[int, int], frames_max: int, alone: int
) -> tuple[int, int, int]:
    """Find frames from `first` to `end`, up to one that is not whole or has a bad length.

    Flat because every frame goes through here.

    Args:
        buffer: the bytes, with _PADDING behind `end`.
        first: where the first frame begins.
        end: where the bytes end.
        lengths: the smallest and the largest one of a body.
        frames_max: how many at most.
        alone: classes of frames that come without others.

    Returns:
        How many there are; the classes among them; where the next one begins.
    """
    head, classes_of = _SHORT_HEAD.unpack_from, CLASSES
    length_min, length_max = lengths
    position, prefix_last = first, end - _PREFIX_BYTES
    count, classes = 0, NO_CLASS
    while count < frames_max and position <= prefix_last:
        length, header, kind = head(buffer, position)
        after = position + _PREFIX_BYTES + length
        if after > end or length > length_max:
            break
        admission = classes_of[kind]
        # The common case first: a fixarray of a query or a command.
        if admission <= CONTROL or header & 0xF0 != _FIXARRAY or length < _QUICK_BYTES:
            if length < length_min:
                break
            kind, _ = _read_head(buffer, position + _PREFIX_BYTES, after)
            admission = classes_of[kind]
            if admission & alone:
                if not count:
                    count, classes, position = 1, admission, after
                break
        count += 1
        classes |= admission
        position = after
    return count, classes, position


def _rows_of(frames: bytes) -> list[Row]:
    """Return the rows of whole frames. Flat, as `_scan`."""
    rows: list[Row] = []
    add, head, classes_of = rows.append, _HEAD.unpack_from, CLASSES
    buffer, position, end = frames + _PADDING, 0, len(frames)
    while position < end:
        length, header, kind, form, word = head(buffer, position)
        start = position + _PREFIX_BYTES
        position = start + length
        admission = classes_of[kind]
        if admission <= CONTROL or header & 0xF0 != _FIXARRAY or length < _QUICK_BYTES:
            kind, request_id = _read_head(buffer, start, position)
            admission = classes_of[kind]
        elif form == _UINT32:
            request_id = word
        elif form == _UINT16:
            request_id = word >> 16
        elif form < 0x80:
            request_id = form
        else:
            _, request_id = _read_head(buffer, start, position)
        add((start, position, kind, request_id, admission))
    return rows


def _read_head(buffer: bytes, start: int, end: int) -> tuple[int, int]:
    """Return (type, request id) of the body `buffer[start:end]`."""
    if start >= end:
        return NO_TYPE, 0
    header = buffer[start]
    if header & 0xF0 == _FIXARRAY:
        type_at = start + 1
    elif header == _ARRAY16:
        type_at = start + 3
    else:
        return NO_TYPE, 0
    if type_at >= end or buffer[type_at] >= 0x80:
        return NO_TYPE, 0
    return buffer[type_at], _request_id(buffer, type_at + 1, end)


def _request_id(buffer: bytes, start: int, end: int) -> int:
    """Return the number at `start` if it can be a request id, else 0."""
    if start >= end:
        return 0
    number = buffer[start]
    if number >= 0x80:
        reader = _INTEGERS.get(number)
        if reader is None or start + 1 + reader.size > end:
            return 0
        (number,) = reader.unpack_from(buffer, start + 1)
    return number if 0 < number <= INT_MAX else 0


# The form that serves: the compiled twin where it is built, unless HPE_COMPILED=0.
scan, rows_of, read_head = _scan, _rows_of, _read_head
if extensions.is_used("hpe.protocol._frames"):
    from hpe.protocol import _frames

    scan, rows_of, read_head = _frames.scan, _frames.rows_of, _frames.read_head


_GREETINGS: Final = {
    "an HTTP request": (
        b"GET ", b"POST", b"PUT ", b"HEAD", b"DELE", b"OPTI", b"PATC", b"CONN", b"TRAC", b"PRI ",
    ),
    "an SSH greeting": (b"SSH-",),
    "a TLS client hello (this port is plain TCP)": (
        b"\x16\x03\x00", b"\x16\x03\x01", b"\x16\x03\x02", b"\x16\x03\x03",
    ),
}  # fmt: skip
"""What other clients send first to a wrong port; read as a length, each is far above any limit."""

LITTLE_ENDIAN: Final = "a little-endian length; it must be big-endian"
NO_PREFIX: Final = "a MessagePack array without its length prefix"
HINTS: Final = (*_GREETINGS, LITTLE_ENDIAN, NO_PREFIX)
"""What bytes without a length prefix may look like: all hints of frame_too_large."""


def _frame_error(rest: bytes, length: int, length_max: int) -> FrameError:
    if length == 0:
        return FrameError(EMPTY_PREFIX.code, EMPTY_PREFIX.text.format(length_max=length_max))
    hint = _hint(rest, length_max)
    text = LARGE_PREFIX.text.format(length=length, length_max=length_max, hint=hint)
    return FrameError(LARGE_PREFIX.code, text)


def _hint(rest: bytes, length_max: int) -> str:
    looks_like = next((name for name, starts in _GREETINGS.items() if rest.startswith(starts)), "")
    if not looks_like and 0 < int.from_bytes(rest[:_PREFIX_BYTES], "little") <= length_max:
        looks_like = LITTLE_ENDIAN
    if not looks_like and (rest[0] & 0xF0 == _FIXARRAY or rest[0] == _ARRAY16):
        looks_like = NO_PREFIX
    return f": this looks like {looks_like}" if looks_like else ""
