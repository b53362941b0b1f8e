"""Run the MB workload through the core and compare its report with the known hashes.

    python bench/conformance.py [--orders N] [--scenario S] [--json [FILE]]

One line per scenario: messages, messages per second, report SHA-256, and whether it is the known
one. The clock covers the whole core and nothing else: request bytes in, reply bytes out, balances
settled, log bodies built; making the frames and reading the replies is not measured. Exits with 1
if a hash differs from the known one. In-process, one thread; it owns the core that it runs.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

# In a checkout, a script's own folder is on the path, but not the project's root.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import mb, report
from hpe.core import new_core
from hpe.core.contract import SYSTEM_CONNECTION, Batch, Core, Run
from hpe.orderflow.files import Command, ReportStream
from hpe.orderflow.wire import FlowTranslator
from hpe.protocol.base import Reply, Request
from hpe.protocol.frames import chunk_of, encode_frame, split_frames
from hpe.protocol.internal import SessionAttached
from hpe.protocol.limits import AMOUNT_MAX, WINDOW_MAX
from hpe.protocol.listings import AddAsset, AddInstrument
from hpe.protocol.money import Deposit
from hpe.protocol.orders import OrderResponse
from hpe.protocol.registry import AnyReply
from hpe.protocol.reports import ExecutionReport

BATCH_COMMANDS: Final = 1_024
"""Commands per batch: the bound that the service uses with the reference core."""

_CONNECTION: Final = 1
_ATTACH: Final = 1
_USER: Final = 1
_BASE, _QUOTE, _INSTRUMENT = 1, 2, 1
_DECODER: Final = msgspec.msgpack.Decoder(AnyReply)


class CoreClient:
    """One funded session on a new core, driven with frames.

    `core_ns` is the time spent inside the core by `run`.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
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

    def _apply(self, connection: int, requests: list[Request]) -> Iterator[Reply]:
        frames = b"".join(map(encode_frame, requests))
        attach = _ATTACH if connection else 0
        self._time_ns += 1
        batch = Batch(self._time_ns, [Run(connection, attach, 0, chunk_of(frames))])
        start = time.perf_counter_ns()
        output = self._core.apply(batch)
        self.core_ns += time.perf_counter_ns() - start
        return map(_DECODER.decode, split_frames(dict(output.replies)[connection]))

    def _next_id(self) -> int:
        self._request_id += 1
        return self._request_id


class Result(NamedTuple):
    """One scenario's run. `known` is the expected hash, None if it is not known."""

    scenario: str
    orders: int
    messages: int
    trades: int
    core_s: float
    sha256: str
    known: str | None

    @property
    def rate(self) -> float:
        """Messages per second inside the core."""
        return self.messages / self.core_s

    def verdict(self) -> str:
        """Return how the hash compares with the known one: unknown, equal or NOT EQUAL."""
        if self.known is None:
            return "unknown"
        return "equal" if self.sha256 == self.known else "NOT EQUAL"


def run_scenario(core: Core, scenario: str, orders: int) -> Result:
    """Run one scenario through a new core; check the core's books and balances at the end."""
    client, stream = CoreClient(core), ReportStream()
    for commands in _batches(mb.messages(scenario, orders)):
        client.run(commands, stream)
    core.check()
    known = mb.KNOWN_HASHES.get((scenario, orders))
    return Result(
        scenario, orders, stream.messages, stream.trades, client.core_ns / 1e9,
        stream.hexdigest(), known,
    )  # fmt: skip


def _batches(commands: Iterable[Command]) -> Iterator[list[Command]]:
    source = iter(commands)
    while batch := list(islice(source, BATCH_COMMANDS)):
        yield batch


def table(results: Iterable[Result]) -> str:
    """Return the table, one line per scenario."""
    lines = [report.machine_line(), "core: python reference, one thread, collector off"]
    lines.append(f"{'scenario':<12} {'messages':>9} {'trades':>7} {'msg/s':>9}  report SHA-256")
    lines += [
        f"{row.scenario:<12} {row.messages:>9} {row.trades:>7} {row.rate:>9,.0f}  {row.sha256}"
        f"  {row.verdict()}"
        for row in results
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the script; return its exit code."""
    parser = argparse.ArgumentParser(description="the MB workload through the core")
    parser.add_argument("--orders", type=int, default=20_000, help="new orders per scenario")
    parser.add_argument("--scenario", choices=mb.SCENARIOS, help="only this one")
    report.add_json_option(parser)
    args = parser.parse_args(arguments)
    results = []
    # The service keeps the collector out of its matching thread too (it bounds what is left).
    gc.disable()
    for scenario in [args.scenario] if args.scenario else mb.SCENARIOS:
        report.note(f"{scenario} ...")
        results.append(run_scenario(new_core(), scenario, args.orders))
        gc.collect()
    rows: list[dict[str, Any]] = [
        {**row._asdict(), "messages_per_s": row.rate, "verdict": row.verdict()} for row in results
    ]
    report.finish({"conformance": rows}, table(results), args.json)
    return int(any(row.verdict() == "NOT EQUAL" for row in results))


if __name__ == "__main__":
    sys.exit(main())
