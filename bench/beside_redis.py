"""The service beside redis-server with a synced append-only file, at the same shape, in turn.

Owns the two ways in which redis is driven: redis-benchmark, and the generator that also loads hpe,
with the requests of redis-benchmark made in advance. The better of the two counts. Guarantees:
every SET was executed and answered with OK, and redis syncs every one (otherwise an exception is
raised). For scripts, from one thread.
"""

from __future__ import annotations

import argparse
import csv
import resource
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench import report
from bench.load_run import (
    MEASURED_S,
    MEASURED_S_MIN,
    TRIES_MAX,
    LoadRun,
    Shape,
    fresh_run,
    same_answer_run,
)
from bench.null_server import null_run
from bench.report import AnswersWrong
from bench.services import Service, redis_set_calls
from bench.traffic import ConnectionTraffic
from bench.traffic_connection import TrafficConnection

SET: Final = b"*3\r\n$3\r\nSET\r\n$16\r\nkey:__rand_int__\r\n$32\r\n" + b"x" * 32 + b"\r\n"
"""What redis-benchmark sends with `-t set -d 32`: one key, of 16 bytes, and a value of 32."""

OK: Final = b"+OK\r\n"


class RedisConnection(TrafficConnection):
    """A connection whose answers are lines."""

    def _count_answers(self, data: bytes) -> int:
        return data.count(b"\n")


class RedisRun(NamedTuple):
    """SETs per second, and the generator that sent them; shares are of a CPU core."""

    driver: str
    rate: float
    generator_share: float
    server_share: float


def redis_run(service: Service, shape: Shape) -> list[RedisRun]:
    """Measure redis with both generators at the same shape; return the better run first."""
    runs = [by_redis_benchmark(service, shape), by_own_generator(service, shape)]
    return sorted(runs, key=lambda run: run.rate, reverse=True)


def by_own_generator(service: Service, shape: Shape) -> RedisRun:
    """Send SETs as hpe gets its requests: made in advance, the window kept full."""
    ends = range(len(SET), len(SET) * shape.window + 1, len(SET))
    traffic = ConnectionTraffic(SET * shape.window, ends, 0)
    before = redis_set_calls(service)
    measured = same_answer_run(service, shape, traffic, OK, RedisConnection)
    _check_executed(service, before, shape.share * shape.connections)
    return RedisRun("own generator", measured.rate, measured.generator_share, measured.server_share)


def by_redis_benchmark(service: Service, shape: Shape) -> RedisRun:
    """Send SETs with redis-benchmark, as long as hpe was measured."""
    for _ in range(TRIES_MAX):
        run = _redis_benchmark(service, shape)
        if shape.exact or shape.requests >= run.rate * MEASURED_S_MIN:
            break
        shape = shape._replace(requests=int(run.rate * MEASURED_S))
    return run


def _redis_benchmark(service: Service, shape: Shape) -> RedisRun:
    command = [
        "redis-benchmark", "-h", service.host, "-p", str(service.port), "-t", "set", "--csv",
        "-c", str(shape.connections), "-P", str(shape.window), "-n", str(shape.requests),
        "-d", "32",
    ]  # fmt: skip
    before, server_s, own_s = redis_set_calls(service), service.cpu_s(), _children_cpu_s()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    own_s, server_s = _children_cpu_s() - own_s, service.cpu_s() - server_s
    _check_executed(service, before, shape.requests)
    rows = [row for row in csv.reader(done.stdout.splitlines()) if row and row[0] == "SET"]
    rate = float(rows[0][1])
    wall_s = shape.requests / rate
    return RedisRun("redis-benchmark", rate, own_s / wall_s, server_s / wall_s)


def _check_executed(service: Service, before: int, requests: int) -> None:
    executed = redis_set_calls(service) - before
    if executed < requests:
        raise AnswersWrong(f"redis executed {executed} SETs of {requests}")


def _children_cpu_s() -> float:
    """Return the CPU seconds of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


# --- side by side -------------------------------------------------------------------------------

HEADING: Final = (
    f"{'shape':>10} {'hpe/s':>9} {'gen':>4} {'srv':>4} {'null/s':>9}"
    f" {'redis/s':>9} {'gen':>4} {'srv':>4}  {'driver':<15} ratio"
)
"""gen and srv: CPU of the generator and of the server, in percent of a core."""


class PairOfRuns(NamedTuple):
    """One run of hpe, and of redis with both generators, the better first."""

    hpe: LoadRun
    redis: list[RedisRun]

    @property
    def ratio(self) -> float:
        """Return how many times redis's rate hpe did."""
        return self.hpe.rate / self.redis[0].rate


def beside_redis(
    folder: Path, redis: Service, shape: Shape, args: argparse.Namespace
) -> tuple[dict[str, Any], str]:
    """Measure both in turn; return the record and one line."""
    pairs: list[PairOfRuns] = []
    null = None
    for number in range(1, args.pairs + 1):
        run = fresh_run(folder, shape, args)
        shape = run.shape  # long enough
        null = run.null = null or null_run(shape, args.mix, args.seed)
        pairs.append(PairOfRuns(run, redis_run(redis, shape)))
        report.note(
            f"{shape.text} pair {number}/{args.pairs}: hpe {run.rate:,.0f}/s, redis "
            + ", ".join(f"{each.rate:,.0f}/s by {each.driver}" for each in pairs[-1].redis)
        )
    return _record(pairs), _line(shape, pairs)


def _record(pairs: Sequence[PairOfRuns]) -> dict[str, Any]:
    return {
        "hpe_per_s": report.spread([pair.hpe.rate for pair in pairs]),
        "redis_per_s": report.spread([pair.redis[0].rate for pair in pairs]),
        "ratio": report.spread([pair.ratio for pair in pairs]),
        "redis_runs": [[each._asdict() for each in pair.redis] for pair in pairs],
        "runs": [pair.hpe.record() for pair in pairs],
    }


def _line(shape: Shape, pairs: Sequence[PairOfRuns]) -> str:
    """Return a line of the table; redis's columns are those of the pair with the median rate."""
    hpe = sorted((pair.hpe for pair in pairs), key=lambda run: run.rate)[len(pairs) // 2]
    redis = sorted((pair.redis[0] for pair in pairs), key=lambda run: run.rate)[len(pairs) // 2]
    ratio = report.spread([pair.ratio for pair in pairs])
    assert hpe.null is not None
    line = (
        f"{shape.text:>10} {hpe.rate:>9,.0f} {hpe.measured.generator_share:>4.0%} "
        f"{hpe.measured.server_share:>4.0%} {hpe.null.rate:>9,.0f} {redis.rate:>9,.0f} "
        f"{redis.generator_share:>4.0%} {redis.server_share:>4.0%}  {redis.driver:<15} "
        f"{ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"
    )
    doubted = [pair.hpe for pair in pairs if pair.hpe.doubts()]
    if doubted:
        line += f"\n{'':>10} {len(doubted)} of {len(pairs)}: {doubted[0].doubts()[0]}"
    return line
