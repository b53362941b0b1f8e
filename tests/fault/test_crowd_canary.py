"""A crowd that is due or set off at one instant, and the p99 of a canary on another market.

tests/core/test_crowds.py counts the bounds with small crowds; here the crowds are as large as the
service accepts, and the test measures what another client notices.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from hpe.protocol.base import Reply, Request
from hpe.protocol.enums import OrderType, Side, TimeInForce
from hpe.protocol.flags import ORDER_CANCEL_ON_DISCONNECT
from hpe.protocol.frames import encode_frame
from hpe.protocol.listings import GetInstrument, InstrumentReply
from hpe.protocol.money import Deposit, LockBalance
from hpe.protocol.operations import ConservationReply, GetConservation
from hpe.protocol.orders import MassCancel, MassCancelResponse, OrderTerms, SubmitOrder
from tests.support.canary import Canary
from tests.support.line import ERROR, HEARTBEAT, REPORTS, Line, Row
from tests.support.service import ServiceProcess
from tests.support.watcher import Sample, describe, percentile_s

pytestmark = pytest.mark.alone

BASE, QUOTE, PAIR = 2, 3, 2
ACCOUNTS: Final = 10
WINDOW: Final = 8_192
QUIET_S: Final = 8.0
GONE_S_MAX: Final = 240.0
PLACED_PER_S_MIN: Final = 10_000
RATIO_MAX: Final = 3.0
SET_OFF_AT: Final = 900


def at(kind: type[Reply], field: str) -> int:
    """Return where a field stands in a row; the type is the first."""
    return 1 + kind.__struct_fields__.index(field)


OPEN_ORDERS: Final = at(InstrumentReply, "open_orders")
WAITING_STOPS: Final = at(InstrumentReply, "waiting_stops")
HELD: Final = at(ConservationReply, "held")
REMAINING: Final = at(MassCancelResponse, "remaining")


Maker = Callable[[int, int], Request]
"""Makes one of a crowd from its number and the time at which it is due."""


class CrowdAccount:
    """One account of the crowd, on a line of its own."""

    def __init__(self, port: int, user: int) -> None:
        self.user = user
        self.line = Line(port)
        self.line.log_on(user, window=2 * WINDOW)
        self._next_id = 1
        for asset in (BASE, QUOTE):
            self.send([Deposit(0, asset, 10**12)])

    def send(self, requests: list[Request]) -> Row:
        """Send requests, wait for the replies, return the last; all must be accepted."""
        frames = []
        for request in requests:
            fields = [getattr(request, name) for name in request.__struct_fields__[1:]]
            frames.append(encode_frame(type(request)(self._next_id, *fields)))
            self._next_id += 1
        self.line.send(b"".join(frames))
        left = len(frames)
        while left:
            row = self.line.row()
            if row[0] in REPORTS or row[0] == HEARTBEAT:
                continue
            assert row[0] != ERROR, row
            assert row[4] == 0, row
            left -= 1
        return row


def expiring(number: int, due_ns: int) -> Request:
    terms = OrderTerms(expires_ns=due_ns)
    limit, gtd = OrderType.LIMIT, TimeInForce.GTD
    return SubmitOrder(0, PAIR, 0, Side.BUY, limit, gtd, 1, 1, 0, 0, terms)


def held(number: int, due_ns: int) -> Request:
    return LockBalance(0, QUOTE, 1, 0, number + 1, due_ns)


def stop(number: int, due_ns: int) -> Request:
    kind, gtc = OrderType.STOP_LIMIT, TimeInForce.GTC
    return SubmitOrder(0, PAIR, 0, Side.SELL, kind, gtc, 1_000, 1, 0, 0, OrderTerms(SET_OFF_AT))


def bound(number: int, due_ns: int) -> Request:
    limit, gtc, flags = OrderType.LIMIT, TimeInForce.GTC, ORDER_CANCEL_ON_DISCONNECT
    return SubmitOrder(0, PAIR, 0, Side.BUY, limit, gtc, 1, 1, flags)


def resting(number: int, due_ns: int) -> Request:
    return SubmitOrder(0, PAIR, 0, Side.BUY, OrderType.LIMIT, TimeInForce.GTC, 1, 1)


def gather(accounts: list[CrowdAccount], count: int, due_ns: int, make: Maker) -> None:
    """Place a crowd, evenly over the accounts."""
    for start in range(0, count // len(accounts), WINDOW):
        numbers = range(start, min(start + WINDOW, count // len(accounts)))
        for account in accounts:
            account.send([make(number, due_ns) for number in numbers])


def left(line: Line, make: Maker) -> int:
    """Ask how much of the crowd is there; of stops, how many have not had their turn."""
    if make is held:
        return int(line.ask(GetConservation(1, QUOTE))[HELD])
    row = line.ask(GetInstrument(1, PAIR))
    return int(row[WAITING_STOPS if make is stop else OPEN_ORDERS])


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ServiceProcess]:
    with ServiceProcess(tmp_path) as running:
        yield running


@pytest.mark.release
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("count", "accounts", "make"),
    [
        (870_000, 10, expiring),
        (870_000, 10, stop),
        (870_000, 10, held),
        (90_000, 1, bound),
        (100_000, 1, resting),
    ],
)
def test_others_hardly_notice(
    service: ServiceProcess, tmp_path: Path, count: int, accounts: int, make: Maker
) -> None:
    due_s = time.time() + count / PLACED_PER_S_MIN + QUIET_S
    with ExitStack() as stack:
        crowd = [CrowdAccount(service.port, user) for user in range(1, accounts + 1)]
        for account in crowd:
            stack.enter_context(account.line)
        gather(crowd, count, int(due_s * 10**9), make)
        canary = stack.enter_context(Canary(service.port, tmp_path))
        time.sleep(QUIET_S)
        if make in (expiring, held):
            assert time.time() < due_s, "it took too long to place them"
            time.sleep(due_s - time.time())
        line = stack.enter_context(Line(service.port))
        line.log_on(1_000)
        begin_s = time.monotonic()
        set_off(crowd[0], make)
        while left(line, make) > 0:
            assert time.monotonic() < begin_s + GONE_S_MAX
            time.sleep(0.1)
        end_s = time.monotonic()
        time.sleep(1.0)
        log = canary.stop()
    assert log.faults == []
    quiet = [each for each in log.replies if each.begin_s < begin_s - 0.5]
    during = [each for each in log.replies if begin_s <= each.begin_s < end_s]
    tell(make.__name__, count, end_s - begin_s, quiet, during)
    assert percentile_s(during, 99) <= RATIO_MAX * percentile_s(quiet, 99)


def set_off(account: CrowdAccount, make: Maker) -> None:
    """Begin what does not begin by time alone."""
    if make is bound:
        account.line.close()
    elif make is resting:
        while account.send([MassCancel(0)])[REMAINING]:
            pass
    elif make is stop:
        for side in (Side.BUY, Side.SELL):
            limit, gtc = OrderType.LIMIT, TimeInForce.GTC
            account.send([SubmitOrder(0, PAIR, 0, side, limit, gtc, SET_OFF_AT, 1)])


def tell(name: str, count: int, took_s: float, quiet: list[Sample], during: list[Sample]) -> None:
    print(f"{count} {name}: {took_s:.1f} s; quiet {describe(quiet)}; during {describe(during)}")
