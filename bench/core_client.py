"""A funded session on a core in this process, driven with frames: what the core's benchmarks share.

Owns the core that it is given; for scripts, from one thread. `core_ns` is the time spent inside the
core and nothing else: request bytes in, reply bytes out, balances settled, log bodies built. Making
the frames and reading the replies is not in it. Guarantee: every command was answered once and in
order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Final

import msgspec

from hpe.core import new_core
from hpe.core.contract import SYSTEM_CONNECTION, Batch, Core, Output, Run
from hpe.extensions import CORE_CHOICES
from hpe.orderflow.files import Command, ReportStream
from hpe.orderflow.wire import FlowTranslator
from hpe.protocol.base import Reply, Request
from hpe.protocol.frames import chunk_of, encode_frame, split_frames
from hpe.protocol.internal import SessionAttached
from hpe.protocol.limits import AMOUNT_MAX, DEPTH_MAX, WINDOW_MAX
from hpe.protocol.listings import AddAsset, AddInstrument
from hpe.protocol.market_data import GetOrderbook, OrderbookReply
from hpe.protocol.money import Deposit
from hpe.protocol.orders import OrderResponse
from hpe.protocol.registry import AnyReply
from hpe.protocol.reports import ExecutionReport

CORES: Final[dict[str, Callable[[], Core]]] = {
    choice: partial(new_core, choice=choice) for choice in CORE_CHOICES
}
"""The values of --core."""

BATCH_COMMANDS: Final = 1_024
"""Commands per batch: the bound that the service uses with the reference core."""

_CONNECTION: Final = 1
_ATTACH: Final = 1
_USER: Final = 1
_BASE, _QUOTE, _INSTRUMENT = 1, 2, 1
_DECODER: Final = msgspec.msgpack.Decoder(AnyReply)


def _ignore(output: Output) -> None:
    pass


class CoreClient:
    """One funded session on a new core.

    Args:
        core: new; it gets one pair of assets.
        keep: is given every output, outside the clock.
    """

    def __init__(self, core: Core, keep: Callable[[Output], None] = _ignore) -> None:
        self._core = core
        self._keep = keep
        self._time_ns = 0
        self._request_id = 0
        self._translator = FlowTranslator(_INSTRUMENT)
        self.core_ns = 0
        self._apply(SYSTEM_CONNECTION, [SessionAttached(_ATTACH, 0, _USER, WINDOW_MAX)])
        self._apply(
            _CONNECTION,
            [
                AddAsset(self._next_id(), "BASE", 0),
                AddAsset(self._next_id(), "QUOTE", 0),
                AddInstrument(self._next_id(), "BASE/QUOTE", _BASE, _QUOTE),
                Deposit(self._next_id(), _BASE, AMOUNT_MAX),
                Deposit(self._next_id(), _QUOTE, AMOUNT_MAX),
            ],
        )
        self.core_ns = 0

    def run(self, commands: list[Command], stream: ReportStream) -> None:
        """Execute a batch of flow commands and append their outcomes to the stream."""
        translate = self._translator.request
        requests = [translate(command, self._next_id()) for command in commands]
        replies = self._apply(_CONNECTION, requests)
        for command in commands:
            reports = []
            while isinstance(reply := next(replies), ExecutionReport):
                reports.append(reply)
            assert isinstance(reply, OrderResponse), f"command {command.seq}: {reply}"
            stream.add(command, self._translator.outcome(command, reply, reports))
        assert next(replies, None) is None, "more was answered than asked"

    def resting(self) -> tuple[int, int]:
        """Return the number of resting orders and their lots, of the best DEPTH_MAX levels."""
        (reply,) = self._apply(_CONNECTION, [GetOrderbook(1, _INSTRUMENT, DEPTH_MAX)])
        assert isinstance(reply, OrderbookReply)
        levels = [*reply.bids, *reply.asks]
        return sum(orders for _, _, orders in levels), sum(lots for _, lots, _ in levels)

    def _apply(self, connection: int, requests: list[Request]) -> Iterator[Reply]:
        frames = b"".join(map(encode_frame, requests))
        attach = _ATTACH if connection else 0
        self._time_ns += 1
        batch = Batch(self._time_ns, [Run(connection, attach, 0, chunk_of(frames))])
        start = time.perf_counter_ns()
        output = self._core.apply(batch)
        self.core_ns += time.perf_counter_ns() - start
        self._keep(output)
        return map(_DECODER.decode, split_frames(output.replies_to(connection)))

    def _next_id(self) -> int:
        self._request_id += 1
        return self._request_id


def in_batches(commands: Iterable[Command], size: int = BATCH_COMMANDS) -> Iterator[list[Command]]:
    """Yield the commands in lists of `size`; the last one may be shorter."""
    source = iter(commands)
    while batch := list(islice(source, size)):
        yield batch
