"""The MB generator: its random stream, its sizes, its answers through an independent book."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import mb
from hpe.orderflow.files import Op, ReportStream, parse_commands, read_lines
from tests.support.naive_book import NaiveBook


def test_the_random_stream_is_the_mt19937_of_cpp() -> None:
    # The tenth-thousandth draw of a default-seeded std::mt19937 is fixed by the C++ standard.
    random = mb.mersenne_twister(5489)
    draws = [random.getrandbits(32) for _ in range(10_000)]
    assert draws[0] == 3_499_211_612
    assert draws[-1] == 4_123_659_995


def test_messages_are_numbered_from_zero_and_repeatable() -> None:
    first = list(mb.messages("normal", 200))
    assert [message.seq for message in first] == list(range(len(first)))
    assert first == list(mb.messages("normal", 200))
    assert first != list(mb.messages("normal", 200, seed=24))


def test_every_order_lives_as_the_recipe_says() -> None:
    placed: set[int] = set()
    for message in mb.messages("flash-crash", 500):
        if message.op in (Op.LIMIT, Op.IMMEDIATE):
            assert message.order_id not in placed
            placed.add(message.order_id)
        else:
            assert message.order_id in placed
    assert placed == set(range(1, 501))


def test_a_flow_is_read_as_it_was_written(tmp_path: Path) -> None:
    messages = list(mb.messages("normal", 500))
    flow = tmp_path / "flow.csv"
    flow.write_text("\n".join(map(mb.flow_line, messages)))
    read = list(parse_commands(read_lines(flow)))
    assert [command.op for command in read] == [command.op for command in messages]
    for command, message in zip(read, messages, strict=True):
        assert command == message or (
            command.op is Op.CANCEL and command.order_id == message.order_id
        )


@pytest.mark.parametrize("scenario", mb.SCENARIOS)
def test_the_naive_book_gives_the_known_hashes(scenario: str) -> None:
    stream, book = ReportStream(), NaiveBook()
    for message in mb.messages(scenario, 20_000):
        stream.add(message, book.apply(message))
    assert stream.messages == 39_878
    assert stream.hexdigest() == mb.KNOWN_HASHES[scenario, 20_000]
