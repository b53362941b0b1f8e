"""The output of a batch while it is being executed: replies, reports, logged groups, trades.

Part of the deterministic core; made and read by the reference core within one `apply`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from hpe.core.codec import Body, Trade, array_header, encode, encode_body
from hpe.core.contract import Output, Progress
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
    for: (instrument, channel, depth). `idle` and `idle_cancels` are those of Progress, for the
    current run. `weights` has (frames, bytes) of each client.
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
        self.subscribed: list[tuple[int, int, int, int]] = []
        self.idle = self.idle_cancels = 0
        self.progress: list[Progress] = []
        self.weights: dict[int, tuple[int, int]] = {}

    def weigh(self, connection: int, chunk: Chunk) -> None:
        """Note what a client's run holds of its credits."""
        count, size = self.weights.get(connection, (0, 0))
        self.weights[connection] = (count + len(chunk.table), size + len(chunk.frames))

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
        self.progress.append(Progress(connection, highest_id, self.idle, self.idle_cancels))
        self.idle = self.idle_cancels = 0

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
        return Output(
            [
                (connection, b"".join(out))
                for connection, out in sorted(self.replies.items())
                if out
            ],
            [
                row
                for user, (first, reports) in sorted(self.private.items())
                for row in _private_rows(user, first, reports, self.reports_max)
            ],
            market,
            body,
            last_sequence,
            next_due_ns,
            sorted(self.cut),
            self.subscribed,
            self.progress,
            late,
            [(connection, *weight) for connection, weight in sorted(self.weights.items())],
        )


def _private_rows(
    user: int, first: int, reports: list[bytes], count_max: int
) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield (user, first, last, frame) of a batch's reports, assembled from their bodies."""
    for start in range(0, len(reports), count_max):
        part = reports[start : start + count_max]
        begin, end = first + start, first + start + len(part) - 1
        ids = encode(user) + encode(begin) + encode(end)
        body = b"".join((_UPDATE_HEAD, ids, array_header(len(part)), *part))
        yield user, begin, end, frame(body)


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
