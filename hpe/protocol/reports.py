"""The private stream: what happened to a user's orders and money, and how to follow it.

Immutable values, as base.py describes them; any thread may use them.
"""

from __future__ import annotations

from hpe.protocol.base import Reply, Request
from hpe.protocol.fields import AnyInt


class SubscribePrivate(Request, frozen=True, tag=8):
    """Ask for a user's private reports above `after`; nil: those from now on."""

    after: AnyInt | None = None
    user: AnyInt = 0


class PrivateSubscribed(Reply, frozen=True, tag=8):
    """The stream begins: the next private_update of this user has first = after + 1."""

    user: int
    after: int
    last: int


class UnsubscribePrivate(Request, frozen=True, tag=9):
    """End a private stream; succeeds even if there is none."""

    user: AnyInt = 0


class PrivateUnsubscribed(Reply, frozen=True, tag=9):
    """No private_update of this user follows."""

    user: int


class ExecutionReport(Reply, frozen=True, tag=120):
    """One fill, as one of its two sides sees it.

    request_id is that of the command that traded if this is its taker's report, else 0.
    """

    private_sequence: int
    sequence: int
    time_ns: int
    exec_type: int
    status: int
    instrument: int
    order_id: int
    client_order_id: int
    side: int
    liquidity: int
    trade_id: int
    last_price: int
    last_quantity: int
    leaves: int
    cum: int
    contra_order_id: int
    fee: int


class OrderReport(Reply, frozen=True, tag=121):
    """What happened to an order other than fills: accepted, replaced, fired, ended."""

    private_sequence: int
    sequence: int
    time_ns: int
    exec_type: int
    status: int
    instrument: int
    order_id: int
    client_order_id: int
    side: int
    leaves: int
    cum: int
    canceled: int
    reason: int
    order_type: int
    price: int
    stop_price: int


class PreventedMatch(Reply, frozen=True, tag=122):
    """A trade of a user with itself that the self-trade policy prevented."""

    private_sequence: int
    sequence: int
    time_ns: int
    instrument: int
    policy: int
    price: int
    maker_order_id: int
    taker_order_id: int
    maker_canceled: int
    taker_canceled: int
    maker_leaves: int
    taker_leaves: int


class HoldReport(Reply, frozen=True, tag=118):
    """What happened to a named hold: HoldChange, the amount, what remains; amounts in atoms."""

    private_sequence: int
    sequence: int
    time_ns: int
    hold_id: int
    asset: int
    change: int
    amount: int
    remaining: int
    expires_ns: int


class BalanceReport(Reply, frozen=True, tag=119):
    """One account after a batch that changed it, in atoms; `named` is the part in named holds."""

    private_sequence: int
    sequence: int
    time_ns: int
    asset: int
    available: int
    reserved: int
    held: int
    named: int


PrivateReport = ExecutionReport | OrderReport | PreventedMatch | HoldReport | BalanceReport


class PrivateUpdate(Reply, frozen=True, tag=123):
    """A user's private reports from private_sequence `first` to `last`, none missing."""

    user: int
    first: int
    last: int
    reports: list[PrivateReport]
