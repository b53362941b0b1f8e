"""The MB workload through the core: known answers, and engines that must be caught."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from bench import mb
from bench.conformance import CoreClient, run_scenario
from hpe.core import new_core
from hpe.core.entry import OrderEntry
from hpe.core.matcher import Matcher
from hpe.core.orderbook import Ladder
from hpe.core.orders import Order
from hpe.messages import OrderResponse, SubmitOrder, TimeInForce
from hpe.orderflow import Command, ReportStream, parse_checkpoints, parse_commands, read_lines

ORDERS = 20_000
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.mark.parametrize("scenario", mb.SCENARIOS)
def test_the_core_gives_the_known_report(scenario: str) -> None:
    result = run_scenario(new_core(), scenario, ORDERS)
    assert result.messages == 39_878
    assert result.sha256 == mb.KNOWN_HASHES[scenario, ORDERS]


@pytest.mark.release
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize(
    ("scenario", "trades"), [("normal", 62_474), ("static", 827), ("flash-crash", 70_178)]
)
def test_the_core_gives_the_published_report_of_a_million_orders(
    scenario: str, trades: int
) -> None:
    result = run_scenario(new_core(), scenario, 1_000_000)
    assert (result.messages, result.trades) == (1_996_097, trades)
    assert result.sha256 == mb.KNOWN_HASHES[scenario, 1_000_000]


# --- deliberately wrong engines -------------------------------------------------------------------


def newest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the youngest order of a price the trade."""

    def next_maker(self: Matcher, ladder: Ladder) -> Order:
        assert ladder.best is not None
        assert ladder.best.tail is not None
        return ladder.best.tail

    monkeypatch.setattr(Matcher, "next_maker", next_maker)


def taker_priced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trade at what the aggressor would have paid."""

    def trade_price(self: Matcher, maker: Order, aggressor: Order) -> int:
        return aggressor.price

    monkeypatch.setattr(Matcher, "_trade_price", trade_price)


def resting_remainder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the rest of an immediate-or-cancel order rest."""
    submit_order = OrderEntry.submit_order

    def rests(self: OrderEntry, user: int, command: SubmitOrder) -> OrderResponse:
        resting = msgspec.structs.replace(command, time_in_force=TimeInForce.GTC)
        return submit_order(self, user, resting)

    monkeypatch.setattr(OrderEntry, "submit_order", rests)


Break = Callable[[pytest.MonkeyPatch], None]
BREAKS = [newest_first, taker_priced, resting_remainder]


@pytest.mark.parametrize("break_core", BREAKS)
def test_the_workload_catches_a_wrong_engine(
    break_core: Break, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_core(monkeypatch)
    commands = list(mb.messages("normal", ORDERS))
    assert report_hash(commands) != mb.KNOWN_HASHES["normal", ORDERS]


def first_flash1_messages() -> tuple[list[Command], str]:
    """Return the first 2,000 messages of the recorded flow and the hash of their report."""
    flow = DATA / "flash1_normal_100k.cmd.csv.gz"
    if not flow.exists():
        pytest.skip("the recorded order flow (shared/data beside the project) is not here")
    checkpoints = parse_checkpoints(read_lines(DATA / "flash1_normal_100k.sha256.csv"))
    return list(parse_commands(read_lines(flow)[:2_000])), checkpoints[2_000]


def report_hash(commands: list[Command]) -> str:
    stream = ReportStream()
    CoreClient(new_core()).run(commands, stream)
    return stream.hexdigest()


def test_the_core_gives_the_recorded_report() -> None:
    commands, digest = first_flash1_messages()
    assert report_hash(commands) == digest


@pytest.mark.parametrize("break_core", BREAKS)
def test_the_recorded_flow_catches_a_wrong_engine(
    break_core: Break, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands, digest = first_flash1_messages()
    break_core(monkeypatch)
    assert report_hash(commands) != digest
