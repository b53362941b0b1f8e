"""The whole contract between the deterministic core and everything around it.

A core is a state machine: it takes a batch of bytes and returns bytes, with tables that say whose
they are, and one log body. Both cores (the reference in this folder and the compiled one) return
the same bytes for the same batches. While the service runs, only the matching thread calls it;
recovery, verify and tests call it from the thread that owns it. No code reaches past this module
into a core, except the unit tests of its parts. Behind this line there is no clock, no randomness,
no float and no I/O.
Source: protocol.md for the frames, docs/log-format.md for the body, docs/state-format.md for the
dump.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum
from struct import Struct
from typing import Final, NamedTuple, Protocol, TypeVar

import msgspec

from hpe.core.context.effort import CONTINUE
from hpe.extensions import CoreName
from hpe.protocol.frames import Chunk, Decide
from hpe.protocol.internal import Configure, KeysValid
from hpe.protocol.limits import (
    CHANGES_PER_UPDATE_MAX,
    ENDED_ORDERS_MAX,
    FILLS_PER_COMMAND_MAX,
    MASS_CANCEL_ALL_MAX,
    MASS_CANCEL_MAX,
    RECENT_FILLS_MAX,
    REPORTS_PER_UPDATE_MAX,
    SNAPSHOT_ORDERS_MAX,
    STOPS_PER_COMMAND_MAX,
)

CORE_VERSION: Final = 8
"""Raised whenever another build of the same version could read or replay a log or a dump
differently, a new value of a field included; written to every log segment."""

SYSTEM_CONNECTION: Final = 0
"""The connection of internal commands: attach, detach, close, tick, configure, continue."""

DUE_AT_ONCE: Final = 1
"""The `next_due_ns` of work that waits for no time: below every time that a log can have."""


class RoomSizes(NamedTuple):
    """Room for sessions, in remembered responses; see room.py.

    `room`: of all sessions. A response has up to 98 bytes and takes up to 140 in the compiled core,
    with all that finds it, which bounds them to 140 MiB; in the reference it is about twice that.
    `key_share`: of the sessions of one key, so that a client that keeps opening sessions gets in
    its own way only. `large`: the part from which windows above `small` are granted; the other half
    is for many sessions with small windows. `kept`: where no keys are required there are no shares;
    then this, half of the last eighth, is kept for users that have no session and want a small
    window.
    `small`: the window for which room is made; more is granted only if it is free. `least`: the
    least that a session takes, because the rest of it costs about as much as so many responses.
    `operators`: sessions of operators, in addition to the room, so that filling it cannot keep them
    out.
    """

    room: int = 1_048_576
    key_share: int = 1_048_576 // 16
    large: int = 1_048_576 // 2
    kept: int = 1_048_576 // 16
    small: int = 64
    least: int = 16
    operators: int = 64


class Limits(NamedTuple):
    """Every bound that an outcome depends on.

    The defaults are protocol.md's and belong to CORE_VERSION: a log is replayed under the limits
    that it was written under. A core gets them when it is made, and they never change.

    Per command: `fills`, the orders that a match may meet and that a search may pass; `stops`,
    turns of stops; `fired`, stops that leave their triggers, which costs a fourth of a turn;
    `uncross_fills`, and `part_fills` when an uncross continues; `dead`, dead orders that it may
    meet: ending them takes some 20 ms; `mass_cancel`, orders of one user, and of one key per
    body; `mass_cancel_all`, orders of all users; `revocations`, sessions that are closed because
    their key was revoked: some ten milliseconds; `configure_bytes`: a `configure` must fit into one
    record of the log, 4 MiB, with room for what else waits.

    Per body: `effort`, at which it is full; `turns_effort`, what all unfinished work may cost
    before the clients' commands come; `continue_effort`, what is charged for a `continue`;
    `query_effort`, rows that queries may walk or show before the rest is answered `busy`: 10 ms of
    everyone's time; `acts`, how many entries of each kind of timer act (orders, holds, endings:
    so many orders, interruptions, sessions), where forgetting a session costs a fifth of the
    others. A charge and an act each take up to 40 us, and while there is a crowd of either, every
    body begins with this many: these two decide how much others notice of it. `part_fills` is
    larger, because the market waits for its uncross.

    Kept for queries: `ended_orders`, `recent_fills`. Per frame: `changes`, `reports`,
    `snapshot_orders`. For indicative prices, which alone may be late: `indicative_levels`, the
    number of crossing levels up to which one is computed for every batch, in 2 ms;
    `indicative_ns_per_level`, the time after which a larger one is computed again: ten times what
    computing it costs, so that a deep call cannot slow down every batch; `made_up_levels`, after
    which a batch that makes up for late data leaves the rest to another one: 20 ms, although a
    single book may take longer. One in `reserved_part` places of every kind is for operators.
    """

    fills: int = FILLS_PER_COMMAND_MAX
    stops: int = STOPS_PER_COMMAND_MAX
    fired: int = 4_096
    uncross_fills: int = FILLS_PER_COMMAND_MAX
    part_fills: int = 1_024
    dead: int = 1_024
    mass_cancel: int = MASS_CANCEL_MAX
    mass_cancel_all: int = MASS_CANCEL_ALL_MAX
    revocations: int = 1_024
    configure_bytes: int = 2 * 1024 * 1024
    effort: int = FILLS_PER_COMMAND_MAX
    turns_effort: int = 64
    continue_effort: int = CONTINUE
    query_effort: int = 65_536
    acts: tuple[int, int, int, int, int] = (32, 32, 32, 32, 128)
    ended_orders: int = ENDED_ORDERS_MAX
    recent_fills: int = RECENT_FILLS_MAX
    changes: int = CHANGES_PER_UPDATE_MAX
    reports: int = REPORTS_PER_UPDATE_MAX
    snapshot_orders: int = SNAPSHOT_ORDERS_MAX
    indicative_levels: int = 1_000
    indicative_ns_per_level: int = 20_000
    made_up_levels: int = 10_000
    reserved_part: int = 8
    room: RoomSizes = RoomSizes()


DEFAULT_LIMITS: Final = Limits()


class Run(msgspec.Struct, gc=False):
    """Consecutive whole frames of one connection.

    `attach` is the attach number under which the frames were read; frames of an older one are
    dropped unapplied. `admit` is 0, or the ErrorCode with which every frame is refused in
    place. `chunk` has the frames, and what each of them is: their bytes are not looked at again
    before they are decoded. `since_ns` is for the sequencer: the time at which the run began to
    wait behind others, by the sequencer's clock; -1 if it does not wait behind others.
    """

    connection: int
    attach: int
    admit: int
    chunk: Chunk
    since_ns: int = -1

    def split(self, decide: Decide) -> list[Run]:
        """Mark frames as refused; return the run in pieces, itself when none is.

        `decide` is called once per frame, in order.
        """
        parts = self.chunk.split(decide)
        if len(parts) == 1 and not parts[0][0]:
            return [self]
        whose = self.connection, self.attach
        return [Run(*whose, admit, chunk, self.since_ns) for admit, chunk in parts]


class Batch(msgspec.Struct, gc=False):
    """The input of one `apply`.

    `time_ns` is the batch's time (nanoseconds since the epoch), above every logged time and below
    2^63; the matching thread sets it.
    `wanted` lists the market data that has subscribers: rows of five bytes, the instrument (u32,
    big-endian) and a mask (bit channel - 1). It never affects the state.

    Ownership: a batch keeps its bytes, which are immutable; a core reads them during `apply` and
    refers to none of them afterwards.
    """

    time_ns: int
    runs: list[Run]
    wanted: bytes = b""


Buffer = bytes | memoryview
"""Immutable bytes: those of an output, or a read-only view of memory that its core owns."""

REPLY_ROW: Final = Struct("=5q")
"""Connection, start and end of its frames in `replies`; how many frames of it were in the batch,
and their bytes: the credits that go back with the replies."""

PRIVATE_ROW: Final = Struct("=5q")
"""User, first and last private sequence, start and end of one private_update frame in `private`."""

MARKET_ROW: Final = Struct("=4q")
"""Instrument, channel, start and end of frames in `market`. Channel 0, without frames, says that
the instrument is delisted."""

CUT_ROW: Final = Struct("=q")
"""A connection whose bytes were not frames of the protocol; it is closed after its replies."""

SUBSCRIBED_ROW: Final = Struct("=4q")
"""Connection, request id, instrument and channel of a subscribe that was answered with a snapshot;
the market data of later batches follows it."""

PROGRESS_ROW: Final = Struct("=4q")
"""What happened to one run of an attached session: connection; the highest request id of the run,
including refused requests and queries, or the session's newest if that is higher; the number of
commands, except cancels, that were executed and changed nothing that lasts; that of such cancels.
"""


class Output(NamedTuple):
    """The output of one batch: four buffers, and tables that say what is where in them.

    A table is a buffer, too: rows of signed 64-bit integers in the machine's byte order, read by
    `REPLY_ROW.iter_unpack(output.reply_rows)`. `replies`, `private` and `market` are whole frames
    end to end, without gaps, in the order of their rows. `body`: what to log, empty if nothing.
    `last_sequence`: of the newest command whose effect this output can show. `next_due_ns`: when
    the earliest timer is due; 0 for none, 1 at once. `late`: whether indicative prices that
    subscribers know are outdated; a batch without runs, which logs nothing, makes up for it.

    Replies have a row for each connection that has a run in the batch, even if all its frames were
    dropped. `market` follows from the state before the batch, the batch, and the `wanted` of this
    batch and of the one before, except for the three indicative fields of status rows, which may
    be late.

    Order: replies by connection, private by (user, first), market by (instrument, channel, order
    of making), cut by connection, subscribed as the requests, progress as the runs.

    Ownership: the core fills the buffers, and nothing changes them after `apply` has returned. They
    are freed, or go back to the core's pool, with the last reference to the output, to one of its
    buffers or to a view of one. Whoever keeps a reference therefore keeps the memory of a whole
    batch, so only three do: the log's inbox, which counts what it holds; the log, until it has
    hashed the record; the dispatcher, while it routes the output. All others copy their part: the
    send queue of a connection, the ring of private reports, the backlogs of market data. A slow
    reader thus holds its own bytes and no output.
    """

    replies: Buffer
    private: Buffer
    market: Buffer
    body: Buffer
    reply_rows: Buffer
    private_rows: Buffer
    market_rows: Buffer
    cut: Buffer
    subscribed: Buffer
    progress: Buffer
    last_sequence: int
    next_due_ns: int
    late: bool = False

    @property
    def size_bytes(self) -> int:
        """Return the size of all buffers together."""
        return sum(map(len, self[:10]))

    def replies_to(self, connection: int) -> bytes:
        """Return the replies to one connection: for what reads no other row."""
        for number, start, end, *_ in REPLY_ROW.iter_unpack(self.reply_rows):
            if number == connection:
                return bytes(self.replies[start:end])
        return b""


class BatchBounds(NamedTuple):
    """What a batch should have at most, which bounds the time of one `apply`.

    `frames_per_turn`: of one connection, while others wait.
    """

    commands: int
    bytes: int
    frames_per_turn: int


class RoomLimit(IntEnum):
    """Whose room is used up if a session is refused: `limit` of session_attached_response."""

    NONE = 0
    ALL = 1
    KEY = 2
    OPERATORS = 3


Settings = TypeVar("Settings", Configure, KeysValid)
"""An internal command that puts a part of the configuration into the state."""


class Core(Protocol):
    """The deterministic state machine."""

    @property
    def name(self) -> CoreName:
        """The core's name, "python" for the reference core."""

    @property
    def limits(self) -> Limits:
        """The limits under which the core was made."""

    @property
    def bounds(self) -> BatchBounds:
        """The most that a batch should contain."""

    @property
    def last_sequence(self) -> int:
        """Sequence of the newest command, 0 before the first."""

    @property
    def last_time_ns(self) -> int:
        """Time of the newest logged batch, 0 before the first."""

    @property
    def next_due_ns(self) -> int:
        """Time at which the core has work of its own; 0 never, 1 at once. Part of every Output."""

    @property
    def last_attach_number(self) -> int:
        """Highest attach number that was ever used, 0 before the first."""

    @property
    def instrument_count(self) -> int:
        """Number of instruments ever listed: the highest id. Any thread may read it."""

    @property
    def unfinished(self) -> bool:
        """True if work continues by itself, in `continue` commands of the next batches."""

    def attached_sessions(self) -> list[tuple[int, int]]:
        """Return (session id, attach number) of each session that has a connection, by id."""

    def configuration_differences(self, configure: Settings) -> Settings | None:
        """Return the part of a configuration, or of its keys, to log; None if nothing differs.

        Raises:
            ConfigError: the configuration contradicts the state.
        """

    def apply(self, batch: Batch) -> Output:
        """Execute a batch. Raises only on a bug, which ends the service."""

    def replay(self, body: bytes) -> Output:
        """Execute a logged body again.

        All replies to clients are in one row, of connection 0, in the order of the body.

        Raises:
            Diverged: the result differs from the logged one; the state is then unusable.
        """

    def state_hash(self) -> bytes:
        """Return a digest (16 bytes) of all that can influence a later result. Cost: all state."""

    def check(self) -> None:
        """Check the whole state.

        Raises:
            InvariantViolation: the state contradicts itself.
        """

    def dump(self) -> Iterator[bytes]:
        """Yield the state as canonical bytes, row by row: equal states give equal bytes."""

    def load(self, chunks: Iterable[bytes], wanted: bytes = b"") -> None:
        """Load a dumped state, given row by row, into a new core.

        `wanted` is that of the last batch before the dump, because the market data of the next
        batch depends on it. After an exception, even one of `chunks`, the core is new again.

        Raises:
            StateError: the rows are not a dump of this version.
        """
