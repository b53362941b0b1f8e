"""Assets and instruments in the client library: the scales that turn integers into Decimals.

Owns the two scales and every conversion between the wire and the values of views.py. Pure values;
any task may use them. The scale of an asset or instrument never changes, so a view stays right
forever. hpe/client/decimals.py converts: exactly or not at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import TypeVar

from hpe.client.decimals import Grid, UnknownGrid, amount_grid, price_grid, quantity_grid
from hpe.client.market_views import (
    BestView,
    BookOrderView,
    InstrumentStateView,
    LevelView,
    OrderbookView,
    StatusView,
    TradeView,
    UncrossView,
)
from hpe.client.pending import OrderEvent
from hpe.client.results import Balance, HoldResult, OrderResult, UncrossResult
from hpe.client.views import (
    AccountView,
    BalanceReportView,
    BalanceView,
    ConservationView,
    ExecutionView,
    FillView,
    HoldReportView,
    HoldResultView,
    HoldView,
    OrderReportView,
    OrderStateView,
    OrderView,
    PreventedMatchView,
)
from hpe.protocol.codes import CancelReason
from hpe.protocol.enums import (
    ExecType,
    HoldChange,
    InstrumentStatus,
    Liquidity,
    OrderStatus,
    OrderType,
    SelfTrade,
    Side,
    TimeInForce,
)
from hpe.protocol.listings import AssetRow, InstrumentReply, InstrumentRow
from hpe.protocol.market_data import (
    BestUpdate,
    BookLevel,
    BookOrderRow,
    OrderbookReply,
    StatusUpdate,
    TradeRow,
)
from hpe.protocol.money import BalanceRow, HoldRow
from hpe.protocol.operations import ConservationReply
from hpe.protocol.orders import FillRow, OrderRow
from hpe.protocol.reports import (
    BalanceReport,
    ExecutionReport,
    HoldReport,
    OrderReport,
    PreventedMatch,
)

_V = TypeVar("_V")


def _reason(number: int) -> CancelReason | int | None:
    """Return the name of a reason; a newer server may have more of them."""
    try:
        return CancelReason(number) if number else None
    except ValueError:
        return number


@dataclass(frozen=True, slots=True)
class AssetView:
    """An asset; `amounts` converts between atoms and Decimals."""

    id: int
    symbol: str
    decimals: int
    amounts: Grid

    @classmethod
    def of(cls, row: AssetRow) -> AssetView:
        """Return the view of a row of list_assets."""
        asset, symbol, decimals = row
        return cls(asset, symbol, decimals, amount_grid(symbol, decimals))

    @classmethod
    def delisted(cls, asset: int) -> AssetView:
        """Return the view of an asset that was delisted before it was seen: `raw` has the atoms."""
        symbol = f"asset {asset}"
        return cls(asset, symbol, 0, UnknownGrid("amount", symbol))

    def balance(self, balance: Balance) -> BalanceView:
        """Convert an account's atoms."""
        available, locked, reserved, held = map(self.amounts.value, balance)
        return BalanceView(available, locked, reserved, held, balance)

    def account(self, row: BalanceRow) -> AccountView:
        """Convert a row of list_balances."""
        _, available, reserved, held, in_holds = row
        balance = self.balance(Balance(available, reserved + held, reserved, held))
        return AccountView(self.symbol, balance, self.amounts.value(in_holds), row)

    def hold(self, row: HoldRow) -> HoldView:
        """Convert a row of list_holds."""
        hold_id, _, amount, expires_ns = row
        return HoldView(hold_id, self.symbol, self.amounts.value(amount), expires_ns, row)

    def hold_result(self, result: HoldResult) -> HoldResultView:
        """Convert what remains after capture_hold or release_hold."""
        remaining = self.amounts.value(result.remaining)
        account = self.balance(result.balance)
        return HoldResultView(result.hold_id, self.symbol, remaining, account, result)

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
            raw=reply,
        )

    def hold_report(self, report: HoldReport) -> HoldReportView:
        """Convert what happened to a hold of this asset."""
        return HoldReportView(
            private_sequence=report.private_sequence,
            time_ns=report.time_ns,
            symbol=self.symbol,
            hold_id=report.hold_id,
            change=HoldChange(report.change),
            amount=self.amounts.value(report.amount),
            remaining=self.amounts.value(report.remaining),
            expires_ns=report.expires_ns,
            raw=report,
        )

    def balance_report(self, report: BalanceReport) -> BalanceReportView:
        """Convert an account of this asset after something changed it."""
        value = self.amounts.value
        return BalanceReportView(
            private_sequence=report.private_sequence,
            time_ns=report.time_ns,
            symbol=self.symbol,
            available=value(report.available),
            reserved=value(report.reserved),
            held=value(report.held),
            in_holds=value(report.named),
            raw=report,
        )


@dataclass(frozen=True, slots=True)
class InstrumentView:
    """A spot pair; `prices` converts ticks and `quantities` lots, both ways; `raw` has limits."""

    id: int
    symbol: str
    base: AssetView
    quote: AssetView
    prices: Grid
    quantities: Grid
    raw: InstrumentRow | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, row: InstrumentRow, base: AssetView, quote: AssetView) -> InstrumentView:
        """Return the view of a row of list_instruments and its two assets."""
        prices = price_grid(
            row.symbol,
            base_atoms_per_lot=row.base_atoms_per_lot,
            quote_atoms_per_tick=row.quote_atoms_per_tick,
            base_decimals=base.decimals,
            quote_decimals=quote.decimals,
        )
        quantities = quantity_grid(row.symbol, row.base_atoms_per_lot, base.decimals)
        return cls(row.instrument, row.symbol, base, quote, prices, quantities, row)

    @classmethod
    def delisted(cls, instrument: int) -> InstrumentView:
        """Return the view of an instrument delisted before it was seen: `raw` has the integers."""
        symbol = f"instrument {instrument}"
        unknown = AssetView(0, f"asset of {symbol}", 0, UnknownGrid("amount", symbol))
        prices, quantities = UnknownGrid("price", symbol), UnknownGrid("quantity", symbol)
        return cls(instrument, symbol, unknown, unknown, prices, quantities)

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
            symbol=self.symbol,
            status=result.status,
            reason=_reason(result.reason),
            leaves=self.quantities.value(result.leaves),
            cum=self.quantities.value(result.cum),
            canceled=self.quantities.value(result.canceled),
            quote_total=self.quote.amounts.value(result.quote_total),
            fee_total=self.quote.amounts.value(result.fee_total),
            fills=tuple(self.execution(report) for report in result.fills),
            events=tuple(self.event(report) for report in result.events),
            raw=result,
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
            raw=row,
        )

    def execution(self, report: ExecutionReport) -> ExecutionView:
        """Convert an execution report of this instrument."""
        make = self._fill_maker(ExecutionView, report)
        return make(
            price=self.prices.value(report.last_price),
            quantity=self.quantities.value(report.last_quantity),
            leaves=self.quantities.value(report.leaves),
            cum=self.quantities.value(report.cum),
        )

    def event(self, report: OrderEvent) -> OrderReportView | PreventedMatchView:
        """Convert what a command did to orders of this instrument other than fills."""
        if isinstance(report, OrderReport):
            return self.order_report(report)
        return self.prevented_match(report)

    def order_report(self, report: OrderReport) -> OrderReportView:
        """Convert what happened to an order of this instrument."""
        assert report.instrument == self.id
        return OrderReportView(
            private_sequence=report.private_sequence,
            time_ns=report.time_ns,
            symbol=self.symbol,
            order_id=report.order_id,
            client_order_id=report.client_order_id,
            exec_type=ExecType(report.exec_type),
            status=OrderStatus(report.status),
            reason=_reason(report.reason),
            side=Side(report.side),
            order_type=OrderType(report.order_type),
            price=self.price(report.price),
            stop_price=self.price(report.stop_price),
            leaves=self.quantities.value(report.leaves),
            cum=self.quantities.value(report.cum),
            canceled=self.quantities.value(report.canceled),
            raw=report,
        )

    def prevented_match(self, report: PreventedMatch) -> PreventedMatchView:
        """Convert a prevented trade on this instrument."""
        assert report.instrument == self.id
        value = self.quantities.value
        return PreventedMatchView(
            private_sequence=report.private_sequence,
            time_ns=report.time_ns,
            symbol=self.symbol,
            policy=SelfTrade(report.policy),
            price=self.prices.value(report.price),
            maker_order_id=report.maker_order_id,
            taker_order_id=report.taker_order_id,
            maker_canceled=value(report.maker_canceled),
            taker_canceled=value(report.taker_canceled),
            maker_leaves=value(report.maker_leaves),
            taker_leaves=value(report.taker_leaves),
            raw=report,
        )

    def fill(self, row: FillRow) -> FillView:
        """Convert a row of list_fills of this instrument."""
        make = self._fill_maker(FillView, row)
        return make(
            price=self.prices.value(row.price), quantity=self.quantities.value(row.quantity)
        )

    def uncrossed(self, result: UncrossResult) -> UncrossView:
        """Convert the result of a call."""
        volume = self.quantities.value(result.volume)
        return UncrossView(self.symbol, self.price(result.price), volume, result)

    def state(self, reply: InstrumentReply) -> InstrumentStateView:
        """Convert the state of this instrument."""
        make = self._state_maker(InstrumentStateView, reply)
        return make(
            open_orders=reply.open_orders,
            waiting_stops=reply.waiting_stops,
            maker_fee_ppm=reply.maker_fee_ppm,
            taker_fee_ppm=reply.taker_fee_ppm,
        )

    def status(self, update: StatusUpdate) -> StatusView:
        """Convert the state of this instrument, as market data reports it."""
        return self._state_maker(StatusView, update)(time_ns=update.time_ns)

    def best(self, update: BestUpdate) -> BestView:
        """Convert the best prices of this instrument."""
        return BestView(
            symbol=self.symbol,
            sequence=update.last,
            time_ns=update.time_ns,
            bid=self.price(update.bid_price),
            bid_quantity=self.quantities.value(update.bid_quantity),
            ask=self.price(update.ask_price),
            ask_quantity=self.quantities.value(update.ask_quantity),
            raw=update,
        )

    def trade(self, row: TradeRow, time_ns: int) -> TradeView:
        """Convert a trade of this instrument."""
        trade_id, price, quantity, side = row
        return TradeView(
            symbol=self.symbol,
            trade_id=trade_id,
            time_ns=time_ns,
            price=self.prices.value(price),
            quantity=self.quantities.value(quantity),
            side=Side(side) if side else None,
            raw=row,
        )

    def orderbook(self, reply: OrderbookReply) -> OrderbookView:
        """Convert an order book."""
        return OrderbookView(
            symbol=self.symbol,
            book_sequence=reply.book_sequence,
            last_price=self.price(reply.last_price),
            bids=tuple(self.level(row) for row in reply.bids),
            asks=tuple(self.level(row) for row in reply.asks),
            raw=reply,
        )

    def level(self, row: BookLevel) -> LevelView:
        """Convert a price level."""
        price, quantity, orders = row
        return LevelView(self.prices.value(price), self.quantities.value(quantity), orders)

    def book_order(self, row: BookOrderRow) -> BookOrderView:
        """Convert an order of a book of single orders."""
        order_id, price, quantity = row
        return BookOrderView(order_id, self.prices.value(price), self.quantities.value(quantity))

    def price(self, ticks: int) -> Decimal | None:
        """Convert a price; the wire's 0 means none."""
        return self.prices.value(ticks) if ticks else None

    def _fill_maker(self, view: Callable[..., _V], fill: FillRow | ExecutionReport) -> partial[_V]:
        """Return a function that makes a view of a fill; fields have two names on the wire."""
        assert fill.instrument == self.id
        return partial(
            view,
            private_sequence=fill.private_sequence,
            time_ns=fill.time_ns,
            trade_id=fill.trade_id,
            symbol=self.symbol,
            order_id=fill.order_id,
            client_order_id=fill.client_order_id,
            side=Side(fill.side),
            liquidity=Liquidity(fill.liquidity),
            fee=self.quote.amounts.value(fill.fee),
            raw=fill,
        )

    def _state_maker(
        self, view: Callable[..., _V], reply: InstrumentReply | StatusUpdate
    ) -> partial[_V]:
        """Return a function that makes a view of the market's state from the view's own fields."""
        has_band = reply.band_high > 0
        return partial(
            view,
            symbol=self.symbol,
            status=InstrumentStatus(reply.status),
            last_price=self.price(reply.last_price),
            band_low=self.prices.value(reply.band_low) if has_band else None,
            band_high=self.price(reply.band_high),
            indicative_price=self.price(reply.indicative_price),
            indicative_volume=self.quantities.value(reply.indicative_volume),
            indicative_surplus=self.quantities.value(reply.indicative_surplus),
            raw=reply,
        )
