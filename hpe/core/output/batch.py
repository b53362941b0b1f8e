"""The output of a batch while it is being executed: replies, reports, logged groups, trades.

Part of the deterministic core; made and read by the reference core within one `apply`.
"""

from __future__ import annotations

from typing import Final

import msgspec

from hpe.core.codec import Body, Trade, array_header, encode, encode_body
from hpe.core.contract import (
    CUT_ROW,
    MARKET_ROW,
    PRIVATE_ROW,
    PROGRESS_ROW,
    REPLY_ROW,
    SUBSCRIBED_ROW,
    Output,
)
from hpe.core.trading.answers import CommandResponse, changed_nothing
from hpe.core.trading.events import AuctionMatch, Event
from hpe.core.trading.matcher import Match
from hpe.protocol.frames import Chunk, frame
from hpe.protocol.listings import DelistAsset, DelistInstrument
from hpe.protocol.market_data import Subscribe
from hpe.protocol.operations import SetFees, Uncross
from hpe.protocol.orders import (
    CancelResponse,
    MassCancel,
    MassCancelResponse,
    ReplaceOrder,
    SubmitOco,
    SubmitOrder,
)
from hpe.protocol.reports import PrivateUpdate

_UPDATE_HEAD: Final = encode(PrivateUpdate(0, 0, 0, 0, 0, []))[:4]
"""Array header, type, request id and flags of every private_update: one byte each."""

_NO_WEIGHT: Final = (0, 0)
_OF_CANCELS: Final = (CancelResponse, MassCancelResponse)
TRADING_EVENTS: Final = (Match, AuctionMatch)
MAY_COST_MUCH: Final = (
    SubmitOrder, ReplaceOrder, SubmitOco, Uncross, MassCancel, SetFees, DelistAsset,
    DelistInstrument,
)  # fmt: skip
"""Commands that a full batch does not execute any more."""


class SnapshotBody(msgspec.Struct):
    """One snapshot of a batch: the most rows that it may have, and later its bytes."""

    rows: int
    body: bytes = b""
    known: bool = False


class BatchWork:
    """The output of one batch so far.

    `begun` becomes true with the first command: before it there is nothing to log. `full` becomes
    true when commands have traded and searched enough: later commands that may cost much are
    refused as busy. `effort` counts that, as far as it has been reported. `careful` is true if the
    batch is full or something is unfinished: then some commands have to wait.
    `digested` are the bodies that the output digest covers, in order. `private` has the reports
    of each user, with the number of the first. `subscribes` have a reserved place for their reply
    (connection, list, index), which is made at the end of the batch; `snapshots` are what they ask
    for: (instrument, channel, depth). `idle` and `idle_cancels` count commands of the current run
    that changed nothing. `subscribed` and `progress` are rows of the output's tables. `weights` has
    (frames, bytes) of each client.
    """

    __slots__ = (
        "begun", "careful", "cut", "digested", "effort", "first_sequence", "full", "groups",
        "idle", "idle_cancels", "private", "progress", "replies", "reports_max", "snapshots",
        "subscribed", "subscribes", "time_ns", "trades", "weights",
    )  # fmt: skip

    def __init__(self, time_ns: int, first_sequence: int, reports_max: int) -> None:
        self.reports_max = reports_max
        self.time_ns = time_ns
        self.first_sequence = first_sequence
        self.begun = False
        self.full = False
        self.careful = False
        self.effort = 0
        self.replies: dict[int, list[bytes]] = {}
        self.private: dict[int, tuple[int, list[bytes]]] = {}
        self.groups: list[tuple[int, int, list[bytes]]] = []
        self.trades: list[Trade] = []
        self.digested: list[bytes] = []
        self.cut: list[int] = []
        self.subscribes: list[tuple[int, list[bytes], int, Subscribe]] = []
        self.snapshots: dict[tuple[int, int, int], SnapshotBody] = {}
        self.subscribed: list[bytes] = []
        self.idle = self.idle_cancels = 0
        self.progress: list[bytes] = []
        self.weights: dict[int, tuple[int, int]] = {}

    def weigh(self, connection: int, chunk: Chunk) -> None:
        """Note what a client's run holds of its credits."""
        count, size = self.weights.get(connection, _NO_WEIGHT)
        self.replies_to(connection)
        self.weights[connection] = (count + chunk.count, size + len(chunk.frames))

    def replies_to(self, connection: int) -> list[bytes]:
        """Return the list that collects a connection's replies."""
        out = self.replies.get(connection)
        if out is None:
            out = self.replies[connection] = []
        return out

    def count_idle(self, response: CommandResponse) -> None:
        """Count a command if it changed nothing that lasts."""
        if changed_nothing(response):
            if isinstance(response, _OF_CANCELS):
                self.idle_cancels += 1
            else:
                self.idle += 1

    def advance(self, connection: int, highest_id: int) -> None:
        """Note that a run has been executed."""
        row = PROGRESS_ROW.pack(connection, highest_id, self.idle, self.idle_cancels)
        self.progress.append(row)
        self.idle = self.idle_cancels = 0

    def begin_subscription(self, connection: int, request: Subscribe) -> None:
        """Note that a subscribe was answered with a snapshot."""
        row = connection, request.request_id, request.instrument, request.channel
        self.subscribed.append(SUBSCRIBED_ROW.pack(*row))

    def report(self, user: int, private_sequence: int, body: bytes) -> None:
        """Add one private report."""
        self.digested.append(body)
        mine = self.private.get(user)
        if mine is None:
            self.private[user] = (private_sequence, [body])
        else:
            mine[1].append(body)

    def log(self, session_id: int, user: int, frames: bytes) -> None:
        """Add executed frames to the log body; neighbors of one session share a group."""
        if self.groups and self.groups[-1][0] == session_id:
            self.groups[-1][2].append(frames)
        else:
            self.groups.append((session_id, user, [frames]))

    def output(
        self,
        digest: int,
        last_sequence: int,
        next_due_ns: int,
        market: list[tuple[int, int, bytes]],
        late: bool,
    ) -> Output:
        """Return the batch's output and its log body."""
        body = b""
        if self.begun:
            groups = [(session, user, b"".join(frames)) for session, user, frames in self.groups]
            body = encode_body(Body(self.first_sequence, self.time_ns, groups, self.trades, digest))
        replies, reply_rows = self._pack_replies()
        private, private_rows = self._pack_private() if self.private else (b"", b"")
        market_frames, market_rows = _pack_market(market) if market else (b"", b"")
        return Output(
            replies,
            private,
            market_frames,
            body,
            reply_rows,
            private_rows,
            market_rows,
            b"".join(map(CUT_ROW.pack, sorted(self.cut))) if self.cut else b"",
            b"".join(self.subscribed),
            b"".join(self.progress),
            last_sequence,
            next_due_ns,
            late,
        )

    def _pack_replies(self) -> tuple[bytes, bytes]:
        """Return all replies, and their rows."""
        parts, rows, end, weight = [], [], 0, self.weights.get
        for connection, out in sorted(self.replies.items()):
            part = b"".join(out)
            start, end = end, end + len(part)
            rows.append(REPLY_ROW.pack(connection, start, end, *weight(connection, _NO_WEIGHT)))
            parts.append(part)
        return b"".join(parts), b"".join(rows)

    def _pack_private(self) -> tuple[bytes, bytes]:
        """Return the reports of all users in frames that are assembled from bodies; their rows."""
        frames, rows, end, count_max = [], [], 0, self.reports_max
        for user, (first, reports) in sorted(self.private.items()):
            for at in range(0, len(reports), count_max):
                part = reports[at : at + count_max]
                begin, last = first + at, first + at + len(part) - 1
                ids = encode(user) + encode(begin) + encode(last)
                update = frame(b"".join((_UPDATE_HEAD, ids, array_header(len(part)), *part)))
                start, end = end, end + len(update)
                rows.append(PRIVATE_ROW.pack(user, begin, last, start, end))
                frames.append(update)
        return b"".join(frames), b"".join(rows)


def _pack_market(updates: list[tuple[int, int, bytes]]) -> tuple[bytes, bytes]:
    """Return all market data, and its rows."""
    rows, end = [], 0
    for instrument, channel, frames in updates:
        start, end = end, end + len(frames)
        rows.append(MARKET_ROW.pack(instrument, channel, start, end))
    return b"".join([frames for *_, frames in updates]), b"".join(rows)


def trades_of(event: Event) -> list[Trade]:
    """Return the log's rows of an event's trades; in an uncross, the buyer counts as the taker."""
    if isinstance(event, Match):
        instrument_id = event.taker.instrument_id
        taker_id = event.taker.order_id
        return [
            Trade(trade_id, instrument_id, fill.price, fill.quantity, fill.maker.order_id, taker_id)
            for trade_id, fill in enumerate(event.fills, event.first_trade_id)
        ]
    if isinstance(event, AuctionMatch):
        instrument_id = event.instrument_id
        return [
            Trade(
                trade_id, instrument_id, fill.price, fill.quantity, fill.sell.order_id,
                fill.buy.order_id,
            )
            for trade_id, fill in enumerate(event.fills, event.first_trade_id)
        ]  # fmt: skip
    return []
