"""A service that is asked for three times what it can do refuses at once, loses nothing, recovers.

A flood of orders (tests/support/flood.py) first shows what the service can do, then asks for far
more. Meanwhile another client cancels its orders, one at a time on each of several connections. How
long a refusal takes is a figure for a quiet machine, measured before a release.

The service runs the Python core: no flood on the same machine asks for more than the compiled one
can do, and who is refused is decided ahead of either.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from hpe.protocol.enums import OrderType, Side, TimeInForce
from hpe.protocol.money import Deposit, GetBalance
from hpe.protocol.orders import CancelOrder, SubmitOrder
from tests.support.canary import Canary, Log
from tests.support.flood import SESSIONS, USERS, Flood, FloodResult
from tests.support.line import ERROR, Line
from tests.support.service import ServiceProcess
from tests.support.tries import Late, repeated_if_late
from tests.support.watcher import Sample, describe, percentile_s

pytestmark = pytest.mark.alone

USD: Final = 3
CANCELER: Final = 1_999
CANCELERS: Final = 4
CANCELS: Final = 50
"""Of each."""

CANCEL_EVERY_S: Final = 0.01
MONEY: Final = 10**12
GENTLE_WINDOW: Final = 32
"""So few orders under way per session that none waits too long: what comes then is the capacity."""

REFUSED_MIN: Final = 0.5
"""Refused to executed, at least, for this to be an overload."""

GOODPUT_MIN: Final = 0.25
BUSY_P99_MS_MAX: Final = 200.0
"""The aim is 50 ms on a machine where the flood does not take half of the CPUs, as here."""

ANSWER_SHARE_MAX: Final = 3.0
"""Where so much is in flight that this takes longer: how many times the average of all answers a
refusal may take. Answers come in the order of the requests, so each waits for all that its session
has in flight; in a closed loop the average is what is in flight over what is answered per second
(0022), and turns are fair."""

CALM_S: Final = 2.0
CALM_P99_S_MAX: Final = 0.05
ORDERS_WAIT_MS: Final = 20
CANCELS_WAIT_MS: Final = 200
CANCELS_WAIT_LONG_MS: Final = 20_000
"""A cancel that waited through a pause of the machine is busy by right. It has its own patience."""


def fund(port: int) -> None:
    for user in (*USERS, CANCELER):
        with Line(port) as line:
            line.log_on(user)
            assert not line.ask(Deposit(1, USD, MONEY))[4]


def reserved(port: int) -> int:
    """Return what the flood's open orders reserve: an atom each."""
    total = 0
    for user in USERS:
        with Line(port) as line:
            line.log_on(user)
            total += line.ask(GetBalance(1, USD))[8]
    return total


class Canceler:
    """Somebody who wants out."""

    def __init__(self, port: int) -> None:
        self.line = Line(port)
        self.line.log_on(CANCELER)
        self.waits: list[Sample] = []
        self.refused = 0
        self._orders = [self._place(number) for number in range(1, CANCELS + 1)]

    def _place(self, number: int) -> int:
        order = SubmitOrder(number, 2, 0, Side.BUY, OrderType.LIMIT, TimeInForce.GTC, 1, 1)
        order_id: int = self.line.ask(order)[7]
        return order_id

    def run(self) -> None:
        """Cancel one order after the other."""
        for number, order_id in enumerate(self._orders, CANCELS + 1):
            begin_s = time.monotonic()
            row = self.line.ask(CancelOrder(number, order_id))
            self.waits.append(Sample(begin_s, time.monotonic() - begin_s))
            self.refused += row[0] == ERROR
            time.sleep(CANCEL_EVERY_S)


class OverloadFigures(NamedTuple):
    """What was measured: with few orders in flight, with many, and some time later."""

    able: FloodResult
    over: FloodResult
    calm: Log


def overload(folder: Path, window: int, cancels_wait_ms: int) -> OverloadFigures:
    """Ask for too much, and see that nothing is lost and all cancels pass."""
    settings = {
        "HPE_CORE": "python",
        "HPE_ORDERS_WAIT_MS_MAX": str(ORDERS_WAIT_MS),
        "HPE_CANCELS_WAIT_MS_MAX": str(cancels_wait_ms),
    }
    with ExitStack() as stack:
        service = stack.enter_context(ServiceProcess(folder, environment=settings))
        fund(service.port)
        cancelers = [Canceler(service.port) for _ in range(CANCELERS)]
        for canceler in cancelers:
            stack.enter_context(canceler.line)
        with Flood(service.port, folder, window=GENTLE_WINDOW) as flood:
            time.sleep(1.0)  # how long it is measured
            able = flood.stop()
        with (
            Flood(service.port, folder, window=window) as flood,
            ThreadPoolExecutor(CANCELERS) as threads,
        ):
            for done in [threads.submit(canceler.run) for canceler in cancelers]:
                done.result()
            over = flood.stop()
        time.sleep(CALM_S)
        with Canary(service.port, folder) as canary:
            time.sleep(1)
            calm = canary.stop()
        booked = reserved(service.port)
    waits = [wait for canceler in cancelers for wait in canceler.waits]
    admitted = 1 - sum(canceler.refused for canceler in cancelers) / len(waits)
    print(
        f"able {able.executed_per_s:.0f}/s; offered {over.offered_per_s:.0f}/s, executed "
        f"{over.executed_per_s:.0f}/s within p50 {over.executed_ms[0]:.0f} p99 "
        f"{over.executed_ms[1]:.0f} ms, busy after p50 {over.busy_ms[0]:.0f} p99 "
        f"{over.busy_ms[1]:.0f} ms; cancels admitted {admitted:.1%}, {describe(waits)}; "
        f"{CALM_S:.0f} s later {calm.describe()}"
    )
    assert over.busy > REFUSED_MIN * over.executed, "this was no overload"
    for account in (able, over):
        assert (account.others, account.unanswered) == (0, 0)
    assert booked == able.executed + over.executed, "an admitted order was lost, or made twice"
    assert admitted >= 0.99
    assert calm.faults == []
    return OverloadFigures(able, over, calm)


@repeated_if_late
async def test_an_overload(tmp_path: Path) -> None:
    able, over, _ = overload(tmp_path, 1_024, CANCELS_WAIT_LONG_MS)
    if over.executed_per_s <= GOODPUT_MIN * able.executed_per_s:
        raise Late(f"executed {over.executed_per_s:.0f}/s of {able.executed_per_s:.0f}/s")


@pytest.mark.release
@pytest.mark.parametrize("window", [1_024, 4_096])
async def test_figures_of_an_overload(tmp_path: Path, window: int) -> None:
    able, over, calm = overload(tmp_path, window, CANCELS_WAIT_MS)
    answer_ms = 1_000 * SESSIONS * window / over.offered_per_s
    assert over.busy_ms[1] < max(BUSY_P99_MS_MAX, ANSWER_SHARE_MAX * answer_ms)
    assert percentile_s(calm.replies, 99) < CALM_P99_S_MAX
    assert over.executed_per_s > GOODPUT_MIN * able.executed_per_s
