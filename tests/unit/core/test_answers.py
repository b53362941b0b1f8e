"""Which commands changed nothing that lasts: by their answers, and as a core counts them."""

from __future__ import annotations

from typing import Any

import pytest

from hpe.core.answers import changed_nothing
from hpe.core.core import Progress
from hpe.messages import (
    FLAG_UNCHANGED,
    CancelOrder,
    CancelReason,
    CancelResponse,
    DepositResponse,
    ErrorCode,
    GetBalance,
    HoldResponse,
    LockResponse,
    MassCancel,
    MassCancelResponse,
    OcoResponse,
    OrderResponse,
    OrderStatus,
    OrderType,
    RejectReason,
    ReplaceOrder,
    ReplaceResponse,
    Request,
    ResolveInstrumentResponse,
    Side,
    SubmitOrder,
    TimeInForce,
)
from tests.support.core_driver import Client, Venue

TIME = 1_700_000_000_000_000_000
NOT_CANCELED = (CancelReason.REQUESTED, CancelReason.REPLACED_AWAY)
ENDED = [reason for reason in CancelReason if reason not in NOT_CANCELED]


def order_answer(
    kind: type[OrderResponse], *, flags: int = 0, reason: int = 0, **fields: int
) -> Any:
    values = {
        "status": OrderStatus.NEW, "order_id": 7, "leaves": 5, "cum": 0, "canceled": 0,
        "quote_total": 0, "fill_count": 0, "first_trade_id": 0, "fee_total": 0,
    }  # fmt: skip
    return kind(9, flags, 70_000, reason, TIME, **{**values, **fields})


def ended(reason: int, **fields: int) -> Any:
    values = {"status": OrderStatus.CANCELED, "leaves": 0, "canceled": 5}
    return order_answer(OrderResponse, reason=reason, **{**values, **fields})


REJECTED: dict[str, int] = {
    "status": OrderStatus.REJECTED, "order_id": 0, "leaves": 0, "reason": RejectReason.UNKNOWN_ORDER
}  # fmt: skip
MONEY, HOLD = len(LockResponse.__struct_fields__) - 4, len(HoldResponse.__struct_fields__) - 4
IDLE = [
    order_answer(OrderResponse, **REJECTED),
    order_answer(ReplaceResponse, **REJECTED),
    *[ended(reason) for reason in ENDED],
    order_answer(ReplaceResponse, flags=FLAG_UNCHANGED),
    OcoResponse(5, 0, 6, RejectReason.USER_BLOCKED, TIME, 0, 0),
    DepositResponse(5, 0, 6, RejectReason.UNKNOWN_ASSET, *[0] * MONEY),
    HoldResponse(5, 0, 6, RejectReason.UNKNOWN_HOLD, *[0] * HOLD),
    ResolveInstrumentResponse(5, 0, 6, 0, 3),
    ResolveInstrumentResponse(5, 0, 6, RejectReason.UNKNOWN_ASSET, 0),
]
IDLE_CANCELS = [
    order_answer(CancelResponse, **REJECTED),
    MassCancelResponse(5, 0, 6, 0, 0, 0),
    MassCancelResponse(5, 0, 6, 0, 0, 8),
    MassCancelResponse(5, 0, 6, RejectReason.UNKNOWN_INSTRUMENT, 0, 0),
]
CHANGED = [
    order_answer(OrderResponse),
    order_answer(OrderResponse, status=OrderStatus.FILLED, leaves=0, cum=5, fill_count=1),
    ended(CancelReason.IOC_REMAINDER, cum=1, canceled=4, fill_count=1),
    order_answer(CancelResponse, reason=CancelReason.REQUESTED, leaves=0, canceled=5),
    order_answer(ReplaceResponse),
    order_answer(ReplaceResponse, reason=CancelReason.REPLACED_AWAY, leaves=0, canceled=5),
    MassCancelResponse(5, 0, 6, 0, 3, 0),
    OcoResponse(5, 0, 6, 0, TIME, 3, 4),
    LockResponse(5, 0, 6, 0, *[1] * MONEY),
]  # fmt: skip


@pytest.mark.parametrize("answer", [*IDLE, *IDLE_CANCELS])
def test_commands_that_change_nothing(answer: Any) -> None:
    assert changed_nothing(answer)


@pytest.mark.parametrize("answer", CHANGED)
def test_commands_that_change_something(answer: Any) -> None:
    assert not changed_nothing(answer)


# --- as a core counts them ------------------------------------------------------------------------


def ioc(client: Client, price: int) -> SubmitOrder:
    return SubmitOrder(client.next_id(), 1, 0, Side.BUY, OrderType.LIMIT, TimeInForce.IOC, price, 5)


def test_a_core_says_how_far_it_is_and_what_was_idle(venue: Venue, client: Client) -> None:
    rest = SubmitOrder(client.next_id(), 1, 0, Side.BUY, OrderType.LIMIT, TimeInForce.GTC, 50, 5)
    unknown = CancelOrder(client.next_id(), 777)
    nothing = MassCancel(client.next_id(), side=Side.SELL)
    query = GetBalance(client.next_query_id(), 1)
    requests: list[Request] = [rest, unknown, nothing, query, ioc(client, 40)]
    output = venue.apply(client.run(*requests))
    last = requests[-1].request_id
    assert output.progress == [Progress(client.attach_number, last, 1, 2)]
    again = venue.apply(client.run(*requests), client.run(ReplaceOrder(client.next_id(), 1, 0, 5)))
    assert [row[2:] for row in again.progress] == [(0, 0), (1, 0)], "a repeat was counted before"


def test_refused_commands_and_those_of_old_connections_are_no_progress(
    venue: Venue, client: Client
) -> None:
    refused = ioc(client, 40)
    output = venue.apply(client.run(refused, admit=ErrorCode.BUSY))
    assert output.progress == [Progress(client.attach_number, refused.request_id, 0, 0)]
    venue.attach(1, client.session_id)
    assert venue.apply(client.run(ioc(client, 40))).progress == []
