"""What the naive exchange lets wait: commands on an instrument with unfinished work.

Part of the second opinion of naive_exchange.py, nothing shared with the core.
Source: protocol.md, "Unfinished work" and "Holds and due times".
"""

from __future__ import annotations

from hpe.protocol.base import Request
from hpe.protocol.enums import InstrumentStatus
from hpe.protocol.limits import INT_MAX
from hpe.protocol.listings import DelistAsset, DelistInstrument
from hpe.protocol.operations import SetFees, SetStatus, Uncross
from hpe.protocol.orders import CancelOrder, MassCancel, ReplaceOrder, SubmitOco, SubmitOrder
from tests.support.naive_entry import find, new_leaves, order_like, takes_off
from tests.support.naive_listings import Rejected
from tests.support.naive_orders import NaiveOrder
from tests.support.naive_outlook import dead_before
from tests.support.naive_state import NaiveState

_MAY_COST_MUCH = (
    SubmitOrder | SubmitOco | ReplaceOrder | Uncross | MassCancel | SetFees | DelistAsset
    | DelistInstrument
)  # fmt: skip


def is_busy(state: NaiveState, user: int, command: Request) -> bool:
    """True if a command has to wait: its instrument is unfinished, or the batch is full."""
    if state.effort >= state.limits.effort and isinstance(command, _MAY_COST_MUCH):
        return True
    book = getattr(command, "instrument", 0)
    user = getattr(command, "user", 0) or user
    cancels, named = isinstance(command, CancelOrder | MassCancel | SetStatus), None
    if isinstance(command, CancelOrder | ReplaceOrder):
        named = _named(state, user, command)
        book = named.book if named else 0
    if named and isinstance(command, ReplaceOrder):
        cancels = takes_off(named, command)
    if cancels:
        return book in state.uncrossing
    changing = SubmitOrder | SubmitOco | ReplaceOrder | Uncross | SetFees | DelistInstrument
    if isinstance(command, changing) and book in state.unfinished():
        return True
    if isinstance(command, Uncross):
        return state.has_dead(book)
    return _comes_behind_many(state, user, command, named)


def _comes_behind_many(
    state: NaiveState, user: int, command: Request, named: NaiveOrder | None
) -> bool:
    order = named.copied() if named else None
    if isinstance(command, SubmitOrder | SubmitOco):
        if command.instrument not in state.listings.instruments:
            return False
        order = order_like(state, user, command)
    if order is None or order.waiting or state.is_dead(order):
        return False
    if state.status(order.book) is not InstrumentStatus.TRADING:
        return False
    lots = order.leaves or INT_MAX
    if isinstance(command, ReplaceOrder):
        order.price = command.price or order.price
        lots = new_leaves(order, command)
    looks_only = order.post_only or isinstance(command, SubmitOco)
    if state.has_dead(order.book) and state.wasted >= state.limits.effort:
        return True
    passed = dead_before(state, order, 1 if looks_only else lots, looks_only)
    is_refused = passed.dead > state.limits.dead
    state.wasted += passed.rows if is_refused else 0
    state.effort += 0 if is_refused else passed.rows
    return is_refused


def _named(state: NaiveState, user: int, command: CancelOrder | ReplaceOrder) -> NaiveOrder | None:
    try:
        client_id = 0 if command.order_id else command.client_order_id
        return find(state, user, command.order_id, client_id)
    except Rejected:
        return None
