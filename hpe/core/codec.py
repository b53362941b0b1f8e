"""Bytes at the core's edge: request frames in, reply frames out, the log body.

Part of the deterministic core; pure functions and tables. A request's type byte selects its
decoder, which checks every field's type and range (messages.py) in one pass. Whatever does not
decode is sorted into the two kinds of protocol.md: a well-formed array with a wrong field or
type is answered and the connection goes on; anything else ends the connection.

The log body of one batch is one MessagePack array:
`[first_sequence, time_ns, [[session, user, frames], ...], [[trade ...], ...], output_digest]`
where `frames` are the request frames as received, length prefixes included.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Any, Final, NamedTuple

import msgspec

from hpe.errors import ProtocolError
from hpe.messages import (
    COMMANDS,
    ERROR_TRAITS,
    FLAG_DUPLICATE,
    INTERNAL,
    INTERNAL_FIRST,
    QUERIES,
    REPLY_BYTES_MAX,
    Error,
    ErrorCode,
    Request,
    type_number,
)

encode: Final = msgspec.msgpack.Encoder().encode
"""Encode a message to its body bytes. Encoders hold no state between calls."""

_FRAMED_DIRECTLY: Final = 512
_length_at: Final = Struct(">I").unpack_from
PREFIXES: Final = tuple(length.to_bytes(4, "big") for length in range(_FRAMED_DIRECTLY))
"""Length prefixes by length: a lookup is a third of the cost of making the four bytes."""

DECODERS: Final[list[msgspec.msgpack.Decoder[Any] | None]] = [None] * 128
for _message in (*QUERIES, *COMMANDS, *INTERNAL):
    DECODERS[type_number(_message)] = msgspec.msgpack.Decoder(_message)


DECODE_FAULTS: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, IndexError)
"""What decoding hostile bytes may raise (IndexError: a body too short to have a type)."""


def frame(body: bytes) -> bytes:
    """Put the length prefix before a body."""
    assert len(body) <= REPLY_BYTES_MAX
    return len(body).to_bytes(4, "big") + body


def array_header(length: int) -> bytes:
    """Give the MessagePack header of an array of up to 65,535 elements."""
    return bytes((0x90 | length,)) if length < 16 else b"\xdc" + length.to_bytes(2, "big")


def type_of(body: bytes) -> int:
    """Read the type number at its fixed place; -1 when the body has none there."""
    try:
        first = body[0]
        number = body[1] if 0x90 <= first <= 0x9F else body[3] if first == 0xDC else -1
    except IndexError:
        return -1
    return number if number < 128 else -1


def ends_inside_frame(frames: bytes) -> bool:
    """Tell whether the last frame is not a whole one."""
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


class Undecodable(Exception):
    """A body that is no acceptable request; `code` says which kind."""

    def __init__(self, code: ErrorCode, request_id: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.request_id = request_id


def decode_request(body: bytes) -> Request:
    """Decode the body of a query or command, checking every field.

    Raises:
        Undecodable: with the error that answers it.
    """
    number = type_of(body)
    decoder = DECODERS[number] if number >= 0 else None
    try:
        if decoder is not None:
            request: Request = decoder.decode(body)
            return request
    except DECODE_FAULTS as error:
        raise diagnose(body, str(error)) from None
    raise diagnose(body, f"type {number} is no request" if number >= 0 else "no type number")


def diagnose(body: bytes, message: str) -> Undecodable:
    """Say what is wrong with a body that its decoder refused.

    Decoding it again without a schema tells malformed bytes from a malformed message. A request
    body is at most REQUEST_BYTES_MAX long, which bounds what the untyped values can cost.
    """
    if not body:
        return Undecodable(ErrorCode.EMPTY_FRAME, 0, "the frame is empty")
    try:
        value = msgspec.msgpack.decode(body)
    except (*DECODE_FAULTS, TypeError) as error:
        trailing = "trailing" in str(error)
        code = ErrorCode.TRAILING_BYTES if trailing else ErrorCode.BAD_MESSAGEPACK
        return Undecodable(code, 0, str(error)[:128])
    number = type_of(body)
    if not isinstance(value, list) or (body[0] != 0xDC and not 0x90 <= body[0] <= 0x9F):
        found = "the header 0xdd" if isinstance(value, list) else type(value).__name__
        return Undecodable(
            ErrorCode.NOT_AN_ARRAY, 0, f"expected an array [type, request_id, ...], found {found}"
        )
    request_id = value[1] if len(value) > 1 and type(value[1]) is int else 0
    if not 0 < request_id < 2**63:
        request_id = 0
    known = 0 <= number < INTERNAL_FIRST and DECODERS[number] is not None
    code = ErrorCode.BAD_FIELD if known else ErrorCode.UNKNOWN_TYPE
    return Undecodable(code, request_id, message[:128])


def error_body(request_id: int, code: ErrorCode, message: str = "") -> bytes:
    """Encode the error that refuses a frame."""
    if not message:
        head, tail = _REFUSALS[code]
        return head + encode(request_id) + tail
    return _error_body(request_id, code, message)


def _error_body(request_id: int, code: ErrorCode, message: str) -> bytes:
    traits = ERROR_TRAITS[code]
    return encode(
        Error(
            request_id, 0, code, code.name.lower(), message or traits.text, traits.retryable,
            traits.fatal, False,
        )
    )  # fmt: skip


def _halves(code: ErrorCode) -> tuple[bytes, bytes]:
    """Give what is before and behind the request id in a refusal without a text of its own."""
    body = _error_body(0, code, "")
    return body[:2], body[3:]


_REFUSALS: Final = {code: _halves(code) for code in ErrorCode if code in ERROR_TRAITS}
"""In an overload most answers are refusals."""


def with_duplicate_flag(response: bytes) -> bytes:
    """Set the duplicate flag in an encoded response and change nothing else.

    The array header is 1 byte (0x90-0x9f) or 3 (0xdc), the type 1, then the request id in its
    shortest form, then the flags as a fixint.
    """
    at = 2 if response[0] != 0xDC else 4
    first = response[at]
    at += 1 if first < 0x80 else {0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9}[first]
    return response[:at] + bytes([response[at] | FLAG_DUPLICATE]) + response[at + 1 :]


class Trade(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One trade as the log records it."""

    trade_id: int
    instrument_id: int
    price: int
    quantity: int
    maker_order_id: int
    taker_order_id: int


class Body(NamedTuple):
    """The log's record of one batch: see the module's description."""

    first_sequence: int
    time_ns: int
    groups: list[tuple[int, int, bytes]]
    trades: list[Trade]
    output_digest: int


_BODY_DECODER: Final = msgspec.msgpack.Decoder(Body)


def encode_body(body: Body) -> bytes:
    """Encode a batch for the log."""
    return encode(body)


def decode_body(data: bytes) -> Body:
    """Decode a logged batch.

    Raises:
        msgspec.DecodeError: the bytes are no body.
    """
    return _BODY_DECODER.decode(data)
