"""The arguments of a request as the caller of the client library knows them: Decimals and symbols.

Owns the description of a wire field in terms of what is listed: ticks as a price, lots as a
quantity, atoms as an amount, an id as its symbol. One value per request; used from one Trio loop.
"""

from __future__ import annotations

from typing import Any, Final

from hpe.client.decimals import Grid
from hpe.client.explaining import Words, explain_field, explain_reject
from hpe.client.scales import AssetView, InstrumentView
from hpe.errors import OrderRejected, RequestRefused
from hpe.protocol.base import Request
from hpe.protocol.codes import RejectReason

_PRICES: Final = ("price", "stop_price", "stop_limit_price", "trail")
_QUANTITIES: Final = ("quantity", "leaves_quantity", "display_quantity", "minimum_quantity")


class ListedWords(Words):
    """Describes a request in terms of what is listed; if that is not known, in wire integers."""

    def __init__(self, view: InstrumentView | None, asset: AssetView | None) -> None:
        self._view = view
        self._asset = asset

    def name(self, field: str) -> str:
        """Return the name of the argument."""
        return "symbol" if field == "asset" and self._asset is not None else field

    def value(self, field: str, value: Any) -> Any:
        """Return the value of the argument."""
        if field == "instrument" and self._view is not None:
            return repr(self._view.symbol)
        if field == "asset" and self._asset is not None:
            return repr(self._asset.symbol)
        grid = self._grid(field)
        return value if grid is None or not isinstance(value, int) else grid.value(value)

    def span(self, reason: int) -> tuple[int, int] | None:
        """Return the limits of the instrument."""
        row = None if self._view is None else self._view.raw
        if row is None:
            return None
        match reason:
            case RejectReason.PRICE_OUT_OF_RANGE:
                return row.price_min, row.price_max
            case RejectReason.QUANTITY_OUT_OF_RANGE:
                return row.quantity_min, row.quantity_max
            case RejectReason.NOTIONAL_OUT_OF_RANGE:
                return row.notional_min, row.notional_max
        return None

    def notional(self, price: int, quantity: int) -> str:
        """Return an order's value, in the quote asset."""
        if self._view is None or self._view.raw is None:
            return super().notional(price, quantity)
        quote, row = self._view.quote, self._view.raw
        return f"{quote.amounts.value(price * quantity * row.quote_atoms_per_tick)} {quote.symbol}"

    def _grid(self, field: str) -> Grid | None:
        view, asset = self._view, self._asset
        if field in _PRICES and view is not None:
            return view.prices
        if field in _QUANTITIES and view is not None:
            return view.quantities
        if field == "budget" and view is not None:
            return view.quote.amounts
        return asset.amounts if field == "amount" and asset is not None else None


def reword(error: RequestRefused | OrderRejected, words: Words) -> None:
    """Make an error describe its argument in the caller's words."""
    request = error.request
    if isinstance(error, RequestRefused):
        if error.detail and error.frame:
            error.detail = explain_field(error.frame, error.field, words)
    elif isinstance(request, Request):
        time_ns = getattr(error.response, "time_ns", 0)
        error.detail = explain_reject(request, error.reason, time_ns, words)
