"""What a plain order costs beside 100,000 others: resting, hidden, expiring, waiting, linked.

    python bench/growth.py [--orders N] [--rounds 7] [--only WORDS] [--json [FILE]]
    python bench/growth.py --quick          small, answers only (for CI)

One process, which calls the core as the service does: request bytes in, reply bytes and log body
out. For each crowd two cores are made, one without and one with it, and the same commands run on
both in turn: a limit order that rests and its cancel (at the best price, or inside the crowd), or
two limit orders that trade with each other (or, if the crowd is at that price, with its oldest).
Ratios are taken round by round, so other load on the machine affects both sides; the clock is the
thread's CPU time, and is stopped while commands are made. After every slice its trades and the open
orders are counted, and at the end everything is checked; only then are the figures printed, and
whether each ratio is within 1.5. With many peaks, every trade at a new high moves ten stops: see
README.md.
"""

from __future__ import annotations

import argparse
import gc
import sys
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

# In a checkout, a script's own folder is on the path, but not the project's root.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import report
from bench.crowds import CROWDS, Crowd, CrowdedVenue, Operation
from bench.report import AnswersWrong

RATIO_MAX: Final = 1.5
"""The most that a plain order may cost beside a crowd, relative to none."""

SLICES: Final = 12
"""Slices per round, in turn on both exchanges; their median counts. A slice is shorter than the
time that the kernel gives another process, so interrupted slices do not affect it."""


class GrowthRow(NamedTuple):
    """One line of the table: nanoseconds per pair of commands without and with the crowd."""

    crowd: str
    operation: str
    without_ns: dict[str, float]
    with_ns: dict[str, float]
    ratio: dict[str, float]

    @property
    def within(self) -> bool:
        """True if the crowd is as cheap as it must be."""
        return self.ratio["median"] <= RATIO_MAX

    def text(self) -> str:
        """Return the line of the table."""
        ratio = self.ratio
        return (
            f"{self.crowd:<27} {self.operation:<24} {self.without_ns['median'] / 1000:>7.2f} "
            f"{self.with_ns['median'] / 1000:>7.2f}   {ratio['median']:.2f} "
            f"({ratio['low']:.2f} to {ratio['high']:.2f})  "
            f"{'yes' if self.within else f'NO, above {RATIO_MAX}'}"
        )


def measure(venue: CrowdedVenue, operation: Operation, iterations: int) -> float:
    """Run an operation once and check its effects; return nanoseconds per pair of commands."""
    opened = venue.open_orders()
    elapsed_ns, trades = venue.execute(list(operation.commands(venue, iterations)))
    wanted = iterations if operation.trades else 0
    if trades != wanted:
        raise AnswersWrong(f"{operation.name}: {trades} trades, {wanted} expected")
    if venue.open_orders() != opened or venue.core.unfinished:
        raise AnswersWrong(f"{operation.name}: orders are open, or fired, that were not before")
    return elapsed_ns / iterations


def compare(crowd: Crowd, args: argparse.Namespace) -> list[GrowthRow]:
    """Build both venues and measure each operation on both in turn; the first round is dropped."""
    venues = (
        CrowdedVenue(args.orders, crowd.fees_without_ppm),
        CrowdedVenue(args.orders, crowd.fees_ppm),
    )
    crowd.build(venues[1], args.orders)
    found = venues[1].open_orders()
    if found != args.orders * crowd.legs:
        raise AnswersWrong(f"{crowd.name}: {found} open orders")
    # Freeze what exists: the collector would walk it again and again inside the clock.
    gc.collect()
    gc.freeze()
    costs: dict[Operation, list[list[float]]] = {operation: [] for operation in crowd.operations}
    for _ in range(args.rounds + 1):
        for operation, rounds in costs.items():
            iterations = args.iterations or operation.iterations
            slices = [
                [measure(venue, operation, iterations) for venue in venues] for _ in range(SLICES)
            ]
            rounds.append([median(side) for side in zip(*slices, strict=True)])
    gc.unfreeze()
    for venue in venues:
        venue.core.check()
    return [_row(crowd, operation, rounds[1:]) for operation, rounds in costs.items()]


def _row(crowd: Crowd, operation: Operation, rounds: list[list[float]]) -> GrowthRow:
    without, beside = (report.spread(side) for side in zip(*rounds, strict=True))
    ratio = report.spread([beside_ns / without_ns for without_ns, beside_ns in rounds])
    return GrowthRow(crowd.name, operation.name, without, beside, ratio)


def table(rows: list[GrowthRow], args: argparse.Namespace) -> str:
    """Return all rows and a summary."""
    lines = [
        report.machine_line(),
        f"{args.orders:,} orders in each crowd (pairs: two orders each), microseconds per pair of "
        f"commands, median of {args.rounds} alternating rounds",
        f"{'crowd':<27} {'commands':<24} {'without':>7} {'with':>7}   ratio   <= {RATIO_MAX}",
        *(row.text() for row in rows),
    ]
    above = [row for row in rows if not row.within]
    lines.append(f"{len(rows) - len(above)} of {len(rows)} ratios are at most {RATIO_MAX}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the script; return its exit code."""
    parser = argparse.ArgumentParser(description="a plain order beside a crowd of others")
    parser.add_argument("--orders", type=int, default=100_000, help="orders in a crowd")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--iterations", type=int, default=0, help="of a measurement")
    parser.add_argument("--only", default="", help="crowds whose name has these words in it")
    parser.add_argument("--quick", action="store_true", help="small, no figures: for CI")
    report.add_json_option(parser)
    args = parser.parse_args(arguments)
    if args.quick:
        args.orders, args.rounds, args.iterations = 400, 2, 20
    rows = []
    for crowd in CROWDS:
        if args.only in crowd.name:
            rows += compare(crowd, args)
            report.note(f"{crowd.name} ...")
    record = [{**row._asdict(), "within": row.within} for row in rows]
    text = f"{len(rows)} measurements, answers right" if args.quick else table(rows, args)
    report.finish({"growth": record, "orders": args.orders}, text, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
