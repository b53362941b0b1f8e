"""Subscribers that know nothing but what they were sent, and can be held against the exchange.

Each follows one channel of one instrument: a snapshot begins it, updates must continue it without
a gap, and what it then knows must be what the naive exchange shows. Nothing shared with the core
or the client. One object per subscription of a test. Source: protocol.md, "Market data".
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hpe.protocol.enums import BookChange, Channel, Side
from hpe.protocol.market_data import (
    BestUpdate,
    BookLevel,
    BookOrderRow,
    LevelsUpdate,
    MarketUpdate,
    OrdersSnapshot,
    OrdersUpdate,
    StatusUpdate,
    Subscribed,
    TradesUpdate,
)
from tests.support import naive_market
from tests.support.naive_state import NaiveState


class Follower:
    """What all channels have in common; `last` is the book_sequence that is known."""

    def __init__(self, instrument: int, channel: Channel, depth: int) -> None:
        self.instrument = instrument
        self.channel = channel
        self.depth = depth
        self.started = False
        self.last = 0

    @property
    def key(self) -> tuple[int, Channel]:
        """What it follows."""
        return self.instrument, self.channel

    def start(self, answer: Subscribed) -> None:
        """Begin, or begin again, with a snapshot."""
        assert (answer.reason, answer.instrument, answer.channel) == (0, *self.key)
        snapshot = answer.snapshot
        assert snapshot is not None
        assert (snapshot.instrument, snapshot.flags) == (self.instrument, 0)
        self.started = True
        self.last = snapshot.last
        self.take(snapshot, answer)

    def follow(self, updates: list[MarketUpdate], time_ns: int) -> None:
        """Take what one batch changed."""
        for update in updates:
            assert (update.instrument, update.time_ns) == (self.instrument, time_ns)
            assert (update.request_id, update.flags) == (0, 0)
            self.advance(update, more=update is not updates[-1])

    def agree(self, known: object, shown: object) -> None:
        """Fail with both where they differ."""
        assert known == shown, f"{self.key}: a subscriber knows {known}, not {shown}"

    def take(self, snapshot: MarketUpdate, answer: Subscribed) -> None:
        """Take over what a snapshot shows."""
        raise NotImplementedError

    def advance(self, update: MarketUpdate, *, more: bool) -> None:
        """Take one update; `more` of the same batch follow."""
        raise NotImplementedError

    def compare(self, state: NaiveState) -> None:
        """Hold what is known against the exchange."""
        raise NotImplementedError


class BestFollower(Follower):
    """Follows best prices."""

    known: tuple[int, ...] = ()

    def take(self, snapshot: MarketUpdate, answer: Subscribed) -> None:
        assert isinstance(snapshot, BestUpdate)
        self.known = _best_of(snapshot)

    def advance(self, update: MarketUpdate, *, more: bool) -> None:
        assert isinstance(update, BestUpdate)
        assert not more
        assert update.last > self.last
        assert _best_of(update) != self.known, "nothing new"
        self.last, self.known = update.last, _best_of(update)

    def compare(self, state: NaiveState) -> None:
        self.agree(self.known, naive_market.best(state, self.instrument))


def _best_of(update: BestUpdate) -> tuple[int, ...]:
    return update.bid_price, update.bid_quantity, update.ask_price, update.ask_quantity


class StatusFollower(Follower):
    """Follows status, last price, band and what a call would trade."""

    known: tuple[int, ...] = ()

    def take(self, snapshot: MarketUpdate, answer: Subscribed) -> None:
        assert isinstance(snapshot, StatusUpdate)
        self.known = _status_of(snapshot)

    def advance(self, update: MarketUpdate, *, more: bool) -> None:
        assert isinstance(update, StatusUpdate)
        assert not more
        assert update.last >= self.last
        assert _status_of(update) != self.known, "nothing new"
        self.last, self.known = update.last, _status_of(update)

    def compare(self, state: NaiveState) -> None:
        self.agree(self.known, naive_market.status(state, self.instrument))


def _status_of(update: StatusUpdate) -> tuple[int, ...]:
    return tuple(getattr(update, name) for name in StatusUpdate.__struct_fields__[5:])


class TradesFollower(Follower):
    """Follows trades; all since the snapshot are kept."""

    def take(self, snapshot: MarketUpdate, answer: Subscribed) -> None:
        assert isinstance(snapshot, TradesUpdate)
        self.trades = list(snapshot.trades)
        self.before = snapshot.previous_trade_id
        self.shown = len(self.trades)

    def advance(self, update: MarketUpdate, *, more: bool) -> None:
        assert isinstance(update, TradesUpdate)
        assert update.trades
        assert update.last >= self.last
        newest = self.trades[-1][0] if self.trades else self.before
        assert update.previous_trade_id == newest
        self.last = update.last
        self.trades += update.trades

    def compare(self, state: NaiveState) -> None:
        told = state.trade_rows.get(self.instrument, [])
        count = len(self.trades)
        self.agree(self.trades, told[len(told) - count :])
        earlier = told[: len(told) - count]
        self.agree(self.before, earlier[-1][0] if earlier else 0)


@dataclass
class KnownSide:
    """What is known of one side: nothing beyond `boundary`, all where that is None."""

    side: Side
    size: int = 0
    boundary: int | None = None
    levels: dict[int, BookLevel] = field(default_factory=dict)
    orders: list[BookOrderRow] = field(default_factory=list)

    def knows(self, price: int) -> bool:
        """True if a price lies within what is known."""
        if self.boundary is None:
            return True
        return price >= self.boundary if self.side is Side.BUY else price <= self.boundary

    def sorted(self) -> list[BookLevel]:
        """Return the levels, best first."""
        return sorted(self.levels.values(), reverse=self.side is Side.BUY)

    def queue(self) -> list[BookOrderRow]:
        """Return the orders, best price first; within a price as they came."""
        sign = -1 if self.side is Side.BUY else 1
        return sorted(self.orders, key=lambda row: sign * row[1])


class BookFollower(Follower):
    """What levels and orders have in common."""

    def take(self, snapshot: MarketUpdate, answer: Subscribed) -> None:
        assert isinstance(snapshot, LevelsUpdate | OrdersSnapshot)
        self.sides = [
            self.side_of(Side.BUY, snapshot.bids, more=answer.more_bids),
            self.side_of(Side.SELL, snapshot.asks, more=answer.more_asks),
        ]
        self.checksum = snapshot.checksum

    def side_of(
        self, side: Side, rows: list[BookLevel] | list[BookOrderRow], *, more: bool
    ) -> KnownSide:
        """Take over one side of a snapshot."""
        known = KnownSide(side)
        self.fill(known, rows)
        prices = {level[0] for level in self.levels(known)}
        assert len(prices) <= self.depth
        known.size = len(prices)
        if more:
            unknown = 2**63 if side is Side.BUY else 0
            worst = min if side is Side.BUY else max
            known.boundary = worst(prices, default=unknown)
        return known

    @property
    def thin(self) -> bool:
        """True if so little is left that another snapshot is due."""
        return any(
            known.boundary is not None and 4 * len(self.levels(known)) < known.size
            for known in self.sides
        )

    def advance(self, update: MarketUpdate, *, more: bool) -> None:
        assert isinstance(update, LevelsUpdate | OrdersUpdate)
        assert update.first == self.last + 1, f"{self.key}: a gap after {self.last}"
        assert update.last >= update.first
        self.last = update.last
        assert (update.checksum is None) == more
        self.checksum = update.checksum
        self.change(update)

    def compare(self, state: NaiveState) -> None:
        whole = [naive_market.queue(state, self.instrument, side) for side in Side]
        for known, rows in zip(self.sides, whole, strict=True):
            rows = [row for row in rows if known.knows(row[1])]
            self.compare_side(known, rows)
        bids, asks = (naive_market.levels_of(rows) for rows in whole)
        self.agree(self.checksum, naive_market.checksum(bids, asks))

    def fill(self, known: KnownSide, rows: list[BookLevel] | list[BookOrderRow]) -> None:
        """Take over the rows of a snapshot."""
        raise NotImplementedError

    def levels(self, known: KnownSide) -> list[BookLevel]:
        """Return the levels that are known, best first."""
        raise NotImplementedError

    def change(self, update: MarketUpdate) -> None:
        """Take over the rows of an update."""
        raise NotImplementedError

    def compare_side(self, known: KnownSide, rows: list[BookOrderRow]) -> None:
        """Hold one side against the orders that should be known."""
        raise NotImplementedError


class LevelsFollower(BookFollower):
    """Follows price levels."""

    def fill(self, known: KnownSide, rows: list[BookLevel] | list[BookOrderRow]) -> None:
        known.levels = {row[0]: row for row in rows}
        assert rows == known.sorted(), "a snapshot begins with the best"

    def levels(self, known: KnownSide) -> list[BookLevel]:
        return known.sorted()

    def change(self, update: MarketUpdate) -> None:
        assert isinstance(update, LevelsUpdate)
        for known, rows in zip(self.sides, (update.bids, update.asks), strict=True):
            for row in rows:
                if row[1]:
                    known.levels[row[0]] = row
                else:
                    known.levels.pop(row[0], None)
            known.levels = {p: level for p, level in known.levels.items() if known.knows(p)}

    def compare_side(self, known: KnownSide, rows: list[BookOrderRow]) -> None:
        self.agree(known.sorted(), naive_market.levels_of(rows))


class OrdersFollower(BookFollower):
    """Follows every order."""

    def fill(self, known: KnownSide, rows: list[BookLevel] | list[BookOrderRow]) -> None:
        known.orders = list(rows)
        assert rows == known.queue(), "a snapshot begins with the best"

    def levels(self, known: KnownSide) -> list[BookLevel]:
        return naive_market.levels_of(known.queue())

    def change(self, update: MarketUpdate) -> None:
        assert isinstance(update, OrdersUpdate)
        assert len(update.changes) == update.last - update.first + 1
        for kind, side, order_id, price, quantity in update.changes:
            known = self.sides[side - 1]
            if known.knows(price):
                _change_order(known, BookChange(kind), (order_id, price, quantity))

    def compare_side(self, known: KnownSide, rows: list[BookOrderRow]) -> None:
        self.agree(known.queue(), rows)


def _change_order(known: KnownSide, kind: BookChange, row: BookOrderRow) -> None:
    places = [place for place, order in enumerate(known.orders) if order[:2] == row[:2]]
    if kind is BookChange.ADDED:
        assert not places
        assert row[2] > 0
        known.orders.append(row)
        return
    (place,) = places
    if kind is BookChange.CHANGED:  # to nothing: the next slice of an iceberg comes behind
        known.orders[place] = row
    else:
        assert row[2] == 0
        del known.orders[place]


_KINDS: dict[Channel, type[Follower]] = {
    Channel.BEST: BestFollower,
    Channel.LEVELS: LevelsFollower,
    Channel.ORDERS: OrdersFollower,
    Channel.TRADES: TradesFollower,
    Channel.STATUS: StatusFollower,
}


def follower_of(instrument: int, channel: Channel, depth: int) -> Follower:
    """Return a follower of a channel."""
    return _KINDS[channel](instrument, channel, depth)
