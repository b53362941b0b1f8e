"""A service that is asked for three times what it can do: refuses at once, loses nothing, recovers.

A flood of orders (tests/support/flood.py) first shows what the service can do, then asks for far
more. Meanwhile somebody else cancels his orders, one at a time.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import pytest

from hpe.messages import (
    CancelOrder,
    Deposit,
    GetBalance,
    OrderType,
    Side,
    SubmitOrder,
    TimeInForce,
)
from tests.support.canary import Canary
from tests.support.flood import SESSIONS, USERS, Account, Flood
from tests.support.line import ERROR, Line
from tests.support.service import ServiceProcess
from tests.support.watcher import Sample, describe, percentile_s

pytestmark = pytest.mark.alone

USD: Final = 3
CANCELER: Final = 1_999
CANCELS: Final = 200
CANCEL_EVERY_S: Final = 0.01
MONEY: Final = 10**12
GENTLE_WINDOW: Final = 32
"""So few orders under way per session that none waits too long: what comes then is the capacity."""

EXCESS: Final = 2.0
"""Offered to executed, at least, for this to be an overload."""

GOODPUT_MIN: Final = 0.25
BUSY_P99_MS_MAX: Final = 200.0
"""The aim is 50 ms on a machine where the flood does not take half of the CPUs, as here."""

IN_FLIGHT_SHARE_MAX: Final = 1.5
"""On a slow machine the bound is this many times what all that is in flight takes at the rate that
is possible: in a closed loop that is what an answer takes on average, however it comes out."""

CALM_S: Final = 2.0
CALM_P99_S_MAX: Final = 0.05
DEFAULTS: Final = {"HPE_ORDERS_WAIT_MS_MAX": "20", "HPE_CANCELS_WAIT_MS_MAX": "200"}


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
        self.line.close()


def flood(port: int, folder: Path, window: int, meanwhile: Canceler | None = None) -> Account:
    with Flood(port, folder, window=window) as running:
        if meanwhile is None:
            time.sleep(1.0)
        else:
            meanwhile.run()
        return running.stop()


@pytest.mark.parametrize("window", [1_024, pytest.param(4_096, marks=pytest.mark.release)])
def test_an_overload(tmp_path: Path, window: int) -> None:
    with ServiceProcess(tmp_path, environment=DEFAULTS) as service:
        fund(service.port)
        canceler = Canceler(service.port)
        able = flood(service.port, tmp_path, GENTLE_WINDOW)
        over = flood(service.port, tmp_path, window, canceler)
        time.sleep(CALM_S)
        with Canary(service.port, tmp_path) as canary:
            time.sleep(1)
            calm = canary.stop()
        booked = reserved(service.port)
    admitted = 1 - canceler.refused / CANCELS
    print(
        f"able {able.executed_per_s:.0f}/s; offered {over.offered_per_s:.0f}/s, executed "
        f"{over.executed_per_s:.0f}/s within p50 {over.executed_ms[0]:.0f} p99 "
        f"{over.executed_ms[1]:.0f} ms, busy after p50 {over.busy_ms[0]:.0f} p99 "
        f"{over.busy_ms[1]:.0f} ms; cancels admitted {admitted:.1%}, {describe(canceler.waits)}; "
        f"{CALM_S:.0f} s later {calm.describe()}"
    )
    assert over.offered_per_s > EXCESS * over.executed_per_s, "this was no overload"
    for account in (able, over):
        assert (account.others, account.unanswered) == (0, 0)
    assert booked == able.executed + over.executed, "an admitted order was lost, or made twice"
    assert admitted >= 0.99
    in_flight_ms = 1_000 * SESSIONS * window / able.executed_per_s
    assert over.busy_ms[1] < max(BUSY_P99_MS_MAX, IN_FLIGHT_SHARE_MAX * in_flight_ms)
    assert calm.faults == []
    assert percentile_s(calm.replies, 99) < CALM_P99_S_MAX
    assert over.executed_per_s > GOODPUT_MIN * able.executed_per_s
