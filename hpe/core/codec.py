"""Bytes at the core's edge: request frames in, reply frames out, the log body.

Part of the deterministic core; pure functions and tables. A request's type byte selects its
decoder, which checks every field's type and range (protocol/fields.py) in one pass. judging.py
explains what does not decode.

The log body of one batch is one MessagePack array:
`[first_sequence, time_ns, [[session, user, frames], ...], [[trade ...], ...], output_digest]`
where `frames` are the request frames as received, length prefixes included.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from hpe.errors import Diverged
from hpe.protocol.base import type_number
from hpe.protocol.codes import ERROR_TRAITS, ErrorCode
from hpe.protocol.control import Error
from hpe.protocol.flags import FLAG_DUPLICATE
from hpe.protocol.frames import with_flag
from hpe.protocol.registry import COMMANDS, CONTROL, INTERNAL, QUERIES

encode: Final = msgspec.msgpack.Encoder().encode
"""Encode a message to its body bytes. Encoders hold no state between calls."""

DECODERS: Final[list[msgspec.msgpack.Decoder[Any] | None]] = [None] * 128
for _message in (*CONTROL, *QUERIES, *COMMANDS, *INTERNAL):
    DECODERS[type_number(_message)] = msgspec.msgpack.Decoder(_message)


DECODE_FAULTS: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""Raised by the library for hostile bytes; judging.py finds out what is wrong with them."""


def array_header(length: int) -> bytes:
    """Return the MessagePack header of an array of up to 65,535 elements."""
    return bytes((0x90 | length,)) if length < 16 else b"\xdc" + length.to_bytes(2, "big")


def error_body(request_id: int, code: ErrorCode, message: str = "", field: str = "") -> bytes:
    """Return the encoded error that refuses a frame; `field` is the wrong field."""
    if not message and not field:
        head, tail = _REFUSALS[code]
        return head + encode(request_id) + tail
    return _error_body(request_id, code, message, field)


def refused(request_id: int, code: ErrorCode, message: str = "", field: str = "") -> Error:
    """Return the error that refuses a request; `field` is the wrong field."""
    traits = ERROR_TRAITS[code]
    return Error(
        request_id, 0, code, code.name.lower(), message or traits.text, traits.retryable,
        traits.fatal, False, field,
    )  # fmt: skip


def _error_body(request_id: int, code: ErrorCode, message: str, field: str) -> bytes:
    return encode(refused(request_id, code, message, field))


def _halves(code: ErrorCode) -> tuple[bytes, bytes]:
    """Return the bytes before and after the request id in a refusal with its code's own text."""
    body = _error_body(0, code, "", "")
    return body[:2], body[3:]


_REFUSALS: Final = {code: _halves(code) for code in ErrorCode if code in ERROR_TRAITS}
"""Refusals made ahead: in an overload, most answers are refusals."""


def with_duplicate_flag(response: bytes) -> bytes:
    """Return an encoded response with the duplicate flag set and nothing else changed."""
    return with_flag(response, FLAG_DUPLICATE)


class Trade(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One trade as the log records it."""

    trade_id: int
    instrument_id: int
    price: int
    quantity: int
    maker_order_id: int
    taker_order_id: int


class Body(NamedTuple):
    """The log's record of one batch: see the module's docstring."""

    first_sequence: int
    time_ns: int
    groups: list[tuple[int, int, bytes]]
    trades: list[Trade]
    output_digest: int


_BODY_DECODER: Final = msgspec.msgpack.Decoder(Body)


def encode_body(body: Body) -> bytes:
    """Return the log body of a batch."""
    return encode(body)


def decode_body(data: bytes) -> Body:
    """Return the batch that a log body holds.

    Raises:
        msgspec.DecodeError: the bytes are not a log body.
    """
    return _BODY_DECODER.decode(data)


def next_body(data: bytes, last_sequence: int, last_time_ns: int) -> Body:
    """Return the logged batch that follows this sequence and this time.

    Raises:
        Diverged: the bytes are not a log body, or not the next one.
    """
    expected = last_sequence + 1
    try:
        logged = decode_body(data)
    except ValueError as error:
        raise Diverged(expected, f"the logged body is unreadable: {error}") from None
    if logged.first_sequence != expected:
        raise Diverged(expected, f"the log continues at {logged.first_sequence}")
    if logged.time_ns <= last_time_ns:
        raise Diverged(expected, f"logged time {logged.time_ns} is not after the last")
    return logged


def divergence(logged: Body, body: bytes) -> Diverged:
    """Return an error that says where a replayed body differs from the logged one."""
    first = logged.first_sequence
    replayed = decode_body(body) if body else logged._replace(groups=[], trades=[])
    for ours, theirs in zip(replayed.trades, logged.trades, strict=False):
        if ours != theirs:
            return Diverged(first, f"logged {theirs}, replayed {ours}")
    if len(replayed.trades) != len(logged.trades):
        found = len(replayed.trades)
        return Diverged(first, f"logged {len(logged.trades)} trades, replayed {found}")
    if replayed.groups != logged.groups:
        return Diverged(first, "a logged command was not executed again")
    digests = f"{logged.output_digest:08x}, replayed {replayed.output_digest:08x}"
    return Diverged(first, f"logged output digest {digests}")
