"""Rejects: how many commands that change nothing one key may have logged.

Owns the counts of each key, or user where no keys are required; used in the Trio loop: by
connections, when answers are delivered and when requests come in. Every executed command is
logged, and replayed at every start, even a rejected one. Guarantees: if a key has more such answers
than its rate allows, its next commands are refused as throttled, in their place and unlogged, until
the excess is paid for; cancels have an account of their own; queries are never refused; a repeat
is answered as always (the core's rule); memory is bounded by the last burst. An answer counts when
it is delivered, so commands already in flight are not held back, but are paid for afterwards. The
core says which commands changed nothing (PROGRESS_ROW). Source: protocol.md, "Rate limits";
docs/decisions/0030.
"""

from __future__ import annotations

import trio

from hpe.core.contract import Run
from hpe.net.limits.buckets import Bucket, Rate
from hpe.net.limits.rates import SWEEP_MIN, Payer
from hpe.protocol.admission import CANCEL, COMMAND, ORDER
from hpe.protocol.codes import ErrorCode


class Rejects:
    """The accounts of all payers.

    Args:
        per_s: how many may be logged per second, on average; 0 turns the limit off.
        burst: how many may be logged at once.
    """

    def __init__(self, per_s: int, burst: int) -> None:
        self._rate = Rate(per_s, burst) if per_s else None
        # The accounts of payers that had any recently: commands, cancels.
        self._accounts: dict[Payer, tuple[Bucket, Bucket]] = {}
        self._sweep_at = SWEEP_MIN
        self.throttled = 0

    def note(self, payer: Payer, others: int, cancels: int) -> None:
        """Count commands that changed nothing: all but cancels, and cancels."""
        if self._rate is None:
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
        """Mark the commands of a payer that owes more than a burst.

        Cost: a table lookup, and a look at each frame of runs that are marked.
        """
        account = self._accounts.get(payer)
        if account is None or self._rate is None:
            return runs
        commands, cancels = (bucket.is_overdrawn(self._rate, now_s) for bucket in account)
        if not commands and not cancels:
            return runs

        refused = (ORDER | COMMAND if commands else 0) | (CANCEL if cancels else 0)

        def decide(admission: int, _start: int, _end: int) -> int:
            return ErrorCode.THROTTLED if admission & refused else 0

        marked = []
        for run in runs:
            pieces = [run] if run.admit else run.split(decide)
            marked += pieces
            if not run.admit:
                self.throttled += sum(piece.chunk.count for piece in pieces if piece.admit)
        return marked

    def __len__(self) -> int:
        """Return the number of accounts that are remembered."""
        return len(self._accounts)

    def _sweep(self, now_s: float) -> None:
        """Forget accounts that are paid for; sweep again after as many have been added."""
        self._accounts = {
            payer: pair
            for payer, pair in self._accounts.items()
            if max(pair[0].full_at_s, pair[1].full_at_s) > now_s
        }
        self._sweep_at = max(SWEEP_MIN, 2 * len(self._accounts))
