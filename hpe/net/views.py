"""What the wire's integers look like to a person: assets, instruments, orders in Decimals.

Owns the immutable objects that the client library gives out and how they are made of replies.
Pure values; any task may use them. The scale of an asset or instrument never changes, so a view
stays right for ever. Conversions are hpe/net/decimals.py's: exact or refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TypedDict

from hpe.messages import (
    AssetRow,
    BalanceRow,
    BookLevel,
    ConservationReply,
    ExecutionReport,
    FillRow,
    HoldRow,
    InstrumentReply,
    InstrumentRow,
    InstrumentStatus,
    Liquidity,
    OrderbookReply,
    OrderRow,
    OrderStatus,
    OrderType,
    Side,
    StatusUpdate,
    TimeInForce,
)
from hpe.net.decimals import Grid, amount_grid, price_grid, quantity_grid
from hpe.net.results import Balance, HoldResult, OrderResult, UncrossResult


@dataclass(frozen=True, slots=True)
class BalanceView:
    """One account; locked = reserved (by open orders) + held (by lock_balance)."""

    available: Decimal
    locked: Decimal
    reserved: Decimal
    held: Decimal


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account of list_balances; `in_holds` is what of `held` is in named holds."""

    symbol: str
    balance: BalanceView
    in_holds: Decimal


@dataclass(frozen=True, slots=True)
class HoldView:
    """A named hold; `expires_ns` is 0 when it never does."""

    hold_id: int
    symbol: str
    amount: Decimal
    expires_ns: int


@dataclass(frozen=True, slots=True)
class HoldResultView:
    """What is left of a hold (0: it is gone), and its owner's account."""

    hold_id: int
    symbol: str
    remaining: Decimal
    balance: BalanceView


@dataclass(frozen=True, slots=True)
class ConservationView:
    """net_deposits = available + reserved + held over all accounts; `house` is one of them."""

    symbol: str
    net_deposits: Decimal
    available: Decimal
    reserved: Decimal
    held: Decimal
    house: Decimal
    accounts: int


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

    def account(self, row: BalanceRow) -> AccountView:
        """Convert a row of list_balances."""
        _, available, reserved, held, in_holds = row
        balance = self.balance(Balance(available, reserved + held, reserved, held))
        return AccountView(self.symbol, balance, self.amounts.value(in_holds))

    def hold(self, row: HoldRow) -> HoldView:
        """Convert a row of list_holds."""
        hold_id, _, amount, expires_ns = row
        return HoldView(hold_id, self.symbol, self.amounts.value(amount), expires_ns)

    def hold_result(self, result: HoldResult) -> HoldResultView:
        """Convert what capture_hold or release_hold left."""
        remaining = self.amounts.value(result.remaining)
        return HoldResultView(result.hold_id, self.symbol, remaining, self.balance(result.balance))

    def conservation(self, reply: ConservationReply) -> ConservationView:
        """Convert the sums over all accounts."""
        value = self.amounts.value
        return ConservationView(
            symbol=self.symbol,
            net_deposits=value(reply.net_deposits),
            available=value(reply.available),
            reserved=value(reply.reserved),
            held=value(reply.held),
            house=value(reply.house),
            accounts=reply.accounts,
        )


@dataclass(frozen=True, slots=True)
class FillView:
    """One fill, as one of its two sides sees it. A negative fee is a rebate."""

    private_sequence: int
    time_ns: int
    trade_id: int
    symbol: str
    order_id: int
    client_order_id: int
    side: Side
    liquidity: Liquidity
    price: Decimal
    quantity: Decimal
    fee: Decimal


@dataclass(frozen=True, slots=True)
class ExecutionView(FillView):
    """A fill with what it left of the order."""

    leaves: Decimal
    cum: Decimal


@dataclass(frozen=True, slots=True)
class OrderView:
    """How an order command ended; `result` has the same in integers, and the rest."""

    order_id: int
    status: OrderStatus
    leaves: Decimal
    cum: Decimal
    canceled: Decimal
    quote_total: Decimal
    fee_total: Decimal
    fills: tuple[ExecutionView, ...]
    result: OrderResult


@dataclass(frozen=True, slots=True)
class OrderStateView:
    """An order as it is, or as it ended; `row` has the same in integers, and the rest.

    `waiting` is a stop that has not fired; its `stop_price` is where it fires now.
    """

    order_id: int
    client_order_id: int
    symbol: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    status: OrderStatus
    waiting: bool
    price: Decimal | None
    stop_price: Decimal | None
    quantity: Decimal
    leaves: Decimal
    cum: Decimal
    canceled: Decimal
    quote_total: Decimal
    fee_total: Decimal
    reserved: Decimal
    row: OrderRow


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
class UncrossView:
    """How a call ended; `price` is None when nothing crossed."""

    price: Decimal | None
    volume: Decimal


class _MarketState(TypedDict):
    """The fields of MarketStateView."""

    status: InstrumentStatus
    last_price: Decimal | None
    band_low: Decimal | None
    band_high: Decimal | None
    indicative_price: Decimal | None
    indicative_volume: Decimal
    indicative_surplus: Decimal


@dataclass(frozen=True, slots=True)
class MarketStateView:
    """What may be done with an instrument's orders; a price is None where there is none.

    The indicative figures are those of a call, as if it were uncrossed now; a surplus below 0 is
    one of sellers.
    """

    status: InstrumentStatus
    last_price: Decimal | None
    band_low: Decimal | None
    band_high: Decimal | None
    indicative_price: Decimal | None
    indicative_volume: Decimal
    indicative_surplus: Decimal


@dataclass(frozen=True, slots=True)
class StatusView(MarketStateView):
    """The same as market data tells it; `time_ns` is the batch's."""

    time_ns: int


@dataclass(frozen=True, slots=True)
class InstrumentStateView(MarketStateView):
    """The same as get_instrument tells it, with counts and the fee rates for orders that come."""

    open_orders: int
    waiting_stops: int
    maker_fee_ppm: int
    taker_fee_ppm: int


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
            fee_total=self.quote.amounts.value(result.fee_total),
            fills=tuple(self.execution(report) for report in result.fills),
            result=result,
        )

    def order_state(self, row: OrderRow) -> OrderStateView:
        """Convert an order of this instrument."""
        assert row.instrument == self.id
        side = Side(row.side)
        paid_with = self.quote if side is Side.BUY else self.base
        return OrderStateView(
            order_id=row.order_id,
            client_order_id=row.client_order_id,
            symbol=self.symbol,
            side=side,
            order_type=OrderType(row.order_type),
            time_in_force=TimeInForce(row.time_in_force),
            status=OrderStatus(row.status),
            waiting=row.waiting,
            price=self.price(row.price),
            stop_price=self.price(row.stop_price),
            quantity=self.quantities.value(row.quantity),
            leaves=self.quantities.value(row.leaves),
            cum=self.quantities.value(row.cum),
            canceled=self.quantities.value(row.canceled),
            quote_total=self.quote.amounts.value(row.quote_total),
            fee_total=self.quote.amounts.value(row.fee_total),
            reserved=paid_with.amounts.value(row.reserved),
            row=row,
        )

    def execution(self, report: ExecutionReport) -> ExecutionView:
        """Convert an execution report of this instrument."""
        assert report.instrument == self.id
        return ExecutionView(
            private_sequence=report.private_sequence,
            time_ns=report.time_ns,
            trade_id=report.trade_id,
            symbol=self.symbol,
            order_id=report.order_id,
            client_order_id=report.client_order_id,
            side=Side(report.side),
            liquidity=Liquidity(report.liquidity),
            price=self.prices.value(report.last_price),
            quantity=self.quantities.value(report.last_quantity),
            fee=self.quote.amounts.value(report.fee),
            leaves=self.quantities.value(report.leaves),
            cum=self.quantities.value(report.cum),
        )

    def fill(self, row: FillRow) -> FillView:
        """Convert a row of list_fills of this instrument."""
        assert row.instrument == self.id
        return FillView(
            private_sequence=row.private_sequence,
            time_ns=row.time_ns,
            trade_id=row.trade_id,
            symbol=self.symbol,
            order_id=row.order_id,
            client_order_id=row.client_order_id,
            side=Side(row.side),
            liquidity=Liquidity(row.liquidity),
            price=self.prices.value(row.price),
            quantity=self.quantities.value(row.quantity),
            fee=self.quote.amounts.value(row.fee),
        )

    def uncrossed(self, result: UncrossResult) -> UncrossView:
        """Convert how a call ended."""
        return UncrossView(self.price(result.price), self.quantities.value(result.volume))

    def state(self, reply: InstrumentReply) -> InstrumentStateView:
        """Convert the state of this instrument."""
        return InstrumentStateView(
            **self._market_state(reply),
            open_orders=reply.open_orders,
            waiting_stops=reply.waiting_stops,
            maker_fee_ppm=reply.maker_fee_ppm,
            taker_fee_ppm=reply.taker_fee_ppm,
        )

    def status(self, update: StatusUpdate) -> StatusView:
        """Convert the state of this instrument, as market data tells it."""
        return StatusView(**self._market_state(update), time_ns=update.time_ns)

    def orderbook(self, reply: OrderbookReply) -> OrderbookView:
        """Convert an order book."""
        return OrderbookView(
            book_sequence=reply.book_sequence,
            last_price=self.price(reply.last_price),
            bids=tuple(self.level(row) for row in reply.bids),
            asks=tuple(self.level(row) for row in reply.asks),
        )

    def level(self, row: BookLevel) -> LevelView:
        """Convert a price level."""
        price, quantity, orders = row
        return LevelView(self.prices.value(price), self.quantities.value(quantity), orders)

    def price(self, ticks: int) -> Decimal | None:
        """Convert a price; the wire's 0 is none."""
        return self.prices.value(ticks) if ticks else None

    def _market_state(self, reply: InstrumentReply | StatusUpdate) -> _MarketState:
        has_band = reply.band_high > 0
        return {
            "status": InstrumentStatus(reply.status),
            "last_price": self.price(reply.last_price),
            "band_low": self.prices.value(reply.band_low) if has_band else None,
            "band_high": self.price(reply.band_high),
            "indicative_price": self.price(reply.indicative_price),
            "indicative_volume": self.quantities.value(reply.indicative_volume),
            "indicative_surplus": self.quantities.value(reply.indicative_surplus),
        }
