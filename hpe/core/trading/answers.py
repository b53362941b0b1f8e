"""Answers that are made in more than one place: refusals, recalls, and order responses.

Part of the deterministic core. A refusal or a recalled response is not logged.
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

from hpe.core.codec import error_body, with_duplicate_flag
from hpe.core.context.command import Context
from hpe.core.context.holders import No, told
from hpe.core.sessions.session import Session
from hpe.core.trading.matcher import Fill
from hpe.core.trading.orderbook import OrderBook
from hpe.core.trading.orders import Order
from hpe.protocol.base import Request
from hpe.protocol.codes import BATCH_FULL, UNFINISHED, CancelReason, ErrorCode
from hpe.protocol.enums import OrderStatus
from hpe.protocol.flags import FLAG_UNCHANGED
from hpe.protocol.listings import AddAssetResponse, DelistAssetResponse, ResolveInstrumentResponse
from hpe.protocol.money import HoldResponse, LockResponse
from hpe.protocol.operations import (
    BlockUserResponse,
    SetFeesResponse,
    SetStatusResponse,
    UncrossResponse,
)
from hpe.protocol.orders import (
    CancelOrder,
    CancelResponse,
    MassCancelResponse,
    OcoResponse,
    OrderResponse,
    ReplaceOrder,
    ReplaceResponse,
    SubmitOrder,
)

CommandResponse = (
    OrderResponse
    | OcoResponse
    | MassCancelResponse
    | LockResponse
    | HoldResponse
    | AddAssetResponse
    | DelistAssetResponse
    | BlockUserResponse
    | SetStatusResponse
    | UncrossResponse
    | SetFeesResponse
)
"""What answers a command that was executed."""

REJECT_REASON_MAX: Final = 100
"""Above are the reasons for which an order that was accepted was taken off."""

LASTING_REASONS: Final[dict[type[Request], int]] = {
    SubmitOrder: 0,
    CancelOrder: int(CancelReason.REQUESTED),
}
"""Reason of those that are most of all responses, and tell of something that lasts."""

_OrderCommand = SubmitOrder | CancelOrder | ReplaceOrder

_ORDER_RESPONSES: Final[dict[type[Request], type[OrderResponse]]] = {
    SubmitOrder: OrderResponse,
    CancelOrder: CancelResponse,
    ReplaceOrder: ReplaceResponse,
}


def changed_nothing(response: CommandResponse) -> bool:
    """True if a command that was executed changed nothing that lasts.

    That is: it was rejected, its order ended at once without a fill, it was a mass cancel of
    nothing, or a replace that changed nothing. How often resolving creates an instrument is
    bounded otherwise, so it counts always.
    """
    reason, kind = response.reason, type(response)
    if 0 < reason <= REJECT_REASON_MAX:
        return True
    if isinstance(response, OrderResponse):
        if kind is OrderResponse:
            return reason > 0 and not (response.leaves or response.cum)
        return kind is ReplaceResponse and response.flags & FLAG_UNCHANGED > 0
    if isinstance(response, MassCancelResponse):
        return response.canceled == 0
    return kind is ResolveInstrumentResponse


def order_rejected(context: Context, command: _OrderCommand, no: No) -> OrderResponse:
    """Answer no: nothing was changed."""
    reason, flags = told(no)
    return _ORDER_RESPONSES[type(command)](
        command.request_id, flags, context.sequence, reason, context.time_ns,
        OrderStatus.REJECTED, 0, 0, 0, 0, 0, 0, 0, 0,
    )  # fmt: skip


def order_response(
    context: Context, command: _OrderCommand, book: OrderBook, order: Order, fills: list[Fill]
) -> OrderResponse:
    """Answer with the order as it is now and the fills of this command."""
    count = len(fills)
    return _ORDER_RESPONSES[type(command)](
        command.request_id, 0, context.sequence, order.reason, context.time_ns, order.status(),
        order.order_id, order.leaves, order.cum, order.canceled, order.quote_total, count,
        book.last_trade_id - count + 1 if count else 0, order.fee_total,
    )  # fmt: skip


def not_executed(session: Session, request_id: int, body: bytes, admit: int, full: bool) -> bytes:
    """Answer a command that is not executed now: it was before, or it is refused.

    What was executed is never answered with a refusal, which would say that it was not.
    """
    if request_id <= session.last_request_id:
        return _recalled(session, request_id, body)
    if admit:
        return error_body(request_id, ErrorCode(admit))
    return error_body(request_id, *(BATCH_FULL if full else UNFINISHED))


def _recalled(session: Session, request_id: int, body: bytes) -> bytes:
    """Answer a request id that was used or passed over before."""
    recalled = session.recall(request_id, len(body), crc32(body))
    if isinstance(recalled, ErrorCode):
        return error_body(request_id, recalled)
    return with_duplicate_flag(recalled)
