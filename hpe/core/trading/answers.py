"""Answers that several modules make: refusals, recalled responses, and order responses.

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
"""The response to a command that was executed."""

REJECT_REASON_MAX: Final = 100
"""Higher reasons say why an accepted order was canceled."""

LASTING_REASONS: Final[dict[type[Request], int]] = {
    SubmitOrder: 0,
    CancelOrder: int(CancelReason.REQUESTED),
}
"""Of the most frequent commands: the one reason with which a response reports a lasting change."""

_OrderCommand = SubmitOrder | CancelOrder | ReplaceOrder

_ORDER_RESPONSES: Final[dict[type[Request], type[OrderResponse]]] = {
    SubmitOrder: OrderResponse,
    CancelOrder: CancelResponse,
    ReplaceOrder: ReplaceResponse,
}


def changed_nothing(response: CommandResponse) -> bool:
    """True if an executed command changed nothing that lasts.

    That is: it was rejected, its order ended at once without a fill, or it was a mass cancel of
    nothing or a replace that changed nothing. Creating instruments by resolving is bounded
    elsewhere, so it always counts as a change.
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
    """Return the response to a rejected command."""
    reason, flags = told(no)
    return _ORDER_RESPONSES[type(command)](
        command.request_id, flags, context.sequence, reason, context.time_ns,
        OrderStatus.REJECTED, 0, 0, 0, 0, 0, 0, 0, 0,
    )  # fmt: skip


def order_response(
    context: Context, command: _OrderCommand, book: OrderBook, order: Order, fills: list[Fill]
) -> OrderResponse:
    """Return a response with the order as it is now and the fills of this command."""
    count = len(fills)
    return _ORDER_RESPONSES[type(command)](
        command.request_id, 0, context.sequence, order.reason, context.time_ns, order.status(),
        order.order_id, order.leaves, order.cum, order.canceled, order.quote_total, count,
        book.last_trade_id - count + 1 if count else 0, order.fee_total,
    )  # fmt: skip


def not_executed(session: Session, request_id: int, body: bytes, admit: int, full: bool) -> bytes:
    """Return the answer to a command that is not executed now: a repeat, or a refused one.

    A command that was executed is never refused: that would say that it was not executed.
    """
    if request_id <= session.last_request_id:
        return _recalled(session, request_id, body)
    if admit:
        return error_body(request_id, ErrorCode(admit))
    return error_body(request_id, *(BATCH_FULL if full else UNFINISHED))


def _recalled(session: Session, request_id: int, body: bytes) -> bytes:
    """Return the answer to a request id that was already used or skipped."""
    recalled = session.recall(request_id, len(body), crc32(body))
    if isinstance(recalled, ErrorCode):
        return error_body(request_id, recalled)
    return with_duplicate_flag(recalled)
