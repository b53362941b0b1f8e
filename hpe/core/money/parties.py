"""Parties: users and their accounts, which are created when an accepted command names them.

Part of the deterministic core. From then on a user is a row of the state, and so is an account: one
user and one asset, even if it holds only zeros. Whether there is room is checked before anything is
created. The house always exists, and neither it nor its accounts take a place: it has at most one
of each asset, and a trade that owes a fee must not be refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from hpe.core.context.holders import Holder, No
from hpe.core.context.places import Places, Taken
from hpe.core.money.balances import Account, BalanceCache
from hpe.protocol.codes import RejectReason
from hpe.protocol.limits import HOUSE_USER

if TYPE_CHECKING:
    from hpe.core.context.command import Context
    from hpe.core.context.settings import Settings

_NONE: Final = RejectReason.NONE


Opened = Callable[[int, dict[int, Account], Holder], None]
"""Called for each new user with its id, its accounts and the holder charged for its place."""


class Parties:
    """All users and accounts of one exchange; tells of each new user, for the index of orders."""

    def __init__(
        self, settings: Settings, balances: BalanceCache, places: Places, opened: Opened
    ) -> None:
        self._settings = settings
        self._balances = balances
        self._places = places
        self._opened = opened
        opened(HOUSE_USER, balances.accounts[HOUSE_USER], places.of(0))

    def refusal(self, context: Context, user: int, *assets: int, reserve: bool = False) -> No:
        """Return why there is no room for a user and its new accounts, NONE if there is.

        Args:
            context: the command, whose session is charged for the places.
            user: the user that is named.
            assets: the different assets in which it needs an account.
            reserve: True if the last eighth may be used.
        """
        if user == HOUSE_USER:
            return _NONE
        accounts = self._balances.accounts.get(user)
        limits, holder = self._settings.places, context.holder
        no: No = _NONE
        if accounts is None:
            taken = Taken(len(self._balances.accounts) - 1, 0, holder.users)  # not the house
            no = self._places.refusal(
                context, RejectReason.TOO_MANY_USERS, 1, taken, limits.users_max, reserve=reserve
            )
        new = sum(accounts is None or asset not in accounts for asset in assets)
        if new and not no:
            taken = Taken(self._balances.count, 0, holder.accounts)
            no = self._places.refusal(
                context, RejectReason.TOO_MANY_ACCOUNTS, new, taken, limits.accounts_max,
                reserve=reserve,
            )  # fmt: skip
        return no

    def admit(self, holder: Holder, user: int, *assets: int) -> dict[int, Account]:
        """Create a user and its accounts where they are new; room was checked.

        Returns:
            All accounts of the user, by asset.
        """
        mine = self._balances.accounts.get(user)
        if mine is None:
            mine = self.open_user(user, holder)
        for asset in assets:
            if asset not in mine:
                self._balances.open(user, asset, holder)
        return mine

    def open_user(self, user: int, holder: Holder) -> dict[int, Account]:
        """Create a new user."""
        holder.users += 1
        accounts = self._balances.accounts[user] = {}
        self._opened(user, accounts, holder)
        return accounts
