"""The two bases of every message, and the number that stands for its class.

A frame is a u32 big-endian length (of what follows) and one MessagePack array. Frames to the
server start `[type, request_id, ...]`, frames to the client `[type, request_id, flags, ...]`.
`type` is a positive fixint, so it is byte 5 of the frame (fixarray header) or byte 7 (array16
header), and every stage can read it without decoding. A response has the type of the request that
it answers; the two directions have separate type numbers. Every message is an immutable value;
any thread may use it.
"""

from __future__ import annotations

import msgspec

from hpe.protocol.fields import RequestId


class Request(
    msgspec.Struct, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True, tag=0
):
    """Base of what a client sends. Unknown trailing fields are refused, never ignored."""

    request_id: RequestId


class Reply(msgspec.Struct, array_like=True, frozen=True, gc=False, tag=0):
    """Base of what the server sends. Clients ignore unknown trailing fields, so it may grow."""

    request_id: int
    flags: int


def type_number(message: type[Request] | type[Reply]) -> int:
    """Return the type number (the array's first element) of a message class."""
    tag = message.__struct_config__.tag
    assert isinstance(tag, int)
    return tag
