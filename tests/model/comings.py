"""How sessions come and go in a play: connections, logouts, revoked keys, and time that passes.

Pure functions of a random source; they make steps about the clients that a play names. Relies on
seats.py to fill in ids and what a key grants.
"""

from __future__ import annotations

from random import Random
from typing import Final

from hpe.protocol.base import Request
from hpe.protocol.enums import DetachCause, Role
from hpe.protocol.flags import LOGOUT_KEEP_ORDERS
from hpe.protocol.internal import (
    KeySetting,
    KeysValid,
    SessionAttached,
    SessionClosed,
    SessionDetached,
    Tick,
)

VALID_KEYS: Final = tuple(
    KeySetting(number, role)
    for number, role in enumerate((Role.TRADER, Role.GATEWAY, Role.OPERATOR), 1)
)
"""The keys of the seats, as long as none is revoked."""


def attachment(random: Random) -> Request:
    """Let a connection take a session, which may want its orders to end with it."""
    flags, grace_ms = random.choice((0, 1, 1)), random.choice((0, 0, 1, 3, 20))
    return SessionAttached(1, 0, 1, random.choice((0, 0, 3, 6)), flags=flags, grace_ms=grace_ms)


def departure(random: Random) -> Request:
    """Let a connection go, or a session end, or a newer connection take it, or only time pass."""
    chance = random.random()
    if chance < 0.6:
        return SessionDetached(1, 1, 1, random.choice(tuple(DetachCause)))
    if chance < 0.7:
        return SessionClosed(1, 1, 1, random.choice((0, LOGOUT_KEEP_ORDERS)))
    if chance < 0.8:
        return KeysValid(1, [key for key in VALID_KEYS if random.random() < 0.8])
    return Tick(1) if chance < 0.88 else attachment(random)
