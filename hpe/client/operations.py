"""The control of markets in the client library: states, fees, the kill switch.

A part of Client (hpe/client/client.py). Assets and instruments are defined through
`client.requests`, because their scale is made of integers. Every method raises what
hpe/client/requests_operations.py's do, ValueError for an unknown word and LookupError for an
unknown symbol.
"""

from __future__ import annotations

from hpe.client.listings import ListingCalls, word
from hpe.client.market_views import InstrumentStateView, UncrossView
from hpe.client.scales import InstrumentView
from hpe.protocol.enums import InstrumentStatus
from hpe.protocol.operations import StateHashReply


class OperationCalls(ListingCalls):
    """The control of markets as methods of a client."""

    async def get_instrument(self, instrument: InstrumentView | str) -> InstrumentStateView:
        """Return the state of an instrument; `instrument` gives its symbol and scale."""
        view = await self._view(instrument)
        return view.state(await self._told(self.requests.get_instrument(view.id)))

    async def set_status(
        self, instrument: InstrumentView | str, status: InstrumentStatus | str
    ) -> InstrumentStatus:
        """Set "trading", "cancel_only", "halted" or "call_auction"; the last begins a call."""
        view = await self._view(instrument)
        wanted = word("status", InstrumentStatus, status)
        return await self._told(self.requests.set_status(view.id, wanted))

    async def uncross(
        self,
        instrument: InstrumentView | str,
        next_status: InstrumentStatus | str = InstrumentStatus.TRADING,
    ) -> UncrossView:
        """End a call: trade what crosses at one price, then go on in the next status."""
        view = await self._view(instrument)
        status = word("next status", InstrumentStatus, next_status)
        return await self._show(self.requests.uncross(view.id, status), view.uncrossed)

    async def set_fees(
        self,
        instrument: InstrumentView | str,
        maker_fee_ppm: int | None,
        taker_fee_ppm: int | None,
        user: int = 0,
    ) -> None:
        """Set an instrument's fees for orders that come, or those of one user on it.

        Args:
            instrument: its view or symbol.
            maker_fee_ppm: rate of resting orders in parts per million; below 0 a rebate.
            taker_fee_ppm: rate of incoming orders. None for both removes a user's own rates.
            user: whose own rates; 0 for the instrument's.
        """
        view = await self._view(instrument)
        await self._told(self.requests.set_fees(view.id, maker_fee_ppm, taker_fee_ppm, user))

    async def delist_asset(self, symbol: str) -> None:
        """Take an asset that no instrument needs and nobody has out of the list."""
        await self._told(self.requests.delist_asset((await self.asset(symbol)).id))
        await self.listings.renew()

    async def delist_instrument(self, instrument: InstrumentView | str) -> None:
        """Take an instrument without open orders, kept ended orders and fills out of the list.

        Its market data ends; its symbol may be listed again, with another id.
        """
        view = await self._view(instrument)
        await self._told(self.requests.delist_instrument(view.id))
        await self.listings.renew()

    async def block_user(self, user: int, blocked: bool = True) -> int:
        """Refuse new orders and replaces of a user, or allow them again.

        Returns:
            int: how many open orders the user has; they stay until they are canceled.
        """
        return await self._told(self.requests.block_user(user, blocked))

    async def get_state_hash(self) -> StateHashReply:
        """Return the digest of the whole state. Walks all of it: may take its time."""
        return await self.requests.get_state_hash()
