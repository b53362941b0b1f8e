"""The naive book of the tests is the second opinion, so it has tests of its own."""

from __future__ import annotations

import pytest

from hpe.orderflow.files import Book, Command, Op, Outcome, RecordedFill
from hpe.protocol.enums import Side
from tests.support.naive_book import NaiveBook

CALL = Command(1, Op.CALL, 0, Side.BUY, 0, 0)
UNCROSS = Command(1, Op.UNCROSS, 0, Side.BUY, 0, 0)


def test_the_naive_book_keeps_price_time_priority() -> None:
    book = NaiveBook()
    for command in (
        Command(1, Op.LIMIT, 1, Side.BUY, 5, 100),
        Command(2, Op.LIMIT, 2, Side.BUY, 5, 101),
        Command(3, Op.LIMIT, 3, Side.BUY, 5, 101),
        Command(4, Op.REDUCE, 2, Side.BUY, 2, 101),
    ):
        book.apply(command)
    assert book.apply(Command(5, Op.POST_ONLY, 4, Side.SELL, 1, 101)) == Outcome(False, [], 0)
    sweep = book.apply(Command(6, Op.IMMEDIATE, 5, Side.SELL, 20, 100))
    assert sweep == Outcome(
        True, [RecordedFill(2, 3, 101), RecordedFill(3, 5, 101), RecordedFill(1, 5, 100)], 7
    )
    assert book.book() == Book([], [])
    assert book.resting() == 0


def in_call(*commands: Command) -> NaiveBook:
    """Return a book in a call that got these orders."""
    book = NaiveBook()
    for command in (CALL, *commands):
        assert book.apply(command) == Outcome(True, [], 0)
    return book


def buy(order_id: int, quantity: int, price: int) -> Command:
    return Command(order_id, Op.LIMIT, order_id, Side.BUY, quantity, price)


def sell(order_id: int, quantity: int, price: int) -> Command:
    return Command(order_id, Op.LIMIT, order_id, Side.SELL, quantity, price)


def test_nothing_trades_in_a_call_of_the_naive_book() -> None:
    book = in_call(buy(1, 5, 101), sell(2, 5, 99), Command(3, Op.MODIFY, 1, Side.BUY, 6, 102))
    assert book.book() == Book([(102, 6)], [(99, 5)])
    for op in (Op.IMMEDIATE, Op.POST_ONLY):
        assert book.apply(Command(4, op, 4, Side.BUY, 1, 1)) == Outcome(False, [], 0)
    assert book.apply(Command(5, Op.CONTINUOUS, 0, Side.BUY, 0, 0)) == Outcome(False, [], 0)
    assert book.apply(CALL) == Outcome(True, [], 0)


def test_an_uncross_of_the_naive_book_trades_by_price_then_time() -> None:
    book = in_call(
        buy(1, 5, 101), buy(2, 5, 102), buy(3, 5, 101), sell(4, 7, 100), sell(5, 1, 99),
        sell(6, 9, 103),
    )  # fmt: skip
    outcome = book.apply(UNCROSS)
    # Most volume at 100 and 101, surplus 7 bought at both: the highest of them.
    fills = [(2, 1), (5, 1), (2, 4), (4, 4), (1, 3), (4, 3)]
    assert outcome == Outcome(True, [RecordedFill(*fill, 101) for fill in fills], 0, (101, 8))
    assert book.book() == Book([(101, 7)], [(103, 9)])
    assert book.apply(UNCROSS) == Outcome(False, [], 0)
    assert book.apply(sell(7, 2, 101)) == Outcome(True, [RecordedFill(1, 2, 101)], 0)


@pytest.mark.parametrize(
    ("orders", "auction"),
    [
        ([], (0, 0)),
        ([buy(1, 5, 99), sell(2, 5, 100)], (0, 0)),
        ([buy(1, 9, 102), sell(2, 5, 100)], (102, 5)),
        ([buy(1, 5, 102), sell(2, 9, 100)], (100, 5)),
        ([buy(1, 5, 103), sell(2, 5, 100)], (101, 5)),
        # Volume 5 at 100, 101 and 102, with a surplus of 3, 1 and -2.
        (
            [buy(1, 5, 102), buy(2, 1, 101), buy(3, 2, 100), sell(4, 5, 100), sell(5, 2, 102)],
            (101, 5),
        ),
        ([buy(1, 9, 103), buy(2, 1, 101), sell(3, 5, 100), sell(4, 3, 102)], (103, 8)),
    ],
)
def test_the_auction_price_of_the_naive_book(
    orders: list[Command], auction: tuple[int, int]
) -> None:
    assert in_call(*orders).apply(UNCROSS).auction == auction
