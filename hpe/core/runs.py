"""Split runs by the types of their frames, without decoding them.

Owns the walk over the frames of a run; pure functions that any thread may call. Guarantee: the
pieces hold the same frames in the same order. Relies on the frame layout of protocol.md (drawn in
frames.py): the type is two bytes further on after MessagePack's array16 header than after a
fixarray's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hpe.core.contract import Run
from hpe.protocol.base import type_number
from hpe.protocol.orders import CancelOrder, MassCancel, ReplaceOrder, SubmitOco, SubmitOrder

ORDER_TYPES: Final = frozenset(type_number(kind) for kind in (SubmitOrder, SubmitOco, ReplaceOrder))
CANCEL_TYPES: Final = frozenset(type_number(kind) for kind in (CancelOrder, MassCancel))

NO_TYPE: Final = -1
"""Type of a frame that is too short to have one: left to the core, which names the fault."""

_ARRAY16: Final = 0xDC

Decide = Callable[[int, int, int], int]
"""(type, start, end) -> admit: 0, or the ErrorCode that refuses the frame at `[start:end]`."""


def split_run(run: Run, decide: Decide) -> list[Run]:
    """Split a run wherever the decision about its frames changes.

    `decide` is called once per frame, in order; `start` is the offset of the frame's prefix.
    """
    pieces: list[Run] = []
    frames = run.frames
    end_of_all = len(frames)
    first = position = count = admit = 0
    while position < end_of_all:
        end = position + 4 + int.from_bytes(frames[position : position + 4], "big")
        type_at = position + (7 if frames[position + 4] == _ARRAY16 else 5)
        decided = decide(frames[type_at] if type_at < end else NO_TYPE, position, end)
        if decided != admit:
            if count:
                pieces.append(_piece(run, admit, count, frames[first:position]))
            first, count, admit = position, 0, decided
        count += 1
        position = end
    if not pieces and not admit:
        return [run]
    pieces.append(_piece(run, admit, count, frames[first:]))
    return pieces


def _piece(run: Run, admit: int, count: int, frames: bytes) -> Run:
    return Run(run.connection, run.attach, admit, count, frames)
