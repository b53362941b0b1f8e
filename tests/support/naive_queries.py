"""The naive exchange's answers to queries: everything is looked up in the lists and summed anew.

Part of the second opinion of naive_exchange.py, nothing shared with the core. The count of
changes of a book is not known here and left 0. Source: protocol.md, Queries.
"""

from __future__ import annotations

from hpe.protocol.base import Reply, Request
from hpe.protocol.codes import RejectReason
from hpe.protocol.enums import Side
from hpe.protocol.limits import HOUSE_USER
from hpe.protocol.listings import (
    GetInstrument,
    InstrumentReply,
    InstrumentRow,
    InstrumentsReply,
    ListInstruments,
)
from hpe.protocol.market_data import BookLevel, GetOrderbook, OrderbookReply
from hpe.protocol.money import (
    BalanceReply,
    BalanceRow,
    BalancesReply,
    GetBalance,
    HoldsReply,
    ListBalances,
    ListHolds,
)
from hpe.protocol.operations import ConservationReply, GetConservation
from hpe.protocol.orders import (
    FillsReply,
    GetOrder,
    ListFills,
    ListOrders,
    OrderReply,
    OrderRow,
    OrdersReply,
)
from tests.support.naive_auction import cross_now
from tests.support.naive_orders import NaiveOrder
from tests.support.naive_state import NaiveState


def answer(state: NaiveState, user: int, query: Request) -> Reply:
    """Answer a query of a user's session."""
    listing = _answer_listing(state, user, query)
    if listing is not None:
        return listing
    head = (query.request_id, 0, state.sequence)
    if isinstance(query, GetBalance):
        reason = _asset_reason(state, query.asset)
        available, reserved, held = state.account(query.user or user, query.asset)
        locked = reserved + held
        return BalanceReply(*head, reason, query.asset, available, locked, reserved, held)
    if isinstance(query, GetOrderbook):
        bids, asks = (_depth(state, query.instrument, side)[: query.depth] for side in Side)
        reason = _instrument_reason(state, query.instrument)
        last_price = state.last_price(query.instrument)
        return OrderbookReply(*head, reason, query.instrument, 0, last_price, bids, asks)
    if isinstance(query, GetOrder):
        return OrderReply(*head, *_find_order(state, user, query))
    if isinstance(query, GetInstrument):
        return _instrument_reply(state, query)
    assert isinstance(query, GetConservation)
    return _conservation(state, query)


def _answer_listing(state: NaiveState, user: int, query: Request) -> Reply | None:
    head = (query.request_id, 0, state.sequence)
    if isinstance(query, ListInstruments):
        rows = [
            InstrumentRow(number, *(getattr(listed, name) for name in _LISTED))
            for number, listed in sorted(state.listings.instruments.items())
        ]
        rows = [row for row in rows if row.instrument > query.after]
        return InstrumentsReply(*head, rows[: query.limit])
    if not isinstance(query, ListOrders | ListFills | ListBalances | ListHolds):
        return None
    user, after, limit = query.user or user, query.after, query.limit
    if isinstance(query, ListOrders):
        mine = [o for o in state.open if o.user == user and query.instrument in (0, o.book)]
        mine = sorted((o for o in mine if o.order_id > after), key=lambda order: order.order_id)
        return OrdersReply(*head, [_row(state, order) for order in mine[:limit]])
    if isinstance(query, ListFills):
        fills = [row for owner, row in state.known_fills() if owner == user]
        all_of_them = [row.private_sequence for owner, row in state.fills if owner == user]
        forgotten = all_of_them[: len(all_of_them) - len(fills)]
        page = [row for row in fills if row.private_sequence > after][:limit]
        return FillsReply(*head, page, max(forgotten, default=0))
    if isinstance(query, ListBalances):
        return BalancesReply(*head, [r for r in _balances(state, user) if r[0] > after][:limit])
    holds = [hold for hold in state.holds if hold.user == user and hold.hold_id > after]
    found = sorted((h.hold_id, h.asset, h.amount, h.expires_ns) for h in holds)
    return HoldsReply(*head, found[:limit])


_LISTED = InstrumentRow.__struct_fields__[1:]


def _asset_reason(state: NaiveState, asset: int) -> RejectReason:
    known = asset in state.listings.assets
    return RejectReason.NONE if known else RejectReason.UNKNOWN_ASSET


def _instrument_reason(state: NaiveState, instrument: int) -> RejectReason:
    known = instrument in state.listings.instruments
    return RejectReason.NONE if known else RejectReason.UNKNOWN_INSTRUMENT


def _depth(state: NaiveState, book: int, side: Side) -> list[BookLevel]:
    mine = [order for order in state.resting(book) if order.side is side]
    prices = sorted({order.price for order in mine}, reverse=side is Side.BUY)
    levels = [[order.shown for order in mine if order.price == price] for price in prices]
    return [(p, sum(level), len(level)) for p, level in zip(prices, levels, strict=True)]


def _row(state: NaiveState, order: NaiveOrder) -> OrderRow:
    return order.row(state.trigger_now(order))


def _find_order(
    state: NaiveState, user: int, query: GetOrder
) -> tuple[RejectReason, OrderRow | None]:
    if (query.order_id == 0) == (query.client_order_id == 0):
        return RejectReason.INVALID_COMBINATION, None
    for order in state.open + state.known_ended()[::-1]:
        named = order.client_order_id if query.client_order_id else order.order_id
        if order.user == (query.user or user) and named == max(
            query.order_id, query.client_order_id
        ):
            return RejectReason.NONE, _row(state, order)
    return RejectReason.UNKNOWN_ORDER, None


def _balances(state: NaiveState, user: int) -> list[BalanceRow]:
    rows = []
    for asset in sorted(asset for owner, asset in state.owned if owner == user):
        account = state.account(user, asset)
        if any(account):
            rows.append((asset, *account, state.named_held(user, asset)))
    return rows


def _instrument_reply(state: NaiveState, query: GetInstrument) -> InstrumentReply:
    book = query.instrument
    reason = _instrument_reason(state, book)
    head = (query.request_id, 0, state.sequence, reason)
    if reason:
        return InstrumentReply(*head, *(0,) * 12)
    listed = state.instrument(book)
    cross = cross_now(state, book)
    mine = [order for order in state.open if order.book == book]
    waiting = [order for order in mine if order.waiting]
    return InstrumentReply(
        *head, book, state.status(book), state.last_price(book), *(state.band(book) or (0, 0)),
        *cross, len(mine), len(waiting), listed.maker_fee_ppm, listed.taker_fee_ppm,
    )  # fmt: skip


def _conservation(state: NaiveState, query: GetConservation) -> ConservationReply:
    asset = query.asset
    users = sorted(user for user, of in state.owned if of == asset)
    accounts = [state.account(user, asset) for user in users]
    available, reserved, held = (sum(account[part] for account in accounts) for part in range(3))
    used = [account for account in accounts if any(account)]
    house = state.account(HOUSE_USER, asset)[0]
    return ConservationReply(
        query.request_id, 0, state.sequence, _asset_reason(state, asset), asset,
        state.net_deposits.get(asset, 0), available, reserved, held, house, len(used),
    )  # fmt: skip
