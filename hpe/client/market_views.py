"""Markets in readable form: books, best prices, trades, states in Decimals.

Owns the immutable values about markets that the client library returns; the properties that
views.py states for its values hold for these, too. `symbol` is the instrument's. Any thread may use
them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from hpe.client.results import UncrossResult
from hpe.protocol.enums import InstrumentStatus, Side
from hpe.protocol.listings import InstrumentReply
from hpe.protocol.market_data import BestUpdate, OrderbookReply, StatusUpdate, TradeRow


class LevelView(NamedTuple):
    """A price level: quantity and number of the orders resting at a price."""

    price: Decimal
    quantity: Decimal
    orders: int


class BookOrderView(NamedTuple):
    """An order in a book of single orders: what it shows at its price."""

    order_id: int
    price: Decimal
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class OrderbookView:
    """Price levels, best first. `last_price` is None before the first trade."""

    symbol: str
    book_sequence: int
    last_price: Decimal | None
    bids: tuple[LevelView, ...]
    asks: tuple[LevelView, ...]
    raw: OrderbookReply = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class BookView:
    """A maintained book at one moment: what is known of it, best first."""

    symbol: str
    sequence: int
    time_ns: int
    bids: tuple[LevelView, ...]
    asks: tuple[LevelView, ...]


@dataclass(frozen=True, slots=True)
class BestView:
    """Best prices and their shown quantities; None for an empty side."""

    symbol: str
    sequence: int
    time_ns: int
    bid: Decimal | None
    bid_quantity: Decimal
    ask: Decimal | None
    ask_quantity: Decimal
    raw: BestUpdate = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class TradeView:
    """A trade. `side` is the taker's, None in an uncross."""

    symbol: str
    trade_id: int
    time_ns: int
    price: Decimal
    quantity: Decimal
    side: Side | None
    raw: TradeRow = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class UncrossView:
    """The result of a call; `price` is None if nothing crossed."""

    symbol: str
    price: Decimal | None
    volume: Decimal
    raw: UncrossResult = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class MarketStateView:
    """What may be done with an instrument's orders; a price is None if there is none.

    The indicative figures are what an uncross would do now, during a call; a negative surplus is on
    the sellers' side.
    """

    symbol: str
    status: InstrumentStatus
    last_price: Decimal | None
    band_low: Decimal | None
    band_high: Decimal | None
    indicative_price: Decimal | None
    indicative_volume: Decimal
    indicative_surplus: Decimal


@dataclass(frozen=True, slots=True)
class StatusView(MarketStateView):
    """The same, as market data reports it; `time_ns` is the batch's."""

    time_ns: int
    raw: StatusUpdate = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class InstrumentStateView(MarketStateView):
    """The same, as get_instrument returns it, with counts and the fee rates of new orders."""

    open_orders: int
    waiting_stops: int
    maker_fee_ppm: int
    taker_fee_ppm: int
    raw: InstrumentReply = field(repr=False, compare=False)
