"""Rejects and queries leave no trace, whatever they name; equal states answer equally."""

import tracemalloc

import pytest

from hpe.core.contract import Batch
from hpe.core.state.rows import DumpedEnd, DumpedHead, DumpedResponse, DumpedSession
from hpe.protocol.enums import OrderType, Side, TimeInForce
from hpe.protocol.money import (
    CaptureHold,
    Deposit,
    GetBalance,
    ListBalances,
    ListHolds,
    LockBalance,
    ReleaseHold,
    Transfer,
    UnlockBalance,
    Withdraw,
)
from hpe.protocol.operations import BlockUser, SetFees
from hpe.protocol.orders import (
    CancelOrder,
    GetOrder,
    ListFills,
    ListOrders,
    MassCancel,
    OrderTerms,
    ReplaceOrder,
    SubmitOco,
    SubmitOrder,
)
from tests.support.dumps import rows_in
from tests.support.listed import listed

BUY, SELL = Side
GTC, IOC = TimeInForce.GTC, TimeInForce.IOC
LIMIT, MARKET, STOP_LIMIT = OrderType.LIMIT, OrderType.MARKET, OrderType.STOP_LIMIT
FIRST_STRANGER = 1_000

NAMING = {
    "submit_order": lambda n, u: SubmitOrder(n, 1, 0, BUY, LIMIT, GTC, 100, 1, user=u),
    "submit_order sell": lambda n, u: SubmitOrder(n, 1, 3, SELL, LIMIT, IOC, 100, 1, user=u),
    "submit_order at market": lambda n, u: SubmitOrder(n, 1, 0, SELL, MARKET, IOC, 0, 1, user=u),
    "submit_order stop": lambda n, u: SubmitOrder(
        n, 1, 0, BUY, STOP_LIMIT, GTC, 100, 1, terms=OrderTerms(stop_price=100), user=u
    ),
    "submit_order elsewhere": lambda n, u: SubmitOrder(n, 9, 0, BUY, LIMIT, GTC, 100, 1, user=u),
    "submit_oco": lambda n, u: SubmitOco(n, 1, SELL, 1, 110, 90, user=u),
    "cancel_order": lambda n, u: CancelOrder(n, 1, user=u),
    "cancel_order by client id": lambda n, u: CancelOrder(n, 0, 5, user=u),
    "replace_order": lambda n, u: ReplaceOrder(n, 1, 0, leaves_quantity=5, user=u),
    "mass_cancel": lambda n, u: MassCancel(n, user=u),
    "lock_balance": lambda n, u: LockBalance(n, 1, 5, u),
    "lock_balance named": lambda n, u: LockBalance(n, 1, 5, u, 7),
    "unlock_balance": lambda n, u: UnlockBalance(n, 1, 5, u),
    "capture_hold": lambda n, u: CaptureHold(n, 7, 1, 1, u),
    "capture_hold to": lambda n, u: CaptureHold(n, 7, 10**9, u, 1),
    "release_hold": lambda n, u: ReleaseHold(n, 7, 1, u),
    "deposit": lambda n, u: Deposit(n, 9, 5, u),
    "deposit too much": lambda n, u: Deposit(n, 1, 2**62, u),
    "withdraw": lambda n, u: Withdraw(n, 1, 5, u),
    "transfer": lambda n, u: Transfer(n, 1, 5, 1, u),
    "transfer to": lambda n, u: Transfer(n, 1, 2**62, u, 1),
    "block_user": lambda n, u: BlockUser(n, u, False),
    "set_fees": lambda n, u: SetFees(n, 1, None, None, u),
    "set_fees too low": lambda n, u: SetFees(n, 1, -9, 0, u),
    "get_balance": lambda n, u: GetBalance(n, 1, u),
    "get_order": lambda n, u: GetOrder(n, 1, 0, u),
    "list_orders": lambda n, u: ListOrders(n, user=u),
    "list_fills": lambda n, u: ListFills(n, user=u),
    "list_balances": lambda n, u: ListBalances(n, user=u),
    "list_holds": lambda n, u: ListHolds(n, user=u),
}
"""(request id, user) -> a request that names the user and makes nothing."""

KINDS_ACCEPTED = ("mass_cancel", "block_user", "set_fees")
"""Commands that are accepted, and change nothing all the same."""

BATCH = 500
KIB = 1_024
USERS = 2_000
GROWTH_BYTES_MAX = 64 * KIB
"""For USERS users of one kind of request: 32 bytes each, less than any object."""

MILLION = 1_000_000
GROWTH_BYTES_MAX_OF_MILLION = 1_024 * KIB


def ask_for_strangers(client, make, count):
    """Send a request for each of many users; return the reasons of the first batch."""
    venue, reasons = client.venue, set()
    for first in range(FIRST_STRANGER, FIRST_STRANGER + count, BATCH):
        users = range(first, min(first + BATCH, FIRST_STRANGER + count))
        run = client.run(*(make(client.next_id(), user) for user in users))
        venue.time_ns += 1
        output = listed(venue.core.apply(Batch(venue.time_ns, [run], b"")))
        if not reasons:
            reasons = {getattr(reply, "reason", 0) for reply in client.replies(output)}
    return reasons


def growth_of(client, makes, count):
    """Return by how many bytes requests for this many users of each kind let memory grow."""
    for make in makes:  # what the session remembers is there before
        ask_for_strangers(client, make, BATCH)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for make in makes:
            ask_for_strangers(client, make, count)
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


@pytest.fixture
def busy(client, other):
    """Return a client of a market with an order, and with a hold of 5."""
    client.submit(BUY, 90, 3)
    client.ask(LockBalance(client.next_id(), 1, 5, 0, 7))
    return client


def lasting_rows(core):
    """Return what every command changes no more than a reject does."""
    moved = (DumpedHead, DumpedSession, DumpedResponse, DumpedEnd)
    return [row for row in rows_in(core.dump()) if not isinstance(row, moved)]


@pytest.mark.parametrize("kind", NAMING)
def test_whoever_is_named_without_effect_leaves_no_trace(busy, kind):
    core = busy.venue.core
    before = lasting_rows(core)
    reasons = ask_for_strangers(busy, NAMING[kind], 3)
    rejected = kind not in KINDS_ACCEPTED and not kind.startswith("list_") and kind != "get_balance"
    assert all(reasons) if rejected else not any(reasons)
    assert lasting_rows(core) == before
    assert growth_of(busy, [NAMING[kind]], USERS) < GROWTH_BYTES_MAX


@pytest.mark.release
@pytest.mark.timeout(600)
def test_a_million_users_that_are_named_without_effect_leave_no_trace(busy):
    growth = growth_of(busy, NAMING.values(), MILLION // len(NAMING))
    assert growth < GROWTH_BYTES_MAX_OF_MILLION


def test_a_user_named_only_by_rejects_costs_a_mass_cancel_nothing(busy):
    """Two cores with one state hash fill a batch with the same effort."""
    venue = busy.venue
    for limit in range(4, 16):
        venue.limit(effort=limit)
        for user in range(FIRST_STRANGER, FIRST_STRANGER + 10):
            for make in NAMING.values():
                busy.ask(make(busy.next_id(), user))
        loaded = venue.restored()
        assert loaded.state_hash() == venue.core.state_hash()
        requests = [MassCancel(busy.next_id(), all_users=True) for _ in range(3)]
        runs = [busy.run(*requests)]
        venue.time_ns += 1
        batch = Batch(venue.time_ns, runs, b"")
        assert venue.core.apply(batch) == loaded.apply(batch)
