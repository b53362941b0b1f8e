"""A disk that does not finish a sync: what clients receive meanwhile, and the memory it takes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest
import trio
import trio_util

import hpe.engine
from hpe.cli import report_fault
from hpe.engine import HighPerformanceEngine
from hpe.errors import RequestRefused, WalWriteError
from hpe.protocol.base import Request
from hpe.protocol.enums import OrderType, Side, TimeInForce
from hpe.protocol.money import BalanceRow, Deposit, ListBalances
from hpe.protocol.orders import CancelOrder, SubmitOrder
from hpe.wal.files import WriteFile
from tests.support.gated_files import GatedFiles
from tests.support.integers import executed
from tests.support.service import RunningService, running_service
from tests.support.wire import Row, WireClient, named, pack_request, until, wire

USD = 3
SEQUENCE = 3
"""Where it stands in a response."""

PATIENCE_MS = 20
MONEY = 1_000_000_000
LEAST = Decimal("0.0001"), Decimal("0.01")
"""One lot at one tick."""


def order(request_id: int) -> SubmitOrder:
    """Buy at a price of which there is always enough money."""
    return SubmitOrder(
        request_id, 1, 0, Side.BUY, OrderType.LIMIT, TimeInForce.GTC, quantity=1, price=1
    )


@asynccontextmanager
async def serving(
    tmp_path: Path, files: GatedFiles, **settings: int
) -> AsyncIterator[RunningService]:
    """Serve; the gate is open at the end, so that a test that fails does not hang."""
    async with running_service(tmp_path, files=files, **settings) as service:
        try:
            yield service
        finally:
            files.gate.set()


async def stall(service: RunningService, files: GatedFiles, client: WireClient, last: int) -> None:
    """Make the disk stand still, with a deposit under way, until the service has seen it."""
    files.gate.clear()
    await client.send(pack_request(Deposit(last + 1, USD, 1)))
    await trio.to_thread.run_sync(files.waiting.wait)
    await until(lambda: service.engine.statistics()["log_unsynced_ms"] > PATIENCE_MS)


async def no_answer(client: WireClient) -> None:
    with trio.move_on_after(0.05) as scope:
        row = await client.receive()
    assert scope.cancelled_caught, row


async def test_orders_are_refused_at_once_where_nothing_is_unanswered(tmp_path: Path) -> None:
    files = GatedFiles(tmp_path / "data")
    with trio.fail_after(120):
        async with (
            serving(tmp_path, files, orders_wait_ms_max=PATIENCE_MS) as service,
            wire(service.port, user=7) as trader,
            wire(service.port, user=8) as other,
        ):
            await trader.ask(Deposit(1, USD, MONEY))
            accepted = await trader.ask(order(2))
            assert accepted[0] == 64, accepted
            await stall(service, files, other, 0)
            for request_id in (3, 4):
                assert named([await trader.ask(order(request_id))]) == [(request_id, "busy")]
            assert service.engine.statistics()["orders_stalled"] == 2
            # A repeat may have been executed: only the core knows, and all behind it waits.
            await trader.send(pack_request(order(2)), pack_request(order(5)))
            await other.send(pack_request(order(2)), pack_request(CancelOrder(3, 99)))
            await no_answer(trader)
            await no_answer(other)
            files.gate.set()
            repeated, late = await trader.responses(2)
            assert repeated[:3] == [64, 2, 1], "as it was answered before"
            assert repeated[3:] == accepted[3:]
            assert named([late]) == [(5, "busy")]
            deposited, refused, canceled = await other.responses(3)
            assert deposited[:2] == [69, 1]
            assert named([refused]) == [(2, "busy")]
            assert canceled[1] == 3, "a cancel waits and is executed"
            assert canceled[0] != 31
            request_id = 6
            # It goes on as before, once a sync takes less than the patience again.
            while (answer := await trader.ask(order(request_id)))[0] != 64:
                assert named([answer]) == [(request_id, "busy")]
                request_id += 1
            assert (await trader.ask(order(4)))[4] == "not_executed"


async def test_an_id_from_before_the_connection_is_left_to_the_core(tmp_path: Path) -> None:
    files = GatedFiles(tmp_path / "data")
    with trio.fail_after(120):
        async with (
            serving(tmp_path, files, orders_wait_ms_max=PATIENCE_MS) as service,
            wire(service.port, user=8) as other,
        ):
            async with wire(service.port, user=7) as trader:
                await trader.ask(Deposit(1, USD, MONEY))
                accepted = await trader.ask(order(2))
            async with wire(service.port, user=7, session_id=trader.session_id) as again:
                await stall(service, files, other, 0)
                await again.send(pack_request(order(2)))
                await no_answer(again)
                files.gate.set()
                assert (await again.responses(1))[0][3:] == accepted[3:]


async def test_in_the_process_orders_are_refused_at_once_too(tmp_path: Path) -> None:
    files = GatedFiles(tmp_path / "data")
    with trio.fail_after(120):
        async with (
            serving(tmp_path, files, orders_wait_ms_max=PATIENCE_MS) as service,
            wire(service.port, user=8) as other,
        ):
            engine = service.engine
            await fund(engine, 7)
            await engine.get_orderbook(7, "BTC/USD")  # it has a session and knows the symbol
            await stall(service, files, other, 0)
            with pytest.raises(RequestRefused, match="busy"):
                await engine.submit_order(7, "BTC/USD", "buy", *LEAST)
            files.gate.set()
            await other.responses(1)
            await until(lambda: engine.statistics()["log_unsynced_ms"] == 0)
            await engine.submit_order(7, "BTC/USD", "buy", *LEAST)


# --- memory ---------------------------------------------------------------------------------------

BOUND = 64 * 1024
BATCH_BYTES_MAX = 1_024 * 600
"""What one batch of deposits takes at most. All that is sent here takes 8 MB."""


async def _load(client: WireClient, requests: Callable[[int], Request], count: int) -> list[Row]:
    """Send this many requests at once and return their answers, whenever they come."""
    rows: list[Row] = []
    async with trio.open_nursery() as nursery:
        frames = [pack_request(requests(number)) for number in range(1, count + 1)]
        nursery.start_soon(client.send, b"".join(frames))
        rows += await client.responses(count)
    return rows


async def test_what_waits_for_the_disk_is_bounded_in_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hpe.engine, "LOG_BYTES_MAX", BOUND)
    files = GatedFiles(tmp_path / "data")
    users, each = range(10, 18), 4_000
    answers: dict[int, list[Row]] = {}

    async def load(client: WireClient, user: int) -> None:
        answers[user] = await _load(client, lambda number: Deposit(number, USD, 1), each)

    with trio.fail_after(120):
        async with (
            serving(tmp_path, files) as service,
            wire(service.port, user=8) as other,
        ):
            await stall(service, files, other, 0)
            async with trio.open_nursery() as nursery:
                files.gate.set()
                await other.responses(1)
                clients = [await nursery.start(_connected, service.port, user) for user in users]
                await stall(service, files, other, 1)
                for client, user in zip(clients, users, strict=True):
                    nursery.start_soon(load, client, user)
                await until(lambda: service.engine.statistics()["log_matcher_waits"] > 0)
                await trio.sleep(0.3)  # more would come now, if anything let it
                figures = service.engine.statistics()
                assert figures["log_bytes_waiting_peak"] < BOUND + 2 * BATCH_BYTES_MAX
                files.gate.set()
                await until(lambda: len(answers) == len(users))
                nursery.cancel_scope.cancel()
            for rows in answers.values():
                assert [row[1] for row in rows] == list(range(1, each + 1))
                assert {row[0] for row in rows} == {69}, "nothing was refused, all in order"
            await until(lambda: service.engine.statistics()["log_bytes_waiting"] == 0)


async def _connected(
    port: int, user: int, window: int = 4_096, *, task_status: trio.TaskStatus[WireClient]
) -> None:
    async with wire(port, user=user, window=window) as client:
        task_status.started(client)
        await trio.sleep_forever()


class FailsAtTheGate(GatedFiles):
    """Syncs that waited at the gate fail."""

    def create(self, name: str) -> WriteFile:
        file = super().create(name)
        sync = file.datasync

        def datasync() -> None:
            held = not self.gate.is_set()
            sync()
            if held:
                raise WalWriteError("cannot sync: Input/output error")

        file.datasync = datasync  # type: ignore[method-assign]  # of this one file
        return file


async def test_a_sync_that_fails_while_the_matcher_waits_ends_in_74(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hpe.engine, "LOG_BYTES_MAX", 2_000)
    files = FailsAtTheGate(tmp_path / "data")
    answered: list[Row] = []

    async def serve() -> None:
        async with (
            serving(tmp_path, files) as service,
            wire(service.port, user=7, window=4_096) as client,
        ):
            durable = (await client.ask(Deposit(1, USD, 1)))[SEQUENCE]
            files.gate.clear()
            for number in range(2, 3_000):  # one batch after the other
                await client.send(pack_request(ListBalances(number, 7)))
                await client.send(pack_request(Deposit(number + 10_000, USD, 1)))
                if service.engine.statistics()["log_matcher_waits"]:
                    break
                await trio.sleep(0.001)
            assert service.engine.statistics()["log_matcher_waits"], "it never had to wait"
            files.gate.set()
            while (row := await client.receive()) is not None:
                if row[SEQUENCE] > durable:  # a query may come before everything that waits
                    answered.append(row)
            await trio.sleep_forever()

    with pytest.raises(BaseExceptionGroup) as caught, trio.fail_after(120):
        await serve()
    assert caught.group_contains(WalWriteError, match="Input/output")
    assert report_fault(_first(caught.value)) == 74
    assert answered == [], "nothing shows what a sync that failed was for"


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    kept = group.subgroup(WalWriteError)
    assert kept is not None
    return kept


# --- under load -----------------------------------------------------------------------------------

LOADERS = range(10, 16)
QUIET = (20, 21)
CHUNK = 64
# Held for so long, bytes before the log, window: all windows together are more than the core
# executes before the stall is noticed.
SHORT = (0.3, BOUND, 4_096)
LONG = (10.0, hpe.engine.LOG_BYTES_MAX, 16_384)


def deposit_or_order(number: int) -> Request:
    """Return a request that waits for the disk, or one that is refused while it stands still."""
    return Deposit(number, USD, 1) if number % 2 else order(number)


class Loader:
    """Keeps a window full; its answers have to come in order."""

    def __init__(self, client: WireClient, window: int) -> None:
        self.client = client
        self.rows: list[Row] = []
        self.sent = 0
        self.repeated = False
        self._window = window
        self._answered = trio_util.AsyncValue(0)
        self._stopped = False

    async def run(self) -> None:
        """Send until stopped, and until everything is answered or the connection has ended."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._receive, nursery.cancel_scope)
            while not self._stopped:
                await self._answered.wait_value(
                    lambda count: self.sent + CHUNK - count <= self._window
                )
                numbers = range(self.sent + 1, self.sent + CHUNK + 1)
                self.sent += CHUNK
                await self.client.send(*[pack_request(deposit_or_order(n)) for n in numbers])

    def stop(self) -> None:
        self._stopped = True

    async def _receive(self, scope: trio.CancelScope) -> None:
        while not self._stopped or len(self.rows) < self.sent:
            self.rows += await self.client.responses(1)
            self._answered.value = len(self.rows)
        scope.cancel()

    async def go_on(self, again: WireClient) -> None:
        """Repeat all that is unanswered on another connection."""
        self.repeated = True
        numbers = range(len(self.rows) + 1, self.sent + 1)
        async with trio.open_nursery() as nursery:
            frames = [pack_request(deposit_or_order(number)) for number in numbers]
            nursery.start_soon(again.send, b"".join(frames))
            self.rows += await again.responses(len(numbers))


@pytest.mark.parametrize(
    ("held_s", "bytes_max", "window"),
    [pytest.param(*SHORT, id="short"), pytest.param(*LONG, id="long", marks=pytest.mark.release)],
)
async def test_a_disk_that_stands_still_under_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held_s: float, bytes_max: int, window: int
) -> None:
    monkeypatch.setattr(hpe.engine, "LOG_BYTES_MAX", bytes_max)
    files = GatedFiles(tmp_path / "data")
    loaders: dict[int, Loader] = {}
    with trio.fail_after(300):
        async with (
            serving(tmp_path, files, orders_wait_ms_max=PATIENCE_MS) as service,
            trio.open_nursery() as connections,
        ):
            engine = service.engine
            for user in (*LOADERS, *QUIET):
                await fund(engine, user)
            reserved = await _reserved_by_one_order(engine)
            for user in LOADERS:
                client = await connections.start(_connected, service.port, user, window)
                loaders[user] = Loader(client, window)
            quiet = [await connections.start(_connected, service.port, user) for user in QUIET]
            cut = loaders[LOADERS[-1]]
            async with trio.open_nursery() as nursery:
                for loader in loaders.values():
                    nursery.start_soon(_run_unless_cut, loader, loader is cut)
                await until(lambda: all(loader.rows for loader in loaders.values()))
                await _hold(service, files, quiet, held_s)
                await cut.client.stream.aclose()
                files.gate.set()
                for loader in loaders.values():
                    loader.stop()
            async with wire(
                service.port, LOADERS[-1], session_id=cut.client.session_id, window=window
            ) as again:
                await cut.go_on(again)
            await until(lambda: engine.statistics()["log_bytes_waiting"] == 0)
            balances = await _balances(engine)
            connections.cancel_scope.cancel()
        refused = [
            _check_answers(loader, rows, reserved)
            for loader, rows in zip(loaders.values(), balances, strict=True)
        ]
        # One whose whole window was with the core by then has none.
        assert any(refused), "orders waited while the disk stood still"
        async with serving(tmp_path, files) as service:
            recovered = await _balances(service.engine)
    assert recovered == balances


async def _reserved_by_one_order(engine: HighPerformanceEngine) -> int:
    user = QUIET[0]
    await engine.submit_order(user, "BTC/USD", "buy", *LEAST)
    return (await engine.get_balance(user, "USD")).raw.reserved


async def fund(engine: HighPerformanceEngine, user: int) -> None:
    """Give a user money in the integers of the wire."""
    async with engine.client(user=user) as client:
        await executed(client, Deposit(0, USD, MONEY))


async def _balances(engine: HighPerformanceEngine) -> list[list[BalanceRow]]:
    async with engine.client(user=QUIET[0]) as client:
        found = [await client.list_balances(user) for user in LOADERS]
    return [[account.raw for account in accounts] for accounts in found]


async def _run_unless_cut(loader: Loader, is_cut: bool) -> None:
    try:
        await loader.run()
    except* (trio.BrokenResourceError, trio.ClosedResourceError):
        assert is_cut


async def _hold(
    service: RunningService, files: GatedFiles, quiet: list[WireClient], held_s: float
) -> None:
    """Hold all syncs; a client with nothing unanswered hears at once that orders are not taken."""
    files.gate.clear()
    until_s = trio.current_time() + held_s
    await trio.to_thread.run_sync(files.waiting.wait)
    await until(lambda: service.engine.statistics()["log_unsynced_ms"] > PATIENCE_MS)
    request_id = 0
    figures = service.engine.statistics()
    while trio.current_time() < until_s or not figures["log_matcher_waits"]:
        request_id += 1
        for client in quiet:
            answer = await client.ask(order(request_id))  # the disk goes on only after the last
            assert named([answer]) == [(request_id, "busy")]
        await trio.sleep(held_s / 50)
        figures = service.engine.statistics()
    bytes_max = hpe.engine.LOG_BYTES_MAX
    assert figures["log_bytes_waiting_peak"] < bytes_max + 2 * BATCH_BYTES_MAX
    assert figures["credits_bytes"] <= service.engine.config.credits_bytes_max


def _check_answers(loader: Loader, balances: list[BalanceRow], reserved: int) -> int:
    """Hold the account against what was answered: nothing is lost, nothing was done twice.

    Returns:
        How many orders were refused.
    """
    assert [row[1] for row in loader.rows] == list(range(1, loader.sent + 1)), "in their place"
    deposits = [row for row in loader.rows if row[1] % 2]
    orders = [row for row in loader.rows if not row[1] % 2]
    assert {row[0] for row in deposits} == {69}
    accepted = [row for row in orders if row[0] == 64]
    assert {row[4] for row in accepted} <= {0}, "no reject"
    # The refusals of a connection that was cut may have gone with it: repeated, the orders are
    # told that they were not executed.
    allowed = {"busy", "not_executed"} if loader.repeated else {"busy"}
    assert {name for _, name in named(orders)} <= allowed
    assert len(accepted) + len(named(orders)) == len(orders)
    ((_, available, locked, _, _),) = balances
    assert locked == reserved * len(accepted)
    assert available + locked == MONEY + len(deposits)
    return len(orders) - len(accepted)
