"""Where requests aim: prices, quantities, times, users and books, near what a stream is about.

Owned by one stream; one thread. Reads the world; changes nothing.
"""

from __future__ import annotations

from random import Random
from typing import Final

from hpe.core.trading.orderbook import OrderBook
from hpe.protocol.enums import Side
from hpe.protocol.limits import AMOUNT_MAX, HOUSE_USER, INT_MAX
from tests.differential.tuning import Tuning
from tests.differential.world import ReferenceView
from tests.model.commands import UNIT_NS

SIDES: Final = (Side.BUY, Side.SELL)


class Aim:
    """Chooses values for requests; `user` is that of the session that sends."""

    def __init__(self, random: Random, tuning: Tuning, world: ReferenceView) -> None:
        self.random, self.tuning, self.world = random, tuning, world
        self.now_ns = tuning.start_ns
        self.last_book = 1

    def chance(self, name: str) -> bool:
        """True as often as the stream's draws say."""
        return self.random.random() < self.tuning.chances[name]

    def market(self) -> tuple[int, int, int]:
        """Return an instrument, its middle and its spread; seldom one that does not exist."""
        random, markets = self.random, self.tuning.markets
        if random.random() < 0.02:
            return random.choice((len(markets) + 1, 5, 6, 9, 2**31 - 1)), 50, 3
        number = random.randrange(len(markets))
        self.last_book = number + 1
        return number + 1, markets[number].middle, markets[number].spread

    def market_of(self, instrument: int) -> tuple[int, int, int]:
        """Return one instrument with its middle and spread."""
        markets = self.tuning.markets
        if 0 < instrument <= len(markets):
            market = markets[instrument - 1]
            return instrument, market.middle, market.spread
        return instrument, 50, 3

    def book(self, instrument: int) -> OrderBook | None:
        """Return the book of an instrument."""
        return self.world.exchange.books.get(instrument)

    def price(self, middle: int, spread: int) -> int:
        """Return a price near the middle, seldom far off or at a bound of the wire."""
        random = self.random
        if self.chance("bound"):
            return random.choice((1, 2**31, 2**61, INT_MAX, middle * 2, max(1, middle // 2)))
        wide = spread * 4 if self.chance("far") else spread
        return max(1, middle + random.randint(-wide, wide))

    def near_best(self, instrument: int, side: Side, middle: int, spread: int) -> int:
        """Return a price at or just beyond the best opposite one."""
        book = self.book(instrument)
        other = Side.SELL if side is Side.BUY else Side.BUY
        best = self.world.best(book, other) if book is not None else 0
        if not best:
            return self.price(middle, spread)
        return max(1, best + self.random.choice((-1, 0, 0, 0, 1, 2, spread)))

    def quantity(self) -> int:
        """Return lots, seldom at a bound."""
        if self.chance("bound"):
            return self.random.choice((0, 1, 2**31, 2**55, AMOUNT_MAX, INT_MAX))
        return self.random.randint(1, self.tuning.lots)

    def budget(self, instrument: int, middle: int) -> int:
        """Return quote atoms for some lots, seldom a bound."""
        random = self.random
        if self.chance("bound"):
            return random.choice((1, AMOUNT_MAX, AMOUNT_MAX - 1))
        tick = 1
        book = self.book(instrument)
        if book is not None:
            tick = book.instrument.quote_atoms_per_tick
        lots = random.randint(1, self.tuning.lots)
        cost = middle * tick * lots
        return max(1, min(AMOUNT_MAX, cost + random.randint(-cost // 3 - 1, cost // 3 + 1)))

    def expiry(self) -> int:
        """Return a time soon, seldom one that is over or never comes."""
        random = self.random
        wait = random.choice((1, 1, 2, 3, 5, 10, 30, 90)) * UNIT_NS
        chance = random.random()
        if chance < 0.05:
            return max(1, self.now_ns - wait)
        if chance < 0.08:
            return random.choice((1, INT_MAX, self.now_ns, self.now_ns + 1))
        return min(INT_MAX, self.now_ns + wait + random.choice((-1, 0, 0, 1)))

    def other_user(self) -> int:
        """Return 0 for the session's own user, or now and then another one."""
        return self.user() if self.chance("other_user") else 0

    def user(self) -> int:
        """Return a user of the stream."""
        return self.random.randint(1, self.tuning.users)

    def anybody(self) -> int:
        """Return a user that may be unknown, or the house."""
        random = self.random
        if random.random() < 0.8:
            return self.user()
        return random.choice((HOUSE_USER, HOUSE_USER - 1, 7, *range(11, 17), 2**40))

    def asset(self) -> int:
        """Return an asset, seldom one that does not exist."""
        random = self.random
        return random.choice((1, 2, 3)) if random.random() < 0.93 else random.choice((4, 5, 9))

    def client_id(self) -> int:
        """Return a client's order id, one of few, or none."""
        return self.random.randint(1, 9) if self.chance("client_id") else 0

    def policy(self) -> int:
        """Return a self-trade policy, or that of the instrument."""
        return self.random.randint(1, 5) if self.chance("own_policy") else 0
