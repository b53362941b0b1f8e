"""Messages about money: balances, deposits and withdrawals, transfers, holds.

Immutable values, as base.py describes them; any thread may use them.
"""

from __future__ import annotations

from hpe.protocol.base import Reply, Request
from hpe.protocol.fields import (
    Amount,
    AmountOrZero,
    AnyInt,
    EntityId,
    EntityIdOrZero,
    Page,
    PositiveInt,
)
from hpe.protocol.limits import PAGE_MAX


class GetBalance(Request, frozen=True, tag=33):
    """Ask for one account. user 0: the session's own."""

    asset: EntityId
    user: AnyInt = 0


class BalanceReply(Reply, frozen=True, tag=33):
    """One account in atoms; locked = reserved (by open orders) + held (by lock_balance)."""

    sequence: int
    reason: int
    asset: int
    available: int
    locked: int
    reserved: int
    held: int


BalanceRow = tuple[int, int, int, int, int]
"""Asset id, available, reserved, held, and the part of `held` in named holds."""


class ListBalances(Request, frozen=True, tag=39):
    """Ask for the accounts of a user that are not empty and have asset ids above `after`."""

    after: EntityIdOrZero = 0
    limit: Page = PAGE_MAX
    user: AnyInt = 0


class BalancesReply(Reply, frozen=True, tag=39):
    """A page of accounts; a page shorter than the limit is the last."""

    sequence: int
    rows: list[BalanceRow]


HoldRow = tuple[int, int, int, int]
"""Hold id, asset id, amount left, expires_ns."""


class ListHolds(Request, frozen=True, tag=40):
    """Ask for the named holds of a user with ids above `after`, in order."""

    after: AnyInt = 0
    limit: Page = PAGE_MAX
    user: AnyInt = 0


class HoldsReply(Reply, frozen=True, tag=40):
    """A page of holds; a page shorter than the limit is the last."""

    sequence: int
    rows: list[HoldRow]


class LockBalance(Request, frozen=True, tag=67):
    """Move available money to held, under a hold id or without one."""

    asset: EntityId
    amount: Amount
    user: AnyInt = 0
    hold_id: AnyInt = 0
    expires_ns: AnyInt = 0


class UnlockBalance(Request, frozen=True, tag=68):
    """Move money that is held without an id back to available."""

    asset: EntityId
    amount: Amount
    user: AnyInt = 0


class Deposit(Request, frozen=True, tag=69):
    """Credit an account from outside. user 0: the session's own."""

    asset: EntityId
    amount: Amount
    user: AnyInt = 0


class Withdraw(Request, frozen=True, tag=70):
    """Debit available money to outside. user 0: the session's own."""

    asset: EntityId
    amount: Amount
    user: AnyInt = 0


class LockResponse(Reply, frozen=True, tag=67):
    """Outcome of lock_balance: the account afterwards, in atoms."""

    sequence: int
    reason: int
    asset: int
    available: int
    reserved: int
    held: int


class UnlockResponse(LockResponse, frozen=True, tag=68):
    """Outcome of unlock_balance."""


class DepositResponse(LockResponse, frozen=True, tag=69):
    """Outcome of deposit."""


class WithdrawResponse(LockResponse, frozen=True, tag=70):
    """Outcome of withdraw."""


class Transfer(Request, frozen=True, tag=80):
    """Move available money from one user to another."""

    asset: EntityId
    amount: Amount
    to_user: PositiveInt
    user: AnyInt = 0


class TransferResponse(LockResponse, frozen=True, tag=80):
    """Outcome of transfer: the paying account afterwards."""


class CaptureHold(Request, frozen=True, tag=81):
    """Pay from a named hold to a user; the rest stays held."""

    hold_id: PositiveInt
    amount: Amount
    to_user: PositiveInt
    user: AnyInt = 0


class HoldResponse(Reply, frozen=True, tag=81):
    """Outcome of capture_hold: what remains of the hold, and its owner's account, in atoms."""

    sequence: int
    reason: int
    hold_id: int
    asset: int
    remaining: int
    available: int
    reserved: int
    held: int


class ReleaseHold(Request, frozen=True, tag=82):
    """Move money of a named hold back to available; amount 0: all of it."""

    hold_id: PositiveInt
    amount: AmountOrZero = 0
    user: AnyInt = 0


class ReleaseHoldResponse(HoldResponse, frozen=True, tag=82):
    """Outcome of release_hold."""
