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

from hpe.messages import Configure, KeysValid

CORE_VERSION: Final = 5
"""Raised whenever a logged command could have another result; written in every log segment."""

SYSTEM_CONNECTION: Final = 0
"""The connection of internal commands: attach, detach, close, tick, configure, continue."""


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

    `time_ns` is the batch's time (nanoseconds since the epoch), above every logged time.
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

    def load(self, chunks: Iterable[bytes]) -> None:
        """Take over a dumped state, given row by row; the core must be new.

        Raises:
            StateError: this is no dump of this version; the core is as new as before.
        """
