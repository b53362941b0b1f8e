"""The ring of private reports: the newest of all users, from which streams are read.

Owns the kept reports and each user's last private sequence; used in the Trio loop by the
dispatcher (put) and by writers (read), and by recovery before the loop serves. Guarantees: a put
costs O(1); at least the newest `reports_max` reports of all users together are kept (slightly more,
because whole segments are forgotten); a read returns the user's reports in order, none missing, or
raises Overrun. Relies on getting each user's reports in order, in whole private_update frames.

Frames are stored end to end in segments of CHUNKS_PER_SEGMENT: keeping one costs 44 bytes
(measured) beyond its own, where a bytes object and a tuple would cost 200. Chunks (the frames) are
numbered from the start of the service; a user's index has the numbers of its chunks, ascending:

    index of a user      3, 64, 70          (array of 64 bits)
    segments             [0..63] [64..127]  each: bytes, end of each chunk in them, user, first
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import deque
from typing import Final

import msgspec

from hpe.core.contract import Buffer
from hpe.errors import HpeError, InvariantViolation
from hpe.protocol.base import type_number
from hpe.protocol.codes import REPORTS_OVERRUN
from hpe.protocol.frames import body_of, frame
from hpe.protocol.limits import PRIVATE_RING_REPORTS
from hpe.protocol.reports import PrivateUpdate

CHUNKS_PER_SEGMENT: Final = 64
"""Few, because a chunk may hold 4,096 reports and segments are forgotten whole; enough to spread
the fixed cost of a segment (about 600 bytes)."""


class Overrun(HpeError):
    """Reports after the requested position were forgotten; reading can start at `oldest`."""

    def __init__(self, user: int, after: int, oldest: int) -> None:
        super().__init__(REPORTS_OVERRUN.text.format(user=user, after=after, oldest=oldest))
        self.oldest = oldest


class _Sliced(
    msgspec.Struct, array_like=True, frozen=True, tag=type_number(PrivateUpdate), gc=False
):
    """A private_update whose reports are kept as bytes."""

    request_id: int
    flags: int
    user: int
    first: int
    last: int
    reports: list[msgspec.Raw]


_DECODER: Final = msgspec.msgpack.Decoder(_Sliced)
_ENCODER: Final = msgspec.msgpack.Encoder()


class _Segment:
    """Up to CHUNKS_PER_SEGMENT consecutive chunks."""

    __slots__ = ("ends", "firsts", "frames", "reports", "users")

    def __init__(self) -> None:
        self.frames: bytearray | bytes = bytearray()
        self.ends = array("Q")
        self.users = array("Q")
        self.firsts = array("Q")
        self.reports = 0

    def put(self, user: int, first: int, last: int, frame: Buffer) -> None:
        """Add a chunk."""
        self.frames += frame
        self.ends.append(len(self.frames))
        self.users.append(user)
        self.firsts.append(first)
        self.reports += last - first + 1

    @property
    def full(self) -> bool:
        return len(self.ends) >= CHUNKS_PER_SEGMENT

    def freeze(self) -> None:
        """Free the memory that was allocated for growing."""
        self.frames = bytes(self.frames)


class PrivateRing:
    """The newest private reports.

    Args:
        reports_max: the least number of reports to keep, of all users together.
    """

    def __init__(self, reports_max: int = PRIVATE_RING_REPORTS) -> None:
        self._reports_max = reports_max
        self._segments: deque[_Segment] = deque()
        self._oldest_segment = 0  # number of _segments[0]
        self._indexes: dict[int, array[int]] = {}
        self._lasts: dict[int, int] = {}
        self.reports = 0

    def put(self, user: int, first: int, last: int, frame: Buffer) -> None:
        """Add the next reports of a user, as one whole private_update frame, which is copied.

        Raises:
            InvariantViolation: they do not continue the user's earlier ones.
        """
        before = self._lasts.get(user)
        if before is not None and first != before + 1:
            raise InvariantViolation(f"private reports of user {user}: {first} follows {before}")
        self._lasts[user] = last
        if not self._segments or self._segments[-1].full:
            if self._segments:
                self._segments[-1].freeze()
            self._segments.append(_Segment())
        segment = self._segments[-1]
        place = self._oldest_segment + len(self._segments) - 1
        number = place * CHUNKS_PER_SEGMENT + len(segment.ends)
        segment.put(user, first, last, frame)
        index = self._indexes.get(user)
        if index is None:
            index = self._indexes[user] = array("Q")
        index.append(number)
        self.reports += last - first + 1
        while self.reports - self._segments[0].reports >= self._reports_max:
            self._forget_segment()

    def restore(self, user: int, last: int) -> None:
        """Set the last sequence of a user whose reports are not kept."""
        self._lasts[user] = last

    def last(self, user: int) -> int:
        """Return the sequence of a user's newest report, 0 before the first."""
        return self._lasts.get(user, 0)

    def oldest(self, user: int) -> int:
        """Return the smallest sequence after which everything is kept."""
        index = self._indexes.get(user)
        return self._first(index[0]) - 1 if index else self.last(user)

    def read(
        self, user: int, after: int, bytes_max: int, through: int | None = None
    ) -> tuple[bytes, int]:
        """Return private_update frames of a user's reports above `after`.

        Args:
            user: the user.
            after: at most `last(user)`.
            bytes_max: the approximate size; one frame is returned even if it is longer.
            through: the last report to return, which was once the user's last; None for no end.

        Returns:
            The frames, b"" if there are no more; and the sequence of their last report.

        Raises:
            Overrun: reports above `after` were forgotten.

        Cost: O(log of the user's chunks) and the size of the result.
        """
        last = self.last(user) if through is None else through
        if after >= last:
            return b"", after
        oldest = self.oldest(user)
        if after < oldest:
            raise Overrun(user, after, oldest)
        index = self._indexes[user]
        # A reader that keeps up reads the newest chunk, which needs no search.
        at = len(index) - 1
        if self._first(index[at]) > after + 1:
            at = bisect_right(index, after + 1, key=self._first) - 1
        frame = self._chunk(index[at])
        first = self._first(index[at])
        frames = [frame if first == after + 1 else _frame_after(frame, after)]
        size, at = len(frames[0]), at + 1
        while at < len(index) and self._first(index[at]) <= last:
            frame = self._chunk(index[at])
            size += len(frame)
            if size > bytes_max:
                return b"".join(frames), self._first(index[at]) - 1
            frames.append(frame)
            at += 1
        return b"".join(frames), last

    def check(self) -> None:
        """Check everything.

        Raises:
            InvariantViolation: the ring contradicts itself.
        """
        numbers: dict[int, list[int]] = {}
        for place, segment in enumerate(self._segments, self._oldest_segment):
            for number, user in enumerate(segment.users, place * CHUNKS_PER_SEGMENT):
                numbers.setdefault(user, []).append(number)
        if numbers != {user: list(index) for user, index in self._indexes.items()}:
            raise InvariantViolation("the private ring's indexes do not match its segments")
        if self.reports != sum(segment.reports for segment in self._segments):
            raise InvariantViolation(f"the private ring does not hold {self.reports} reports")

    def _segment(self, number: int) -> tuple[_Segment, int]:
        place, at = divmod(number, CHUNKS_PER_SEGMENT)
        return self._segments[place - self._oldest_segment], at

    def _first(self, number: int) -> int:
        segment, at = self._segment(number)
        return segment.firsts[at]

    def _chunk(self, number: int) -> bytes:
        segment, at = self._segment(number)
        start = segment.ends[at - 1] if at else 0
        return bytes(segment.frames[start : segment.ends[at]])

    def _forget_segment(self) -> None:
        segment = self._segments.popleft()
        self._oldest_segment += 1
        self.reports -= segment.reports
        kept_from = self._oldest_segment * CHUNKS_PER_SEGMENT
        for user in dict.fromkeys(segment.users):
            index = self._indexes[user]
            del index[: bisect_right(index, kept_from - 1)]
            if not index:
                del self._indexes[user]


def _frame_after(chunk: bytes, after: int) -> bytes:
    """Return a private_update frame without the reports up to `after`."""
    update = _DECODER.decode(body_of(chunk))
    rest = update.reports[after + 1 - update.first :]
    body = _ENCODER.encode(
        _Sliced(update.request_id, update.flags, update.user, after + 1, update.last, rest)
    )
    return frame(body)
