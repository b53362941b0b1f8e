"""The client that was written from protocol.md alone, against a real service: what it is told.

Private streams, market data, heartbeats and cancel on disconnect. Each test has users and a market
of its own on a service that the tests of this module share.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from tests.integration.independent_books import (
    BEST_CHANNEL,
    LEVELS_CHANNEL,
    STATUS_CHANNEL,
    IndependentOrderBook,
    IndependentTrades,
    LevelBook,
    Newest,
    UpdateTaker,
    deliver,
)
from tests.integration.independent_client import (
    BALANCE,
    BUY,
    CANCEL_ORDER,
    EXECUTION,
    FLAG_DUPLICATE,
    GET_ORDER,
    GET_ORDERBOOK,
    HEARTBEAT,
    IOC,
    LEVELS,
    LIST_FILLS,
    LIST_ORDERS,
    MARKET,
    ORDER,
    ORDERS,
    PING,
    REPLACE_ORDER,
    SELL,
    SET_STATUS,
    SUBMIT_ORDER,
    TRADES,
    UNCROSS,
    UNSUBSCRIBE,
    ErrorAnswer,
    IndependentClient,
    NamedMessage,
    PrivateStream,
    encode,
)
from tests.integration.independent_support import (
    FUNDS,
    OwnMarket,
    end_reason,
    limit,
    make_market,
)
from tests.support.service import ServiceProcess

CANCEL_ON_DISCONNECT = 1
ORDER_CANCEL_ON_DISCONNECT = 2
DISCONNECTED = 113
CALL_AUCTION, TRADING = 4, 1


@pytest.fixture
def clients(
    address: tuple[str, int], market: OwnMarket
) -> Iterator[tuple[IndependentClient, IndependentClient, IndependentClient]]:
    """A session of each of the market's users, and one that looks on."""
    with ExitStack() as stack:
        first, second, third = (
            stack.enter_context(closing(IndependentClient(address, user)))
            for user in (*market.users, market.users[0])
        )
        yield first, second, third


def test_a_private_stream_is_the_one_of_the_document(market: OwnMarket, address: Any) -> None:
    one, two = market.users
    with (
        closing(IndependentClient(address, one)) as first,
        closing(IndependentClient(address, two)) as second,
    ):
        streams = [PrivateStream(second, user, None) for user in market.users]
        start = [stream.known for stream in streams]
        first.call(*limit(market, SELL, 100, 5))
        answer = second.wait(second.start(*limit(market, BUY, 101, 8, IOC)))
        told = []
        for stream, known in zip(streams, start, strict=True):
            stream.read_to(known + 5)
            told.append([tell(report) for report in stream.reports])
        quote = (BALANCE, market.quote)
        base = (BALANCE, market.base)
        assert told[0] == [
            (ORDER, 0, 5),
            (*base, FUNDS - 5, 5),
            (EXECUTION, 5, 100, 0),
            (*base, FUNDS - 5, 0),
            (*quote, FUNDS + 500, 0),
        ]
        assert told[1] == [
            (ORDER, 0, 8),
            (EXECUTION, 5, 100, 3),
            (ORDER, 4, 0),
            (*base, FUNDS + 5, 0),
            (*quote, FUNDS - 500, 0),
        ]
        # The fill before the response and the one in the stream are one report.
        (fill,) = answer.reports
        assert fill.request_id == streams[1].reports[1].request_id != 0
        assert fill.fields == streams[1].reports[1].fields


def tell(report: Any) -> tuple[int, ...]:
    """What the document's example says of a report."""
    if report.type == BALANCE:
        return report.type, report["asset"], report["available"], report["reserved"]
    if report.type == EXECUTION:
        return report.type, report["last_quantity"], report["last_price"], report["leaves"]
    return report.type, report["exec_type"], report["leaves"]


def test_a_private_stream_goes_on_over_reconnects_and_a_crash(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path) as service:
        market = make_market((service.host, service.port))
        reader, trader = (
            IndependentClient((service.host, service.port), user) for user in market.users
        )
        stream = PrivateStream(reader, reader.user)
        # Two deposits, an order, what it reserved; then a fill and two balances while away.
        reader.call(*limit(market, SELL, 100, 5))
        stream.read_to(4)
        reader.close()
        trader.call(*limit(market, BUY, 100, 2))
        reader.connect()
        assert reader.welcome["private_sequence"] == 7
        stream.resume(reader, stream.known)
        stream.read_to(7)
        order = reader.start(*limit(market, SELL, 101, 1))
        response = reader.wait(order).message
        service.kill()
        reader.close()
        trader.close()
    with ServiceProcess(tmp_path) as service:
        reader.address = trader.address = service.host, service.port
        reader.connect()
        reader.start_as(order, *limit(market, SELL, 101, 1))
        again = reader.wait(order).message
        assert (again.flags, again.fields) == (FLAG_DUPLICATE, response.fields)
        stream.resume(reader, stream.known)
        trader.connect()
        trader.call(*limit(market, BUY, 100, 3))
        stream.read_to(12)
        assert [tell(report)[0] for report in stream.reports] == [
            *(BALANCE, BALANCE, ORDER, BALANCE, EXECUTION, BALANCE, BALANCE),
            *(ORDER, BALANCE, EXECUTION, BALANCE, BALANCE),
        ]
        with pytest.raises(ErrorAnswer, match="resume_ahead"):
            stream.resume(reader, 13)
        reader.close()
        trader.close()


def send_orders(market: OwnMarket, traders: Sequence[IndependentClient], seed: int) -> None:
    """Three hundred requests of all kinds around one price, up to twenty under way."""
    chance = random.Random(seed)
    under_way: list[tuple[IndependentClient, int]] = []
    newest = 1
    for _ in range(300):
        trader = chance.choice(traders)
        side, price = chance.choice((BUY, SELL)), chance.randint(90, 110)
        kind = chance.random()
        request: list[Any]
        if kind < 0.15:
            request = [CANCEL_ORDER, chance.randint(max(1, newest - 40), newest)]
        elif kind < 0.3:
            order_id = chance.randint(max(1, newest - 40), newest)
            request = [REPLACE_ORDER, order_id, 0, None, chance.randint(0, 20), price]
        elif kind < 0.4:
            request = [SUBMIT_ORDER, market.instrument, 0, side, MARKET, IOC, 0, 5]
        elif kind < 0.6:
            iceberg = [0, 0, chance.randint(1, 4)]
            request = [*limit(market, side, price, chance.randint(5, 30)), 0, 0, iceberg]
        else:
            request = limit(market, side, price, chance.randint(1, 20))
        under_way.append((trader, trader.start(*request)))
        if len(under_way) == 20:
            for sender, request_id in under_way:
                newest = max(newest, sender.wait(request_id).message["order_id"])
            under_way.clear()
    for sender, request_id in under_way:
        sender.wait(request_id)


def book_of(client: IndependentClient, market: OwnMarket) -> NamedMessage:
    """The book, as a query tells it."""
    return client.call(GET_ORDERBOOK, market.instrument, 1000)


def assert_same(book: LevelBook | IndependentOrderBook, told: NamedMessage) -> None:
    """A kept book is the one that a query told."""
    assert book.known == told["book_sequence"]
    assert book.levels(BUY) == [(price, quantity) for price, quantity, _ in told["bids"]]
    assert book.levels(SELL) == [(price, quantity) for price, quantity, _ in told["asks"]]


def drain(
    client: IndependentClient, watched: Sequence[UpdateTaker], is_done: Callable[[], bool]
) -> None:
    """Deliver updates until they are all there."""
    while not is_done():
        deliver(client, watched)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_kept_books_are_the_books(
    market: OwnMarket,
    clients: tuple[IndependentClient, IndependentClient, IndependentClient],
    seed: int,
) -> None:
    *traders, watcher = clients
    send_orders(market, traders, 100 + seed)
    levels = LevelBook(watcher, market.instrument)
    orders = IndependentOrderBook(watcher, market.instrument)
    trades = IndependentTrades(watcher, market.instrument)
    best = Newest(watcher, market.instrument, BEST_CHANNEL)
    status = Newest(watcher, market.instrument, STATUS_CHANNEL)
    first_trade = trades.known
    send_orders(market, traders, seed)
    told = book_of(watcher, market)
    end = told["book_sequence"]
    fills = {
        (row[0], row[8], row[9])
        for trader in traders
        for row in trader.call(LIST_FILLS)["rows"]
        if row[3] == market.instrument and row[0] > first_trade
    }
    newest = max(fills)[0]
    drain(
        watcher,
        (levels, orders, trades, best, status),
        lambda: (
            (levels.known, orders.known, trades.known) == (end, end, newest)
            and status.now["last_price"] == told["last_price"]
            and top(best.now) == (told["bids"] + [[0, 0]])[0][:2] + (told["asks"] + [[0, 0]])[0][:2]
        ),
    )
    assert_same(levels, told)
    assert_same(orders, told)
    assert not levels.resubscribed
    assert not orders.resubscribed
    assert min(levels.checksums_compared, orders.checksums_compared) > 10
    assert {row[:3] for row in trades.rows} == fills
    assert trades.gaps == 0
    fresh = IndependentOrderBook(watcher, market.instrument)
    for side in (BUY, SELL):
        for price, _ in fresh.levels(side):
            assert orders.queue(side, price) == fresh.queue(side, price)


def top(best: NamedMessage) -> list[int]:
    """Price and quantity of best bid and ask."""
    return [best[name] for name in ("bid_price", "bid_quantity", "ask_price", "ask_quantity")]


def test_a_gap_is_seen_and_ends_with_a_new_snapshot(
    market: OwnMarket, clients: tuple[IndependentClient, IndependentClient, IndependentClient]
) -> None:
    trader, taker, watcher = clients
    levels = LevelBook(watcher, market.instrument)
    orders = IndependentOrderBook(watcher, market.instrument)
    trades = IndependentTrades(watcher, market.instrument)
    trader.call(*limit(market, SELL, 100, 5))
    drain(watcher, (levels, orders, trades), lambda: (levels.known, orders.known) == (1, 1))
    taker.call(*limit(market, BUY, 100, 2))
    lost = [watcher.next_update() for _ in range(3)]
    assert {update.type for update in lost} == {LEVELS, ORDERS, TRADES}
    taker.call(*limit(market, BUY, 100, 1))
    drain(watcher, (levels, orders, trades), lambda: trades.gaps == 1 and orders.known == 3)
    drain(watcher, (levels, orders, trades), lambda: levels.known == 3)
    assert levels.resubscribed == orders.resubscribed == {"gap": 1}
    assert_same(levels, book_of(watcher, market))
    assert_same(orders, book_of(watcher, market))
    # The lost ones are old now.
    for book, update in zip((levels, orders), sorted(lost, key=lambda m: m.type), strict=False):
        book.take(update)
    taker.call(*limit(market, BUY, 100, 1))
    drain(watcher, (levels, orders, trades), lambda: (levels.known, orders.known) == (4, 4))
    assert levels.resubscribed == orders.resubscribed == {"gap": 1}
    assert_same(levels, book_of(watcher, market))


def test_a_book_of_few_levels_is_good_up_to_its_boundary(
    market: OwnMarket, clients: tuple[IndependentClient, IndependentClient, IndependentClient]
) -> None:
    trader, taker, watcher = clients
    for price in range(100, 160):
        trader.call(*limit(market, SELL, price, 1))
    books = [kind(watcher, market.instrument, 12) for kind in (LevelBook, IndependentOrderBook)]
    everything = [[price, 1, 1] for price in range(100, 160)]
    assert all(len(book.levels(SELL)) == 12 for book in books)
    trader.call(*limit(market, SELL, 130, 1))
    taker.call(*limit(market, BUY, 108, 9))
    drain(watcher, books, lambda: all(book.known == 70 for book in books))
    assert [book.levels(SELL) for book in books] == [[(109, 1), (110, 1), (111, 1)]] * 2
    assert not any(book.resubscribed for book in books)
    taker.call(*limit(market, BUY, 109, 1))
    drain(watcher, books, lambda: all(book.resubscribed for book in books))
    assert [book.resubscribed for book in books] == [{"thin": 1}] * 2
    everything[30][1] = 2
    expected = [(price, quantity) for price, quantity, _ in everything[10:22]]
    assert [book.levels(SELL) for book in books] == [expected] * 2


def test_a_call_auction_as_the_channels_show_it(
    market: OwnMarket, clients: tuple[IndependentClient, IndependentClient, IndependentClient]
) -> None:
    seller, buyer, watcher = clients
    status = Newest(watcher, market.instrument, STATUS_CHANNEL)
    trades = IndependentTrades(watcher, market.instrument)
    assert seller.call(SET_STATUS, market.instrument, CALL_AUCTION)["status"] == CALL_AUCTION
    buyer.call(*limit(market, BUY, 103, 6))
    seller.call(*limit(market, SELL, 100, 10))
    call = (CALL_AUCTION, 100, 6, -4)
    drain(watcher, (status, trades), lambda: indication(status.now) == call)
    uncrossed = seller.call(UNCROSS, market.instrument)
    assert (uncrossed["price"], uncrossed["volume"]) == (100, 6)
    drain(watcher, (status, trades), lambda: status.now["status"] == TRADING)
    drain(watcher, (status, trades), lambda: bool(trades.rows))
    assert indication(status.now) == (TRADING, 0, 0, 0)
    assert status.now["last_price"] == 100
    assert [row[1:] for row in trades.rows] == [(100, 6, 0)]


def indication(status: NamedMessage) -> tuple[int, int, int, int]:
    """Status, and what an uncross would do."""
    return (
        status["status"],
        status["indicative_price"],
        status["indicative_volume"],
        status["indicative_surplus"],
    )


def test_nothing_follows_unsubscribed(
    market: OwnMarket, clients: tuple[IndependentClient, IndependentClient, IndependentClient]
) -> None:
    trader, _, watcher = clients
    levels = LevelBook(watcher, market.instrument)
    orders = IndependentOrderBook(watcher, market.instrument)
    answer = watcher.call(UNSUBSCRIBE, market.instrument, LEVELS_CHANNEL)
    assert (answer["instrument"], answer["channel"]) == (market.instrument, LEVELS_CHANNEL)
    watcher.call(UNSUBSCRIBE, market.instrument, LEVELS_CHANNEL)
    trader.call(*limit(market, SELL, 100, 5))
    drain(watcher, (orders,), lambda: orders.known == 1)
    assert levels.known == 0


def test_orders_are_canceled_when_the_grace_is_over(address: Any, market: OwnMarket) -> None:
    user = market.users[0]
    options = {"flags": CANCEL_ON_DISCONNECT, "grace_ms": 1200}
    with (
        closing(IndependentClient(address, user)) as other,
        closing(IndependentClient(address, user, **options)) as client,
    ):
        stays = other.call(*limit(market, SELL, 102, 1))["order_id"]
        goes = [client.call(*limit(market, SELL, price, 1))["order_id"] for price in (101, 100)]
        stream = PrivateStream(other, user, None)
        rows = other.call(LIST_ORDERS, market.instrument)["rows"]
        assert [row[16] for row in rows] == [0, 2, 2]
        client.close()
        with pytest.raises(TimeoutError):
            other.next_private_update(user, 0.3)
        client.connect()
        with pytest.raises(TimeoutError):
            other.next_private_update(user, 1.2)
        client.close()
        stream.read_to(stream.known + 3)
        *canceled, balance = stream.reports
        assert [(report["order_id"], report["reason"]) for report in canceled] == [
            (order_id, DISCONNECTED) for order_id in goes
        ]
        assert balance["reserved"] == 1
        client.connect()
        rows = client.call(LIST_ORDERS, market.instrument)["rows"]
        assert [row[0] for row in rows] == [stays]
        assert client.call(GET_ORDER, goes[0])["order"][12] == DISCONNECTED


def test_without_grace_the_flagged_orders_go_at_once(address: Any, market: OwnMarket) -> None:
    user = market.users[0]
    with (
        closing(IndependentClient(address, user)) as other,
        closing(IndependentClient(address, user)) as client,
    ):
        flagged = [*limit(market, SELL, 100, 1), ORDER_CANCEL_ON_DISCONNECT]
        goes = client.call(*flagged)["order_id"]
        stays = client.call(*limit(market, SELL, 100, 1))["order_id"]
        older = client.connection
        client.connect()
        older.close()
        rows = client.call(LIST_ORDERS, market.instrument)["rows"]
        assert [row[0] for row in rows] == [goes, stays]  # a takeover is no disconnect
        stream = PrivateStream(other, user, None)
        client.close()
        stream.read_to(stream.known + 2)
        assert [report.type for report in stream.reports] == [ORDER, BALANCE]
        assert stream.reports[0]["order_id"] == goes


def test_heartbeats_come_and_are_wanted(address: Any) -> None:
    client = IndependentClient(address, 1, heartbeat_ms=300)
    while client.heartbeats < 3:
        client.connection.send(encode(HEARTBEAT, 1))
        try:
            client.pump(0.05)
        except TimeoutError:
            continue
    assert end_reason(client) == "heartbeat_timeout"
    client.connect()
    assert client.call(PING, 1)["token"] == 1
    client.close()
