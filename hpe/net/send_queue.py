"""The data that waits for one client, in two lanes: its private data, then market data.

Owns the replies that wait, the positions of the private streams and the market queue of one
connection; no sockets. Filled by the dispatcher and the reader, emptied by the writer, all in
the Trio loop. Guarantees: replies leave in the order in which they came, followed by the private
streams; the last frames come last, and nothing that happens later follows them; market data is
taken when no private data waits; at most TAKE_BYTES, or one item, is taken at a time; what is
still in the ring takes no memory for this client. Relies on the PrivateRing and the MarketQueue to
return whole frames.
"""

from __future__ import annotations

from collections.abc import Coroutine
from itertools import islice
from typing import Any, Final, NamedTuple

import trio

from hpe.core.output.private_ring import PrivateRing
from hpe.errors import InvariantViolation
from hpe.net.delivery.topics import MarketQueue
from hpe.net.limits.credits import CreditPool

TAKE_BYTES: Final = 256 * 1024
"""The bytes of one send: enough to fill a kernel buffer, and joined within 50 us."""

USERS_AT_ONCE: Final = 1_024
"""Private streams that are read for one send: one millisecond, even if they are empty."""


class Parcel(NamedTuple):
    """Bytes to send, and the credits to return once they are sent.

    `private`: True if the client may be cut because this waits; False for market data alone.
    """

    data: bytes
    frames: int
    size: int
    private: bool


_NO_REST: Final = Parcel(b"", 0, 0, private=False)


class SendQueue:
    """The queues of one connection.

    Args:
        connection: its number.
        ring: where the private streams are read.
        pool: where waiting replies are counted.

    Attributes:
        entered: number of replies queued so far.
        left: of those, how many the kernel has taken, or will never be sent.
        market: the market data that waits; made at the first subscribe, because most need none.
        followed: the private streams: user -> last report sent.
        reply_bytes: bytes of the replies that wait.
        sealed: True if the last frames are queued; only credits are added after that.
    """

    __slots__ = (
        "_bell", "_due", "_last_words", "_pool", "_replies", "_rest", "_ring", "connection",
        "entered", "followed", "left", "market", "reply_bytes", "sealed",
    )  # fmt: skip

    def __init__(self, connection: int, ring: PrivateRing, pool: CreditPool) -> None:
        self.connection = connection
        self.market: MarketQueue | None = None
        self.followed: dict[int, int] = {}
        self.entered = 0
        self.left = 0
        self.reply_bytes = 0
        self.sealed = False
        self._ring = ring
        self._pool = pool
        # Frames, and the credits of the requests that they answer. A list, although items are
        # removed from its front: it is short, and an empty deque takes 700 bytes per connection.
        self._replies: list[tuple[bytes, int, int]] = []
        # Users with unsent reports, in order of their turns; and the last report to send once the
        # queue is sealed: a slow reader must not go on with what happens after that.
        self._due: dict[int, int | None] = {}
        self._last_words = b""
        self._rest: Parcel | None = None  # the part of the taken bytes that the kernel did not take
        self._bell = trio.lowlevel.ParkingLot()

    # --- what comes in ------------------------------------------------------------------------

    def put(self, frames: bytes, count: int, size: int) -> None:
        """Queue frames, and after them the credits of `count` requests of `size` bytes."""
        self.add(frames, count, size)
        self.ring()

    def add(self, frames: bytes, count: int, size: int) -> None:
        """Do the same, but do not wake the writer: `take` is about to be called."""
        if self.sealed:
            frames = b""
        self._replies.append((frames, count, size))
        self.entered += 1
        self.reply_bytes += len(frames)
        self._pool.reply_bytes += len(frames)

    def seal(self, last_words: bytes = b"") -> None:
        """Queue the last frames, after all private data that waits by now."""
        if not self.sealed:
            self.sealed = True
            self._last_words = last_words
            self._due = {user: self._ring.last(user) for user in self._due}
            self.ring()

    def discard(self) -> tuple[int, int]:
        """Drop what waits; return its credits (requests, bytes)."""
        rest = self._rest or _NO_REST
        count = rest.frames + sum(reply[1] for reply in self._replies)
        size = rest.size + sum(reply[2] for reply in self._replies)
        self._rest = None
        self._replies.clear()
        self._due.clear()
        self._count_out(self.reply_bytes)
        return count, size

    def follow(self, user: int, after: int) -> None:
        """Begin a private stream, or move it, to the reports above `after`."""
        self.followed[user] = after
        self.notice(user)

    def unfollow(self, user: int) -> None:
        """End a private stream."""
        self.followed.pop(user, None)
        self._due.pop(user, None)

    def notice(self, user: int) -> None:
        """Note that there may be new reports for a user that is followed."""
        if not self.sealed:
            self._due[user] = None
            self.ring()

    # --- what goes out ------------------------------------------------------------------------

    @property
    def private_waits(self) -> bool:
        """True if private data waits."""
        rest = self._rest
        return bool(self._replies or self._due or self._last_words or (rest and rest.private))

    @property
    def waits(self) -> bool:
        """True if there is anything to take."""
        return self.private_waits or bool(self._rest) or bool(self.market and not self.sealed)

    @property
    def idle(self) -> bool:
        """True if the writer waits for the bell."""
        return bool(self._bell)

    def wait(self) -> Coroutine[Any, Any, None]:
        """Wait for the bell; only the writer calls this."""
        return self._bell.park()

    def ring(self) -> None:
        """Wake the writer."""
        if self._bell:
            self._bell.unpark_all()

    def take(self) -> Parcel | None:
        """Return what to send next, None if nothing waits; what was returned before was sent.

        Raises:
            Overrun: a private stream is so far behind that the ring lost its next report.
        """
        if self._rest is not None:
            rest, self._rest = self._rest, None
            return rest
        self.left = self.entered - len(self._replies)
        if len(self._replies) == 1 and not self._due and not self._last_words:  # the common case
            frames, count, size = self._replies.pop()
            self._count_out(len(frames))
            return Parcel(frames, count, size, private=True)
        if self.private_waits:
            return self._take_private()
        if self.market and not self.sealed:
            return Parcel(self.market.take(TAKE_BYTES), 0, 0, private=False)
        return None

    def put_back(self, parcel: Parcel, sent: int) -> None:
        """Return what was taken last, except the `sent` bytes that the kernel has."""
        self._rest = parcel._replace(data=parcel.data[sent:])

    def _take_private(self) -> Parcel:
        taken = length = 0
        for frames, _, _ in self._replies:
            if length >= TAKE_BYTES:
                break
            length += len(frames)
            taken += 1
        parcel = self._replies[:taken]
        pieces = [reply[0] for reply in parcel]
        # Read before the replies are removed: an overrun must not lose their credits.
        room = TAKE_BYTES - length
        # A list: deleted entries at the front of a dict slow down every later look at it.
        for user in list(islice(self._due, USERS_AT_ONCE)):
            if room <= 0:
                break
            pieces.append(self._take_reports(user, room))
            room -= len(pieces[-1])
        del self._replies[:taken]
        self._count_out(length)
        if not self._replies and not self._due:
            pieces.append(self._last_words)
            self._last_words = b""
        count, size = sum(reply[1] for reply in parcel), sum(reply[2] for reply in parcel)
        return Parcel(b"".join(pieces), count, size, private=True)

    def _count_out(self, size: int) -> None:
        self.reply_bytes -= size
        self._pool.reply_bytes -= size
        if self._pool.reply_bytes < 0:
            raise InvariantViolation("replies were counted out that were not counted in")

    def _take_reports(self, user: int, bytes_max: int) -> bytes:
        """Return reports of a user whose turn it is."""
        through = self._due[user]
        frames, position = self._ring.read(user, self.followed[user], bytes_max, through)
        del self._due[user]
        self.followed[user] = position
        if position < (self._ring.last(user) if through is None else through):
            self._due[user] = through
        return frames
