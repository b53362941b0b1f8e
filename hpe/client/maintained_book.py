"""A client's copy of an order book: snapshot, updates, checksum. No I/O, no waiting.

Owns what is known of the book and judges every message about it; one task uses a book.
Guarantees: a book is exactly the server's, from the best price to the worst one of its snapshot
(everything, if the server said that there is no more), or `apply` says that it cannot be: a gap
in book_sequence, or a checksum that does not match. What is beyond the snapshot is not kept: its
levels may have orders that were never reported. Source: protocol.md, "Market data".
"""

from __future__ import annotations

import struct
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from enum import Enum, auto
from itertools import islice
from typing import Final, Generic, Protocol, TypeVar

from sortedcontainers import SortedDict

from hpe.protocol.enums import BookChange, Side
from hpe.protocol.limits import CHECKSUM_LEVELS
from hpe.protocol.market_data import (
    BookChangeRow,
    BookLevel,
    BookOrderRow,
    LevelsUpdate,
    OrdersSnapshot,
    OrdersUpdate,
    Subscribed,
)

_CHECKED: Final = struct.Struct(f">{4 * CHECKSUM_LEVELS}q")

PriceQuantity = tuple[int, int]
"""Price in ticks, shown quantity in lots."""


class Verdict(Enum):
    """The outcome of an update."""

    APPLIED = auto()
    IGNORED = auto()
    GAP = auto()
    MISMATCH = auto()


def book_checksum(bids: Sequence[PriceQuantity], asks: Sequence[PriceQuantity]) -> int:
    """Return the checksum of a book: CRC-32 over the best levels of both sides, best first."""
    numbers: list[int] = []
    for side in (bids, asks):
        best = side[:CHECKSUM_LEVELS]
        for row in best:
            numbers += row
        numbers += (0, 0) * (CHECKSUM_LEVELS - len(best))
    return zlib.crc32(_CHECKED.pack(*numbers))


class _Level(Protocol):
    """A price level: what both kinds of books know of it."""

    @property
    def quantity(self) -> int:
        """Shown lots."""

    @property
    def orders(self) -> int:
        """The number of orders resting there."""


_L = TypeVar("_L", bound=_Level)


class _Total:
    """A level whose orders are not known."""

    __slots__ = ("orders", "quantity")

    def __init__(self, quantity: int, orders: int) -> None:
        self.quantity = quantity
        self.orders = orders


class _Queue:
    """A level with its orders, in queue order: order id -> shown lots."""

    __slots__ = ("line", "quantity")

    def __init__(self) -> None:
        self.quantity = 0
        self.line: dict[int, int] = {}

    @property
    def orders(self) -> int:
        return len(self.line)


class _BookSide(Generic[_L]):
    """The known levels of one side. A rank is the price, negated for bids: lower is better."""

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._worst: int | None = None
        self._full = 0
        self.levels: SortedDict[int, _L] = SortedDict()

    def begin(self) -> None:
        """Forget everything before a snapshot is loaded."""
        self.levels.clear()

    def end(self, *, more: bool) -> None:
        """Complete the snapshot; `more`: the side continues beyond it."""
        self._full = len(self.levels)
        self._worst = None
        if more:  # without a level nothing is known of a side: then every price is beyond
            self._worst = self.levels.peekitem(-1)[0] if self.levels else -(2**63)

    def rank(self, price: int) -> int:
        """Return the sort key of a price."""
        return self._sign * price

    def knows(self, price: int) -> bool:
        """True if a price is not beyond the snapshot."""
        return self._worst is None or self._sign * price <= self._worst

    @property
    def shallow(self) -> bool:
        """True if so little of a side is left that another snapshot is needed."""
        return self._worst is not None and 4 * len(self.levels) < self._full

    @property
    def provable(self) -> bool:
        """True if everything that the checksum covers is known."""
        return self._worst is None or len(self.levels) >= CHECKSUM_LEVELS

    def rows(self, count: int | None) -> list[BookLevel]:
        """Return levels, best first."""
        return [
            (self._sign * rank, level.quantity, level.orders)
            for rank, level in islice(self.levels.items(), count)
        ]

    def best(self) -> list[PriceQuantity]:
        """Return the part that the checksum covers."""
        return [
            (self._sign * rank, level.quantity)
            for rank, level in islice(self.levels.items(), CHECKSUM_LEVELS)
        ]


class MaintainedBook(ABC, Generic[_L]):
    """The parts that both kinds of books share.

    Attributes:
        sequence: book_sequence of the newest change in the book.
        time_ns: the time of that change.
    """

    def __init__(self) -> None:
        self.sequence = 0
        self.time_ns = 0
        self._bids: _BookSide[_L] = _BookSide(-1)
        self._asks: _BookSide[_L] = _BookSide(1)

    def bids(self, count: int | None = None) -> list[BookLevel]:
        """Return the best `count` bid levels, or all that are known."""
        return self._bids.rows(count)

    def asks(self, count: int | None = None) -> list[BookLevel]:
        """Return the best `count` ask levels, or all that are known."""
        return self._asks.rows(count)

    def checksum(self) -> int:
        """Return the checksum of the known book."""
        return book_checksum(self._bids.best(), self._asks.best())

    @property
    def shallow(self) -> bool:
        """True if less than a quarter of the snapshot is left on a side that has more."""
        return self._bids.shallow or self._asks.shallow

    def load(self, subscribed: Subscribed) -> Verdict:
        """Start over with a snapshot: APPLIED, or MISMATCH if its checksum does not match."""
        self._bids.begin()
        self._asks.begin()
        checksum = self._fill(subscribed)
        self._bids.end(more=subscribed.more_bids)
        self._asks.end(more=subscribed.more_asks)
        return self._prove(checksum)

    def apply(self, update: LevelsUpdate | OrdersUpdate) -> Verdict:
        """Apply an update; after GAP and MISMATCH the book is worthless until `load`."""
        known = self.sequence
        if update.last <= known:
            return Verdict.IGNORED
        if update.first > known + 1:
            return Verdict.GAP
        if not self._change(update):
            return Verdict.MISMATCH
        self.sequence, self.time_ns = update.last, update.time_ns
        return self._prove(update.checksum)

    def _prove(self, checksum: int | None) -> Verdict:
        if checksum is None or not (self._bids.provable and self._asks.provable):
            return Verdict.APPLIED
        return Verdict.APPLIED if checksum == self.checksum() else Verdict.MISMATCH

    @abstractmethod
    def _fill(self, subscribed: Subscribed) -> int | None:
        """Load a snapshot's rows; return its checksum."""

    @abstractmethod
    def _change(self, update: LevelsUpdate | OrdersUpdate) -> bool:
        """Apply an update's rows; False if they do not fit what is known."""


class LevelsBook(MaintainedBook[_Total]):
    """A book of price levels, from the channel `levels`."""

    def _fill(self, subscribed: Subscribed) -> int | None:
        snapshot = subscribed.snapshot
        assert isinstance(snapshot, LevelsUpdate)
        self.sequence, self.time_ns = snapshot.last, snapshot.time_ns
        for side, rows in ((self._bids, snapshot.bids), (self._asks, snapshot.asks)):
            for price, quantity, orders in rows:
                side.levels[side.rank(price)] = _Total(quantity, orders)
        return snapshot.checksum

    def _change(self, update: LevelsUpdate | OrdersUpdate) -> bool:
        assert isinstance(update, LevelsUpdate)
        self._set(self._bids, update.bids)
        self._set(self._asks, update.asks)
        return True

    @staticmethod
    def _set(side: _BookSide[_Total], rows: Iterable[BookLevel]) -> None:
        for price, quantity, orders in rows:
            if not quantity:
                side.levels.pop(side.rank(price), None)
            elif side.knows(price):
                side.levels[side.rank(price)] = _Total(quantity, orders)


class OrdersBook(MaintainedBook[_Queue]):
    """A book of single orders, from the channel `orders`."""

    def __init__(self) -> None:
        super().__init__()
        self._known: set[int] = set()  # ids of the orders in the book

    def orders(self, side: Side) -> list[BookOrderRow]:
        """Return the known orders of a side: best price first, then in queue order."""
        known = self._bids if side is Side.BUY else self._asks
        return [
            (order_id, known.rank(rank), quantity)  # the rank of a rank is the price
            for rank, queue in known.levels.items()
            for order_id, quantity in queue.line.items()
        ]

    def _fill(self, subscribed: Subscribed) -> int:
        snapshot = subscribed.snapshot
        assert isinstance(snapshot, OrdersSnapshot)
        self.sequence, self.time_ns = snapshot.last, snapshot.time_ns
        self._known.clear()
        for side, rows in ((self._bids, snapshot.bids), (self._asks, snapshot.asks)):
            for order_id, price, quantity in rows:
                self._add(side, order_id, price, quantity)
        return snapshot.checksum

    def _change(self, update: LevelsUpdate | OrdersUpdate) -> bool:
        assert isinstance(update, OrdersUpdate)
        if len(update.changes) != update.last - update.first + 1:
            return False
        rows = update.changes[self.sequence + 1 - update.first :]
        return all(self._change_one(row) for row in rows)

    def _change_one(self, row: BookChangeRow) -> bool:
        change, side_number, order_id, price, quantity = row
        side = self._bids if side_number == Side.BUY else self._asks
        if not side.knows(price):
            return True
        if change == BookChange.ADDED:
            if order_id in self._known:
                return False
            self._add(side, order_id, price, quantity)
            return True
        queue = side.levels.get(side.rank(price))
        if queue is None or order_id not in queue.line:
            return False
        queue.quantity += quantity - queue.line[order_id]
        if change == BookChange.CHANGED:
            queue.line[order_id] = quantity
            return True
        del queue.line[order_id]
        self._known.remove(order_id)
        if not queue.line:
            del side.levels[side.rank(price)]
        return True

    def _add(self, side: _BookSide[_Queue], order_id: int, price: int, quantity: int) -> None:
        self._known.add(order_id)
        queue = side.levels.setdefault(side.rank(price), _Queue())
        queue.line[order_id] = quantity
        queue.quantity += quantity
