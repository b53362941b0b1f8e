"""Parties, named holds and money commands of the compiled core against the reference's."""

from random import Random

import msgspec
import pytest

from hpe.core.context.command import Context
from hpe.core.context.holders import told
from hpe.core.context.places import Places
from hpe.core.context.settings import Settings
from hpe.core.contract import DEFAULT_LIMITS
from hpe.core.money.balances import BalanceCache
from hpe.core.money.holds import Hold, Holds
from hpe.core.money.parties import Parties
from hpe.core.money.treasury import Treasury
from hpe.core.timers import HOLD, Timers
from hpe.protocol.base import type_number
from hpe.protocol.codes import RejectReason
from hpe.protocol.enums import HoldChange
from hpe.protocol.flags import FLAG_KEY_LIMIT, FLAG_USER_LIMIT
from hpe.protocol.internal import PlaceLimits
from hpe.protocol.limits import AMOUNT_MAX, HOUSE_USER, INT_MAX
from hpe.protocol.money import (
    CaptureHold,
    Deposit,
    LockBalance,
    ReleaseHold,
    Transfer,
    UnlockBalance,
    Withdraw,
)

STEPS = 5_000
ACTS = (1, 3, 1, 1, 1)
USERS = (*range(1, 120), 2**32 + 1, INT_MAX - 1, HOUSE_USER)
KEYS = (0, 0, 5, 9, INT_MAX)
ASSETS = (1, 2, 2**31)
SELDOM, UNLISTED = 2**31, 4
HOLD_IDS = (1, 2, 3, 4, 5, INT_MAX)
MESSAGES = {
    "deposit": Deposit, "withdraw": Withdraw, "lock_balance": LockBalance,
    "unlock_balance": UnlockBalance, "transfer": Transfer, "capture_hold": CaptureHold,
    "release_hold": ReleaseHold,
}  # fmt: skip

_R = RejectReason
_ROOM = {(_R.TOO_MANY_USERS, 0), (_R.TOO_MANY_USERS, FLAG_KEY_LIMIT),
         (_R.TOO_MANY_ACCOUNTS, 0), (_R.TOO_MANY_ACCOUNTS, FLAG_KEY_LIMIT)}  # fmt: skip
ANSWERS = {
    "deposit": {*_ROOM, (_R.NONE, 0), (_R.UNKNOWN_ASSET, 0), (_R.DEPOSIT_LIMIT, 0)},
    "withdraw": {(_R.NONE, 0), (_R.UNKNOWN_ASSET, 0), (_R.INSUFFICIENT_FUNDS, 0)},
    "unlock_balance": {(_R.NONE, 0), (_R.UNKNOWN_ASSET, 0), (_R.INSUFFICIENT_HOLD, 0)},
    "lock_balance": {
        (_R.NONE, 0), (_R.INVALID_COMBINATION, 0), (_R.UNKNOWN_ASSET, 0), (_R.EXPIRY_PASSED, 0),
        (_R.DUPLICATE_HOLD, 0), (_R.TOO_MANY_HOLDS, 0), (_R.TOO_MANY_HOLDS, FLAG_USER_LIMIT),
        (_R.TOO_MANY_HOLDS, FLAG_KEY_LIMIT), (_R.INSUFFICIENT_FUNDS, 0),
    },
    "transfer": {
        *_ROOM, (_R.NONE, 0), (_R.INVALID_COMBINATION, 0), (_R.UNKNOWN_ASSET, 0),
        (_R.INSUFFICIENT_FUNDS, 0),
    },
    "capture_hold": {
        *_ROOM, (_R.NONE, 0), (_R.UNKNOWN_HOLD, 0), (_R.INSUFFICIENT_HOLD, 0),
    },
    "release_hold": {(_R.NONE, 0), (_R.UNKNOWN_HOLD, 0), (_R.INSUFFICIENT_HOLD, 0)},
}  # fmt: skip
"""Every answer that a command can have, as (reason, flags)."""


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

    def restore_hold(self, user, hold_id, asset, amount, expires_ns, key):
        account = self.balances.accounts[user][asset]
        account.available -= amount
        account.held += amount
        account.named += amount
        self.holds.restore(user, hold_id, Hold(asset, amount, expires_ns, self.places.of(key)))
        self.compiled.restore_hold(user, hold_id, asset, amount, expires_ns, key)

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
        """Let the reference prove what both have."""
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


class MoneyStream:
    """Random commands, most of which have a chance."""

    def __init__(self, both, random):
        self.both, self.random = both, random
        self.answers = {name: set() for name in MESSAGES}
        self.changes, self.acted = set(), 0

    def step(self):
        both, random = self.both, self.random
        both.time_ns += random.randint(0, 2)
        choice, user = random.random(), random.choice(USERS)
        if choice < 0.85:
            user = self.command(random.choice(("lock_balance", *MESSAGES)))
        elif choice < 0.92:
            self.acted += both.act()
        elif choice < 0.94:
            both.limit(*(random.randint(1, most) for most in (50, 120, 24, 5)))
        elif choice < 0.96:
            self.admit(user)
        elif choice < 0.98:
            self.bind()
        elif choice < 0.995:
            both.take_changed()
        else:
            both.delist(SELDOM)
            both.list_asset(SELDOM)
        self.changes.update(both.take_events())
        both.compare_user(user)

    def admit(self, user):
        random = self.random
        assets = random.sample(ASSETS, random.randint(0, 2))
        origin = (1, random.choice(KEYS), random.random() < 0.2)
        self.both.admit(origin, user, *assets, reserve=random.random() < 0.5)

    def bind(self):
        """Let orders of some user reserve some of what it has, or release it."""
        user = self.random.choice(list(self.both.balances.accounts))
        for asset, account in self.both.balances.accounts[user].items():
            amount = self.random.randint(-account.reserved, max(account.available, 0))
            self.both.bind(user, asset, amount // 4)

    def command(self, name):
        """Run a command; return for whom."""
        random, both = self.random, self.both
        session_user, key = random.choice(USERS), random.choice(KEYS)
        user, fields = self.named(name)
        if random.random() < 0.3:
            session_user, user = (user or session_user), 0
        operator = random.random() < 0.1
        answer = both.run(name, session_user, key, operator, user=user, **fields)
        self.answers[name].add(answer)
        return user or session_user

    def named(self, name):
        """Return the user and the other fields of a command."""
        random, both = self.random, self.both
        user, asset = random.choice(USERS), random.choice((*ASSETS, *ASSETS, UNLISTED))
        live = list(both.holds.rows())
        hold_id, amount = random.choice(HOLD_IDS), random.randint(1, 1_000)
        if live and random.random() < 0.8:
            user, (hold_id, of, left, _) = random.choice(live)
            if name in ("capture_hold", "release_hold"):
                amount = random.choice((1, left, left + 1, random.randint(1, left)))
            asset = random.choice((of, asset))
        account = both.balances.peek(user, asset)
        fields = {"asset": asset, "amount": amount}
        if name == "deposit":
            fields["amount"] = random.choice((amount, 10**6, 10**6, 10**6))
            if random.random() < 0.02:
                fields["amount"] = AMOUNT_MAX
        elif name in ("withdraw", "transfer"):
            fields["amount"] = self.amount(account.available)
        elif name == "unlock_balance":
            fields["amount"] = self.amount(account.held - account.named)
        elif name == "lock_balance":
            user, fields["asset"], available = self.some_money(user, asset)
            fields["amount"] = self.amount(random.choice((available, available // 8)))
            fields["hold_id"] = random.choice(
                (0, hold_id, random.choice(HOLD_IDS), random.choice(HOLD_IDS))
            )
            fields["expires_ns"] = random.choice((0, 0, both.time_ns + random.randint(-2, 40)))
        else:
            fields = {"hold_id": hold_id, "amount": amount}
        if name == "release_hold" and random.random() < 0.3:
            fields["amount"] = 0
        if name in ("transfer", "capture_hold"):
            fields["to_user"] = random.choice((user, *USERS))
        return user, fields

    def some_money(self, user, asset):
        """Return who has how much of what; mostly somebody who has some."""
        found = [row for row in self.both.balances.rows() if row.available > 0]
        if found and self.random.random() < 0.8:
            row = self.random.choice(found)
            return row.user, row.asset, row.available
        return user, asset, self.both.balances.peek(user, asset).available

    def amount(self, most):
        """Return an amount that is about as much as there is."""
        most = min(max(most, 1), AMOUNT_MAX - 1)
        return self.random.choice((1, most, most + 1, self.random.randint(1, most)))


@pytest.mark.parametrize("seed", range(6))
def test_money_is_the_references(treasury, seed):
    print(f"seed {seed}")
    both = BothExchanges(treasury)
    stream = MoneyStream(both, Random(seed))
    for asset in ASSETS:
        both.list_asset(asset)
    both.limit(50, 120, 40, 5)
    for step in range(STEPS):
        stream.step()
        both.compare()
        if step % 20 == 0:
            both.check()
    both.check()
    for name, answers in ANSWERS.items():
        assert stream.answers[name] == answers, name
    assert stream.changes == set(HoldChange)
    assert stream.acted > STEPS // 200


@pytest.mark.parametrize("room", range(4))
@pytest.mark.parametrize("user", [1, HOUSE_USER])
def test_room_for_a_user_and_two_accounts(treasury, room, user):
    both = BothExchanges(treasury)
    both.limit(8, room, 1, 1)
    for assets in ((), (1,), (1, 2), (2, 3)):
        for reserve in (False, True):
            for key in (0, 5):
                for operator in (False, True):
                    both.admit((1, key, operator), user, *assets, reserve=reserve)
                    both.check()
    both.compare()


def test_holds_of_a_dump_expire_like_others(treasury):
    both = BothExchanges(treasury)
    both.list_asset(1)
    both.run("deposit", 1, 5, False, asset=1, amount=100)
    both.restore_hold(1, 3, 1, 40, 200, 5)
    both.restore_hold(1, 2, 1, 20, 0, 0)
    both.restore_hold(1, INT_MAX, 1, 30, 150, 9)
    both.check()
    both.time_ns = 150
    assert both.act() == 1
    both.time_ns = 200
    answer = both.run("capture_hold", 1, 0, False, hold_id=3, amount=1, to_user=2)
    assert answer == (RejectReason.UNKNOWN_HOLD, 0)
    assert both.take_events() == [HoldChange.EXPIRED] * 2
    both.take_changed()
    both.compare()
    both.check()


def test_a_hold_of_the_greatest_amount(treasury):
    both = BothExchanges(treasury)
    both.list_asset(1)
    both.run("deposit", 1, 0, False, asset=1, amount=AMOUNT_MAX)
    assert both.run("lock_balance", 1, 0, False, asset=1, amount=AMOUNT_MAX, hold_id=1)[0] == 0
    paid = both.run("capture_hold", 1, 0, False, hold_id=1, amount=AMOUNT_MAX, to_user=2)
    assert paid == (RejectReason.NONE, 0)
    assert both.run("deposit", 1, 0, False, asset=1, amount=1)[0] == RejectReason.DEPOSIT_LIMIT
    both.compare()
    both.check()


def test_many_holds_of_one_user_are_listed_in_order(treasury):
    both, ids = BothExchanges(treasury), list(range(1, 2_001))
    both.list_asset(1)
    both.limit(10, 10, 10_000, 10_000)
    both.run("deposit", 7, 0, False, asset=1, amount=10_000)
    Random(5).shuffle(ids)
    for hold_id in ids:
        both.run("lock_balance", 7, 0, False, asset=1, amount=1, hold_id=hold_id)
    for hold_id in ids[::3]:
        both.run("release_hold", 7, 0, False, hold_id=hold_id)
    both.compare()
    for after in range(2_001):
        expected = next(both.holds.of(7, after), (None,))[0]
        assert both.compiled.hold_after(7, after) == expected
