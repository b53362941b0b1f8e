"""A known key logs on while strangers from several addresses connect by the thousand."""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import trio

from hpe.net.context import ConnectionContext
from hpe.net.server import REFUSALS_MAX
from hpe.protocol.control import Hello
from tests.support.gatehouse import KEY, figure, log_on, trader, write_keys
from tests.support.hostile import SOURCES
from tests.support.service import RunningService, running_service
from tests.support.wire import pack_request, until, wire

PER_SOURCE = 250
CROWD = PER_SOURCE * len(SOURCES[1:7])
DESCRIPTORS = 2 * CROWD + 1_000
"""Both ends of the crowd are in this process, and the service keeps 512 to itself."""


@pytest.fixture
def descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < DESCRIPTORS <= hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def dial(port: int, source: str, stack: ExitStack) -> socket.socket:
    """Connect without waiting: the loop of this process has no part in it."""
    stranger = stack.enter_context(socket.socket())
    stranger.setblocking(False)
    stranger.bind((source, 0))
    stranger.connect_ex(("127.0.0.1", port))
    return stranger


def connection_context(service: RunningService) -> ConnectionContext:
    stages = service.engine._stages
    assert stages is not None
    return stages.server.context


@contextmanager
def batch_under_way(context: ConnectionContext) -> Iterator[None]:
    """Have strangers wait for as long as requests may keep them waiting."""
    context.entrances._traffic.begins()
    yield
    context.entrances._traffic.ends(1, trio.current_time())


async def test_a_known_key_logs_on_past_a_crowd_from_six_sources(
    tmp_path: Path, descriptors: None
) -> None:
    """Every connection of the crowd is in the kernel's queue before the newcomer's.

    In the order of coming all of them would be let in before it.
    """
    keys = write_keys(tmp_path / "keys.json", trader(KEY, 7))
    with trio.fail_after(120), ExitStack() as stack:
        async with running_service(tmp_path, keys_file=keys, logon_timeout_s=60) as service:
            with batch_under_way(connection_context(service)):
                for source in SOURCES[1:7]:
                    for _ in range(PER_SOURCE):
                        dial(service.port, source, stack)
                async with wire(service.port) as client:
                    assert (await log_on(client, KEY, 7))[0] == 1
                assert figure(service.engine, "strangers") < CROWD / 2
                assert figure(service.engine, "connections_waiting") > 0
                assert figure(service.engine, "connections_refused") == 0


async def test_what_waits_gets_no_descriptors_that_are_kept_for_others(tmp_path: Path) -> None:
    crowd, descriptors = 300, 100
    figures = ("connections", "connections_waiting", "connections_refused")
    with trio.fail_after(120), ExitStack() as stack:
        async with running_service(tmp_path) as service:
            context, engine = connection_context(service), service.engine
            engine._stages.server._descriptors = descriptors  # type: ignore[union-attr]  # it serves
            with batch_under_way(context):
                for _ in range(crowd):
                    dial(service.port, SOURCES[1], stack)
                await until(lambda: sum(figure(engine, name) for name in figures) == crowd)
                # Some are let in whatever is free, to be told why they are refused.
                assert figure(engine, "connections_refused") >= crowd - descriptors - REFUSALS_MAX


async def test_a_known_key_takes_its_steps_past_those_of_another_source(tmp_path: Path) -> None:
    """Turns are counted: two steps of a newcomer behind 40 of a crowd, one every 0.5 s."""
    crowd = 40
    keys = write_keys(tmp_path / "keys.json", trader(KEY, 7))
    hello = pack_request(Hello(1, 1, 7, key_id="nobody"))
    with trio.fail_after(120), ExitStack() as stack:
        async with running_service(tmp_path, keys_file=keys, logon_timeout_s=60) as service:
            context = connection_context(service)
            context.entrances._held_s_max = 0.5
            with batch_under_way(context):
                for _ in range(crowd):
                    dial(service.port, SOURCES[1], stack).send(hello)
                await until(lambda: context.entrances.waiting >= crowd - 10)
                before = context.entrances.waiting
                async with wire(service.port) as client:
                    assert (await log_on(client, KEY, 7))[0] == 1
                assert context.entrances.waiting >= before - 15
