"""The dispatcher's step, on outputs of a core, without a loop around it."""

from __future__ import annotations

from typing import cast

import pytest
import trio

from hpe.core import new_core
from hpe.core.contract import SYSTEM_CONNECTION, Batch, Output, Run
from hpe.core.output.private_ring import PrivateRing
from hpe.net.delivery.dispatcher import Dispatcher
from hpe.net.delivery.streams import Streams
from hpe.net.delivery.switchboard import Intake, Switchboard
from hpe.net.limits.credits import CreditPool
from hpe.net.limits.pacing import Traffic
from hpe.net.logon import Authenticator
from hpe.net.session import ServiceFacts
from hpe.protocol.frames import Chunk, chunk_of, encode_frame
from hpe.protocol.internal import Tick
from hpe.protocol.money import GetBalance

GONE = 5
"""A connection that left before its answers came: its credits must go back all the same."""


def request(number: int) -> Chunk:
    return chunk_of(encode_frame(GetBalance(number, 1)))


def outputs(core_time_ns: int = 1_780_000_000_000_000_000) -> list[Output]:
    """Return what a core makes of two requests of a client and of a tick."""
    core = new_core()
    runs = [
        Run(GONE, 9, 0, request(1)),
        Run(SYSTEM_CONNECTION, 0, 0, chunk_of(encode_frame(Tick(1)))),
        Run(GONE, 9, 0, request(2)),
    ]
    return [core.apply(Batch(core_time_ns + at, [run])) for at, run in enumerate(runs)]


class Bench:
    def __init__(self) -> None:
        self.credits = CreditPool(1_000)
        self.noted: list[tuple[int, int]] = []
        self.switchboard = Switchboard(
            cast(Intake, _NoIntake()), cast(ServiceFacts, None), self.credits, 0,
            authenticator=Authenticator(None), streams=Streams(PrivateRing(), lambda: 0),
        )  # fmt: skip
        self.dispatcher = Dispatcher(
            self.switchboard,
            Traffic(),
            lambda sequence: self.noted.append((sequence, self.credits.bytes)),
            lambda now_s: None,
        )


class _NoIntake:
    """Takes nothing: no test here sends anything."""

    offer = None


def test_a_step_routes_each_group_before_it_notes_what_is_durable() -> None:
    bench, (first, tick, last) = Bench(), outputs()
    size = len(request(1).frames)
    bench.credits.take(2 * size)
    assert bench.dispatcher.step([([first, tick], 7), ([last], 8)]) == 2
    assert bench.noted == [(7, size), (8, 0)]


def test_a_step_without_anything_does_nothing() -> None:
    bench = Bench()
    assert bench.dispatcher.step([]) == 0
    assert bench.noted == []


@pytest.mark.parametrize("count", [1, 2])
async def test_batches_of_clients_are_reported_once_their_answers_were_sent(count: int) -> None:
    traffic, ticks = Traffic(), list[float]()
    bench = Bench()
    bench.dispatcher = Dispatcher(bench.switchboard, traffic, lambda sequence: None, ticks.append)
    first, _, last = outputs()
    groups = [([output], 1) for output in (first, last)[:count]]
    bench.credits.take(count * len(request(1).frames))
    for _ in groups:
        traffic.begins()
    send, receive = trio.open_memory_channel[list[tuple[list[Output], int]]](1)
    await send.send(groups)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.dispatcher.dispatch, receive.receive)
        with trio.fail_after(60):
            await traffic.wait_calm(trio.current_time() + 60)
            assert not traffic.under_way
        nursery.cancel_scope.cancel()
    assert bench.credits.bytes == 0
