"""Backlogs: the newest updates of one market-data channel, for readers that are behind.

Owns the updates that some reader has not taken yet, once for all readers of a channel: a reader has
only a position. Used by the topics in the Trio loop; no I/O. Guarantees: a backlog is bounded,
however slow its readers are; a reader that is slightly behind gets the updates unchanged; one that
is far behind gets the newest state (best, status), one merged update (levels), or only the newest
update (orders, trades, and levels if too much has changed), which shows it the gap, so it
subscribes again. Relies on getting whole frames in order. Source: protocol.md, "Market data".

A position is the number with which the next update to take begins: for levels its `first`
book_sequence, with which the merged update begins too; for other channels a count of updates.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from hpe.errors import InvariantViolation
from hpe.protocol.base import type_number
from hpe.protocol.enums import Channel, Side
from hpe.protocol.frames import encode_frame, split_frames
from hpe.protocol.limits import CHANGES_PER_UPDATE_MAX
from hpe.protocol.market_data import BookLevel, LevelsUpdate

RECENT_BYTES_MAX: Final = 64 * 1024
RECENT_UPDATES_MAX: Final = 64
"""Levels updates of one channel that a reader gets unchanged; older ones are merged, which costs
about 0.5 us per level."""

KEPT_BYTES_MAX: Final = 256 * 1024
KEPT_UPDATES_MAX: Final = 1_024
"""Orders and trades updates of one channel that are kept. A reader further behind has a gap. A
snapshot of up to 10,000 orders costs more, so more is kept than of levels."""

LEVELS_KEPT_MAX: Final = 4_096
"""Levels of one channel whose last change is remembered for merging, about 1 MB. If more have
changed, a snapshot, at most 1,000 levels per side, is shorter than the merged update."""

assert LEVELS_KEPT_MAX <= CHANGES_PER_UPDATE_MAX


class Counts:
    """How often a reader got one update in place of several, or only the newest after a gap."""

    __slots__ = ("dropped", "merged")

    def __init__(self) -> None:
        self.merged = 0
        self.dropped = 0


class TakenFrames(NamedTuple):
    """Whole frames, and the position after them."""

    frames: bytes
    position: int


class _Update(NamedTuple):
    """One row of Output.market: `[first, after)` in positions; `frames` are its parts."""

    first: int
    after: int
    frames: bytes


class MarketBacklog:
    """The newest updates: as many as its bounds allow, and at least one.

    `head` is the position of a reader that is up to date.
    """

    def __init__(self, counts: Counts, updates_max: int, bytes_max: int) -> None:
        self.head = 0
        self._counts = counts
        self._updates_max = updates_max
        self._bytes_max = bytes_max
        self._recent: deque[_Update] = deque()
        self._bytes = 0

    def put(self, frames: bytes) -> int:
        """Add an update; return its position."""
        update = self._update(frames)
        self.head = update.after
        recent = self._recent
        recent.append(update)
        self._bytes += len(frames)
        while len(recent) > 1 and (
            len(recent) > self._updates_max or self._bytes > self._bytes_max
        ):  # fmt: skip
            oldest = recent.popleft()
            self._bytes -= len(oldest.frames)
            self._retire(oldest)
        return update.first

    def take(self, position: int, bytes_max: int) -> TakenFrames:
        """Return what follows a position below `head`.

        Args:
            position: from `put` or an earlier `take`.
            bytes_max: the approximate size; one update is returned even if it is longer.
        """
        recent = self._recent
        if position >= self.head:
            raise InvariantViolation(
                f"asked for what follows {position}; the newest is {self.head}"
            )
        if position < recent[0].first:
            return self._catch_up(position)
        at = bisect_left(recent, position, key=_first)
        size, after = 0, position
        frames: list[bytes] = []
        while at < len(recent):
            update = recent[at]
            size += len(update.frames)
            if frames and size > bytes_max:
                break
            frames.append(update.frames)
            after = update.after
            at += 1
        return TakenFrames(frames[0] if len(frames) == 1 else b"".join(frames), after)

    def clear(self) -> None:
        """Forget the updates: no reader is behind."""
        self._recent.clear()
        self._bytes = 0

    def _update(self, frames: bytes) -> _Update:
        return _Update(self.head, self.head + 1, frames)

    def _retire(self, update: _Update) -> None:
        """Handle an update that is no longer among the recent ones."""

    def _catch_up(self, position: int) -> TakenFrames:
        """Serve a reader that is behind what is kept: return the newest update."""
        newest = self._recent[-1]
        self._counts.dropped += 1
        return TakenFrames(newest.frames, newest.after)


class NewestBacklog(MarketBacklog):
    """A backlog of updates that each contain the whole state: only the newest one is sent."""

    def __init__(self, counts: Counts) -> None:
        super().__init__(counts, updates_max=1, bytes_max=0)

    def _catch_up(self, position: int) -> TakenFrames:
        self._counts.merged += 1
        newest = self._recent[-1]
        return TakenFrames(newest.frames, newest.after)


class _Range(msgspec.Struct, array_like=True, frozen=True, gc=False, tag=type_number(LevelsUpdate)):
    """The beginning of a levels update; the rest is not decoded."""

    request_id: int
    flags: int
    instrument: int
    first: int
    last: int


_RANGE: Final = msgspec.msgpack.Decoder(_Range)
_LEVELS: Final = msgspec.msgpack.Decoder(LevelsUpdate)

_Place = tuple[Side, int]
"""Side and price of a level."""


class LevelsBacklog(MarketBacklog):
    """A backlog of levels, which are absolute: old updates are merged into their net result."""

    def __init__(self, counts: Counts) -> None:
        super().__init__(counts, RECENT_UPDATES_MAX, RECENT_BYTES_MAX)
        # Of the updates that are no longer recent: each level as the last of them left it, and that
        # update's last book_sequence; in this order, oldest first.
        self._levels: OrderedDict[_Place, tuple[int, BookLevel]] = OrderedDict()
        self._mergeable_from = 0  # lower positions are too far behind

    def clear(self) -> None:
        """Forget the updates: no reader is behind."""
        super().clear()
        self._levels.clear()

    def _update(self, frames: bytes) -> _Update:
        bodies = list(split_frames(frames))
        first, last = _RANGE.decode(bodies[0]).first, _RANGE.decode(bodies[-1]).last
        return _Update(first, last + 1, frames)

    def _retire(self, update: _Update) -> None:
        levels = self._levels
        for part in _parts(update):
            for place, level in _changes(part):
                levels[place] = update.after - 1, level
                levels.move_to_end(place)
        while len(levels) > LEVELS_KEPT_MAX:
            last, _ = levels.popitem(last=False)[1]
            self._mergeable_from = last + 1

    def _catch_up(self, position: int) -> TakenFrames:
        if position < self._mergeable_from:
            return super()._catch_up(position)
        levels: dict[_Place, BookLevel] = {}
        for place, (last, level) in reversed(self._levels.items()):
            if last < position:
                break
            levels[place] = level
        for update in self._recent:
            for newest in _parts(update):
                levels.update(_changes(newest))
        if len(levels) > CHANGES_PER_UPDATE_MAX:
            return super()._catch_up(position)
        self._counts.merged += 1
        merged = msgspec.structs.replace(
            newest,
            first=position,
            bids=sorted(_side(levels, Side.BUY), reverse=True),
            asks=sorted(_side(levels, Side.SELL)),
        )
        return TakenFrames(encode_frame(merged), self.head)


def backlog_of(channel: int, counts: Counts) -> MarketBacklog:
    """Return a backlog of the kind that suits a channel."""
    match Channel(channel):
        case Channel.BEST | Channel.STATUS:
            return NewestBacklog(counts)
        case Channel.LEVELS:
            return LevelsBacklog(counts)
        case Channel.ORDERS | Channel.TRADES:
            return MarketBacklog(counts, KEPT_UPDATES_MAX, KEPT_BYTES_MAX)


def _first(update: _Update) -> int:
    return update.first


def _parts(update: _Update) -> Iterator[LevelsUpdate]:
    return map(_LEVELS.decode, split_frames(update.frames))


def _changes(part: LevelsUpdate) -> Iterator[tuple[_Place, BookLevel]]:
    for level in part.bids:
        yield (Side.BUY, level[0]), level
    for level in part.asks:
        yield (Side.SELL, level[0]), level


def _side(levels: dict[_Place, BookLevel], side: Side) -> Iterator[BookLevel]:
    return (level for place, level in levels.items() if place[0] is side)
