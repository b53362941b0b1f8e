"""The values of enumerated fields; FIX's numbers where FIX has them.

Constants; any thread may use them.
"""

from __future__ import annotations

from enum import IntEnum


class Side(IntEnum):
    """FIX tag 54."""

    BUY = 1
    SELL = 2


class OrderType(IntEnum):
    """FIX tag 40."""

    MARKET = 1
    LIMIT = 2
    STOP = 3
    STOP_LIMIT = 4


class TimeInForce(IntEnum):
    """FIX tag 59."""

    GTC = 1
    IOC = 3
    FOK = 4
    GTD = 6


class OrderStatus(IntEnum):
    """FIX tag 39, as integers."""

    NEW = 0
    PARTIALLY_FILLED = 1
    FILLED = 2
    CANCELED = 4
    REJECTED = 8
    EXPIRED = 12


class ExecType(IntEnum):
    """FIX tag 150; FIX's letters continue here as numbers, A = 10."""

    NEW = 0
    CANCELED = 4
    REPLACED = 5
    EXPIRED = 12
    TRADE = 15
    TRIGGERED = 21


class Liquidity(IntEnum):
    """FIX tag 851."""

    MAKER = 1
    TAKER = 2
    AUCTION = 4


class SelfTrade(IntEnum):
    """What happens when an incoming order meets a resting one of the same user."""

    NONE = 1
    CANCEL_TAKER = 2
    CANCEL_MAKER = 3
    CANCEL_BOTH = 4
    DECREMENT = 5


class InstrumentStatus(IntEnum):
    """What may be done with an instrument's orders."""

    TRADING = 1
    CANCEL_ONLY = 2
    HALTED = 3
    CALL_AUCTION = 4


class DetachCause(IntEnum):
    """Why a connection left its session."""

    CONNECTION_LOST = 1
    SERVER_RESTART = 2
    PROTOCOL_ERROR = 3


class Role(IntEnum):
    """What a session may do; see the tables in hpe/core/permissions.py and protocol.md."""

    TRADER = 1
    GATEWAY = 2
    MARKET_DATA = 3
    OPERATOR = 4
    ANONYMOUS = 5


class Channel(IntEnum):
    """The part of an instrument's market data that a subscription is for."""

    BEST = 1
    LEVELS = 2
    ORDERS = 3
    TRADES = 4
    STATUS = 5


class BookChange(IntEnum):
    """What happened to an order in the book, in the orders channel."""

    ADDED = 1
    CHANGED = 2
    REMOVED = 3


class HoldChange(IntEnum):
    """What happened to a named hold."""

    LOCKED = 1
    CAPTURED = 2
    RELEASED = 3
    EXPIRED = 4
