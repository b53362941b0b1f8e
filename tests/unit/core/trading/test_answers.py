"""Which commands changed nothing that lasts, by their answers."""

from __future__ import annotations

from typing import Any

import pytest

from hpe.core.trading.answers import changed_nothing
from hpe.protocol.codes import CancelReason, RejectReason
from hpe.protocol.enums import OrderStatus
from hpe.protocol.flags import FLAG_UNCHANGED
from hpe.protocol.listings import ResolveInstrumentResponse
from hpe.protocol.money import DepositResponse, HoldResponse, LockResponse
from hpe.protocol.orders import (
    CancelResponse,
    MassCancelResponse,
    OcoResponse,
    OrderResponse,
    ReplaceResponse,
)

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
