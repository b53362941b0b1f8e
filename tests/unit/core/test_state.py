"""The whole state as bytes: everything that can change a later result is in them."""

import msgspec
import pytest

from hpe.core.core import Batch
from hpe.messages import (
    AddAsset,
    CancelOrder,
    Deposit,
    GetBalance,
    GetOrderbook,
    LockBalance,
    OrderType,
    Side,
    SubmitOrder,
    TimeInForce,
    Withdraw,
)
from tests.model.commands import WIDE, addressed, seeded_commands

BUY, SELL = Side


@pytest.fixture
def lively(market, client, other):
    """Give a venue with a bit of everything: queues, holds, a last price, sessions, settings."""
    for price, quantity in ((98, 5), (99, 4), (99, 6)):
        client.submit(BUY, price, quantity, client_order_id=quantity)
    for price in (101, 101, 103):
        other.submit(SELL, price, 7)
    client.submit(BUY, 101, 3)
    client.ask(LockBalance(client.next_id(), 1, 50))
    market.configure(open_orders_max=50, session_expiry_ns=10**9)
    market.attach(3, window=2).detach()
    return market


def hashes_differ(venue, change):
    before = venue.core.state_hash()
    change()
    return venue.core.state_hash() != before


def test_a_loaded_core_is_the_same_and_behaves_the_same(lively, client, other):
    loaded = lively.restored()
    assert list(loaded.dump()) == list(lively.core.dump())
    loaded.check()
    last_order_id = lively.core.exchange.last_order_id
    requests = [
        addressed(command, 100 + number, last_order_id)
        for number, command in enumerate(seeded_commands(11, 200, WIDE))
    ]
    runs = [client.run(*requests), other.run(*requests), client.run(GetOrderbook(1, 1, 50))]
    expected = lively.apply(*runs)
    assert loaded.apply(Batch(lively.time_ns, runs)) == expected
    assert loaded.state_hash() == lively.core.state_hash()


def test_dumping_changes_nothing(lively):
    first = list(lively.core.dump())
    assert list(lively.core.dump()) == first
    assert all(isinstance(msgspec.msgpack.decode(chunk)[0], str) for chunk in first)


def test_queries_and_refusals_are_no_state(lively, client):
    def look():
        client.ask(GetOrderbook(1, 1, 50))
        client.ask(GetBalance(1, 9, 9))
        client.refused(Deposit(10**6, 1, 1), 500)

    assert not hashes_differ(lively, look)


@pytest.mark.parametrize(
    "request_of",
    [
        lambda n: AddAsset(n, "X", 0),
        lambda n: Deposit(n, 1, 1, 9),
        lambda n: Withdraw(n, 1, 10**9),
        lambda n: LockBalance(n, 1, 1),
        lambda n: CancelOrder(n, 1),
        lambda n: CancelOrder(n, 10**6),
        lambda n: SubmitOrder(n, 1, 0, BUY, OrderType.LIMIT, TimeInForce.FOK, 90, 1),
        lambda n: SubmitOrder(n, 9, 0, BUY, OrderType.LIMIT, TimeInForce.GTC, 90, 1),
    ],
)
def test_every_command_changes_the_state_rejected_or_not(lively, client, request_of):
    assert hashes_differ(lively, lambda: client.ask(request_of(client.next_id())))


@pytest.mark.parametrize(
    ("part", "field"),
    [
        (lambda core: core.exchange, "sequence"),
        (lambda core: core.exchange, "time_ns"),
        (lambda core: core.exchange, "last_order_id"),
        (lambda core: core.exchange, "last_trade_id"),
        (lambda core: core, "digest"),
        (lambda core: core.exchange.settings, "auto_create"),
        (lambda core: core.exchange.settings, "open_orders_max"),
        (lambda core: core.exchange.settings, "session_expiry_ns"),
        (lambda core: core.exchange.books[1], "last_price"),
        (lambda core: core.exchange.books[1].bids, "changes"),
        (lambda core: core.exchange.listings.instruments[1], "price_min"),
        (lambda core: core.exchange.listings.instruments[1], "notional_min"),
        (lambda core: core.exchange.orders.by_id[1], "client_order_id"),
        (lambda core: core.exchange.orders.by_id[1], "leaves"),
        (lambda core: core.exchange.orders.by_id[1], "cum"),
        (lambda core: core.exchange.orders.by_id[1], "canceled"),
        (lambda core: core.exchange.orders.by_id[1], "quantity"),
        (lambda core: core.exchange.orders.by_id[1], "quote_total"),
        (lambda core: core.exchange.orders.by_id[1], "flags"),
        (lambda core: core.exchange.orders.by_id[1], "reserved"),
        (lambda core: core.exchange.balances.accounts[1][1], "available"),
        (lambda core: core.exchange.balances.accounts[1][1], "reserved"),
        (lambda core: core.exchange.balances.accounts[1][1], "held"),
        (lambda core: core.sessions, "last_session_id"),
        (lambda core: core.sessions, "last_attach_number"),
        (lambda core: core.sessions.get(2), "last_request_id"),
        (lambda core: core.sessions.get(2), "window"),
        (lambda core: core.sessions.get(2), "attach_number"),
        (lambda core: core.sessions.get(4), "expires_ns"),
    ],
)
def test_the_hash_covers_every_field(lively, part, field):
    target = part(lively.core)
    value = getattr(target, field)
    assert hashes_differ(lively, lambda: setattr(target, field, value + 1))


def test_the_hash_covers_the_order_of_a_queue(lively):
    bids = lively.core.exchange.books[1].bids
    head = bids.best.head

    def requeue():
        bids.remove(head)
        bids.add(head)
        bids.changes -= 2

    assert head.next is not None
    assert hashes_differ(lively, requeue)


def test_the_hash_covers_remembered_responses_and_private_counters(lively):
    session = lively.core.sessions.get(2)
    assert hashes_differ(lively, session.remembered.popleft)
    feed = lively.core.feed
    assert hashes_differ(lively, lambda: feed.restore(1, 99))


def test_the_hash_covers_net_deposits(lively):
    balances = lively.core.exchange.balances
    total = balances.net_deposits()[1]
    assert hashes_differ(lively, lambda: balances.restore_net_deposits(1, total + 1))


def test_accounts_that_were_only_looked_at_are_no_state(lively):
    accounts = lively.core.exchange.balances.accounts
    assert not hashes_differ(lively, lambda: accounts[77][1])


def test_a_core_that_ran_loads_nothing(lively):
    with pytest.raises(AssertionError):
        lively.core.load([])
