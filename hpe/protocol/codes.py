"""Why something was refused or ended: error codes and their texts, reject and cancel reasons.

An error code says that a frame was not executed; a reason is the outcome of an executed command.
Constants; any thread may use them.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

import msgspec


class ErrorCode(IntEnum):
    """Why a frame was refused: it was not executed or logged, and the session is unchanged."""

    FRAME_TOO_LARGE = 100
    BAD_MESSAGEPACK = 101
    EMPTY_FRAME = 102
    TRAILING_BYTES = 103
    NOT_AN_ARRAY = 104
    UNKNOWN_TYPE = 110
    BAD_FIELD = 111
    EXPECTED_HELLO = 200
    UNSUPPORTED_VERSION = 201
    LOGON_TIMEOUT = 202
    UNKNOWN_SESSION = 203
    TOO_MANY_SESSIONS = 204
    SESSION_REPLACED = 205
    ALREADY_LOGGED_ON = 206
    AUTHENTICATION_FAILED = 207
    NOT_AUTHORIZED = 208
    USER_NOT_ALLOWED = 209
    ID_REUSED = 210
    NOT_EXECUTED = 211
    STALE_ID = 212
    HEARTBEAT_TIMEOUT = 220
    SLOW_CONSUMER = 221
    KEY_REVOKED = 222
    RESUME_TOO_OLD = 230
    RESUME_AHEAD = 231
    TOO_MANY_SUBSCRIPTIONS = 232
    BUSY = 500
    THROTTLED = 501
    STORAGE_FULL = 502
    SHUTTING_DOWN = 503
    TOO_MANY_CONNECTIONS = 504
    RATE_EXCEEDED = 505
    TOO_MANY_LOGONS = 506
    NOT_PRIMARY = 510
    UNAVAILABLE = 511
    MOVED = 512


RESERVED_CODES: Final = frozenset({ErrorCode.NOT_PRIMARY, ErrorCode.UNAVAILABLE, ErrorCode.MOVED})
"""Codes that no server sends yet: with a replicated log, a server may have to name another one."""


class ErrorTrait(msgspec.Struct, frozen=True):
    """What a client may conclude from an error code. No code means that a command was executed."""

    retryable: bool
    fatal: bool
    text: str


_F, _T = False, True
ERROR_TRAITS: Final[dict[ErrorCode, ErrorTrait]] = {
    ErrorCode.FRAME_TOO_LARGE: ErrorTrait(_F, _T, "the length prefix exceeds the limit"),
    ErrorCode.BAD_MESSAGEPACK: ErrorTrait(_F, _T, "the body is not valid MessagePack"),
    ErrorCode.EMPTY_FRAME: ErrorTrait(_F, _T, "the length prefix is zero"),
    ErrorCode.TRAILING_BYTES: ErrorTrait(_F, _T, "bytes follow the array inside the frame"),
    ErrorCode.NOT_AN_ARRAY: ErrorTrait(_F, _T, "the body is not an array with a type"),
    ErrorCode.UNKNOWN_TYPE: ErrorTrait(_F, _F, "no request has this type"),
    ErrorCode.BAD_FIELD: ErrorTrait(_F, _F, "a field is missing, extra, mistyped, out of range"),
    ErrorCode.EXPECTED_HELLO: ErrorTrait(_F, _T, "the first message must be hello"),
    ErrorCode.UNSUPPORTED_VERSION: ErrorTrait(_F, _T, "the server speaks another version"),
    ErrorCode.LOGON_TIMEOUT: ErrorTrait(_T, _T, "no complete logon in time"),
    ErrorCode.UNKNOWN_SESSION: ErrorTrait(_F, _T, "no such session of this user"),
    ErrorCode.TOO_MANY_SESSIONS: ErrorTrait(
        _T, _T, "no room for a session: of all, of its key, or of operators"
    ),
    ErrorCode.SESSION_REPLACED: ErrorTrait(_F, _T, "a newer connection took this session"),
    ErrorCode.ALREADY_LOGGED_ON: ErrorTrait(_F, _F, "this connection has a session already"),
    ErrorCode.AUTHENTICATION_FAILED: ErrorTrait(_F, _T, "unknown key, or a wrong proof of it"),
    ErrorCode.NOT_AUTHORIZED: ErrorTrait(_F, _F, "the role of this session does not allow it"),
    ErrorCode.USER_NOT_ALLOWED: ErrorTrait(_F, _T, "the key may not act for this user"),
    ErrorCode.ID_REUSED: ErrorTrait(_F, _F, "this request id was used with other content"),
    ErrorCode.NOT_EXECUTED: ErrorTrait(_F, _F, "this id was passed over: it never was executed"),
    ErrorCode.STALE_ID: ErrorTrait(_F, _F, "this id is older than the remembered responses"),
    ErrorCode.HEARTBEAT_TIMEOUT: ErrorTrait(_T, _T, "nothing was heard from this client"),
    ErrorCode.SLOW_CONSUMER: ErrorTrait(_T, _T, "private data waited too long to be read"),
    ErrorCode.KEY_REVOKED: ErrorTrait(_F, _T, "the key of this session was revoked"),
    ErrorCode.RESUME_TOO_OLD: ErrorTrait(_F, _F, "reports after this sequence are not all kept"),
    ErrorCode.RESUME_AHEAD: ErrorTrait(_F, _F, "no report of this user has this sequence yet"),
    ErrorCode.TOO_MANY_SUBSCRIPTIONS: ErrorTrait(_F, _F, "this connection has too many already"),
    ErrorCode.BUSY: ErrorTrait(_T, _F, "too many wait for their turn"),
    ErrorCode.THROTTLED: ErrorTrait(_T, _F, "above the rate limit"),
    ErrorCode.STORAGE_FULL: ErrorTrait(_T, _F, "no space for the log"),
    ErrorCode.SHUTTING_DOWN: ErrorTrait(_T, _F, "the service is stopping"),
    ErrorCode.TOO_MANY_CONNECTIONS: ErrorTrait(_T, _T, "the connection limit is reached"),
    ErrorCode.RATE_EXCEEDED: ErrorTrait(_T, _T, "went on far above the rate limit"),
    ErrorCode.TOO_MANY_LOGONS: ErrorTrait(_T, _T, "too many logons failed from this address"),
    ErrorCode.NOT_PRIMARY: ErrorTrait(_T, _T, "another server is the primary"),
    ErrorCode.UNAVAILABLE: ErrorTrait(_T, _F, "the replicated log cannot be reached"),
    ErrorCode.MOVED: ErrorTrait(_T, _F, "another server has this instrument"),
}
"""Code -> (retryable: send again under a new id, fatal: the connection closes, meaning)."""


class ErrorCase(NamedTuple):
    """An error text that says more than its code alone; the front end fills in the {}."""

    code: ErrorCode
    text: str


BATCH_FULL: Final = ErrorCase(ErrorCode.BUSY, "this batch has traded and searched enough")
UNFINISHED: Final = ErrorCase(
    ErrorCode.BUSY, "stops, an uncross or an expiry of this instrument go on"
)
QUERIES_FULL: Final = ErrorCase(ErrorCode.BUSY, "the queries of this batch have searched enough")
CALL_TOO_DEEP: Final = ErrorCase(
    ErrorCode.BUSY, "more prices of this call cross than one batch looks through"
)
LOG_WAITS: Final = ErrorCase(ErrorCode.BUSY, "the log waits for the disk")
EMPTY_PREFIX: Final = ErrorCase(
    ErrorCode.EMPTY_FRAME, "length prefix is 0, allowed 1..{length_max}"
)
LARGE_PREFIX: Final = ErrorCase(
    ErrorCode.FRAME_TOO_LARGE, "length prefix is {length}, allowed 1..{length_max}{hint}"
)
NO_HELLO: Final = ErrorCase(
    ErrorCode.EXPECTED_HELLO, "the first message must be hello, found type {number}"
)
NO_LOGON: Final = ErrorCase(
    ErrorCode.EXPECTED_HELLO, "a challenge is answered by logon, found type {number}"
)
OTHER_VERSION: Final = ErrorCase(
    ErrorCode.UNSUPPORTED_VERSION, "version {asked} asked for, {spoken} is spoken here"
)
ROOM_USED: Final = ErrorCase(ErrorCode.TOO_MANY_SESSIONS, "the room of all sessions is used up")
ROOM_OF_KEY: Final = ErrorCase(
    ErrorCode.TOO_MANY_SESSIONS,
    "the sessions of this key use up the room that one key may have",
)
OPERATORS_FULL: Final = ErrorCase(
    ErrorCode.TOO_MANY_SESSIONS, "as many operators are connected as there may be"
)
KEY_CONNECTIONS: Final = ErrorCase(
    ErrorCode.TOO_MANY_CONNECTIONS, "key {key_id} has as many connections as one key may have"
)
SLOW_REPLIES: Final = ErrorCase(
    ErrorCode.SLOW_CONSUMER, "replies have waited for {seconds} s to be read"
)
MANY_REPLIES: Final = ErrorCase(
    ErrorCode.SLOW_CONSUMER, "more than {bytes_max} bytes wait to be read"
)
REPORTS_OVERRUN: Final = ErrorCase(
    ErrorCode.SLOW_CONSUMER,
    "reports of user {user} after {after} are not all kept, the oldest are after {oldest}",
)
REPORTS_AHEAD: Final = ErrorCase(ErrorCode.RESUME_AHEAD, "the last report of user {user} is {last}")
REPORTS_GONE: Final = ErrorCase(
    ErrorCode.RESUME_TOO_OLD, "the oldest report of user {user} that is kept is {oldest}"
)
ERROR_CASES: Final = (
    LARGE_PREFIX, EMPTY_PREFIX, NO_HELLO, NO_LOGON, OTHER_VERSION, ROOM_USED, ROOM_OF_KEY,
    OPERATORS_FULL, SLOW_REPLIES, MANY_REPLIES, REPORTS_OVERRUN, REPORTS_GONE,
    REPORTS_AHEAD, BATCH_FULL, UNFINISHED, QUERIES_FULL, CALL_TOO_DEEP, LOG_WAITS, KEY_CONNECTIONS,
)  # fmt: skip
"""All error cases, in the order of their codes."""


class RejectReason(IntEnum):
    """Why an executed command was rejected. A reject is a response: logged and remembered.

    Declared in order of precedence: of several reasons that apply, the first is the answer.
    """

    NONE = 0
    INVALID_COMBINATION = 1
    UNKNOWN_ORDER = 2
    UNKNOWN_INSTRUMENT = 3
    UNKNOWN_ASSET = 4
    UNKNOWN_HOLD = 19
    SAME_ASSET = 5
    DUPLICATE_SYMBOL = 6
    UNKNOWN_PAIR = 7
    IN_USE = 34
    TOO_MANY_ASSETS = 8
    TOO_MANY_INSTRUMENTS = 9
    USER_BLOCKED = 20
    NOT_TRADING = 21
    NOT_IN_CALL = 22
    CALL_OPEN = 23
    NO_CALL = 24
    FEES_BELOW_ZERO = 25
    PRICE_OUT_OF_RANGE = 10
    PRICE_OUT_OF_BAND = 26
    QUANTITY_OUT_OF_RANGE = 11
    NOTIONAL_OUT_OF_RANGE = 12
    EXPIRY_PASSED = 27
    DUPLICATE_CLIENT_ORDER_ID = 13
    DUPLICATE_HOLD = 28
    TOO_MANY_ORDERS = 14
    TOO_MANY_USERS = 32
    TOO_MANY_ACCOUNTS = 33
    TOO_MANY_HOLDS = 29
    NO_LAST_PRICE = 30
    STOP_WOULD_TRIGGER = 31
    POST_ONLY_WOULD_CROSS = 15
    INSUFFICIENT_FUNDS = 16
    INSUFFICIENT_HOLD = 17
    DEPOSIT_LIMIT = 18


class CancelReason(IntEnum):
    """Why the rest of an accepted order was canceled; shares the field with RejectReason."""

    REQUESTED = 101
    IOC_REMAINDER = 102
    FOK_NOT_FILLABLE = 103
    NO_LIQUIDITY = 104
    REPLACED_AWAY = 105
    FILL_LIMIT = 106
    SELF_TRADE = 107
    MINIMUM_NOT_FILLABLE = 108
    BAND = 109
    EXPIRED = 110
    LINKED = 111
    MASS_CANCEL = 112
    DISCONNECTED = 113
