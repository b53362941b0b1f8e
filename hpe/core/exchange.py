"""The exchange: every command and query as a function on books, money and listings.

Part of the deterministic core. Routes a typed command to the modules that own its parts and
gives the typed response; owns order ids, trade ids and the settings that `configure` brings.
The driver (reference.py) sets `sequence` and `time_ns` before each command and takes `matches`
after it. Each command's rejects are tested in the order in which protocol.md
lists them; a reject changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hpe.core.balances import BalanceCache
from hpe.core.catalogue import Catalogue
from hpe.core.executor import Executor
from hpe.core.instruments import Listings
from hpe.core.matcher import Fill, Match, Matcher
from hpe.core.orderbook import OrderBook
from hpe.core.orders import Order, OrderIndex
from hpe.errors import InvariantViolation
from hpe.messages import (
    AMOUNT_MAX,
    FILLS_PER_COMMAND_MAX,
    ORDER_POST_ONLY,
    BalanceReply,
    CancelOrder,
    CancelReason,
    CancelResponse,
    Deposit,
    DepositResponse,
    GetBalance,
    GetOrderbook,
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
_REQUESTED: Final = CancelReason.REQUESTED
_CANCELED: Final = OrderStatus.CANCELED

_Move = Callable[[int, int, int], RejectReason]
"""(user, asset, amount) -> reject reason: one movement of BalanceCache."""

_ORDER_RESPONSES: Final[dict[type[Request], type[OrderResponse]]] = {
    SubmitOrder: OrderResponse,
    CancelOrder: CancelResponse,
    ReplaceOrder: ReplaceResponse,
}


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
        self.matcher = Matcher()
        self.executor = Executor()
        self.catalogue = Catalogue(self)
        self.sequence = 0
        self.time_ns = 0
        self.last_order_id = 0
        self.last_trade_id = 0
        self.matches: list[Match] = []

    # --- orders -----------------------------------------------------------------------------

    def submit_order(self, user: int, command: SubmitOrder) -> OrderResponse:
        """Accept, match and rest (or cancel the rest of) a new order.

        Flat because it is the hottest path: a call per test would cost more than the tests.
        """
        price, quantity, flags = command.price, command.quantity, command.flags
        resting = command.time_in_force is _GTC
        limit = command.order_type is _LIMIT  # a market order has no price and never rests
        if limit is (price == 0) or (resting and not limit) or (flags and not resting):
            return self._rejected(command, RejectReason.INVALID_COMBINATION)
        book = self.books.get(command.instrument)
        if book is None:
            return self._rejected(command, RejectReason.UNKNOWN_INSTRUMENT)
        instrument = book.instrument
        if price and not instrument.price_min <= price <= instrument.price_max:
            return self._rejected(command, RejectReason.PRICE_OUT_OF_RANGE)
        if not instrument.quantity_min <= quantity <= instrument.quantity_max:
            return self._rejected(command, RejectReason.QUANTITY_OUT_OF_RANGE)
        notional = price * quantity * instrument.quote_atoms_per_tick
        if price and not instrument.notional_min <= notional <= AMOUNT_MAX:
            return self._rejected(command, RejectReason.NOTIONAL_OUT_OF_RANGE)
        orders, client_order_id = self.orders, command.client_order_id
        if client_order_id and (key := (user, client_order_id)) in orders.by_client_id:
            return self._rejected(command, RejectReason.DUPLICATE_CLIENT_ORDER_ID)
        if len(orders.by_id) >= self.settings.open_orders_max:
            return self._rejected(command, RejectReason.TOO_MANY_ORDERS)
        accounts, side = self.balances.accounts[user], command.side
        if side is _BUY:
            ladder, best = book.bids, book.asks.best
            paying, receiving = accounts[instrument.quote], accounts[instrument.base]
            needed = notional or self._market_cost(book, quantity, paying.available)
            crosses = best is not None and (best.price <= price or not price)
        else:
            ladder, best = book.asks, book.bids.best
            paying, receiving = accounts[instrument.base], accounts[instrument.quote]
            needed = quantity * instrument.base_atoms_per_lot
            crosses = best is not None and best.price >= price
        if flags and crosses:
            return self._rejected(command, RejectReason.POST_ONLY_WOULD_CROSS)
        if needed > paying.available:
            return self._rejected(command, RejectReason.INSUFFICIENT_FUNDS)
        order_id = self.last_order_id = self.last_order_id + 1
        if not (crosses or resting):
            return self._killed(command, order_id)
        paying.available -= needed
        paying.reserved += needed
        order = Order(
            order_id, user, client_order_id, book, side, price, quantity, quantity, flags,
            paying, receiving, needed,
        )  # fmt: skip
        if crosses:
            return self._submit_crossing(command, order)
        ladder.add(order)
        orders.by_id[order_id] = order
        if client_order_id:
            orders.by_client_id[key] = order
        now_ns = self.time_ns
        return OrderResponse(
            command.request_id, 0, self.sequence, 0, now_ns, 0, order_id, quantity, 0, 0, 0, 0, 0
        )

    def _market_cost(self, book: OrderBook, quantity: int, available: int) -> int:
        """Give what a market buy costs now in quote atoms, or something above what is available."""
        atoms = book.instrument.quote_atoms_per_tick
        return self.matcher.cost(book.asks, quantity, available // atoms) * atoms

    def _killed(self, command: SubmitOrder, order_id: int) -> OrderResponse:
        """Answer an accepted order that finds nothing to trade with and may not rest."""
        return OrderResponse(
            command.request_id, 0, self.sequence, _kill_reason(command), self.time_ns, _CANCELED,
            order_id, 0, 0, command.quantity, 0, 0, 0,
        )  # fmt: skip

    def _submit_crossing(self, command: SubmitOrder, order: Order) -> OrderResponse:
        """Carry out an accepted order that trades at once."""
        opposite = order.book.opposite(order.side)
        fills: list[Fill] = []
        if command.time_in_force is not _FOK or self.matcher.fillable(
            opposite, order.price, order.quantity
        ):
            fills = self._trade(order, command.request_id)
        reason = 0
        if order.leaves:
            if len(fills) == FILLS_PER_COMMAND_MAX and opposite.crosses(order.price):
                reason = CancelReason.FILL_LIMIT
            elif command.time_in_force is not _GTC:
                reason = _kill_reason(command)
            if reason:
                self._end(order)
            else:
                order.book.side(order.side).add(order)
                self.orders.add(order)
        return self._order_response(OrderResponse, command, order, reason, fills)

    def _end(self, order: Order) -> None:
        """Cancel the leaves of an order that rests nowhere and release what it reserved."""
        self.executor.release(order)
        order.canceled += order.leaves
        order.leaves = 0

    def _trade(self, order: Order, request_id: int) -> list[Fill]:
        """Match an order, settle and number its fills, forget the makers that are filled."""
        fills = self.matcher.match(order)
        self.executor.settle(order, fills)
        self.matches.append(Match(order, request_id, self.last_trade_id + 1, fills))
        self.last_trade_id += len(fills)
        for fill in fills:
            if not fill.maker_leaves:
                self.orders.remove(fill.maker)
        return fills

    def cancel_order(self, user: int, command: CancelOrder) -> OrderResponse:
        """Take a resting order out and release its money."""
        order_id, client_order_id = command.order_id, command.client_order_id
        if (order_id == 0) is (client_order_id == 0):
            return self._rejected(command, RejectReason.INVALID_COMBINATION)
        orders = self.orders
        if order_id:
            order = orders.by_id.get(order_id)
        else:
            order = orders.by_client_id.get((user, client_order_id))
        if order is None or order.user != user:
            return self._rejected(command, RejectReason.UNKNOWN_ORDER)
        book = order.book
        (book.bids if order.side is _BUY else book.asks).remove(order)
        order_id = order.order_id
        del orders.by_id[order_id]
        if order.client_order_id:
            del orders.by_client_id[user, order.client_order_id]
        account, reserved = order.paying, order.reserved
        account.reserved -= reserved
        account.available += reserved
        return CancelResponse(
            command.request_id, 0, self.sequence, _REQUESTED, self.time_ns, _CANCELED, order_id,
            0, order.cum, order.canceled + order.leaves, order.quote_total, 0, 0,
        )  # fmt: skip

    def replace_order(self, user: int, command: ReplaceOrder) -> OrderResponse:
        """Change quantity or price of a resting order.

        Less quantity at the same price keeps its place; anything else, or `requeue`, loses it
        and may trade. A rejected replace leaves the order as it was.
        """
        leaves, total = command.leaves_quantity, command.quantity
        if (leaves is None) is (total is None) or (
            (command.order_id == 0) is (command.client_order_id == 0)
        ):
            return self._rejected(command, RejectReason.INVALID_COMBINATION)
        order = self.orders.find(user, command.order_id, command.client_order_id)
        if order is None:
            return self._rejected(command, RejectReason.UNKNOWN_ORDER)
        done = order.cum + order.canceled
        if leaves is None:
            assert total is not None
            leaves = total - done
        if leaves <= 0:
            order.book.side(order.side).remove(order)
            self.orders.remove(order)
            self._end(order)
            away = CancelReason.REPLACED_AWAY
            return self._order_response(ReplaceResponse, command, order, away, [])
        instrument = order.book.instrument
        price = command.price or order.price
        if not instrument.price_min <= price <= instrument.price_max:
            return self._rejected(command, RejectReason.PRICE_OUT_OF_RANGE)
        if not instrument.quantity_min <= leaves + done <= instrument.quantity_max:
            return self._rejected(command, RejectReason.QUANTITY_OUT_OF_RANGE)
        if not instrument.admits(price, leaves, order.quote_total):
            return self._rejected(command, RejectReason.NOTIONAL_OUT_OF_RANGE)
        if order.flags & ORDER_POST_ONLY and order.book.opposite(order.side).crosses(price):
            return self._rejected(command, RejectReason.POST_ONLY_WOULD_CROSS)
        if not self.executor.reserve(order, self.executor.requirement(order, price, leaves)):
            return self._rejected(command, RejectReason.INSUFFICIENT_FUNDS)
        order.quantity = leaves + done
        fills = self._replace_live(command, order, price, leaves)
        reason = CancelReason.FILL_LIMIT if order.canceled else _NONE
        return self._order_response(ReplaceResponse, command, order, reason, fills)

    def _replace_live(
        self, command: ReplaceOrder, order: Order, price: int, leaves: int
    ) -> list[Fill]:
        """Carry out a replace that was found valid and has reserved what it needs."""
        book = order.book
        if order.side is _BUY:
            ladder, opposite = book.bids, book.asks
        else:
            ladder, opposite = book.asks, book.bids
        if price == order.price and leaves < order.leaves and not command.requeue:
            ladder.reduce(order, leaves)
            return []
        ladder.remove(order)
        order.price, order.leaves = price, leaves
        fills: list[Fill] = []
        if opposite.crosses(price):
            fills = self._trade(order, command.request_id)
            if order.leaves and opposite.crosses(price):
                self._end(order)  # FILLS_PER_COMMAND_MAX: it may not rest crossed
        if order.leaves:
            ladder.add(order)
        else:
            self.orders.remove(order)
        return fills

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

    # --- proof ------------------------------------------------------------------------------

    def check(self) -> None:
        """Walk everything: books, indexes, listings, conservation, reservations."""
        self.listings.check()
        self.orders.check()
        resting = 0
        reserved: dict[tuple[int, int], int] = {}
        for book in self.books.values():
            book.check()
            for order in book.orders():
                resting += 1
                self._check_resting(order)
                asset = book.instrument.quote if order.side is _BUY else book.instrument.base
                key = (order.user, asset)
                reserved[key] = reserved.get(key, 0) + order.reserved
        if resting != len(self.orders.by_id):
            raise InvariantViolation(f"{resting} orders rest, {len(self.orders.by_id)} are indexed")
        self.balances.check(reserved)

    def _check_resting(self, order: Order) -> None:
        if self.orders.by_id.get(order.order_id) is not order:
            raise InvariantViolation(f"order {order.order_id} rests but is not indexed")
        if order.reserved != self.executor.requirement(order, order.price, order.leaves):
            raise InvariantViolation(f"order {order.order_id} reserves {order.reserved}")


def _kill_reason(command: SubmitOrder) -> CancelReason:
    """Say why what is left of an order that may not rest is taken off."""
    if command.time_in_force is _FOK:
        return CancelReason.FOK_NOT_FILLABLE
    limit = command.order_type is _LIMIT
    return CancelReason.IOC_REMAINDER if limit else CancelReason.NO_LIQUIDITY
