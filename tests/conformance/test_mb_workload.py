"""The MB workload through the core: known answers, and faulty cores that must be detected."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import mb
from bench.core import run_scenario
from bench.core_client import CoreClient
from hpe.core.contract import Core
from hpe.orderflow.files import Command, ReportStream, parse_checkpoints, parse_commands, read_lines
from tests.support.core_driver import CoreFactory
from tests.support.faulty_cores import FaultyCore, NewestFirst, RestingRemainder, TakerPriced

ORDERS = 20_000
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.mark.parametrize("scenario", mb.SCENARIOS)
def test_the_core_gives_the_known_report(new_core: CoreFactory, scenario: str) -> None:
    result = run_scenario(new_core(), scenario, ORDERS)
    assert result.messages == 39_878
    assert result.sha256 == mb.KNOWN_HASHES[scenario, ORDERS]


@pytest.mark.release
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize(
    ("scenario", "trades"), [("normal", 62_474), ("static", 827), ("flash-crash", 70_178)]
)
def test_the_core_gives_the_published_report_of_a_million_orders(
    new_core: CoreFactory, scenario: str, trades: int
) -> None:
    result = run_scenario(new_core(), scenario, 1_000_000)
    assert (result.messages, result.trades) == (1_996_097, trades)
    assert result.sha256 == mb.KNOWN_HASHES[scenario, 1_000_000]


# --- deliberately wrong engines -------------------------------------------------------------------


BREAKS = [NewestFirst, TakerPriced, RestingRemainder]


@pytest.mark.parametrize("wrong_core", BREAKS)
def test_the_workload_catches_a_wrong_engine(
    new_core: CoreFactory, wrong_core: type[FaultyCore]
) -> None:
    commands = list(mb.messages("normal", ORDERS))
    core = wrong_core(new_core=new_core)
    assert report_hash(core, commands) != mb.KNOWN_HASHES["normal", ORDERS]


def first_flash1_messages() -> tuple[list[Command], str]:
    """Return the first 2,000 messages of the recorded flow and the hash of their report."""
    flow = DATA / "flash1_normal_100k.cmd.csv.gz"
    if not flow.exists():
        pytest.skip("the recorded order flow (shared/data beside the project) is not here")
    checkpoints = parse_checkpoints(read_lines(DATA / "flash1_normal_100k.sha256.csv"))
    return list(parse_commands(read_lines(flow)[:2_000])), checkpoints[2_000]


def report_hash(core: Core, commands: list[Command]) -> str:
    stream = ReportStream()
    CoreClient(core).run(commands, stream)
    return stream.hexdigest()


def test_the_core_gives_the_recorded_report(new_core: CoreFactory) -> None:
    commands, digest = first_flash1_messages()
    assert report_hash(new_core(), commands) == digest


@pytest.mark.parametrize("wrong_core", BREAKS)
def test_the_recorded_flow_catches_a_wrong_engine(
    new_core: CoreFactory, wrong_core: type[FaultyCore]
) -> None:
    commands, digest = first_flash1_messages()
    assert report_hash(wrong_core(new_core=new_core), commands) != digest
