"""Money commands: deposits, withdrawals, transfers, locks and named holds.

Part of the deterministic core. Rejects are checked in the order of protocol.md's lists, and a
rejected command changes nothing. balances.py and holds.py move the money. A hold whose time has
come ends when its timer acts, or before a command that names it.
"""

from __future__ import annotations

from collections.abc import Callable, Container

from hpe.core.context.command import Context
from hpe.core.context.holders import No, told
from hpe.core.money.balances import BalanceCache
from hpe.core.money.holds import Hold, HoldEvent, Holds
from hpe.core.money.parties import Parties
from hpe.core.timers import TimerEntry
from hpe.protocol.codes import RejectReason
from hpe.protocol.enums import HoldChange
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

_Move = Callable[[int, int, int], No]
"""(user, asset, amount) -> reject or NONE: one movement of money."""

_MoneyCommand = Deposit | Withdraw | LockBalance | UnlockBalance | Transfer


class Treasury:
    """Executes money commands on one exchange.

    Args:
        assets: the ids of the listed assets.
        balances: all accounts.
        holds: all named holds.
        parties: all users; it creates accounts.
        note: called with each change of a hold.
    """

    def __init__(
        self,
        assets: Container[int],
        balances: BalanceCache,
        holds: Holds,
        parties: Parties,
        note: Callable[[HoldEvent], None],
    ) -> None:
        self._assets = assets
        self._balances = balances
        self._holds = holds
        self._parties = parties
        self._note_event = note

    def deposit(self, context: Context, command: Deposit) -> LockResponse:
        """Credit an account from outside."""

        def credit(owner: int, asset: int, amount: int) -> No:
            no = self._parties.refusal(
                context, owner, asset, reserve=True
            ) or self._balances.deposit_refusal(asset, amount)
            if not no:
                self._parties.admit(context.holder, owner, asset)
                self._balances.deposit(owner, asset, amount)
            return no

        return self._move(context, command, DepositResponse, credit)

    def withdraw(self, context: Context, command: Withdraw) -> LockResponse:
        """Debit an account to outside."""
        return self._move(context, command, WithdrawResponse, self._balances.withdraw)

    def unlock_balance(self, context: Context, command: UnlockBalance) -> LockResponse:
        """Move money that is held without a name to available."""
        return self._move(context, command, UnlockResponse, self._balances.unlock)

    def lock_balance(self, context: Context, command: LockBalance) -> LockResponse:
        """Move available money to held, with or without a name."""
        self._end_named(context, command.user or context.user, command.hold_id)
        if not command.hold_id:
            if command.expires_ns:
                return self._answer(
                    context, command, LockResponse, RejectReason.INVALID_COMBINATION
                )
            return self._move(context, command, LockResponse, self._balances.lock)

        def lock(owner: int, asset: int, amount: int) -> No:
            if 0 < command.expires_ns <= context.time_ns:
                return RejectReason.EXPIRY_PASSED
            hold = Hold(asset, amount, command.expires_ns, context.holder)
            no = self._holds.add(context, owner, command.hold_id, hold)
            if not no:
                self._note(owner, command.hold_id, hold, HoldChange.LOCKED, amount)
            return no

        return self._move(context, command, LockResponse, lock)

    def transfer(self, context: Context, command: Transfer) -> LockResponse:
        """Move available money to another user."""
        if command.to_user == (command.user or context.user):
            return self._answer(
                context, command, TransferResponse, RejectReason.INVALID_COMBINATION
            )

        def pay(owner: int, asset: int, amount: int) -> No:
            no = self._parties.refusal(context, command.to_user, asset)
            if not no and self._balances.peek(owner, asset).available < amount:
                no = RejectReason.INSUFFICIENT_FUNDS
            if not no:
                self._parties.admit(context.holder, command.to_user, asset)
                self._balances.transfer(owner, asset, amount, command.to_user)
            return no

        return self._move(context, command, TransferResponse, pay)

    def _move(
        self, context: Context, command: _MoneyCommand, response: type[LockResponse], move: _Move
    ) -> LockResponse:
        """Carry out one movement; answer with the account afterwards."""
        if command.asset not in self._assets:
            return self._answer(context, command, response, RejectReason.UNKNOWN_ASSET)
        no = move(command.user or context.user, command.asset, command.amount)
        return self._answer(context, command, response, no)

    def _answer(
        self, context: Context, command: _MoneyCommand, response: type[LockResponse], no: No
    ) -> LockResponse:
        account, (reason, flags) = (
            self._balances.peek(command.user or context.user, command.asset),
            told(no),
        )
        return response(
            command.request_id, flags, context.sequence, reason, command.asset,
            account.available, account.reserved, account.held,
        )  # fmt: skip

    def _note(self, user: int, hold_id: int, hold: Hold, change: HoldChange, amount: int) -> None:
        """Report what happened to a hold."""
        self._note_event(
            HoldEvent(user, hold_id, hold.asset, change, amount, hold.amount, hold.expires_ns)
        )

    def capture_hold(self, context: Context, command: CaptureHold) -> HoldResponse:
        """Pay from a named hold."""
        return self._pay_out(
            context, command, HoldResponse, HoldChange.CAPTURED, command.amount, command.to_user
        )

    def release_hold(self, context: Context, command: ReleaseHold) -> HoldResponse:
        """Release part or all of a named hold."""
        owner = command.user or context.user
        return self._pay_out(
            context, command, ReleaseHoldResponse, HoldChange.RELEASED, command.amount, owner
        )

    def _pay_out(
        self,
        context: Context,
        command: CaptureHold | ReleaseHold,
        response: type[HoldResponse],
        change: HoldChange,
        amount: int,
        to_user: int,
    ) -> HoldResponse:
        """Pay part of a hold (0: all of it) to a user; answer with what remains."""
        owner, hold_id = command.user or context.user, command.hold_id
        self._end_named(context, owner, hold_id)
        sequence, hold = context.sequence, self._holds.find(owner, hold_id)
        if hold is None:
            reason = RejectReason.UNKNOWN_HOLD
            return response(command.request_id, 0, sequence, reason, hold_id, 0, 0, 0, 0, 0)
        no = self._parties.refusal(context, to_user, hold.asset)
        if not no and amount > hold.amount:
            no = RejectReason.INSUFFICIENT_HOLD
        if not no:
            amount = amount or hold.amount
            self._parties.admit(context.holder, to_user, hold.asset)
            self._holds.pay(owner, hold_id, hold, amount, to_user)
            self._note(owner, hold_id, hold, change, amount)
        account = self._balances.peek(owner, hold.asset)
        reason, flags = told(no)
        return response(
            command.request_id, flags, sequence, reason, hold_id, hold.asset, hold.amount,
            account.available, account.reserved, account.held,
        )  # fmt: skip

    # --- holds whose time has come ----------------------------------------------------------------

    def act_on_hold(self, entry: TimerEntry) -> None:
        """End the hold of a timer entry."""
        self._expire(*entry.due[2:])

    def _end_named(self, context: Context, user: int, hold_id: int) -> None:
        """End a user's hold that a command names, if its time has come."""
        hold = self._holds.find(user, hold_id)
        if hold is not None and 0 < hold.expires_ns <= context.time_ns:
            self._expire(user, hold_id)

    def _expire(self, user: int, hold_id: int) -> None:
        hold = self._holds.find(user, hold_id)
        assert hold is not None
        amount = hold.amount
        self._holds.expire(user, hold_id)
        self._note(user, hold_id, hold, HoldChange.EXPIRED, amount)
