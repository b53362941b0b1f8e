"""The requests of market operators: what is listed, fees, states, the kill switch.

A part of RequestChannel (hpe/client/requests.py). Prices in ticks, quantities in lots, rates in
parts per million. Every method raises what `SessionChannel.call` raises, and OrderRejected when the
request was executed to a business reject.
"""

from __future__ import annotations

from typing import TypedDict, Unpack

from hpe.client.channel import SessionChannel
from hpe.client.results import (
    UncrossResult,
    accepted,
    delisted,
    expect,
    new_id,
    no_result,
    open_orders_result,
    pages,
    status_result,
    uncross_result,
)
from hpe.protocol.enums import InstrumentStatus, SelfTrade
from hpe.protocol.listings import (
    AddAsset,
    AddInstrument,
    AssetRow,
    AssetsReply,
    DelistAsset,
    DelistInstrument,
    GetInstrument,
    InstrumentReply,
    InstrumentRow,
    InstrumentsReply,
    ListAssets,
    ListInstruments,
    ResolveInstrument,
)
from hpe.protocol.operations import (
    BlockUser,
    GetStateHash,
    SetFees,
    SetStatus,
    StateHashReply,
    Uncross,
)


class InstrumentTerms(TypedDict, total=False):
    """Limits and rules of an instrument: add_instrument's fields after the scale."""

    price_min: int
    price_max: int
    quantity_min: int
    quantity_max: int
    notional_min: int
    notional_max: int
    maker_fee_ppm: int
    taker_fee_ppm: int
    self_trade: SelfTrade
    band_ppm: int
    reference_price: int
    volatility_interruption: bool
    interruption_ms: int


class OperationRequests(SessionChannel):
    """Listings and the control of markets as methods of a channel."""

    # --- what is listed -----------------------------------------------------------------------

    async def add_asset(self, symbol: str, decimals: int) -> int:
        """Define an asset and return its id."""
        return new_id(await self.call(AddAsset(0, symbol, decimals)))

    async def list_assets(self) -> list[AssetRow]:
        """Return all assets, in order of id, page by page."""

        async def page(after: int, limit: int) -> AssetsReply:
            return expect(AssetsReply, await self.call(ListAssets(0, after, limit)))

        return (await pages(page, lambda row: row[0])).rows

    async def add_instrument(
        self,
        symbol: str,
        base: int,
        quote: int,
        *,
        base_atoms_per_lot: int = 1,
        quote_atoms_per_tick: int = 1,
        **terms: Unpack[InstrumentTerms],
    ) -> int:
        """Define a pair of two asset ids and return its id.

        Args:
            symbol: of the pair, unique.
            base: asset id.
            quote: asset id.
            base_atoms_per_lot: scale of quantities, forever.
            quote_atoms_per_tick: scale of prices, forever.
            terms: InstrumentTerms; what is left out has the defaults of the protocol.
        """
        request = AddInstrument(
            0, symbol, base, quote, base_atoms_per_lot, quote_atoms_per_tick, **terms
        )
        return new_id(await self.call(request))

    async def list_instruments(self) -> list[InstrumentRow]:
        """Return all instruments, in order of id, page by page."""

        async def page(after: int, limit: int) -> InstrumentsReply:
            return expect(InstrumentsReply, await self.call(ListInstruments(0, after, limit)))

        return (await pages(page, lambda row: row.instrument)).rows

    async def resolve_instrument(self, base: str, quote: str) -> int:
        """Return the id of a pair of asset symbols, creating it where the service allows that."""
        return new_id(await self.call(ResolveInstrument(0, base, quote)))

    async def delist_asset(self, asset: int) -> None:
        """Take an asset that no instrument needs and nobody has out of the list."""
        delisted(await self.call(DelistAsset(0, asset)))

    async def delist_instrument(self, instrument: int) -> None:
        """Take an instrument without open orders, kept ended orders and fills out of the list."""
        delisted(await self.call(DelistInstrument(0, instrument)))

    # --- markets ------------------------------------------------------------------------------

    async def get_instrument(self, instrument: int) -> InstrumentReply:
        """Return the state of an instrument; OrderRejected for an unknown one."""
        return accepted(InstrumentReply, await self.call(GetInstrument(0, instrument)))

    async def set_status(self, instrument: int, status: InstrumentStatus) -> InstrumentStatus:
        """Set what may be done with an instrument's orders; call_auction begins a call."""
        return status_result(await self.call(SetStatus(0, instrument, status)))

    async def uncross(
        self, instrument: int, next_status: InstrumentStatus = InstrumentStatus.TRADING
    ) -> UncrossResult:
        """End a call: trade what crosses at one price, then go on in the next status."""
        return uncross_result(await self.call(Uncross(0, instrument, next_status)))

    async def set_fees(
        self,
        instrument: int,
        maker_fee_ppm: int | None,
        taker_fee_ppm: int | None,
        user: int = 0,
    ) -> None:
        """Set an instrument's fees for orders that come, or those of one user on it.

        Args:
            instrument: its id.
            maker_fee_ppm: rate of resting orders; below 0 it is a rebate.
            taker_fee_ppm: rate of incoming orders. None for both removes a user's own rates.
            user: whose own rates; 0 for the instrument's.
        """
        no_result(await self.call(SetFees(0, instrument, maker_fee_ppm, taker_fee_ppm, user)))

    async def block_user(self, user: int, blocked: bool = True) -> int:
        """Refuse new orders and replaces of a user, or allow them again.

        Returns:
            int: how many open orders the user has; they stay until they are canceled.
        """
        return open_orders_result(await self.call(BlockUser(0, user, blocked)))

    async def get_state_hash(self) -> StateHashReply:
        """Return the digest of the whole state. Walks all of it: may take its time."""
        return expect(StateHashReply, await self.call(GetStateHash(0)))
