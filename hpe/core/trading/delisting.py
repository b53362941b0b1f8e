"""Delisting: removing assets and instruments that nothing uses.

Part of the deterministic core. Rejects are checked in the order of protocol.md's lists, and a
rejected command changes nothing. Nothing may still refer to the id of what is removed: an
instrument stays while it has an open order, and while an ended order or a fill of it is kept; an
asset stays while an instrument uses it or an account has any of it.
"""

from __future__ import annotations

from typing import Final

from hpe.core.context.command import Context
from hpe.core.context.effort import DELISTING, ROW
from hpe.core.trading.events import Delisted
from hpe.core.trading.exchange_state import ExchangeState
from hpe.core.trading.operations import count_orders
from hpe.core.trading.orderbook import OrderBook
from hpe.protocol.codes import RejectReason
from hpe.protocol.listings import (
    DelistAsset,
    DelistAssetResponse,
    DelistInstrument,
    DelistInstrumentResponse,
)

_NONE: Final = RejectReason.NONE


class Delisting:
    """Removes listings of one exchange."""

    def __init__(self, exchange: ExchangeState) -> None:
        self._exchange = exchange

    def delist_asset(self, context: Context, command: DelistAsset) -> DelistAssetResponse:
        """Remove an asset and its accounts, which must be empty. Cost: all users."""
        exchange, reason = self._exchange, _NONE
        listings, balances = exchange.listings, exchange.balances
        asset = listings.assets.get(command.asset)
        exchange.market.effort.charge(DELISTING)
        exchange.market.effort.charge(ROW, balances.cost_of(command.asset))
        if asset is None:
            reason = RejectReason.UNKNOWN_ASSET
        elif listings.pairs_of(command.asset) or balances.is_needed(command.asset):
            reason = RejectReason.IN_USE
        else:
            balances.close(command.asset)
            listings.remove_asset(asset)
        return DelistAssetResponse(command.request_id, 0, context.sequence, reason)

    def delist_instrument(self, context: Context, command: DelistInstrument) -> DelistAssetResponse:
        """Remove an instrument and its book. Cost: the kept ended orders and fills."""
        exchange, reason = self._exchange, _NONE
        book = exchange.books.get(command.instrument)
        if book is None:
            reason = RejectReason.UNKNOWN_INSTRUMENT
        elif self._is_used(book):
            reason = RejectReason.IN_USE
        else:
            exchange.market.calls.keep_call(book)  # remove the timer of its call
            exchange.market.turns.forget(book)
            del exchange.books[command.instrument]
            exchange.listings.remove_instrument(book.instrument)
            exchange.market.events.append(Delisted(command.instrument))
        exchange.market.effort.charge(DELISTING)
        return DelistInstrumentResponse(command.request_id, 0, context.sequence, reason)

    def _is_used(self, book: OrderBook) -> bool:
        effort, orders = self._exchange.market.effort, self._exchange.orders
        instrument_id = book.instrument.instrument_id
        if count_orders(book):
            return True
        effort.charge(ROW, len(orders.ended))
        if any(order.instrument_id == instrument_id for order in orders.ended):
            return True
        if not book.last_trade_id:
            return False
        effort.charge(ROW, len(orders.filled_users))
        return any(
            report.instrument == instrument_id
            for user in dict.fromkeys(orders.filled_users)
            for report in orders.users[user].fills
        )
