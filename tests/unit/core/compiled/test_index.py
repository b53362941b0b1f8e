"""The index of orders of the compiled core against the reference's."""

from bisect import bisect_right
from collections import Counter
from itertools import islice
from random import Random

import pytest
from sortedcontainers import SortedList

from hpe.core.context.holders import Holder
from hpe.core.contract import Limits
from hpe.core.timers import ORDER, Timers
from hpe.core.trading.order_index import OrderIndex
from hpe.core.trading.order_states import ENDED
from hpe.core.trading.orders import Terms
from hpe.protocol.enums import ExecType, Liquidity, OrderStatus, Side
from hpe.protocol.limits import INT_MAX
from hpe.protocol.reports import ExecutionReport
from tests.unit.core.parts import new_book, new_order

STEPS = 3_000
USERS = (1, 2, 2**40, INT_MAX - 1)
SESSIONS = 3
SHORT = Limits(ended_orders=7, recent_fills=9)
LONG = Limits(ended_orders=500, recent_fills=300)
NO_FILLS = Limits(ended_orders=7, recent_fills=0)


def report_of(sequence, trade_id, fee):
    return ExecutionReport(
        0, 0, sequence, 1, 1, ExecType.TRADE, OrderStatus.FILLED, 1, 1, 0, Side.BUY,
        Liquidity.MAKER, trade_id, 1, 1, 0, 1, 2, fee,
    )  # fmt: skip


def ids_of(orders):
    return [order.order_id for order in orders]


class BothIndexes:
    """The same orders in both cores."""

    def __init__(self, indexes, limits):
        self.holders = [Holder(key) for key in (0, 4)]
        self.timers, self.limits = Timers(), limits
        self.reference = OrderIndex(self.timers, limits)
        self.compiled = indexes.Index(2, limits.ended_orders, limits.recent_fills)
        self.books = [new_book(number=number) for number in (1, 2, 2**31 - 1)]
        self.open, self.order_id, self.sequences = {}, 0, Counter()
        self.waiting = 0  # orders that are gone, and whose events were not reported
        self.seen = Counter()
        for user in USERS:
            self.reference.open_user(user, {}, self.holders[0])
            self.compiled.open_user(user)

    def accept(self, random, user, side, client_order_id):
        """Make a new order, which is not indexed yet."""
        self.order_id += random.choice((1, 1, 5))
        book, which = random.choice(self.books), random.randrange(2)
        order = new_order(book, self.order_id, side, user=user, client_order_id=client_order_id)
        order.holder = self.holders[which]
        if random.random() < 0.4:
            session_id = random.choice((0, 1, 1, 2, SESSIONS))
            order.terms = Terms(expires_ns=random.choice((0, 5, 9)), session_id=session_id)
        self.compiled.accept(order, which + 1)
        return order

    def add(self, random):
        user = random.choice(USERS)
        mine, client_order_id = self.reference.users[user], random.choice((0, 0, 1, 2, 3, INT_MAX))
        if client_order_id in mine.by_client_id:
            client_order_id = 0
        order = self.accept(random, user, random.choice(list(Side)), client_order_id)
        self.open[order.order_id] = order
        self.reference.add(order)
        self.compiled.add(order.order_id)

    def pass_by(self, random):
        """Let an order end without having been open; it is kept if it traded."""
        order = self.accept(random, random.choice(USERS), Side.BUY, random.choice((0, 1, 2)))
        kept = random.random() < 0.5
        if kept:
            self.trade(order, order.leaves)
        self.close(order)
        if kept or order.client_order_id in self.reference.users[order.user].ended_by_client_id:
            self.seen["kept"] += 1
            self.waiting += len(self.reference.ended) >= self.limits.ended_orders
            self.reference.keep(order)
            self.compiled.keep(order.order_id)
        else:
            self.waiting += 1
            self.compiled.let_go(order.order_id)

    def trade(self, order, quantity):
        order.leaves -= quantity
        order.cum += quantity
        self.compiled.trade(order.order_id, quantity)

    def close(self, order):
        order.canceled, order.leaves, order.state = order.canceled + order.leaves, 0, ENDED
        self.compiled.close(order.order_id)

    def end(self, random, order):
        if random.random() < 0.3:
            self.trade(order, random.randint(1, order.leaves))
        self.close(order)
        told, before = random.random() < 0.5, len(self.reference.ended)
        last = self.reference.ended[-1] if before else None
        self.reference.end(order, told=told)
        is_kept = bool(self.reference.ended) and self.reference.ended[-1] is not last
        self.waiting += not is_kept or before == len(self.reference.ended)
        self.compiled.end(order.order_id, told)
        del self.open[order.order_id]
        self.seen["kept" if is_kept else "gone"] += 1

    def free_gone(self):
        self.compiled.free_gone()
        self.waiting = 0

    def move_end(self, order):
        if order.terms is not None and order.terms.expires_ns:
            self.reference.move_end(order, order.terms.expires_ns + 3)
            self.compiled.move_end(order.order_id, order.terms.expires_ns)
            self.seen["moved"] += 1

    def fill(self, random):
        user = random.choice(USERS[:3])
        self.sequences[user] += random.choice((1, 1, 4))
        report = report_of(self.sequences[user], random.randrange(10**9), random.randint(-3, 3))
        self.reference.remember_fill(user, report)
        self.compiled.remember_fill(user, report)

    def compare(self, random):
        reference, compiled = self.reference, self.compiled
        reference.check()
        assert compiled.check() == 0
        assert compiled.open_count == reference.open_count
        assert compiled.ended() == ids_of(reference.ended)
        for which, holder in enumerate(self.holders, 1):
            assert compiled.of_holder(which) == holder.orders
        for session_id in range(1, SESSIONS + 1):
            theirs = reference.by_session.get(session_id, {})
            assert compiled.of_session(session_id) == list(theirs)
        first = self.timers._queues[ORDER].first()
        due = None if first is None else ((first.due[0], *first.due[2:]), first.instrument)
        assert compiled.next_due() == due
        for user in USERS:
            self.compare_user(random, user, reference.users[user])
        self.compare_records()

    def compare_user(self, random, user, mine):
        compiled, after, limit = self.compiled, random.randint(0, self.order_id), 10**6
        expected = list(mine.by_id)
        assert compiled.open_after(user, 0, limit) == expected
        pages = [order for piece in mine.open_after(after) for order in piece]
        assert compiled.open_after(user, after, 5) == ids_of(pages[:5])
        assert compiled.open_after(user, INT_MAX, limit) == []
        for book in self.books:
            instrument = book.instrument.instrument_id
            found = ids_of(islice(mine.open_of(instrument, after), 5))
            assert compiled.open_of(user, instrument, after, 5) == found
        shelves = {
            2 * instrument + (side is Side.SELL): list(shelf.rows)
            for side, filed in ((Side.BUY, mine.buys), (Side.SELL, mine.sells))
            for instrument, shelf in filed.items()
        }
        assert compiled.shelves(user) == shelves
        kept = [(each.private_sequence, each.trade_id, each.fee) for each in mine.fills]
        assert compiled.fills_after(user, 0, limit) == kept
        start = random.randint(0, self.sequences[user] + 1)
        later = [row for row in kept if row[0] > start]
        assert compiled.fills_after(user, start, 3) == later[:3]
        assert compiled.fills_forgotten(user) == mine.fills_after

    def compare_records(self):
        records, reference = self.compiled.records, self.reference
        held = [*self.open.values(), *reference.ended]
        timed = [order for order in self.open.values() if order.terms and order.terms.expires_ns]
        assert records["orders"] == len(held) + self.waiting
        assert records["timers"] == len(timed)
        assert records["terms"] >= sum(order.terms is not None for order in held)
        assert records["traded"] >= sum(order.cum > 0 for order in held)
        if not self.waiting:
            assert records["terms"] == sum(order.terms is not None for order in held)
            assert records["traded"] == sum(order.cum > 0 for order in held)
        assert records["sessions"] == len(reference.by_session)
        assert records["fills"] == len(reference.filled_users)
        assert records["shelves"] == sum(
            len(mine.buys) + len(mine.sells) for mine in reference.users.values()
        )
        assert [user for user, _ in self.compiled.fills()] == list(reference.filled_users)

    def search(self, random):
        """Look for orders by either id in both."""
        user, order_id = random.choice((*USERS, 77)), random.randint(0, self.order_id + 1)
        for client_order_id in (0, 1, 2, 3, INT_MAX):
            key = user, order_id if client_order_id == 0 else 0, client_order_id
            for name in ("find", "find_ended"):
                found = getattr(self.reference, name)(*key)
                expected = found.order_id if found is not None else 0
                assert getattr(self.compiled, name)(*key) == expected
                self.seen[name] += found is not None

    def step(self, random, grows):
        choice = random.random()
        order = self.open[random.choice(list(self.open))] if self.open else None
        if order is None or choice < (0.5 if grows else 0.2):
            self.add(random)
        elif choice < 0.6:
            self.end(random, order)
        elif choice < 0.7:
            self.pass_by(random)
        elif choice < 0.85:
            self.fill(random)
        elif choice < 0.92:
            self.move_end(order)
        else:
            self.free_gone()
        self.search(random)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("limits", [SHORT, LONG, NO_FILLS], ids=["short", "long", "no fills"])
def test_the_index_is_the_references(indexes, seed, limits):
    print(f"seed {seed}")
    random, both = Random(seed), BothIndexes(indexes, limits)
    for number in range(STEPS):
        both.step(random, grows=number % 1_500 < 1_100)
        if number < 200 or number % 10 == 0:
            both.compare(random)
    for order in list(both.open.values()):
        both.end(random, order)
    both.free_gone()
    both.compare(random)
    for name in ("kept", "gone", "moved", "find", "find_ended"):
        assert both.seen[name] > STEPS // 100, both.seen


def test_the_orders_of_a_session_that_is_gone_are_as_any(indexes):
    random, both = Random(1), BothIndexes(indexes, SHORT)
    for _ in range(60):
        both.add(random)
    assert len(both.reference.by_session) == SESSIONS
    for session_id in (2, 2):
        both.reference.by_session.pop(session_id, None)
        both.compiled.forget_session(session_id)
        both.compare(random)
    for order in list(both.open.values()):
        both.end(random, order)
        both.compare(random)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("gone", [0.1, 0.5, 0.9])
def test_a_list_begins_anywhere(indexes, seed, gone):
    print(f"seed {seed}")
    random, rising, model, newest = Random(seed), indexes.Rising(), SortedList(), 0
    for step in range(6_000):
        if model and random.random() < gone and step % 2_000 > 700:
            ends = random.choice((0, -1, random.randrange(len(model))))
            rising.take_out(model.pop(ends))
        else:
            newest += random.choice((1, 3))
            model.add(newest)
            rising.append(newest)
        if step % 7 == 0:
            number = random.randint(0, newest + 1)
            place = bisect_right(model, number)
            assert rising.first_after(number) == (model[place] if place < len(model) else 0)
            assert rising.check() == 0
    for number in list(model):
        rising.take_out(number)
        assert rising.check() == 0
    assert rising.mark_count == 0


def test_a_list_has_few_marks_even_if_what_they_mark_stays(indexes):
    rising, newest, kept = indexes.Rising(), 0, 0
    for _ in range(400):
        added = range(newest + 1, newest + 2 + indexes.PIECE)
        newest = added[-1]
        for number in added:
            rising.append(number)
        marked = [number for number in added if rising.is_marked(number)]
        for number in {*added} - {*marked}:
            rising.take_out(number)
        kept += len(marked)
        assert rising.check() == 0
    assert kept >= 400
    assert 0 < rising.mark_count < kept // 8


def test_a_newest_row_that_comes_and_goes_is_seldom_marked(indexes):
    rising = indexes.Rising()
    for number in range(1, 200):
        rising.append(number)
    marked = 0
    for number in range(200, 2_000):
        rising.append(number)
        marked += rising.is_marked(number)
        rising.take_out(number)
    assert 0 < marked < 2_000 // indexes.PIECE + 2
    assert rising.check() == 0


def test_what_records_take(indexes):
    """Bytes on a machine with 64 bits: docs/architecture.md has them."""
    assert indexes.BYTES == {
        "account": 72, "fill": 176, "level": 80, "mark": 56, "order": 128, "shelf": 64,
        "terms": 152, "traded": 24, "user": 120,
    }  # fmt: skip


def test_a_plain_order_takes_160_bytes_with_all_that_finds_it(indexes):
    """The tables are as full as at a million orders, and there are as many users and levels."""
    count, users, levels = 58_500, 585, 292
    index = indexes.Index(2, 16_384, 65_536)
    before = index.bytes_held()
    index.open_users(users)
    for order_id in range(1, count + 1):
        side = 1 + order_id // users % 2
        price = 10_000 + (1 if side == 2 else -1) * (1 + order_id * 7 % (levels // 2))
        index.rest(order_id, 1 + order_id % users, side, price)
    assert index.check() == 0
    assert (index.bytes_held() - before) / count <= 157
