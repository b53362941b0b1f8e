"""Fee rates of the compiled core against the reference's."""

from random import Random

import pytest

from hpe.core.money.fees import rates_of
from hpe.core.trading.operations import rates_go_below_zero
from hpe.protocol.limits import INT_MAX, PPM
from tests.unit.core.parts import new_book

STEPS = 2_000
INSTRUMENTS = (1, 2, 3)
USERS = (1, 2, 3, 2**32 + 1, INT_MAX - 1)
COMMON = (-2, 5)


def fields_of(rates):
    return rates.maker, rates.taker, rates.worst


class BothFees:
    """The same rates in both cores; instruments share their records in the compiled one."""

    def __init__(self, execution):
        self.compiled = execution.Fees(*COMMON)
        self.books = {}
        for number in INSTRUMENTS:
            self.books[number] = new_book(maker_fee_ppm=COMMON[0], taker_fee_ppm=COMMON[1])
        self.below = 0

    def set_rates(self, number, user, maker, taker):
        """Set rates that cannot cost the house money."""
        book, rates = self.books[number], rates_of(maker, taker)
        below = rates_go_below_zero(book, rates, user)
        assert self.compiled.go_below_zero(number, user, maker, taker) == below
        self.below += below
        if below:
            return
        if user:
            book.fees.own[user] = rates
        else:
            book.fees.common = rates
        self.compiled.set_rates(number, user, maker, taker)

    def remove_own(self, number, user):
        self.books[number].fees.own.pop(user, None)
        self.compiled.remove_own(number, user)

    def clear_own(self, number):
        self.books[number].fees.own.clear()
        self.compiled.clear_own(number)

    def compare(self):
        count = 0
        for number, book in self.books.items():
            own = {user: fields_of(rates) for user, rates in book.fees.own.items()}
            assert self.compiled.own(number) == own
            count += len(own)
            for user in (*USERS, 99):
                assert self.compiled.of(number, user) == fields_of(book.fees.of(user))
        assert self.compiled.records_used == (count, count)


def test_what_each_user_pays_is_the_references(execution):
    random, both = Random(1), BothFees(execution)
    both.compare()
    for _ in range(STEPS):
        number, user, choice = random.choice(INSTRUMENTS), random.choice(USERS), random.random()
        if choice < 0.7:
            maker, taker = random.randint(-4, 8), random.randint(0, 8)
            both.set_rates(number, random.choice((0, user, user)), maker, taker)
        elif choice < 0.98:
            both.remove_own(number, user)
        else:
            both.clear_own(number)
        both.compare()
    assert both.below > STEPS // 20


def test_the_greatest_rates(execution):
    both = BothFees(execution)
    both.set_rates(1, 0, 0, 0)
    for user, maker in ((1, PPM - 1), (2, 1 - PPM), (3, 0)):
        both.set_rates(1, user, maker, PPM - 1)
    both.compare()
    assert both.below == 1
    both.set_rates(1, 0, 0, PPM - 1)
    both.set_rates(1, 2, 1 - PPM, PPM - 1)
    assert both.compiled.of(1, 2) == (1 - PPM, PPM - 1, PPM - 1)


@pytest.mark.parametrize("maker", [-7, 0, 3, 9])
def test_a_schedule_begins_with_the_instruments_rates(execution, maker):
    compiled = execution.Fees(maker, 5)
    assert compiled.of(1, 1) == fields_of(rates_of(maker, 5))
