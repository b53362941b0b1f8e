"""Cores with a fault: their requests or replies are changed on the way.

For testing what finds faults: workloads, recorded order flow, benchmarks. Wraps any core.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from msgspec.structs import replace

from hpe.core.codec import encode
from hpe.core.contract import DEFAULT_LIMITS, Batch, Limits, Output, Run
from hpe.core.decoding.judging import decode_request
from hpe.protocol.base import Reply, Request
from hpe.protocol.enums import Liquidity, Side, TimeInForce
from hpe.protocol.frames import chunk_of, frame
from hpe.protocol.operations import UncrossResponse
from hpe.protocol.orders import FillsReply, SubmitOrder
from hpe.protocol.reports import ExecutionReport
from tests.support.core_around import CoreAround
from tests.support.core_driver import decoded
from tests.support.listed import listed, packed


class FaultyCore(CoreAround):
    """A core whose clients' requests and replies a subclass changes."""

    def requested(self, request: Request) -> Request:
        """Return what is executed instead of a request."""
        return request

    def answered(self, replies: list[Reply]) -> list[Reply]:
        """Return what one connection receives for a batch instead of these replies."""
        return replies

    def apply(self, batch: Batch) -> Output:
        """Apply a batch, with the fault."""
        given = Batch(batch.time_ns, [self._given(run) for run in batch.runs], batch.wanted)
        output = listed(super().apply(given))
        replies = [
            (connection, _framed(self.answered(decoded(frames))) if connection else frames)
            for connection, frames in output.replies
        ]
        return packed(output._replace(replies=replies))

    def _given(self, run: Run) -> Run:
        if not run.connection:
            return run
        requests = [self.requested(decode_request(body)) for body in run.chunk.bodies]
        return Run(run.connection, run.attach, run.admit, chunk_of(_framed(requests)))


def _framed(messages: Sequence[Request | Reply]) -> bytes:
    return b"".join(frame(encode(message)) for message in messages)


class NewestFirst(FaultyCore):
    """Lets the newest order at a price trade first, so makers are reported in reverse order."""

    def answered(self, replies: list[Reply]) -> list[Reply]:
        """Reverse the makers among the fills of one request at one price."""
        told: list[Reply] = []
        for key, group in groupby(replies, key=_fill_key):
            rows = list(group)
            if key is not None:
                makers = [row.contra_order_id for row in rows if isinstance(row, ExecutionReport)]
                rows = [
                    replace(row, contra_order_id=maker)
                    for row, maker in zip(rows, reversed(makers), strict=True)
                ]
            told += rows
        return told


def _fill_key(reply: Reply) -> tuple[int, int] | None:
    """Return request and price of a fill, None for any other reply."""
    return (reply.request_id, reply.last_price) if isinstance(reply, ExecutionReport) else None


class TakerPriced(FaultyCore):
    """Trades at the aggressor's price."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS, **inner: Any) -> None:
        super().__init__(limits, **inner)
        self._prices: dict[int, int] = {}

    def requested(self, request: Request) -> Request:
        """Note the order's price."""
        self._prices[request.request_id] = getattr(request, "price", 0)
        return request

    def answered(self, replies: list[Reply]) -> list[Reply]:
        """Report the aggressor's price in every fill."""
        return [
            replace(reply, last_price=self._prices[reply.request_id])
            if isinstance(reply, ExecutionReport) and reply.request_id
            else reply
            for reply in replies
        ]


class AuctionAt(FaultyCore):
    """Reports another price for every auction."""

    def __init__(self, price: int, limits: Limits = DEFAULT_LIMITS, **inner: Any) -> None:
        super().__init__(limits, **inner)
        self._price = price

    def answered(self, replies: list[Reply]) -> list[Reply]:
        """Report it in the response to the uncross and in lists of fills."""
        return [self._changed(reply) for reply in replies]

    def _changed(self, reply: Reply) -> Reply:
        if isinstance(reply, UncrossResponse):
            return replace(reply, price=self._price)
        if isinstance(reply, FillsReply):
            rows = [
                replace(row, price=self._price) if row.liquidity == Liquidity.AUCTION else row
                for row in reply.rows
            ]
            return replace(reply, rows=rows)
        return reply


class NoTrades(FaultyCore):
    """Prevents all trades."""

    def requested(self, request: Request) -> Request:
        """Make every buyer offer next to nothing."""
        if isinstance(request, SubmitOrder) and request.side is Side.BUY:
            return replace(request, price=1)
        return request


class RestingRemainder(FaultyCore):
    """Lets the rest of an immediate-or-cancel order rest."""

    def requested(self, request: Request) -> Request:
        """Make it a good-till-cancel order."""
        if isinstance(request, SubmitOrder) and request.time_in_force is TimeInForce.IOC:
            return replace(request, time_in_force=TimeInForce.GTC)
        return request
