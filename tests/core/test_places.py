"""Places: bounds in total, per user and per key, the operators' eighth, when a place is free."""

import pytest

from hpe.core.state.rows import (
    DumpedAccount,
    DumpedAsset,
    DumpedFees,
    DumpedResting,
    DumpedUser,
    DumpedWaiting,
)
from hpe.protocol.codes import CancelReason, RejectReason
from hpe.protocol.enums import OrderType, Role, Side, TimeInForce
from hpe.protocol.flags import FLAG_KEY_LIMIT, FLAG_USER_LIMIT
from hpe.protocol.internal import AssetSetting
from hpe.protocol.limits import HOUSE_USER
from hpe.protocol.listings import AddAsset, AddInstrument, ResolveInstrument
from hpe.protocol.money import CaptureHold, Deposit, LockBalance, ReleaseHold, Transfer, Withdraw
from hpe.protocol.operations import BlockUser, SetFees
from hpe.protocol.orders import MassCancel, SubmitOco
from tests.support.core_driver import settings_of
from tests.support.core_parts import place
from tests.support.dumps import rows_of

BUY, SELL = Side
IOC, FOK = TimeInForce.IOC, TimeInForce.FOK
EVERYBODYS = 0
FAR = 10**15


def attach(venue, user, key=0, role=Role.ANONYMOUS):
    """Connect with a key that grants everybody."""
    return venue.attach(user, role=role, key=key, user_first=1, user_last=HOUSE_USER)


def said(client, message, *fields, **named):
    """Send a command; return reject reason and flags."""
    reply = client.ask(message(client.next_id(), *fields, **named))
    return reply.reason, reply.flags


def users(core):
    return {row.user for row in rows_of(core, DumpedUser)}


def bid(client, price=50, **kind):
    """Submit a bid of one lot; return reject reason and flags."""
    reply = place(client, BUY, price, 1, **kind)
    return reply.reason, reply.flags


@pytest.fixture
def rich(market):
    """Return a market with deposits of users 1 to 6, as by an operator with key 9."""
    operator = attach(market, 90, 9, Role.OPERATOR)
    for user in range(1, 7):
        for asset in (1, 2):
            operator.deposit(asset, 10_000, user)
    return market


# --- open orders --------------------------------------------------------------------------------


def test_whose_limit_of_open_orders_is_reached(rich):
    rich.configure(open_orders_max=16, open_orders_per_user_max=3, key_share_percent=25)
    gateway = attach(rich, 1, 7, Role.GATEWAY)
    assert [bid(gateway, user=user) for user in (1, 1, 1)] == [(0, 0)] * 3
    assert bid(gateway, user=1) == (RejectReason.TOO_MANY_ORDERS, FLAG_USER_LIMIT)
    assert bid(gateway, user=2) == (0, 0)
    assert bid(gateway, user=2) == (RejectReason.TOO_MANY_ORDERS, FLAG_KEY_LIMIT)
    anybody = attach(rich, 1)
    for user in (2, 2, 3, 3, 3, 4, 4, 4, 5, 5):
        assert bid(anybody, user=user) == (0, 0)
    assert bid(anybody, user=6) == (RejectReason.TOO_MANY_ORDERS, EVERYBODYS)
    rich.check()


def test_orders_of_many_keys_are_counted_again_when_they_are_loaded(rich):
    rich.configure(open_orders_max=400, open_orders_per_user_max=400, key_share_percent=1)
    keys = range(100, 200)
    for price in (1, 2):
        for key in keys:
            assert bid(attach(rich, 1, key), price) == (0, 0)
    rich.check()
    rich.restored().check()


def test_one_key_cannot_take_all_places_of_orders(rich):
    """Ten accounts of one key and one of another: the other trades on."""
    rich.configure(open_orders_max=40)
    greedy, modest = attach(rich, 1, 7, Role.GATEWAY), attach(rich, 5, 8, Role.TRADER)
    answers = [bid(greedy, user=1 + number % 4) for number in range(60)]
    assert answers.count((0, 0)) == 10
    assert bid(modest) == (0, 0)
    rich.check()


def test_a_place_stays_with_the_key_that_took_it(rich):
    """Whoever replaces the order, whatever becomes of the session; a dump keeps it, too."""
    rich.configure(open_orders_max=8)
    first = attach(rich, 1, 7, Role.TRADER)
    assert [bid(first), bid(first)] == [(0, 0)] * 2
    second = attach(rich, 1, 8, Role.TRADER)
    assert second.replace(1, leaves_quantity=2, price=51).reason == 0
    first.log_out()
    again = attach(rich, 1, 7, Role.TRADER)
    assert bid(again) == (RejectReason.TOO_MANY_ORDERS, FLAG_KEY_LIMIT)
    assert [bid(second), bid(second)] == [(0, 0)] * 2
    assert bid(second) == (RejectReason.TOO_MANY_ORDERS, FLAG_KEY_LIMIT)
    rich.core = rich.restored()
    assert bid(again) == (RejectReason.TOO_MANY_ORDERS, FLAG_KEY_LIMIT)
    second.cancel(order_id=1)
    assert bid(again) == (0, 0)
    rich.core.check()


@pytest.mark.parametrize("end", ["cancel", "fill", "replace", "expiry", "mass cancel"])
def test_a_place_is_free_when_its_order_has_ended(rich, end):
    rich.configure(open_orders_max=1)
    client, other = attach(rich, 1, 7), attach(rich, 2, 8)
    kind = {"tif": TimeInForce.GTD, "expires_ns": FAR} if end == "expiry" else {}
    assert bid(client, **kind) == (0, 0)
    assert bid(client)[0] == RejectReason.TOO_MANY_ORDERS
    if end == "cancel":
        client.cancel(order_id=1)
    elif end == "fill":
        assert place(other, SELL, 50, 1, tif=IOC).cum == 1
    elif end == "replace":
        client.replace(1, leaves_quantity=0)
    elif end == "expiry":
        rich.pass_time(FAR)
    else:
        client.ask(MassCancel(client.next_id()))
    assert bid(other) == (0, 0)
    rich.core.check()


@pytest.mark.parametrize("kind", ["market", "ioc", "fok", "budget"])
def test_an_order_that_cannot_rest_takes_no_place(rich, kind):
    """With every place taken the book can still be emptied."""
    seller, buyer = attach(rich, 1), attach(rich, 2)
    rich.configure(open_orders_max=1, open_orders_per_user_max=1)
    assert place(seller, SELL, 100, 5).reason == 0
    tif = FOK if kind == "fok" else IOC
    if kind == "budget":
        order = place(buyer, BUY, 0, 0, OrderType.MARKET, tif=tif, budget=500)
    elif kind == "market":
        order = place(buyer, BUY, 0, 5, OrderType.MARKET, tif=tif)
    else:
        order = place(buyer, BUY, 100, 5, tif=tif)
    assert (order.reason, order.cum) == (0, 5)
    rich.check()


def test_what_may_rest_takes_a_place_though_it_would_not_need_it(rich):
    seller, buyer = attach(rich, 1), attach(rich, 2)
    rich.configure(open_orders_max=1)
    place(seller, SELL, 100, 5)
    assert bid(buyer, 100) == (RejectReason.TOO_MANY_ORDERS, EVERYBODYS)
    stop = place(buyer, SELL, 0, 1, OrderType.STOP, tif=IOC, stop_price=5)
    assert stop.reason == RejectReason.TOO_MANY_ORDERS


def test_a_pair_takes_two_places_or_none(rich):
    client = attach(rich, 1)
    rich.configure(open_orders_max=3)
    pair = (1, SELL, 2, 110, 90)
    assert said(client, SubmitOco, *pair) == (0, 0)
    assert said(client, SubmitOco, *pair) == (RejectReason.TOO_MANY_ORDERS, EVERYBODYS)
    assert len(rows_of(rich.core, DumpedResting) + rows_of(rich.core, DumpedWaiting)) == 2
    assert bid(client) == (0, 0)
    rich.check()


def test_a_lowered_limit_refuses_new_places_only(rich):
    client = attach(rich, 1)
    for _ in range(3):
        bid(client)
    client.ask(LockBalance(client.next_id(), 1, 5, 0, 1))
    rich.configure(open_orders_max=1, users_max=1, accounts_max=1, holds_max=1, assets_max=1)
    assert bid(client)[0] == RejectReason.TOO_MANY_ORDERS
    assert client.replace(1, leaves_quantity=2).reason == 0
    assert said(client, LockBalance, 1, 5, 0, 2)[0] == RejectReason.TOO_MANY_HOLDS
    assert said(client, Deposit, 1, 5) == (0, 0)
    assert len(client.book().bids) == 1
    rich.check()


# --- holds --------------------------------------------------------------------------------------


def test_whose_limit_of_holds_is_reached(rich):
    rich.configure(holds_max=16, holds_per_user_max=3)
    gateway, operator = attach(rich, 1, 7, Role.GATEWAY), attach(rich, 90, 9, Role.OPERATOR)

    def hold(client, user, hold_id):
        return said(client, LockBalance, 1, 1, user, hold_id)

    assert [hold(gateway, 1, number) for number in (1, 2, 3)] == [(0, 0)] * 3
    assert hold(gateway, 1, 4) == (RejectReason.TOO_MANY_HOLDS, FLAG_USER_LIMIT)
    assert hold(gateway, 2, 1) == (0, 0)
    assert hold(gateway, 3, 1) == (RejectReason.TOO_MANY_HOLDS, FLAG_KEY_LIMIT)
    anybody = attach(rich, 1)
    for number in range(10):
        assert hold(anybody, 2 + number % 5, 10 + number // 5) == (0, 0)
    assert hold(anybody, 3, 20) == (RejectReason.TOO_MANY_HOLDS, EVERYBODYS)
    assert [hold(operator, 1, number) for number in (20, 21)] == [(0, 0)] * 2
    assert hold(operator, 1, 22) == (RejectReason.TOO_MANY_HOLDS, EVERYBODYS)
    for number in (1, 20, 21):
        assert said(operator, ReleaseHold, number, 0, 1) == (0, 0)
    rich.core = rich.restored()
    assert hold(gateway, 3, 1) == (0, 0), "a hold that was given back is a free place"
    rich.core.check()


# --- users and accounts ---------------------------------------------------------------------------


def test_a_user_with_rates_of_its_own_takes_a_place(rich):
    """Users 1 to 6 and the operator are there. There are no more rates than users."""
    rich.configure(users_max=8)
    operator = attach(rich, 90, 9, Role.OPERATOR)
    refused = (RejectReason.TOO_MANY_USERS, EVERYBODYS)
    before = users(rich.core)
    for user in range(11, 30):
        assert said(operator, SetFees, 1, None, None, user) == (0, 0)
        assert users(rich.core) == before
    free = 8 - len(before - {HOUSE_USER})
    for user in range(11, 11 + free):
        assert said(operator, SetFees, 1, 10, 20, user) == (0, 0)
    assert said(operator, SetFees, 1, 10, 20, 11 + free) == refused
    assert said(operator, SetFees, 1, 10, 20, 5) == (0, 0)
    assert said(operator, SetFees, 1, 10, 20, HOUSE_USER) == (0, 0)
    assert {row.user for row in rows_of(rich.core, DumpedFees)} <= users(rich.core)
    rich.check()


def test_the_last_eighth_of_users_is_for_deposits_and_operators(rich):
    """Users 1 to 6 are there; so is the one who was blocked."""
    rich.configure(users_max=9)
    anybody, operator = attach(rich, 1), attach(rich, 90, 9, Role.OPERATOR)
    assert said(anybody, BlockUser, 11, True) == (0, 0)
    assert said(anybody, Transfer, 1, 5, 12) == (0, 0)
    refused = (RejectReason.TOO_MANY_USERS, EVERYBODYS)
    assert said(anybody, Transfer, 1, 5, 13) == refused
    assert said(anybody, BlockUser, 13, True) == refused
    assert said(anybody, Transfer, 1, 5, HOUSE_USER) == (0, 0)
    assert said(anybody, Deposit, 1, 5, 13) == (0, 0)
    assert said(anybody, Deposit, 1, 5, 14) == refused
    assert said(operator, Transfer, 1, 5, 14, 1) == refused
    rich.check()


def test_the_last_eighth_of_accounts_is_for_deposits_and_operators(rich):
    rich.configure(accounts_max=16)  # 12 are there
    gateway, operator = attach(rich, 1, 7, Role.GATEWAY), attach(rich, 90, 9, Role.OPERATOR)
    assert [said(gateway, Transfer, 1, 5, user) for user in (11, 12)] == [(0, 0)] * 2
    refused = (RejectReason.TOO_MANY_ACCOUNTS, EVERYBODYS)
    assert said(gateway, Transfer, 1, 5, 13) == refused
    assert place(gateway, BUY, 0, 1, OrderType.MARKET, tif=IOC, user=11).reason == refused[0]
    assert [said(operator, Transfer, 1, 5, user, 1) for user in (13, 14)] == [(0, 0)] * 2
    assert said(operator, Deposit, 1, 5, 15) == refused
    rich.check()


def test_how_many_places_are_the_operators_is_a_limit_of_the_core(rich):
    rich.limit(reserved_part=3)
    rich.configure(accounts_max=18)  # 12 are there, and 6 are the operators'
    anybody, operator = attach(rich, 1), attach(rich, 90, 9, Role.OPERATOR)
    assert said(anybody, Transfer, 1, 5, 11) == (RejectReason.TOO_MANY_ACCOUNTS, EVERYBODYS)
    assert [said(operator, Transfer, 1, 5, user, 1) for user in range(11, 17)] == [(0, 0)] * 6
    assert said(operator, Transfer, 1, 5, 17, 1) == (RejectReason.TOO_MANY_ACCOUNTS, EVERYBODYS)
    rich.check()


def test_a_key_has_a_share_of_users_and_accounts(rich):
    rich.configure(users_max=20, accounts_max=40, key_share_percent=10)
    gateway = attach(rich, 1, 7, Role.GATEWAY)
    assert [said(gateway, Transfer, 1, 5, user) for user in (11, 12)] == [(0, 0)] * 2
    assert said(gateway, Transfer, 1, 5, 13) == (RejectReason.TOO_MANY_USERS, FLAG_KEY_LIMIT)
    assert [said(gateway, Transfer, 2, 5, user) for user in (11, 12)] == [(0, 0)] * 2
    rich.core = rich.restored()
    attach(rich, 1).deposit(1, 5, 14)
    assert said(gateway, Transfer, 2, 5, 14) == (RejectReason.TOO_MANY_ACCOUNTS, FLAG_KEY_LIMIT)
    rich.core.check()


def test_an_accepted_order_makes_its_owner_and_both_accounts(rich):
    """Only one that needs no money can be a newcomer's: nobody sells anything here."""
    client = attach(rich, 1)
    before = len(rows_of(rich.core, DumpedAccount))
    order = place(client, BUY, 0, 1, OrderType.MARKET, tif=IOC, user=20)
    assert order.reason == CancelReason.NO_LIQUIDITY
    rows = [row for row in rows_of(rich.core, DumpedAccount) if row.user == 20]
    assert [(row.asset, row.available) for row in rows] == [(1, 0), (2, 0)]
    assert len(rows_of(rich.core, DumpedAccount)) == before + 2
    assert users(rich.restored()) == users(rich.core) >= {20}
    rich.check()


def test_a_command_takes_all_its_places_or_none(rich):
    client = attach(rich, 1)
    for limits in ({"users_max": 6}, {"accounts_max": 13}):
        rich.configure(**limits)
        before = users(rich.core)
        assert place(client, BUY, 0, 1, OrderType.MARKET, tif=IOC, user=20).reason in (
            RejectReason.TOO_MANY_USERS, RejectReason.TOO_MANY_ACCOUNTS,
        )  # fmt: skip
        assert users(rich.core) == before
    rich.configure(auto_create=True, assets_max=3)
    assert said(client, ResolveInstrument, "N", "M")[0] == RejectReason.TOO_MANY_ASSETS
    rich.configure(auto_create=True, instruments_max=1)
    assert said(client, ResolveInstrument, "N", "M")[0] == RejectReason.TOO_MANY_INSTRUMENTS
    assert len(rows_of(rich.core, DumpedAsset)) == 2
    rich.check()


def test_a_captured_hold_may_make_its_payee(rich):
    client = attach(rich, 1)
    client.ask(LockBalance(client.next_id(), 1, 5, 0, 1))
    rich.configure(users_max=6)
    assert said(client, CaptureHold, 1, 2, 30)[0] == RejectReason.TOO_MANY_USERS
    rich.configure(users_max=7)
    assert said(client, CaptureHold, 1, 2, 30) == (0, 0)
    rich.check()


def test_the_house_gets_its_fees_though_every_account_is_taken(rich):
    client, other = attach(rich, 1), attach(rich, 2)
    client.ask(SetFees(client.next_id(), 1, 0, 100_000))
    rich.configure(users_max=1, accounts_max=1)
    place(client, SELL, 100, 5)
    assert place(other, BUY, 100, 5).fee_total == 50
    assert client.balance(2, HOUSE_USER).available == 50
    rich.check()


def test_a_user_that_has_nothing_left_still_exists(rich):
    client = attach(rich, 1)
    for asset in (1, 2):
        client.ask(Withdraw(client.next_id(), asset, 10_000, 6))
    rich.configure(users_max=1, accounts_max=1)
    assert said(client, Transfer, 1, 5, 6) == (0, 0)
    rich.core = rich.restored()
    assert said(client, Transfer, 2, 5, 6) == (0, 0)
    rich.core.check()


# --- listings -----------------------------------------------------------------------------------


def test_one_key_cannot_take_all_assets(rich):
    rich.configure(auto_create=True, assets_max=16, assets_per_user_max=9, instruments_max=16)
    trader, operator = attach(rich, 1, 7, Role.TRADER), attach(rich, 90, 9, Role.OPERATOR)
    assert said(trader, ResolveInstrument, "N", "M") == (0, 0)
    assert said(trader, ResolveInstrument, "O", "P") == (0, 0)
    assert said(trader, ResolveInstrument, "Q", "P") == (
        RejectReason.TOO_MANY_ASSETS, FLAG_KEY_LIMIT,
    )  # fmt: skip
    assert said(trader, ResolveInstrument, "N", "P") == (0, 0)
    assert said(trader, ResolveInstrument, "M", "P") == (0, 0)
    assert said(trader, ResolveInstrument, "O", "M") == (
        RejectReason.TOO_MANY_INSTRUMENTS, FLAG_KEY_LIMIT,
    )  # fmt: skip
    anybody = attach(rich, 1)
    for number in range(5):
        assert said(anybody, AddAsset, f"S{number}", 0) == (0, 0)
    assert said(anybody, AddAsset, "S5", 0) == (RejectReason.TOO_MANY_ASSETS, FLAG_USER_LIMIT)
    for number in range(3):
        assert said(attach(rich, 2), AddAsset, f"T{number}", 0) == (0, 0)
    assert said(attach(rich, 2), AddAsset, "T3", 0) == (RejectReason.TOO_MANY_ASSETS, EVERYBODYS)
    assert [said(operator, AddAsset, name, 0) for name in "UV"] == [(0, 0)] * 2
    assert said(operator, AddAsset, "W", 0) == (RejectReason.TOO_MANY_ASSETS, EVERYBODYS)
    rich.check()


def test_what_the_configuration_lists_may_use_the_last_eighth(rich):
    rich.configure(auto_create=True, assets_max=8, instruments_max=8)
    anybody = attach(rich, 1)
    for name in "KLMNO":
        assert said(anybody, AddAsset, name, 0) == (0, 0)
    assert said(anybody, AddAsset, "P", 0)[0] == RejectReason.TOO_MANY_ASSETS
    rich.internal(settings_of(assets_max=8, assets=[AssetSetting("CONFIGURED", 0)]))
    assert len(rows_of(rich.core, DumpedAsset)) == 8
    rich.check()


def test_the_lister_of_an_asset_or_pair_is_state(rich):
    rich.configure(auto_create=True, instruments_max=16, instruments_per_user_max=2)
    trader = attach(rich, 1, 7, Role.TRADER)
    assert said(trader, ResolveInstrument, "QUOTE", "BASE") == (0, 0)
    assert said(trader, ResolveInstrument, "N", "BASE") == (0, 0)
    rich.core = rich.restored()
    limited = (RejectReason.TOO_MANY_INSTRUMENTS, FLAG_USER_LIMIT)
    assert said(trader, ResolveInstrument, "BASE", "N") == limited
    assert said(attach(rich, 1), AddInstrument, "X", 1, 2) == limited
    assert said(attach(rich, 2), AddInstrument, "X", 1, 2) == (0, 0)
    rich.core.check()
