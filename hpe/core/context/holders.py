"""Whose places are taken: what the sessions of one key hold, and why they may take no more.

Part of the deterministic core. Source: protocol.md, "Places".
"""

from __future__ import annotations

from typing import Final, NamedTuple

from hpe.protocol.codes import RejectReason


class Refusal(NamedTuple):
    """A reject because of a limit; `flags` of the response says whose limit it is."""

    reason: RejectReason
    flags: int


No = RejectReason | Refusal
"""Why a command is rejected; NONE if it is not."""


def told(no: No) -> tuple[RejectReason, int]:
    """Return the reason and the flags for a response."""
    return no if isinstance(no, Refusal) else (no, 0)


class Holder:
    """The places that sessions with one key have taken; key 0 is for sessions without a key."""

    __slots__ = ("accounts", "assets", "holds", "instruments", "key", "orders", "users")

    def __init__(self, key: int) -> None:
        self.key = key
        self.users = 0
        self.accounts = 0
        self.orders = 0
        self.holds = 0
        self.assets = 0
        self.instruments = 0

    def counts(self) -> dict[str, int]:
        """Return the number of places taken, by kind."""
        return {
            "users": self.users, "accounts": self.accounts, "orders": self.orders,
            "holds": self.holds, "assets": self.assets, "instruments": self.instruments,
        }  # fmt: skip

    @property
    def has_any(self) -> bool:
        """True if it has taken any place."""
        return bool(
            self.orders
            or self.holds
            or self.users
            or self.accounts
            or self.assets
            or self.instruments
        )


NOBODY: Final = Holder(0)
"""The holder of things that take no place: the house's accounts, and what is only looked at."""
