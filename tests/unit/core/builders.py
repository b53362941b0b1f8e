"""Small parts of a core for tests of one module: a book, orders in no exchange, a climb."""

from collections.abc import Callable
from typing import Any

from hpe.core.balances import Account
from hpe.core.instruments import Instrument
from hpe.core.orderbook import OrderBook
from hpe.core.orders import Order
from hpe.messages import INT_MAX, RejectReason, Side


def new_book(*, base_atoms: int = 1, quote_atoms: int = 1) -> OrderBook:
    """Make an empty book."""
    return OrderBook(Instrument(1, "A/B", 1, 2, base_atoms, quote_atoms, 1, INT_MAX, 1, INT_MAX, 0))


def new_order(
    book: OrderBook,
    order_id: int = 1,
    side: Side = Side.BUY,
    price: int = 100,
    quantity: int = 10,
    *,
    user: int = 1,
    client_order_id: int = 0,
    paying: Account | None = None,
    receiving: Account | None = None,
) -> Order:
    """Make an order that rests nowhere yet."""
    return Order(
        order_id, user, client_order_id, book, side, price, quantity, quantity, 0,
        paying or Account(), receiving or Account(),
    )  # fmt: skip


def climb(
    ask: Callable[..., Any],
    wrong: dict[str, Any],
    repairs: list[tuple[RejectReason, dict[str, Any] | Callable[[], Any]]],
) -> Any:
    """Start with everything wrong and repair one thing at a time.

    Each reason is seen while all later ones apply too, so it is their precedence that shows.
    `repairs` are (expected reason, what makes that reason go away: fields or a callable).
    """
    fields = dict(wrong)
    for expected, repair in repairs:
        assert ask(**fields).reason == expected
        if callable(repair):
            repair()
        else:
            fields.update(repair)
    return ask(**fields)
