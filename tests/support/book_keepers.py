"""Subscribers that record every state of their maintained book, and a judge of the records.

Owns the subscribers over bare sockets (each is a task: prompt, slow, or repeatedly cut off) and
their notes; the judge replays the service's log and compares every note with the engine's book at
that book_sequence. The books themselves are the client library's. A keeper restores by itself what
it loses: its connection, its place in the stream, its depth.
"""

from __future__ import annotations

import random
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from enum import Enum, auto
from itertools import groupby
from math import inf
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import trio
import trio_util

from hpe.client.maintained_book import LevelsBook, OrdersBook, Verdict
from hpe.core import new_core
from hpe.core.contract import Batch, Core, Run
from hpe.core.state.rows import DumpedInstrument, DumpedResting
from hpe.protocol.base import Reply, Request
from hpe.protocol.enums import Channel, Side
from hpe.protocol.frames import chunk_of, encode_frame
from hpe.protocol.limits import DEPTH_MAX
from hpe.protocol.market_data import (
    GetOrderbook,
    LevelsUpdate,
    OrderbookReply,
    OrdersSnapshot,
    OrdersUpdate,
    Subscribe,
    Subscribed,
)
from hpe.protocol.registry import AnyReply
from hpe.wal.files import DirectoryFiles
from hpe.wal.segments import survey
from tests.support.core_driver import decoded, frames_of
from tests.support.dumps import rows_of
from tests.support.hostile import GONE, Enemy, dial

_DECODER: Final = msgspec.msgpack.Decoder(AnyReply)
_encode: Final = msgspec.msgpack.Encoder().encode
CUT_S: Final = 2.0
DUMP_EVERY: Final = 30
"""One in so many books is also read from a dump, which takes 35 ms."""

Rows = list[tuple[int, ...]]


class Manner(Enum):
    """The way in which a keeper reads."""

    PROMPT = auto()
    SLOW = auto()
    CUT = auto()


class Habit(NamedTuple):
    """What a keeper subscribes to, and how it reads.

    `depth` is that of its snapshots; a slow one reads nothing for up to `slow_steps` of the
    traffic, then everything.
    """

    instrument: int
    channel: Channel
    depth: int
    manner: Manner
    slow_steps: int


class Note(NamedTuple):
    """A recorded book: its digest, and the prices beyond which the keeper knows nothing."""

    instrument: int
    channel: Channel
    sequence: int
    worst_bid: int | None
    worst_ask: int | None
    digest: int


def digest_of(bids: Any, asks: Any) -> int:
    """Return a digest of a book."""
    return zlib.crc32(_encode((bids, asks)))


class Keeper:
    """One subscriber.

    Args:
        port: the service's port.
        number: the keeper's number: its user, and the seed of its random choices.
        habit: what it subscribes to, and how it reads.
        steps: returns the number of steps that the traffic has taken.
        quiet: returns True if nothing changes at present: then a slow one reads on at once.

    Attributes:
        notes: every state in which the book was known to be complete.
        seen: counts of what happened to updates, and of new starts by their reason.
        book: the book as it is now.
        known: book_sequence of the newest note, 0 while there is none.
    """

    def __init__(
        self,
        port: int,
        number: int,
        habit: Habit,
        steps: trio_util.AsyncValue[int],
        quiet: trio_util.AsyncBool,
    ) -> None:
        self.notes: set[Note] = set()
        self.seen: Counter[str] = Counter()
        self.book = LevelsBook() if habit.channel is Channel.LEVELS else OrdersBook()
        self.habit = habit
        self.known = trio_util.AsyncValue(0)
        self._live = False
        self._port = port
        self._user = 1_000 + number
        self._random = random.Random(number)
        self._steps = steps
        self._quiet = quiet
        self._asked = 0
        self._worst: tuple[int | None, int | None] = (None, None)

    def describe(self) -> str:
        """Return its settings, its position, and what it saw."""
        return f"{self.habit}, at {self.book.sequence} (live: {self._live}): {dict(self.seen)}"

    async def run(self) -> None:
        """Keep the book, over as many connections as it takes, until canceled."""
        while True:
            try:
                with (
                    await dial(self._port, small=self.habit.manner is Manner.SLOW) as line,
                    trio.move_on_after(self._patience_s()),
                ):
                    await self._follow(line)
            except GONE:
                pass  # the service was killed
            self.known.value = 0
            self.seen["connections"] += 1
            await trio.sleep(0.05)

    def _patience_s(self) -> float:
        return self._random.expovariate(1 / CUT_S) if self.habit.manner is Manner.CUT else inf

    async def _follow(self, line: Enemy) -> None:
        await line.log_on(self._user)
        await self._ask(line)
        awake_s = trio.current_time()
        while body := await line.receive_body():
            await self._take(_DECODER.decode(body), line)
            # It sleeps only while its book is complete: then a merged update follows.
            if (
                self.habit.manner is Manner.SLOW
                and trio.current_time() > awake_s + 1
                and self._live
            ):
                await self._sleep()
                awake_s = trio.current_time()

    async def _sleep(self) -> None:
        """Read nothing for a number of traffic steps, however long they take."""
        missed = self._steps.value + self._random.uniform(0.7, 1.0) * self.habit.slow_steps
        async with trio.open_nursery() as nursery:

            async def until_quiet() -> None:
                await self._quiet.wait_value(True)
                nursery.cancel_scope.cancel()

            nursery.start_soon(until_quiet)
            await self._steps.wait_value(lambda steps: steps >= missed)
            nursery.cancel_scope.cancel()

    async def _ask(self, line: Enemy) -> None:
        self._live = False
        self.known.value = 0
        self._asked += 1
        subscribe = Subscribe(
            self._asked, self.habit.instrument, self.habit.channel, self.habit.depth
        )
        await line.send(encode_frame(subscribe))

    async def _take(self, message: Any, line: Enemy) -> None:
        if isinstance(message, Subscribed):
            if message.request_id != self._asked:
                return  # a new snapshot has already been requested
            self._begin(message)
        elif isinstance(message, LevelsUpdate | OrdersUpdate):
            if not self._live:
                return
            verdict = self.book.apply(message)
            self.seen[verdict.name.lower()] += 1
            self._live = verdict in (Verdict.APPLIED, Verdict.IGNORED)
        else:
            return
        if self._live and not self.book.shallow:
            self._note()
        else:
            self.seen["shallow" if self._live else "lost"] += 1
            await self._ask(line)

    def _begin(self, message: Subscribed) -> None:
        snapshot = message.snapshot
        assert isinstance(snapshot, LevelsUpdate | OrdersSnapshot)
        # A row of levels begins with its price, a row of orders with the order id.
        at = 0 if isinstance(snapshot, LevelsUpdate) else 1
        self._worst = (
            snapshot.bids[-1][at] if message.more_bids else None,
            snapshot.asks[-1][at] if message.more_asks else None,
        )
        verdict = self.book.load(message)
        self.seen[f"snapshot {verdict.name.lower()}"] += 1
        self._live = verdict is Verdict.APPLIED

    def _note(self) -> None:
        book = self.book
        if isinstance(book, LevelsBook):
            digest = digest_of(book.bids(), book.asks())
        else:
            digest = digest_of(book.orders(Side.BUY), book.orders(Side.SELL))
        self.notes.add(
            Note(self.habit.instrument, self.habit.channel, book.sequence, *self._worst, digest)
        )
        self.known.value = book.sequence


class EngineBook(NamedTuple):
    """A book of the engine: bids and asks, best first, as the two channels show them."""

    levels: tuple[Sequence[Any], Sequence[Any]]
    orders: tuple[Sequence[Any], Sequence[Any]]


class Judgment(NamedTuple):
    """The judge's result: states compared, the engine's books that they belong to, its last books.

    `wrong`: notes that differ from the engine's book; `unknown`: notes with a book_sequence at
    which no batch of the log ends.
    """

    compared: int
    books: int
    last_sequences: dict[int, int]
    wrong: list[Note]
    unknown: list[Note]


def judge(data: Path, notes: Iterable[Note]) -> Judgment:
    """Replay the log of a data directory and compare every note with the engine's book.

    Args:
        data: the data directory; no process writes to it now.
        notes: the notes of all keepers.
    """
    waiting: dict[tuple[int, int], set[Note]] = defaultdict(set)
    for note in notes:
        waiting[note.instrument, note.sequence].add(note)
    core = new_core()
    compared = books = 0
    wrong: list[Note] = []
    last: dict[int, int] = {}
    for scan in survey(DirectoryFiles(data)).scans():
        for entry in scan.entries:
            for body in entry.record.bodies:
                core.replay(bytes(body))
                last = sequences_now(core)
                for key in last.items():
                    if theirs := waiting.pop(key, None):
                        book = book_now(core, key[0], prove=books % DUMP_EVERY == 0)
                        wrong += [each for each in theirs if digest_then(book, each) != each.digest]
                        compared += len(theirs)
                        books += 1
    # A book without a change yet has no batch of its own.
    unknown = [note for (_, sequence), due in waiting.items() for note in due if sequence]
    return Judgment(compared, books, last, wrong, unknown)


def sequences_now(core: Core) -> dict[int, int]:
    """Return the book_sequence of every book."""
    if not core.attached_sessions():
        return {row.instrument: row.book_sequence for row in rows_of(core, DumpedInstrument)}
    numbers = range(1, core.instrument_count + 1)
    replies = asked(core, *(GetOrderbook(1, number, 1) for number in numbers))
    return {
        reply.instrument: reply.book_sequence
        for reply in replies
        if isinstance(reply, OrderbookReply)
    }


def asked(core: Core, *queries: Request) -> list[Reply]:
    """Return the answers to queries, asked on the connection of some session."""
    _, attach = core.attached_sessions()[0]
    run = Run(attach, attach, 0, chunk_of(frames_of(queries)))
    frames = core.apply(Batch(core.last_time_ns + 1, [run])).replies_to(attach)
    return decoded(frames)


def book_now(core: Core, instrument: int, *, prove: bool) -> EngineBook:
    """Return a book as the engine shows it; with `prove`, verify it against the dump."""
    shown = None
    if core.attached_sessions():
        level_reply, subscribed = asked(
            core,
            GetOrderbook(1, instrument, DEPTH_MAX),
            Subscribe(2, instrument, Channel.ORDERS, DEPTH_MAX),
        )
        assert isinstance(level_reply, OrderbookReply)
        assert isinstance(subscribed, Subscribed)
        orders = subscribed.snapshot
        assert isinstance(orders, OrdersSnapshot)
        assert not subscribed.more_bids
        assert not subscribed.more_asks
        levels = (level_reply.bids, level_reply.asks)
        shown = EngineBook(levels, (orders.bids, orders.asks))
        if not prove:
            return shown
    dumped = dumped_book(core, instrument)
    if shown is not None:
        assert digest_of(*dumped.levels) == digest_of(*shown.levels)
        assert digest_of(*dumped.orders) == digest_of(*shown.orders)
    return dumped


def dumped_book(core: Core, instrument: int) -> EngineBook:
    """Return a book from the rows of the state."""
    resting = [row for row in rows_of(core, DumpedResting) if row.instrument == instrument]
    bids = [row for row in resting if row.side is Side.BUY]
    bids.sort(key=lambda row: -row.price)  # the sort is stable: queues keep their order
    asks = [row for row in resting if row.side is Side.SELL]
    return EngineBook((_levels(bids), _levels(asks)), (_orders(bids), _orders(asks)))


def _levels(side: Iterable[DumpedResting]) -> Rows:
    rows: Rows = []
    for price, group in groupby(side, key=lambda row: row.price):
        lots = [row.leaves - row.hidden for row in group]
        rows.append((price, sum(lots), len(lots)))
    return rows


def _orders(side: Iterable[DumpedResting]) -> Rows:
    return [(row.order_id, row.price, row.leaves - row.hidden) for row in side]


def digest_then(book: EngineBook, note: Note) -> int:
    """Return the digest that a note of this book must have: down to its worst known prices."""
    at = 0 if note.channel is Channel.LEVELS else 1
    bids, asks = book.levels if note.channel is Channel.LEVELS else book.orders
    return digest_of(
        [row for row in bids if note.worst_bid is None or row[at] >= note.worst_bid],
        [row for row in asks if note.worst_ask is None or row[at] <= note.worst_ask],
    )
