"""The money side of orders: reserve on acceptance, settle on trade, release on end.

Part of the deterministic core. Nothing else changes `reserved`, except that the short paths of
order entry (entry.py) do inline what `reserve` and `release` do here. A limit buy reserves its
notional at the limit plus the worst fee, a sell its base, an order with a budget the budget; a fill
below the limit gives back the difference at once. Fees go to the house and rebates come from it,
within the trade. Source: protocol.md, "Fees and reservations".
"""

from __future__ import annotations

from typing import Final

import msgspec

from hpe.core.listings.instruments import Instrument
from hpe.core.money.balances import BalanceCache
from hpe.core.money.wide import base_atoms, charge, notional, worst_fee
from hpe.core.trading.kinds import Reserve
from hpe.core.trading.matcher import Fill
from hpe.core.trading.orders import Order
from hpe.protocol.enums import Side

_BUDGET: Final = Reserve.BUDGET
_BUY: Final = Side.BUY  # reading a global is much faster than reading an enum's attribute


class AuctionFill(msgspec.Struct, gc=False):
    """One trade of an uncross: quantity in lots, leaves and cum right after it, fees in atoms."""

    buy: Order
    sell: Order
    price: int
    quantity: int
    buy_leaves: int
    buy_cum: int
    sell_leaves: int
    sell_cum: int
    buy_fee: int = 0
    sell_fee: int = 0


class Executor:
    """Moves money between available and reserved, and between users on a trade."""

    def __init__(self, balances: BalanceCache) -> None:
        self._house = balances.house
        self._touch = balances.touch

    def reserve(self, order: Order, amount: int) -> bool:
        """Set what an order reserves, taking the difference from available or giving it back.

        Returns:
            False if it is not available; nothing has changed then.
        """
        account = order.paying
        more = amount - order.reserved
        if more > account.available:
            return False
        if not account.touched:
            self._touch(account)
        account.available -= more
        account.reserved += more
        order.reserved = amount
        return True

    def requirement(self, instrument: Instrument, order: Order, price: int, leaves: int) -> int:
        """Return what an order with this limit and these leaves reserves, in the atoms it pays."""
        if order.side is not _BUY:
            return base_atoms(leaves, instrument.base_atoms_per_lot)
        if order.kind.reserves is _BUDGET:
            assert order.terms is not None
            return order.terms.budget
        assert price, "the matcher computes what a market buy costs"
        needed = notional(price, leaves, instrument.quote_atoms_per_tick)
        if order.rates.worst:
            return needed + worst_fee(needed, order.rates.worst, order.fee_rest)
        return needed

    def pair_requirement(
        self, instrument: Instrument, order: Order, price: int, leaves: int
    ) -> int:
        """Return what an order needs together with its pair's other leg: the larger need."""
        needed = self.requirement(instrument, order, price, leaves)
        partner = order.partner
        if partner is None:
            return needed
        return max(needed, self.requirement(instrument, partner, partner.price, partner.leaves))

    def release(self, order: Order) -> None:
        """Release everything that an ending order still reserves."""
        account = order.paying
        if not account.touched:
            self._touch(account)
        account.available += order.reserved
        account.reserved -= order.reserved
        order.reserved = 0

    def settle(self, instrument: Instrument, taker: Order, fills: list[Fill]) -> None:
        """Move base and quote between the two sides of each trade, from what they reserved."""
        quote_atoms_per_tick, lot = instrument.quote_atoms_per_tick, instrument.base_atoms_per_lot
        quote_sum = base_sum = fee_sum = house = 0
        buying, taker_rate = taker.side is _BUY, taker.rates.taker
        charged = taker_rate if fills else 0  # any rate of the trades that is not 0
        for fill in fills:
            maker = fill.maker
            quote = fill.quantity * fill.price * quote_atoms_per_tick  # notional(), inline
            base = fill.quantity * lot  # base_atoms(), inline
            maker.quote_total += quote
            quote_sum += quote
            base_sum += base
            fee, rates = 0, maker.rates
            if rates.maker:
                charged = rates.maker
                fee = fill.maker_fee = self._charge(maker, quote, rates.maker)
                house += fee
            if buying:
                self._exchange(maker, base, quote - fee)
            else:
                self._exchange(maker, quote + fee, base)
                if rates.worst:
                    left = self.requirement(instrument, maker, maker.price, fill.maker_leaves)
                    self.reserve(maker, left)
            if taker_rate:
                fill.taker_fee = self._charge(taker, quote, taker_rate)
                fee_sum += fill.taker_fee
        taker.quote_total += quote_sum
        if charged:  # opens the account, even if all fees are 0
            self._house(instrument.quote).available += house + fee_sum
        if not buying:
            self._exchange(taker, base_sum, quote_sum - fee_sum)
            return
        self._exchange(taker, quote_sum + fee_sum, base_sum)
        if taker.price:
            self.reserve(taker, self.requirement(instrument, taker, taker.price, taker.leaves))

    def settle_auction(self, instrument: Instrument, fill: AuctionFill) -> None:
        """Settle one trade of an uncross; both sides pay the taker rate."""
        buy, sell = fill.buy, fill.sell
        quote = notional(fill.price, fill.quantity, instrument.quote_atoms_per_tick)
        base = base_atoms(fill.quantity, instrument.base_atoms_per_lot)
        fill.buy_fee = self._charge(buy, quote, buy.rates.taker)
        fill.sell_fee = self._charge(sell, quote, sell.rates.taker)
        for order in (buy, sell):
            order.quote_total += quote
        if buy.rates.taker or sell.rates.taker:
            self._house(instrument.quote).available += fill.buy_fee + fill.sell_fee
        self._exchange(buy, quote + fill.buy_fee, base)
        self._exchange(sell, base, quote - fill.sell_fee)
        self.reserve(buy, self.requirement(instrument, buy, buy.price, fill.buy_leaves))

    def _charge(self, order: Order, notional: int, rate_ppm: int) -> int:
        """Charge an order for one fill; return the atoms, negative for a rebate."""
        fee, order.fee_rest = charge(notional, rate_ppm, order.fee_rest)
        order.fee_total += fee
        return fee

    def _exchange(self, order: Order, paid: int, received: int) -> None:
        """Pay from what an order reserves and credit what it receives."""
        paying, receiving = order.paying, order.receiving
        if not paying.touched:
            self._touch(paying)
        if not receiving.touched:
            self._touch(receiving)
        order.reserved -= paid
        paying.reserved -= paid
        receiving.available += received
