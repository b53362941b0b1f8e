"""Money in the client library: symbols and Decimals in, views out.

A part of Client (hpe/client/client.py); user 0 is the session's own. Every call raises what
`SessionChannel.call` raises, OrderRejected if it was executed and rejected, and before anything is
sent: ValueError for an amount off the asset's grid, TypeError for a float, LookupError for an
unknown symbol or hold.
"""

from __future__ import annotations

from decimal import Decimal

from hpe.client.arguments import integer
from hpe.client.calls import ClientCall, ClientCalls
from hpe.client.pages import read_balances, read_holds
from hpe.client.results import balance_of, balance_result, hold_result
from hpe.client.scales import AssetView
from hpe.client.views import AccountView, BalanceView, ConservationView, HoldResultView, HoldView
from hpe.protocol.money import (
    CaptureHold,
    Deposit,
    GetBalance,
    HoldsReply,
    ListHolds,
    LockBalance,
    ReleaseHold,
    Transfer,
    UnlockBalance,
    Withdraw,
)
from hpe.protocol.operations import ConservationReply, GetConservation


class MoneyCalls(ClientCalls):
    """Accounts and holds as methods of a client."""

    @ClientCall
    async def get_balance(self, symbol: str, user: int = 0) -> BalanceView:
        """Return one account."""
        asset = await self.session.listings.asset(symbol)
        return asset.balance(await self.session.ask(GetBalance(0, asset.id, user), balance_of))

    @ClientCall
    async def list_balances(self, user: int = 0) -> list[AccountView]:
        """Return the accounts of a user that are not empty."""
        session = self.session
        found = await session.told(read_balances(session.requests, user))
        return [(await session.listings.asset_of(row[0])).account(row) for row in found.rows]

    @ClientCall
    async def deposit(self, symbol: str, amount: Decimal | int, user: int = 0) -> BalanceView:
        """Credit money from outside and return the account after it."""
        asset = await self.session.listings.asset(symbol)
        request = Deposit(0, asset.id, asset.amounts.count(amount), user)
        return await self.session.show(request, balance_result, asset.balance)

    @ClientCall
    async def withdraw(self, symbol: str, amount: Decimal | int, user: int = 0) -> BalanceView:
        """Debit available money to outside and return the account after it."""
        asset = await self.session.listings.asset(symbol)
        request = Withdraw(0, asset.id, asset.amounts.count(amount), user)
        return await self.session.show(request, balance_result, asset.balance)

    @ClientCall
    async def transfer(
        self, symbol: str, amount: Decimal | int, to_user: int, user: int = 0
    ) -> BalanceView:
        """Move available money to another user and return the paying account after it."""
        asset = await self.session.listings.asset(symbol)
        request = Transfer(0, asset.id, asset.amounts.count(amount), to_user, user)
        return await self.session.show(request, balance_result, asset.balance)

    @ClientCall
    async def lock_balance(
        self,
        symbol: str,
        amount: Decimal | int,
        user: int = 0,
        *,
        hold_id: int = 0,
        expires_ns: int = 0,
    ) -> BalanceView:
        """Move available money to held and return the account after it.

        Args:
            symbol: the asset's symbol.
            amount: a multiple of its atom.
            user: the account's user.
            hold_id: makes it a named hold, with an id unique among the user's; 0 adds to what
                `unlock_balance` may release.
            expires_ns: when a named hold releases what remains of it, in the server's nanoseconds
                since 1970; 0 for never.
        """
        asset = await self.session.listings.asset(symbol)
        atoms = asset.amounts.count(amount)
        request = LockBalance(0, asset.id, atoms, user, hold_id, expires_ns)
        return await self.session.show(request, balance_result, asset.balance)

    @ClientCall
    async def unlock_balance(
        self, symbol: str, amount: Decimal | int, user: int = 0
    ) -> BalanceView:
        """Move money that is held without an id to available; return the account after it."""
        asset = await self.session.listings.asset(symbol)
        request = UnlockBalance(0, asset.id, asset.amounts.count(amount), user)
        return await self.session.show(request, balance_result, asset.balance)

    @ClientCall
    async def capture_hold(
        self, hold_id: int, amount: Decimal | int, to_user: int, user: int = 0
    ) -> HoldResultView:
        """Pay from a named hold to a user; the rest stays held.

        First asks which asset the hold is in, because the amount has that asset's scale.
        """
        asset = await self._asset_of_hold(hold_id, user)
        request = CaptureHold(0, hold_id, asset.amounts.count(amount), to_user, user)
        return await self.session.show(request, hold_result, asset.hold_result, asset)

    @ClientCall
    async def release_hold(
        self, hold_id: int, amount: Decimal | int | None = None, user: int = 0
    ) -> HoldResultView:
        """Move money of a named hold back to available; without an amount, all of it.

        First asks which asset the hold is in, because amount and result have that asset's scale.
        """
        atoms = 0
        try:
            asset = await self._asset_of_hold(hold_id, user)
        except LookupError:
            if amount is not None:
                raise
            # The server decides whether there is one; if not, there is nothing to convert.
            result = await self.session.ask(ReleaseHold(0, hold_id, 0, user), hold_result)
            asset = await self.session.listings.asset_of(result.asset)
            return asset.hold_result(result)
        if amount is not None:
            atoms = asset.amounts.count(amount)
            if not atoms:  # on the wire, 0 means all of it
                raise ValueError(f"amount: found {amount}, allowed above 0, or None for all of it")
        request = ReleaseHold(0, hold_id, atoms, user)
        return await self.session.show(request, hold_result, asset.hold_result, asset)

    @ClientCall
    async def list_holds(self, user: int = 0) -> list[HoldView]:
        """Return the named holds of a user, in order of hold id."""
        session = self.session
        found = await session.told(read_holds(session.requests, user))
        return [(await session.listings.asset_of(row[1])).hold(row) for row in found.rows]

    @ClientCall
    async def get_conservation(self, symbol: str) -> ConservationView:
        """Return the proof that an asset's money adds up. Walks all accounts, so it may be slow."""
        asset = await self.session.listings.asset(symbol)
        request = GetConservation(0, asset.id)
        return asset.conservation(await self.session.read(ConservationReply, request))

    async def _asset_of_hold(self, hold_id: int, user: int) -> AssetView:
        hold_id = integer("hold_id", hold_id)
        request = ListHolds(0, max(hold_id - 1, 0), 1, user)
        for found, asset, _, _ in (await self.session.read(HoldsReply, request)).rows:
            if found == hold_id:
                return await self.session.listings.asset_of(asset)
        raise LookupError(f"no hold {hold_id}")
