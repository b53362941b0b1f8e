"""The naive exchange's assets and instruments, and its way of saying no.

Part of the second opinion of naive_exchange.py: plain lists, linear scans, nothing shared with
the core. One object per test. Source: protocol.md.
"""

from __future__ import annotations

from hpe.messages import (
    AddAsset,
    AddAssetResponse,
    AddInstrument,
    AddInstrumentResponse,
    RejectReason,
    Request,
    ResolveInstrument,
    ResolveInstrumentResponse,
)


class Rejected(Exception):
    """A command is executed to "no"."""

    def __init__(self, reason: RejectReason) -> None:
        super().__init__(reason.name)
        self.reason = reason


def reject_if(condition: bool, reason: RejectReason) -> None:
    """Reject where a condition holds."""
    if condition:
        raise Rejected(reason)


class NaiveListings:
    """Symbols of assets and definitions of instruments; an id is a place in the list, from 1."""

    def __init__(self, auto_create: bool) -> None:
        self.auto_create = auto_create
        self.assets: list[str] = []
        self.instruments: list[AddInstrument] = []

    def execute(self, command: Request, sequence: int) -> AddAssetResponse:
        """Execute a listing command and give its response."""
        assert isinstance(command, AddAsset | AddInstrument | ResolveInstrument)
        kinds = {AddAsset: AddAssetResponse, AddInstrument: AddInstrumentResponse}
        kind = kinds.get(type(command), ResolveInstrumentResponse)
        reason, new_id = RejectReason.NONE, 0
        try:
            if isinstance(command, AddAsset):
                new_id = self._add_asset(command.symbol)
            elif isinstance(command, AddInstrument):
                new_id = self._add_instrument(command)
            else:
                new_id = self._resolve(command.base, command.quote)
        except Rejected as rejected:
            reason = rejected.reason
        return kind(command.request_id, 0, sequence, reason, new_id)

    def _add_asset(self, symbol: str) -> int:
        reject_if(symbol in self.assets, RejectReason.DUPLICATE_SYMBOL)
        self.assets.append(symbol)
        return len(self.assets)

    def _add_instrument(self, command: AddInstrument) -> int:
        wrong = command.price_min > command.price_max
        wrong |= command.quantity_min > command.quantity_max
        wrong |= command.notional_min > command.notional_max
        wrong |= command.band_ppm > 0 and command.reference_price == 0
        wrong |= command.volatility_interruption and command.band_ppm == 0
        reject_if(wrong, RejectReason.INVALID_COMBINATION)
        unlisted = max(command.base, command.quote) > len(self.assets)
        reject_if(unlisted, RejectReason.UNKNOWN_ASSET)
        reject_if(command.base == command.quote, RejectReason.SAME_ASSET)
        symbols = [listed.symbol for listed in self.instruments]
        reject_if(command.symbol in symbols, RejectReason.DUPLICATE_SYMBOL)
        below_zero = command.maker_fee_ppm + command.taker_fee_ppm < 0
        reject_if(below_zero, RejectReason.FEES_BELOW_ZERO)
        self.instruments.append(command)
        return len(self.instruments)

    def _resolve(self, base: str, quote: str) -> int:
        for number, listed in enumerate(self.instruments, 1):
            if (self.assets[listed.base - 1], self.assets[listed.quote - 1]) == (base, quote):
                return number
        reject_if(base == quote, RejectReason.SAME_ASSET)
        reject_if(not self.auto_create, RejectReason.UNKNOWN_PAIR)
        symbols = [listed.symbol for listed in self.instruments]
        reject_if(f"{base}/{quote}" in symbols, RejectReason.DUPLICATE_SYMBOL)
        for symbol in (base, quote):
            if symbol not in self.assets:
                self.assets.append(symbol)
        base_id, quote_id = (self.assets.index(symbol) + 1 for symbol in (base, quote))
        return self._add_instrument(AddInstrument(1, f"{base}/{quote}", base_id, quote_id))
