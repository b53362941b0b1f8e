"""Logs for tests: batches that the real core made, and directories that hold them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from queue import SimpleQueue

from hpe.config.settings import SyncPolicy
from hpe.core import new_core
from hpe.core.codec import encode
from hpe.core.contract import Batch, Output, Run
from hpe.protocol.base import Request
from hpe.protocol.enums import OrderType, Side, TimeInForce
from hpe.protocol.frames import chunk_of, frame
from hpe.protocol.internal import SessionAttached
from hpe.protocol.listings import AddAsset, AddInstrument
from hpe.protocol.money import Deposit
from hpe.protocol.orders import SubmitOrder
from hpe.wal.files import DirectoryFiles, LogFiles
from hpe.wal.format import content_end
from hpe.wal.group_commit import GroupCommit
from hpe.wal.log import CommandLog, Record, Tail
from hpe.wal.mark import HeadMark, Mark
from hpe.wal.recovery import recover
from hpe.wal.segments import survey
from hpe.wal.thread import run
from tests.support.listed import Listed, packed

BATCH = SyncPolicy()
EVERY_THREE = SyncPolicy(mode="every", every_commands=3, interval_ms=60_000)
INTERVAL = SyncPolicy(mode="interval", interval_ms=60_000)

IDLE_S = 1000.0
"""Longer than any policy here waits before it syncs an idle tail and writes the mark."""

QUERY_ONLY = packed(Listed([(1, b"reply")]))

_BATCH_COMMANDS = (1, 40, 2, 130, 1, 3, 60, 1)
"""Commands per batch, in turn: bodies from one to several sectors long."""


@cache
def outputs(count: int) -> tuple[Output, ...]:
    """Return the core's outputs of that many batches; the first makes a session and a pair."""
    core = new_core()
    commands = _deposits_and_trades()
    result = [core.apply(Batch(1_000, [_run(0, [SessionAttached(1, 0, 5, 16_384)])]))]
    for number in range(1, count):
        size = _BATCH_COMMANDS[number % len(_BATCH_COMMANDS)]
        requests = [next(commands) for _ in range(size)]
        result.append(core.apply(Batch(1_000 + number, [_run(1, requests)])))
    return tuple(result)


def _run(attach: int, requests: Sequence[Request]) -> Run:
    frames = b"".join(frame(encode(request)) for request in requests)
    return Run(attach, attach, 0, chunk_of(frames))


def _deposits_and_trades() -> Iterator[Request]:
    yield AddAsset(1, "BTC", 8)
    yield AddAsset(2, "USD", 2)
    yield AddInstrument(3, "BTC/USD", 1, 2)
    yield Deposit(4, 1, 10**12)
    yield Deposit(5, 2, 10**12)
    request_id = 6
    while True:
        side = Side.BUY if request_id % 2 else Side.SELL
        yield SubmitOrder(request_id, 1, request_id, side, OrderType.LIMIT, TimeInForce.GTC, 100, 3)
        request_id += 1


def build_log(
    directory: Path,
    made: Iterable[Output],
    policy: SyncPolicy = BATCH,
    *,
    segment_bytes_max: int = 1 << 20,
    files: LogFiles | None = None,
) -> Tail:
    """Recover a directory, log outputs that continue it, one frame each, and close it."""
    recovered = recover(
        directory, new_core(), policy, segment_bytes_max=segment_bytes_max, files=files
    )
    tail = recovered.tail
    try:
        for output in made:
            tail = recovered.log.append(tail, continuing(recovered.log, tail, output))
    finally:
        recovered.log.close()
    return tail


def continuing(log: CommandLog, tail: Tail, output: Output) -> Record:
    """Return the record of one output that continues a log."""
    return Record(tail.position + 1, output.last_sequence, log.link(), (output.body,))


def serve(
    directory: Path,
    made: Iterable[Output],
    policy: SyncPolicy,
    published: list[int],
    *,
    files: LogFiles,
    segment_bytes_max: int,
    filling_from: int = 1_000,
) -> None:
    """Run the whole life of a log, in this thread, one group per output; then stop.

    After every third group a single query comes, a long time later: idle tails are synced, and the
    mark is written. `published` gets the durable position at every publishing; under `batch` that
    is what may have been answered. From the publishing `filling_from` on, each is followed by a
    step of filling the next segment ahead.
    """
    recovered = recover(
        directory, new_core(), policy, segment_bytes_max=segment_bytes_max, files=files
    )
    inbox: SimpleQueue[Output | None] = SimpleQueue()
    waiting: list[Output] = []
    for output in made:
        if output.last_sequence > recovered.tail.position:
            waiting.append(output)
            if len(waiting) % 4 == 3:
                waiting.append(QUERY_ONLY)
    waiting.reverse()
    queries = 0

    def feed() -> None:
        inbox.put(waiting.pop() if waiting else None)

    def publish(items: list[Output], durable_position: int) -> None:
        nonlocal queries
        published.append(durable_position)
        queries += items == [QUERY_ONLY]
        if len(published) >= filling_from:
            recovered.log.spares.step()
        if items:
            feed()

    try:
        feed()
        stage = GroupCommit(
            recovered.log, recovered.tail, policy, steady_s=lambda: queries * IDLE_S
        )
        run(stage, inbox, publish)
    finally:
        recovered.log.close()


def put_mark(directory: Path, mark: Mark) -> None:
    """Write the head mark of a directory."""
    head = HeadMark(DirectoryFiles(directory))
    head.begin(mark)
    head.close()


def frames_of(path: Path) -> bytes:
    """Return a segment without the zeros that were filled ahead."""
    data = path.read_bytes()
    return data[: content_end(data)]


def shorten(path: Path, count: int) -> None:
    """Cut a segment so that its last frame lacks this many bytes."""
    path.write_bytes(frames_of(path)[:-count])


def bodies(files: LogFiles) -> list[bytes]:
    """Return every body of a directory, as recovery would read it.

    Raises:
        WalError: recovery would refuse the log.
    """
    return [bytes(body) for record in survey(files).records(0) for body in record.bodies]


def contents(directory: Path) -> dict[str, bytes]:
    """Return a directory's files and their contents, to check that nothing was changed."""
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}
