"""Market data: what one batch changed in the books that have subscribers.

Part of the deterministic core, but not of its state: every batch says what is wanted; this module
reads the books and never changes an outcome. Everything is encoded once per batch, however many
receive it. A watched book records its changes in order (orderbook.py); the levels that changed,
the best prices and the checksum are read from the book when the batch is over. snapshots.py makes
the snapshots. Source: protocol.md, "Market data".
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from struct import Struct
from typing import Final
from zlib import crc32

from hpe.core.codec import encode
from hpe.core.contract import Limits
from hpe.core.trading.auction import NO_CLEARING, Clearing, clearing, crossing_levels, is_too_deep
from hpe.core.trading.events import AuctionMatch, Event
from hpe.core.trading.matcher import Match
from hpe.core.trading.orderbook import OrderBook
from hpe.protocol.enums import Channel, InstrumentStatus, Side
from hpe.protocol.frames import frame
from hpe.protocol.limits import CHECKSUM_LEVELS
from hpe.protocol.market_data import (
    BestUpdate,
    BookChangeRow,
    LevelsUpdate,
    MarketUpdate,
    OrdersUpdate,
    StatusUpdate,
    TradeRow,
    TradesUpdate,
)

_WANTED: Final = Struct(">IB")
_CHECKED: Final = Struct(f">{4 * CHECKSUM_LEVELS}q")


def checksum(book: OrderBook) -> int:
    """Return the CRC-32 of the best levels, with which a maintained book verifies itself."""
    numbers: list[int] = []
    for ladder in (book.bids, book.asks):
        rows = [(level.price, level.quantity) for level in islice(ladder.levels(), CHECKSUM_LEVELS)]
        rows += [(0, 0)] * (CHECKSUM_LEVELS - len(rows))
        numbers += [number for row in rows for number in row]
    return crc32(_CHECKED.pack(*numbers))


class _Watched:
    """A book that has subscribers, and its state when the batch began.

    The book's ladders append their changes to `record`; `notice` is called before the first one, so
    that a batch costs nothing for books that it does not change.
    """

    __slots__ = (
        "_changed", "best", "book", "indicative", "indicative_due_ns", "indicative_known",
        "indicative_stale", "is_changed", "last_trade_id", "limits", "mask", "record", "sequence",
        "status", "trades",
    )  # fmt: skip

    def __init__(self, book: OrderBook, mask: int, changed: list[_Watched], limits: Limits) -> None:
        self.book = book
        self.limits = limits
        self._changed = changed
        self.is_changed = False
        self.mask = 0
        self.record: list[BookChangeRow] = []
        self.trades: list[TradeRow] = []
        self.indicative = NO_CLEARING
        self.indicative_due_ns = 0
        self.indicative_known = False
        self.indicative_stale = True
        book.watch(self, self.notice)
        self.sequence = book.sequence
        self.last_trade_id = book.last_trade_id
        self.best = best_row(book)
        self.status = status_row(book, self.indicative)
        self.want(mask)

    def notice(self) -> None:
        """Note that the book changes, so that it is read when the batch is over."""
        if not self.is_changed:
            self.is_changed = self.indicative_stale = True
            self._changed.append(self)

    def append(self, row: BookChangeRow) -> None:
        """Add the first change of a batch; later ones go straight to the record."""
        self.notice()
        self.book.watch(self.record, self.notice)
        self.record.append(row)

    def settle(self) -> None:
        """Begin the next batch."""
        self.is_changed = False
        self.record.clear()
        self.trades.clear()
        self.sequence = self.book.sequence
        self.last_trade_id = self.book.last_trade_id
        self.book.watch(self, self.notice)

    @property
    def is_late(self) -> bool:
        """True if the indicative price must be computed again."""
        asked = self.asked_for or is_too_deep(self.book, self.limits)
        return asked and self.indicative_stale and self.in_call and self.wants(Channel.STATUS)

    @property
    def asked_for(self) -> bool:
        """True if subscribers were told the indicative price, or that it comes later."""
        return self.indicative_known or self.indicative_due_ns > 0

    @property
    def in_call(self) -> bool:
        """True if the book has an indicative price."""
        return self.book.status is InstrumentStatus.CALL_AUCTION

    def want(self, mask: int) -> None:
        """Change the channels; new ones begin with the book as it is.

        If many levels cross, the snapshot computes the indicative price: the subscriber pays.
        """
        new, self.mask = mask & ~self.mask, mask
        if new & _bit(Channel.BEST):
            self.best = best_row(self.book)
        if new & _bit(Channel.STATUS):
            self.forget_indicative()
            if crossing_levels(self.book) <= self.limits.indicative_levels:
                self.find_indicative(0)
            self.status = status_row(self.book, self.indicative)

    def forget_indicative(self) -> None:
        """Drop the indicative price: there is no call, or no subscriber was told."""
        self.indicative, self.indicative_due_ns = NO_CLEARING, 0
        self.indicative_known, self.indicative_stale = False, True

    def find_indicative(self, time_ns: int) -> None:
        """Compute what an uncross would do now, and set when it may be computed again."""
        if not self.in_call:
            self.forget_indicative()
            return
        self.indicative = clearing(self.book)
        self.indicative_known, self.indicative_stale = True, False
        levels = crossing_levels(self.book)
        if levels > self.limits.indicative_levels:
            self.indicative_due_ns = time_ns + levels * self.limits.indicative_ns_per_level

    def put_off(self, time_ns: int) -> None:
        """Leave computing it for the first time to a later batch or to one without other work."""
        self.notice()
        levels = crossing_levels(self.book)
        self.indicative_due_ns = time_ns + levels * self.limits.indicative_ns_per_level

    def is_due(self, time_ns: int) -> bool:
        """True if a batch at this time is to compute what an uncross would do."""
        if not self.indicative_stale or time_ns < self.indicative_due_ns:
            return False
        return self.asked_for or not is_too_deep(self.book, self.limits)

    def wants(self, channel: Channel) -> bool:
        """True if a channel has subscribers."""
        return self.mask & _bit(channel) > 0


def _instrument_of(watched: _Watched) -> int:
    return watched.book.instrument.instrument_id


def _bit(channel: Channel) -> int:
    return 1 << (channel - 1)


_NONE: Final[frozenset[int]] = frozenset()


def _status_of(wanted: bytes) -> frozenset[int]:
    """Return the instruments whose status is wanted."""
    rows = _WANTED.iter_unpack(wanted)
    return frozenset(instrument for instrument, mask in rows if mask & _bit(Channel.STATUS))


class MarketFeed:
    """Follows the wanted books and encodes their updates."""

    def __init__(self, books: dict[int, OrderBook], limits: Limits) -> None:
        self.books = books
        self.limits = limits
        self._wanted = b""
        self._books_seen = 0  # a wanted instrument may be listed later
        self._watched: dict[int, _Watched] = {}
        self._changed: list[_Watched] = []
        self._ended: list[int] = []
        # Instruments whose status had no subscriber in the batch before.
        self._status_begins = _NONE

    @property
    def late(self) -> bool:
        """True if subscribers know an indicative price from before the book changed."""
        return any(watched.is_late for watched in self._changed)

    @property
    def active(self) -> bool:
        """True if any book is watched, or was when the batch began."""
        return bool(self._watched or self._ended)

    def watch(self, wanted: bytes) -> None:
        """Set what is wanted from now on; see contract.py for its form."""
        self._status_begins = _NONE
        if wanted == self._wanted and len(self.books) == self._books_seen:
            return
        before, masks = _status_of(self._wanted), dict(_WANTED.iter_unpack(wanted))
        self._status_begins = _status_of(wanted) - before
        self._wanted, self._books_seen = wanted, len(self.books)
        for instrument_id in self._watched.keys() - masks.keys():
            self._leave(instrument_id)
        for instrument_id, mask in masks.items():
            watched, book = self._watched.get(instrument_id), self.books.get(instrument_id)
            if watched is not None:
                if watched.mask != mask:
                    watched.want(mask)
            elif book is not None:
                self._watched[instrument_id] = _Watched(book, mask, self._changed, self.limits)

    def _leave(self, instrument_id: int) -> None:
        gone = self._watched.pop(instrument_id)
        gone.book.watch(None)
        if gone.is_changed:
            self._changed.remove(gone)

    def delisted(self, instrument_id: int) -> None:
        """End the market data of an instrument that was delisted."""
        self._books_seen = -1  # another book may have taken its place
        if instrument_id in self._watched:
            self._leave(instrument_id)
            self._ended.append(instrument_id)

    def indicative(self, book: OrderBook, time_ns: int) -> Clearing:
        """Return the indicative price that subscribers know; computed now if there are none."""
        watched = self._watched.get(book.instrument.instrument_id)
        if watched is not None and watched.wants(Channel.STATUS):
            if watched.in_call and not watched.indicative_known:
                if is_too_deep(book, self.limits):
                    watched.put_off(time_ns)
                    return NO_CLEARING
                watched.find_indicative(time_ns)
                watched.status = status_row(book, watched.indicative)
            return watched.indicative
        in_call = book.status is InstrumentStatus.CALL_AUCTION
        return clearing(book) if in_call else NO_CLEARING

    def follows_status(self, book: OrderBook) -> bool:
        """True if its status already had a subscriber before this batch, which has paid for it."""
        instrument_id = book.instrument.instrument_id
        watched = self._watched.get(instrument_id)
        wanted = watched is not None and watched.wants(Channel.STATUS)
        return wanted and instrument_id not in self._status_begins

    def note(self, event: Event) -> None:
        """Add the trades of an event."""
        if isinstance(event, Match):
            watched = self._watched.get(event.taker.instrument_id)
            if watched is not None:
                watched.trades += [
                    (trade_id, fill.price, fill.quantity, event.taker.side)
                    for trade_id, fill in enumerate(event.fills, event.first_trade_id)
                ]
        elif isinstance(event, AuctionMatch):
            watched = self._watched.get(event.instrument_id)
            if watched is not None:
                watched.trades += [
                    (trade_id, fill.price, fill.quantity, 0)
                    for trade_id, fill in enumerate(event.fills, event.first_trade_id)
                ]

    def note_dead(self) -> None:
        """Mark indicative prices stale where orders have died: time alone changed them."""
        for watched in self._watched.values():
            if watched.wants(Channel.STATUS) and watched.book.dead_ns():
                watched.notice()

    def make_up(self, time_ns: int) -> list[tuple[int, int, bytes]]:
        """Return the rows that were late, in a batch that changes nothing; see `updates`."""
        late, self._changed[:] = sorted(self._changed, key=_instrument_of), []
        room = self.limits.made_up_levels
        for watched in late:
            if room <= 0:
                break
            room -= crossing_levels(watched.book)
            watched.find_indicative(time_ns)
            self._changed.append(watched)
        rest = late[len(self._changed) :]
        rows = self.updates(time_ns)
        self._changed += rest
        return rows

    def updates(self, time_ns: int) -> list[tuple[int, int, bytes]]:
        """Return (instrument, channel, frames) of everything that the batch changed, sorted.

        Channel 0 stands for all channels of an instrument that was delisted; nothing more follows.
        """
        rows = [(instrument_id, 0, b"") for instrument_id in self._ended]
        self._ended.clear()
        changed, self._changed[:] = sorted(self._changed, key=_instrument_of), []
        for watched in changed:
            instrument_id = watched.book.instrument.instrument_id
            for channel, updates in _updates(watched, time_ns):
                frames = b"".join([frame(encode(update)) for update in updates])
                if frames:
                    rows.append((instrument_id, channel, frames))
            watched.settle()
            if watched.is_late:
                watched.notice()
        rows.sort()
        return rows


def _updates(watched: _Watched, time_ns: int) -> Iterator[tuple[Channel, Iterator[MarketUpdate]]]:
    """Yield the updates of each wanted channel that has any."""
    changed = bool(watched.record)
    if changed and watched.wants(Channel.BEST):
        yield Channel.BEST, _best_updates(watched, time_ns)
    if changed and watched.wants(Channel.LEVELS):
        yield Channel.LEVELS, _levels_updates(watched, time_ns)
    if changed and watched.wants(Channel.ORDERS):
        yield Channel.ORDERS, _orders_updates(watched, time_ns)
    if watched.trades and watched.wants(Channel.TRADES):
        yield Channel.TRADES, _trades_updates(watched, time_ns)
    if watched.wants(Channel.STATUS):
        yield Channel.STATUS, _status_updates(watched, time_ns)


def _best_updates(watched: _Watched, time_ns: int) -> Iterator[MarketUpdate]:
    row, book = best_row(watched.book), watched.book
    if row != watched.best:
        watched.best = row
        yield BestUpdate(0, 0, book.instrument.instrument_id, book.sequence, time_ns, *row)


def _levels_updates(watched: _Watched, time_ns: int) -> Iterator[MarketUpdate]:
    """Yield the levels that changed, in parts; each except the last takes one number per row."""
    book, first = watched.book, watched.sequence + 1
    prices: tuple[set[int], set[int]] = (set(), set())
    for _, side, _, price, _ in watched.record:
        prices[side - 1].add(price)
    rows = [(Side.BUY, row) for row in book.bids.changed_levels(prices[0])]
    rows += [(Side.SELL, row) for row in book.asks.changed_levels(prices[1])]
    for start in range(0, len(rows), watched.limits.changes):
        part = rows[start : start + watched.limits.changes]
        is_last = start + len(part) == len(rows)
        last = book.sequence if is_last else first + len(part) - 1
        yield LevelsUpdate(
            0, 0, book.instrument.instrument_id, first, last, time_ns,
            [row for side, row in part if side is Side.BUY],
            [row for side, row in part if side is Side.SELL],
            checksum(book) if is_last else None,
        )  # fmt: skip
        first = last + 1


def _orders_updates(watched: _Watched, time_ns: int) -> Iterator[MarketUpdate]:
    book, record, first = watched.book, watched.record, watched.sequence + 1
    for start in range(0, len(record), watched.limits.changes):
        part = record[start : start + watched.limits.changes]
        last = first + len(part) - 1
        yield OrdersUpdate(
            0, 0, book.instrument.instrument_id, first, last, time_ns, part,
            checksum(book) if last == book.sequence else None,
        )  # fmt: skip
        first = last + 1


def _trades_updates(watched: _Watched, time_ns: int) -> Iterator[MarketUpdate]:
    book, trades = watched.book, watched.trades
    previous_trade_id = watched.last_trade_id
    for start in range(0, len(trades), watched.limits.changes):
        part = trades[start : start + watched.limits.changes]
        yield TradesUpdate(
            0, 0, book.instrument.instrument_id, book.sequence, time_ns, previous_trade_id, part
        )
        previous_trade_id = part[-1][0]


def _status_updates(watched: _Watched, time_ns: int) -> Iterator[MarketUpdate]:
    book = watched.book
    if not watched.in_call or watched.is_due(time_ns):
        watched.find_indicative(time_ns)
    row = status_row(book, watched.indicative)
    if row != watched.status:
        watched.status = row
        yield StatusUpdate(0, 0, book.instrument.instrument_id, book.sequence, time_ns, *row)


# --- what a book is now -------------------------------------------------------------------------


def best_row(book: OrderBook) -> tuple[int, int, int, int]:
    """Return the best bid and ask with their shown quantities, 0 for an empty side."""
    bid, ask = book.bids.best, book.asks.best
    return (
        bid.price if bid is not None else 0,
        bid.quantity if bid is not None else 0,
        ask.price if ask is not None else 0,
        ask.quantity if ask is not None else 0,
    )


def status_row(book: OrderBook, indicative: Clearing) -> tuple[int, ...]:
    """Return the fields of a status update, from `status` on."""
    band = book.band() if book.instrument.band_ppm else (0, 0)
    return (int(book.status), book.last_price, *band, *indicative)
