"""Named holds: bound, paid out, returned, expired; and what check says of wrong ones."""

import pytest

from hpe.core.context.command import Context
from hpe.core.context.holders import NOBODY
from hpe.core.context.places import Places
from hpe.core.context.settings import Settings
from hpe.core.contract import DEFAULT_LIMITS
from hpe.core.money.balances import BalanceCache
from hpe.core.money.holds import Hold, Holds
from hpe.core.timers import HOLD, Timers
from hpe.errors import InvariantViolation
from hpe.protocol.codes import RejectReason
from hpe.protocol.internal import PlaceLimits

USER, ASSET, OTHER = 7, 1, 8


@pytest.fixture
def balances():
    balances = BalanceCache()
    for user in (USER, OTHER):
        balances.accounts[user] = {}
        balances.open(user, ASSET, NOBODY)
    balances.deposit(USER, ASSET, 100)
    return balances


def rows(timers):
    return [entry.due for entry in timers.entries()]


@pytest.fixture
def timers():
    return Timers()


@pytest.fixture
def settings():
    return Settings(DEFAULT_LIMITS.reserved_part)


@pytest.fixture
def holds(balances, timers, settings):
    return Holds(balances, timers, settings, Places(settings))


def amounts(balances, user=USER):
    account = balances.peek(user, ASSET)
    return account.available, account.held, account.named


def add(holds, hold_id, amount, expires_ns=0, user=USER):
    context = Context(1, 1, 0, user, 0, NOBODY, operator=False, cancel_on_disconnect=False)
    return holds.add(context, user, hold_id, Hold(ASSET, amount, expires_ns, NOBODY))


def pay(holds, hold_id, amount, to_user):
    holds.pay(USER, hold_id, holds.find(USER, hold_id), amount, to_user)


def test_a_hold_binds_money_out_of_reach_of_unlock(holds, balances):
    assert not add(holds, 5, 60)
    assert amounts(balances) == (40, 60, 60)
    assert balances.unlock(USER, ASSET, 1) is RejectReason.INSUFFICIENT_HOLD
    assert not balances.lock(USER, ASSET, 10)
    assert balances.unlock(USER, ASSET, 11) is RejectReason.INSUFFICIENT_HOLD
    assert not balances.unlock(USER, ASSET, 10)
    assert list(holds.of(USER)) == [(5, ASSET, 60, 0)]
    holds.check()


def test_a_hold_is_paid_out_in_parts_and_gone_at_zero(holds, balances):
    add(holds, 5, 60)
    pay(holds, 5, 25, OTHER)
    assert list(holds.of(USER)) == [(5, ASSET, 35, 0)]
    pay(holds, 5, 15, USER)
    assert amounts(balances) == (55, 20, 20)
    pay(holds, 5, 20, OTHER)
    assert holds.find(USER, 5) is None
    assert (amounts(balances), amounts(balances, OTHER)) == ((55, 0, 0), (45, 0, 0))
    holds.check()


def test_a_hold_id_is_unique_among_the_live_holds_of_its_owner(holds, balances):
    balances.deposit(OTHER, ASSET, 10)
    assert not add(holds, 5, 10)
    assert add(holds, 5, 10) is RejectReason.DUPLICATE_HOLD
    assert not add(holds, 5, 10, user=OTHER)
    pay(holds, 5, 10, USER)
    assert not add(holds, 5, 10)
    holds.check()


def test_rejects_in_their_order_change_nothing(holds, balances, settings):
    settings.places = PlaceLimits(holds_max=1)
    add(holds, 5, 10)
    before = amounts(balances)
    assert add(holds, 5, 1_000) is RejectReason.DUPLICATE_HOLD
    assert add(holds, 6, 1_000) == (RejectReason.TOO_MANY_HOLDS, 0)
    pay(holds, 5, 10, USER)
    assert add(holds, 6, 1_000) is RejectReason.INSUFFICIENT_FUNDS
    assert not add(holds, 6, 10)
    assert amounts(balances) == before
    assert list(holds.of(USER)) == [(6, ASSET, 10, 0)]
    holds.check()


def test_only_holds_that_expire_have_a_timer(holds, timers):
    add(holds, 5, 10)
    add(holds, 6, 10, 400)
    add(holds, 7, 10, 300)
    assert rows(timers) == [(300, HOLD, USER, 7), (400, HOLD, USER, 6)]
    assert sorted(holds.due()) == rows(timers)
    pay(holds, 7, 4, OTHER)
    assert timers.next_due_ns() == 300, "part of it is still held"
    pay(holds, 7, 6, OTHER)
    assert rows(timers) == [(400, HOLD, USER, 6)]


def test_an_expired_hold_gives_back_what_is_left(holds, balances, timers):
    add(holds, 6, 50, 400)
    pay(holds, 6, 20, OTHER)
    holds.expire(USER, 6)
    assert (amounts(balances), amounts(balances, OTHER)) == ((80, 0, 0), (20, 0, 0))
    assert holds.find(USER, 6) is None
    assert rows(timers) == []
    holds.check()


def test_lists_are_sorted(holds, balances):
    balances.deposit(OTHER, ASSET, 10)
    for hold_id in (9, 2, 5):
        add(holds, hold_id, hold_id)
    add(holds, 4, 4, user=OTHER)
    assert [row[0] for row in holds.of(USER)] == [2, 5, 9]
    assert [(user, row[0]) for user, row in holds.rows()] == [(7, 2), (7, 5), (7, 9), (8, 4)]
    assert list(holds.of(99)) == []


def spoil_amount(holds, balances):
    holds.find(USER, 5).amount += 1


def empty_hold(holds, balances):
    holds.find(USER, 5).amount = 0


def unbind(holds, balances):
    account = balances.accounts[USER][ASSET]
    account.held -= 1
    account.available += 1


def lose_the_hold(holds, balances):
    holds._holds.clear()


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (spoil_amount, "under names, its holds 11"),
        (empty_hold, "hold 5 of user 7 holds 0"),
        (unbind, "holds 10 under names"),
        (lose_the_hold, "holds 10 under names, its holds 0"),
    ],
)
def test_check_sees_what_is_wrong(holds, balances, damage, complaint):
    add(holds, 5, 10)
    holds.check()
    damage(holds, balances)
    with pytest.raises(InvariantViolation, match=complaint):
        holds.check()
