"""The load generator's parts that need no server: traffic, counting, schedule, figures."""

from __future__ import annotations

import json
import select
import socket
import threading
from array import array
from collections.abc import Iterator
from contextlib import nullcontext

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import report
from bench.load_connection import LoadConnection, ReplyContent
from bench.load_engine import Stopwatch, fill_books, run_closed, run_open
from bench.report import AnswersWrong
from bench.traffic import FIRST_REQUEST_ID, MIXES, encode_traffic, funds_needed
from bench.traffic_connection import BookNotFilled
from hpe.protocol.base import Reply, Request
from hpe.protocol.codes import ErrorCode, RejectReason
from hpe.protocol.control import Error, Hello, Welcome
from hpe.protocol.frames import FrameScanner, encode_frame, split_frames
from hpe.protocol.orders import CancelOrder, OrderResponse, SubmitOrder
from hpe.protocol.reports import ExecutionReport

REQUESTS = msgspec.msgpack.Decoder(SubmitOrder | CancelOrder | Hello)


@pytest.mark.parametrize("mix", MIXES)
def test_traffic_is_repeatable_and_numbered(mix: str) -> None:
    traffic = encode_traffic(mix, 23, 1, 300, 5)
    assert traffic == encode_traffic(mix, 23, 1, 300, 5)
    assert traffic.frames != encode_traffic(mix, 23, 2, 300, 5).frames
    requests = [REQUESTS.decode(body) for body in split_frames(traffic.frames)]
    ids = [request.request_id for request in requests]
    assert ids == list(range(FIRST_REQUEST_ID, FIRST_REQUEST_ID + 300))
    assert traffic.ends[-1] == len(traffic.frames)
    cost = sum(
        request.price * request.quantity for request in requests if type(request) is SubmitOrder
    )
    assert 0 < cost <= funds_needed(300)
    placed: set[int] = set()
    for request in requests:
        if isinstance(request, CancelOrder):
            placed.remove(request.client_order_id)
        elif isinstance(request, SubmitOrder):
            placed.add(request.client_order_id)


def test_simple_traffic_leaves_nothing_open() -> None:
    bodies = split_frames(encode_traffic("simple", 23, 1, 100, 5).frames)
    kinds = [type(REQUESTS.decode(body)) for body in bodies]
    assert kinds == [SubmitOrder, CancelOrder] * 50


def answer(request: Request, refused: int, busy: int) -> list[Reply]:
    """What a server that fills every third order, and refuses two, would say."""
    number = request.request_id
    if number == busy:
        return [Error(number, 0, ErrorCode.BUSY, "busy", "", True, False, False)]
    if number == refused:
        reason = RejectReason.INSUFFICIENT_FUNDS
        return [OrderResponse(number, 0, number, reason, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)]
    done = OrderResponse(number, 0, number, 0, 1, 0, number, 1, 0, 0, 0, 0, 0, 0)
    if number % 3:
        return [done]
    fill = ExecutionReport(number, 0, 1, 1, 1, 15, 2, 5, number, 1, 1, 2, 1, 1, 1, 0, 1, 9, 0)
    return [fill, done]


class AnsweringPeer:
    """A TCP peer with real frames, in a thread.

    `skip` is not answered, `refused` is rejected, `busy` is not executed.
    """

    def __init__(self, skip: int = 0, refused: int = 0, busy: int = 0) -> None:
        self._skip = skip
        self._refused = refused
        self._busy = busy
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        stream, _ = self._listener.accept()
        scanner = FrameScanner(2048)
        with stream:
            while data := stream.recv(4096):
                for chunk in scanner.feed(data):
                    replies = b"".join(map(self._reply, split_frames(chunk.frames)))
                    stream.sendall(replies)

    def _reply(self, body: bytes) -> bytes:
        request = REQUESTS.decode(body)
        if isinstance(request, Hello):
            granted = request.window
            welcome = Welcome(
                1, 0, 1, 1, granted, 0, 0, "batch", "peer", 2048, 1 << 20, 5, 15_000, 0
            )
            return encode_frame(welcome)
        if request.request_id == self._skip:
            return b""
        return b"".join(map(encode_frame, answer(request, self._refused, self._busy)))

    def close(self) -> None:
        self._thread.join()
        self._listener.close()


@pytest.fixture
def peer() -> Iterator[AnsweringPeer]:
    peer = AnsweringPeer()
    yield peer
    peer.close()


@pytest.mark.parametrize("rate", [0.0, 50_000.0])
@pytest.mark.parametrize("filling", [0, 150])
def test_every_request_is_answered_and_timed_once(
    peer: AnsweringPeer, rate: float, filling: int
) -> None:
    connection = LoadConnection(peer.address, 1, 16, fill_window=20)
    connection.load(encode_traffic("mixed", 23, 1, 500, 5, filling))
    if filling:
        fill_books([connection])
    watch = Stopwatch(warm_up_s=0)
    measured = run_open([connection], rate, watch) if rate else run_closed([connection], watch)
    answers = ReplyContent()
    connection.verify(answers)
    connection.close()
    assert measured.requests == len(measured.latencies_ns) == 500
    assert len(measured.lag_ns) == (500 if rate else 0)
    assert min(measured.latencies_ns) > 0
    assert answers.requests == 500
    ids = range(FIRST_REQUEST_ID, FIRST_REQUEST_ID + filling + 500)
    assert answers.trades == sum(number % 3 == 0 for number in ids)


@pytest.mark.parametrize("place", [0, 149, 150])
def test_an_order_that_fills_the_book_must_be_accepted(place: int) -> None:
    peer = AnsweringPeer(refused=FIRST_REQUEST_ID + place)
    connection = LoadConnection(peer.address, 1, 16, fill_window=20)
    connection.load(encode_traffic("mixed", 23, 1, 10, 5, 150))
    fill_books([connection])
    run_closed([connection], Stopwatch(warm_up_s=0))
    answers = ReplyContent()
    filling = place < 150
    with pytest.raises(AnswersWrong, match="fills the book") if filling else nullcontext():
        connection.verify(answers)
    connection.close()
    peer.close()
    assert answers.rejects == ({} if filling else {"insufficient_funds": 1})


def test_a_busy_server_did_not_fill_the_book() -> None:
    peer = AnsweringPeer(busy=FIRST_REQUEST_ID + 3)
    connection = LoadConnection(peer.address, 1, 16, fill_window=20)
    connection.load(encode_traffic("mixed", 23, 1, 10, 5, 150))
    fill_books([connection])
    run_closed([connection], Stopwatch(warm_up_s=0))
    with pytest.raises(BookNotFilled, match="busy"):
        connection.verify(ReplyContent())
    connection.close()
    peer.close()


def test_what_is_answered_during_the_warm_up_is_in_no_figure(peer: AnsweringPeer) -> None:
    connection = LoadConnection(peer.address, 1, 16)
    connection.load(encode_traffic("simple", 23, 1, 20_000, 5))
    measured = run_closed([connection], Stopwatch(warm_up_s=0.05))
    answers = ReplyContent()
    connection.verify(answers)
    connection.close()
    assert answers.requests == 20_000
    assert 0 < measured.requests == len(measured.latencies_ns) < 20_000


def test_a_reply_of_another_request_is_found() -> None:
    peer = AnsweringPeer(skip=FIRST_REQUEST_ID + 1)
    connection = LoadConnection(peer.address, 1, 16)
    connection.load(encode_traffic("mixed", 23, 1, 3, 5))
    connection.allow(3, 0)
    assert connection.flush()
    answered = 0
    while answered < 2:
        select.select([connection], [], [])
        answered += connection.receive(array("q"))
    with pytest.raises(AnswersWrong, match=f"request {FIRST_REQUEST_ID + 1},"):
        connection.verify(ReplyContent())
    connection.close()
    peer.close()


@given(values=st.lists(st.integers(0, 10**12), min_size=1))
def test_percentiles_are_values_that_occurred(values: list[int]) -> None:
    found = report.percentiles_us(values)
    assert set(found.values()) <= {value / 1000 for value in values}
    assert list(found.values()) == sorted(found.values())
    assert found["max"] == max(values) / 1000


def test_percentiles_of_a_known_row() -> None:
    found = report.percentiles_us([number * 1000 for number in range(1000)])
    assert found == {"p50": 500, "p90": 900, "p99": 990, "p99.9": 999, "max": 999}


def test_json_goes_where_it_is_wanted(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    report.finish({"a": 1}, "table", "-")
    assert json.loads(capsys.readouterr().out)["a"] == 1
    report.finish({"a": 1}, "table", str(tmp_path / "x.json"))
    assert capsys.readouterr().out == "table\n"
    assert json.loads((tmp_path / "x.json").read_text())["a"] == 1
