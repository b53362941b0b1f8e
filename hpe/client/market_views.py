"""What markets look like to a person: books, best prices, trades, states in Decimals.

Owns the immutable values about markets that the client library gives out; what views.py says of
its values is true of these. `symbol` is the instrument's.
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
    """A maintained book as it was: what is known of it, best first."""

    symbol: str
    sequence: int
    time_ns: int
    bids: tuple[LevelView, ...]
    asks: tuple[LevelView, ...]


@dataclass(frozen=True, slots=True)
class BestView:
    """Best prices and what they show; None where a side is empty."""

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
    """How a call ended; `price` is None when nothing crossed."""

    symbol: str
    price: Decimal | None
    volume: Decimal
    raw: UncrossResult = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class MarketStateView:
    """What may be done with an instrument's orders; a price is None where there is none.

    The indicative figures are those of a call, as if it were uncrossed now; a surplus below 0 is
    one of sellers.
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
    """The same as market data tells it; `time_ns` is the batch's."""

    time_ns: int
    raw: StatusUpdate = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class InstrumentStateView(MarketStateView):
    """The same as get_instrument tells it, with counts and the fee rates for orders that come."""

    open_orders: int
    waiting_stops: int
    maker_fee_ppm: int
    taker_fee_ppm: int
    raw: InstrumentReply = field(repr=False, compare=False)
