"""The naive exchange's orders and holds whose time has come.

Part of the second opinion of naive_exchange.py, nothing shared with the core.
Source: protocol.md, "Holds and due times".
"""

from __future__ import annotations

from hpe.protocol.base import Request
from hpe.protocol.enums import HoldChange
from tests.support.naive_state import NaiveHold, NaiveState

_ORDER_IDS = ("order_id", "client_order_id", "limit_client_order_id", "stop_client_order_id")


def end_named(state: NaiveState, user: int, command: Request) -> None:
    """End what a command names by any id, if its time has come."""
    user = getattr(command, "user", 0) or user
    for field in _ORDER_IDS:
        named = getattr(command, field, 0)
        for order in [o for o in state.open if o.user == user and state.is_dead(o)]:
            mine = order.order_id if field == "order_id" else order.client_order_id
            if named and named == mine:
                state.expire(order)
    for hold in list(state.holds):
        dead = 0 < hold.expires_ns <= state.time_ns
        if dead and (hold.user, hold.hold_id) == (user, getattr(command, "hold_id", 0)):
            end_hold(state, hold)


def end_hold(state: NaiveState, hold: NaiveHold) -> None:
    """Give back what is left of a hold."""
    state.holds.remove(hold)
    amount, hold.amount = hold.amount, 0
    state.report_hold(hold, HoldChange.EXPIRED, amount)
