"""A sequencer whose matcher is the test, and requests to offer it."""

from __future__ import annotations

import queue

import trio
from trio.testing import wait_all_tasks_blocked

from hpe.core.codec import encode
from hpe.core.contract import Batch, BatchBounds, Run
from hpe.pipeline.sequencer import Sequencer
from hpe.pipeline.sequencing import Patience
from hpe.protocol.base import Request
from hpe.protocol.codes import ErrorCode
from hpe.protocol.enums import OrderType, Side, TimeInForce
from hpe.protocol.frames import chunk_of, frame
from hpe.protocol.money import Deposit, GetBalance
from hpe.protocol.orders import CancelOrder, MassCancel, ReplaceOrder, SubmitOco, SubmitOrder

BUSY = int(ErrorCode.BUSY)
ORDER = SubmitOrder(1, 1, 0, Side.BUY, OrderType.LIMIT, TimeInForce.GTC, 100, 1)
REPLACE = ReplaceOrder(2, 1, 0, 5)
CANCEL = CancelOrder(3, 1)
OCO = SubmitOco(2, 1, Side.SELL, 5, 110, 90)
MASS_CANCEL = MassCancel(3)
QUERY = GetBalance(4, 1)
MONEY = Deposit(5, 1, 1)


PATIENCE = Patience(0.020, 0.200)


BOUNDS = BatchBounds(commands=1_024, bytes=256 * 1024, frames_per_turn=256)


def run_of(connection: int, *requests: Request, admit: int = 0) -> Run:
    frames = b"".join(frame(encode(request)) for request in requests)
    return Run(connection, connection, admit, chunk_of(frames))


class DrivenSequencer:
    """A sequencer whose matcher is the test."""

    def __init__(self, bounds: BatchBounds = BOUNDS) -> None:
        self.inbox: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self.wanted = b""
        self.begun = 0
        self.unsynced_s = 0.0
        self.sequencer = Sequencer(
            bounds,
            self.inbox,
            PATIENCE,
            lambda: self.wanted,
            self.begin,
            lambda: self.unsynced_s,
        )
        self.stage = self.sequencer._stage

    def begin(self) -> None:
        self.begun += 1

    def offer(self, run: Run, key: int | None = None) -> None:
        self.sequencer.offer(run.connection if key is None else key, run, trio.current_time())

    async def take(self) -> Batch:
        await wait_all_tasks_blocked()
        work = self.inbox.get_nowait()
        assert work is not None
        self.sequencer.free()
        return work

    async def take_all(self) -> list[Batch]:
        works = []
        await wait_all_tasks_blocked()
        while not self.inbox.empty():
            works.append(await self.take())
            await wait_all_tasks_blocked()
        return works


SMALL = BOUNDS._replace(commands=100, frames_per_turn=100)
"""So that little is handed over before the queues fill."""
