"""One run of the load generator: its shape, its service, its checked figures.

Shared by the scripts that put load on the service; used from one thread. Each run has new assets,
one funded user per connection, and frames that are encoded before the clock starts. Guarantees: a
LoadRun exists only if every request was answered once and in order and balances were conserved
(otherwise AnswersWrong is raised), and it says why it is no figure.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench import report
from bench.load_connection import LoadConnection, ReplyContent
from bench.load_engine import WARM_UP_S, Measured, Stopwatch, fill_books, run_closed, run_open
from bench.report import AnswersWrong
from bench.services import Service, hpe_service
from bench.traffic import (
    FIRST_REQUEST_ID,
    MIXES,
    RESTING,
    ConnectionTraffic,
    encode_traffic,
    funds_needed,
)
from bench.traffic_connection import BookNotFilled, TrafficConnection
from hpe.client.dialer import parse_address
from hpe.extensions import CORE_CHOICES
from hpe.protocol.control import ServerInfo, ServerInfoReply
from hpe.protocol.listings import AddAsset, AddAssetResponse, AddInstrument, AddInstrumentResponse
from hpe.protocol.money import BalanceReply, Deposit, DepositResponse, GetBalance

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

NULL_FACTOR_MIN: Final = 1.5
"""A server that only answers must be this much faster than the service, with the same generator."""

CONNECTIONS_MAX: Final = 1_000
"""select(), which times the open loop, takes only descriptors below 1,024."""

QUICK_REQUESTS: Final = 2_000
QUICK_RESTING: Final = 500

_run_numbers = itertools.count()


class Shape(NamedTuple):
    """The load: how many connections, requests in flight on each, requests in total.

    The first `warm_up_s` seconds are in no figure. `exact`: the run is not repeated with more
    requests if it was short. `resting`: orders on the book when the clock starts.
    """

    connections: int
    window: int
    requests: int
    warm_up_s: float = WARM_UP_S
    exact: bool = False
    resting: int = RESTING

    @property
    def text(self) -> str:
        """Return connections x window."""
        return f"{self.connections} x {self.window:,}"

    @property
    def share(self) -> int:
        """Return the requests of one connection."""
        return max(self.requests // self.connections, 1)

    def enough(self, measured: Measured) -> bool:
        """True if a run of this shape lasted long enough for a figure."""
        return self.exact or measured.wall_s >= MEASURED_S_MIN

    def lengthened(self, measured: Measured) -> Shape:
        """Return this shape with the requests that take MEASURED_S after the warm-up."""
        per_s = measured.requests / measured.wall_s
        return self._replace(requests=int(per_s * (MEASURED_S + self.warm_up_s)))


@dataclass(slots=True)
class LoadRun:
    """One run with its checked answers.

    `realtime` is the setting of the service. `null` is the same load on a server that only
    answers, if that was measured.
    """

    shape: Shape
    offered: float
    measured: Measured
    answers: ReplyContent
    realtime: str = "auto"
    null: Measured | None = None

    @property
    def rate(self) -> float:
        """Return requests executed per second; refused ones (busy) are answered, not executed."""
        refused = sum(self.answers.errors.values()) / self.answers.requests
        return self.measured.rate * (1 - refused)

    @property
    def rejected(self) -> float:
        """Return the share of requests that were rejected."""
        return sum(self.answers.rejects.values()) / self.answers.requests

    def doubts(self) -> list[str]:
        """Return why the run is no figure."""
        found = []
        share = self.measured.generator_share
        if share > OWN_LIMIT:
            found.append(f"THE GENERATOR WAS THE LIMIT: it took {share:.0%} of a core")
        if self.null and self.null.rate < NULL_FACTOR_MIN * self.rate:
            factor = self.null.rate / self.rate
            found.append(f"THE GENERATOR WAS THE LIMIT: with a null server it does {factor:.2f} x")
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
            "null_server_per_s": self.null.rate if self.null else None,
            "measured_s": measured.wall_s, "realtime": self.realtime, "doubts": self.doubts(),
        }  # fmt: skip

    def text(self) -> str:
        """Return a description of the run in a few lines."""
        measured, answers = self.measured, self.answers
        setting = "" if self.realtime == "auto" else f", realtime {self.realtime}"
        kind = f"open loop at {self.offered:,.0f}/s" if self.offered else "closed loop"
        lines = [
            f"{kind}, {self.shape.text}{setting}: {self.rate:,.0f} requests/s "
            f"({measured.requests:,} in {measured.wall_s:.2f} s)",
            f"  latency       {_percentiles(measured.latencies_ns)}",
        ]
        if measured.lag_ns:
            lines.append(f"  schedule lag  {_percentiles(measured.lag_ns)}")
        lines.append(
            f"  trades {answers.trades:,}  rejects {_counts(answers.rejects)} "
            f"({self.rejected:.1%})  errors {_counts(answers.errors)}"
        )
        lines.append(f"  CPU: {_shares(measured)}")
        if self.null:
            lines.append(
                f"  null server   {self.null.rate:,.0f} requests/s "
                f"({self.null.rate / self.rate:.1f} x)  CPU: {_shares(self.null)}"
            )
        lines += [f"  {doubt}" for doubt in self.doubts()]
        return "\n".join(lines)


def _percentiles(values_ns: Sequence[int]) -> str:
    return report.percentile_line(report.percentiles_us(values_ns))


def _counts(counter: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counter.items())) or "0"


def _shares(measured: Measured) -> str:
    return f"generator {measured.generator_share:.0%} of a core, server {measured.server_share:.0%}"


# --- runs ---------------------------------------------------------------------------------------


def fresh_run(
    folder: Path,
    shape: Shape,
    args: argparse.Namespace,
    rate: float = 0.0,
    *,
    realtime: str = "auto",
) -> LoadRun:
    """Measure one run on a service of its own, so that every run finds the same state.

    A run that was too short is repeated with more requests, unless its shape is exact.
    """
    for _ in range(TRIES_MAX):
        run = filled(partial(_fresh_run, folder, shape, args, rate, realtime))
        if shape.enough(run.measured):
            break
        shape = shape.lengthened(run.measured)
    return run


def _fresh_run(
    folder: Path, shape: Shape, args: argparse.Namespace, rate: float, realtime: str
) -> LoadRun:
    with chosen_service(folder, args, realtime) as service:
        run = load_run(service, shape, mix=args.mix, seed=args.seed, rate=rate)
    run.realtime = realtime
    return run


def filled(measure: Callable[[], LoadRun]) -> LoadRun:
    """Measure, again if the service was too busy to fill the book.

    Raises:
        BookNotFilled: it was busy every time.
    """
    for _ in range(TRIES_MAX - 1):
        try:
            return measure()
        except BookNotFilled as fault:
            report.note(f"again, because {fault}")
    return measure()


@contextmanager
def chosen_service(
    folder: Path, args: argparse.Namespace, realtime: str = "auto"
) -> Iterator[Service]:
    """Yield the service that --address names, or one started with an empty folder."""
    if args.address:
        host, port = parse_address(args.address)
        yield Service(host, port, None)
        return
    with (
        tempfile.TemporaryDirectory(dir=folder) as name,
        hpe_service(Path(name), args.core, realtime) as service,
    ):
        yield service


def load_run(service: Service, shape: Shape, *, mix: str, seed: int, rate: float = 0.0) -> LoadRun:
    """Set up, measure and check one run; rate 0 means the closed loop."""
    # New users: request ids are client order ids, unique among a user's live orders.
    first_user = 1 + int.from_bytes(os.urandom(5), "big") * CONNECTIONS_MAX
    fill_window = max(FILL_IN_FLIGHT // shape.connections, 1)
    with ExitStack() as stack:
        connections = []
        for number in range(shape.connections):
            user = first_user + number
            connection = LoadConnection(service.address, user, shape.window, fill_window)
            stack.callback(connection.close)
            connections.append(connection)
        resting = shape.resting // shape.connections if mix == "mixed" else 0
        funds = funds_needed(shape.share + resting)
        base, quote, instrument = _list_pair(connections[0])
        for number, connection in enumerate(connections):
            for asset in (base, quote):
                deposit = Deposit(connection.next_id(), asset, funds)
                connection.call(DepositResponse, deposit)
            connection.load(encode_traffic(mix, seed, number, shape.share, instrument, resting))
        fill_books(connections)
        measured = _measure(connections, service, shape, rate)
        answers = ReplyContent()
        for connection in connections:
            connection.verify(answers)
        for asset in (base, quote):
            _check_conserved(connections, asset, funds * len(connections))
        for connection in connections:
            connection.log_out()
    return LoadRun(shape, rate, measured, answers)


def _measure(
    connections: Sequence[TrafficConnection], service: Service, shape: Shape, rate: float = 0.0
) -> Measured:
    watch = Stopwatch(shape.warm_up_s, service.cpu_s)
    # Freeze what exists: the collector would walk it again and again inside the clock.
    gc.freeze()
    try:
        return run_open(connections, rate, watch) if rate else run_closed(connections, watch)
    finally:
        gc.unfreeze()


def same_answer_run(
    service: Service,
    shape: Shape,
    traffic: ConnectionTraffic,
    answer: bytes,
    kind: Callable[[tuple[str, int], int], TrafficConnection] = TrafficConnection,
) -> Measured:
    """Measure the closed loop on a server that gives every request the same answer.

    Args:
        service: the server.
        shape: the load; repeated with more requests if it was short, unless it is exact.
        traffic: what every connection sends, again and again.
        answer: the bytes that each request must get.
        kind: makes a connection from an address and a window.
    """
    for _ in range(TRIES_MAX):
        repeats = -(-shape.share // len(traffic.ends))
        with ExitStack() as stack:
            connections = []
            for _ in range(shape.connections):
                connection = kind(service.address, shape.window)
                stack.callback(connection.close)
                connection.load(traffic._replace(repeats=repeats))
                connections.append(connection)
            measured = _measure(connections, service, shape)
            for connection in connections:
                connection.check_answers(answer)
        if shape.enough(measured):
            break
        shape = shape.lengthened(measured)
    return measured


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


# --- options and conditions ---------------------------------------------------------------------


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of every script that puts load on a service."""
    parser.add_argument("--address", help="HOST:PORT of a running service; else one is started")
    parser.add_argument("--requests", type=int, default=0, help="in all; default: by the shape")
    parser.add_argument("--mix", choices=MIXES, default="mixed")
    parser.add_argument("--seed", type=int, default=23)
    parser.add_argument(
        "--core", choices=CORE_CHOICES, default="auto", help="core of the service that is started"
    )
    parser.add_argument("--data", type=Path, help="folder on the disk to measure (a new one in it)")
    parser.add_argument("--quick", action="store_true", help="seconds: does it still work?")
    report.add_json_option(parser)


def make_shape(connections: int, window: int, args: argparse.Namespace) -> Shape:
    """Return the shape, with the number of requests that it gets."""
    of_each, most = FIRST_TRY_REQUESTS
    first_try = QUICK_REQUESTS if args.quick else min(connections * window * of_each, most)
    requests = args.requests or first_try
    exact = bool(args.requests or args.quick)
    warm_up_s = 0.0 if exact else WARM_UP_S
    resting = QUICK_RESTING if args.quick else RESTING
    return Shape(connections, window, max(requests, connections), warm_up_s, exact, resting)


def conditions(folder: Path, args: argparse.Namespace) -> list[str]:
    """Return what the figures depend on: the machine, the service, the disk, the mix."""
    disk = report.filesystem(folder)
    with chosen_service(folder, args) as service:
        found = [report.machine_line(), server_line(service)]
    found.append(f"data on {disk}, mix {args.mix}, seed {args.seed}")
    if disk == "tmpfs":
        found.append("a sync costs nothing on tmpfs: choose a disk with --data")
    return found


def server_line(service: Service) -> str:
    """Return what the server promises: without durability and settings, figures mean little."""
    connection = LoadConnection(service.address, 1, 1)
    info = connection.call(ServerInfoReply, ServerInfo(FIRST_REQUEST_ID))
    connection.log_out()
    connection.close()
    realtime = info.details.get("realtime", "unknown")
    return (
        f"server: {info.server}, core {info.core}, durability {info.durability}, "
        f"realtime {realtime}"
    )
