"""Rejects: how many commands that change nothing one key may have logged.

Owns what is counted of each key, or user where no keys are asked for; used in the Trio loop: by
connections when answers are delivered and when requests come in. Every command that is executed is
logged and replayed at every start, a rejected one, too. Guarantees: what a key has answered beyond
its rate is paid for before its next commands are executed: until then they are refused as throttled
in their place, unlogged; cancels have an account of their own; queries are never refused; a repeat
is answered as ever (the core's rule); memory is bounded by the last burst. An answer counts when it
is delivered, so what is in flight by then is not held back, but paid for afterwards.

No answer is decoded: of each the type and the reason are looked at where they stand, and more only
of those that may count. Source: protocol.md, "Rate
limits"; docs/decisions/0030.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

import trio

from hpe.core.core import Run
from hpe.messages import (
    FLAG_DUPLICATE,
    FLAG_UNCHANGED,
    ErrorCode,
    MassCancel,
    ReplaceOrder,
    ResolveInstrument,
    SubmitOrder,
    type_number,
)
from hpe.net.buckets import Bucket, Rate
from hpe.net.framing import PREFIX_BYTES
from hpe.net.rates import SWEEP_MIN, Payer
from hpe.net.runs import CANCEL_TYPES, split_run

COMMAND_TYPES: Final = range(64, 112)
"""Of requests and of their responses."""

_length_at: Final = Struct(">I").unpack_from


_WIDTHS: Final = bytes({0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9}.get(first, 1) for first in range(256))
"""First byte -> bytes of an integer that is not negative."""

_SUBMITTED, _REPLACED = type_number(SubmitOrder), type_number(ReplaceOrder)
_RESOLVED, _MASS_CANCELED = type_number(ResolveInstrument), type_number(MassCancel)
_WITHOUT_REASON: Final = frozenset((_REPLACED, _RESOLVED, _MASS_CANCELED))
"""What may have changed nothing without a word on why."""

_REJECT_REASON_MAX: Final = 100
"""Above are the reasons for which an order that was accepted was taken off."""


def count_idle(frames: bytes) -> tuple[int, int]:
    """Count answers of commands that changed nothing that lasts.

    Flat, because every answer goes through here: 0.3 us for one that does not count.

    Args:
        frames: whole frames to a client.

    Returns:
        How many were of other commands than cancels, and of cancels.
    """
    others = cancels = position = 0
    end, widths = len(frames), _WIDTHS
    while position < end:
        # Behind length and header, which is a fixarray of every response; else this is no type.
        kind = frames[position + 5]
        if 64 <= kind < 112:
            flags_at = position + 6 + widths[frames[position + 6]]
            reason_at = flags_at + 1 + widths[frames[flags_at + 1]]
            if (frames[reason_at] or kind in _WITHOUT_REASON) and _is_idle(
                frames, kind, frames[flags_at], reason_at
            ):
                if kind in CANCEL_TYPES:
                    cancels += 1
                else:
                    others += 1
        position += PREFIX_BYTES + _length_at(frames, position)[0]
    return others, cancels


def _is_idle(frames: bytes, kind: int, flags: int, reason_at: int) -> bool:
    """Whether a response tells of nothing that lasts; its reason is there, or cannot be."""
    if flags & FLAG_DUPLICATE:
        return False  # it was counted, and is not logged again
    reason = frames[reason_at]
    if 0 < reason <= _REJECT_REASON_MAX:
        return True
    if kind == _SUBMITTED:
        at = reason_at
        for _ in range(4):  # reason, time, status, order id
            at += _WIDTHS[frames[at]]
        return frames[at : at + 2] == b"\0\0"  # nothing open, nothing filled
    if kind == _MASS_CANCELED:
        return not frames[reason_at + 1]
    # Resolved counts also where it created a pair: how often that happens is bounded otherwise.
    return kind == _RESOLVED or (kind == _REPLACED and flags & FLAG_UNCHANGED > 0)


class Rejects:
    """The accounts of all.

    Args:
        per_s: how many may be logged per second, on average; 0 counts none.
        burst: how many at once.
    """

    def __init__(self, per_s: int, burst: int) -> None:
        self._rate = Rate(per_s, burst) if per_s else None
        # Of those that had any lately: commands, cancels.
        self._accounts: dict[Payer, tuple[Bucket, Bucket]] = {}
        self._sweep_at = SWEEP_MIN
        self.throttled = 0

    def note(self, payer: Payer, frames: bytes) -> None:
        """Count what of these answers changed nothing."""
        if self._rate is None:
            return
        others, cancels = count_idle(frames)
        if not others and not cancels:
            return
        now_s = trio.current_time()
        account = self._accounts.get(payer)
        if account is None:
            if len(self._accounts) >= self._sweep_at:
                self._sweep(now_s)
            account = self._accounts[payer] = (Bucket(), Bucket())
        for bucket, count in zip(account, (others, cancels), strict=True):
            bucket.charge(self._rate, count, now_s)

    def admit(self, payer: Payer, runs: list[Run], now_s: float) -> list[Run]:
        """Mark the commands of one that has more to pay for than a burst.

        Cost: a look into a table, and one at each frame of those that are marked.
        """
        account = self._accounts.get(payer)
        if account is None or self._rate is None:
            return runs
        commands, cancels = (bucket.is_overdrawn(self._rate, now_s) for bucket in account)
        if not commands and not cancels:
            return runs

        def decide(kind: int, _start: int, _end: int) -> int:
            if kind in CANCEL_TYPES:
                return ErrorCode.THROTTLED if cancels else 0
            return ErrorCode.THROTTLED if commands and kind in COMMAND_TYPES else 0

        marked = []
        for run in runs:
            pieces = [run] if run.admit else split_run(run, decide)
            marked += pieces
            if not run.admit:
                self.throttled += sum(piece.frame_count for piece in pieces if piece.admit)
        return marked

    def __len__(self) -> int:
        """Count the accounts that are remembered."""
        return len(self._accounts)

    def _sweep(self, now_s: float) -> None:
        """Forget what is paid for; the next sweep comes when as many have been added."""
        self._accounts = {
            payer: pair
            for payer, pair in self._accounts.items()
            if max(pair[0].full_at_s, pair[1].full_at_s) > now_s
        }
        self._sweep_at = max(SWEEP_MIN, 2 * len(self._accounts))
