"""The exchange: every command and query as a function on books, money and listings.

Part of the deterministic core. Routes a typed command to the modules that own its parts and
gives the typed response; owns order ids, trade ids and the settings that `configure` brings.
The driver (reference.py) sets `sequence` and `time_ns` before each command and takes `trades`
and `reports` after it. Each command's rejects are tested in the order in which protocol.md
lists them; a reject changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from hpe.core.balances import BalanceCache
from hpe.core.executor import Executor
from hpe.core.feeds import PrivateFeed
from hpe.core.instruments import ASSETS_MAX, INSTRUMENTS_MAX, Instrument, Listings
from hpe.core.matcher import Fill, Matcher
from hpe.core.orderbook import OrderBook
from hpe.core.orders import Order, OrderIndex
from hpe.errors import InvariantViolation
from hpe.messages import (
    AMOUNT_MAX,
    AddAsset,
    AddAssetResponse,
    AddInstrument,
    AddInstrumentResponse,
    AssetsReply,
    BalanceReply,
    CancelOrder,
    CancelReason,
    CancelResponse,
    Deposit,
    DepositResponse,
    ExecutionReport,
    GetBalance,
    GetOrderbook,
    InstrumentsReply,
    ListAssets,
    ListInstruments,
    LockBalance,
    LockResponse,
    OrderbookReply,
    OrderResponse,
    OrderStatus,
    OrderType,
    RejectReason,
    ReplaceOrder,
    ReplaceResponse,
    Request,
    ResolveInstrument,
    ResolveInstrumentResponse,
    Side,
    SubmitOrder,
    TimeInForce,
    UnlockBalance,
    UnlockResponse,
    Withdraw,
    WithdrawResponse,
)

_BUY: Final = Side.BUY
_LIMIT: Final = OrderType.LIMIT
_GTC: Final = TimeInForce.GTC
_FOK: Final = TimeInForce.FOK
_NONE: Final = RejectReason.NONE

_Move = Callable[[int, int, int], RejectReason]
"""(user, asset, amount) -> reject reason: one movement of BalanceCache."""

_ORDER_RESPONSES: Final[dict[type[Request], type[OrderResponse]]] = {
    SubmitOrder: OrderResponse,
    CancelOrder: CancelResponse,
    ReplaceOrder: ReplaceResponse,
}


class Trade(NamedTuple):
    """One trade as the log records it."""

    trade_id: int
    instrument_id: int
    price: int
    quantity: int
    maker_order_id: int
    taker_order_id: int


class Settings:
    """What the configuration decides about outcomes; changed by the logged `configure` only."""

    __slots__ = ("auto_create", "open_orders_max", "session_expiry_ns")

    def __init__(self) -> None:
        self.auto_create = False
        self.session_expiry_ns = 86_400 * 10**9
        self.open_orders_max = 1_000_000


class Exchange:
    """All books and all balances."""

    def __init__(self) -> None:
        self.settings = Settings()
        self.listings = Listings()
        self.balances = BalanceCache()
        self.orders = OrderIndex()
        self.books: dict[int, OrderBook] = {}
        self.feed = PrivateFeed()
        self.matcher = Matcher()
        self.executor = Executor()
        self.sequence = 0
        self.time_ns = 0
        self.last_order_id = 0
        self.last_trade_id = 0
        self.trades: list[Trade] = []
        self.reports: list[tuple[int, ExecutionReport]] = []

    # --- orders -----------------------------------------------------------------------------

    def submit_order(self, user: int, command: SubmitOrder) -> OrderResponse:
        """Accept, match and rest (or cancel the rest of) a new order."""
        if not _combination_is_valid(command):
            return self._rejected(command, RejectReason.INVALID_COMBINATION)
        instrument = self.listings.instruments.get(command.instrument)
        if instrument is None:
            return self._rejected(command, RejectReason.UNKNOWN_INSTRUMENT)
        book = self.books[instrument.instrument_id]
        reason = self._refusal(user, command, instrument, book)
        if reason:
            return self._rejected(command, reason)
        order = self._new_order(user, command, instrument)
        requirement = self._requirement(instrument, book, order)
        if requirement > order.paying.available:
            return self._rejected(command, RejectReason.INSUFFICIENT_FUNDS)
        self.last_order_id = order.order_id
        if command.time_in_force is _FOK and not self.matcher.fillable(
            book.opposite(order.side), order.price, order.quantity
        ):
            order.canceled, order.leaves = order.leaves, 0
            reason_killed = CancelReason.FOK_NOT_FILLABLE
            return self._order_response(OrderResponse, command, order, reason_killed, [])
        self.executor.reserve(order, requirement)
        fills = self._trade(instrument, book, order, command.request_id)
        reason_after: int = _NONE
        if order.leaves:
            reason_after = self._place_remainder(instrument, book, order, command)
        return self._order_response(OrderResponse, command, order, reason_after, fills)

    def _refusal(
        self, user: int, command: SubmitOrder, instrument: Instrument, book: OrderBook
    ) -> RejectReason:
        """Test a new order against everything but funds."""
        price, quantity = command.price, command.quantity
        if price and not instrument.price_min <= price <= instrument.price_max:
            return RejectReason.PRICE_OUT_OF_RANGE
        if not instrument.quantity_min <= quantity <= instrument.quantity_max:
            return RejectReason.QUANTITY_OUT_OF_RANGE
        if not _notional_fits(instrument, price, quantity, 0):
            return RejectReason.NOTIONAL_OUT_OF_RANGE
        client_order_id = command.client_order_id
        if client_order_id and self.orders.find_client(user, client_order_id) is not None:
            return RejectReason.DUPLICATE_CLIENT_ORDER_ID
        if len(self.orders) >= self.settings.open_orders_max:
            return RejectReason.TOO_MANY_ORDERS
        if command.flags and book.opposite(command.side).crosses(price):
            return RejectReason.POST_ONLY_WOULD_CROSS
        return _NONE

    def _new_order(self, user: int, command: SubmitOrder, instrument: Instrument) -> Order:
        """Make the order object; its id counts only once the order is accepted."""
        account = self.balances.account
        base, quote = account(user, instrument.base), account(user, instrument.quote)
        side = command.side
        paying, receiving = (quote, base) if side is _BUY else (base, quote)
        return Order(
            self.last_order_id + 1,
            user,
            command.client_order_id,
            instrument.instrument_id,
            side,
            command.price,
            command.quantity,
            command.quantity,
            command.flags,
            paying,
            receiving,
        )

    def _requirement(self, instrument: Instrument, book: OrderBook, order: Order) -> int:
        """Give what the order must be able to pay; a market buy is walked over the book."""
        if order.price or order.side is not _BUY:
            return self.executor.reserved(instrument, order)
        ticks_lots = self.matcher.cost(book.asks, order.quantity)
        return ticks_lots * instrument.quote_atoms_per_tick

    def _trade(
        self, instrument: Instrument, book: OrderBook, order: Order, request_id: int
    ) -> list[Fill]:
        """Match an order and settle, number and report every fill."""
        if not book.opposite(order.side).crosses(order.price):
            return []
        cum, leaves = order.cum, order.leaves
        fills = self.matcher.match(book, order)
        for fill in fills:
            maker = fill.maker
            self.executor.settle(instrument, order, fill)
            cum += fill.quantity
            leaves -= fill.quantity
            self.last_trade_id += 1
            self.trades.append(
                Trade(
                    self.last_trade_id,
                    instrument.instrument_id,
                    fill.price,
                    fill.quantity,
                    maker.order_id,
                    order.order_id,
                )
            )
            self.reports += self.feed.fill_reports(
                fill,
                order,
                taker_leaves=leaves,
                taker_cum=cum,
                request_id=request_id,
                sequence=self.sequence,
                time_ns=self.time_ns,
                trade_id=self.last_trade_id,
            )
            if not maker.leaves:
                self.orders.remove(maker)
        return fills

    def _place_remainder(
        self, instrument: Instrument, book: OrderBook, order: Order, command: SubmitOrder
    ) -> int:
        """Rest what is left of a good-till-cancel order, cancel what is left of any other."""
        if command.time_in_force is _GTC:
            book.rest(order)
            self.orders.add(order)
            return _NONE
        self._end(instrument, order)
        market = command.order_type is not _LIMIT
        return CancelReason.NO_LIQUIDITY if market else CancelReason.IOC_REMAINDER

    def _end(self, instrument: Instrument, order: Order) -> None:
        """Cancel the leaves of an order that rests nowhere and release what they reserved.

        A market buy reserved exactly what it traded: its requirement at price 0 is nothing.
        """
        self.executor.reserve(order, -self.executor.reserved(instrument, order))
        order.canceled += order.leaves
        order.leaves = 0

    def cancel_order(self, user: int, command: CancelOrder) -> OrderResponse:
        """Take a resting order out and release its money."""
        if bool(command.order_id) is bool(command.client_order_id):
            return self._rejected(command, RejectReason.INVALID_COMBINATION)
        order = self.orders.find(user, command.order_id, command.client_order_id)
        if order is None:
            return self._rejected(command, RejectReason.UNKNOWN_ORDER)
        self._take_out_and_end(order)
        return self._order_response(CancelResponse, command, order, CancelReason.REQUESTED, [])

    def _take_out_and_end(self, order: Order) -> None:
        self.books[order.instrument_id].take_out(order)
        self.orders.remove(order)
        self._end(self.listings.instruments[order.instrument_id], order)

    def replace_order(self, user: int, command: ReplaceOrder) -> OrderResponse:
        """Change quantity or price of a resting order.

        Less quantity at the same price keeps its place; anything else, or `requeue`, loses it
        and may trade. A rejected replace leaves the order as it was.
        """
        if bool(command.order_id) is bool(command.client_order_id):
            return self._rejected(command, RejectReason.INVALID_COMBINATION)
        if (command.quantity is None) is (command.leaves_quantity is None):
            return self._rejected(command, RejectReason.INVALID_COMBINATION)
        order = self.orders.find(user, command.order_id, command.client_order_id)
        if order is None:
            return self._rejected(command, RejectReason.UNKNOWN_ORDER)
        done = order.cum + order.canceled
        leaves = command.leaves_quantity
        if leaves is None:
            assert command.quantity is not None
            leaves = command.quantity - done
        if leaves <= 0:
            self._take_out_and_end(order)
            reason = CancelReason.REPLACED_AWAY
            return self._order_response(ReplaceResponse, command, order, reason, [])
        return self._replace_live(command, order, leaves, command.price or order.price)

    def _replace_live(
        self, command: ReplaceOrder, order: Order, leaves: int, price: int
    ) -> OrderResponse:
        """Carry out a replace that leaves something open."""
        instrument = self.listings.instruments[order.instrument_id]
        book = self.books[order.instrument_id]
        quantity = leaves + order.cum + order.canceled
        if not instrument.price_min <= price <= instrument.price_max:
            return self._rejected(command, RejectReason.PRICE_OUT_OF_RANGE)
        if not instrument.quantity_min <= quantity <= instrument.quantity_max:
            return self._rejected(command, RejectReason.QUANTITY_OUT_OF_RANGE)
        if not _notional_fits(instrument, price, leaves, order.quote_total):
            return self._rejected(command, RejectReason.NOTIONAL_OUT_OF_RANGE)
        if order.post_only and book.opposite(order.side).crosses(price):
            return self._rejected(command, RejectReason.POST_ONLY_WOULD_CROSS)
        executor = self.executor
        more = executor.requirement(instrument, order.side, price, leaves)
        more -= executor.reserved(instrument, order)
        if more > order.paying.available:
            return self._rejected(command, RejectReason.INSUFFICIENT_FUNDS)
        executor.reserve(order, more)
        order.quantity = quantity
        fills: list[Fill] = []
        if price == order.price and leaves <= order.leaves and not command.requeue:
            book.reduce(order, leaves)
        else:
            book.take_out(order)
            order.price, order.leaves = price, leaves
            fills = self._trade(instrument, book, order, command.request_id)
            if order.leaves:
                book.rest(order)
            else:
                self.orders.remove(order)
        return self._order_response(ReplaceResponse, command, order, _NONE, fills)

    def _rejected(
        self, command: SubmitOrder | CancelOrder | ReplaceOrder, reason: RejectReason
    ) -> OrderResponse:
        """Answer no: nothing was changed."""
        response = _ORDER_RESPONSES[type(command)]
        return response(
            command.request_id, 0, self.sequence, reason, self.time_ns, OrderStatus.REJECTED,
            0, 0, 0, 0, 0, 0, 0,
        )  # fmt: skip

    def _order_response(
        self,
        response: type[OrderResponse],
        command: SubmitOrder | CancelOrder | ReplaceOrder,
        order: Order,
        reason: int,
        fills: list[Fill],
    ) -> OrderResponse:
        """Answer with the order as it is now and the fills of this command."""
        count = len(fills)
        return response(
            command.request_id, 0, self.sequence, reason, self.time_ns, order.status(),
            order.order_id, order.leaves, order.cum, order.canceled, order.quote_total,
            count, self.last_trade_id - count + 1 if count else 0,
        )  # fmt: skip

    # --- money ------------------------------------------------------------------------------

    def deposit(self, user: int, command: Deposit) -> LockResponse:
        """Credit an account from outside."""
        return self._move(user, command, DepositResponse, self.balances.deposit)

    def withdraw(self, user: int, command: Withdraw) -> LockResponse:
        """Debit an account to outside."""
        return self._move(user, command, WithdrawResponse, self.balances.withdraw)

    def lock_balance(self, user: int, command: LockBalance) -> LockResponse:
        """Move available to held."""
        return self._move(user, command, LockResponse, self.balances.lock)

    def unlock_balance(self, user: int, command: UnlockBalance) -> LockResponse:
        """Move held to available."""
        return self._move(user, command, UnlockResponse, self.balances.unlock)

    def _move(
        self,
        user: int,
        command: Deposit | Withdraw | LockBalance | UnlockBalance,
        response: type[LockResponse],
        move: _Move,
    ) -> LockResponse:
        """Carry out one balance command and answer with the account afterwards."""
        user = command.user or user
        asset = command.asset
        if asset in self.listings.assets:
            reason = move(user, asset, command.amount)
        else:
            reason = RejectReason.UNKNOWN_ASSET
        account = self.balances.peek(user, asset)
        return response(
            command.request_id, 0, self.sequence, reason, asset,
            account.available, account.reserved, account.held,
        )  # fmt: skip

    # --- listings ---------------------------------------------------------------------------

    def add_asset(self, user: int, command: AddAsset) -> AddAssetResponse:
        """List an asset."""
        reason, asset_id = _NONE, 0
        if self.listings.asset_named(command.symbol) is not None:
            reason = RejectReason.DUPLICATE_SYMBOL
        elif len(self.listings.assets) >= ASSETS_MAX:
            reason = RejectReason.TOO_MANY_ASSETS
        else:
            asset_id = self.listings.add_asset(command.symbol, command.decimals).asset_id
        return AddAssetResponse(command.request_id, 0, self.sequence, reason, asset_id)

    def add_instrument(self, user: int, command: AddInstrument) -> AddAssetResponse:
        """List a pair and open its book."""
        reason = self._listing_refusal(command)
        instrument_id = 0
        if not reason:
            instrument_id = self.list_instrument(command)
        return AddInstrumentResponse(command.request_id, 0, self.sequence, reason, instrument_id)

    def _listing_refusal(self, command: AddInstrument) -> RejectReason:
        listings = self.listings
        if command.base not in listings.assets or command.quote not in listings.assets:
            return RejectReason.UNKNOWN_ASSET
        if command.base == command.quote:
            return RejectReason.SAME_ASSET
        if listings.instrument_named(command.symbol) is not None:
            return RejectReason.DUPLICATE_SYMBOL
        if len(listings.instruments) >= INSTRUMENTS_MAX:
            return RejectReason.TOO_MANY_INSTRUMENTS
        if command.price_min > command.price_max or command.quantity_min > command.quantity_max:
            return RejectReason.INVALID_COMBINATION
        return _NONE

    def list_instrument(self, row: AddInstrument) -> int:
        """List a pair that was found valid; returns its id."""
        instrument_id = len(self.listings.instruments) + 1
        self.listings.add_instrument(
            Instrument(
                instrument_id, row.symbol, row.base, row.quote, row.base_atoms_per_lot,
                row.quote_atoms_per_tick, row.price_min, row.price_max, row.quantity_min,
                row.quantity_max, row.notional_min,
            )
        )  # fmt: skip
        self.books[instrument_id] = OrderBook(instrument_id)
        return instrument_id

    def resolve_instrument(self, user: int, command: ResolveInstrument) -> AddAssetResponse:
        """Find a pair by asset symbols; under auto_create make what is missing, scale 1."""
        base, quote = map(self.listings.asset_named, (command.base, command.quote))
        known = None
        if base is not None and quote is not None:
            known = self.listings.instrument_of_pair(base.asset_id, quote.asset_id)
        reason, instrument_id = _NONE, 0
        if known is not None:
            instrument_id = known.instrument_id
        elif command.base == command.quote:
            reason = RejectReason.SAME_ASSET
        elif not self.settings.auto_create:
            reason = RejectReason.UNKNOWN_PAIR
        else:
            reason, instrument_id = self._create_pair(command.base, command.quote)
        return ResolveInstrumentResponse(
            command.request_id, 0, self.sequence, reason, instrument_id
        )

    def _create_pair(self, base: str, quote: str) -> tuple[RejectReason, int]:
        """Make a pair and those of its assets that are new; all of it or nothing."""
        listings = self.listings
        new = [symbol for symbol in (base, quote) if listings.asset_named(symbol) is None]
        symbol = f"{base}/{quote}"
        if listings.instrument_named(symbol) is not None:
            return RejectReason.DUPLICATE_SYMBOL, 0
        if len(listings.assets) + len(new) > ASSETS_MAX:
            return RejectReason.TOO_MANY_ASSETS, 0
        if len(listings.instruments) >= INSTRUMENTS_MAX:
            return RejectReason.TOO_MANY_INSTRUMENTS, 0
        for missing in new:
            listings.add_asset(missing, 0)
        ids = [asset.asset_id for asset in map(listings.asset_named, (base, quote)) if asset]
        return _NONE, self.list_instrument(AddInstrument(1, symbol, *ids))

    # --- queries ----------------------------------------------------------------------------

    def get_orderbook(self, user: int, query: GetOrderbook) -> OrderbookReply:
        """Show the best levels of a book."""
        book = self.books.get(query.instrument)
        if book is None:
            return OrderbookReply(
                query.request_id, 0, self.sequence, RejectReason.UNKNOWN_INSTRUMENT,
                query.instrument, 0, 0, [], [],
            )  # fmt: skip
        return OrderbookReply(
            query.request_id, 0, self.sequence, _NONE, query.instrument, book.sequence,
            book.last_price, book.depth(Side.BUY, query.depth), book.depth(Side.SELL, query.depth),
        )  # fmt: skip

    def get_balance(self, user: int, query: GetBalance) -> BalanceReply:
        """Show one account."""
        asset = query.asset
        reason = _NONE if asset in self.listings.assets else RejectReason.UNKNOWN_ASSET
        account = self.balances.peek(query.user or user, asset)
        available, reserved, held = account.available, account.reserved, account.held
        return BalanceReply(
            query.request_id, 0, self.sequence, reason, asset, available, reserved + held,
            reserved, held,
        )  # fmt: skip

    def list_assets(self, user: int, query: ListAssets) -> AssetsReply:
        """Show a page of assets."""
        assets = self.listings.assets
        last = min(query.after + query.limit, len(assets))
        rows = [assets[asset_id].row() for asset_id in range(query.after + 1, last + 1)]
        return AssetsReply(query.request_id, 0, self.sequence, rows)

    def list_instruments(self, user: int, query: ListInstruments) -> InstrumentsReply:
        """Show a page of instruments."""
        instruments = self.listings.instruments
        last = min(query.after + query.limit, len(instruments))
        rows = [instruments[key].row() for key in range(query.after + 1, last + 1)]
        return InstrumentsReply(query.request_id, 0, self.sequence, rows)

    # --- proof ------------------------------------------------------------------------------

    def check(self) -> None:
        """Walk everything: books, indexes, listings, conservation, reservations."""
        self.listings.check()
        self.orders.check()
        resting = 0
        reserved: dict[tuple[int, int], int] = {}
        for instrument_id, book in self.books.items():
            book.check()
            instrument = self.listings.instruments[instrument_id]
            for order in book.orders():
                resting += 1
                if self.orders.find(order.user, order.order_id, 0) is not order:
                    raise InvariantViolation(f"order {order.order_id} rests but is not indexed")
                asset = instrument.quote if order.side is _BUY else instrument.base
                key = (order.user, asset)
                reserved[key] = reserved.get(key, 0) + self.executor.reserved(instrument, order)
        if resting != len(self.orders):
            raise InvariantViolation(f"{resting} orders rest, {len(self.orders)} are indexed")
        self.balances.check(reserved)


def _combination_is_valid(command: SubmitOrder) -> bool:
    """Tell whether type, price, time in force and flags of a new order go together.

    A limit order has a price, and post-only makes sense only where the order may rest. A market
    order has no price and never rests.
    """
    if command.order_type is _LIMIT:
        return command.price > 0 and (not command.flags or command.time_in_force is _GTC)
    return not command.price and not command.flags and command.time_in_force is not _GTC


def _notional_fits(instrument: Instrument, price: int, quantity: int, traded: int) -> bool:
    """Check both sides of an order of this size against AMOUNT_MAX; price 0: base only.

    `traded` is the order's quote total so far: with it inside the bound, the total of a whole
    order's life stays within 64 bits (at most AMOUNT_MAX more from one command's better prices).
    """
    if quantity * instrument.base_atoms_per_lot > AMOUNT_MAX:
        return False
    if not price:
        return True
    notional = price * quantity * instrument.quote_atoms_per_tick
    return instrument.notional_min <= notional and traded + notional <= AMOUNT_MAX
