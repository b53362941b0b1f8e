"""A client of the exchange written from protocol.md alone: it imports nothing of the package.

It shows that the document suffices: logon with and without a key, sessions that survive a lost
connection, and the private stream; independent_books.py keeps books. One thread owns a client;
every call blocks until its answer came, or raises `ErrorAnswer`, or an OSError when the connection
is gone or silent.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import socket
import struct
import time
from collections import defaultdict, deque
from typing import Any, NamedTuple

import msgpack

HELLO, PING, LOGOUT, LOGON, HEARTBEAT = 1, 2, 3, 5, 6
UNSUBSCRIBE, SUBSCRIBE_PRIVATE, ERROR = 7, 8, 31
GET_ORDERBOOK, GET_BALANCE, GET_ORDER, LIST_ORDERS, LIST_FILLS = 32, 33, 36, 37, 38
GET_CONSERVATION, SUBSCRIBE = 42, 44
SUBMIT_ORDER, CANCEL_ORDER, REPLACE_ORDER, DEPOSIT = 64, 65, 66, 69
ADD_ASSET, ADD_INSTRUMENT, MASS_CANCEL, SET_STATUS, UNCROSS, TRANSFER = 71, 72, 75, 77, 78, 80
EXECUTION, ORDER, PREVENTED, BALANCE = 120, 121, 122, 119
PRIVATE_UPDATE, BEST, LEVELS, ORDERS, TRADES, STATUS = 123, 124, 125, 126, 127, 117
FLAG_DUPLICATE = 1
BUY, SELL = 1, 2
LIMIT, MARKET = 2, 1
GTC, IOC = 1, 3
PATIENCE_S = 120

_ORDER_REPLY = (
    "sequence reason time_ns status order_id leaves cum canceled quote_total fill_count"
    " first_trade_id fee_total"
)
_FIELDS = {
    1: "version session_id window last_request_id sequence durability server request_bytes_max"
    " reply_bytes_max role heartbeat_ms private_sequence",
    2: "token",
    3: "",
    5: "nonce",
    6: "",
    7: "instrument channel",
    8: "user after last",
    9: "user",
    31: "code name message retryable fatal executed field",
    32: "sequence reason instrument book_sequence last_price bids asks",
    33: "sequence reason asset available locked reserved held",
    36: "sequence reason order",
    37: "sequence rows",
    38: "sequence rows",
    42: "sequence reason asset net_deposits available reserved held house accounts",
    44: "sequence reason instrument channel snapshot more_bids more_asks",
    64: _ORDER_REPLY,
    65: _ORDER_REPLY,
    66: _ORDER_REPLY,
    69: "sequence reason asset available reserved held",
    80: "sequence reason asset available reserved held",
    71: "sequence reason id",
    72: "sequence reason id",
    75: "sequence reason canceled remaining",
    77: "sequence reason status",
    78: "sequence reason time_ns price volume",
    116: "instrument last time_ns bids asks checksum",
    117: "instrument last time_ns status last_price band_low band_high indicative_price"
    " indicative_volume indicative_surplus",
    119: "private_sequence sequence time_ns asset available reserved held named",
    120: "private_sequence sequence time_ns exec_type status instrument order_id client_order_id"
    " side liquidity trade_id last_price last_quantity leaves cum contra_order_id fee",
    121: "private_sequence sequence time_ns exec_type status instrument order_id client_order_id"
    " side leaves cum canceled reason order_type price stop_price",
    122: "private_sequence sequence time_ns instrument policy price maker_order_id taker_order_id"
    " maker_canceled taker_canceled maker_leaves taker_leaves",
    123: "user first last reports",
    124: "instrument last time_ns bid_price bid_quantity ask_price ask_quantity",
    125: "instrument first last time_ns bids asks checksum",
    126: "instrument first last time_ns changes checksum",
    127: "instrument last time_ns previous_trade_id trades",
}


class NamedMessage:
    """A message from the server; its fields by the names of protocol.md, unknown ones dropped."""

    def __init__(self, array: list[Any]) -> None:
        self.type, self.request_id, self.flags = array[:3]
        self.fields = dict(zip(_FIELDS[self.type].split(), array[3:], strict=False))

    def __getitem__(self, name: str) -> Any:
        """One field."""
        return self.fields[name]

    def __repr__(self) -> str:
        """For the messages of failed tests."""
        return f"<{self.type} #{self.request_id} {self.fields}>"


class AnswerAndReports(NamedTuple):
    """A response, and the reports that came before it."""

    message: NamedMessage
    reports: list[NamedMessage]


class ErrorAnswer(Exception):
    """The server answered `error`."""

    def __init__(self, error: NamedMessage) -> None:
        super().__init__(f"{error['name']}: {error['message']}")
        self.error = error
        self.name: str = error["name"]
        self.fatal: bool = error["fatal"]


class AnsweredLost(Exception):
    """The session does not know a command any more that it had answered."""


def encode(*message: Any) -> bytes:
    """The frame of a message: its length without itself, big-endian, and the array."""
    body: bytes = msgpack.packb(list(message))
    return struct.pack(">I", len(body)) + body


class FrameConnection:
    """A TCP connection that carries frames."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, PATIENCE_S)
        self._received = bytearray()

    def send(self, data: bytes) -> None:
        """Send whole frames, or whatever a test wants to send."""
        self.socket.sendall(data)

    def receive(self, timeout_s: float = PATIENCE_S) -> NamedMessage:
        """The next message.

        Raises:
            ConnectionError: the connection ended.
            TimeoutError: nothing whole came in time; what came is kept.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            if len(self._received) >= 4:
                end = 4 + struct.unpack_from(">I", self._received)[0]
                if len(self._received) >= end:
                    body = bytes(self._received[4:end])
                    del self._received[:end]
                    return NamedMessage(msgpack.unpackb(body, strict_map_key=False))
            self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionResetError("the server closed the connection")
            self._received += data

    def close(self) -> None:
        """Close it, whatever is on its way."""
        self.socket.close()


class IndependentClient:
    """A session.

    Args:
        address: host and port.
        user: whom to trade as.
        key: id and secret of a key, where the service needs one.
        options: window, flags, grace_ms and heartbeat_ms of `hello`.
    """

    def __init__(
        self,
        address: tuple[str, int],
        user: int,
        *,
        key: tuple[str, bytes] | None = None,
        **options: int,
    ) -> None:
        self.address = address
        self.user = user
        self.updates: deque[NamedMessage] = deque()
        self.private: defaultdict[int, deque[NamedMessage]] = defaultdict(deque)
        self.heartbeats = 0
        self.key = key
        self._options = options
        self._session_id = 0
        self._request_id = 0
        self._highest_answered = 0
        self._unanswered: dict[int, bytes] = {}
        self._reports: dict[int, list[NamedMessage]] = {}
        self._answers: dict[int, NamedMessage] = {}
        self.connect()

    def connect(self) -> None:
        """Log on, anew or to resume; then send again what had no answer, in its order."""
        self._answers.clear()
        self._reports.clear()
        self.updates.clear()
        self.private.clear()
        self.connection = FrameConnection(self.address)
        try:
            self.welcome = self._log_on(self.connection)
        except BaseException:
            self.connection.close()
            raise
        self._session_id = self.welcome["session_id"]
        last = self.welcome["last_request_id"]
        if last < self._highest_answered:
            raise AnsweredLost(f"{last} < {self._highest_answered}")
        self._request_id = max(self._request_id, last)
        for _, frame in sorted(self._unanswered.items()):
            self.connection.send(frame)

    def _log_on(self, connection: FrameConnection) -> NamedMessage:
        option = self._options.get
        key_id, secret = self.key or ("", b"")
        self._request_id += 1
        hello = encode(
            *(HELLO, self._request_id, 1, self.user, self._session_id, option("window", 0)),
            *("independent/1", option("flags", 0), option("grace_ms", 0)),
            *(option("heartbeat_ms", 0), key_id),
        )
        connection.send(hello)
        answer = connection.receive()
        if answer.type == LOGON:
            nonce = secrets.token_bytes(32)
            proof = b"hpe logon 1\0" + answer["nonce"] + nonce + hashlib.sha256(hello[4:]).digest()
            signature = hmac.digest(secret, proof, "sha256")
            connection.send(encode(LOGON, self._request_id, nonce, signature))
            answer = connection.receive()
        if answer.type == ERROR:
            raise ErrorAnswer(answer)
        return answer

    def start(self, kind: int, *fields: Any) -> int:
        """Send a request; returns its id, for `wait`."""
        self._request_id += 1
        self.start_as(self._request_id, kind, *fields)
        return self._request_id

    def start_as(self, request_id: int, kind: int, *fields: Any) -> None:
        """Send a request under an id of one's own choice."""
        frame = encode(kind, request_id, *fields)
        self._request_id = max(self._request_id, request_id)
        if 64 <= kind <= 111:
            self._unanswered[request_id] = frame
        self.connection.send(frame)

    def wait(self, request_id: int) -> AnswerAndReports:
        """The answer to a request.

        Raises:
            ErrorAnswer: it was an error, or the connection ends with one.
        """
        while request_id not in self._answers:
            self.pump()
        message = self._answers.pop(request_id)
        is_command = self._unanswered.pop(request_id, None) is not None
        reports = self._reports.pop(request_id, [])
        if message.type == ERROR:
            raise ErrorAnswer(message)
        if is_command:
            # An error is no answer in this sense: it leaves the session where it was.
            self._highest_answered = max(self._highest_answered, request_id)
        return AnswerAndReports(message, reports)

    def call(self, kind: int, *fields: Any) -> NamedMessage:
        """Send a request and wait for its response, without its reports."""
        return self.wait(self.start(kind, *fields)).message

    def pump(self, timeout_s: float = PATIENCE_S) -> None:
        """Read one message and put it where it belongs."""
        message = self.connection.receive(timeout_s)
        if message.type == ERROR and (message["fatal"] or not message.request_id):
            raise ErrorAnswer(message)
        if message.type in (EXECUTION, ORDER, PREVENTED):
            self._reports.setdefault(message.request_id, []).append(message)
        elif message.type == PRIVATE_UPDATE:
            self.private[message["user"]].append(message)
        elif message.type > 111:
            self.updates.append(message)
        elif message.type == HEARTBEAT:
            self.heartbeats += 1
        else:
            self._answers[message.request_id] = message

    def next_update(self, timeout_s: float = PATIENCE_S) -> NamedMessage:
        """The next market-data update of any subscription."""
        return self._next(self.updates, timeout_s)

    def next_private_update(self, user: int, timeout_s: float = PATIENCE_S) -> NamedMessage:
        """The next update of a user's private stream."""
        return self._next(self.private[user], timeout_s)

    def _next(self, queue: deque[NamedMessage], timeout_s: float) -> NamedMessage:
        deadline = time.monotonic() + timeout_s
        while not queue:
            self.pump(max(deadline - time.monotonic(), 0.001))
        return queue.popleft()

    def close(self) -> None:
        """Lose the connection; the session stays."""
        self.connection.close()


class PrivateStream:
    """All private reports of a user, checked to be without gap and repeat."""

    def __init__(self, client: IndependentClient, user: int, after: int | None = 0) -> None:
        self.user = user
        self.reports: list[NamedMessage] = []
        self.resume(client, after)

    def resume(self, client: IndependentClient, after: int | None) -> None:
        """Go on behind report `after`, on this connection."""
        self._client = client
        answer = client.call(SUBSCRIBE_PRIVATE, after, self.user)
        client.private[self.user].clear()
        assert answer["user"] == self.user
        assert answer["after"] == (answer["last"] if after is None else after)
        self.known: int = answer["after"]

    def read_to(self, number: int) -> None:
        """Read until report `number` was taken."""
        while self.known < number:
            update = self._client.next_private_update(self.user)
            assert update["first"] == self.known + 1, update
            for array in update["reports"]:
                report = NamedMessage(array)
                assert report["private_sequence"] == self.known + 1, report
                self.reports.append(report)
                self.known += 1
            assert update["last"] == self.known, update
