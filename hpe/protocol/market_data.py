"""Messages about the books: the order book, and the channels of market data.

Immutable values, as base.py describes them; any thread may use them.
"""

from __future__ import annotations

from hpe.protocol.base import Reply, Request
from hpe.protocol.enums import Channel
from hpe.protocol.fields import Depth, EntityId
from hpe.protocol.limits import DEPTH_MAX


class Unsubscribe(Request, frozen=True, tag=7):
    """End one market-data subscription; succeeds even if there is none."""

    instrument: EntityId
    channel: Channel


class Unsubscribed(Reply, frozen=True, tag=7):
    """No update of this subscription follows."""

    instrument: int
    channel: int


class GetOrderbook(Request, frozen=True, tag=32):
    """Ask for the best `depth` price levels of each side."""

    instrument: EntityId
    depth: Depth


BookLevel = tuple[int, int, int]
"""Price in ticks, quantity in lots, number of orders."""


class OrderbookReply(Reply, frozen=True, tag=32):
    """Price levels, best first. With `reason` unknown_instrument, the lists are empty."""

    sequence: int
    reason: int
    instrument: int
    book_sequence: int
    last_price: int
    bids: list[BookLevel]
    asks: list[BookLevel]


BookOrderRow = tuple[int, int, int]
"""Order id, price in ticks, shown quantity in lots; at each price in queue order."""

BookChangeRow = tuple[int, int, int, int, int]
"""BookChange, side, order id, price in ticks, shown quantity in lots afterwards: 0 if removed,
and if the slice of an iceberg was used up (removed and added follow)."""

TradeRow = tuple[int, int, int, int]
"""Trade id, price in ticks, quantity in lots, side of the taker (0: in an uncross)."""


class BestUpdate(Reply, frozen=True, tag=124):
    """Best prices and their shown quantities after book_sequence `last`; 0 for an empty side."""

    instrument: int
    last: int
    time_ns: int
    bid_price: int
    bid_quantity: int
    ask_price: int
    ask_quantity: int


class LevelsUpdate(Reply, frozen=True, tag=125):
    """Price levels that changed from book_sequence `first` to `last`, as they are afterwards.

    Quantity 0: the level is gone. In a snapshot, `first` is 0 and the levels are the best ones.
    """

    instrument: int
    first: int
    last: int
    time_ns: int
    bids: list[BookLevel]
    asks: list[BookLevel]
    checksum: int | None


class OrdersSnapshot(Reply, frozen=True, tag=116):
    """The orders of the best price levels after book_sequence `last`; only inside `subscribed`."""

    instrument: int
    last: int
    time_ns: int
    bids: list[BookOrderRow]
    asks: list[BookOrderRow]
    checksum: int


class OrdersUpdate(Reply, frozen=True, tag=126):
    """Every change of an order in the book; the n-th row has book_sequence `first` + n - 1."""

    instrument: int
    first: int
    last: int
    time_ns: int
    changes: list[BookChangeRow]
    checksum: int | None


class TradesUpdate(Reply, frozen=True, tag=127):
    """Trades; none are missing if `previous_trade_id` is the last one known."""

    instrument: int
    last: int
    time_ns: int
    previous_trade_id: int
    trades: list[TradeRow]


class StatusUpdate(Reply, frozen=True, tag=117):
    """State of an instrument; during a call, also what an uncross would do now."""

    instrument: int
    last: int
    time_ns: int
    status: int
    last_price: int
    band_low: int
    band_high: int
    indicative_price: int
    indicative_volume: int
    indicative_surplus: int


MarketUpdate = (
    BestUpdate | LevelsUpdate | OrdersSnapshot | OrdersUpdate | TradesUpdate | StatusUpdate
)


class Subscribe(Request, frozen=True, tag=44):
    """Ask for a snapshot of a channel and then its updates. Repeated: for another snapshot."""

    instrument: EntityId
    channel: Channel
    depth: Depth = DEPTH_MAX


class Subscribed(Reply, frozen=True, tag=44):
    """The snapshot after the batch of the request; nil for an unknown instrument.

    `more_bids`, `more_asks`: the side has further levels, worse than those of the snapshot.
    """

    sequence: int
    reason: int
    instrument: int
    channel: int
    snapshot: MarketUpdate | None
    more_bids: bool
    more_asks: bool
