"""The maintained book against a plain list of orders: snapshots, updates, gaps, the boundary."""

import struct
import zlib
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpe.client.maintained_book import LevelsBook, OrdersBook, Verdict, book_checksum
from hpe.protocol.enums import BookChange, Channel, Side
from hpe.protocol.market_data import (
    BookChangeRow,
    BookLevel,
    BookOrderRow,
    LevelsUpdate,
    OrdersSnapshot,
    OrdersUpdate,
    Subscribed,
)

PAIR = 1


class Truth:
    """The server's book as a list of orders: (order id, side, price, quantity), in queue order."""

    def __init__(self) -> None:
        self.orders: list[tuple[int, int, int, int]] = []
        self.sequence = 0
        self.changes: list[BookChangeRow] = []
        self.touched: set[tuple[int, int]] = set()
        self._ids = 0

    def _note(self, change: BookChange, side: int, order_id: int, price: int, left: int) -> None:
        self.sequence += 1
        self.changes.append((change, side, order_id, price, left))
        self.touched.add((side, price))

    def add(self, side: int, price: int, quantity: int) -> None:
        self._ids += 1
        self.orders.append((self._ids, side, price, quantity))
        self._note(BookChange.ADDED, side, self._ids, price, quantity)

    def reduce(self, index: int) -> None:
        order_id, side, price, quantity = self.orders[index]
        if quantity == 1:
            self.remove(index)
            return
        self.orders[index] = (order_id, side, price, quantity - 1)
        self._note(BookChange.CHANGED, side, order_id, price, quantity - 1)

    def remove(self, index: int) -> None:
        order_id, side, price, _ = self.orders.pop(index)
        self._note(BookChange.REMOVED, side, order_id, price, 0)

    def levels(self, side: int) -> list[BookLevel]:
        prices = {price for _, of, price, _ in self.orders if of == side}
        best_first = sorted(prices, reverse=side == Side.BUY)
        return [(price, *self.level(side, price)) for price in best_first]

    def level(self, side: int, price: int) -> tuple[int, int]:
        there = [row[3] for row in self.orders if row[1:3] == (side, price)]
        return sum(there), len(there)

    def rows(self, side: int, prices: Sequence[int]) -> list[BookOrderRow]:
        return [
            (order_id, price, quantity)
            for wanted in prices
            for order_id, of, price, quantity in self.orders
            if (of, price) == (side, wanted)
        ]

    def checksum(self) -> int:
        numbers: list[int] = []
        for side in Side:
            best = [row[:2] for row in self.levels(side)][:10]
            numbers += [number for row in best for number in row] + [0] * (20 - 2 * len(best))
        return zlib.crc32(b"".join(struct.pack(">q", number) for number in numbers))

    def flush(self) -> tuple[LevelsUpdate, OrdersUpdate]:
        """Return what changed since the last time, in both forms."""
        first, last, checksum = (
            self.sequence - len(self.changes) + 1,
            self.sequence,
            self.checksum(),
        )
        rows = [
            [(price, *self.level(of, price)) for of, price in sorted(self.touched) if of == side]
            for side in Side
        ]
        levels = LevelsUpdate(0, 0, PAIR, first, last, last, rows[0], rows[1], checksum)
        orders = OrdersUpdate(0, 0, PAIR, first, last, last, self.changes, checksum)
        self.changes, self.touched = [], set()
        return levels, orders

    def snapshot(self, channel: Channel, depth: int) -> Subscribed:
        bids, asks = self.levels(Side.BUY), self.levels(Side.SELL)
        more = (len(bids) > depth, len(asks) > depth)
        bids, asks = bids[:depth], asks[:depth]
        checksum, last = self.checksum(), self.sequence
        told: LevelsUpdate | OrdersSnapshot
        if channel is Channel.LEVELS:
            told = LevelsUpdate(0, 0, PAIR, 0, last, last, bids, asks, checksum)
        else:
            sides = [
                self.rows(side, [row[0] for row in levels])
                for side, levels in ((Side.BUY, bids), (Side.SELL, asks))
            ]
            told = OrdersSnapshot(0, 0, PAIR, last, last, *sides, checksum)
        return Subscribed(1, 0, last, 0, PAIR, channel, told, *more)


actions = st.lists(
    st.tuples(st.sampled_from("aaardc"), st.integers(0, 10**6), st.integers(0, 10**6)),
    max_size=120,
)


def act(truth: Truth, action: tuple[str, int, int]) -> None:
    """Add within ten prices of 100 on the side that does not cross, reduce or remove."""
    kind, where, size = action
    if kind == "a" or not truth.orders:
        side = Side.BUY if where % 2 else Side.SELL
        away = 1 + where % 13
        truth.add(side, 100 - away if side is Side.BUY else 100 + away, 1 + size % 5)
    elif kind == "r":
        truth.reduce(where % len(truth.orders))
    elif kind == "d":
        truth.remove(where % len(truth.orders))


def known_levels(book: LevelsBook | OrdersBook) -> list[list[BookLevel]]:
    return [book.bids(), book.asks()]


@settings(max_examples=150, deadline=None)
@given(actions, st.integers(1, 14), st.sampled_from([Channel.LEVELS, Channel.ORDERS]))
def test_a_book_is_the_servers_down_to_the_worst_price_of_its_snapshot(
    steps: list[tuple[str, int, int]], depth: int, channel: Channel
) -> None:
    truth = Truth()
    book: Any = LevelsBook() if channel is Channel.LEVELS else OrdersBook()
    start = truth.snapshot(channel, depth)
    assert book.load(start) is Verdict.APPLIED
    for number, step in enumerate(steps):
        act(truth, step)
        if step[0] == "c" and truth.changes:  # a batch ends
            levels, orders = truth.flush()
            update = levels if channel is Channel.LEVELS else orders
            assert book.apply(update) is Verdict.APPLIED
            assert book.apply(update) is Verdict.IGNORED
            check(truth, book, start)
        elif step[0] == "c" and number % 3 == 0:
            start = truth.snapshot(channel, depth)
            assert book.load(start) is Verdict.APPLIED
            check(truth, book, start)


def check(truth: Truth, book: LevelsBook | OrdersBook, start: Subscribed) -> None:
    assert book.sequence == truth.sequence
    snapshot: Any = start.snapshot
    at = 0 if isinstance(snapshot, LevelsUpdate) else 1
    for side, rows, more, known in (
        (Side.BUY, snapshot.bids, start.more_bids, book.bids()),
        (Side.SELL, snapshot.asks, start.more_asks, book.asks()),
    ):
        sign = -1 if side is Side.BUY else 1
        worst = max((sign * row[at] for row in rows), default=0) if more else 10**9
        expected = [row for row in truth.levels(side) if sign * row[0] <= worst]
        assert known == expected
        if isinstance(book, OrdersBook):
            assert book.orders(side) == truth.rows(side, [row[0] for row in expected])


def test_a_missing_update_is_a_gap() -> None:
    for book, index in ((LevelsBook(), 0), (OrdersBook(), 1)):
        truth = Truth()
        book.load(truth.snapshot(Channel.ORDERS if index else Channel.LEVELS, 5))
        truth.add(Side.BUY, 99, 1)
        first = truth.flush()[index]
        truth.add(Side.BUY, 98, 1)
        second = truth.flush()[index]
        assert book.apply(second) is Verdict.GAP
        assert book.apply(first) is Verdict.APPLIED
        assert book.apply(second) is Verdict.APPLIED


def test_an_update_from_before_and_after_the_snapshot_is_taken_in_part() -> None:
    truth = Truth()
    for price in (99, 98, 97):
        truth.add(Side.BUY, price, 2)
    levels, orders = LevelsBook(), OrdersBook()
    levels.load(truth.snapshot(Channel.LEVELS, 50))
    orders.load(truth.snapshot(Channel.ORDERS, 50))
    truth.add(Side.SELL, 101, 1)
    merged_levels, merged_orders = truth.flush()
    assert merged_orders.first == 1
    assert levels.apply(merged_levels) is orders.apply(merged_orders) is Verdict.APPLIED
    assert levels.bids() == orders.bids() == truth.levels(Side.BUY)
    assert levels.asks() == orders.asks() == [(101, 1, 1)]


def test_a_wrong_checksum_is_found_where_it_can_be_proved() -> None:
    truth = Truth()
    for price in range(1, 41):
        truth.add(Side.BUY, price, 1)
    truth.flush()
    shallow, deep = LevelsBook(), LevelsBook()
    shallow.load(truth.snapshot(Channel.LEVELS, 9))
    deep.load(truth.snapshot(Channel.LEVELS, 10))
    wrong = LevelsUpdate(0, 0, PAIR, 41, 41, 1, [(40, 7, 1)], [], 12345)
    assert deep.apply(wrong) is Verdict.MISMATCH
    assert shallow.apply(wrong) is Verdict.APPLIED  # it knows nine of the ten levels
    parts = LevelsBook()
    parts.load(truth.snapshot(Channel.LEVELS, 20))
    part = LevelsUpdate(0, 0, PAIR, 41, 41, 1, [(40, 7, 1)], [], None)
    assert parts.apply(part) is Verdict.APPLIED
    snapshot = truth.snapshot(Channel.LEVELS, 20)
    assert isinstance(snapshot.snapshot, LevelsUpdate)
    snapshot.snapshot.bids[0] = (40, 2, 1)
    assert parts.load(snapshot) is Verdict.MISMATCH


@pytest.mark.parametrize(
    "row",
    [
        (BookChange.ADDED, Side.BUY, 1, 98, 1),  # known already
        (BookChange.CHANGED, Side.BUY, 1, 98, 1),  # at another price
        (BookChange.CHANGED, Side.BUY, 3, 99, 1),  # unknown
        (BookChange.REMOVED, Side.SELL, 1, 99, 0),  # on the other side
    ],
)
def test_changes_that_do_not_fit_are_a_mismatch(row: BookChangeRow) -> None:
    truth = Truth()
    truth.add(Side.BUY, 99, 1)
    truth.add(Side.SELL, 99, 1)  # as in a call
    truth.flush()
    book = OrdersBook()
    book.load(truth.snapshot(Channel.ORDERS, 5))
    assert book.apply(OrdersUpdate(0, 0, PAIR, 3, 3, 1, [row], None)) is Verdict.MISMATCH


def test_as_many_changes_as_the_range_says() -> None:
    book = OrdersBook()
    book.load(Truth().snapshot(Channel.ORDERS, 5))
    row = (BookChange.ADDED, Side.BUY, 1, 98, 1)
    assert book.apply(OrdersUpdate(0, 0, PAIR, 1, 2, 1, [row], None)) is Verdict.MISMATCH


def test_a_side_that_has_more_is_shallow_below_a_quarter_of_its_snapshot() -> None:
    truth = Truth()
    for price in range(1, 61):
        truth.add(Side.BUY, price, 1)
    truth.flush()
    book = LevelsBook()
    book.load(truth.snapshot(Channel.LEVELS, 40))
    for gone in range(60, 30, -1):
        truth.remove([row[2] for row in truth.orders].index(gone))
        assert book.apply(truth.flush()[0]) is Verdict.APPLIED
        assert not book.shallow
    truth.remove([row[2] for row in truth.orders].index(30))
    book.apply(truth.flush()[0])
    assert book.shallow
    book.load(truth.snapshot(Channel.LEVELS, 40))
    assert not book.shallow  # everything is known: however little there is, it is all


def test_a_side_of_which_nothing_fits_the_snapshot_is_not_known_at_all() -> None:
    book = OrdersBook()
    snapshot = OrdersSnapshot(0, 0, PAIR, 7, 1, [], [], 99)
    assert book.load(Subscribed(1, 0, 7, 0, PAIR, 3, snapshot, True, False)) is Verdict.APPLIED
    rows = [(BookChange.ADDED, Side.BUY, 8, 98, 1), (BookChange.ADDED, Side.SELL, 9, 99, 1)]
    assert book.apply(OrdersUpdate(0, 0, PAIR, 8, 9, 1, rows, 5)) is Verdict.APPLIED
    assert known_levels(book) == [[], [(99, 1, 1)]]
    assert not book.shallow


def test_the_checksum_is_that_of_the_protocol() -> None:
    assert book_checksum([], []) == zlib.crc32(bytes(320))
    rows = [(price, 1) for price in range(12)]
    assert book_checksum(rows, rows) == book_checksum(rows[:10], rows[:10])
    assert book_checksum(rows, []) != book_checksum([], rows)
