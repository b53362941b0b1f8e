"""Named holds: held money with an id of its own.

Part of the deterministic core. A hold's amount is in its account's `held` and `named`. Parts of it
can be paid out (captured) or given back (released), and it may expire.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec
from sortedcontainers import SortedDict

from hpe.core.context.holders import Holder, No
from hpe.core.context.places import Places, Taken
from hpe.core.money.balances import BalanceCache
from hpe.core.timers import HOLD, Due, Timers
from hpe.errors import InvariantViolation
from hpe.protocol.codes import RejectReason
from hpe.protocol.enums import HoldChange
from hpe.protocol.money import HoldRow

if TYPE_CHECKING:
    from hpe.core.context.command import Context
    from hpe.core.context.settings import Settings


class Hold(msgspec.Struct, gc=False):
    """What remains of a hold, in atoms; `expires_ns` 0: never. `holder` has its place."""

    asset: int
    amount: int
    expires_ns: int
    holder: Holder


class HoldEvent(msgspec.Struct, frozen=True, gc=False):
    """A named hold changed: by how much, and what is left; amounts in atoms."""

    user: int
    hold_id: int
    asset: int
    change: HoldChange
    amount: int
    remaining: int
    expires_ns: int


class Holds:
    """The live named holds of every user."""

    def __init__(
        self, balances: BalanceCache, timers: Timers, settings: Settings, places: Places
    ) -> None:
        self._balances = balances
        self._timers = timers
        self._settings = settings
        self._places = places
        self._holds: dict[int, SortedDict[int, Hold]] = {}
        self._count = 0

    def find(self, user: int, hold_id: int) -> Hold | None:
        """Return a live hold of a user, or None."""
        mine = self._holds.get(user)
        return mine.get(hold_id) if mine is not None else None

    def add(self, context: Context, user: int, hold_id: int, hold: Hold) -> No:
        """Bind available money under an id."""
        if self.find(user, hold_id) is not None:
            return RejectReason.DUPLICATE_HOLD
        limits = self._settings.places
        taken = Taken(self._count, len(self._holds.get(user, ())), hold.holder.holds)
        no = self._places.refusal(
            context,
            RejectReason.TOO_MANY_HOLDS,
            1,
            taken,
            limits.holds_max,
            limits.holds_per_user_max,
        ) or self._balances.lock(user, hold.asset, hold.amount)
        if not no:
            self._balances.accounts[user][hold.asset].named += hold.amount
            self.restore(user, hold_id, hold)
        return no

    def restore(self, user: int, hold_id: int, hold: Hold) -> None:
        """Add a hold from a dump; its money is already held."""
        mine = self._holds.get(user)
        if mine is None:
            mine = self._holds[user] = SortedDict()
        mine[hold_id] = hold
        self._count += 1
        hold.holder.holds += 1
        if hold.expires_ns:
            self._timers.add((hold.expires_ns, HOLD, user, hold_id))

    def pay(self, user: int, hold_id: int, hold: Hold, amount: int, to_user: int) -> None:
        """Pay from a hold into an existing account; an empty hold is removed."""
        account = self._balances.accounts[user][hold.asset]
        payee = self._balances.accounts[to_user][hold.asset]
        self._balances.touch(account)
        self._balances.touch(payee)
        account.held -= amount
        account.named -= amount
        hold.amount -= amount
        payee.available += amount
        if not hold.amount:
            if hold.expires_ns:
                self._timers.remove((hold.expires_ns, HOLD, user, hold_id))
            self._forget(user, hold_id)

    def expire(self, user: int, hold_id: int) -> None:
        """Release what remains of a hold."""
        hold = self._holds[user][hold_id]
        self.pay(user, hold_id, hold, hold.amount, user)

    def _forget(self, user: int, hold_id: int) -> None:
        mine = self._holds[user]
        mine.pop(hold_id).holder.holds -= 1
        if not mine:
            del self._holds[user]
        self._count -= 1

    def of(self, user: int, after: int = 0) -> Iterator[HoldRow]:
        """Yield the holds of a user with ids above `after`, by ascending id."""
        mine = self._holds.get(user)
        if mine is not None:
            for hold_id in mine.irange(after, inclusive=(False, True)):
                hold = mine[hold_id]
                yield hold_id, hold.asset, hold.amount, hold.expires_ns

    def rows(self) -> Iterator[tuple[int, HoldRow]]:
        """Yield (user, row) of every hold, sorted."""
        for user in sorted(self._holds):
            for row in self.of(user):
                yield user, row

    def key_of(self, user: int, hold_id: int) -> int:
        """Return the key whose place a hold takes."""
        return self._holds[user][hold_id].holder.key

    def holders(self) -> list[Holder]:
        """Return the holder of each hold's place."""
        return [hold.holder for mine in self._holds.values() for hold in mine.values()]

    def due(self) -> list[Due]:
        """Return the timers of the holds that expire."""
        return [
            (expires_ns, HOLD, user, hold_id)
            for user, (hold_id, _, _, expires_ns) in self.rows()
            if expires_ns
        ]

    def check(self) -> None:
        """Check that the accounts' named amounts are exactly what the holds say."""
        named: dict[tuple[int, int], int] = {}
        for user, (hold_id, asset, amount, _) in self.rows():
            if amount <= 0:
                raise InvariantViolation(f"hold {hold_id} of user {user} holds {amount}")
            named[user, asset] = named.get((user, asset), 0) + amount
        for user, accounts in self._balances.accounts.items():
            for asset, account in accounts.items():
                if account.named != named.get((user, asset), 0) or account.named > account.held:
                    raise InvariantViolation(
                        f"user {user} asset {asset} holds {account.named} under names, its holds "
                        f"{named.get((user, asset), 0)}"
                    )
