"""Which commands have to wait in the compiled core, against the reference."""

from random import Random

import pytest

from hpe.core.context.holders import NOBODY
from hpe.core.contract import DEFAULT_LIMITS
from hpe.core.trading.busy import Busy
from hpe.core.trading.exchange_state import ExchangeState
from hpe.core.trading.order_index import UserOrders
from hpe.core.trading.order_states import WAITING
from hpe.core.trading.replacing import named_order
from hpe.core.trading.work import UncrossInProgress
from hpe.protocol.base import type_number
from hpe.protocol.enums import InstrumentStatus, OrderType, SelfTrade, Side, TimeInForce
from hpe.protocol.flags import ORDER_POST_ONLY
from hpe.protocol.listings import DelistInstrument
from hpe.protocol.money import Deposit
from hpe.protocol.operations import SetFees, SetStatus, Uncross
from hpe.protocol.orders import (
    CancelOrder,
    MassCancel,
    OrderTerms,
    ReplaceOrder,
    SubmitOco,
    SubmitOrder,
)
from tests.unit.core.compiled.test_admission import decoded
from tests.unit.core.compiled.test_matching import BothBooks, NewOrder

STEPS = 20_000
ORDERS = 80
LIMITS = DEFAULT_LIMITS._replace(fills=12, dead=7, effort=3)
TRADING, GTC = InstrumentStatus.TRADING, TimeInForce.GTC


class BothBusy(BothBooks):
    """The same market in both cores, where orders die and work is unfinished."""

    def __init__(self, matching):
        super().__init__(matching)
        self.exchange = ExchangeState(LIMITS)
        self.exchange.books[1] = self.book
        self.busy, self.effort = Busy(self.exchange), self.exchange.market.effort
        self.users = self.exchange.orders.users
        for user in (1, 2, 3):
            self.users[user] = UserOrders({}, NOBODY)

    def fill(self, random):
        for number in range(1, ORDERS):
            side = random.choice(list(Side))
            price = random.randint(95, 99) if side is Side.BUY else random.randint(101, 105)
            row = NewOrder(
                number, random.randint(1, 3), side, price, random.randint(2, 9),
                random.choice(list(SelfTrade)), random.choice((0, 0, 2)),
                random.choice((30, 60, 99)),
            )  # fmt: skip
            if number % 8:
                self.rest(row)
                (order,) = (each for each in self.book.orders() if each.order_id == number)
            else:
                order = self.order_of(row)
                order.state, order.terms.stop_price = WAITING, price
                self.compiled.wait(row, price)
            order.flags = random.choice((0, 0, ORDER_POST_ONLY))
            self.compiled.set_flags(number, order.flags)
            self.users[row.user].by_id[number] = order
            self.users[row.user].by_client_id[number + 1_000] = order

    def change(self, random):
        """Let time, the status or the unfinished work change."""
        turns, book = self.exchange.market.turns, self.book
        work, queued, uncrosses = turns.of(book), random.choice((0, 0, 0, 3)), random.random() < 0.1
        work.queued = queued
        work.uncrossing = UncrossInProgress(100, 5, 1, TRADING) if uncrosses else None
        turns.review(book)
        self.compiled.uncross(uncrosses, 100, 5, 1)
        self.compiled.set_queued(queued)
        status = random.choice([TRADING] * 6 + list(InstrumentStatus))
        book.set_status(status)
        turns.review(book)
        self.compiled.set_status(status, 0)
        self.compiled.set_queued(queued)
        book.instrument.self_trade = random.choice(list(SelfTrade))
        self.compiled.set_self_trade(book.instrument.self_trade)
        self.set_time(random.choice((0, 20, 40, 70, 70, 70)))

    def ask(self, user, request):
        expected, order, has_book = self.busy.refuses(user, request), None, False
        if isinstance(request, (CancelOrder, ReplaceOrder)):
            order = named_order(self.users, user, request)
        elif not isinstance(request, Deposit):
            has_book = request.instrument == 1
        found = self.compiled.refuses(
            type_number(type(request)), *decoded(request), user,
            order.order_id if order is not None else None, has_book or order is not None, LIMITS,
        )  # fmt: skip
        assert found == expected, request
        assert self.compiled.spent == self.effort.spent
        self.seen[type(request), found] += 1


def order_request(random):
    quantity, instrument = random.choice((0, 1, 5, 50, 1_000)), random.choice((1, 1, 1, 1, 2))
    side, price = random.choice(list(Side)), random.choice((0, *range(95, 106)))
    flags, policy = random.choice((0, 0, 1, 2, 3)), random.choice((0, *SelfTrade))
    user = random.choice((0, 0, 1, 2, 3, 9))
    if random.random() < 0.2:
        return SubmitOco(1, instrument, side, 5, price or 1, 50, self_trade=policy, user=user)
    return SubmitOrder(
        1, instrument, 0, side, random.choice(list(OrderType)), GTC, price, quantity, flags,
        policy, random.choice((None, OrderTerms())), user,
    )  # fmt: skip


def replace_request(random):
    number = random.randint(1, ORDERS)
    ids = random.choice(((number, 0), (0, number + 1_000)))
    prices, lots = (None, None, *range(95, 106)), (None, 0, 1, 2, 5, 9)
    return ReplaceOrder(
        1, *ids, random.choice(lots), random.choice(lots), random.choice(prices),
        random.random() < 0.1, random.choice(prices), random.choice((0, 1, 2, 3)),
        random.choice((0, 0, 0, 77)),
    )  # fmt: skip


def other_request(random):
    instrument = random.choice((1, 1, 2))
    return random.choice((
        CancelOrder(1, random.randint(1, ORDERS)), MassCancel(1, instrument), Deposit(1, 1, 5),
        SetStatus(1, instrument, TRADING), Uncross(1, instrument, TRADING),
        SetFees(1, instrument, 0, 0), DelistInstrument(1, instrument),
    ))  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_what_has_to_wait_is_the_references(matching, seed):
    random, both = Random(seed), BothBusy(matching)
    both.fill(random)
    wasted = 0
    for number in range(STEPS):
        if number % 20 == 0:
            both.change(random)
        if number % 200 == 0:
            assert both.compiled.begin_batch() == both.effort.wasted
            wasted += both.effort.wasted >= LIMITS.effort
            both.effort.begin()
        make = random.choice((order_request, order_request, replace_request, other_request))
        both.ask(random.randint(1, 3), make(random))
    assert wasted
    for kind in (SubmitOrder, SubmitOco, ReplaceOrder, CancelOrder, MassCancel, SetStatus, Uncross,
                 SetFees, DelistInstrument):  # fmt: skip
        assert both.seen[kind, True], (kind, both.seen)
        assert both.seen[kind, False], (kind, both.seen)
