"""The requests about money: accounts, deposits, transfers, holds.

A part of RequestChannel (hpe/client/requests.py). All amounts are atoms; user 0 is one's own. Every
method raises what `SessionChannel.call` raises, and OrderRejected when the request was executed to
a business reject.
"""

from __future__ import annotations

from hpe.client.channel import SessionChannel
from hpe.client.results import (
    Balance,
    HoldResult,
    Listing,
    accepted,
    account,
    balance_result,
    expect,
    hold_result,
    pages,
)
from hpe.protocol.money import (
    BalanceReply,
    BalanceRow,
    BalancesReply,
    CaptureHold,
    Deposit,
    GetBalance,
    HoldRow,
    HoldsReply,
    ListBalances,
    ListHolds,
    LockBalance,
    ReleaseHold,
    Transfer,
    UnlockBalance,
    Withdraw,
)
from hpe.protocol.operations import ConservationReply, GetConservation


class MoneyRequests(SessionChannel):
    """Accounts and holds as methods of a channel."""

    async def get_balance(self, asset: int, user: int = 0) -> Balance:
        """Return one account; OrderRejected for an unknown asset."""
        return account(accepted(BalanceReply, await self.call(GetBalance(0, asset, user))))

    async def list_balances(self, user: int = 0) -> list[BalanceRow]:
        """Return the accounts of a user that are not empty, in order of asset id."""
        return (await self.read_balances(user)).rows

    async def read_balances(self, user: int = 0) -> Listing[BalanceRow]:
        """Return the same as `list_balances`, with the sequence."""

        async def page(after: int, limit: int) -> BalancesReply:
            return expect(BalancesReply, await self.call(ListBalances(0, after, limit, user)))

        return await pages(page, lambda row: row[0])

    async def deposit(self, asset: int, amount: int, user: int = 0) -> Balance:
        """Credit atoms from outside and return the account after it."""
        return balance_result(await self.call(Deposit(0, asset, amount, user)))

    async def withdraw(self, asset: int, amount: int, user: int = 0) -> Balance:
        """Debit available atoms to outside and return the account after it."""
        return balance_result(await self.call(Withdraw(0, asset, amount, user)))

    async def transfer(self, asset: int, amount: int, to_user: int, user: int = 0) -> Balance:
        """Move available atoms to another user and return the paying account after it."""
        return balance_result(await self.call(Transfer(0, asset, amount, to_user, user)))

    async def lock_balance(
        self, asset: int, amount: int, user: int = 0, *, hold_id: int = 0, expires_ns: int = 0
    ) -> Balance:
        """Move available atoms to held and return the account after it.

        Args:
            asset: its id.
            amount: atoms.
            user: whose.
            hold_id: makes it a hold of its own, unique among the user's; 0 adds to what
                `unlock_balance` may take back.
            expires_ns: logged time at which a hold of its own gives back what is left; 0: never.
        """
        request = LockBalance(0, asset, amount, user, hold_id, expires_ns)
        return balance_result(await self.call(request))

    async def unlock_balance(self, asset: int, amount: int, user: int = 0) -> Balance:
        """Move atoms that are held without an id back to available; return the account after it."""
        return balance_result(await self.call(UnlockBalance(0, asset, amount, user)))

    async def capture_hold(
        self, hold_id: int, amount: int, to_user: int, user: int = 0
    ) -> HoldResult:
        """Pay atoms out of a named hold to a user; what is left stays held."""
        return hold_result(await self.call(CaptureHold(0, hold_id, amount, to_user, user)))

    async def release_hold(self, hold_id: int, amount: int = 0, user: int = 0) -> HoldResult:
        """Move atoms of a named hold back to available; amount 0: all of it."""
        return hold_result(await self.call(ReleaseHold(0, hold_id, amount, user)))

    async def list_holds(self, user: int = 0) -> list[HoldRow]:
        """Return the named holds of a user, in order of hold id."""
        return (await self.read_holds(user)).rows

    async def read_holds(self, user: int = 0) -> Listing[HoldRow]:
        """Return the same as `list_holds`, with the sequence."""

        async def page(after: int, limit: int) -> HoldsReply:
            return expect(HoldsReply, await self.call(ListHolds(0, after, limit, user)))

        return await pages(page, lambda row: row[0])

    async def get_conservation(self, asset: int) -> ConservationReply:
        """Return the proof that an asset's money adds up. Walks all accounts: may take its time."""
        return accepted(ConservationReply, await self.call(GetConservation(0, asset)))
