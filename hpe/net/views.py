"""What the wire's integers look like to a person: assets, instruments, orders in Decimals.

Owns the immutable objects that the client library gives out and how they are made of replies.
Pure values; any task may use them. The scale of an asset or instrument never changes, so a view
stays right for ever. Conversions are hpe/net/decimals.py's: exact or refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from hpe.messages import (
    AssetRow,
    BookLevel,
    ExecutionReport,
    InstrumentRow,
    Liquidity,
    OrderbookReply,
    OrderStatus,
    Side,
)
from hpe.net.decimals import Grid, amount_grid, price_grid, quantity_grid
from hpe.net.requests import Balance, OrderResult


@dataclass(frozen=True, slots=True)
class BalanceView:
    """One account; locked = reserved (by open orders) + held (by lock_balance)."""

    available: Decimal
    locked: Decimal
    reserved: Decimal
    held: Decimal


@dataclass(frozen=True, slots=True)
class AssetView:
    """An asset; `amounts` converts between atoms and Decimals."""

    id: int
    symbol: str
    decimals: int
    amounts: Grid

    @classmethod
    def of(cls, row: AssetRow) -> AssetView:
        """Make the view of a row of list_assets."""
        asset, symbol, decimals = row
        return cls(asset, symbol, decimals, amount_grid(symbol, decimals))

    def balance(self, balance: Balance) -> BalanceView:
        """Convert an account's atoms."""
        return BalanceView(*(self.amounts.value(atoms) for atoms in balance))


@dataclass(frozen=True, slots=True)
class FillView:
    """One fill, as one of its two sides sees it."""

    trade_id: int
    order_id: int
    client_order_id: int
    side: Side
    liquidity: Liquidity
    price: Decimal
    quantity: Decimal
    leaves: Decimal
    cum: Decimal
    time_ns: int


@dataclass(frozen=True, slots=True)
class OrderView:
    """How an order command ended; `result` has the same in integers, and the rest."""

    order_id: int
    status: OrderStatus
    leaves: Decimal
    cum: Decimal
    canceled: Decimal
    quote_total: Decimal
    fills: tuple[FillView, ...]
    result: OrderResult


@dataclass(frozen=True, slots=True)
class LevelView:
    """A price level: quantity and number of the orders resting at a price."""

    price: Decimal
    quantity: Decimal
    orders: int


@dataclass(frozen=True, slots=True)
class OrderbookView:
    """Price levels, best first. `last_price` is None before the first trade."""

    book_sequence: int
    last_price: Decimal | None
    bids: tuple[LevelView, ...]
    asks: tuple[LevelView, ...]


@dataclass(frozen=True, slots=True)
class InstrumentView:
    """A spot pair; `prices` converts ticks and `quantities` lots, both ways."""

    id: int
    symbol: str
    base: AssetView
    quote: AssetView
    prices: Grid
    quantities: Grid

    @classmethod
    def of(cls, row: InstrumentRow, base: AssetView, quote: AssetView) -> InstrumentView:
        """Make the view of a row of list_instruments and its two assets."""
        prices = price_grid(
            row.symbol,
            base_atoms_per_lot=row.base_atoms_per_lot,
            quote_atoms_per_tick=row.quote_atoms_per_tick,
            base_decimals=base.decimals,
            quote_decimals=quote.decimals,
        )
        quantities = quantity_grid(row.symbol, row.base_atoms_per_lot, base.decimals)
        return cls(row.instrument, row.symbol, base, quote, prices, quantities)

    @property
    def tick_size(self) -> Decimal:
        """The smallest step of a price."""
        return self.prices.value(1)

    @property
    def lot_size(self) -> Decimal:
        """The smallest step of a quantity."""
        return self.quantities.value(1)

    def order(self, result: OrderResult) -> OrderView:
        """Convert the result of an order command."""
        return OrderView(
            order_id=result.order_id,
            status=result.status,
            leaves=self.quantities.value(result.leaves),
            cum=self.quantities.value(result.cum),
            canceled=self.quantities.value(result.canceled),
            quote_total=self.quote.amounts.value(result.quote_total),
            fills=tuple(self.fill(report) for report in result.fills),
            result=result,
        )

    def fill(self, report: ExecutionReport) -> FillView:
        """Convert an execution report of this instrument."""
        assert report.instrument == self.id
        return FillView(
            trade_id=report.trade_id,
            order_id=report.order_id,
            client_order_id=report.client_order_id,
            side=Side(report.side),
            liquidity=Liquidity(report.liquidity),
            price=self.prices.value(report.last_price),
            quantity=self.quantities.value(report.last_quantity),
            leaves=self.quantities.value(report.leaves),
            cum=self.quantities.value(report.cum),
            time_ns=report.time_ns,
        )

    def orderbook(self, reply: OrderbookReply) -> OrderbookView:
        """Convert an order book."""
        return OrderbookView(
            book_sequence=reply.book_sequence,
            last_price=self.prices.value(reply.last_price) if reply.last_price else None,
            bids=tuple(self._level(level) for level in reply.bids),
            asks=tuple(self._level(level) for level in reply.asks),
        )

    def _level(self, level: BookLevel) -> LevelView:
        price, quantity, orders = level
        return LevelView(self.prices.value(price), self.quantities.value(quantity), orders)
