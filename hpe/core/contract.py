"""The whole contract between the deterministic core and everything around it.

A core is a state machine: a batch of bytes in, bytes per connection and one log body out. Both
cores (the reference in this folder and the compiled one) give the same bytes for the same
batches. The matching thread alone calls it while the service runs; recovery, verify and tests
call it from the thread that owns it. Nobody reaches past this module into a core, the unit tests of
its parts excepted. No clock, randomness, floats or I/O behind this line.
Source: the project's protocol.md for the frames, docs/log-format.md for the body,
docs/state-format.md for the dump.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Final, NamedTuple, Protocol, TypeVar

from hpe.core.context.effort import CONTINUE
from hpe.protocol.internal import Configure, KeysValid
from hpe.protocol.limits import (
    CHANGES_PER_UPDATE_MAX,
    ENDED_ORDERS_MAX,
    FILLS_PER_COMMAND_MAX,
    MASS_CANCEL_MAX,
    RECENT_FILLS_MAX,
    REPORTS_PER_UPDATE_MAX,
    SNAPSHOT_ORDERS_MAX,
    STOPS_PER_COMMAND_MAX,
)

CORE_VERSION: Final = 7
"""Raised whenever a logged command could have another result; written in every log segment."""

SYSTEM_CONNECTION: Final = 0
"""The connection of internal commands: attach, detach, close, tick, configure, continue."""

DUE_AT_ONCE: Final = 1
"""The `next_due_ns` of what does not wait for a time: below every time that a log may have."""


class RoomSizes(NamedTuple):
    """Room for sessions, in remembered responses; see room.py.

    `room`: of all sessions, at RESPONSE_BYTES_MAX each that bounds 192 MiB. `key_share`: of the
    sessions of one key, so that whoever opens one after the other is in their own way. `large`: out
    of which windows above `small` are granted; the other half is for many who want little. `kept`:
    where no keys are asked for there are no shares, and this, half of the last eighth, is kept for
    users that have no session and want a small window. `small`: the window for which room is made;
    what is beyond it is granted if it is free. `least`: what a session takes at least, as the rest
    of it costs about as much as so many responses. `operators`: sessions of operators, beside the
    room: whoever fills that does not keep them out.
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
    that it was written under. A core takes them when it is made, and never others.

    Of one command: `fills`, what a match may meet and a walk may come to; `stops`, turns of stops;
    `fired`, stops that leave their triggers, which costs a fourth of a turn; `uncross_fills`, and
    `part_fills` where an uncross goes on; `dead`, dead orders that it may come to: ending them
    takes some 20 ms; `mass_cancel`, orders;
    `revocations`, sessions that are closed because their key was revoked: some ten milliseconds;
    `configure_bytes`: it must fit one record of the log, 4 MiB, with room for what else waits.

    Of one body: `effort`, at which it is full; `turns_effort`, what all that is unfinished may cost
    before the clients' commands come; `continue_effort`, what is charged for a `continue`;
    `query_effort`, rows that queries may walk or show before the rest is answered `busy`: 10 ms of
    everybody's time; `acts`, how many entries of each kind of timer act (orders, holds, endings:
    so many orders, interruptions, sessions), to forget a session costing a fifth of the others. A
    charge and an act are each up to 40 us, and while there is a crowd of either every body begins
    with so many: these two decide what others notice of it. `part_fills` is larger, as
    the market waits for its uncross.

    Kept for queries: `ended_orders`, `recent_fills`. Of one frame: `changes`, `reports`,
    `snapshot_orders`. Of indicative prices, which alone may be late: `indicative_levels` that cross
    up to which one is found for every batch: 2 ms; `indicative_ns_per_level`, after which one of
    more is found again, ten times what finding it costs, so that a deep call cannot slow every
    batch; `made_up_levels`, behind which a batch that makes up for what is late leaves the rest to
    another one: 20 ms, though a single book may have more.
    """

    fills: int = FILLS_PER_COMMAND_MAX
    stops: int = STOPS_PER_COMMAND_MAX
    fired: int = 4_096
    uncross_fills: int = FILLS_PER_COMMAND_MAX
    part_fills: int = 1_024
    dead: int = 1_024
    mass_cancel: int = MASS_CANCEL_MAX
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
    room: RoomSizes = RoomSizes()


DEFAULT_LIMITS: Final = Limits()


class Run(NamedTuple):
    """Consecutive whole frames of one connection.

    `attach` is the attach number that the frames were read under; frames of an older one are
    dropped unapplied. `admit` is 0, or the ErrorCode with which every frame is refused in
    place. `frame_count` is the number of frames.
    """

    connection: int
    attach: int
    admit: int
    frame_count: int
    frames: bytes


class Batch(NamedTuple):
    """What one crossing brings to the core.

    `time_ns` is the batch's time (nanoseconds since the epoch), above every logged time and below
    2^63.
    `wanted` names the market data that somebody asked for: rows of five bytes, the instrument
    (u32, big-endian) and a mask (bit channel - 1). It never affects state.
    """

    time_ns: int
    runs: list[Run]
    wanted: bytes = b""


class Progress(NamedTuple):
    """What became of the commands of one run of a client.

    `highest_id` is the highest request id of the run, refused ones and queries included, or the
    session's newest if that is higher. `idle` and `idle_cancels` count commands
    that were executed and changed nothing that lasts: of other kinds than cancels, and of cancels.
    """

    connection: int
    highest_id: int
    idle: int
    idle_cancels: int


class Output(NamedTuple):
    """What one batch gave.

    `replies`: (connection, frames), one row per connection. `private`: (user, first and last
    private sequence, one private_update frame). `market`: (instrument, channel, frames); channel
    0, without frames, says that the instrument is delisted. `body`: what to log, b"" when nothing.
    `last_sequence`: of the newest command that any of this could show. `next_due_ns`: when the
    earliest timer is due, 0 for none, 1 at once. `cut`: connections whose bytes were no frames of
    the protocol; they are closed after their replies. `subscribed`: (connection, request id,
    instrument, channel) of every subscribe answered with a snapshot; the market data of later
    batches follows it. `progress`: one row per run of an attached session. `late`:
    indicative fields that subscribers were told are not those of now; a batch without runs, which
    logs nothing, makes up for it.

    `market` follows from the state before the batch, the batch, and the `wanted` of this one and
    the one before, but for the three indicative fields of status rows, which may be late.

    Order: replies by connection, private by (user, first), market by (instrument, channel, order
    of making), cut by connection, subscribed as the requests, progress as the runs.
    """

    replies: list[tuple[int, bytes]]
    private: list[tuple[int, int, int, bytes]]
    market: list[tuple[int, int, bytes]]
    body: bytes
    last_sequence: int
    next_due_ns: int
    cut: list[int]
    subscribed: list[tuple[int, int, int, int]]
    progress: list[Progress]
    late: bool = False


class HasOutput(Protocol):
    """What goes through the log: a batch's output, and whatever else its owner attached."""

    @property
    def output(self) -> Output:
        """What the core gave for the batch."""


class BatchBounds(NamedTuple):
    """What a core wants at most in one batch: bounds the time of one `apply`.

    `frames_per_turn`: of one connection, while others wait.
    """

    commands: int
    bytes: int
    frames_per_turn: int


class RoomLimit(IntEnum):
    """Whose room is used up when a session is refused: `limit` of session_attached_response."""

    NONE = 0
    ALL = 1
    KEY = 2
    OPERATORS = 3


Settings = TypeVar("Settings", Configure, KeysValid)
"""An internal command that brings a part of the configuration into the state."""


class Core(Protocol):
    """The deterministic state machine."""

    @property
    def name(self) -> str:
        """How the core is called, "python" for the reference core."""

    @property
    def limits(self) -> Limits:
        """Under which it was made."""

    @property
    def bounds(self) -> BatchBounds:
        """What a batch should have at most."""

    @property
    def last_sequence(self) -> int:
        """Sequence of the newest command, 0 before the first."""

    @property
    def last_time_ns(self) -> int:
        """Time of the newest logged batch, 0 before the first."""

    @property
    def next_due_ns(self) -> int:
        """Time at which something is to happen by itself; 0 never, 1 at once. In every Output."""

    @property
    def last_attach_number(self) -> int:
        """Highest attach number that was ever used, 0 before the first."""

    @property
    def instrument_count(self) -> int:
        """How many instruments were ever listed: the highest id. Any thread may read it."""

    @property
    def unfinished(self) -> bool:
        """True if something goes on by itself, in `continue` commands of the next batches."""

    def attached_sessions(self) -> list[tuple[int, int]]:
        """List (session id, attach number) of sessions that a connection holds, by session id."""

    def configuration_differences(self, configure: Settings) -> Settings | None:
        """Return what of a configuration, or of its keys, is to be logged; None if nothing is.

        Raises:
            ConfigError: the configuration contradicts the state.
        """

    def apply(self, batch: Batch) -> Output:
        """Execute a batch. Raises only on a bug, which ends the service."""

    def replay(self, body: bytes) -> Output:
        """Execute a logged body again.

        All replies to clients come in one row, of connection 0, in the order of the body.

        Raises:
            Diverged: the result differs from the logged one; the state is then unusable.
        """

    def state_hash(self) -> bytes:
        """Digest (16 bytes) of everything that can influence a later result. Cost: all state."""

    def check(self) -> None:
        """Walk all state.

        Raises:
            InvariantViolation: something contradicts itself.
        """

    def dump(self) -> Iterator[bytes]:
        """Yield the state as canonical bytes, row by row: equal states give equal bytes."""

    def load(self, chunks: Iterable[bytes], wanted: bytes = b"") -> None:
        """Take over a dumped state, given row by row; the core must be new.

        `wanted` is that of the last batch before the dump: what market data the next one brings
        follows from it too. An exception, one of `chunks` too, leaves the core as new.

        Raises:
            StateError: this is no dump of this version.
        """
