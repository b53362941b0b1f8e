"""Unfinished work of the compiled core, and its turns, against the reference's."""

from collections import Counter
from random import Random

import pytest

from hpe.core.trading.order_states import QUEUED, WAITING
from hpe.core.trading.orders import Order, Terms
from hpe.core.trading.triggers import Firing
from hpe.core.trading.turns import Turns
from hpe.core.trading.work import UncrossInProgress, row_of
from hpe.protocol.enums import InstrumentStatus, OrderType, Side, TimeInForce
from tests.unit.core.parts import new_book

STEPS = 3_000
INSTRUMENTS = range(1, 6)


def stop_of(order_id, side, stop_price):
    order = Order(
        order_id, 1, 0, 1, side, OrderType.STOP_LIMIT, TimeInForce.GTC, 1, 1, 1, 0, 0, None, None,
        None, None, terms=Terms(stop_price=stop_price, place=order_id),
    )  # fmt: skip
    order.state = WAITING
    return order


def state_of(work):
    if work is None:
        return None
    lines = [[row[2].order_id for row in line] for line in work.lines if line]
    turns, prices = (
        [stop.order_id for stop in work.orders()],
        [each.prices for each in work.firings],
    )
    return work.queued, work.is_open, lines, len(work.lines), turns, prices


class BothTurns:
    """The same unfinished work in both cores."""

    def __init__(self, work):
        self.compiled, self.reference = work.Turns(), Turns()
        self.books = {each: new_book(number=each) for each in INSTRUMENTS}
        self.served = []

    def fire(self, number, random):
        prices = [random.randint(1, 99) for _ in range(random.choice((1, 3, 14, 15, 16, 40)))]
        self.reference.of(self.books[number]).firings.append(Firing(prices))
        self.compiled.fire(number, prices)

    def file(self, number, random, order_id):
        """File stops as the first firing does, which ends with its second side."""
        side, work = random.choice(list(Side)), self.books[number].work
        stops = [
            stop_of(order_id * 10 + each, side, random.randint(1, 9))
            for each in range(random.randint(0, 4))
        ]
        rows, is_last = sorted(row_of(stop)[:2] for stop in stops), random.random() < 0.6
        work.file([row_of(stop) for stop in stops], is_last)
        self.compiled.file(number, [(first, place, place) for first, place in rows], is_last)
        work.firings[0].side += is_last
        if work.firings[0].is_done:
            work.firings.popleft()
            self.compiled.end_firing(number)

    def turn(self, number, random):
        """Let the first stop have its turn, or end any other."""
        work = self.books[number].work
        stop = work.first_stop()
        assert self.compiled.first_stop(number) == stop.order_id
        if random.random() < 0.4:
            stop = random.choice(list(work.orders()))
        work.remove(stop)
        self.compiled.remove(number, stop.order_id)

    def special(self, number, random):
        work, value = self.reference.of(self.books[number]), random.random() < 0.4
        if random.random() < 0.5:
            work.interrupted = value
            self.compiled.interrupt(number, value)
        else:
            status = InstrumentStatus.TRADING
            work.uncrossing = UncrossInProgress(1, 1, 1, status) if value else None
            self.compiled.uncross(number, value)

    def review(self, number):
        book = self.books[number]
        self.reference.review(book)
        self.compiled.review(number)

    def step(self, random, order_id):
        number, choice = random.choice(INSTRUMENTS), random.random()
        book = self.books[number]
        if choice < 0.3 and book.work is not None and book.work.firings:
            self.file(number, random, order_id)
        elif choice < 0.65 and book.work is not None and book.work.queued:
            self.turn(number, random)
        elif choice < 0.75:
            self.fire(number, random)
        elif choice < 0.85:
            self.special(number, random)
        elif choice < 0.9:
            book.set_status(random.choice(list(InstrumentStatus)))
            self.compiled.set_status(number, book.status)
        elif choice < 0.92:
            self.reference.forget(book)
            self.compiled.forget(number)
        self.review(number)

    def compare(self):
        self.reference.check()
        assert self.compiled.count == self.reference.count
        assert self.compiled.works() == [(number, work.listed) for number, work in self.reference]
        pieces = firings = 0
        for number, book in self.books.items():
            assert self.compiled.state(number) == state_of(book.work)
            for firing in book.work.firings if book.work is not None else ():
                pieces += -(-len(firing.prices) // 15)
                firings += 1
        used = pieces, firings, len(self.reference.books)
        assert self.compiled.records_used() == used
        if self.reference.count:
            self.served.append(self.reference.next_served().instrument.instrument_id)
            assert self.compiled.next_served() == self.served[-1]

    def restored(self, work):
        """Return the same lines as they come from a dump."""
        both = BothTurns(work)
        for number, one in self.reference:
            for line, rows in enumerate(filter(None, one.lines), 1):
                for _, _, stop in rows:
                    terms = stop.terms
                    copy = stop_of(stop.order_id, stop.side, terms.stop_price)
                    copy.state = QUEUED
                    both.reference.of(both.books[number]).restore(copy, line)
                    row = stop.order_id, stop.side, terms.stop_price, terms.place, line
                    both.compiled.restore(number, *row)
            both.review(number)
        return both


@pytest.mark.parametrize("seed", range(4))
def test_unfinished_work_is_the_references(work, seed):
    random, both, lines = Random(seed), BothTurns(work), Counter()
    for order_id in range(1, STEPS + 1):
        both.step(random, order_id)
        both.compare()
        if order_id % 100 == 0:
            again = both.restored(work)
            again.compare()
            lines.update(len(one.lines) for _, one in again.reference)
    assert set(both.served) == set(INSTRUMENTS)
    assert max(lines) > 2
