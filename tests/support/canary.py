"""The canary: a session in a process of its own that trades all the time and times every reply.

`Canary` starts and ends the process; `python -m tests.support.canary` is the process. It sends
rounds of 1 to 8 orders and cancels, each after the previous one is answered, and records when each
was sent and how long its reply took. A missing, repeated or unsuccessful reply is a fault.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgpack

from hpe.access.keys import Key
from hpe.protocol.base import Request, type_number
from hpe.protocol.enums import OrderType, Side, TimeInForce
from hpe.protocol.frames import encode_frame
from hpe.protocol.money import Deposit
from hpe.protocol.orders import CancelOrder, SubmitOrder
from tests.support.line import ERROR, HEARTBEAT, REPORTS, Line
from tests.support.watcher import READY, Sample, Watcher, describe, told_to_stop

USER: Final = 900_001
PAIR: Final = 1
PLENTY: Final = 10**15
PRICE: Final = 50_000
ROUND_MAX: Final = 8
PAUSE_S: Final = 0.002
"""Pause between rounds: the canary measures a service, it must not load it."""

REPLIES_MIN: Final = 50
"""With fewer replies, nothing can be said about the service."""

REPLY_S_MAX: Final = 1.0
"""Limit for each reply, whatever others do to the service."""

MISSING_S: Final = 30.0
"""A reply that is later than this is missing."""

_ORDER_ID, _LEAVES = 7, 8


class Log(NamedTuple):
    """What a canary recorded. `faults` are sentences."""

    replies: list[Sample]
    faults: list[str]

    def worst_s(self) -> float:
        """Return the longest wait for a reply."""
        return max(sample.took_s for sample in self.replies)

    def describe(self) -> str:
        """Return a one-line summary."""
        return f"{len(self.replies)} replies, {describe(self.replies)}"


def endowment(request_id: int) -> list[Deposit]:
    """Return the deposits that the canary trades with; the ids begin with `request_id`."""
    return [Deposit(request_id + n, asset, PLENTY, USER) for n, asset in enumerate((1, 3))]


class Canary(Watcher):
    """The process; a context manager. It trades from entering to `stop`.

    Args:
        port: the service's port.
        folder: where it writes.
        key: the key to log on with; an operator must then make the deposits of `endowment`.
        pause_s: pause between rounds.
    """

    def __init__(
        self, port: int, folder: Path, *, key: Key | None = None, pause_s: float = PAUSE_S
    ) -> None:
        arguments = [str(port), "--pause-s", str(pause_s)]
        if key is not None:
            arguments += ["--key-id", key.id, "--secret", key.secret.hex()]
        super().__init__("tests.support.canary", folder, arguments)

    def stop(self) -> Log:
        """End the process, and return what it recorded."""
        replies, faults = self.noted()
        return Log([Sample(*row) for row in replies], faults)


class _Trader:
    """The work of the process."""

    def __init__(self, line: Line) -> None:
        self.replies: list[Sample] = []
        self.faults: list[str] = []
        self._line = line
        self._random = random.Random(1)
        self._next_id = 1
        self._resting: list[int] = []
        self._open: dict[int, tuple[int, float]] = {}

    def fund(self) -> None:
        """Deposit what the orders need."""
        for deposit in endowment(0):
            self._line.send(self._frame(deposit))
            self._collect()
        self.replies.clear()

    def round(self) -> None:
        """Send one round and wait for its replies."""
        count = self._random.randint(1, ROUND_MAX)
        requests = [*self._requests(count)]
        self._line.send(b"".join(self._frame(request) for request in requests))
        self._collect()

    def _requests(self, count: int) -> Iterator[Request]:
        """Yield orders that rest or trade with resting ones, and cancels."""
        for _ in range(count):
            if self._resting and self._random.random() < 0.6:
                yield CancelOrder(0, self._resting.pop())
                continue
            side = self._random.choice((Side.BUY, Side.SELL))
            away = self._random.randrange(0, 50) * (-1 if side is Side.BUY else 1)
            yield SubmitOrder(0, PAIR, 0, side, OrderType.LIMIT, TimeInForce.GTC, PRICE + away, 1)

    def _frame(self, request: Request) -> bytes:
        fields = [getattr(request, name) for name in request.__struct_fields__[1:]]
        number = self._next_id
        self._next_id += 1
        self._open[number] = (type_number(type(request)), time.monotonic())
        return encode_frame(type(request)(number, *fields))

    def _collect(self) -> None:
        deadline_s = time.monotonic() + MISSING_S
        while self._open:
            bodies = self._line.bodies(max(0.0, deadline_s - time.monotonic()))
            if not bodies:
                self.faults += [f"no reply to request {number}" for number in self._open]
                self._open.clear()
            now_s = time.monotonic()
            for body in bodies:
                self._take(msgpack.unpackb(body), now_s)

    def _take(self, row: list[Any], now_s: float) -> None:
        if row[0] in REPORTS or row[0] == HEARTBEAT:
            return
        kind, sent_s = self._open.pop(row[1], (0, now_s))
        self.replies.append(Sample(sent_s, now_s - sent_s))
        if row[0] == ERROR or row[0] != kind:
            self.faults.append(f"an unexpected reply: {row}")
        elif kind == type_number(SubmitOrder):
            # A cancel may come too late for an order that has traded: that is also right.
            if row[4]:
                self.faults.append(f"an order was rejected: {row}")
            elif row[_LEAVES]:
                self._resting.append(row[_ORDER_ID])


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("log_file", type=Path)
    parser.add_argument("--pause-s", type=float)
    parser.add_argument("--key-id")
    parser.add_argument("--secret", type=bytes.fromhex)
    options = parser.parse_args()
    key = Key(options.key_id, options.secret) if options.key_id else None
    with Line(options.port) as line:
        line.log_on(USER, key)
        trader = _Trader(line)
        if key is None:
            trader.fund()
        print(READY, flush=True)
        while not told_to_stop(options.pause_s) or len(trader.replies) < REPLIES_MIN:
            trader.round()
    options.log_file.write_text(json.dumps([trader.replies, trader.faults]))


if __name__ == "__main__":
    _main()
