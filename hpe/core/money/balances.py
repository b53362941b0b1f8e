"""Accounts: what every user has of every asset, and how much of it is bound.

Owns all money of the core. An account is (user, asset) with three amounts in atoms: available,
reserved (by open orders) and held (by lock_balance). No amount is ever negative, except the
house's available; per asset, the sum over all accounts equals deposits minus withdrawals; `check`
proves both. parties.py decides who may have an account. Part of the deterministic core.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import Final

from hpe.core.context.holders import NOBODY, Holder
from hpe.errors import InvariantViolation
from hpe.protocol.codes import RejectReason
from hpe.protocol.limits import AMOUNT_MAX, HOUSE_USER

_by_user_and_asset: Final = attrgetter("user", "asset")


class Account:
    """One user's amounts of one asset, in atoms; `named` is the part of held in named holds.

    `touched`: BalanceCache.take_changed will look at it. `holder` is charged for its place.
    """

    __slots__ = ("asset", "available", "held", "holder", "named", "reserved", "touched", "user")

    def __init__(self, user: int, asset: int, holder: Holder = NOBODY) -> None:
        self.user = user
        self.asset = asset
        self.holder = holder
        self.available = 0
        self.reserved = 0
        self.held = 0
        self.named = 0
        self.touched = False


class BalanceCache:
    """All accounts, and the net deposits per asset.

    `accounts[user][asset]` is an account, `count` their number without the house's. Code that
    changes an account calls `touch` first. Plain dicts, because the two accounts of every order are
    looked up here.
    """

    def __init__(self) -> None:
        self.accounts: dict[int, dict[int, Account]] = {HOUSE_USER: {}}
        self.count = 0
        self._count_of: dict[int, int] = {}  # accounts by asset, including the house's
        # With their former amounts: available, reserved, held, named.
        self._touched: list[tuple[Account, int, int, int, int]] = []
        self._net_deposits: dict[int, int] = {}

    def touch(self, account: Account) -> None:
        """Note an account's amounts before they change, once per batch."""
        if not account.touched:  # the hottest callers check this themselves
            account.touched = True
            self._touched.append(
                (account, account.available, account.reserved, account.held, account.named)
            )

    def take_changed(self) -> list[Account]:
        """Return the accounts that changed since the last call, by user and asset; no house's.

        The accounts of an asset that was delisted meanwhile are included, empty.
        """
        touched, self._touched = self._touched, []
        changed = []
        for account, available, reserved, held, named in touched:
            account.touched = False
            if (
                account.available != available
                or account.reserved != reserved
                or account.held != held
                or account.named != named
            ) and account.user != HOUSE_USER:
                changed.append(account)
        if len(changed) > 1:
            changed.sort(key=_by_user_and_asset)
        return changed

    def open(self, user: int, asset: int, holder: Holder) -> Account:
        """Open an account for a user that has none of this asset."""
        account = self.accounts[user][asset] = Account(user, asset, holder)
        self._count_of[asset] = self._count_of.get(asset, 0) + 1
        if user != HOUSE_USER:
            self.count += 1
            holder.accounts += 1
        return account

    def is_needed(self, asset: int) -> bool:
        """True if anyone has money of an asset. Cost: all users, if any has an account of it."""
        if asset not in self._count_of:
            return False
        return any(
            account.available or account.reserved or account.held
            for accounts in self.accounts.values()
            if (account := accounts.get(asset)) is not None
        )

    def close(self, asset: int) -> None:
        """Remove an asset's accounts, which must be empty. Cost: as `is_needed`."""
        self._net_deposits.pop(asset, None)
        if self._count_of.pop(asset, 0):
            for user, accounts in self.accounts.items():
                account = accounts.pop(asset, None)
                if account is not None and user != HOUSE_USER:
                    self.count -= 1
                    account.holder.accounts -= 1

    def cost_of(self, asset: int) -> int:
        """Return how many users `is_needed` looks at."""
        return len(self.accounts) if asset in self._count_of else 0

    def house(self, asset: int) -> Account:
        """Return the house's account; opens it if necessary."""
        account = self.accounts[HOUSE_USER].get(asset)
        return account or self.open(HOUSE_USER, asset, NOBODY)

    def peek(self, user: int, asset: int) -> Account:
        """Return an account for reading only; a missing one reads as empty and is not opened."""
        accounts = self.accounts.get(user)
        account = accounts.get(asset) if accounts else None
        return account or Account(user, asset)

    def deposit_refusal(self, asset: int, amount: int) -> RejectReason:
        """Return the reject reason if a deposit would take an asset's total beyond AMOUNT_MAX.

        With conservation, this bound keeps every account and every sum of two within 64 bits.
        """
        too_much = amount > AMOUNT_MAX - self._net_deposits.get(asset, 0)
        return RejectReason.DEPOSIT_LIMIT if too_much else RejectReason.NONE

    def deposit(self, user: int, asset: int, amount: int) -> None:
        """Credit available money; the amount was checked and the account exists."""
        self._net_deposits[asset] = self._net_deposits.get(asset, 0) + amount
        account = self.accounts[user][asset]
        self.touch(account)
        account.available += amount

    def withdraw(self, user: int, asset: int, amount: int) -> RejectReason:
        """Debit available money."""
        account = self.peek(user, asset)
        if account.available < amount:
            return RejectReason.INSUFFICIENT_FUNDS
        self.touch(account)
        self._net_deposits[asset] -= amount
        account.available -= amount
        return RejectReason.NONE

    def lock(self, user: int, asset: int, amount: int) -> RejectReason:
        """Move available money to held."""
        account = self.peek(user, asset)
        if account.available < amount:
            return RejectReason.INSUFFICIENT_FUNDS
        self.touch(account)
        account.available -= amount
        account.held += amount
        return RejectReason.NONE

    def unlock(self, user: int, asset: int, amount: int) -> RejectReason:
        """Move held money back to available, but nothing that orders or named holds bind."""
        account = self.peek(user, asset)
        if account.held - account.named < amount:
            return RejectReason.INSUFFICIENT_HOLD
        self.touch(account)
        account.held -= amount
        account.available += amount
        return RejectReason.NONE

    def transfer(self, user: int, asset: int, amount: int, to_user: int) -> None:
        """Move available money to another user's account; both accounts and the money exist."""
        account, payee = self.accounts[user][asset], self.accounts[to_user][asset]
        self.touch(account)
        self.touch(payee)
        account.available -= amount
        payee.available += amount

    def net_deposits(self) -> dict[int, int]:
        """Return deposits minus withdrawals per asset, in atoms."""
        return dict(sorted(self._net_deposits.items()))

    def rows(self) -> Iterator[Account]:
        """Yield every account, sorted by user and asset: equal states give equal rows."""
        for _, accounts in sorted(self.accounts.items()):
            for _, account in sorted(accounts.items()):
                yield account

    def restore_net_deposits(self, asset: int, amount: int) -> None:
        """Set an asset's net deposits from a dump; accounts are restored in place."""
        self._net_deposits[asset] = amount

    def check(self, reserved_by_orders: dict[tuple[int, int], int]) -> None:
        """Check conservation, signs, and that accounts reserve exactly what open orders need.

        Args:
            reserved_by_orders: (user, asset) -> atoms, summed over all open orders.
        """
        totals: dict[int, int] = {}
        unexplained = dict(reserved_by_orders)
        for account in self.rows():
            user, asset = account.user, account.asset
            available, reserved, held = account.available, account.reserved, account.held
            if (available < 0 and user != HOUSE_USER) or reserved < 0 or held < 0:
                raise InvariantViolation(f"user {user} asset {asset} has a negative amount")
            if unexplained.pop((user, asset), 0) != reserved:
                raise InvariantViolation(
                    f"user {user} asset {asset} reserves {reserved}, its orders "
                    f"{reserved_by_orders.get((user, asset), 0)}"
                )
            totals[asset] = totals.get(asset, 0) + available + reserved + held
        if any(unexplained.values()):
            raise InvariantViolation(f"orders reserve what accounts lack: {unexplained}")
        for asset in sorted({*totals, *self._net_deposits}):
            net = self._net_deposits.get(asset, 0)
            if totals.get(asset, 0) != net:
                raise InvariantViolation(
                    f"asset {asset}: accounts hold {totals.get(asset, 0)}, "
                    f"deposits minus withdrawals are {net}"
                )
