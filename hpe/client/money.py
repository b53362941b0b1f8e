"""Money in the client library: symbols and Decimals in, views out.

A part of Client (hpe/client/client.py); user 0 is one's own. Every method raises what
hpe/client/requests_money.py's do, and before anything is sent: ValueError for what is off the
asset's grid, TypeError for a float, LookupError for an unknown symbol or hold.
"""

from __future__ import annotations

from decimal import Decimal

from hpe.client.arguments import integer
from hpe.client.listings import ListingCalls
from hpe.client.results import expect
from hpe.client.scales import AssetView
from hpe.client.views import AccountView, BalanceView, ConservationView, HoldResultView, HoldView
from hpe.protocol.money import HoldsReply, ListHolds


class MoneyCalls(ListingCalls):
    """Accounts and holds as methods of a client."""

    async def get_balance(self, symbol: str, user: int = 0) -> BalanceView:
        """Return one account."""
        asset = await self.asset(symbol)
        return asset.balance(await self._told(self.requests.get_balance(asset.id, user)))

    async def list_balances(self, user: int = 0) -> list[AccountView]:
        """Return the accounts of a user that are not empty."""
        rows = await self._told(self.requests.list_balances(user))
        return [(await self.listings.asset_of(row[0])).account(row) for row in rows]

    async def deposit(self, symbol: str, amount: Decimal | int, user: int = 0) -> BalanceView:
        """Credit money from outside and return the account after it."""
        asset = await self.asset(symbol)
        atoms = asset.amounts.count(amount)
        return await self._show(self.requests.deposit(asset.id, atoms, user), asset.balance)

    async def withdraw(self, symbol: str, amount: Decimal | int, user: int = 0) -> BalanceView:
        """Debit available money to outside and return the account after it."""
        asset = await self.asset(symbol)
        atoms = asset.amounts.count(amount)
        return await self._show(self.requests.withdraw(asset.id, atoms, user), asset.balance)

    async def transfer(
        self, symbol: str, amount: Decimal | int, to_user: int, user: int = 0
    ) -> BalanceView:
        """Move available money to another user and return the paying account after it."""
        asset = await self.asset(symbol)
        atoms = asset.amounts.count(amount)
        answer = self.requests.transfer(asset.id, atoms, to_user, user)
        return await self._show(answer, asset.balance)

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
            symbol: of the asset.
            amount: a multiple of its atom.
            user: whose.
            hold_id: makes it a hold of its own, unique among the user's; 0 adds to what
                `unlock_balance` may take back.
            expires_ns: when a hold of its own gives back what is left, in the server's
                nanoseconds since 1970; 0 for never.
        """
        asset = await self.asset(symbol)
        atoms = asset.amounts.count(amount)
        answer = self.requests.lock_balance(
            asset.id, atoms, user, hold_id=hold_id, expires_ns=expires_ns
        )
        return await self._show(answer, asset.balance)

    async def unlock_balance(
        self, symbol: str, amount: Decimal | int, user: int = 0
    ) -> BalanceView:
        """Move money that is held without an id back to available; return the account after it."""
        asset = await self.asset(symbol)
        atoms = asset.amounts.count(amount)
        return await self._show(self.requests.unlock_balance(asset.id, atoms, user), asset.balance)

    async def capture_hold(
        self, hold_id: int, amount: Decimal | int, to_user: int, user: int = 0
    ) -> HoldResultView:
        """Pay out of a named hold to a user; what is left stays held.

        Asks first which asset the hold is in: the amount's scale is the asset's.
        """
        asset = await self._asset_of_hold(hold_id, user)
        atoms = asset.amounts.count(amount)
        answer = self.requests.capture_hold(hold_id, atoms, to_user, user)
        return await self._show(answer, asset.hold_result, asset)

    async def release_hold(
        self, hold_id: int, amount: Decimal | int | None = None, user: int = 0
    ) -> HoldResultView:
        """Move money of a named hold back to available; without an amount all of it.

        Asks first which asset the hold is in: the scale of amount and result is the asset's.
        """
        atoms = 0
        try:
            asset = await self._asset_of_hold(hold_id, user)
        except LookupError:
            if amount is not None:
                raise
            # Whether there is none is the server's to say: then there is nothing to show.
            result = await self._told(self.requests.release_hold(hold_id, 0, user))
            asset = await self.listings.asset_of(result.asset)
            return asset.hold_result(result)
        if amount is not None:
            atoms = asset.amounts.count(amount)
            if not atoms:  # on the wire that means all of it
                raise ValueError(f"amount: found {amount}, allowed above 0, or None for all of it")
        answer = self.requests.release_hold(hold_id, atoms, user)
        return await self._show(answer, asset.hold_result, asset)

    async def list_holds(self, user: int = 0) -> list[HoldView]:
        """Return the named holds of a user, in order of hold id."""
        rows = await self._told(self.requests.list_holds(user))
        return [(await self.listings.asset_of(row[1])).hold(row) for row in rows]

    async def get_conservation(self, symbol: str) -> ConservationView:
        """Return the proof that an asset's money adds up. Walks all accounts: may take its time."""
        asset = await self.asset(symbol)
        return asset.conservation(await self._told(self.requests.get_conservation(asset.id)))

    async def _asset_of_hold(self, hold_id: int, user: int) -> AssetView:
        hold_id = integer("hold_id", hold_id)
        request = ListHolds(0, max(hold_id - 1, 0), 1, user)
        for found, asset, _, _ in expect(HoldsReply, await self.requests.call(request)).rows:
            if found == hold_id:
                return await self.listings.asset_of(asset)
        raise LookupError(f"no hold {hold_id}")
