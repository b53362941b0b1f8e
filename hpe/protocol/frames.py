"""Encode messages as frames, and cut a byte stream into whole frames without decoding them.

Owns the length prefix and nothing else: no sockets, no message types except "is it control".
A FrameScanner belongs to one connection and is used by its reader task alone; the functions
are pure. Guarantees: the same stream gives the same frames, however it is cut into pieces, and
at most one incomplete frame is kept. Relies on the frame layout of protocol.md:

    byte 0..3   length of what follows, u32 big-endian, 1 .. body_bytes_max
    byte 4      MessagePack array header: 0x90-0x9f (fixarray) or 0xdc (array16, 2 count bytes)
    byte 5 / 7  type, a positive fixint: 1-31 is control
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from hpe.errors import ProtocolError
from hpe.protocol.base import Reply, Request
from hpe.protocol.codes import EMPTY_PREFIX, LARGE_PREFIX, ErrorCode
from hpe.protocol.limits import QUERY_FIRST, REPLY_BYTES_MAX, REQUEST_BYTES_MAX

PREFIX_BYTES: Final = 4
FRAMES_MAX: Final = 256
"""Frames of one connection that enter a batch at a time: a longer chunk would only be cut."""

_ENCODER: Final = msgspec.msgpack.Encoder()
PREFIXES: Final = tuple(
    length.to_bytes(PREFIX_BYTES, "big") for length in range(REQUEST_BYTES_MAX + 1)
)
"""Length prefixes by length, up to the longest request: looking one up takes a third of the time
of making the four bytes."""

_FIXARRAY: Final = 0x90
_ARRAY16: Final = 0xDC

_HEAD: Final = struct.Struct(">IBB")
"""Length, array header, and the byte where a fixarray has its type."""

_PADDING: Final = bytes(_HEAD.size - PREFIX_BYTES)
"""Lets the scanner read a whole head at the last prefix of a buffer without a special case."""

_PREFIX_ONLY: Final = struct.Struct(">I")
_length_at: Final = _PREFIX_ONLY.unpack_from


class FrameError(ProtocolError):
    """The rest of the stream cannot be cut into frames: the connection has to end."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class Chunk(NamedTuple):
    """Consecutive whole frames: one control frame, or only frames for the core."""

    control: bool
    count: int  # type: ignore[assignment]  # hides tuple.count, which no chunk needs
    frames: bytes


def encode_frame(message: Request | Reply) -> bytes:
    """Return the frame of a message: length prefix and MessagePack body."""
    body = _ENCODER.encode(message)
    length = len(body)
    if length <= REQUEST_BYTES_MAX:
        return PREFIXES[length] + body
    return _PREFIX_ONLY.pack(length) + body


def frame(body: bytes) -> bytes:
    """Return the frame of a body: the length prefix, then the body."""
    assert len(body) <= REPLY_BYTES_MAX
    return len(body).to_bytes(4, "big") + body


def type_of(body: bytes) -> int:
    """Return the type number of a body, -1 if it has none in the expected place."""
    try:
        first = body[0]
        number = body[1] if 0x90 <= first <= 0x9F else body[3] if first == 0xDC else -1
    except IndexError:
        return -1
    return number if number < 128 else -1


def ends_inside_frame(frames: bytes) -> bool:
    """True if the last frame is incomplete."""
    position, last_prefix = 0, len(frames) - 4
    while position <= last_prefix:
        position += 4 + _length_at(frames, position)[0]
    return position != len(frames)


def split_frames(frames: bytes) -> Iterator[bytes]:
    """Yield the bodies of whole frames.

    Raises:
        ProtocolError: the bytes end inside a frame.
    """
    position, end = 0, len(frames)
    while position < end:
        start = position + 4
        position = start + int.from_bytes(frames[position:start], "big")
        if start > end or position > end:
            raise ProtocolError(f"bytes end {max(start, position) - end} bytes inside a frame")
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

        Cost: one pass over the frames, one copy of the data.
        """
        if self.error is not None:
            return []
        buffer = b"".join((self.pending, data, _PADDING))
        head = _HEAD.unpack_from
        length_max, frames_max = self.body_bytes_max, self.frames_max
        chunks: list[Chunk] = []
        # buffer[first:position] are `count` whole frames that are not yet in a chunk.
        first = position = count = 0
        end = len(buffer) - len(_PADDING)
        prefix_last = end - PREFIX_BYTES
        while position <= prefix_last:
            length, header, kind = head(buffer, position)
            if not 0 < length <= length_max:
                self.error = _frame_error(buffer[position:end], length, length_max)
                break
            following = position + PREFIX_BYTES + length
            if following > end:
                break
            # The common case first: a query or a command as a fixarray.
            if (kind < QUERY_FIRST or header == _ARRAY16) and _is_control(
                buffer, position, following
            ):
                if count:
                    chunks.append(Chunk(False, count, buffer[first:position]))
                chunks.append(Chunk(True, 1, buffer[position:following]))
                first, count = following, 0
            else:
                count += 1
                if count == frames_max:
                    chunks.append(Chunk(False, count, buffer[first:following]))
                    first, count = following, 0
            position = following
        if count:
            chunks.append(Chunk(False, count, buffer[first:position]))
        self.pending = b"" if self.error is not None else buffer[position:end]
        return chunks


def _is_control(buffer: bytes, position: int, following: int) -> bool:
    header = buffer[position + 4]
    if header == _ARRAY16:
        type_at = position + 7
    elif header & 0xF0 == _FIXARRAY:
        type_at = position + 5
    else:
        return False
    # A body too short to have a type is left to the core, which names the fault.
    return type_at < following and 0 < buffer[type_at] < QUERY_FIRST


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


def _frame_error(rest: bytes, length: int, length_max: int) -> FrameError:
    if length == 0:
        return FrameError(EMPTY_PREFIX.code, EMPTY_PREFIX.text.format(length_max=length_max))
    hint = _hint(rest, length_max)
    text = LARGE_PREFIX.text.format(length=length, length_max=length_max, hint=hint)
    return FrameError(LARGE_PREFIX.code, text)


def _hint(rest: bytes, length_max: int) -> str:
    for greeting, starts in _GREETINGS.items():
        if rest.startswith(starts):
            return f": this looks like {greeting}"
    if 0 < int.from_bytes(rest[:PREFIX_BYTES], "little") <= length_max:
        return ": this looks like a little-endian length; it must be big-endian"
    if rest[0] & 0xF0 == _FIXARRAY or rest[0] == _ARRAY16:
        return ": this looks like a MessagePack array without its length prefix"
    return ""
