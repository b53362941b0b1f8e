"""Accounts: every movement, its bounds, and the proof that nothing appears or vanishes."""

import pytest

from hpe.core.context.holders import NOBODY
from hpe.core.money.balances import BalanceCache
from hpe.errors import InvariantViolation
from hpe.protocol.codes import RejectReason
from hpe.protocol.limits import AMOUNT_MAX, HOUSE_USER

USER, ASSET = 7, 1


@pytest.fixture
def balances():
    balances = BalanceCache()
    pay_in(balances, USER, ASSET, 100)
    return balances


def pay_in(balances, user, asset, amount):
    """Deposit into an account, opened when it is new."""
    balances.accounts.setdefault(user, {})
    if asset not in balances.accounts[user]:
        balances.open(user, asset, NOBODY)
    balances.deposit(user, asset, amount)


def amounts(balances, user=USER, asset=ASSET):
    account = balances.peek(user, asset)
    return account.available, account.reserved, account.held


def test_movements(balances):
    assert not balances.lock(USER, ASSET, 30)
    assert amounts(balances) == (70, 0, 30)
    assert not balances.unlock(USER, ASSET, 10)
    assert amounts(balances) == (80, 0, 20)
    assert not balances.withdraw(USER, ASSET, 80)
    assert amounts(balances) == (0, 0, 20)
    assert balances.net_deposits() == {ASSET: 20}
    balances.check({})


@pytest.mark.parametrize(
    ("movement", "reason"),
    [
        ("withdraw", RejectReason.INSUFFICIENT_FUNDS),
        ("lock", RejectReason.INSUFFICIENT_FUNDS),
        ("unlock", RejectReason.INSUFFICIENT_HOLD),
    ],
)
def test_nothing_goes_below_zero(balances, movement, reason):
    balances.lock(USER, ASSET, 40)
    before = amounts(balances)
    assert getattr(balances, movement)(USER, ASSET, 61) is reason
    assert getattr(balances, movement)(USER + 1, ASSET, 1) is reason
    assert getattr(balances, movement)(USER, ASSET + 1, 1) is reason
    assert amounts(balances) == before
    balances.check({})


@pytest.mark.parametrize("movement", ["withdraw", "lock", "unlock"])
def test_reserved_money_cannot_be_moved(balances, movement):
    account = balances.accounts[USER][ASSET]
    account.available, account.reserved = 0, 100
    assert getattr(balances, movement)(USER, ASSET, 1) is not RejectReason.NONE
    assert amounts(balances) == (0, 100, 0)


def test_all_deposits_of_an_asset_share_one_limit(balances):
    pay_in(balances, USER + 1, ASSET, AMOUNT_MAX - 100)
    assert balances.deposit_refusal(ASSET, 1) is RejectReason.DEPOSIT_LIMIT
    assert not balances.deposit_refusal(ASSET + 1, AMOUNT_MAX)
    pay_in(balances, USER, ASSET + 1, AMOUNT_MAX)
    assert not balances.withdraw(USER + 1, ASSET, 1)
    assert not balances.deposit_refusal(ASSET, 1)
    pay_in(balances, USER, ASSET, 1)
    balances.check({})


def test_looking_at_an_account_opens_none(balances):
    assert amounts(balances, 99, 99) == (0, 0, 0)
    assert 99 not in balances.accounts
    assert 99 not in balances.accounts[USER]


def test_rows_are_sorted_and_empty_accounts_are_among_them():
    balances = BalanceCache()
    for user, asset in ((3, 1), (1, 2), (1, 1)):
        pay_in(balances, user, asset, user * 10 + asset)
    assert not balances.withdraw(1, 2, 12)
    rows = [(account.user, account.asset, account.available) for account in balances.rows()]
    assert rows == [(1, 1, 11), (1, 2, 0), (3, 1, 31)]


def test_the_house_takes_no_place(balances):
    assert balances.house(ASSET) is balances.house(ASSET)
    assert balances.house(ASSET).user == HOUSE_USER
    assert balances.count == 1


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"available": 101}, "accounts hold 101"),
        ({"available": 90, "held": 9}, "accounts hold 99"),
        ({"available": -1, "held": 101}, "negative"),
        ({"available": 90, "reserved": 10}, "reserves 10, its orders 0"),
    ],
)
def test_check_sees_money_that_is_wrong(balances, change, complaint):
    for name, amount in change.items():
        setattr(balances.accounts[USER][ASSET], name, amount)
    with pytest.raises(InvariantViolation, match=complaint):
        balances.check({})


def test_check_sees_orders_that_reserve_what_no_account_has(balances):
    with pytest.raises(InvariantViolation, match="reserves 0, its orders 5"):
        balances.check({(USER, ASSET): 5})
    with pytest.raises(InvariantViolation, match="lack"):
        balances.check({(USER + 1, ASSET): 5})
