"""The whole state as bytes: everything that can change a later result is in them."""

import msgspec
import pytest

from hpe.core.core import Batch
from hpe.core.fees import rates_of
from hpe.core.rows import DumpedOrder
from hpe.core.triggers import Firing
from hpe.core.turns import UncrossInProgress, row_of
from hpe.messages import (
    ORDER_CANCEL_ON_DISCONNECT,
    AddAsset,
    BlockUser,
    CancelOrder,
    Deposit,
    GetBalance,
    GetOrderbook,
    InstrumentStatus,
    LockBalance,
    OrderType,
    SetFees,
    SetStatus,
    Side,
    SubmitOco,
    SubmitOrder,
    TimeInForce,
    Withdraw,
)
from tests.model.commands import addressed, seeded_commands
from tests.support.core_parts import place
from tests.support.dumps import rows_in

BUY, SELL = Side
STOP_LIMIT = OrderType.STOP_LIMIT


@pytest.fixture
def lively(market, client, other):
    """Return a venue with a bit of everything: queues, holds, a last price, sessions, settings."""
    for price, quantity in ((98, 5), (99, 4), (99, 6)):
        client.submit(BUY, price, quantity, client_order_id=quantity)
    for price in (101, 101, 103):
        other.submit(SELL, price, 7)
    client.submit(BUY, 101, 3)
    client.ask(LockBalance(client.next_id(), 1, 50))
    place(client, BUY, 97, 9, tif=TimeInForce.GTD, display_quantity=2, expires_ns=10**15)
    place(other, SELL, 90, 2, STOP_LIMIT, stop_price=95)
    place(client, SELL, 0, 4, OrderType.STOP, trail=3, client_order_id=8)
    client.ask(SubmitOco(client.next_id(), 1, BUY, 2, 90, 110, 120))
    client.ask(LockBalance(client.next_id(), 2, 60, 0, 4, 10**15))
    client.ask(SetFees(client.next_id(), 1, -1, 3))
    client.ask(SetFees(client.next_id(), 1, 1, 4, 2))
    client.submit(BUY, 101, 1)
    client.ask(BlockUser(client.next_id(), 3, True))
    client.list_pair()
    client.ask(SetStatus(client.next_id(), 2, InstrumentStatus.CALL_AUCTION))
    market.configure(open_orders_max=50, session_expiry_ns=10**9)
    market.attach(3, window=2).detach()
    return market


ICEBERG, STOP, TRAILING, LIMIT_LEG, STOP_LEG = 8, 9, 10, 11, 12
"""Orders of a lively venue; before them are three bids, three asks and an order that traded."""


def order_of(core, order_id):
    """Find an open order, whosever it is."""
    users = core.exchange.orders.users.values()
    return next(each.by_id[order_id] for each in users if order_id in each.by_id)


def test_a_lively_venue_has_a_bit_of_everything(lively):
    iceberg, stop, trailing, limit_leg, stop_leg = (
        order_of(lively.core, n) for n in (ICEBERG, STOP, TRAILING, LIMIT_LEG, STOP_LEG)
    )
    assert (iceberg.hidden, iceberg.terms.expires_ns) == (7, 10**15)
    assert stop.waiting
    assert trailing.terms.group is not None
    assert limit_leg.partner is stop_leg
    assert lively.core.exchange.orders.users[3].blocked
    assert lively.core.exchange.orders.ended
    lively.check()


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
        addressed(command, 100 + number, last_order_id, lively.time_ns)
        for number, command in enumerate(seeded_commands(11, 200))
    ]
    runs = [client.run(*requests), other.run(*requests), client.run(GetOrderbook(1, 1, 50))]
    expected = lively.apply(*runs)
    assert loaded.apply(Batch(lively.time_ns, runs)) == expected
    assert loaded.state_hash() == lively.core.state_hash()


def test_dumping_changes_nothing(lively):
    first = list(lively.core.dump())
    assert list(lively.core.dump()) == first
    assert all(isinstance(msgspec.msgpack.decode(chunk)[0], int) for chunk in first)


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
        (lambda core: core.exchange.market, "last_trade_id"),
        (lambda core: core, "digest"),
        (lambda core: core.exchange.settings, "auto_create"),
        (lambda core: core.exchange.settings, "open_orders_max"),
        (lambda core: core.exchange.settings, "open_orders_per_user_max"),
        (lambda core: core.exchange.settings, "session_expiry_ns"),
        (lambda core: core.exchange.books[1], "last_price"),
        (lambda core: core.exchange.books[1], "status"),
        (lambda core: core.exchange.books[1].bids, "changes"),
        (lambda core: core.exchange.listings.instruments[1], "price_min"),
        (lambda core: core.exchange.listings.instruments[1], "notional_min"),
        (lambda core: core.exchange.orders.find(1, 1, 0), "client_order_id"),
        (lambda core: core.exchange.orders.find(1, 1, 0), "leaves"),
        (lambda core: core.exchange.orders.find(1, 1, 0), "cum"),
        (lambda core: core.exchange.orders.find(1, 1, 0), "canceled"),
        (lambda core: core.exchange.orders.find(1, 1, 0), "quantity"),
        (lambda core: core.exchange.orders.find(1, 1, 0), "quote_total"),
        (lambda core: core.exchange.orders.find(1, 1, 0), "flags"),
        (lambda core: core.exchange.orders.find(1, 1, 0), "reserved"),
        (lambda core: core.exchange.orders.find(1, 1, 0), "fee_total"),
        (lambda core: core.exchange.orders.find(1, 1, 0), "fee_rest"),
        (lambda core: core.exchange.orders.find(1, 1, 0), "self_trade"),
        (lambda core: order_of(core, ICEBERG), "hidden"),
        (lambda core: order_of(core, ICEBERG).terms, "display"),
        (lambda core: order_of(core, ICEBERG).terms, "minimum"),
        (lambda core: order_of(core, ICEBERG).terms, "expires_ns"),
        (lambda core: order_of(core, STOP).terms, "stop_price"),
        (lambda core: order_of(core, STOP).terms, "place"),
        (lambda core: order_of(core, STOP).terms, "budget"),
        (lambda core: core.exchange.market.turns, "last_served"),
        (lambda core: order_of(core, TRAILING).terms, "trail"),
        (lambda core: order_of(core, TRAILING).terms.group, "peak"),
        (lambda core: order_of(core, LIMIT_LEG).terms, "holds_pair"),
        (lambda core: core.exchange.orders.ended[-1], "cum"),
        (lambda core: core.exchange.orders.ended[-1], "reason"),
        (lambda core: core.exchange.holds.find(1, 4), "amount"),
        (lambda core: core.exchange.holds.find(1, 4), "expires_ns"),
        (lambda core: core.exchange.orders.users[3], "blocked"),
        (lambda core: core.exchange.balances.accounts[1][1], "available"),
        (lambda core: core.exchange.balances.accounts[1][1], "reserved"),
        (lambda core: core.exchange.balances.accounts[1][1], "held"),
        (lambda core: core.sessions, "last_session_id"),
        (lambda core: core.sessions, "last_attach_number"),
        (lambda core: core.sessions.get(2), "last_request_id"),
        (lambda core: core.sessions.get(2), "window"),
        (lambda core: core.sessions.get(2), "attach_number"),
        (lambda core: core.sessions.get(4), "detached_ns"),
    ],
)
def test_the_hash_covers_every_field(lively, part, field):
    target = part(lively.core)
    value = getattr(target, field)
    other = not value if isinstance(value, bool) else value + 1
    assert hashes_differ(lively, lambda: setattr(target, field, other))


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


@pytest.mark.parametrize(
    "change",
    [
        lambda exchange: exchange.books[1].fees.own.clear(),
        lambda exchange: exchange.books[1].fees.own.update({2: rates_of(1, 5)}),
        lambda exchange: setattr(exchange.orders.find(1, 1, 0), "rates", rates_of(0, 1)),
        lambda exchange: exchange.orders.ended.popleft(),
        lambda exchange: exchange.orders.filled_users.clear(),
        lambda exchange: exchange.holds._holds.clear(),
        lambda exchange: in_line(exchange, 2, STOP),
        lambda exchange: exchange.market.calls.keep_uncrossing(
            work_of(exchange, 2), UncrossInProgress(5, 1, 0, InstrumentStatus.TRADING)
        ),
        lambda exchange: work_of(exchange, 1).firings.append(Firing([5])),
        lambda exchange: exchange.market.calls.end_interruption(exchange.books[1]),
        lambda exchange: setattr(exchange.orders.find(1, STOP_LEG, 0).terms, "partner", None),
    ],
)  # fmt: skip
def test_the_hash_covers_what_is_no_number(lively, change):
    assert hashes_differ(lively, lambda: change(lively.core.exchange))


def work_of(exchange, instrument):
    return exchange.market.turns.of(exchange.books[instrument])


def in_line(exchange, user, order_id):
    """Take a stop out of where it waits, as one that fired."""
    order = exchange.orders.find(user, order_id, 0)
    exchange.books[1].triggers.remove(order)
    work_of(exchange, 1).file([row_of(order)], is_last=True)


def test_the_hash_covers_the_order_of_the_lines_of_stops(lively):
    exchange = lively.core.exchange
    in_line(exchange, 2, STOP)
    in_line(exchange, 1, TRAILING)
    assert hashes_differ(lively, work_of(exchange, 1).lines.reverse)


def test_only_stops_have_a_place(lively, client):
    """What an order has of its terms is the same whether it got them one way or another."""
    place(client, BUY, 91, 1, flags=ORDER_CANCEL_ON_DISCONNECT)
    rows = rows_in(lively.core.dump())
    orders = {row.order_id: row for row in rows if isinstance(row, DumpedOrder)}
    assert max(orders) > STOP_LEG
    assert {number for number, row in orders.items() if row.place} == {STOP, TRAILING, STOP_LEG}


def test_the_hash_covers_net_deposits(lively):
    balances = lively.core.exchange.balances
    total = balances.net_deposits()[1]
    assert hashes_differ(lively, lambda: balances.restore_net_deposits(1, total + 1))


def test_a_core_that_ran_loads_nothing(lively):
    with pytest.raises(AssertionError):
        lively.core.load([])
