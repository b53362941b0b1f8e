"""The list form of outputs: rows with their bytes instead of buffers and tables.

A view for tests, easy to read and to change; nothing in the program makes one. `listed` and
`packed` are inverse to each other; both copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from struct import Struct
from typing import NamedTuple

from hpe.core.contract import (
    CUT_ROW,
    MARKET_ROW,
    PRIVATE_ROW,
    PROGRESS_ROW,
    REPLY_ROW,
    SUBSCRIBED_ROW,
    Batch,
    Core,
    Output,
)


class Progress(NamedTuple):
    """One row of Output.progress."""

    connection: int
    highest_id: int
    idle: int
    idle_cancels: int


class Listed(NamedTuple):
    """An output in lists; see Output.

    `replies`: (connection, frames) where there are any. `private`: (user, first, last, frame).
    `market`: (instrument, channel, frames). `subscribed`: (connection, request id, instrument,
    channel). `weights`: (connection, frames, bytes) of each client in the batch.
    """

    replies: Sequence[tuple[int, bytes]] = ()
    private: Sequence[tuple[int, int, int, bytes]] = ()
    market: Sequence[tuple[int, int, bytes]] = ()
    body: bytes = b""
    last_sequence: int = 0
    next_due_ns: int = 0
    cut: Sequence[int] = ()
    subscribed: Sequence[tuple[int, int, int, int]] = ()
    progress: Sequence[Progress] = ()
    late: bool = False
    weights: Sequence[tuple[int, int, int]] = ()


def listed(output: Output) -> Listed:
    """Return an output in lists; check that its rows cover its buffers without gaps."""
    replies = _cut(output.replies, REPLY_ROW, output.reply_rows, 1)
    private = _cut(output.private, PRIVATE_ROW, output.private_rows, 3)
    market = _cut(output.market, MARKET_ROW, output.market_rows, 2)
    return Listed(
        [(connection, frames) for (connection, *_), frames in replies if frames],
        [(user, first, last, frame) for (user, first, last), frame in private],
        [(instrument, channel, frames) for (instrument, channel), frames in market],
        bytes(output.body),
        output.last_sequence,
        output.next_due_ns,
        [connection for (connection,) in CUT_ROW.iter_unpack(output.cut)],
        [(a, b, c, d) for a, b, c, d in SUBSCRIBED_ROW.iter_unpack(output.subscribed)],
        [Progress(*row) for row in PROGRESS_ROW.iter_unpack(output.progress)],
        output.late,
        [(number, count, size) for (number, count, size), _ in replies if number],
    )


def packed(lists: Listed) -> Output:
    """Return the output that has these lists."""
    frames, weights = dict(lists.replies), {row[0]: row[1:] for row in lists.weights}
    replies = [
        ((connection,), frames.get(connection, b""), weights.get(connection, (0, 0)))
        for connection in sorted({**frames, **weights})
    ]
    return Output(
        b"".join([part for _, part, _ in replies]),
        b"".join([frame for *_, frame in lists.private]),
        b"".join([part for *_, part in lists.market]),
        lists.body,
        _table(REPLY_ROW, replies),
        _table(PRIVATE_ROW, [(row[:3], row[3], ()) for row in lists.private]),
        _table(MARKET_ROW, [(row[:2], row[2], ()) for row in lists.market]),
        b"".join(map(CUT_ROW.pack, lists.cut)),
        b"".join([SUBSCRIBED_ROW.pack(*row) for row in lists.subscribed]),
        b"".join([PROGRESS_ROW.pack(*row) for row in lists.progress]),
        lists.last_sequence,
        lists.next_due_ns,
        lists.late,
    )


def apply(core: Core, batch: Batch) -> Listed:
    """Apply a batch and return its output in lists."""
    return listed(core.apply(batch))


def _cut(
    frames: bytes | memoryview, form: Struct, table: bytes | memoryview, place: int
) -> list[tuple[tuple[int, ...], bytes]]:
    """Return each row without start and end, which are at `place`, and its bytes."""
    rows, after = [], 0
    for row in form.iter_unpack(table):
        start, end = row[place : place + 2]
        assert start == after <= end
        after = end
        rows.append(((*row[:place], *row[place + 2 :]), bytes(frames[start:end])))
    assert after == len(frames)
    return rows


def _table(form: Struct, rows: Iterable[tuple[tuple[int, ...], bytes, tuple[int, ...]]]) -> bytes:
    """Return a table of (what stands before the place, frames, what stands behind it)."""
    rows = list(rows)
    ends = accumulate([len(frames) for _, frames, _ in rows], initial=0)
    places = zip(rows, pairwise(ends), strict=True)
    return b"".join([form.pack(*head, *place, *rest) for (head, _, rest), place in places])
