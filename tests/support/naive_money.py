"""The naive exchange's money commands: deposits, withdrawals, transfers, holds, fee rates.

Part of the second opinion of naive_exchange.py, nothing shared with the core. A response shows
the account as it is, rejected or not. Source: protocol.md, "The rules of the exchange", Money.
"""

from __future__ import annotations

from typing import Final

import msgspec

from hpe.protocol.base import Request
from hpe.protocol.codes import RejectReason
from hpe.protocol.enums import HoldChange
from hpe.protocol.limits import AMOUNT_MAX
from hpe.protocol.money import (
    CaptureHold,
    Deposit,
    DepositResponse,
    HoldResponse,
    LockBalance,
    LockResponse,
    ReleaseHold,
    ReleaseHoldResponse,
    Transfer,
    TransferResponse,
    UnlockBalance,
    UnlockResponse,
    Withdraw,
    WithdrawResponse,
)
from hpe.protocol.operations import SetFees
from tests.support.naive_checks import check_expiry
from tests.support.naive_listings import Rejected, reject_if
from tests.support.naive_places import admit, check_holds, check_parties
from tests.support.naive_state import NaiveHold, NaiveState

Movement = Deposit | Withdraw | LockBalance | UnlockBalance | Transfer
HoldCommand = CaptureHold | ReleaseHold

_RESPONSES: Final[dict[type[Request], type[LockResponse]]] = {
    Deposit: DepositResponse,
    Withdraw: WithdrawResponse,
    LockBalance: LockResponse,
    UnlockBalance: UnlockResponse,
    Transfer: TransferResponse,
}


def execute_movement(state: NaiveState, user: int, command: Movement) -> LockResponse:
    """Execute a command on one asset and return its response."""
    user, asset = command.user or user, command.asset
    reason, flags = RejectReason.NONE, 0
    try:
        _check_fields(user, command)
        reject_if(asset not in state.listings.assets, RejectReason.UNKNOWN_ASSET)
        _move(state, user, command)
    except Rejected as rejected:
        reason, flags = rejected.reason, rejected.flags
    head = (command.request_id, flags, state.sequence, reason)
    return _RESPONSES[type(command)](*head, asset, *state.account(user, asset))


def _check_fields(user: int, command: Movement) -> None:
    if isinstance(command, Transfer):
        reject_if(command.to_user == user, RejectReason.INVALID_COMBINATION)
    elif isinstance(command, LockBalance):
        endless = command.expires_ns != 0 and command.hold_id == 0
        reject_if(endless, RejectReason.INVALID_COMBINATION)


def _move(state: NaiveState, user: int, command: Movement) -> None:
    asset, amount = command.asset, command.amount
    key, available = (user, asset), state.account(user, asset)[0]
    if isinstance(command, Deposit):
        check_parties(state, user, asset, deposit=True)
        total = state.net_deposits.get(asset, 0) + amount
        reject_if(total > AMOUNT_MAX, RejectReason.DEPOSIT_LIMIT)
        state.net_deposits[asset] = total
        admit(state, user, asset)
        state.move(user, asset, amount)
    elif isinstance(command, UnlockBalance):
        reject_if(amount > state.plain_held.get(key, 0), RejectReason.INSUFFICIENT_HOLD)
        state.plain_held[key] -= amount
    elif isinstance(command, LockBalance):
        _lock(state, user, command)
    else:
        if isinstance(command, Transfer):
            check_parties(state, command.to_user, asset)
        reject_if(amount > available, RejectReason.INSUFFICIENT_FUNDS)
        state.move(user, asset, -amount)
        if isinstance(command, Withdraw):
            state.net_deposits[asset] -= amount
        else:
            admit(state, command.to_user, asset)
            state.move(command.to_user, asset, amount)


def _lock(state: NaiveState, user: int, command: LockBalance) -> None:
    key = (user, command.asset)
    check_expiry(state, command.expires_ns)
    if command.hold_id:
        taken = _find_hold(state, user, command.hold_id) is not None
        reject_if(taken, RejectReason.DUPLICATE_HOLD)
        check_holds(state, user)
    reject_if(command.amount > state.account(*key)[0], RejectReason.INSUFFICIENT_FUNDS)
    if command.hold_id:
        asset, amount = command.asset, command.amount
        hold = NaiveHold(user, command.hold_id, asset, amount, command.expires_ns, state.key)
        state.holds.append(hold)
        state.report_hold(hold, HoldChange.LOCKED, hold.amount)
    else:
        state.plain_held[key] = state.plain_held.get(key, 0) + command.amount


def _find_hold(state: NaiveState, user: int, hold_id: int) -> NaiveHold | None:
    for hold in state.holds:
        if (hold.user, hold.hold_id) == (user, hold_id):
            return hold
    return None


def execute_hold(state: NaiveState, user: int, command: HoldCommand) -> HoldResponse:
    """Execute capture_hold or release_hold and return its response."""
    user = command.user or user
    kind = HoldResponse if isinstance(command, CaptureHold) else ReleaseHoldResponse
    hold = _find_hold(state, user, command.hold_id)
    start = (command.request_id, 0, state.sequence)
    if hold is None:
        return kind(*start, RejectReason.UNKNOWN_HOLD, command.hold_id, 0, 0, 0, 0, 0)
    amount, reason, flags = command.amount, RejectReason.NONE, 0
    if isinstance(command, ReleaseHold):
        amount = amount or hold.amount
    try:
        if isinstance(command, CaptureHold):
            check_parties(state, command.to_user, hold.asset)
        reject_if(amount > hold.amount, RejectReason.INSUFFICIENT_HOLD)
    except Rejected as rejected:
        reason, flags = rejected.reason, rejected.flags
    else:
        hold.amount -= amount
        change = HoldChange.RELEASED
        if isinstance(command, CaptureHold):
            change = HoldChange.CAPTURED
            admit(state, command.to_user, hold.asset)
            state.move(user, hold.asset, -amount)
            state.move(command.to_user, hold.asset, amount)
        state.report_hold(hold, change, amount)
        if not hold.amount:
            state.holds.remove(hold)
    account = state.account(user, hold.asset)
    start = (command.request_id, flags, state.sequence)
    return kind(*start, reason, command.hold_id, hold.asset, hold.amount, *account)


def set_fees(state: NaiveState, command: SetFees) -> None:
    """Change an instrument's rates or a user's own."""
    maker, taker = command.maker_fee_ppm, command.taker_fee_ppm
    removes = maker is None and taker is None and command.user != 0
    complete = maker is not None and taker is not None
    reject_if(not (removes or complete), RejectReason.INVALID_COMBINATION)
    listed = state.instrument(command.instrument)
    if complete:
        theirs = [order for order in state.open if order.book == command.instrument]
        own = [book for book, _ in state.own_rates if book == command.instrument]
        state.effort += len(theirs) + len(own)
    before = dict(state.own_rates)
    if maker is None or taker is None:
        state.own_rates.pop((command.instrument, command.user), None)
    elif command.user:
        state.own_rates[command.instrument, command.user] = (maker, taker)
    else:
        _set_rates(state, command.instrument, maker, taker)
    if _lowest_sum(state, command.instrument) < 0:
        state.own_rates = before
        _set_rates(state, command.instrument, listed.maker_fee_ppm, listed.taker_fee_ppm)
        raise Rejected(RejectReason.FEES_BELOW_ZERO)
    if complete and command.user:
        try:
            check_parties(state, command.user)
        except Rejected:
            state.own_rates = before
            raise
        admit(state, command.user)


def _set_rates(state: NaiveState, book: int, maker: int, taker: int) -> None:
    instruments = state.listings.instruments
    changed = msgspec.structs.replace(instruments[book], maker_fee_ppm=maker, taker_fee_ppm=taker)
    instruments[book] = changed


def _lowest_sum(state: NaiveState, book: int) -> int:
    listed = state.instrument(book)
    rates = [(listed.maker_fee_ppm, listed.taker_fee_ppm)]
    rates += [own for (of, _), own in state.own_rates.items() if of == book]
    rates += [(o.maker_ppm, o.taker_ppm) for o in state.open if o.book == book]
    return min(maker for maker, _ in rates) + min(taker for _, taker in rates)
