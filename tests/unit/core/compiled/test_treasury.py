"""Parties, named holds and money commands of the compiled core against the reference's."""

from random import Random

import pytest

from hpe.core.money.holds import Hold
from hpe.protocol.codes import RejectReason
from hpe.protocol.enums import HoldChange
from hpe.protocol.flags import FLAG_KEY_LIMIT, FLAG_USER_LIMIT
from hpe.protocol.limits import AMOUNT_MAX, HOUSE_USER, INT_MAX
from tests.unit.core.compiled.both_exchanges import (
    ASSETS,
    KEYS,
    MESSAGES,
    UNLISTED,
    USERS,
    BothExchanges,
)

STEPS = 5_000
SELDOM = 2**31
HOLD_IDS = (1, 2, 3, 4, 5, INT_MAX)

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
    both.restore_hold(1, 3, Hold(1, 40, 200, both.places.of(5)))
    both.restore_hold(1, 2, Hold(1, 20, 0, both.places.of(0)))
    both.restore_hold(1, INT_MAX, Hold(1, 30, 150, both.places.of(9)))
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


@pytest.fixture
def sound(treasury):
    """Two users with money, and two holds of one of them."""
    both = BothExchanges(treasury)
    both.list_asset(1)
    for user in (1, 2):
        both.run("deposit", user, 5, False, asset=1, amount=100)
    for hold_id in (1, 2):
        both.run("lock_balance", 1, 5, False, asset=1, amount=10, hold_id=hold_id)
    both.run("lock_balance", 2, 5, False, asset=1, amount=10)
    both.check()
    return both.compiled


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ([("available", 1)], "CONSERVATION"),
        ([("reserved", 1), ("available", -1)], ""),
        ([("reserved", -1), ("available", 1)], "NEGATIVE"),
        ([("available", -81), ("reserved", 81)], "NEGATIVE"),
        ([("held", -21), ("available", 21)], "NEGATIVE"),
        ([("held", -1), ("available", 1)], "NAMED"),
        ([("named", -1)], "NAMED"),
        ([("named", 1), ("held", 1), ("available", -1)], "NAMED"),
    ],
    ids=str,
)
def test_check_sees_wrong_amounts(sound, changes, fault):
    for name, more in changes:
        sound.spoil_account(1, 1, name, more)
    assert sound.check() == fault
    for name, more in changes:
        sound.spoil_account(1, 1, name, -more)
    assert sound.check() == ""


@pytest.mark.parametrize(("more", "fault"), [(1, "NAMED"), (-1, "NAMED"), (-10, "EMPTY")])
def test_check_sees_wrong_holds(sound, more, fault):
    sound.spoil_hold(1, 2, more)
    assert sound.check() == fault
    sound.spoil_hold(1, 2, -more)
    assert sound.check() == ""


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("accounts", "ACCOUNTS"), ("holds", "HOLDS"), ("users of a key", "PLACES"),
        ("accounts of a key", "PLACES"), ("holds of a key", "PLACES"),
    ],
)  # fmt: skip
def test_check_sees_wrong_counts(sound, name, fault):
    sound.spoil_counts(1, 5, name, 1)
    assert sound.check() == fault
    sound.spoil_counts(1, 5, name, -1)
    assert sound.check() == ""


def test_check_sees_a_hold_that_is_counted_to_another_user(sound):
    sound.spoil_counts(1, 5, "holds", -1)
    sound.spoil_counts(2, 5, "holds", 1)
    assert sound.check() == "HOLDS"
