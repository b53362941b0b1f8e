"""The state hash covers every part of the reference core that can change a later result."""

import pytest

from hpe.core.money.fees import rates_of
from hpe.core.trading.triggers import Firing
from hpe.core.trading.work import UncrossInProgress, row_of
from hpe.protocol.enums import InstrumentStatus
from tests.support.lively import ICEBERG, LIMIT_LEG, STOP, STOP_LEG, TRAILING, hashes_differ, lively

__all__ = ["lively"]


def order_of(core, order_id):
    """Find an open order, whosever it is."""
    users = core.exchange.orders.users.values()
    return next(each.by_id[order_id] for each in users if order_id in each.by_id)


@pytest.mark.parametrize(
    ("part", "field"),
    [
        (lambda core: core.exchange, "sequence"),
        (lambda core: core.exchange.timers, "now_ns"),
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
            exchange.books[2], UncrossInProgress(5, 1, 0, InstrumentStatus.TRADING)
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


def test_the_hash_covers_net_deposits(lively):
    balances = lively.core.exchange.balances
    total = balances.net_deposits()[1]
    assert hashes_differ(lively, lambda: balances.restore_net_deposits(1, total + 1))
