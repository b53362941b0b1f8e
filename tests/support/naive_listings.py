"""The naive exchange's list of assets and instruments, and how it rejects.

Part of the second opinion of naive_exchange.py: plain dictionaries, linear scans, nothing shared
with the core. One object per test. Source: protocol.md.
"""

from __future__ import annotations

from hpe.protocol.codes import RejectReason
from hpe.protocol.listings import AddInstrument


class Rejected(Exception):
    """A command is executed to "no"; `flags` say whose limit it was."""

    def __init__(self, reason: RejectReason, flags: int = 0) -> None:
        super().__init__(reason.name)
        self.reason = reason
        self.flags = flags


def reject_if(condition: bool, reason: RejectReason) -> None:
    """Reject where a condition holds."""
    if condition:
        raise Rejected(reason)


class NaiveListings:
    """Symbols of assets and definitions of instruments by id, and who listed them: user and key."""

    def __init__(self, auto_create: bool) -> None:
        self.auto_create = auto_create
        self.assets: dict[int, str] = {}
        self.instruments: dict[int, AddInstrument] = {}
        self.asset_takers: dict[int, tuple[int, int]] = {}
        self.instrument_takers: dict[int, tuple[int, int]] = {}
        self.assets_so_far = 0
        self.instruments_so_far = 0

    def asset_of(self, symbol: str) -> int:
        """Return the id of an asset, 0 if there is none of that symbol."""
        return next((number for number, name in self.assets.items() if name == symbol), 0)

    def is_listed(self, symbol: str) -> bool:
        """True if an instrument has this symbol."""
        return symbol in [listed.symbol for listed in self.instruments.values()]

    def list_asset(self, symbol: str, taker: tuple[int, int]) -> int:
        """List an asset under the next id."""
        self.assets_so_far += 1
        self.assets[self.assets_so_far] = symbol
        self.asset_takers[self.assets_so_far] = taker
        return self.assets_so_far

    def list_instrument(self, command: AddInstrument, taker: tuple[int, int]) -> int:
        """List an instrument under the next id."""
        self.instruments_so_far += 1
        self.instruments[self.instruments_so_far] = command
        self.instrument_takers[self.instruments_so_far] = taker
        return self.instruments_so_far
