"""What the reference knows, for a generator that wants to hit it: orders, holds, sessions, books.

Reads the inside of a ReferenceCore and changes nothing in it. What it finds is the state at the
end of the last batch. Owned by one stream; one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from random import Random
from typing import Final

from hpe.core.driver import ReferenceCore
from hpe.core.sessions.session import Session
from hpe.core.trading.exchange import Exchange
from hpe.core.trading.orderbook import OrderBook
from hpe.core.trading.orders import Order
from hpe.protocol.enums import InstrumentStatus, Side

_SEEN: Final = 150
_TRIES: Final = 8


class ReferenceView:
    """Looks into a core; `core` is replaced when the stream goes on with a loaded one."""

    def __init__(self, core: ReferenceCore, random: Random) -> None:
        self.core, self.random = core, random

    @property
    def exchange(self) -> Exchange:
        """The exchange of the core."""
        return self.core.exchange

    def session(self, attach_number: int) -> Session | None:
        """Return the session of an attachment."""
        return self.core.sessions.attached(attach_number)

    def book(self) -> OrderBook | None:
        """Return a book."""
        books = self.exchange.books
        return self.random.choice([*books.values()]) if books else None

    def books_in(self, status: InstrumentStatus) -> list[int]:
        """Return the instruments with a status."""
        return [number for number, book in self.exchange.books.items() if book.status is status]

    def busy_books(self) -> list[OrderBook]:
        """Return the books with unfinished work."""
        return [book for book in self.exchange.books.values() if book.work is not None]

    def orders_of(self, user: int) -> list[Order]:
        """Return open orders of a user: the oldest ones, if there are many."""
        mine = self.exchange.orders.users.get(user)
        if mine is None:
            return []
        found = mine.by_id
        if len(found) > _SEEN:
            start = self.random.randrange(len(found) - _SEEN)
            return list(islice(found.values(), start, start + _SEEN))
        return list(found.values())

    def order(self, user: int, test: Callable[[Order], object] | None = None) -> Order | None:
        """Return an open order of a user, one that passes a test if one is found soon."""
        found = self.orders_of(user)
        if not found:
            return None
        for _ in range(_TRIES if test is not None else 0):
            order = self.random.choice(found)
            assert test is not None
            if test(order):
                return order
        return self.random.choice(found)

    def any_order(self, test: Callable[[Order], object] | None = None) -> Order | None:
        """Return an open order of any user."""
        users = [user for user, mine in self.exchange.orders.users.items() if mine.by_id]
        return self.order(self.random.choice(users), test) if users else None

    def busy_order(self) -> Order | None:
        """Return an order of an instrument with unfinished work: one in line, or another one."""
        books = self.busy_books()
        if not books:
            return None
        book = self.random.choice(books)
        assert book.work is not None
        queued = list(islice(book.work.orders(), 20))
        if queued and self.random.random() < 0.4:
            return self.random.choice(queued)
        found = [*islice(book.orders(), 60), *islice(book.triggers.orders(), 30)]
        return self.random.choice(found or queued or [None])

    def hold_of(self, user: int) -> tuple[int, int, int]:
        """Return (hold, asset, amount) of a user, 0 for none."""
        rows = list(islice(self.exchange.holds.of(user), 20))
        return self.random.choice(rows)[:3] if rows else (0, 0, 0)

    def available(self, user: int, asset: int) -> int:
        """Return what a user has available."""
        account = self.exchange.balances.accounts.get(user, {}).get(asset)
        return account.available if account is not None else 0

    def best(self, book: OrderBook, side: Side) -> int:
        """Return the best price of a side, 0 if it is empty."""
        level = book.side(side).best
        return level.price if level is not None else 0
