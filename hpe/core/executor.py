"""The money side of orders: reserve on acceptance, settle on trade, release on end.

Part of the deterministic core. Nothing else moves `reserved`, except that accepting and canceling
an order, the two hottest paths, do in line (exchange.py) what `reserve` and `release` do here.
A limit buy reserves leaves x limit x quote_atoms_per_tick in quote atoms, a sell leaves x
base_atoms_per_lot in base atoms, a market buy exactly what walking the book costs; a fill below
the limit gives the difference back at once (price improvement).
"""

from __future__ import annotations

from typing import Final

from hpe.core.matcher import Fill
from hpe.core.orders import Order
from hpe.messages import Side

_BUY: Final = Side.BUY  # a global is read in a fraction of the time of an enum's attribute


class Executor:
    """Moves money between available and reserved, and between users on a trade."""

    def reserve(self, order: Order, amount: int) -> bool:
        """Set what an order reserves, taking the difference from available or giving it back.

        Returns:
            False when it is not available; nothing has changed then.
        """
        account = order.paying
        more = amount - order.reserved
        if more > account.available:
            return False
        account.available -= more
        account.reserved += more
        order.reserved = amount
        return True

    def requirement(self, order: Order, price: int, leaves: int) -> int:
        """Give what an order with this limit and these leaves reserves, in atoms it pays with."""
        instrument = order.book.instrument
        if order.side is _BUY:
            return price * leaves * instrument.quote_atoms_per_tick
        return leaves * instrument.base_atoms_per_lot

    def release(self, order: Order) -> None:
        """Give back everything that an ending order still reserves."""
        account = order.paying
        account.available += order.reserved
        account.reserved -= order.reserved
        order.reserved = 0

    def settle(self, taker: Order, fills: list[Fill]) -> None:
        """Move base and quote between the two sides of each trade, out of what they reserved."""
        instrument = taker.book.instrument
        quote_atoms_per_tick, lot = instrument.quote_atoms_per_tick, instrument.base_atoms_per_lot
        quote_sum = base_sum = 0
        buying = taker.side is _BUY
        for fill in fills:
            maker = fill.maker
            quote = fill.quantity * fill.price * quote_atoms_per_tick
            base = fill.quantity * lot
            maker.quote_total += quote
            quote_sum += quote
            base_sum += base
            if buying:
                self._exchange(maker, base, quote)
            else:
                self._exchange(maker, quote, base)
        taker.quote_total += quote_sum
        if not buying:
            self._exchange(taker, base_sum, quote_sum)
            return
        self._exchange(taker, quote_sum, base_sum)
        if taker.price:
            self.reserve(taker, self.requirement(taker, taker.price, taker.leaves))

    def _exchange(self, order: Order, paid: int, received: int) -> None:
        """Pay out of what an order reserves and credit what it gets."""
        order.reserved -= paid
        order.paying.reserved -= paid
        order.receiving.available += received
