"""The load generator: requests per second and latency of the durable service over TCP.

    python bench/load.py [--connections C] [--window W] [--requests N]      closed loop
    python bench/load.py --rate R [...]                                     open loop
    python bench/load.py --sweep            closed, then open at 10, 50 and 80 % of its rate
    python bench/load.py --shapes           the seven shapes of the README
    python bench/load.py --beside-redis [--pairs 7]      and redis-server beside it, in turn

Starts its own service unless --address names one. Each run has new assets, one funded user per
connection, and frames that are encoded before the clock starts; afterwards every reply is decoded
and checked: each request answered once and in order, balances conserved. Only then are the figures
printed.
"""

from __future__ import annotations

import argparse
import csv
import gc
import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

# In a checkout, a script's own folder is on the path, but not the project's root.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import report
from bench.load_connection import Answers, AnswersWrong, LoadConnection
from bench.load_engine import WARM_UP_S, Measured, Stopwatch, fill_books, run_closed, run_open
from bench.services import (
    Service,
    hpe_service,
    redis_is_installed,
    redis_service,
    redis_set_calls,
)
from bench.traffic import FIRST_REQUEST_ID, MIXES, RESTING, encode_traffic, funds_needed
from hpe.client.dialer import parse_address
from hpe.protocol.control import ServerInfo, ServerInfoReply
from hpe.protocol.listings import AddAsset, AddAssetResponse, AddInstrument, AddInstrumentResponse
from hpe.protocol.money import BalanceReply, Deposit, DepositResponse, GetBalance

SHAPES: Final = ((1, 1), (1, 64), (1, 1_000), (1, 10_000), (50, 1), (50, 20), (500, 1))
"""Connections x window, as in the table of the README."""

MEASURED_S: Final = 4.0
MEASURED_S_MIN: Final = 3.0
"""A shorter run is no figure; it is repeated with the requests that MEASURED_S take."""

FILL_IN_FLIGHT: Final = 512
"""While the book is filled: half a batch, so that no order is refused for waiting."""

FIRST_TRY_REQUESTS: Final = (2_000, 20_000)
"""For each place in the window, and at most in all."""

TRIES_MAX: Final = 4

REJECTS_MAX: Final = 0.15
"""With a larger share of rejects, a run is no figure: rejects cost less than what they replace."""

OWN_LIMIT: Final = 0.9
"""Share of a CPU core above which the generator itself may be the limit."""

CONNECTIONS_MAX: Final = 1_000
"""select(), which times the open loop, takes only descriptors below 1,024."""

OPEN_WINDOW: Final = 1_024
SWEEP_SHARES: Final = (0.1, 0.5, 0.8)
QUICK_REQUESTS: Final = 2_000

_run_numbers = itertools.count()


class Shape(NamedTuple):
    """The load: how many connections, requests in flight on each, requests in total.

    The first `warm_up_s` seconds are in no figure.
    """

    connections: int
    window: int
    requests: int
    warm_up_s: float = WARM_UP_S

    @property
    def text(self) -> str:
        """Return connections x window."""
        return f"{self.connections} x {self.window:,}"


@dataclass(slots=True)
class Run:
    """One run with its checked answers."""

    shape: Shape
    offered: float
    measured: Measured
    answers: Answers

    @property
    def rate(self) -> float:
        """Return requests executed per second; refused ones (busy) are answered, not executed."""
        refused = sum(self.answers.errors.values()) / self.answers.requests
        return self.measured.requests * (1 - refused) / self.measured.wall_s

    @property
    def rejected(self) -> float:
        """Return the share of requests that were rejected."""
        return sum(self.answers.rejects.values()) / self.answers.requests

    def doubts(self) -> list[str]:
        """Return why the run is no figure."""
        found = []
        if self.measured.generator_share > OWN_LIMIT:
            found.append("THE GENERATOR WAS THE LIMIT: the service can do more than this")
        if self.rejected > REJECTS_MAX:
            found.append(f"NO FIGURE: {self.rejected:.0%} were rejected, above {REJECTS_MAX:.0%}")
        if self.measured.wall_s < MEASURED_S_MIN:
            found.append(f"NO FIGURE: it was measured for less than {MEASURED_S_MIN:.0f} s")
        return found

    def record(self) -> dict[str, Any]:
        """Return the run for JSON."""
        measured = self.measured
        return {
            "connections": self.shape.connections, "window": self.shape.window,
            "requests": measured.requests, "offered_per_s": self.offered or None,
            "requests_per_s": self.rate, "latency_us": report.percentiles_us(
                measured.latencies_ns
            ),
            "schedule_lag_us": report.percentiles_us(measured.lag_ns) if measured.lag_ns else None,
            "trades": self.answers.trades, "rejects": dict(self.answers.rejects),
            "rejected_share": self.rejected, "errors": dict(self.answers.errors),
            "server_cpu_share": measured.server_share,
            "generator_cpu_share": measured.generator_share,
            "measured_s": measured.wall_s, "doubts": self.doubts(),
        }  # fmt: skip

    def text(self) -> str:
        """Return a description of the run in a few lines."""
        measured, answers = self.measured, self.answers
        kind = f"open loop at {self.offered:,.0f}/s" if self.offered else "closed loop"
        lines = [
            f"{kind}, {self.shape.text}: {self.rate:,.0f} requests/s "
            f"({measured.requests:,} in {measured.wall_s:.2f} s)",
            f"  latency       {_percentiles(measured.latencies_ns)}",
        ]
        if measured.lag_ns:
            lines.append(f"  schedule lag  {_percentiles(measured.lag_ns)}")
        lines.append(
            f"  trades {answers.trades:,}  rejects {_counts(answers.rejects)} "
            f"({self.rejected:.1%})  errors {_counts(answers.errors)}  "
            f"CPU: generator {measured.generator_share:.0%} of a core, "
            f"server {measured.server_share:.0%}"
        )
        lines += [f"  {doubt}" for doubt in self.doubts()]
        return "\n".join(lines)


def _percentiles(values_ns: Sequence[int]) -> str:
    return report.percentile_line(report.percentiles_us(values_ns))


def _counts(counter: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counter.items())) or "0"


# --- one run ------------------------------------------------------------------------------------


def fresh_run(folder: Path, shape: Shape, args: argparse.Namespace, rate: float = 0.0) -> Run:
    """Measure one run on a service of its own, so that every run finds the same state.

    A run that was too short is repeated with more requests, unless --requests or --quick name them.
    """
    for _ in range(TRIES_MAX):
        with chosen_service(folder, args) as service:
            run = load_run(service, shape, mix=args.mix, seed=args.seed, rate=rate)
        if args.requests or args.quick or run.measured.wall_s >= MEASURED_S_MIN:
            break
        per_s = run.measured.requests / run.measured.wall_s
        shape = shape._replace(requests=int(per_s * (MEASURED_S + WARM_UP_S)))
    return run


@contextmanager
def chosen_service(folder: Path, args: argparse.Namespace) -> Iterator[Service]:
    """Yield the service that --address names, or one started with an empty folder."""
    if args.address:
        host, port = parse_address(args.address)
        yield Service(host, port, None)
        return
    with (
        tempfile.TemporaryDirectory(dir=folder) as name,
        hpe_service(Path(name), args.core) as service,
    ):
        yield service


def load_run(service: Service, shape: Shape, *, mix: str, seed: int, rate: float = 0.0) -> Run:
    """Set up, measure and check one run; rate 0 means the closed loop."""
    # New users: request ids are client order ids, unique among a user's live orders.
    first_user = 1 + int.from_bytes(os.urandom(5), "big") * CONNECTIONS_MAX
    fill_window = max(FILL_IN_FLIGHT // shape.connections, 1)
    with ExitStack() as stack:
        connections = []
        for number in range(shape.connections):
            address = (service.host, service.port)
            connection = LoadConnection(address, first_user + number, shape.window, fill_window)
            stack.callback(connection.close)
            connections.append(connection)
        share = max(shape.requests // shape.connections, 1)
        resting = RESTING // shape.connections if mix == "mixed" else 0
        funds = funds_needed(share + resting)
        base, quote, instrument = _list_pair(connections[0])
        for number, connection in enumerate(connections):
            for asset in (base, quote):
                deposit = Deposit(connection.next_id(), asset, funds)
                connection.call(DepositResponse, deposit)
            connection.load(encode_traffic(mix, seed, number, share, instrument, resting))
        fill_books(connections)
        # Freeze what exists: the collector would walk it again and again inside the clock.
        gc.freeze()
        watch = Stopwatch(shape.warm_up_s, service.cpu_s)
        measured = run_open(connections, rate, watch) if rate else run_closed(connections, watch)
        gc.unfreeze()
        answers = Answers()
        for connection in connections:
            connection.verify(answers)
        for asset in (base, quote):
            _check_conserved(connections, asset, funds * len(connections))
        for connection in connections:
            connection.log_out()
    return Run(shape, rate, measured, answers)


def _list_pair(connection: LoadConnection) -> tuple[int, int, int]:
    """Add two assets and their pair under new names, so that runs never share one."""
    tag = f"{os.getpid()}-{next(_run_numbers)}-{os.urandom(3).hex()}"
    ids = []
    for name in ("B", "Q"):
        request = AddAsset(connection.next_id(), f"LOAD-{name}-{tag}", 0)
        ids.append(connection.call(AddAssetResponse, request).id)
    pair = AddInstrument(connection.next_id(), f"LOAD-{tag}", ids[0], ids[1])
    return ids[0], ids[1], connection.call(AddInstrumentResponse, pair).id


def _check_conserved(connections: list[LoadConnection], asset: int, deposited: int) -> None:
    total = 0
    for connection in connections:
        reply = connection.call(BalanceReply, GetBalance(FIRST_REQUEST_ID, asset))
        total += reply.available + reply.locked
    if total != deposited:
        raise AnswersWrong(f"asset {asset}: accounts hold {total}, deposited were {deposited}")


def server_line(service: Service) -> str:
    """Return what the server promises: without durability and settings, figures mean little."""
    connection = LoadConnection((service.host, service.port), 1, 1)
    info = connection.call(ServerInfoReply, ServerInfo(FIRST_REQUEST_ID))
    connection.log_out()
    connection.close()
    realtime = info.details.get("realtime", "unknown")
    return (
        f"server: {info.server}, core {info.core}, durability {info.durability}, "
        f"realtime {realtime}"
    )


# --- beside redis -------------------------------------------------------------------------------


def redis_rate(service: Service, shape: Shape, args: argparse.Namespace) -> float:
    """Run redis-benchmark SET at the same shape, as long as hpe; return its requests per second."""
    for _ in range(TRIES_MAX):
        rate = _redis_rate(service, shape)
        if args.requests or shape.requests >= rate * MEASURED_S_MIN:
            break
        shape = shape._replace(requests=int(rate * MEASURED_S))
    return rate


def _redis_rate(service: Service, shape: Shape) -> float:
    before = redis_set_calls(service)
    command = [
        "redis-benchmark", "-h", service.host, "-p", str(service.port), "-t", "set", "--csv",
        "-c", str(shape.connections), "-P", str(shape.window), "-n", str(shape.requests),
        "-d", "32",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    executed = redis_set_calls(service) - before
    if executed < shape.requests:
        raise AnswersWrong(f"redis executed {executed} SETs of {shape.requests}")
    rows = [row for row in csv.reader(done.stdout.splitlines()) if row and row[0] == "SET"]
    return float(rows[0][1])


def beside_redis(
    folder: Path, redis: Service, shape: Shape, args: argparse.Namespace
) -> tuple[dict[str, Any], str]:
    """Measure both in turn; return the record and one line."""
    runs, redis_rates = [], []
    for number in range(1, args.pairs + 1):
        runs.append(fresh_run(folder, shape, args))
        shape = runs[-1].shape  # long enough
        redis_rates.append(redis_rate(redis, shape, args))
        report.note(
            f"{shape.text} pair {number}/{args.pairs}: hpe {runs[-1].rate:,.0f}/s, "
            f"redis {redis_rates[-1]:,.0f}/s"
        )
    ours, theirs = report.spread([run.rate for run in runs]), report.spread(redis_rates)
    ratios = [run.rate / rate for run, rate in zip(runs, redis_rates, strict=True)]
    ratio = report.spread(ratios)
    limited = sum(run.measured.generator_share > OWN_LIMIT for run in runs)
    line = (
        f"{shape.text:>11} {ours['median']:>10,.0f} {theirs['median']:>10,.0f}   "
        f"{ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"
    )
    if limited:
        line += f"   generator the limit in {limited} of {len(runs)}"
    record = {
        "hpe_per_s": ours, "redis_per_s": theirs, "ratio": ratio, "redis_rates": redis_rates,
        "runs": [run.record() for run in runs],
    }  # fmt: skip
    return record, line


# --- the script ---------------------------------------------------------------------------------


def make_shape(connections: int, window: int, args: argparse.Namespace) -> Shape:
    """Return the shape, with the number of requests that it gets."""
    of_each, most = FIRST_TRY_REQUESTS
    first_try = QUICK_REQUESTS if args.quick else min(connections * window * of_each, most)
    requests = args.requests or first_try
    warm_up_s = 0.0 if args.requests or args.quick else WARM_UP_S
    return Shape(connections, window, max(requests, connections), warm_up_s)


def measure(folder: Path, args: argparse.Namespace) -> tuple[Any, str]:
    """Measure what the options ask for; return the record and the table."""
    pairs = SHAPES if args.shapes else ((args.connections, args.window),)
    shapes = [make_shape(connections, window, args) for connections, window in pairs]
    if args.beside_redis:
        return _measure_beside_redis(folder, shapes, args)
    runs = []
    for shape in shapes:
        rates = [args.rate]
        if args.sweep or args.quick:
            runs.append(fresh_run(folder, shape, args))
            closed = runs[-1].rate
            rates = [share * closed for share in SWEEP_SHARES[: 1 if args.quick else None]]
        for rate in rates:
            sent = shape._replace(window=max(shape.window, OPEN_WINDOW)) if rate else shape
            runs.append(fresh_run(folder, sent, args, rate))
            report.note(runs[-1].text().splitlines()[0])
    return [run.record() for run in runs], "\n".join(run.text() for run in runs)


def _measure_beside_redis(
    folder: Path, shapes: list[Shape], args: argparse.Namespace
) -> tuple[Any, str]:
    if not redis_is_installed():
        return None, "skipped: redis-server and redis-benchmark are not installed"
    lines = [
        f"redis-server appendonly, appendfsync always, SET; median of {args.pairs} alternating "
        "pairs (lowest to highest)",
        f"{'shape':>11} {'hpe/s':>10} {'redis/s':>10}   ratio",
    ]
    records = {}
    with redis_service(folder) as redis:
        for shape in shapes:
            record, line = beside_redis(folder, redis, shape, args)
            records[shape.text] = record
            lines.append(line)
    return records, "\n".join(lines)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(description="load on the durable service over TCP")
    parser.add_argument("--address", help="HOST:PORT of a running service; else one is started")
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--window", type=int, default=1_000, help="requests in flight on each")
    parser.add_argument("--requests", type=int, default=0, help="in all; default: by the shape")
    parser.add_argument("--rate", type=float, default=0.0, help="open loop: requests per second")
    parser.add_argument("--mix", choices=MIXES, default="mixed")
    parser.add_argument("--seed", type=int, default=23)
    parser.add_argument("--core", default="auto", help="core of the service that is started")
    parser.add_argument("--data", type=Path, help="folder on the disk to measure (a new one in it)")
    parser.add_argument("--shapes", action="store_true", help="all seven shapes of the README")
    parser.add_argument("--sweep", action="store_true", help="closed, then open at 10, 50, 80 %%")
    parser.add_argument("--beside-redis", action="store_true")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="seconds: does it still work?")
    report.add_json_option(parser)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the script; return its exit code."""
    parser = make_parser()
    args = parser.parse_args(arguments)
    if not 0 < args.connections <= CONNECTIONS_MAX:
        parser.error(f"--connections: found {args.connections}, allowed 1 to {CONNECTIONS_MAX}")
    with tempfile.TemporaryDirectory(dir=args.data) as name:
        folder = Path(name)
        disk = report.filesystem(folder)
        with chosen_service(folder, args) as service:
            conditions = [report.machine_line(), server_line(service)]
        conditions.append(f"data on {disk}, mix {args.mix}, seed {args.seed}")
        if disk == "tmpfs":
            conditions.append("a sync costs nothing on tmpfs: choose a disk with --data")
        record, text = measure(folder, args)
    report.finish(
        {"load": record, "conditions": conditions[1:]}, "\n".join([*conditions, text]), args.json
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
