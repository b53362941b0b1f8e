"""Accounts of the compiled core against the reference's."""

from random import Random

import pytest

from hpe.core.context.holders import NOBODY, Holder
from hpe.core.money.balances import BalanceCache
from hpe.protocol.codes import RejectReason
from hpe.protocol.limits import AMOUNT_MAX, HOUSE_USER, INT_MAX

STEPS = 6_000
USERS = (1, 2, 3, 2**32 + 1, INT_MAX - 1, HOUSE_USER)
ASSETS = (1, 2, 2**40)
BIG = 10**9


class BothBalances:
    """The same accounts in both cores."""

    def __init__(self, accounts):
        self.holders = (NOBODY, *map(Holder, (0, 5, 9)))
        self.compiled, self.reference = accounts.Balances(3), BalanceCache()
        self.compiled.open_user(HOUSE_USER)
        self.seen = {"closed": 0, "gone": 0, "sorted": 0, "refused": 0}

    def row(self, account):
        return (
            account.user, account.asset, account.available, account.reserved, account.held,
            account.named, self.holders.index(account.holder),
        )  # fmt: skip

    def ensure(self, user, asset, holder):
        if user not in self.reference.accounts:
            self.reference.accounts[user] = {}
            self.compiled.open_user(user)
        if asset not in self.reference.accounts[user]:
            holder = 0 if user == HOUSE_USER else holder
            self.reference.open(user, asset, self.holders[holder])
            self.compiled.open(user, asset, holder)

    def call(self, name, *arguments):
        found = getattr(self.reference, name)(*arguments)
        assert getattr(self.compiled, name)(*arguments) == found
        self.seen["refused"] += bool(found)

    def bind(self, random, user, asset):
        """Let an order reserve, and a hold name, some of what an account has."""
        account = self.reference.accounts[user][asset]
        reserved = random.randint(-account.reserved, max(account.available, 0))
        named = random.randint(-account.named, account.held - account.named)
        self.reference.touch(account)
        account.available -= reserved
        account.reserved += reserved
        account.named += named
        self.compiled.change(user, asset, reserved, named)

    def empty(self, asset):
        """Take an asset's money out of every account, which leaves them touched."""
        for user, mine in self.reference.accounts.items():
            account = mine.get(asset)
            if account is None:
                continue
            reserved, named, held = account.reserved, account.named, account.held
            self.reference.touch(account)
            account.available += reserved
            account.reserved = account.named = 0
            self.compiled.change(user, asset, -reserved, -named)
            self.call("unlock", user, asset, held)
            self.call("withdraw", user, asset, account.available)

    def close(self, asset):
        assert self.compiled.is_needed(asset) == self.reference.is_needed(asset)
        if not self.reference.is_needed(asset):
            self.reference.close(asset)
            self.compiled.close(asset)
            self.seen["closed"] += 1

    def take(self):
        expected = [self.row(each) for each in self.reference.take_changed()]
        assert self.compiled.take_changed() == expected
        self.seen["gone"] += any(row[1] not in self.reference.accounts[row[0]] for row in expected)
        self.seen["sorted"] += len(expected) > 5

    def compare(self):
        rows = list(self.reference.rows())
        assert self.compiled.rows() == [self.row(each) for each in rows]
        assert self.compiled.count == self.reference.count
        assert self.compiled.net_deposits(ASSETS) == self.reference.net_deposits()
        for number in (1, 2, 3):
            assert self.compiled.of_holder(number) == self.holders[number].accounts
        for asset in ASSETS:
            assert self.compiled.cost_of(asset) == self.reference.cost_of(asset)
            assert self.compiled.is_needed(asset) == self.reference.is_needed(asset)
        self.reference.check({(each.user, each.asset): each.reserved for each in rows})

    def step(self, random):
        user, asset = random.choice(USERS), random.choice(ASSETS)
        amount = random.choice((1, random.randint(1, BIG), AMOUNT_MAX, INT_MAX))
        choice = random.random()
        if choice < 0.3:
            self.call("deposit_refusal", asset, amount)
            if not self.reference.deposit_refusal(asset, amount):
                self.ensure(user, asset, random.randint(1, 3))
                self.call("deposit", user, asset, amount)
        elif choice < 0.6:
            self.call(random.choice(("withdraw", "lock", "unlock")), user, asset, amount)
        elif choice < 0.85 and self.reference.peek(user, asset).available > 0:
            amount = random.randint(1, self.reference.accounts[user][asset].available)
            payee = random.choice(USERS)
            self.ensure(payee, asset, random.randint(1, 3))
            self.call("transfer", user, asset, amount, payee)
            self.bind(random, user, asset)
        elif choice < 0.98:
            self.take()
        else:
            self.empty(asset)
            self.close(asset)
        assert self.compiled.peek(user, asset) == (asset in self.reference.accounts.get(user, ()))


@pytest.mark.parametrize("seed", range(4))
def test_accounts_are_the_references(accounts, seed):
    print(f"seed {seed}")
    random, both = Random(seed), BothBalances(accounts)
    for _ in range(STEPS):
        both.step(random)
        both.compare()
    assert min(both.seen.values()) > STEPS // 200, both.seen


def test_changed_accounts_are_sorted(accounts):
    both = BothBalances(accounts)
    users = [*range(1, 1_000)]
    Random(3).shuffle(users)
    for user in users:
        for asset in (2, 1):
            both.ensure(user, asset, 1)
            both.call("deposit", user, asset, user)
    both.take()
    assert both.seen["sorted"] == 1
    both.take()


def test_an_account_that_is_as_before_did_not_change(accounts):
    both = BothBalances(accounts)
    both.ensure(1, 1, 1)
    both.call("deposit", 1, 1, 5)
    both.call("withdraw", 1, 1, 5)
    assert both.compiled.take_changed() == both.reference.take_changed() == []


def test_a_closed_account_is_reported_before_its_record_is_used_again(accounts):
    both = BothBalances(accounts)
    for user in (1, 2):
        both.ensure(user, 1, 1)
    both.call("deposit", 1, 1, 5)
    both.take()
    both.call("withdraw", 1, 1, 5)
    both.close(1)
    both.ensure(3, 1, 1)
    assert both.compiled.records == 2
    both.take()
    both.take()
    assert both.compiled.records == 1
    both.compare()


def test_a_deposit_up_to_the_greatest_amount(accounts):
    both = BothBalances(accounts)
    both.ensure(1, 1, 1)
    both.call("deposit", 1, 1, AMOUNT_MAX - 1)
    assert both.compiled.deposit_refusal(1, 1) == RejectReason.NONE
    assert both.compiled.deposit_refusal(1, 2) == RejectReason.DEPOSIT_LIMIT
