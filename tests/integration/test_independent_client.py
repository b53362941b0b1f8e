"""The client that was written from protocol.md alone, against a real service: its sessions.

Each test has users and a market of its own on a service that the tests of this module share.
"""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from tests.integration.independent_client import (
    BUY,
    CANCEL_ORDER,
    EXECUTION,
    FLAG_DUPLICATE,
    GET_BALANCE,
    GET_CONSERVATION,
    GET_ORDER,
    GET_ORDERBOOK,
    GTC,
    LIMIT,
    LIST_ORDERS,
    LOGOUT,
    PING,
    SELL,
    SUBMIT_ORDER,
    SUBSCRIBE_PRIVATE,
    ErrorAnswer,
    FrameConnection,
    IndependentClient,
    encode,
)
from tests.integration.independent_support import (
    FUNDS,
    OwnMarket,
    assert_ended,
    end_reason,
    limit,
    refusal,
)

ANONYMOUS = 5
OPEN = 0


def test_anonymous_logon_and_control(address: tuple[str, int]) -> None:
    with closing(IndependentClient(address, 1, window=7, heartbeat_ms=1)) as client:
        welcome = client.welcome
        assert welcome["role"] == ANONYMOUS
        assert (welcome["version"], welcome["window"], welcome["heartbeat_ms"]) == (1, 7, 300)
        assert welcome["last_request_id"] == 0
        assert client.call(PING, 99)["token"] == 99


def test_frames_behind_hello_need_not_wait_for_welcome(market: OwnMarket, address: Any) -> None:
    with closing(FrameConnection(address)) as connection:
        order = encode(SUBMIT_ORDER, 2, market.instrument, 0, SELL, LIMIT, GTC, 10, 3)
        connection.send(encode(1, 1, 1, market.users[0]) + order)
        assert connection.receive().type == 1
        response = connection.receive()
        assert (response.request_id, response["status"], response["leaves"]) == (2, 0, 3)


def test_a_trade_between_two_users(market: OwnMarket, address: Any) -> None:
    with (
        closing(IndependentClient(address, market.users[0])) as seller,
        closing(IndependentClient(address, market.users[1])) as buyer,
    ):
        maker = seller.call(*limit(market, SELL, 100, 5))
        first = seller.call(*limit(market, SELL, 101, 5))
        assert (maker["status"], maker["leaves"], maker["fill_count"]) == (0, 5, 0)
        taker, fills = buyer.wait(buyer.start(*limit(market, BUY, 101, 8)))
        assert (taker["status"], taker["cum"], taker["quote_total"]) == (2, 8, 803)
        assert [fill.type for fill in fills] == [EXECUTION, EXECUTION]
        assert [(fill["last_price"], fill["last_quantity"]) for fill in fills] == [
            (100, 5),
            (101, 3),
        ]
        assert [fill["contra_order_id"] for fill in fills] == [maker["order_id"], first["order_id"]]
        assert [fill["trade_id"] for fill in fills] == [
            taker["first_trade_id"],
            taker["first_trade_id"] + 1,
        ]
        assert seller.call(CANCEL_ORDER, maker["order_id"])["reason"] == 2
        ended = seller.call(CANCEL_ORDER, first["order_id"])
        assert (ended["status"], ended["canceled"], ended["reason"]) == (4, 2, 101)
        balance = seller.call(GET_BALANCE, market.quote)
        assert (balance["available"], balance["locked"]) == (FUNDS + 803, 0)
        proof = buyer.call(GET_CONSERVATION, market.quote)
        assert proof["net_deposits"] == proof["available"] == 2 * FUNDS


def test_what_a_repeated_id_is_answered(market: OwnMarket, address: Any) -> None:
    client = IndependentClient(address, market.users[0], window=4)
    ids = [10, 20, 30, 40, 50]
    answers = {}
    for request_id in ids:
        client.start_as(request_id, *limit(market, SELL, 100, request_id))
        answers[request_id] = client.wait(request_id).message
    for request_id in ids[1:]:
        client.start_as(request_id, *limit(market, SELL, 100, request_id))
        again = client.wait(request_id).message
        assert again.flags == FLAG_DUPLICATE
        assert again.fields == answers[request_id].fields
    expected = {10: "stale_id", 5: "stale_id", 25: "not_executed", 30: "id_reused"}
    for request_id, name in expected.items():
        client.start_as(request_id, *limit(market, SELL, 100, 7))
        with pytest.raises(ErrorAnswer, match=name):
            client.wait(request_id)
    rows = client.call(LIST_ORDERS, market.instrument)["rows"]
    assert [row[8] for row in rows] == ids
    client.close()


def test_a_trade_is_repeated_without_its_reports(market: OwnMarket, address: Any) -> None:
    with closing(IndependentClient(address, market.users[0])) as client:
        client.call(*limit(market, SELL, 100, 5))
        request_id = client.start(*limit(market, BUY, 100, 5))
        answer = client.wait(request_id)
        client.start_as(request_id, *limit(market, BUY, 100, 5))
        again = client.wait(request_id)
        assert (len(answer.reports), len(again.reports)) == (1, 0)
        assert again.message.fields == answer.message.fields


def test_a_connection_cut_within_a_frame_is_resumed(market: OwnMarket, address: Any) -> None:
    client = IndependentClient(address, market.users[0])
    answered = client.start(*limit(market, SELL, 100, 1))
    client.wait(answered)
    orders = [client.start(*limit(market, SELL, 100, number)) for number in (2, 3)]
    # The next one reaches the server by half.
    half = encode(SUBMIT_ORDER, orders[-1] + 1, market.instrument, 0, SELL, LIMIT, GTC, 100, 4)
    client.connection.send(half[:9])
    client.connection.receive()
    client.close()
    client.connect()
    assert client.welcome["last_request_id"] in orders
    assert client.wait(orders[0]).message.flags == FLAG_DUPLICATE
    client.wait(orders[1])
    client.connection.send(half)
    cut = client.wait(orders[-1] + 1).message
    assert (cut.flags, cut["leaves"]) == (0, 4)
    rows = client.call(LIST_ORDERS, market.instrument)["rows"]
    assert [row[8] for row in rows] == [1, 2, 3, 4]
    client.close()


def test_a_newer_connection_takes_the_session(market: OwnMarket, address: Any) -> None:
    client = IndependentClient(address, market.users[0])
    older = client.connection
    client.connect()
    client.connection, newer = older, client.connection
    assert end_reason(client) == "session_replaced"
    client.connection = newer
    assert client.call(PING, 1)["token"] == 1
    client.close()


def test_after_logout_the_session_is_gone(market: OwnMarket, address: Any) -> None:
    client = IndependentClient(address, market.users[0])
    order = client.call(*limit(market, SELL, 100, 5))
    client.call(LOGOUT)
    assert_ended(client.connection)
    with pytest.raises(ErrorAnswer) as caught:
        client.connect()
    assert (caught.value.name, caught.value.fatal) == ("unknown_session", True)
    with closing(IndependentClient(address, market.users[0])) as other:
        assert other.call(GET_ORDER, order["order_id"])["order"][11] == 0


def test_bytes_that_are_no_frame_end_the_connection(address: tuple[str, int]) -> None:
    for data, name in (
        (b"\0\0\0\0", "empty_frame"),
        (b"\0\0\1\1", "frame_too_large"),
        (b"\0\0\0\1\x07", "not_an_array"),
        (b"\0\0\0\4\x92\2\1\0", "trailing_bytes"),
        (b"\0\0\0\2\x92\2", "bad_messagepack"),
        (encode(PING, 1), "expected_hello"),
        (encode(1, 1, 2, 1), "unsupported_version"),
    ):
        connection = FrameConnection(address)
        connection.send(data)
        error = connection.receive()
        assert (error["name"], error["fatal"]) == (name, True)
        assert_ended(connection)


def test_frames_that_are_wrong_in_themselves_do_not(market: OwnMarket, address: Any) -> None:
    with closing(IndependentClient(address, market.users[0])) as client:
        assert refusal(client, 112, 1) == ("unknown_type", "")
        assert refusal(client, 63) == ("unknown_type", "")
        book, instrument = GET_ORDERBOOK, market.instrument
        assert refusal(client, book, instrument) == ("bad_field", "depth")
        assert refusal(client, book, instrument, 1001) == ("bad_field", "depth")
        assert refusal(client, book, instrument, 1, 1) == ("bad_field", "")
        assert refusal(client, book, instrument, "1") == ("bad_field", "depth")
        assert refusal(client, book, -1, "1") == ("bad_field", "instrument")
        order = limit(market, BUY, 1, 1)
        assert refusal(client, *order, 0, 0, [0, "1"]) == ("bad_field", "terms.trail")
        assert refusal(client, 1, 1, 1) == ("already_logged_on", "")
        assert refusal(client, SUBSCRIBE_PRIVATE, 1 << 40) == ("resume_ahead", "")
