"""Operator calls in the client library: listings, states, fees, the kill switch.

A part of Client (hpe/client/client.py). Assets and instruments are defined with integers, because
these define their scale. Every call raises what `SessionChannel.call` raises, OrderRejected if it
was executed and rejected, ValueError for an unknown word and LookupError for an unknown symbol.
"""

from __future__ import annotations

from typing import TypedDict, Unpack

from hpe.client.calls import ClientCall, ClientCalls
from hpe.client.listings import word
from hpe.client.market_views import InstrumentStateView, UncrossView
from hpe.client.results import (
    delisted,
    new_id,
    no_result,
    open_orders_result,
    status_result,
    uncross_result,
)
from hpe.client.scales import AssetView, InstrumentView
from hpe.protocol.enums import InstrumentStatus, SelfTrade
from hpe.protocol.listings import (
    AddAsset,
    AddInstrument,
    DelistAsset,
    DelistInstrument,
    GetInstrument,
    InstrumentReply,
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


class OperationCalls(ClientCalls):
    """Listings and the control of markets as methods of a client."""

    @ClientCall
    async def list_assets(self) -> list[AssetView]:
        """Return all assets."""
        await self.session.listings.renew()
        return [*self.session.listings.assets.values()]

    @ClientCall
    async def list_instruments(self) -> list[InstrumentView]:
        """Return all instruments."""
        await self.session.listings.renew()
        return [*self.session.listings.instruments.values()]

    @ClientCall
    async def asset(self, symbol: str) -> AssetView:
        """Return an asset; ask the server only if this client has not seen it yet.

        Raises:
            LookupError: there is none.
        """
        return await self.session.listings.asset(symbol)

    @ClientCall
    async def instrument(self, symbol: str) -> InstrumentView:
        """Return an instrument; ask the server only if this client has not seen it yet.

        Raises:
            LookupError: there is none.
        """
        return await self.session.listings.instrument(symbol)

    @ClientCall
    async def add_asset(self, symbol: str, decimals: int) -> int:
        """Define an asset and return its id."""
        return await self.session.ask(AddAsset(0, symbol, decimals), new_id)

    @ClientCall
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
            symbol: the pair's symbol, unique.
            base: asset id.
            quote: asset id.
            base_atoms_per_lot: scale of quantities, forever.
            quote_atoms_per_tick: scale of prices, forever.
            terms: InstrumentTerms, in ticks, lots, atoms and parts per million; fields that are
                omitted have the protocol's defaults.
        """
        request = AddInstrument(
            0, symbol, base, quote, base_atoms_per_lot, quote_atoms_per_tick, **terms
        )
        return await self.session.ask(request, new_id)

    @ClientCall
    async def resolve_instrument(self, base: str, quote: str) -> int:
        """Return the id of a pair of asset symbols; create it if the service allows that."""
        return await self.session.ask(ResolveInstrument(0, base, quote), new_id)

    @ClientCall
    async def get_instrument(self, instrument: InstrumentView | str) -> InstrumentStateView:
        """Return the state of an instrument; `instrument` gives its symbol and scale."""
        view = await self.session.view(instrument)
        return view.state(await self.session.read(InstrumentReply, GetInstrument(0, view.id)))

    @ClientCall
    async def set_status(
        self, instrument: InstrumentView | str, status: InstrumentStatus | str
    ) -> InstrumentStatus:
        """Set "trading", "cancel_only", "halted" or "call_auction"; the last begins a call."""
        view = await self.session.view(instrument)
        request = SetStatus(0, view.id, word("status", InstrumentStatus, status))
        return await self.session.ask(request, status_result)

    @ClientCall
    async def uncross(
        self,
        instrument: InstrumentView | str,
        next_status: InstrumentStatus | str = InstrumentStatus.TRADING,
    ) -> UncrossView:
        """End a call: trade what crosses at one price, then go on in the next status."""
        view = await self.session.view(instrument)
        request = Uncross(0, view.id, word("next status", InstrumentStatus, next_status))
        return await self.session.show(request, uncross_result, view.uncrossed)

    @ClientCall
    async def set_fees(
        self,
        instrument: InstrumentView | str,
        maker_fee_ppm: int | None,
        taker_fee_ppm: int | None,
        user: int = 0,
    ) -> None:
        """Set an instrument's fees for new orders, or those of one user on it.

        Args:
            instrument: its view or symbol.
            maker_fee_ppm: rate of resting orders in parts per million; negative for a rebate.
            taker_fee_ppm: rate of incoming orders. None for both removes a user's own rates.
            user: the user whose own rates to set; 0 for the instrument's.
        """
        view = await self.session.view(instrument)
        request = SetFees(0, view.id, maker_fee_ppm, taker_fee_ppm, user)
        await self.session.ask(request, no_result)

    @ClientCall
    async def delist_asset(self, symbol: str) -> None:
        """Delist an asset that no instrument needs and no account holds."""
        asset = await self.session.listings.asset(symbol)
        await self.session.ask(DelistAsset(0, asset.id), delisted)
        await self.session.listings.renew()

    @ClientCall
    async def delist_instrument(self, instrument: InstrumentView | str) -> None:
        """Delist an instrument without open orders, kept ended orders and fills.

        Its market data ends; its symbol may be listed again, with another id.
        """
        view = await self.session.view(instrument)
        await self.session.ask(DelistInstrument(0, view.id), delisted)
        await self.session.listings.renew()

    @ClientCall
    async def block_user(self, user: int, blocked: bool = True) -> int:
        """Refuse new orders and replaces of a user, or allow them again.

        Returns:
            int: the number of the user's open orders, which stay until they are canceled.
        """
        return await self.session.ask(BlockUser(0, user, blocked), open_orders_result)

    @ClientCall
    async def get_state_hash(self) -> StateHashReply:
        """Return the digest of the whole state. Walks all of it, so it may be slow."""
        return await self.session.read(StateHashReply, GetStateHash(0))
