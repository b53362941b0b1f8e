"""Queries: orders, fills, accounts, holds, instruments, and the proofs.

Part of the deterministic core. A query changes nothing: it opens no account and no user.
catalogue.py answers the listings. Costs that are not obvious are stated; every other query costs
what it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain, islice
from typing import TYPE_CHECKING, Final

from hpe.core.codec import refused
from hpe.core.context.effort import CLEARING, ROW
from hpe.core.money.balances import Account
from hpe.core.trading.auction import NO_CLEARING, clearing, crossing_levels, is_too_deep
from hpe.core.trading.operations import count_orders, count_stops
from hpe.core.trading.order_index import STRANGER
from hpe.core.trading.orders import Order, Terms
from hpe.protocol.codes import CALL_TOO_DEEP, RejectReason
from hpe.protocol.control import Error
from hpe.protocol.enums import InstrumentStatus, Side
from hpe.protocol.limits import HOUSE_USER
from hpe.protocol.listings import GetInstrument, InstrumentReply
from hpe.protocol.market_data import GetOrderbook, OrderbookReply
from hpe.protocol.money import (
    BalanceReply,
    BalanceRow,
    BalancesReply,
    GetBalance,
    HoldsReply,
    ListBalances,
    ListHolds,
)
from hpe.protocol.operations import ConservationReply, GetConservation, GetStateHash, StateHashReply
from hpe.protocol.orders import (
    FillRow,
    FillsReply,
    GetOrder,
    ListFills,
    ListOrders,
    OrderReply,
    OrderRow,
    OrdersReply,
)
from hpe.protocol.reports import ExecutionReport

if TYPE_CHECKING:
    from hpe.core.trading.exchange import Exchange

_NONE: Final = RejectReason.NONE
_NO_TERMS: Final = Terms()
_NOTHING: Final[dict[int, Account]] = {}


class Queries:
    """Answers queries about one exchange. `state_hash` returns the core's."""

    def __init__(self, exchange: Exchange, state_hash: Callable[[], bytes]) -> None:
        self._exchange = exchange
        self._state_hash = state_hash
        self._effort = exchange.market.effort

    def get_orderbook(self, user: int, query: GetOrderbook) -> OrderbookReply:
        """Return the best levels of a book."""
        exchange, book = self._exchange, self._exchange.books.get(query.instrument)
        if book is None:
            return OrderbookReply(
                query.request_id, 0, exchange.sequence, RejectReason.UNKNOWN_INSTRUMENT,
                query.instrument, 0, 0, [], [],
            )  # fmt: skip
        bids, asks = book.depth(Side.BUY, query.depth), book.depth(Side.SELL, query.depth)
        self._effort.ask(ROW, len(bids) + len(asks))
        return OrderbookReply(
            query.request_id, 0, exchange.sequence, _NONE, query.instrument, book.sequence,
            book.last_price, bids, asks,
        )  # fmt: skip

    def get_balance(self, user: int, query: GetBalance) -> BalanceReply:
        """Return one account."""
        exchange, asset = self._exchange, query.asset
        reason = _NONE if asset in exchange.listings.assets else RejectReason.UNKNOWN_ASSET
        account = exchange.balances.peek(query.user or user, asset)
        available, reserved, held = account.available, account.reserved, account.held
        return BalanceReply(
            query.request_id, 0, exchange.sequence, reason, asset, available, reserved + held,
            reserved, held,
        )  # fmt: skip

    def get_order(self, user: int, query: GetOrder) -> OrderReply:
        """Return an order, open or recently ended."""
        orders, owner = self._exchange.orders, query.user or user
        reason, row = _NONE, None
        if (query.order_id == 0) is (query.client_order_id == 0):
            reason = RejectReason.INVALID_COMBINATION
        else:
            order = orders.find(owner, query.order_id, query.client_order_id)
            if order is None and query.order_id <= self._exchange.last_order_id:
                self._effort.ask(ROW, len(orders.ended) if query.order_id else 0)
                order = orders.find_ended(owner, query.order_id, query.client_order_id)
            row = order_row(order) if order is not None else None
            reason = _NONE if order is not None else RejectReason.UNKNOWN_ORDER
        return OrderReply(query.request_id, 0, self._exchange.sequence, reason, row)

    def list_orders(self, user: int, query: ListOrders) -> OrdersReply:
        """Return a page of open orders."""
        mine = self._exchange.orders.users.get(query.user or user, STRANGER)
        found: Iterable[Order] = ()
        if query.instrument in self._exchange.books:
            found = mine.open_of(query.instrument, query.after)
        elif not query.instrument:
            found = chain.from_iterable(mine.open_after(query.after))
        rows = [order_row(order) for order in islice(found, query.limit)]
        self._effort.ask(ROW, len(rows))
        return OrdersReply(query.request_id, 0, self._exchange.sequence, rows)

    def list_fills(self, user: int, query: ListFills) -> FillsReply:
        """Return a page of recent fills."""
        mine = self._exchange.orders.users.get(query.user or user, STRANGER)
        rows = [fill_row(report) for report in mine.fills.after(query.after, query.limit)]
        self._effort.ask(ROW, len(rows))
        return FillsReply(query.request_id, 0, self._exchange.sequence, rows, mine.fills_after)

    def list_balances(self, user: int, query: ListBalances) -> BalancesReply:
        """Return a page of accounts that are not empty. Cost: all accounts of the user."""
        accounts = self._exchange.balances.accounts.get(query.user or user, _NOTHING)
        self._effort.ask(ROW, len(accounts))
        rows = list(islice(_balance_rows(accounts, query.after), query.limit))
        return BalancesReply(query.request_id, 0, self._exchange.sequence, rows)

    def list_holds(self, user: int, query: ListHolds) -> HoldsReply:
        """Return a page of named holds."""
        rows = list(islice(self._exchange.holds.of(query.user or user, query.after), query.limit))
        self._effort.ask(ROW, len(rows))
        return HoldsReply(query.request_id, 0, self._exchange.sequence, rows)

    def get_instrument(self, user: int, query: GetInstrument) -> InstrumentReply | Error:
        """Return the state of an instrument. Cost: in a call, the levels that cross."""
        book, sequence = self._exchange.books.get(query.instrument), self._exchange.sequence
        if book is None:
            unknown = RejectReason.UNKNOWN_INSTRUMENT
            return InstrumentReply(query.request_id, 0, sequence, unknown, *[0] * 12)
        if is_too_deep(book, self._exchange.limits):
            return refused(query.request_id, *CALL_TOO_DEEP)
        in_call = book.status is InstrumentStatus.CALL_AUCTION
        self._effort.ask(CLEARING, crossing_levels(book))
        low, high = book.band() if book.instrument.band_ppm else (0, 0)
        rates = book.fees.of(user)
        return InstrumentReply(
            query.request_id, 0, sequence, _NONE, query.instrument, book.status, book.last_price,
            low, high, *(clearing(book) if in_call else NO_CLEARING), count_orders(book),
            count_stops(book), rates.maker, rates.taker,
        )  # fmt: skip

    def get_conservation(self, user: int, query: GetConservation) -> ConservationReply:
        """Return the sum of an asset over all accounts. Cost: all accounts."""
        exchange, asset = self._exchange, query.asset
        reason = _NONE if asset in exchange.listings.assets else RejectReason.UNKNOWN_ASSET
        available = reserved = held = count = 0
        self._effort.ask(ROW, len(exchange.balances.accounts))
        for accounts in exchange.balances.accounts.values():
            account = accounts.get(asset)
            if account is not None and (account.available or account.reserved or account.held):
                available += account.available
                reserved += account.reserved
                held += account.held
                count += 1
        return ConservationReply(
            query.request_id, 0, exchange.sequence, reason, asset,
            exchange.balances.net_deposits().get(asset, 0), available, reserved, held,
            exchange.balances.peek(HOUSE_USER, asset).available, count,
        )  # fmt: skip

    def get_state_hash(self, user: int, query: GetStateHash) -> StateHashReply:
        """Return the digest of the whole state. Cost: all of it."""
        self._effort.ask(ROW, self._exchange.limits.query_effort)
        digest = self._state_hash().hex()
        return StateHashReply(query.request_id, 0, self._exchange.sequence, digest)


def order_row(order: Order) -> OrderRow:
    """Return an order's row in the answer to a query."""
    terms = order.terms or _NO_TERMS
    partner = terms.partner
    return OrderRow(
        order.order_id, order.client_order_id, order.instrument_id, order.side,
        order.order_type, order.time_in_force, order.price, order.quantity, order.leaves,
        order.cum, order.canceled, order.status(), order.reason, order.quote_total,
        order.fee_total, order.reserved, order.flags, order.self_trade, order.waiting,
        order.trigger(), terms.trail, terms.display, terms.minimum, terms.budget,
        terms.expires_ns, partner.order_id if partner is not None else 0,
    )  # fmt: skip


def fill_row(report: ExecutionReport) -> FillRow:
    """Return a fill's row in the answer to a query."""
    return FillRow(
        report.trade_id, report.private_sequence, report.time_ns, report.instrument,
        report.order_id, report.client_order_id, report.side, report.liquidity,
        report.last_price, report.last_quantity, report.fee, report.contra_order_id,
    )  # fmt: skip


def _balance_rows(accounts: dict[int, Account], after: int) -> Iterable[BalanceRow]:
    for asset, account in sorted(accounts.items(), key=lambda item: item[0]):
        if asset > after and (account.available or account.reserved or account.held):
            yield asset, account.available, account.reserved, account.held, account.named
