"""The money of one exchange in both cores: its commands, its holds, and its comparison.

For the tests of money commands; relies on hpe.core and on the module that is built.
"""

from __future__ import annotations

import msgspec

from hpe.core.context.command import Context
from hpe.core.context.holders import told
from hpe.core.context.places import Places
from hpe.core.context.settings import Settings
from hpe.core.contract import DEFAULT_LIMITS
from hpe.core.money.balances import BalanceCache
from hpe.core.money.holds import Holds
from hpe.core.money.parties import Parties
from hpe.core.money.treasury import Treasury
from hpe.core.timers import HOLD, Timers
from hpe.protocol.base import type_number
from hpe.protocol.internal import PlaceLimits
from hpe.protocol.limits import HOUSE_USER, INT_MAX
from hpe.protocol.money import (
    CaptureHold,
    Deposit,
    LockBalance,
    ReleaseHold,
    Transfer,
    UnlockBalance,
    Withdraw,
)

ACTS = (1, 3, 1, 1, 1)
USERS = (*range(1, 120), 2**32 + 1, INT_MAX - 1, HOUSE_USER)
KEYS = (0, 0, 5, 9, INT_MAX)
ASSETS = (1, 2, 2**31)
UNLISTED = 4
MESSAGES = {
    "deposit": Deposit, "withdraw": Withdraw, "lock_balance": LockBalance,
    "unlock_balance": UnlockBalance, "transfer": Transfer, "capture_hold": CaptureHold,
    "release_hold": ReleaseHold,
}  # fmt: skip


class BothExchanges:
    """The same money in both cores."""

    def __init__(self, treasury):
        part = DEFAULT_LIMITS.reserved_part
        self.settings, self.balances, self.timers = Settings(part), BalanceCache(), Timers(ACTS)
        self.places = Places(self.settings)
        self.holds = Holds(self.balances, self.timers, self.settings, self.places)
        self.assets, self.events, self.holders = set(), [], {}
        self.parties = Parties(self.settings, self.balances, self.places, self.opened)
        self.treasury = Treasury(
            self.assets, self.balances, self.holds, self.parties, self.events.append
        )
        self.compiled = treasury.Exchange(part, ACTS)
        self.sequence, self.time_ns = 0, 100

    def opened(self, user, accounts, holder):
        self.holders[user] = holder

    def limit(self, users_max, accounts_max, holds_max, holds_per_user_max):
        limits = (users_max, accounts_max, holds_max, holds_per_user_max)
        self.settings.places = PlaceLimits(*limits)
        self.compiled.limit(limits)

    def list_asset(self, asset):
        self.assets.add(asset)
        self.compiled.list_asset(asset)

    def context(self, user, key, operator):
        self.sequence += 1
        holder = self.places.of(key)
        context = Context(self.sequence, self.time_ns, 0, user, 0, holder, operator, False)
        return context, (self.sequence, self.time_ns, user, key, operator)

    def run(self, name, *origin, **fields):
        """Execute a command in both; return (reason, flags)."""
        context, compiled_context = self.context(*origin)
        command = MESSAGES[name](request_id=self.sequence + 7, **fields)
        response = getattr(self.treasury, name)(context, command)
        kind, values = type_number(MESSAGES[name]), msgspec.structs.astuple(command)
        answered = self.compiled.run(kind, compiled_context, values)
        assert answered == msgspec.structs.astuple(response), (name, command)
        return response.reason, response.flags

    def admit(self, origin, user, *assets, reserve):
        context, compiled_context = self.context(*origin)
        no = self.parties.refusal(context, user, *assets, reserve=reserve)
        if not no:
            self.parties.admit(context.holder, user, *assets)
        first, second = (*assets, 0, 0)[:2]
        assert self.compiled.admit(compiled_context, user, first, second, reserve) == told(no)
        return told(no)

    def act(self):
        """Let the holds act whose time has come, as many as may."""
        self.timers.begin_body(self.time_ns)
        count = 0
        while (entry := self.timers.next_to_act(self.time_ns)) is not None:
            self.timers.room[HOLD] -= 1
            self.treasury.act_on_hold(entry)
            count += 1
        assert self.compiled.act(self.time_ns) == count
        return count

    def restore_hold(self, user, hold_id, hold):
        """Add a hold as loading does; its money becomes held."""
        account = self.balances.accounts[user][hold.asset]
        account.available -= hold.amount
        account.held += hold.amount
        account.named += hold.amount
        self.holds.restore(user, hold_id, hold)
        values = hold.asset, hold.amount, hold.expires_ns, hold.holder.key
        self.compiled.restore_hold(user, hold_id, *values)

    def bind(self, user, asset, amount):
        """Reserve available money, as orders do."""
        account = self.balances.accounts[user][asset]
        self.balances.touch(account)
        account.available -= amount
        account.reserved += amount
        self.compiled.bind(user, asset, amount)

    def delist(self, asset):
        """Empty all accounts of an asset by commands, and remove it."""
        for user, (hold_id, of, _, _) in list(self.holds.rows()):
            if of == asset:
                self.run("release_hold", user, 0, True, hold_id=hold_id)
        for user, mine in list(self.balances.accounts.items()):
            if (account := mine.get(asset)) is not None:
                self.bind(user, asset, -account.reserved)
                if account.held:
                    self.run("unlock_balance", user, 0, True, asset=asset, amount=account.held)
                if account.available:
                    self.run("withdraw", user, 0, True, asset=asset, amount=account.available)
        assert not self.balances.is_needed(asset)
        self.assets.discard(asset)
        self.balances.close(asset)
        self.compiled.close(asset)

    # --- comparing --------------------------------------------------------------------------------

    def row(self, account):
        return (
            account.user, account.asset, account.available, account.reserved, account.held,
            account.named, account.holder.key,
        )  # fmt: skip

    def take_events(self):
        """Compare the changes of holds; return what they were."""
        expected = [msgspec.structs.astuple(each) for each in self.events]
        assert self.compiled.take_events() == expected
        self.events.clear()
        return [each[3] for each in expected]

    def take_changed(self):
        expected = [self.row(each) for each in self.balances.take_changed()]
        assert self.compiled.take_changed() == expected

    def compare_user(self, user):
        accounts = self.balances.accounts.get(user)
        if accounts is None:
            assert self.compiled.user(user) is None
            return
        rows = [self.row(each) for _, each in sorted(accounts.items())]
        count = len(list(self.holds.of(user)))
        assert self.compiled.user(user) == (self.holders[user].key, count, rows)
        for after in (0, 1, 3, INT_MAX - 1, INT_MAX):
            first = next(self.holds.of(user, after), (None,))[0]
            assert self.compiled.hold_after(user, after) == first

    def compare(self):
        rows = [
            (user, *row, self.holds.key_of(user, row[0])) for user, row in self.holds.rows()
        ]  # fmt: skip
        assert self.compiled.hold_rows() == rows
        for key in KEYS:
            holder = self.places.of(key)
            assert self.compiled.counts(key) == (holder.users, holder.accounts, holder.holds)
        assert self.compiled.sums() == (
            len(self.balances.accounts) - 1, self.balances.count, len(rows),
            len(self.timers.entries()), self.timers.next_due_ns(),
        )  # fmt: skip
        for asset in (*ASSETS, UNLISTED):
            net = self.balances.net_deposits().get(asset)
            assert self.compiled.net_deposits(asset) == net

    def check(self):
        """Let both prove what they have."""
        assert self.compiled.check() == ""
        for user in USERS:
            self.compare_user(user)
        rows = list(self.balances.rows())
        self.holds.check()
        self.balances.check({(each.user, each.asset): each.reserved for each in rows})
        self.places.check(
            users=[holder for user, holder in self.holders.items() if user != HOUSE_USER],
            accounts=[each.holder for each in rows if each.user != HOUSE_USER],
            holds=self.holds.holders(),
        )
