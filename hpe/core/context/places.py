"""Places: the things that can run out, who took how many, and whether there is room for more.

Part of the deterministic core. Users, accounts, open orders, named holds, assets and instruments
are places. Each counts towards the total, most count towards what one user may have, and where
there are keys, each counts towards the share of the key whose session took it, until it is free
again. The last eighth of every kind is for operators. Nothing here is a row of the state: every
count follows from the rows of the places themselves. Source: protocol.md, "Places".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

from hpe.core.context.command import Context
from hpe.core.context.holders import Holder, No, Refusal
from hpe.core.context.settings import Settings
from hpe.errors import InvariantViolation
from hpe.protocol.codes import RejectReason
from hpe.protocol.flags import FLAG_KEY_LIMIT, FLAG_USER_LIMIT
from hpe.protocol.limits import INT_MAX

_HOLDERS_SLACK: Final = 64
"""Keys without a place that are remembered beyond those that have some: makes a new one cheap."""


class Taken(NamedTuple):
    """How many places of one kind are taken: in total, by the user, by the key."""

    all: int
    user: int
    key: int


class Places:
    """The places that everyone has taken, by key."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._holders: dict[int, Holder] = {}
        self._holders_max = _HOLDERS_SLACK

    def of(self, key: int) -> Holder:
        """Return the counts of a key."""
        holder = self._holders.get(key)
        if holder is None:
            if len(self._holders) >= self._holders_max:
                self._forget_idle()
            holder = self._holders[key] = Holder(key)
        return holder

    def _forget_idle(self) -> None:
        self._holders = {k: each for k, each in self._holders.items() if not k or each.has_any}
        self._holders_max = 2 * len(self._holders) + _HOLDERS_SLACK

    def refusal(
        self,
        context: Context,
        reason: RejectReason,
        more: int,
        taken: Taken,
        count_max: int,
        of_user_max: int = INT_MAX,
        *,
        reserve: bool = False,
    ) -> No:
        """Return why so many more places are not available, NONE if they are.

        Args:
            context: the command that wants them.
            reason: the reject reason if they are not available.
            more: how many are wanted.
            taken: how many are taken.
            count_max: how many there may be in total.
            of_user_max: how many one user may have.
            reserve: True if the last eighth may be used, as operators always may.
        """
        if context.operator:
            return Refusal(reason, 0) if taken.all + more > count_max else RejectReason.NONE
        if taken.user + more > of_user_max:
            return Refusal(reason, FLAG_USER_LIMIT)
        if context.holder.key and taken.key + more > self._settings.share_of(count_max):
            return Refusal(reason, FLAG_KEY_LIMIT)
        if taken.all + more > (count_max if reserve else self._settings.unreserved(count_max)):
            return Refusal(reason, 0)
        return RejectReason.NONE

    def check(self, **found: Iterable[Holder]) -> None:
        """Compare the counts of each key, by kind, with the places that were found."""
        for kind, holders in found.items():
            counts = Counter(holders)
            for holder in self._holders.values():
                counted = holder.counts()[kind]
                if counts.pop(holder, 0) != counted:
                    raise InvariantViolation(f"key {holder.key} has not {counted} {kind}")
            if counts:
                raise InvariantViolation(f"{kind} are counted to keys that are not there")
