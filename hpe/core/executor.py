"""The money side of orders: reserve on acceptance, settle on trade, release on end.

Part of the deterministic core. Nothing else moves `reserved`. A limit buy reserves
leaves x limit x quote_atoms_per_tick in quote atoms, a sell leaves x base_atoms_per_lot in base
atoms, a market buy exactly what walking the book costs; a fill below the limit gives the
difference back at once (price improvement).
"""

from __future__ import annotations

from hpe.core.instruments import Instrument
from hpe.core.matcher import Fill
from hpe.core.orders import Order
from hpe.messages import Side


class Executor:
    """Moves money between available and reserved, and between users on a trade."""

    def requirement(self, instrument: Instrument, side: Side, price: int, quantity: int) -> int:
        """Give what an open limit order of this size reserves, in atoms of what it pays with."""
        if side is Side.BUY:
            return price * quantity * instrument.quote_atoms_per_tick
        return quantity * instrument.base_atoms_per_lot

    def reserved(self, instrument: Instrument, order: Order) -> int:
        """Give what a live order reserves now."""
        return self.requirement(instrument, order.side, order.price, order.leaves)

    def reserve(self, order: Order, amount: int) -> None:
        """Bind available money to an order; a negative amount gives some back.

        The caller has checked that it is available.
        """
        account = order.paying
        account.available -= amount
        account.reserved += amount

    def settle(self, instrument: Instrument, taker: Order, fill: Fill) -> None:
        """Move base and quote between the two sides of a trade, out of what they reserved."""
        maker, price, quantity = fill
        buyer, seller = (taker, maker) if taker.side is Side.BUY else (maker, taker)
        quote = quantity * price * instrument.quote_atoms_per_tick
        base = quantity * instrument.base_atoms_per_lot
        improvement = 0
        if buyer.price:
            improvement = quantity * (buyer.price - price) * instrument.quote_atoms_per_tick
        buyer.paying.reserved -= quote + improvement
        buyer.paying.available += improvement
        buyer.receiving.available += base
        seller.paying.reserved -= base
        seller.receiving.available += quote
        buyer.quote_total += quote
        seller.quote_total += quote
