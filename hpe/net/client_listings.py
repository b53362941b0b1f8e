"""What is listed, as the client library sees it: symbols to views, views to integers.

The base of Client's parts (hpe/net/client.py). Owns the views that a client has seen; scale never
changes, so they stay right. Used from one Trio loop; any number of tasks may call.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TypeVar

from hpe.net.requests import RequestChannel
from hpe.net.subscriptions import Subscriptions
from hpe.net.views import AssetView, InstrumentView

_E = TypeVar("_E", bound=IntEnum)
_V = TypeVar("_V")


class ListingCalls:
    """Assets and instruments by symbol.

    Attributes:
        requests: the same session in the integers of the wire, with pipelining.
        subscriptions: the session's streams.
        user: whose session it is.
    """

    def __init__(self, requests: RequestChannel, subscriptions: Subscriptions, user: int) -> None:
        self.requests = requests
        self.subscriptions = subscriptions
        self.user = user
        self._assets: dict[str, AssetView] = {}
        self._instruments: dict[str, InstrumentView] = {}
        self._assets_by_id: dict[int, AssetView] = {}
        self._instruments_by_id: dict[int, InstrumentView] = {}

    async def list_assets(self) -> list[AssetView]:
        """Give all assets."""
        views = [AssetView.of(row) for row in await self.requests.list_assets()]
        self._assets = {view.symbol: view for view in views}
        self._assets_by_id = {view.id: view for view in views}
        return views

    async def list_instruments(self) -> list[InstrumentView]:
        """Give all instruments."""
        rows = await self.requests.list_instruments()
        # Read after them, so that none of their assets is missing.
        await self.list_assets()
        assets = self._assets_by_id
        views = [InstrumentView.of(row, assets[row.base], assets[row.quote]) for row in rows]
        self._instruments = {view.symbol: view for view in views}
        self._instruments_by_id = {view.id: view for view in views}
        return views

    async def asset(self, symbol: str) -> AssetView:
        """Give an asset; asks the server only for what this client has not seen yet.

        Raises:
            LookupError: there is none.
        """
        if symbol not in self._assets:
            await self.list_assets()
        return _lookup("asset", self._assets, symbol)

    async def instrument(self, symbol: str) -> InstrumentView:
        """Give an instrument; asks the server only for what this client has not seen yet.

        Raises:
            LookupError: there is none.
        """
        if symbol not in self._instruments:
            await self.list_instruments()
        return _lookup("instrument", self._instruments, symbol)

    async def _view(self, instrument: InstrumentView | str) -> InstrumentView:
        if isinstance(instrument, InstrumentView):
            return instrument
        return await self.instrument(instrument)

    async def _asset_of(self, asset_id: int) -> AssetView:
        """Give the asset of an id that the server named."""
        if asset_id not in self._assets_by_id:
            await self.list_assets()
        return self._assets_by_id[asset_id]

    async def _instrument_of(self, instrument_id: int) -> InstrumentView:
        """Give the instrument of an id that the server named."""
        if instrument_id not in self._instruments_by_id:
            await self.list_instruments()
        return self._instruments_by_id[instrument_id]


def _lookup(kind: str, views: dict[str, _V], symbol: str) -> _V:
    try:
        return views[symbol]
    except KeyError:
        known = ", ".join(sorted(views)[:20]) or "none"
        raise LookupError(f"no {kind} {symbol!r} (known: {known})") from None


def word(name: str, kind: type[_E], text: _E | str) -> _E:
    """Give the enum member of a word like "buy".

    Raises:
        ValueError: there is none of that name.
    """
    if isinstance(text, kind):
        return text
    try:
        return kind[str(text).upper()]
    except KeyError:
        allowed = ", ".join(member.name.lower() for member in kind)
        raise ValueError(f"{name}: found {text!r}, allowed {allowed}") from None
