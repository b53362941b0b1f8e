"""The results of requests: small frozen values, made from the server's answers.

Owns the meaning of an answer: a business reject raises OrderRejected, an answer of another type is
a ProtocolError, anything else becomes a value. Keeps no state; any thread may use it. Everything
here is in integers: ticks, lots, atoms.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from hpe.client.explaining import explain_reject
from hpe.client.pending import Answer, OrderEvent
from hpe.errors import OrderRejected, ProtocolError
from hpe.protocol.base import Request
from hpe.protocol.codes import CancelReason, RejectReason
from hpe.protocol.enums import InstrumentStatus, OrderStatus
from hpe.protocol.flags import FLAG_DUPLICATE, FLAG_KEY_LIMIT, FLAG_USER_LIMIT
from hpe.protocol.listings import AddAssetResponse, DelistAssetResponse
from hpe.protocol.money import BalanceReply, HoldResponse, LockResponse
from hpe.protocol.operations import (
    BlockUserResponse,
    SetFeesResponse,
    SetStatusResponse,
    UncrossResponse,
)
from hpe.protocol.orders import MassCancelResponse, OcoResponse, OrderResponse
from hpe.protocol.reports import ExecutionReport, OrderReport

_REJECT_NAMES: Final = {int(reason): reason.name.lower() for reason in RejectReason}


_T = TypeVar("_T")


class OrderResult(msgspec.Struct, frozen=True, gc=False):
    """The result of an order command. Prices in ticks, quantities in lots, money in atoms.

    `reason` is 0 or a CancelReason (a reject raises OrderRejected). The order's quantity =
    leaves + cum + canceled. `events` are the matches that the self-trade policy prevented and
    the linked orders that ended. A `duplicate` is the remembered response to a repeated request:
    the server sends reports once, so `fills` may then be empty although `fill_count` is not 0.
    """

    request_id: int
    duplicate: bool
    sequence: int
    reason: int
    time_ns: int
    status: OrderStatus
    order_id: int
    leaves: int
    cum: int
    canceled: int
    quote_total: int
    fee_total: int
    fill_count: int
    first_trade_id: int
    fills: tuple[ExecutionReport, ...]
    events: tuple[OrderEvent, ...]


class OcoResult(NamedTuple):
    """The two orders of a submit_oco, both open."""

    request_id: int
    sequence: int
    time_ns: int
    limit_order_id: int
    stop_order_id: int


class MassCancelResult(NamedTuple):
    """The result of a mass_cancel; if `remaining` orders also match, cancel again.

    `orders` has the reports of the session's own orders. The server sends them once, so they may be
    missing from the outcome of a repeated request.
    """

    sequence: int
    canceled: int
    remaining: int
    orders: tuple[OrderReport, ...]


class UncrossResult(NamedTuple):
    """The result of a call: price in ticks and volume in lots, both 0 if nothing crossed."""

    sequence: int
    time_ns: int
    price: int
    volume: int


class Balance(NamedTuple):
    """One account in atoms; locked = reserved (by open orders) + held (by lock_balance)."""

    available: int
    locked: int
    reserved: int
    held: int


class HoldResult(NamedTuple):
    """What remains of a named hold (0: it is gone), and its owner's account, in atoms."""

    hold_id: int
    asset: int
    remaining: int
    balance: Balance


Result = (
    OrderResult
    | OcoResult
    | MassCancelResult
    | UncrossResult
    | Balance
    | HoldResult
    | InstrumentStatus
    | int
    | None
)
"""The result of any command."""


def expect(kind: type[_T], answer: Answer) -> _T:
    """Return the answer's response; cancel reasons, from 101 on, are not rejects.

    Raises:
        OrderRejected: the request was executed and rejected.
        ProtocolError: the response is of another type.
    """
    response = answer.response
    if not isinstance(response, kind):
        found = type(response).__name__
        raise ProtocolError(f"expected {kind.__name__}, the server answered {found}")
    if 0 < getattr(response, "reason", 0) < CancelReason.REQUESTED:
        raise rejected(response, answer.request)
    return response


def rejected(response: Any, request: Request | None = None) -> OrderRejected:
    """Return the exception of a business reject.

    Args:
        response: contains the reason.
        request: what was sent, if that is known.
    """
    reason = response.reason
    # A newer server may have more reasons: then the number is the name.
    name = _REJECT_NAMES.get(reason, f"reason_{reason}")
    limit_of = ""
    if name.startswith("too_many_"):
        limit_of = "user" if response.flags & FLAG_USER_LIMIT else "service"
        limit_of = "key" if response.flags & FLAG_KEY_LIMIT else limit_of
    detail = explain_reject(request, reason, getattr(response, "time_ns", 0))
    return OrderRejected(
        response.request_id, reason, name, response, limit_of=limit_of, request=request,
        detail=detail,
    )  # fmt: skip


def order_result(answer: Answer) -> OrderResult:
    """Return the result of submit, cancel or replace."""
    response = expect(OrderResponse, answer)
    return OrderResult(
        request_id=response.request_id,
        duplicate=bool(response.flags & FLAG_DUPLICATE),
        sequence=response.sequence,
        reason=response.reason,
        time_ns=response.time_ns,
        status=OrderStatus(response.status),
        order_id=response.order_id,
        leaves=response.leaves,
        cum=response.cum,
        canceled=response.canceled,
        quote_total=response.quote_total,
        fee_total=response.fee_total,
        fill_count=response.fill_count,
        first_trade_id=response.first_trade_id,
        fills=answer.fills,
        events=answer.events,
    )


def oco_result(answer: Answer) -> OcoResult:
    """Return the result of submit_oco."""
    response = expect(OcoResponse, answer)
    return OcoResult(
        response.request_id,
        response.sequence,
        response.time_ns,
        response.limit_order_id,
        response.stop_order_id,
    )


def mass_cancel_result(answer: Answer) -> MassCancelResult:
    """Return the result of mass_cancel."""
    response = expect(MassCancelResponse, answer)
    orders = tuple(event for event in answer.events if isinstance(event, OrderReport))
    return MassCancelResult(response.sequence, response.canceled, response.remaining, orders)


def uncross_result(answer: Answer) -> UncrossResult:
    """Return the result of uncross."""
    response = expect(UncrossResponse, answer)
    return UncrossResult(response.sequence, response.time_ns, response.price, response.volume)


def account(response: LockResponse | HoldResponse | BalanceReply) -> Balance:
    """Return the account that a response shows."""
    locked = response.reserved + response.held
    return Balance(response.available, locked, response.reserved, response.held)


def balance_result(answer: Answer) -> Balance:
    """Return the result of a command that moves money between accounts."""
    return account(expect(LockResponse, answer))


def balance_of(answer: Answer) -> Balance:
    """Return the account that get_balance shows."""
    return account(expect(BalanceReply, answer))


def hold_result(answer: Answer) -> HoldResult:
    """Return the result of capture_hold or release_hold."""
    response = expect(HoldResponse, answer)
    return HoldResult(response.hold_id, response.asset, response.remaining, account(response))


def status_result(answer: Answer) -> InstrumentStatus:
    """Return the result of set_status."""
    return InstrumentStatus(expect(SetStatusResponse, answer).status)


def open_orders_result(answer: Answer) -> int:
    """Return the result of block_user."""
    return expect(BlockUserResponse, answer).open_orders


def no_result(answer: Answer) -> None:
    """Check the answer to set_fees."""
    expect(SetFeesResponse, answer)


def delisted(answer: Answer) -> None:
    """Check the answer to delist_asset or delist_instrument."""
    expect(DelistAssetResponse, answer)


def new_id(answer: Answer) -> int:
    """Return the id that a listing command created."""
    return expect(AddAssetResponse, answer).id


def result_of(answer: Answer) -> Result:
    """Return the result of any command, by the type of its response."""
    match answer.response:
        case OrderResponse():
            return order_result(answer)
        case OcoResponse():
            return oco_result(answer)
        case MassCancelResponse():
            return mass_cancel_result(answer)
        case UncrossResponse():
            return uncross_result(answer)
        case LockResponse():
            return balance_result(answer)
        case HoldResponse():
            return hold_result(answer)
        case SetStatusResponse():
            return status_result(answer)
        case BlockUserResponse():
            return open_orders_result(answer)
        case SetFeesResponse():
            no_result(answer)
            return None
        case DelistAssetResponse():
            delisted(answer)
            return None
        case _:
            return new_id(answer)
