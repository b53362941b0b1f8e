"""What the service is compared with: a server that only answers, redis; and when a run counts."""

from __future__ import annotations

import shutil
import socket
from array import array
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from bench.beside_redis import OK, SET, RedisConnection, by_own_generator, by_redis_benchmark
from bench.load_connection import ReplyContent
from bench.load_engine import Measured, Stopwatch, run_closed
from bench.load_run import TRIES_MAX, LoadRun, Shape, filled, same_answer_run
from bench.null_server import ANSWER, null_run, null_service
from bench.report import AnswersWrong
from bench.services import Service, redis_is_installed, redis_service, redis_set_calls
from bench.traffic import ConnectionTraffic, encode_traffic
from bench.traffic_connection import BookNotFilled, TrafficConnection

SECOND_NS = 1_000_000_000


@pytest.fixture(scope="module")
def null() -> Iterator[Service]:
    with null_service() as service:
        yield service


def test_the_null_server_answers_every_frame_however_it_was_cut(null: Service) -> None:
    traffic = encode_traffic("mixed", 23, 1, 40, 5)
    cuts = [0, 1, 3, 4, 5, *traffic.ends[4:8], traffic.ends[10] + 2, len(traffic.frames)]
    with socket.create_connection(null.address, timeout=30) as stream:
        received = b""
        for start, end in pairwise(cuts):
            stream.sendall(traffic.frames[start:end])
            whole = sum(place <= end for place in traffic.ends)
            while len(received) < whole * len(ANSWER):
                received += stream.recv(4_096)
            assert received == ANSWER * whole


@pytest.mark.parametrize(("connections", "window"), [(1, 1), (1, 300), (3, 20)])
def test_a_load_on_a_null_server_is_answered_once(connections: int, window: int) -> None:
    shape = Shape(connections, window, 1_000, warm_up_s=0.0, exact=True)
    measured = null_run(shape, "mixed", 23)
    # Each connection repeats whole rounds of at least 100 requests.
    assert 1_000 <= measured.requests + 1 <= 1_001 + connections * max(window, 100)
    assert measured.rate > 0
    assert len(measured.latencies_ns) == measured.requests


def test_repeated_traffic_is_sent_whole_and_in_order(null: Service) -> None:
    once = encode_traffic("mixed", 23, 1, 50, 5)
    assert once._replace(repeats=3).total == 150
    places = [once._replace(repeats=3).end_of(count) for count in (0, 1, 50, 51, 150)]
    size = len(once.frames)
    assert places == [0, once.ends[0], size, size + once.ends[0], 3 * size]
    measured = same_answer_run(null, Shape(1, 50, 150, 0.0, exact=True), once, ANSWER)
    assert measured.requests == 150


def test_a_wrong_answer_is_found(null: Service) -> None:
    connection = TrafficConnection(null.address, 10)
    connection.load(encode_traffic("mixed", 23, 1, 50, 5))
    run_closed([connection], Stopwatch(warm_up_s=0))
    connection.check_answers(ANSWER)
    with pytest.raises(AnswersWrong, match="expected"):
        connection.check_answers(bytes(len(ANSWER)))
    connection.total += 1
    with pytest.raises(AnswersWrong, match="51 answers"):
        connection.check_answers(ANSWER)
    connection.close()


needs_redis = pytest.mark.skipif(not redis_is_installed(), reason="redis-server is not installed")


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("redis")
    with redis_service(folder) as service:
        yield service
    shutil.rmtree(folder)


@needs_redis
@pytest.mark.parametrize("drive", [by_own_generator, by_redis_benchmark])
def test_redis_executes_what_either_generator_sends(redis: Service, drive) -> None:
    before = redis_set_calls(redis)
    run = drive(redis, Shape(3, 40, 600, 0.0, exact=True))
    assert redis_set_calls(redis) - before == 600
    assert run.rate > 0
    assert run.generator_share > 0


@needs_redis
def test_an_error_of_redis_is_no_answer(redis: Service) -> None:
    connection = RedisConnection(redis.address, 1)
    wrong = SET.replace(b"SET", b"GOT")
    connection.load(ConnectionTraffic(wrong, [len(wrong)], 0))
    run_closed([connection], Stopwatch(warm_up_s=0))
    with pytest.raises(AnswersWrong, match="unknown command"):
        connection.check_answers(OK)
    connection.close()


def measured(requests: int, wall_s: float = 4.0, own_s: float = 2.0) -> Measured:
    return Measured(requests, wall_s, own_s, 1.0, array("q", [SECOND_NS]), array("q"))


@pytest.mark.parametrize(
    ("run", "null_requests", "doubt"),
    [
        (measured(4_000), 6_001, ""),
        (measured(4_000), 5_999, "GENERATOR"),
        (measured(4_000, own_s=3.61), 60_000, "GENERATOR"),
        (measured(4_000, own_s=3.59), 60_000, ""),
        (measured(2_990, wall_s=2.99), 60_000, "less than 3 s"),
    ],
)
def test_a_run_says_why_it_is_no_figure(run: Measured, null_requests: int, doubt: str) -> None:
    answers = ReplyContent(requests=5_000)
    found = LoadRun(Shape(1, 1, 5_000), 0.0, run, answers, null=measured(null_requests)).doubts()
    assert len(found) == bool(doubt)
    assert doubt in "".join(found)


@pytest.mark.parametrize(("rejects", "doubts"), [(750, 0), (751, 1)])
def test_many_rejects_are_no_figure(rejects: int, doubts: int) -> None:
    answers = ReplyContent(requests=5_000, rejects=Counter(unknown_order=rejects))
    assert len(LoadRun(Shape(1, 1, 5_000), 0.0, measured(4_000), answers).doubts()) == doubts


@pytest.mark.parametrize("busy", [0, TRIES_MAX - 1, TRIES_MAX])
def test_a_book_that_a_busy_service_did_not_fill_is_filled_again(busy: int) -> None:
    run = LoadRun(Shape(1, 1, 5_000), 0.0, measured(4_000), ReplyContent(requests=5_000))
    faults = iter([BookNotFilled("busy")] * busy)

    def measure() -> LoadRun:
        for fault in faults:
            raise fault
        return run

    if busy < TRIES_MAX:
        assert filled(measure) is run
    else:
        with pytest.raises(BookNotFilled):
            filled(measure)
