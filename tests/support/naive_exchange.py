"""A deliberately naive exchange: the second opinion on the whole core.

Owns nothing of the engine and shares no code with it but the wire's messages: one list of open
orders, linear scans, sums taken anew for every question. What an account has available is not
kept but computed: what it owns, less what is held, less what its open orders need. Slow and
obvious on purpose. One object per test. Source: protocol.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hpe.messages import (
    AMOUNT_MAX,
    AddInstrument,
    BalanceReply,
    CancelOrder,
    CancelReason,
    CancelResponse,
    Deposit,
    DepositResponse,
    ExecType,
    ExecutionReport,
    GetBalance,
    GetOrderbook,
    Liquidity,
    LockBalance,
    LockResponse,
    OrderbookReply,
    OrderResponse,
    OrderStatus,
    OrderType,
    RejectReason,
    ReplaceOrder,
    ReplaceResponse,
    Reply,
    Request,
    Side,
    SubmitOrder,
    TimeInForce,
    UnlockBalance,
    UnlockResponse,
    Withdraw,
    WithdrawResponse,
)
from tests.support.naive_listings import NaiveListings, Rejected, reject_if

_Money = Deposit | Withdraw | LockBalance | UnlockBalance

_MONEY_RESPONSES: Final[dict[type[Request], type[LockResponse]]] = {
    Deposit: DepositResponse,
    Withdraw: WithdrawResponse,
    LockBalance: LockResponse,
    UnlockBalance: UnlockResponse,
}


@dataclass(eq=False)
class NaiveOrder:
    """An order; `priority` orders those of one price."""

    order_id: int
    user: int
    client_order_id: int
    instrument: AddInstrument
    book: int
    side: Side
    price: int
    leaves: int
    post_only: bool
    priority: int = 0
    cum: int = 0
    canceled: int = 0
    quote_total: int = 0

    def status(self) -> OrderStatus:
        """Give the FIX status."""
        if self.leaves:
            return OrderStatus.PARTIALLY_FILLED if self.cum else OrderStatus.NEW
        return OrderStatus.CANCELED if self.canceled else OrderStatus.FILLED

    def needs(self) -> tuple[int, int]:
        """Give the asset and the amount that the order reserves."""
        if self.side is Side.BUY:
            amount = self.price * self.leaves * self.instrument.quote_atoms_per_tick
            return self.instrument.quote, amount
        return self.instrument.base, self.leaves * self.instrument.base_atoms_per_lot


class NaiveExchange:
    """All orders in one list, all money in one dict of what everybody owns.

    `reports` are those of the last command, each with its user.
    """

    def __init__(self, open_orders_max: int, auto_create: bool) -> None:
        self.open_orders_max = open_orders_max
        self.listings = NaiveListings(auto_create)
        self.open: list[NaiveOrder] = []
        self.owned: dict[tuple[int, int], int] = {}
        self.held: dict[tuple[int, int], int] = {}
        self.last_prices: dict[int, int] = {}
        self.private: dict[int, int] = {}
        self.sequence = 0
        self.time_ns = 0
        self.orders = 0
        self.trades = 0
        self.arrivals = 0
        self.reports: list[tuple[int, ExecutionReport]] = []

    def execute(self, user: int, command: Request) -> Reply:
        """Execute a command and give its response."""
        self.sequence += 1
        self.reports = []
        if isinstance(command, SubmitOrder | CancelOrder | ReplaceOrder):
            return self._order_command(user, command)
        if isinstance(command, Deposit | Withdraw | LockBalance | UnlockBalance):
            return self._money_command(user, command)
        return self.listings.execute(command, self.sequence)

    def answer(self, user: int, query: GetBalance | GetOrderbook) -> Reply:
        """Answer a query; the count of changes of a book is not known here and left 0."""
        if isinstance(query, GetBalance):
            owner = query.user or user
            known = 1 <= query.asset <= len(self.listings.assets)
            reason = RejectReason.NONE if known else RejectReason.UNKNOWN_ASSET
            available, reserved, held = self.account(owner, query.asset)
            return BalanceReply(
                query.request_id, 0, self.sequence, reason, query.asset, available,
                reserved + held, reserved, held,
            )  # fmt: skip
        bids, asks = (self._depth(query.instrument, side)[: query.depth] for side in Side)
        known = 1 <= query.instrument <= len(self.listings.instruments)
        reason = RejectReason.NONE if known else RejectReason.UNKNOWN_INSTRUMENT
        last_price = self.last_prices.get(query.instrument, 0)
        return OrderbookReply(
            query.request_id, 0, self.sequence, reason, query.instrument, 0, last_price, bids, asks
        )

    def account(self, user: int, asset: int) -> tuple[int, int, int]:
        """Give (available, reserved, held)."""
        needs = [order.needs() for order in self.open if order.user == user]
        reserved = sum(amount for needed, amount in needs if needed == asset)
        held = self.held.get((user, asset), 0)
        return self.owned.get((user, asset), 0) - reserved - held, reserved, held

    # --- orders -------------------------------------------------------------------------------

    def _order_command(
        self, user: int, command: SubmitOrder | CancelOrder | ReplaceOrder
    ) -> OrderResponse:
        trades = self.trades
        try:
            if isinstance(command, SubmitOrder):
                kind, (order, reason) = OrderResponse, self._submit(user, command)
            elif isinstance(command, CancelOrder):
                kind, (order, reason) = CancelResponse, self._cancel(user, command)
            else:
                kind, (order, reason) = ReplaceResponse, self._replace(user, command)
        except Rejected as rejected:
            kinds = {SubmitOrder: OrderResponse, CancelOrder: CancelResponse}
            kind = kinds.get(type(command), ReplaceResponse)
            return kind(
                command.request_id, 0, self.sequence, rejected.reason, self.time_ns,
                OrderStatus.REJECTED, 0, 0, 0, 0, 0, 0, 0,
            )  # fmt: skip
        fills = self.trades - trades
        return kind(
            command.request_id, 0, self.sequence, reason, self.time_ns, order.status(),
            order.order_id, order.leaves, order.cum, order.canceled, order.quote_total, fills,
            trades + 1 if fills else 0,
        )  # fmt: skip

    def _submit(self, user: int, command: SubmitOrder) -> tuple[NaiveOrder, int]:
        self._check_combination(command)
        known = command.instrument <= len(self.listings.instruments)
        reject_if(not known, RejectReason.UNKNOWN_INSTRUMENT)
        instrument = self.listings.instruments[command.instrument - 1]
        order = NaiveOrder(
            self.orders + 1, user, command.client_order_id, instrument, command.instrument,
            command.side, command.price, command.quantity, bool(command.flags),
        )  # fmt: skip
        if order.price:
            self._check_limit(order)
        else:
            self._check_quantity(order)
        same = [o for o in self.open if o.user == user and o.client_order_id]
        taken = order.client_order_id in [o.client_order_id for o in same]
        reject_if(taken, RejectReason.DUPLICATE_CLIENT_ORDER_ID)
        reject_if(len(self.open) >= self.open_orders_max, RejectReason.TOO_MANY_ORDERS)
        crosses = order.post_only and self._maker_for(order) is not None
        reject_if(crosses, RejectReason.POST_ONLY_WOULD_CROSS)
        asset, needed = order.needs()
        if not order.price and order.side is Side.BUY:
            needed = self._walk(order)[1]
        short = needed > self.account(user, asset)[0]
        reject_if(short, RejectReason.INSUFFICIENT_FUNDS)
        self.orders += 1
        return order, self._carry_out(order, command)

    def _check_combination(self, command: SubmitOrder) -> None:
        resting = command.time_in_force is TimeInForce.GTC
        if command.order_type is OrderType.LIMIT:
            wrong = command.price == 0 or (command.flags != 0 and not resting)
        else:
            wrong = command.price != 0 or command.flags != 0 or resting
        reject_if(wrong, RejectReason.INVALID_COMBINATION)

    def _check_limit(self, order: NaiveOrder) -> None:
        listed = order.instrument
        outside = order.price < listed.price_min or order.price > listed.price_max
        reject_if(outside, RejectReason.PRICE_OUT_OF_RANGE)
        self._check_quantity(order)
        notional = order.price * order.leaves * listed.quote_atoms_per_tick
        wrong = notional < listed.notional_min or notional + order.quote_total > AMOUNT_MAX
        reject_if(wrong, RejectReason.NOTIONAL_OUT_OF_RANGE)

    def _check_quantity(self, order: NaiveOrder) -> None:
        listed, quantity = order.instrument, order.leaves + order.cum + order.canceled
        outside = quantity < listed.quantity_min or quantity > listed.quantity_max
        reject_if(outside, RejectReason.QUANTITY_OUT_OF_RANGE)

    def _carry_out(self, order: NaiveOrder, command: SubmitOrder) -> int:
        fillable = self._walk(order)[0]
        if command.time_in_force is TimeInForce.FOK and fillable < order.leaves:
            order.canceled, order.leaves = order.leaves, 0
            return CancelReason.FOK_NOT_FILLABLE
        self._trade(order, command.request_id)
        if not order.leaves:
            return 0
        if command.time_in_force is TimeInForce.GTC:
            self._rest(order)
            return 0
        order.canceled, order.leaves = order.leaves, 0
        limit = command.order_type is OrderType.LIMIT
        return CancelReason.IOC_REMAINDER if limit else CancelReason.NO_LIQUIDITY

    def _walk(self, order: NaiveOrder) -> tuple[int, int]:
        """Give the quantity that would trade now and what it would cost in quote atoms."""
        open_quantity, quantity, cost = order.leaves, 0, 0
        for maker in sorted(self._makers_for(order), key=_rank):
            part = min(open_quantity - quantity, maker.leaves)
            quantity += part
            cost += part * maker.price * order.instrument.quote_atoms_per_tick
        return quantity, cost

    def _makers_for(self, order: NaiveOrder) -> list[NaiveOrder]:
        """List the resting orders within an order's limit."""
        opposite = [o for o in self.open if o.book == order.book and o.side is not order.side]
        if not order.price:
            return opposite
        if order.side is Side.BUY:
            return [o for o in opposite if o.price <= order.price]
        return [o for o in opposite if o.price >= order.price]

    def _maker_for(self, order: NaiveOrder) -> NaiveOrder | None:
        return min(self._makers_for(order), key=_rank, default=None)

    def _trade(self, taker: NaiveOrder, request_id: int) -> None:
        while taker.leaves:
            maker = self._maker_for(taker)
            if maker is None:
                return
            quantity = min(taker.leaves, maker.leaves)
            self._settle(taker, maker, quantity)
            self.trades += 1
            self.last_prices[taker.book] = maker.price
            self._report(taker, maker, quantity, maker.price, Liquidity.TAKER, request_id)
            self._report(maker, taker, quantity, maker.price, Liquidity.MAKER, 0)
            if not maker.leaves:
                self.open.remove(maker)

    def _settle(self, taker: NaiveOrder, maker: NaiveOrder, quantity: int) -> None:
        listed = taker.instrument
        quote = quantity * maker.price * listed.quote_atoms_per_tick
        base = quantity * listed.base_atoms_per_lot
        buyer, seller = (taker, maker) if taker.side is Side.BUY else (maker, taker)
        for user, asset, change in (
            (buyer.user, listed.quote, -quote),
            (seller.user, listed.quote, quote),
            (seller.user, listed.base, -base),
            (buyer.user, listed.base, base),
        ):
            self.owned[user, asset] = self.owned.get((user, asset), 0) + change
        for order in (taker, maker):
            order.leaves -= quantity
            order.cum += quantity
            order.quote_total += quote

    def _report(
        self,
        order: NaiveOrder,
        other: NaiveOrder,
        quantity: int,
        price: int,
        liquidity: Liquidity,
        request_id: int,
    ) -> None:
        number = self.private[order.user] = self.private.get(order.user, 0) + 1
        report = ExecutionReport(
            request_id, 0, number, self.sequence, self.time_ns, ExecType.TRADE, order.status(),
            order.book, order.order_id, order.client_order_id, order.side, liquidity, self.trades,
            price, quantity, order.leaves, order.cum, other.order_id,
        )  # fmt: skip
        self.reports.append((order.user, report))

    def _rest(self, order: NaiveOrder) -> None:
        self.arrivals += 1
        order.priority = self.arrivals
        self.open.append(order)

    def _find(self, user: int, order_id: int, client_order_id: int) -> NaiveOrder:
        reject_if((order_id == 0) == (client_order_id == 0), RejectReason.INVALID_COMBINATION)
        for order in self.open:
            named = order.client_order_id if client_order_id else order.order_id
            if order.user == user and named == (client_order_id or order_id):
                return order
        raise Rejected(RejectReason.UNKNOWN_ORDER)

    def _cancel(self, user: int, command: CancelOrder) -> tuple[NaiveOrder, int]:
        order = self._find(user, command.order_id, command.client_order_id)
        return order, self._end(order, CancelReason.REQUESTED)

    def _end(self, order: NaiveOrder, reason: CancelReason) -> int:
        self.open.remove(order)
        order.canceled += order.leaves
        order.leaves = 0
        return reason

    def _replace(self, user: int, command: ReplaceOrder) -> tuple[NaiveOrder, int]:
        given = (command.quantity is not None) + (command.leaves_quantity is not None)
        reject_if(given != 1, RejectReason.INVALID_COMBINATION)
        order = self._find(user, command.order_id, command.client_order_id)
        leaves = command.leaves_quantity
        if leaves is None:
            assert command.quantity is not None
            leaves = command.quantity - order.cum - order.canceled
        if leaves <= 0:
            return order, self._end(order, CancelReason.REPLACED_AWAY)
        old_price, old_leaves = order.price, order.leaves
        order.price, order.leaves = command.price or old_price, leaves
        try:
            self._check_limit(order)
            crosses = self._maker_for(order) is not None
            reject_if(order.post_only and crosses, RejectReason.POST_ONLY_WOULD_CROSS)
            short = self.account(user, order.needs()[0])[0] < 0
            reject_if(short, RejectReason.INSUFFICIENT_FUNDS)
        except Rejected:
            order.price, order.leaves = old_price, old_leaves
            raise
        if order.price != old_price or leaves >= old_leaves or command.requeue:
            self.open.remove(order)
            self._trade(order, command.request_id)
            if order.leaves:
                self._rest(order)
        return order, 0

    def _depth(self, book: int, side: Side) -> list[tuple[int, int, int]]:
        mine = [o for o in self.open if o.book == book and o.side is side]
        prices = sorted({o.price for o in mine}, reverse=side is Side.BUY)
        levels = [[o.leaves for o in mine if o.price == price] for price in prices]
        return [(p, sum(level), len(level)) for p, level in zip(prices, levels, strict=True)]

    # --- money --------------------------------------------------------------------------------

    def _money_command(self, user: int, command: _Money) -> LockResponse:
        user, asset = command.user or user, command.asset
        reason = RejectReason.NONE
        try:
            reject_if(asset > len(self.listings.assets), RejectReason.UNKNOWN_ASSET)
            self._move(user, asset, command)
        except Rejected as rejected:
            reason = rejected.reason
        available, reserved, held = self.account(user, asset)
        return _MONEY_RESPONSES[type(command)](
            command.request_id, 0, self.sequence, reason, asset, available, reserved, held
        )

    def _move(self, user: int, asset: int, command: _Money) -> None:
        key, amount = (user, asset), command.amount
        if isinstance(command, Deposit):
            total = sum(owned for (_, of), owned in self.owned.items() if of == asset)
            reject_if(total + amount > AMOUNT_MAX, RejectReason.DEPOSIT_LIMIT)
            self.owned[key] = self.owned.get(key, 0) + amount
        elif isinstance(command, UnlockBalance):
            reject_if(amount > self.held.get(key, 0), RejectReason.INSUFFICIENT_HOLD)
            self.held[key] -= amount
        else:
            reject_if(amount > self.account(user, asset)[0], RejectReason.INSUFFICIENT_FUNDS)
            if isinstance(command, Withdraw):
                self.owned[key] -= amount
            else:
                self.held[key] = self.held.get(key, 0) + amount


def _rank(order: NaiveOrder) -> tuple[int, int]:
    """Order those of one side: best price first, then first come."""
    return (order.price if order.side is Side.SELL else -order.price, order.priority)
