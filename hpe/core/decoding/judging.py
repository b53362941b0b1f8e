"""Find out what is wrong with bytes that are not an acceptable request, and answer accordingly.

Part of the deterministic core; pure functions. A library decodes good requests, because it is fast;
what it refuses is judged here, byte by byte, so that the answer does not depend on the library.
There are two kinds of faults: a well-formed array with a wrong field or type is answered and the
connection goes on; anything else ends the connection. Source: protocol.md, "Frames" and "Error
codes".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hpe.core.codec import DECODE_FAULTS, DECODERS, error_body
from hpe.core.decoding.fields import BadField, Rows, read_fields, rows_of
from hpe.core.decoding.wellformed import Malformed, ValueKind, read_value, value_end
from hpe.protocol.base import Request, type_number
from hpe.protocol.codes import ERROR_TRAITS, ErrorCode
from hpe.protocol.frames import has_array_header, type_of
from hpe.protocol.limits import INT_MAX
from hpe.protocol.registry import COMMANDS, CONTROL, INTERNAL, QUERIES


class Undecodable(Exception):
    """The body is not an acceptable request.

    `code` is the error, `field` the wrong field ("" for none), `request_id` is 0 if the body has no
    usable one.
    """

    def __init__(self, code: ErrorCode, request_id: int = 0, field: str = "") -> None:
        text = ERROR_TRAITS[code].text
        super().__init__(f"{text}: {field}" if field else text)
        self.code = code
        self.request_id = request_id
        self.field = field


REQUEST_TABLES: Final = {
    type_number(message): rows_of(message) for message in (*QUERIES, *COMMANDS)
}
"""The requests that clients may send to the core."""

INTERNAL_TABLES: Final = {type_number(message): rows_of(message) for message in INTERNAL}
"""The requests that the service itself sends to the core."""

LOGGED_TABLES: Final = {**REQUEST_TABLES, **INTERNAL_TABLES}
"""The requests that a log may contain."""

CONTROL_TABLES: Final = {type_number(message): rows_of(message) for message in CONTROL}
"""The requests that clients may send to their connection."""


def judge(body: bytes, tables: Mapping[int, Rows] = REQUEST_TABLES) -> Request:
    """Read a body that the library refused, or raise the error that explains why.

    Args:
        body: at most REQUEST_BYTES_MAX long, which bounds the cost.
        tables: the requests that are known here, by type number.

    Raises:
        Undecodable: the body is not a request.
    """
    if not body:
        raise Undecodable(ErrorCode.EMPTY_FRAME)
    try:
        end = value_end(body)
    except Malformed:
        raise Undecodable(ErrorCode.BAD_MESSAGEPACK) from None
    if end < len(body):
        raise Undecodable(ErrorCode.TRAILING_BYTES)
    if not has_array_header(body):
        raise Undecodable(ErrorCode.NOT_AN_ARRAY)
    header = read_value(body, 0)
    if header.number == 0:
        raise Undecodable(ErrorCode.UNKNOWN_TYPE)
    first = value_end(body, header.end)
    request_id = _request_id(body, first) if header.number > 1 else 0
    rows = tables.get(type_of(body))
    if rows is None:
        raise Undecodable(ErrorCode.UNKNOWN_TYPE, request_id)
    try:
        values, _ = read_fields(rows, body, first, header.number - 1)
    except BadField as fault:
        raise Undecodable(ErrorCode.BAD_FIELD, request_id, fault.field) from None
    request: Request = rows.make(*values)
    return request


def _request_id(body: bytes, position: int) -> int:
    """Return the request id for the error, 0 if there is no usable one."""
    value = read_value(body, position)
    usable = value.kind is ValueKind.INTEGER and 0 < value.number <= INT_MAX
    return value.number if usable else 0


def decode_request(body: bytes, tables: Mapping[int, Rows] = REQUEST_TABLES) -> Request:
    """Decode a body and check every field.

    Args:
        body: a query or a command, or another request that `tables` has.
        tables: the requests that are known here, by type number.

    Raises:
        Undecodable: the body is not a request; holds the error that answers it.
    """
    number = type_of(body)
    decoder = DECODERS[number] if number in tables else None
    if decoder is not None:
        try:
            request: Request = decoder.decode(body)
        except DECODE_FAULTS:
            pass  # judged below
        else:
            return request
    return judge(body, tables)


def refusal(fault: Undecodable) -> tuple[bytes, bool]:
    """Return the error that answers a body, and True if the connection goes on after it."""
    answer = error_body(fault.request_id, fault.code, field=fault.field)
    return answer, not ERROR_TRAITS[fault.code].fatal
