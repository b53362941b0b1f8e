"""Every message of the wire, once: types, fields, units, ranges, codes.

Owns the schema of protocol.md and nothing else: no sockets, no state, no I/O. Any thread may
use it; every message is an immutable value. protocol.md's tables and hex examples are held
against this module by tests/unit/protocol/test_document.py.

A frame is a u32 big-endian length (of what follows) and one MessagePack array. Frames to the
server start `[type, request_id, ...]`, frames to the client `[type, request_id, flags, ...]`.
`type` is a positive fixint, so it stands at byte 5 of the frame (fixarray header) or byte 7
(array16 header) and every stage can see it without decoding. A response has the type of the
request that it answers; the two directions are separate name spaces.

Type ranges: control 1-31 (answered by the connection, outside request order), queries 32-63
(not logged), commands 64-111 (sequenced, logged, remembered), internal commands 112-127
(refused from clients). Towards the client 112-127 are reports that nobody asked for.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Final, NamedTuple, Union

import msgspec
from msgspec import Meta

PROTOCOL_VERSION: Final = 1

# --- limits of the wire -----------------------------------------------------------------------

INT_MAX: Final = 2**63 - 1
"""Largest integer on the wire: what every language's signed 64-bit integer holds."""

AMOUNT_MAX: Final = 2**62
"""Largest amount of money in one order or one asset: sums of two still fit 64 bits signed."""

REQUEST_BYTES_MAX: Final = 2048
"""Longest request body. The longest valid request is about 300 bytes; the rest is slack."""

LOGON_BYTES_MAX: Final = 256
"""Longest request body before logon: a stranger may not make us buffer more."""

REPLY_BYTES_MAX: Final = 1024 * 1024
"""Longest body towards the client. Bounds a client's buffer; depth and page limits keep to it."""

RESPONSE_BYTES_MAX: Final = 192
"""Longest command response. Every session remembers that many bytes times its window."""

WINDOW_DEFAULT: Final = 64
WINDOW_MAX: Final = 16_384
"""Commands in flight per session, and responses remembered for it."""

DEPTH_MAX: Final = 1_000
"""Price levels per side in one order book reply: about 25 bytes each, far below REPLY_BYTES_MAX."""

PAGE_MAX: Final = 1_000
"""Rows per page of a list reply: an instrument row is at most about 250 bytes."""

FILLS_PER_COMMAND_MAX: Final = 32_768
"""Fills of one order's arrival (what is left then is canceled) and of one part of an uncross (which
goes on); and what makes a batch full. Together that keeps the log's record below its 4 MiB."""

STOPS_PER_COMMAND_MAX: Final = 1_024
"""Stops that fire within one command; the rest fire in `continue` commands right behind it."""

MASS_CANCEL_MAX: Final = 32_768
"""Orders that one mass_cancel takes off: what bounds the time and the reports of one command."""

ENDED_ORDERS_MAX: Final = 16_384
"""Ended orders that get_order still knows, the newest of all users together: those that traded, and
those that ended otherwise than by the answer to a command of their own."""

RECENT_FILLS_MAX: Final = 65_536
"""Fills that list_fills still knows, one row per side, the newest of all users together."""

CHANGES_PER_UPDATE_MAX: Final = 16_384
"""Rows of one market-data update; more are sent as several: each stays below REPLY_BYTES_MAX."""

REPORTS_PER_UPDATE_MAX: Final = 4_096
"""Reports of one private_update; more are sent as several: below REPLY_BYTES_MAX each."""

SNAPSHOT_ORDERS_MAX: Final = 10_000
"""Orders per side in the snapshot of the orders channel, as whole price levels: both sides with at
most 28 bytes an order stay below REPLY_BYTES_MAX."""

CHECKSUM_LEVELS: Final = 10
"""Price levels per side that the checksum covers: a mistake shows within a few ticks of trading."""

PRIVATE_RING_REPORTS: Final = 262_144
"""Private reports, the newest of all users together, from which a stream can be resumed: about
25 MB, and the reports of some seconds of full load."""

SUBSCRIPTIONS_MAX: Final = 4_096
"""Market-data subscriptions of one connection: bounds what a slow reader can have waiting."""

PRIVATE_STREAMS_MAX: Final = 65_536
"""Private streams of one connection: a gateway follows many users."""

NONCE_BYTES: Final = 32
"""Length of both sides' nonces at logon."""

SIGNATURE_BYTES_MAX: Final = 64
"""Longest proof: HMAC-SHA256 has 32 bytes, Ed25519 64."""

HEARTBEAT_MS_DEFAULT: Final = 15_000
HEARTBEAT_MS_MIN: Final = 300
HEARTBEAT_MS_MAX: Final = 60_000
"""What a client may ask for: above the 0.1 s that a heartbeat may be late; and a minute, because a
side is taken for dead after three."""

SILENCE_HEARTBEATS: Final = 3
"""A side that heard nothing for that many heartbeat intervals takes the other one for dead."""

GRACE_MS_MAX: Final = 3_600_000
"""Longest wait of cancel on disconnect, an hour: beyond that, orders are meant to stay."""

INTERRUPTION_MS_MAX: Final = 86_400_000
"""A day: a market that is to stay in its call for longer is an operator's business."""

PPM: Final = 1_000_000
"""Parts of a rate: fees and bands are in parts per million."""

HOUSE_USER: Final = INT_MAX
"""The user whose accounts receive the fees and pay the rebates; nobody logs on as it."""

SYMBOL_CHARS_MAX: Final = 48
"""Longest symbol: token addresses of 32-44 characters are used as asset symbols."""

PAIR_SYMBOL_CHARS_MAX: Final = 2 * SYMBOL_CHARS_MAX + 1
"""Longest symbol of an instrument: that of a pair made by resolve_instrument is BASE/QUOTE."""

ID_MAX: Final = 2**31 - 1
"""Largest asset or instrument id."""

# --- type numbers -----------------------------------------------------------------------------

QUERY_FIRST: Final = 32
COMMAND_FIRST: Final = 64
INTERNAL_FIRST: Final = 112
TYPE_LAST: Final = 127


class ErrorCode(IntEnum):
    """Why a frame was refused: not executed, not logged, the session's position unmoved."""

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


class ErrorTrait(msgspec.Struct, frozen=True):
    """What a client may conclude from an error code; `executed` is false for every code."""

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
}
"""Code -> (retryable: send again under a new id, fatal: the connection closes, meaning)."""


class ErrorCase(NamedTuple):
    """A text of an error that says more than its code means; the front end fills in the {}."""

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
NO_STREAMS: Final = ErrorCase(
    ErrorCode.NOT_AUTHORIZED, "streams are for clients over TCP; in the process there are queries"
)
ERROR_CASES: Final = (
    LARGE_PREFIX, EMPTY_PREFIX, NO_HELLO, NO_LOGON, OTHER_VERSION, ROOM_USED, ROOM_OF_KEY,
    OPERATORS_FULL, NO_STREAMS, SLOW_REPLIES, MANY_REPLIES, REPORTS_OVERRUN, REPORTS_GONE,
    REPORTS_AHEAD, BATCH_FULL, UNFINISHED, QUERIES_FULL, CALL_TOO_DEEP, LOG_WAITS, KEY_CONNECTIONS,
)  # fmt: skip
"""All of them, in the order of their codes."""


class RejectReason(IntEnum):
    """Why a command was executed to "no". A reject is an acknowledgement: logged, remembered.

    Declared in precedence order: of several that apply, the first is the answer.
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
    """Why the rest of an accepted order was taken off; shares the field with RejectReason."""

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


class Side(IntEnum):
    """FIX tag 54."""

    BUY = 1
    SELL = 2


class OrderType(IntEnum):
    """FIX tag 40."""

    MARKET = 1
    LIMIT = 2
    STOP = 3
    STOP_LIMIT = 4


class TimeInForce(IntEnum):
    """FIX tag 59."""

    GTC = 1
    IOC = 3
    FOK = 4
    GTD = 6


class OrderStatus(IntEnum):
    """FIX tag 39, as integers."""

    NEW = 0
    PARTIALLY_FILLED = 1
    FILLED = 2
    CANCELED = 4
    REJECTED = 8
    EXPIRED = 12


class ExecType(IntEnum):
    """FIX tag 150; its letters count on from A = 10 here."""

    NEW = 0
    CANCELED = 4
    REPLACED = 5
    EXPIRED = 12
    TRADE = 15
    TRIGGERED = 21


class Liquidity(IntEnum):
    """FIX tag 851."""

    MAKER = 1
    TAKER = 2
    AUCTION = 4


class SelfTrade(IntEnum):
    """What happens when an incoming order meets a resting one of the same user."""

    NONE = 1
    CANCEL_TAKER = 2
    CANCEL_MAKER = 3
    CANCEL_BOTH = 4
    DECREMENT = 5


class InstrumentStatus(IntEnum):
    """What may be done with an instrument's orders."""

    TRADING = 1
    CANCEL_ONLY = 2
    HALTED = 3
    CALL_AUCTION = 4


class DetachCause(IntEnum):
    """Why a connection left its session."""

    CONNECTION_LOST = 1
    SERVER_RESTART = 2
    PROTOCOL_ERROR = 3


class Role(IntEnum):
    """What a session may do; the table is hpe/core/permissions.py's and protocol.md's."""

    TRADER = 1
    GATEWAY = 2
    MARKET_DATA = 3
    OPERATOR = 4
    ANONYMOUS = 5


class Channel(IntEnum):
    """What of an instrument's market data a subscription asks for."""

    BEST = 1
    LEVELS = 2
    ORDERS = 3
    TRADES = 4
    STATUS = 5


class BookChange(IntEnum):
    """What happened to an order in the book, in the orders channel."""

    ADDED = 1
    CHANGED = 2
    REMOVED = 3


class HoldChange(IntEnum):
    """What happened to a named hold."""

    LOCKED = 1
    CAPTURED = 2
    RELEASED = 3
    EXPIRED = 4


FLAG_DUPLICATE: Final = 1
"""Bit of a response's `flags`: this is the remembered response to a repeated request."""

FLAG_SELF_TRADE: Final = 2
"""Bit of an execution report's `flags`: both sides of the trade are orders of one user."""

FLAG_USER_LIMIT: Final = 4
"""Bit of a reject's `flags`, of those that name a limit: it is the user's own."""
FLAG_KEY_LIMIT: Final = 8
"""The same: it is the share of the session's key. With neither bit it is everybody's."""

FLAG_UNCHANGED: Final = 16
"""Bit of a replace_response's `flags`: the order is as it was."""

ORDER_POST_ONLY: Final = 1
"""Bit of submit_order's `flags`: reject rather than trade on arrival."""
ORDER_CANCEL_ON_DISCONNECT: Final = 2
"""Bit of submit_order's `flags`: cancel when the session that sent it loses its connection."""
ORDER_FLAGS_ALL: Final = ORDER_POST_ONLY | ORDER_CANCEL_ON_DISCONNECT

HELLO_CANCEL_ON_DISCONNECT: Final = 1
"""Bit of hello's `flags`: treat every order of this session as if it had the order's bit."""
HELLO_FLAGS_ALL: Final = HELLO_CANCEL_ON_DISCONNECT

LOGOUT_KEEP_ORDERS: Final = 1
"""Bit of logout's `flags`: leave the orders that a lost connection would cancel."""
LOGOUT_FLAGS_ALL: Final = LOGOUT_KEEP_ORDERS

# --- field types: the ranges of the wire --------------------------------------------------------

RequestId = Annotated[int, Meta(ge=1, le=INT_MAX)]
AnyInt = Annotated[int, Meta(ge=0, le=INT_MAX)]
PositiveInt = Annotated[int, Meta(ge=1, le=INT_MAX)]
Amount = Annotated[int, Meta(ge=1, le=AMOUNT_MAX)]
EntityId = Annotated[int, Meta(ge=1, le=ID_MAX)]
EntityIdOrZero = Annotated[int, Meta(ge=0, le=ID_MAX)]
Symbol = Annotated[str, Meta(min_length=1, max_length=SYMBOL_CHARS_MAX, pattern=r"^[!-~]+\Z")]
PairSymbol = Annotated[
    str, Meta(min_length=1, max_length=PAIR_SYMBOL_CHARS_MAX, pattern=r"^[!-~]+\Z")
]
Text = Annotated[str, Meta(max_length=64)]
Window = Annotated[int, Meta(ge=0, le=WINDOW_MAX)]
Depth = Annotated[int, Meta(ge=1, le=DEPTH_MAX)]
Page = Annotated[int, Meta(ge=1, le=PAGE_MAX)]
Decimals = Annotated[int, Meta(ge=0, le=18)]
ExpiryNs = Annotated[int, Meta(ge=1, le=10 * 366 * 86_400 * 10**9)]  # 10 years: no sum overflows
KeepNs = Annotated[int, Meta(ge=0, le=10 * 366 * 86_400 * 10**9)]
BandPpm = Annotated[int, Meta(ge=0, le=PPM)]
MakerPpm = Annotated[int, Meta(ge=1 - PPM, le=PPM - 1)]
TakerPpm = Annotated[int, Meta(ge=0, le=PPM - 1)]
AmountOrZero = Annotated[int, Meta(ge=0, le=AMOUNT_MAX)]
TraderId = Annotated[int, Meta(ge=1, le=HOUSE_USER - 1)]
TraderIdOrZero = Annotated[int, Meta(ge=0, le=HOUSE_USER - 1)]
SelfTradeOrZero = Annotated[int, Meta(ge=0, le=int(max(SelfTrade)))]
SideOrZero = Annotated[int, Meta(ge=0, le=int(max(Side)))]
NextStatus = Annotated[int, Meta(ge=1, le=int(InstrumentStatus.HALTED))]
OrderFlags = Annotated[int, Meta(ge=0, le=ORDER_FLAGS_ALL)]
OcoFlags = Annotated[int, Meta(ge=0, le=ORDER_CANCEL_ON_DISCONNECT, multiple_of=2)]
HelloFlags = Annotated[int, Meta(ge=0, le=HELLO_FLAGS_ALL)]
LogoutFlags = Annotated[int, Meta(ge=0, le=LOGOUT_FLAGS_ALL)]
GraceMs = Annotated[int, Meta(ge=0, le=GRACE_MS_MAX)]
InterruptionMs = Annotated[int, Meta(ge=0, le=INTERRUPTION_MS_MAX)]
HeartbeatMs = Annotated[int, Meta(ge=0, le=HEARTBEAT_MS_MAX)]
KeyId = Annotated[str, Meta(max_length=32, pattern=r"^[A-Za-z0-9_.-]*\Z")]
Nonce = Annotated[bytes, Meta(min_length=NONCE_BYTES, max_length=NONCE_BYTES)]
Signature = Annotated[bytes, Meta(min_length=32, max_length=SIGNATURE_BYTES_MAX)]


class Request(
    msgspec.Struct, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True, tag=0
):
    """Base of what a client sends. Unknown trailing fields are refused, never ignored."""

    request_id: RequestId


class Reply(msgspec.Struct, array_like=True, frozen=True, gc=False, tag=0):
    """Base of what the server sends. Clients ignore unknown trailing fields (evolution)."""

    request_id: int
    flags: int


# --- control (1-31) ---------------------------------------------------------------------------


class Hello(Request, frozen=True, tag=1):
    """Open or resume a session. The first message of a connection."""

    version: AnyInt
    user: TraderId
    session_id: AnyInt = 0
    window: Window = 0
    client: Text = ""
    flags: HelloFlags = 0
    grace_ms: GraceMs = 0
    heartbeat_ms: HeartbeatMs = 0
    key_id: KeyId = ""


class Welcome(Reply, frozen=True, tag=1):
    """The session is attached, durably; requests may follow."""

    version: int
    session_id: int
    window: int
    last_request_id: int
    sequence: int
    durability: str
    server: str
    request_bytes_max: int
    reply_bytes_max: int
    role: int
    heartbeat_ms: int
    private_sequence: int
    time_ns: int = 0


class Ping(Request, frozen=True, tag=2):
    """Measure the round trip to the connection (not through the core)."""

    token: AnyInt = 0


class Pong(Reply, frozen=True, tag=2):
    """Answer to ping, with its token."""

    token: int


class Logout(Request, frozen=True, tag=3):
    """Close the session for good: its remembered responses are forgotten, its orders end."""

    flags: LogoutFlags = 0


class LoggedOut(Reply, frozen=True, tag=3):
    """The session is closed, durably; the connection ends."""


class ServerInfo(Request, frozen=True, tag=4):
    """Ask for the state of the service."""


class ServerInfoReply(Reply, frozen=True, tag=4):
    """State of the service. `details` is for people and dashboards: its keys may grow."""

    server: str
    phase: str
    core: str
    durability: str
    durable_sequence: int
    connections: int
    details: dict[str, int | float | str]


class Challenge(Reply, frozen=True, tag=5):
    """The answer to a hello where keys are required: sign this."""

    nonce: bytes


class Logon(Request, frozen=True, tag=5):
    """The proof of the key that hello named, under hello's request id; welcome answers it."""

    nonce: Nonce
    signature: Signature


class Heartbeat(Request, frozen=True, tag=6):
    """Say that this side lives; it is not answered."""


class HeartbeatReport(Reply, frozen=True, tag=6):
    """The server lives: it has sent nothing for a heartbeat interval."""


class Unsubscribe(Request, frozen=True, tag=7):
    """End one market-data subscription; one that does not exist has ended."""

    instrument: EntityId
    channel: Channel


class Unsubscribed(Reply, frozen=True, tag=7):
    """No update of this subscription follows."""

    instrument: int
    channel: int


class SubscribePrivate(Request, frozen=True, tag=8):
    """Ask for a user's private reports above `after`; nil: those from now on."""

    after: AnyInt | None = None
    user: AnyInt = 0


class PrivateSubscribed(Reply, frozen=True, tag=8):
    """The stream begins: the next private_update of this user has first = after + 1."""

    user: int
    after: int
    last: int


class UnsubscribePrivate(Request, frozen=True, tag=9):
    """End a private stream; one that does not exist has ended."""

    user: AnyInt = 0


class PrivateUnsubscribed(Reply, frozen=True, tag=9):
    """No private_update of this user follows."""

    user: int


class Error(Reply, frozen=True, tag=31):
    """The frame was refused: not executed, not logged. request_id 0: not tied to a request.

    `field` names the field that is wrong, "" where none is.
    """

    code: int
    name: str
    message: str
    retryable: bool
    fatal: bool
    executed: bool
    field: str = ""


# --- queries (32-63) --------------------------------------------------------------------------


class GetOrderbook(Request, frozen=True, tag=32):
    """Ask for the best `depth` price levels of each side."""

    instrument: EntityId
    depth: Depth


BookLevel = tuple[int, int, int]
"""Price in ticks, quantity in lots, number of orders."""


class OrderbookReply(Reply, frozen=True, tag=32):
    """Price levels, best first. `reason` unknown_instrument: no book, the lists are empty."""

    sequence: int
    reason: int
    instrument: int
    book_sequence: int
    last_price: int
    bids: list[BookLevel]
    asks: list[BookLevel]


class GetBalance(Request, frozen=True, tag=33):
    """Ask for one account. user 0: the session's own."""

    asset: EntityId
    user: AnyInt = 0


class BalanceReply(Reply, frozen=True, tag=33):
    """One account in atoms; locked = reserved (by open orders) + held (by lock_balance)."""

    sequence: int
    reason: int
    asset: int
    available: int
    locked: int
    reserved: int
    held: int


class ListAssets(Request, frozen=True, tag=34):
    """Ask for assets with ids above `after`, in order."""

    after: EntityIdOrZero = 0
    limit: Page = PAGE_MAX


AssetRow = tuple[int, str, int]
"""Asset id, symbol, decimals."""


class AssetsReply(Reply, frozen=True, tag=34):
    """A page of assets; a page shorter than the limit is the last."""

    sequence: int
    rows: list[AssetRow]


class ListInstruments(Request, frozen=True, tag=35):
    """Ask for instruments with ids above `after`, in order."""

    after: EntityIdOrZero = 0
    limit: Page = PAGE_MAX


class InstrumentRow(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One spot pair: ids, symbol, scale and limits."""

    instrument: int
    symbol: str
    base: int
    quote: int
    base_atoms_per_lot: int
    quote_atoms_per_tick: int
    price_min: int
    price_max: int
    quantity_min: int
    quantity_max: int
    notional_min: int
    notional_max: int
    maker_fee_ppm: int
    taker_fee_ppm: int
    self_trade: int
    band_ppm: int
    reference_price: int
    volatility_interruption: bool
    interruption_ms: int = 0


class InstrumentsReply(Reply, frozen=True, tag=35):
    """A page of instruments; a page shorter than the limit is the last."""

    sequence: int
    rows: list[InstrumentRow]


class OrderRow(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An order as it is, or as it ended."""

    order_id: int
    client_order_id: int
    instrument: int
    side: int
    order_type: int
    time_in_force: int
    price: int
    quantity: int
    leaves: int
    cum: int
    canceled: int
    status: int
    reason: int
    quote_total: int
    fee_total: int
    reserved: int
    flags: int
    self_trade: int
    waiting: bool
    stop_price: int
    trail: int
    display_quantity: int
    minimum_quantity: int
    budget: int
    expires_ns: int
    linked_order_id: int


class GetOrder(Request, frozen=True, tag=36):
    """Ask for an order by exactly one of its ids (the other is 0)."""

    order_id: AnyInt
    client_order_id: AnyInt = 0
    user: AnyInt = 0


class OrderReply(Reply, frozen=True, tag=36):
    """The order, nil when it is unknown or ended too long ago."""

    sequence: int
    reason: int
    order: OrderRow | None


class ListOrders(Request, frozen=True, tag=37):
    """Ask for open orders with ids above `after`, in order."""

    instrument: EntityIdOrZero = 0
    after: AnyInt = 0
    limit: Page = PAGE_MAX
    user: AnyInt = 0


class OrdersReply(Reply, frozen=True, tag=37):
    """A page of open orders; a page shorter than the limit is the last."""

    sequence: int
    rows: list[OrderRow]


class FillRow(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One fill of a user, as its execution report told it."""

    trade_id: int
    private_sequence: int
    time_ns: int
    instrument: int
    order_id: int
    client_order_id: int
    side: int
    liquidity: int
    price: int
    quantity: int
    fee: int
    contra_order_id: int


class ListFills(Request, frozen=True, tag=38):
    """Ask for recent fills with private sequences above `after`, oldest first."""

    after: AnyInt = 0
    limit: Page = PAGE_MAX
    user: AnyInt = 0


class FillsReply(Reply, frozen=True, tag=38):
    """A page of fills; a page shorter than the limit is the last.

    Every fill with a private sequence above `complete_after` is known.
    """

    sequence: int
    rows: list[FillRow]
    complete_after: int = 0


BalanceRow = tuple[int, int, int, int, int]
"""Asset id, available, reserved, held, and what of `held` is in named holds."""


class ListBalances(Request, frozen=True, tag=39):
    """Ask for the accounts of a user that are not empty, with asset ids above `after`."""

    after: EntityIdOrZero = 0
    limit: Page = PAGE_MAX
    user: AnyInt = 0


class BalancesReply(Reply, frozen=True, tag=39):
    """A page of accounts; a page shorter than the limit is the last."""

    sequence: int
    rows: list[BalanceRow]


HoldRow = tuple[int, int, int, int]
"""Hold id, asset id, amount left, expires_ns."""


class ListHolds(Request, frozen=True, tag=40):
    """Ask for the named holds of a user with ids above `after`, in order."""

    after: AnyInt = 0
    limit: Page = PAGE_MAX
    user: AnyInt = 0


class HoldsReply(Reply, frozen=True, tag=40):
    """A page of holds; a page shorter than the limit is the last."""

    sequence: int
    rows: list[HoldRow]


class GetInstrument(Request, frozen=True, tag=41):
    """Ask for the state of an instrument."""

    instrument: EntityId


class InstrumentReply(Reply, frozen=True, tag=41):
    """State of an instrument; `reason` unknown_instrument: all else is 0."""

    sequence: int
    reason: int
    instrument: int
    status: int
    last_price: int
    band_low: int
    band_high: int
    indicative_price: int
    indicative_volume: int
    indicative_surplus: int
    open_orders: int
    waiting_stops: int
    maker_fee_ppm: int
    taker_fee_ppm: int


class GetConservation(Request, frozen=True, tag=42):
    """Ask for the proof that an asset's money adds up. Walks all accounts."""

    asset: EntityId


class ConservationReply(Reply, frozen=True, tag=42):
    """net_deposits = available + reserved + held, over all accounts, or something is wrong."""

    sequence: int
    reason: int
    asset: int
    net_deposits: int
    available: int
    reserved: int
    held: int
    house: int
    accounts: int


class GetStateHash(Request, frozen=True, tag=43):
    """Ask for the digest of the whole state. Walks all of it."""


class StateHashReply(Reply, frozen=True, tag=43):
    """Digest after the command `sequence`: 32 hexadecimal digits."""

    sequence: int
    state_hash: str


BookOrderRow = tuple[int, int, int]
"""Order id, price in ticks, shown quantity in lots; within a price in queue order."""

BookChangeRow = tuple[int, int, int, int, int]
"""BookChange, side, order id, price in ticks, shown quantity in lots afterwards: 0 when removed,
and when the slice of an iceberg was used up (removed and added follow)."""

TradeRow = tuple[int, int, int, int]
"""Trade id, price in ticks, quantity in lots, side of the taker (0: in an uncross)."""


class BestUpdate(Reply, frozen=True, tag=124):
    """Best prices and what they show, 0 where a side is empty; after book_sequence `last`."""

    instrument: int
    last: int
    time_ns: int
    bid_price: int
    bid_quantity: int
    ask_price: int
    ask_quantity: int


class LevelsUpdate(Reply, frozen=True, tag=125):
    """Price levels that changed from book_sequence `first` to `last`, as they are afterwards.

    Quantity 0: the level is gone. In a snapshot `first` is 0 and the levels are the best ones.
    """

    instrument: int
    first: int
    last: int
    time_ns: int
    bids: list[BookLevel]
    asks: list[BookLevel]
    checksum: int | None


class OrdersSnapshot(Reply, frozen=True, tag=116):
    """The orders of the best price levels after book_sequence `last`; only inside `subscribed`."""

    instrument: int
    last: int
    time_ns: int
    bids: list[BookOrderRow]
    asks: list[BookOrderRow]
    checksum: int


class OrdersUpdate(Reply, frozen=True, tag=126):
    """Every change of an order in the book; the n-th row has book_sequence `first` + n - 1."""

    instrument: int
    first: int
    last: int
    time_ns: int
    changes: list[BookChangeRow]
    checksum: int | None


class TradesUpdate(Reply, frozen=True, tag=127):
    """Trades, none missing when `previous_trade_id` is the last one known."""

    instrument: int
    last: int
    time_ns: int
    previous_trade_id: int
    trades: list[TradeRow]


class StatusUpdate(Reply, frozen=True, tag=117):
    """State of an instrument, with what an uncross would do now while it is in a call."""

    instrument: int
    last: int
    time_ns: int
    status: int
    last_price: int
    band_low: int
    band_high: int
    indicative_price: int
    indicative_volume: int
    indicative_surplus: int


MarketUpdate = (
    BestUpdate | LevelsUpdate | OrdersSnapshot | OrdersUpdate | TradesUpdate | StatusUpdate
)


class Subscribe(Request, frozen=True, tag=44):
    """Ask for a snapshot of a channel and then its updates; again: for another snapshot."""

    instrument: EntityId
    channel: Channel
    depth: Depth = DEPTH_MAX


class Subscribed(Reply, frozen=True, tag=44):
    """The snapshot after the batch of the request; nil for an unknown instrument.

    `more_bids`, `more_asks`: the side has further levels, worse than those of the snapshot.
    """

    sequence: int
    reason: int
    instrument: int
    channel: int
    snapshot: MarketUpdate | None
    more_bids: bool
    more_asks: bool


# --- commands (64-111) ------------------------------------------------------------------------


class OrderTerms(
    msgspec.Struct, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True
):
    """What an order may ask for beyond price, quantity and time in force; 0: not asked for."""

    stop_price: AnyInt = 0
    trail: AnyInt = 0
    display_quantity: AnyInt = 0
    minimum_quantity: AnyInt = 0
    budget: AmountOrZero = 0
    expires_ns: AnyInt = 0


class SubmitOrder(Request, frozen=True, tag=64):
    """Submit an order."""

    instrument: EntityId
    client_order_id: AnyInt
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    price: AnyInt
    quantity: AnyInt
    flags: OrderFlags = 0
    self_trade: SelfTradeOrZero = 0
    terms: OrderTerms | None = None
    user: TraderIdOrZero = 0


class CancelOrder(Request, frozen=True, tag=65):
    """Cancel an order, named by exactly one of its two ids (the other is 0)."""

    order_id: AnyInt
    client_order_id: AnyInt = 0
    user: TraderIdOrZero = 0


class ReplaceOrder(Request, frozen=True, tag=66):
    """Change an order's quantity, prices or end; nil, and 0 for the end, leave a field as it is."""

    order_id: AnyInt
    client_order_id: AnyInt
    quantity: AnyInt | None = None
    leaves_quantity: AnyInt | None = None
    price: PositiveInt | None = None
    requeue: bool = False
    stop_price: PositiveInt | None = None
    user: TraderIdOrZero = 0
    expires_ns: AnyInt = 0


class OrderResponse(Reply, frozen=True, tag=64):
    """Outcome of submit_order. Its fills came before it as execution reports."""

    sequence: int
    reason: int
    time_ns: int
    status: int
    order_id: int
    leaves: int
    cum: int
    canceled: int
    quote_total: int
    fill_count: int
    first_trade_id: int
    fee_total: int


class CancelResponse(OrderResponse, frozen=True, tag=65):
    """Outcome of cancel_order: the order as it ended."""


class ReplaceResponse(OrderResponse, frozen=True, tag=66):
    """Outcome of replace_order: fill_count and first_trade_id are of this command."""


class LockBalance(Request, frozen=True, tag=67):
    """Move available money to held, under a hold id or without one."""

    asset: EntityId
    amount: Amount
    user: AnyInt = 0
    hold_id: AnyInt = 0
    expires_ns: AnyInt = 0


class UnlockBalance(Request, frozen=True, tag=68):
    """Move money that is held without an id back to available."""

    asset: EntityId
    amount: Amount
    user: AnyInt = 0


class Deposit(Request, frozen=True, tag=69):
    """Credit an account from outside. user 0: the session's own."""

    asset: EntityId
    amount: Amount
    user: AnyInt = 0


class Withdraw(Request, frozen=True, tag=70):
    """Debit available money to outside. user 0: the session's own."""

    asset: EntityId
    amount: Amount
    user: AnyInt = 0


class LockResponse(Reply, frozen=True, tag=67):
    """Outcome of lock_balance: the account afterwards, in atoms."""

    sequence: int
    reason: int
    asset: int
    available: int
    reserved: int
    held: int


class UnlockResponse(LockResponse, frozen=True, tag=68):
    """Outcome of unlock_balance."""


class DepositResponse(LockResponse, frozen=True, tag=69):
    """Outcome of deposit."""


class WithdrawResponse(LockResponse, frozen=True, tag=70):
    """Outcome of withdraw."""


class AddAsset(Request, frozen=True, tag=71):
    """Define an asset. One atom is 10^-decimals of it."""

    symbol: Symbol
    decimals: Decimals


class AddInstrument(Request, frozen=True, tag=72):
    """Define a spot pair of two assets. Scale (atoms per lot and tick) never changes."""

    symbol: PairSymbol
    base: EntityId
    quote: EntityId
    base_atoms_per_lot: Amount = 1
    quote_atoms_per_tick: Amount = 1
    price_min: PositiveInt = 1
    price_max: PositiveInt = INT_MAX
    quantity_min: PositiveInt = 1
    quantity_max: PositiveInt = INT_MAX
    notional_min: AnyInt = 0
    notional_max: Amount = AMOUNT_MAX
    maker_fee_ppm: MakerPpm = 0
    taker_fee_ppm: TakerPpm = 0
    self_trade: SelfTrade = SelfTrade.NONE
    band_ppm: BandPpm = 0
    reference_price: AnyInt = 0
    volatility_interruption: bool = False
    interruption_ms: InterruptionMs = 0


class ResolveInstrument(Request, frozen=True, tag=73):
    """Find the instrument of a pair of asset symbols, creating it where auto_create is on."""

    base: Symbol
    quote: Symbol


class AddAssetResponse(Reply, frozen=True, tag=71):
    """Outcome of add_asset: the new id, 0 when rejected."""

    sequence: int
    reason: int
    id: int


class AddInstrumentResponse(AddAssetResponse, frozen=True, tag=72):
    """Outcome of add_instrument."""


class ResolveInstrumentResponse(AddAssetResponse, frozen=True, tag=73):
    """Outcome of resolve_instrument."""


class SubmitOco(Request, frozen=True, tag=74):
    """Submit a limit order and a stop of which one cancels the other."""

    instrument: EntityId
    side: Side
    quantity: PositiveInt
    price: PositiveInt
    stop_price: PositiveInt
    stop_limit_price: AnyInt = 0
    budget: AmountOrZero = 0
    limit_client_order_id: AnyInt = 0
    stop_client_order_id: AnyInt = 0
    expires_ns: AnyInt = 0
    self_trade: SelfTradeOrZero = 0
    user: TraderIdOrZero = 0
    flags: OcoFlags = 0


class OcoResponse(Reply, frozen=True, tag=74):
    """Outcome of submit_oco: the two orders, both open; 0 when rejected."""

    sequence: int
    reason: int
    time_ns: int
    limit_order_id: int
    stop_order_id: int


class MassCancel(Request, frozen=True, tag=75):
    """Cancel many orders: of a user or of all, on an instrument or all, of a side or both."""

    instrument: EntityIdOrZero = 0
    side: SideOrZero = 0
    user: AnyInt = 0
    all_users: bool = False


class MassCancelResponse(Reply, frozen=True, tag=75):
    """Outcome of mass_cancel; `remaining` orders match too: send it again."""

    sequence: int
    reason: int
    canceled: int
    remaining: int


class BlockUser(Request, frozen=True, tag=76):
    """The kill switch: refuse new orders and replaces of a user, or allow them again."""

    user: TraderId
    blocked: bool


class BlockUserResponse(Reply, frozen=True, tag=76):
    """Outcome of block_user; `open_orders` are left to be canceled."""

    sequence: int
    reason: int
    open_orders: int


class SetStatus(Request, frozen=True, tag=77):
    """Set what may be done with an instrument's orders; call_auction begins a call."""

    instrument: EntityId
    status: InstrumentStatus


class SetStatusResponse(Reply, frozen=True, tag=77):
    """Outcome of set_status: the status now, 0 for an unknown instrument."""

    sequence: int
    reason: int
    status: int


class Uncross(Request, frozen=True, tag=78):
    """End a call: trade what crosses at one price, then go on in the next status."""

    instrument: EntityId
    next_status: NextStatus = InstrumentStatus.TRADING


class UncrossResponse(Reply, frozen=True, tag=78):
    """Outcome of uncross: price in ticks and volume in lots, 0 when nothing crossed."""

    sequence: int
    reason: int
    time_ns: int
    price: int
    volume: int


class SetFees(Request, frozen=True, tag=79):
    """Set an instrument's fees, or those of one user on it; nil for both removes the latter."""

    instrument: EntityId
    maker_fee_ppm: MakerPpm | None
    taker_fee_ppm: TakerPpm | None
    user: AnyInt = 0


class SetFeesResponse(Reply, frozen=True, tag=79):
    """Outcome of set_fees."""

    sequence: int
    reason: int


class DelistAsset(Request, frozen=True, tag=83):
    """Take an asset that nothing uses out of the list."""

    asset: EntityId


class DelistAssetResponse(Reply, frozen=True, tag=83):
    """Outcome of delist_asset."""

    sequence: int
    reason: int


class DelistInstrument(Request, frozen=True, tag=84):
    """Take an instrument that nothing uses out of the list."""

    instrument: EntityId


class DelistInstrumentResponse(DelistAssetResponse, frozen=True, tag=84):
    """Outcome of delist_instrument."""


class Transfer(Request, frozen=True, tag=80):
    """Move available money from one user to another."""

    asset: EntityId
    amount: Amount
    to_user: PositiveInt
    user: AnyInt = 0


class TransferResponse(LockResponse, frozen=True, tag=80):
    """Outcome of transfer: the paying account afterwards."""


class CaptureHold(Request, frozen=True, tag=81):
    """Pay out of a named hold to a user; what is left stays held."""

    hold_id: PositiveInt
    amount: Amount
    to_user: PositiveInt
    user: AnyInt = 0


class HoldResponse(Reply, frozen=True, tag=81):
    """Outcome of capture_hold: what is left of the hold, and its owner's account, in atoms."""

    sequence: int
    reason: int
    hold_id: int
    asset: int
    remaining: int
    available: int
    reserved: int
    held: int


class ReleaseHold(Request, frozen=True, tag=82):
    """Move money of a named hold back to available; amount 0: all of it."""

    hold_id: PositiveInt
    amount: AmountOrZero = 0
    user: AnyInt = 0


class ReleaseHoldResponse(HoldResponse, frozen=True, tag=82):
    """Outcome of release_hold."""


# --- reports (towards the client, 112-127) ----------------------------------------------------


class ExecutionReport(Reply, frozen=True, tag=120):
    """One fill, as one of its two sides sees it.

    request_id is that of the command which traded when this is its taker's report, else 0.
    """

    private_sequence: int
    sequence: int
    time_ns: int
    exec_type: int
    status: int
    instrument: int
    order_id: int
    client_order_id: int
    side: int
    liquidity: int
    trade_id: int
    last_price: int
    last_quantity: int
    leaves: int
    cum: int
    contra_order_id: int
    fee: int


class OrderReport(Reply, frozen=True, tag=121):
    """What happened to an order besides fills: accepted, replaced, fired, ended."""

    private_sequence: int
    sequence: int
    time_ns: int
    exec_type: int
    status: int
    instrument: int
    order_id: int
    client_order_id: int
    side: int
    leaves: int
    cum: int
    canceled: int
    reason: int
    order_type: int
    price: int
    stop_price: int


class PreventedMatch(Reply, frozen=True, tag=122):
    """A trade of a user with itself that its self-trade policy prevented."""

    private_sequence: int
    sequence: int
    time_ns: int
    instrument: int
    policy: int
    price: int
    maker_order_id: int
    taker_order_id: int
    maker_canceled: int
    taker_canceled: int
    maker_leaves: int
    taker_leaves: int


class HoldReport(Reply, frozen=True, tag=118):
    """What happened to a named hold: HoldChange, how much, what is left; amounts in atoms."""

    private_sequence: int
    sequence: int
    time_ns: int
    hold_id: int
    asset: int
    change: int
    amount: int
    remaining: int
    expires_ns: int


class BalanceReport(Reply, frozen=True, tag=119):
    """One account after a batch that changed it, in atoms; `named` is the part of held in holds."""

    private_sequence: int
    sequence: int
    time_ns: int
    asset: int
    available: int
    reserved: int
    held: int
    named: int


PrivateReport = ExecutionReport | OrderReport | PreventedMatch | HoldReport | BalanceReport


class PrivateUpdate(Reply, frozen=True, tag=123):
    """A user's private reports from private_sequence `first` to `last`, none missing."""

    user: int
    first: int
    last: int
    reports: list[PrivateReport]


# --- internal commands (112-127): connection 0 only, refused from clients -----------------------


class SessionAttached(Request, frozen=True, tag=112):
    """A connection takes a session; request_id is its attach number."""

    session_id: AnyInt
    user: PositiveInt
    window: Window
    role: Role = Role.ANONYMOUS
    user_first: PositiveInt = 1
    user_last: PositiveInt = INT_MAX
    flags: HelloFlags = 0
    grace_ms: GraceMs = 0
    key: AnyInt = 0


class SessionAttachedResponse(Reply, frozen=True, tag=112):
    """What welcome is made of. `error` is an ErrorCode, 0 when attached; `limit` says whose."""

    sequence: int
    error: int
    session_id: int
    window: int
    last_request_id: int
    private_sequence: int
    limit: int = 0
    time_ns: int = 0


class SessionDetached(Request, frozen=True, tag=113):
    """A connection left its session; ignored when the attach number is not current."""

    session_id: PositiveInt
    attach_number: PositiveInt
    cause: DetachCause


class SessionClosed(Request, frozen=True, tag=114):
    """The session is forgotten; ignored when the attach number is not current."""

    session_id: PositiveInt
    attach_number: PositiveInt
    flags: LogoutFlags = 0


class Tick(Request, frozen=True, tag=115):
    """Let due timers fire although no client sent anything."""


class AssetSetting(
    msgspec.Struct, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True
):
    """An asset that the configuration names: added when its symbol is new."""

    symbol: Symbol
    decimals: Decimals


class InstrumentSetting(
    msgspec.Struct, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True
):
    """A pair that the configuration names by symbols: added when new, else limits changed.

    Fees of nil are as they were, 0 for a new pair: they have a command of their own.
    """

    symbol: PairSymbol
    base: Symbol
    quote: Symbol
    base_atoms_per_lot: Amount
    quote_atoms_per_tick: Amount
    price_min: PositiveInt
    price_max: PositiveInt
    quantity_min: PositiveInt
    quantity_max: PositiveInt
    notional_min: AnyInt
    notional_max: Amount = AMOUNT_MAX
    maker_fee_ppm: MakerPpm | None = None
    taker_fee_ppm: TakerPpm | None = None
    self_trade: SelfTrade = SelfTrade.NONE
    band_ppm: BandPpm = 0
    reference_price: AnyInt = 0
    volatility_interruption: bool = False
    interruption_ms: InterruptionMs = 0


class PlaceLimits(
    msgspec.Struct, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True
):
    """How many of what runs out there may be: in all, of one user, and of one key in percent.

    Of open orders the first two are beside this one in `configure`.
    """

    users_max: PositiveInt = 1_048_576
    accounts_max: PositiveInt = 4_194_304
    holds_max: PositiveInt = 1_000_000
    holds_per_user_max: PositiveInt = 100_000
    assets_max: PositiveInt = 65_536
    assets_per_user_max: PositiveInt = 16_384
    instruments_max: PositiveInt = 65_536
    instruments_per_user_max: PositiveInt = 16_384
    key_share_percent: PositiveInt = 25


class Configure(Request, frozen=True, tag=116):
    """Everything of the configuration that can change an outcome; only differences are listed."""

    auto_create: bool
    session_expiry_ns: ExpiryNs
    session_keep_ns: KeepNs
    open_orders_max: PositiveInt
    open_orders_per_user_max: PositiveInt
    assets: list[AssetSetting]
    instruments: list[InstrumentSetting]
    places: PlaceLimits = PlaceLimits()


class Continue(Request, frozen=True, tag=117):
    """Go on with what one command left over: an uncross, stops that fired."""


class KeySetting(
    msgspec.Struct, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True
):
    """A key that may log on: the number that stands for its id, and its role."""

    number: PositiveInt
    role: Role


class KeysValid(Request, frozen=True, tag=118):
    """The keys that there are from now on; sessions of all others are closed."""

    keys: list[KeySetting]


class InternalResponse(Reply, frozen=True, tag=113):
    """Outcome of an internal command without a result of its own."""

    sequence: int


class SessionClosedResponse(InternalResponse, frozen=True, tag=114):
    """Outcome of session_closed."""


class TickResponse(InternalResponse, frozen=True, tag=115):
    """Outcome of tick."""


class ConfigureResponse(InternalResponse, frozen=True, tag=116):
    """Outcome of configure."""


class ContinueResponse(InternalResponse, frozen=True, tag=117):
    """Outcome of continue."""


class KeysValidResponse(InternalResponse, frozen=True, tag=118):
    """Outcome of keys_valid."""


CONTROL: Final[tuple[type[Request], ...]] = (
    Hello,
    Ping,
    Logout,
    ServerInfo,
    Logon,
    Heartbeat,
    Unsubscribe,
    SubscribePrivate,
    UnsubscribePrivate,
)
QUERIES: Final[tuple[type[Request], ...]] = (
    GetOrderbook,
    GetBalance,
    ListAssets,
    ListInstruments,
    GetOrder,
    ListOrders,
    ListFills,
    ListBalances,
    ListHolds,
    GetInstrument,
    GetConservation,
    GetStateHash,
    Subscribe,
)
COMMANDS: Final[tuple[type[Request], ...]] = (
    SubmitOrder,
    CancelOrder,
    ReplaceOrder,
    LockBalance,
    UnlockBalance,
    Deposit,
    Withdraw,
    AddAsset,
    AddInstrument,
    ResolveInstrument,
    SubmitOco,
    MassCancel,
    BlockUser,
    SetStatus,
    Uncross,
    SetFees,
    Transfer,
    CaptureHold,
    ReleaseHold,
    DelistAsset,
    DelistInstrument,
)
INTERNAL: Final[tuple[type[Request], ...]] = (
    SessionAttached,
    SessionDetached,
    SessionClosed,
    Tick,
    Configure,
    Continue,
    KeysValid,
)
REPLIES: Final[tuple[type[Reply], ...]] = (
    Welcome,
    Pong,
    LoggedOut,
    ServerInfoReply,
    Challenge,
    HeartbeatReport,
    Unsubscribed,
    PrivateSubscribed,
    PrivateUnsubscribed,
    Error,
    OrderbookReply,
    BalanceReply,
    AssetsReply,
    InstrumentsReply,
    OrderReply,
    OrdersReply,
    FillsReply,
    BalancesReply,
    HoldsReply,
    InstrumentReply,
    ConservationReply,
    StateHashReply,
    Subscribed,
    OrderResponse,
    CancelResponse,
    ReplaceResponse,
    LockResponse,
    UnlockResponse,
    DepositResponse,
    WithdrawResponse,
    AddAssetResponse,
    AddInstrumentResponse,
    ResolveInstrumentResponse,
    OcoResponse,
    MassCancelResponse,
    BlockUserResponse,
    SetStatusResponse,
    UncrossResponse,
    SetFeesResponse,
    TransferResponse,
    HoldResponse,
    ReleaseHoldResponse,
    DelistAssetResponse,
    DelistInstrumentResponse,
    ExecutionReport,
    OrderReport,
    PreventedMatch,
    PrivateUpdate,
    BestUpdate,
    LevelsUpdate,
    OrdersUpdate,
    TradesUpdate,
    StatusUpdate,
)
"""Everything that a client may receive as a frame of its own."""

AnyReply: Final = Union[REPLIES]  # noqa: UP007 - made of a tuple, which `|` cannot take
"""The same as one type, for a decoder: the type number in the bytes selects the class."""


def type_number(message: type[Request] | type[Reply]) -> int:
    """Return the type number (the array's first element) of a message class."""
    tag = message.__struct_config__.tag
    assert isinstance(tag, int)
    return tag
