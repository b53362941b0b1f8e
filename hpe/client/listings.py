"""What is listed, as the client library knows it: symbols to views, views to integers.

KnownListings owns the views that a client has seen. Scale and id of what is listed never change, so
views stay right; symbols are looked up again if the server does not know what they meant.
Used from one Trio loop; any number of tasks may call. Guarantees: however many tasks need something
at once, the server is asked once, and all of them get that answer or that error.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from enum import IntEnum
from typing import Final, Generic, TypeVar

from hpe.client import aio
from hpe.client.channel import SessionChannel
from hpe.client.pages import read_assets, read_instruments
from hpe.client.scales import AssetView, InstrumentView
from hpe.client.words import ListedWords
from hpe.errors import RequestError
from hpe.protocol.base import Request

_E = TypeVar("_E", bound=IntEnum)
_V = TypeVar("_V")


ORDERS_SEEN_MAX: Final = 100_000
"""Orders whose instrument a client remembers: what one user may have open by default."""


GONE_MAX: Final = 65_536
"""Delisted assets, and instruments, whose scale a client remembers: as many as may be listed by
default, at most some 60 MB."""


class SeenOrders:
    """The instruments of the orders seen last, which never change."""

    def __init__(self, orders_max: int = ORDERS_SEEN_MAX) -> None:
        self._orders_max = orders_max
        self._instruments: OrderedDict[int, int] = OrderedDict()

    def add(self, order_id: int, instrument_id: int) -> None:
        """Remember an order; forget the one not seen for the longest time."""
        self._instruments.pop(order_id, None)
        self._instruments[order_id] = instrument_id
        if len(self._instruments) > self._orders_max:
            del self._instruments[next(iter(self._instruments))]

    def instrument_of(self, order_id: int) -> int | None:
        """Return the id of an order's instrument, None if the order is not remembered."""
        return self._instruments.get(order_id)


class _ById(Generic[_V]):
    """Views by id: of everything that is listed, and of what was delisted last.

    Args:
        gone_max: how many delisted ones to remember.
    """

    def __init__(self, gone_max: int) -> None:
        self._gone_max = gone_max
        self._listed: dict[int, _V] = {}
        # Orders and fills from its time still name what was delisted.
        self._gone: OrderedDict[int, _V] = OrderedDict()

    def find(self, key: int) -> _V | None:
        """Return a view, None if it is not known."""
        return self._listed.get(key) or self._gone.get(key)

    def learn(self, listed: dict[int, _V]) -> None:
        """Replace the views by what is listed now."""
        before, self._listed = self._listed, listed
        for key, view in before.items():
            if key not in listed:
                self.add_gone(key, view)

    def add_gone(self, key: int, view: _V) -> _V:
        """Remember a delisted one; forget the one that was delisted first."""
        self._gone[key] = view
        if len(self._gone) > self._gone_max:
            del self._gone[next(iter(self._gone))]
        return view


class KnownListings:
    """The assets and instruments that one client has seen, and what its orders are on."""

    def __init__(self, requests: SessionChannel, gone_max: int = GONE_MAX) -> None:
        self.assets: dict[str, AssetView] = {}
        self.instruments: dict[str, InstrumentView] = {}
        self.orders = SeenOrders()
        self._requests = requests
        self._assets_by_id: _ById[AssetView] = _ById(gone_max)
        self._instruments_by_id: _ById[InstrumentView] = _ById(gone_max)
        self._asking = aio.Lock()
        self._begun = 0  # number of times that a task began to ask for everything
        self._answered = 0  # which of these got the newest answer, or error:
        self._failure: RequestError | None = None

    async def asset(self, symbol: str) -> AssetView:
        """Return an asset by symbol; raise LookupError if there is none."""
        return await self._find("asset", self.assets, symbol)

    async def instrument(self, symbol: str) -> InstrumentView:
        """Return an instrument by symbol; raise LookupError if there is none."""
        return await self._find("instrument", self.instruments, symbol)

    async def asset_of(self, asset_id: int) -> AssetView:
        """Return the asset of an id that the server named; a placeholder if delisted."""
        return await self._named(self._assets_by_id, asset_id, AssetView.delisted)

    async def instrument_of(self, instrument_id: int) -> InstrumentView:
        """Return the instrument of an id that the server named; a placeholder if delisted."""
        return await self._named(self._instruments_by_id, instrument_id, InstrumentView.delisted)

    def seen_instrument(self, instrument_id: int) -> InstrumentView:
        """Return the instrument of an id if it is known, without asking."""
        known = self._instruments_by_id.find(instrument_id)
        return InstrumentView.delisted(instrument_id) if known is None else known

    def words_of(self, request: Request, asset: AssetView | None = None) -> ListedWords:
        """Return the wording for a request's arguments, as far as what it names is known."""
        instrument = getattr(request, "instrument", 0)
        if not instrument:
            instrument = self.orders.instrument_of(getattr(request, "order_id", 0))
        return ListedWords(
            self._instruments_by_id.find(instrument or 0),
            asset or self._assets_by_id.find(getattr(request, "asset", 0)),
        )

    async def renew(self) -> None:
        """Ask for everything that is listed now."""
        async with self._asking:
            await self._ask()

    async def _ask(self) -> None:
        self._begun += 1
        # A canceled request answers no task: then the next one asks.
        try:
            await self._read()
        except RequestError as error:
            self._failure, self._answered = error, self._begun
            raise
        self._failure, self._answered = None, self._begun

    async def _read(self) -> None:
        instruments = await read_instruments(self._requests)
        # Read after the assets, so that none of theirs is missing.
        assets = [AssetView.of(row) for row in await read_assets(self._requests)]
        by_id = {view.id: view for view in assets}
        views = [
            InstrumentView.of(row, by_id[row.base], by_id[row.quote])
            for row in instruments
            if row.base in by_id and row.quote in by_id  # else delisted between the two answers
        ]
        self.learn(assets, views)

    def learn(self, assets: list[AssetView], instruments: list[InstrumentView]) -> None:
        """Replace everything by what is listed now."""
        self.assets.clear()
        self.assets.update((view.symbol, view) for view in assets)
        self.instruments.clear()
        self.instruments.update((view.symbol, view) for view in instruments)
        self._assets_by_id.learn({view.id: view for view in assets})
        self._instruments_by_id.learn({view.id: view for view in instruments})

    def forget(self) -> None:
        """Forget all symbols: the next call that names one looks it up."""
        self.assets.clear()
        self.instruments.clear()

    async def _named(self, views: _ById[_V], key: int, delisted: Callable[[int], _V]) -> _V:
        """Return the view of an id that the server named; if not listed now, it never will be."""
        view = views.find(key)
        if view is None:
            await self._ask_once(lambda: views.find(key) is not None)
            view = views.find(key)
        return views.add_gone(key, delisted(key)) if view is None else view

    async def _find(self, kind: str, views: dict[str, _V], key: str) -> _V:
        """Return a view; ask for everything if it is not known yet."""
        if key not in views:
            await self._ask_once(lambda: key in views)
        if key in views:
            return views[key]
        known = ", ".join(sorted(views)[:20]) or "none"
        raise LookupError(f"no {kind} {key!r} (known: {known})")

    async def _ask_once(self, seen: Callable[[], bool]) -> None:
        """Ask, unless a task began to ask after this call: then its answer or error counts."""
        before = self._begun
        async with self._asking:
            if seen():
                return
            if self._answered <= before:
                await self._ask()
            elif self._failure is not None:
                raise self._failure.with_traceback(None)


def word(name: str, kind: type[_E], text: _E | str) -> _E:
    """Return the enum member of a word like "buy".

    Raises:
        ValueError: the enum has no such member.
    """
    if isinstance(text, kind):
        return text
    try:
        return kind[str(text).upper()]
    except KeyError:
        allowed = ", ".join(member.name.lower() for member in kind)
        raise ValueError(f"{name}: found {text!r}, allowed {allowed}") from None
