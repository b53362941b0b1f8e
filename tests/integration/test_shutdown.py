"""How the service ends: drained, refused to start, killed by a dead thread or a failing disk."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

import hpe.engine
from hpe.cli import main, report_fault
from hpe.config.settings import demo_config
from hpe.core import new_core
from hpe.core.codec import decode_body
from hpe.core.contract import Batch, Output
from hpe.core.decoding.judging import LOGGED_TABLES, decode_request
from hpe.engine import HighPerformanceEngine
from hpe.errors import InvariantViolation, RecoveryStopped, WalWriteError
from hpe.protocol.control import Hello, Logout
from hpe.protocol.frames import split_frames
from hpe.protocol.money import Deposit, GetBalance
from hpe.wal.files import DirectoryFiles, LogFiles
from hpe.wal.segments import survey
from tests.support.core_around import CoreAround
from tests.support.faulty_files import FaultKind, FaultyFiles
from tests.support.gated_files import GatedFiles
from tests.support.log_builder import frames_of
from tests.support.service import ServiceProcess, refused_start, running_service
from tests.support.wire import Row, WireClient, named, pack_request, until, wire

USD = 3
SHUTTING_DOWN = "shutting_down"


# --- a clean stop -------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_an_idle_service_cleanly(tmp_path: Path, number: int) -> None:
    with ServiceProcess(tmp_path) as process:
        assert f"127.0.0.1:{process.port}" in process.ready_line
        for word in (
            str(tmp_path / "data"),
            f"core {new_core().name}",
            "durability batch",
            "realtime",
        ):
            assert word in process.ready_line
        process.signal(number)
        assert process.wait() == 0


async def test_sigterm_under_load_answers_every_accepted_command(tmp_path: Path) -> None:
    connections = 5
    answers: dict[int, list[Row]] = {}

    async def load(user: int) -> None:
        async with (
            wire(process.port, user=user, window=256) as client,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(_send_for_ever, client)
            rows = answers[client.session_id] = []
            with contextlib.suppress(trio.BrokenResourceError):
                while (row := await client.receive()) is not None:
                    rows.append(row)
                    if len(rows) == 500:
                        loaded.release()
            nursery.cancel_scope.cancel()

    loaded = trio.Semaphore(0)
    with trio.fail_after(120), ServiceProcess(tmp_path) as process:
        async with trio.open_nursery() as nursery:
            for user in range(1, connections + 1):
                nursery.start_soon(load, user)
            for _ in range(connections):
                await loaded.acquire()
            process.terminate()
        assert await trio.to_thread.run_sync(process.wait) == 0
    executed = _executed_by_session(tmp_path / "data")
    for session_id, rows in answers.items():
        accepted = [row[1] for row in rows if row[0] == 69]
        refused = {row[4] for row in rows if row[0] == 31}
        assert refused <= {SHUTTING_DOWN}
        assert accepted == executed[session_id], "what was executed is what was answered"
        assert len(accepted) >= 500


async def _send_for_ever(client: WireClient) -> None:
    number = 0
    with contextlib.suppress(trio.BrokenResourceError):
        while True:
            frames = []
            for _ in range(50):
                number += 1
                frames.append(pack_request(Deposit(number, USD, 1)))
            await client.send(*frames)


def _executed_by_session(directory: Path) -> dict[int, list[int]]:
    """Read from the log alone which deposits of each session were executed."""
    executed: dict[int, list[int]] = defaultdict(list)
    for scan in survey(DirectoryFiles(directory)).scans():
        for entry in scan.entries:
            for body in entry.record.bodies:
                for session_id, _, frames in decode_body(body).groups:
                    for command in split_frames(frames):
                        request = decode_request(command, LOGGED_TABLES)
                        if isinstance(request, Deposit):
                            executed[session_id].append(request.request_id)
    return executed


async def test_what_is_read_while_draining_is_refused_in_its_place(tmp_path: Path) -> None:
    files = GatedFiles(tmp_path / "data")
    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            service = await nursery.start(_serve_until_drained, tmp_path, files)
            async with wire(service.port, user=7) as client:
                assert (await client.ask(Deposit(1, USD, 1)))[0] == 69
                service.engine.draining = True
                rows = [await client.ask(Deposit(number, USD, 1)) for number in (2, 3)]
                assert named(rows) == [(2, SHUTTING_DOWN), (3, SHUTTING_DOWN)]
                again = await client.ask(Deposit(1, USD, 1))
                assert again[:3] == [69, 1, 1], "what was executed is still answered"
                async with wire(service.port) as late:
                    await late.send(pack_request(_hello(8)))
                    assert named(await late.responses(1)) == [(1, SHUTTING_DOWN)]
            service.leave.set()


def _hello(user: int) -> Hello:
    return Hello(1, 1, user)


class _Service:
    def __init__(self, port: int, engine: HighPerformanceEngine) -> None:
        self.port = port
        self.engine = engine
        self.leave = trio.Event()


async def _serve_until_drained(
    tmp_path: Path, files: DirectoryFiles, task_status: trio.TaskStatus[_Service]
) -> None:
    async with running_service(tmp_path, files=files) as running:
        service = _Service(running.port, running.engine)
        task_status.started(service)
        await service.leave.wait()


async def test_a_stop_waits_for_the_log_and_delivers_the_last_replies(tmp_path: Path) -> None:
    files = GatedFiles(tmp_path / "data")
    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            service = await nursery.start(_serve_until_drained, tmp_path, files)
            async with wire(service.port, user=7) as client:
                files.gate.clear()
                await client.send(pack_request(Deposit(1, USD, 5)))
                await trio.to_thread.run_sync(files.waiting.wait)
                with trio.move_on_after(0.05) as early:
                    await client.receive()
                assert early.cancelled_caught, "a reply came before its sync"
                service.leave.set()
                await service.engine.phase.wait_value("draining")
                files.gate.set()
                row, last = await client.until_closed()
                assert row[6] == 5
                assert named([last]) == [(0, SHUTTING_DOWN)]
            await service.engine.phase.wait_value("stopped")


async def test_a_stop_answers_the_hello_and_logout_that_the_core_executes(tmp_path: Path) -> None:
    files = GatedFiles(tmp_path / "data")
    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            service = await nursery.start(_serve_until_drained, tmp_path, files)
            async with wire(service.port, user=7) as leaving, wire(service.port) as coming:
                batches = int(service.engine.statistics()["batches"])
                files.gate.clear()
                await leaving.send(pack_request(Logout(9)))
                await trio.to_thread.run_sync(files.waiting.wait)
                await coming.send(pack_request(_hello(8)))
                await until(lambda: int(service.engine.statistics()["batches"]) >= batches + 2)
                service.leave.set()
                await service.engine.phase.wait_value("draining")
                files.gate.set()
                assert [row[:2] for row in await leaving.until_closed()] == [[3, 9]]
                welcome, last = await coming.until_closed()
                assert welcome[0] == 1
                assert named([last]) == [(0, SHUTTING_DOWN)]
            await service.engine.phase.wait_value("stopped")


async def test_a_client_that_does_not_close_cannot_hold_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deadline of the stop is shorter than the closing by more than any pause."""
    monkeypatch.setattr("hpe.net.closing.CLOSING_S", 100)
    with trio.fail_after(120):
        async with contextlib.AsyncExitStack() as left_open:
            async with running_service(tmp_path, shutdown_deadline_s=0.3) as service:
                client = await left_open.enter_async_context(wire(service.port, user=7))
                assert (await client.ask(Deposit(1, USD, 1)))[0] == 69
                start_s = trio.current_time()
            assert trio.current_time() - start_s < 50


async def test_a_second_signal_leaves_at_once(tmp_path: Path) -> None:
    with trio.fail_after(120), ServiceProcess(tmp_path) as process:
        async with wire(process.port, user=7) as client:  # keeps its side open: 2 s until it is cut
            assert (await client.ask(Deposit(1, USD, 1)))[0] == 69
            process.terminate()
            assert named(await client.until_closed()) == [(0, SHUTTING_DOWN)]
            process.terminate()
            assert await trio.to_thread.run_sync(process.wait) == 75
    with ServiceProcess(tmp_path) as process:
        async with wire(process.port, user=7, session_id=client.session_id) as client:
            assert (await client.ask(Deposit(1, USD, 1)))[:3] == [69, 1, 1]


async def test_a_stop_during_recovery_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = trio.Event()
    token = trio.lowlevel.current_trio_token()

    def slow_recovery(*_: object, stop: Callable[[], bool], **__: object) -> None:
        token.run_sync_soon(began.set)
        while not stop():
            os.sched_yield()
        raise RecoveryStopped("planted")

    monkeypatch.setattr(hpe.engine, "recover", slow_recovery)
    exchange = HighPerformanceEngine(demo_config(data_directory=str(tmp_path / "data")))
    with trio.fail_after(120), trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(exchange.__aenter__)
            await began.wait()
            assert exchange.phase.value == "recovering"
            scope.cancel()
    assert scope.cancelled_caught
    assert exchange.phase.value == "stopped"


# --- refused starts -----------------------------------------------------------------------------


def test_a_second_process_on_the_directory_exits_73(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path) as process:
        second = refused_start(tmp_path, "--port", "0")
        assert second.returncode == 73, second.stderr
        assert f"in use by process {process.pid}" in second.stderr
        process.terminate()
        assert process.wait() == 0


def test_a_taken_port_exits_71(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = refused_start(tmp_path, "--port", str(port))
    assert refused.returncode == 71, refused.stderr
    assert f"127.0.0.1:{port}" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--listen", "0.0.0.0:0"], "loopback"),
        (["--listen", "nonsense"], "HOST:PORT"),
        (["--sync", "sometimes"], "sync"),
        (["--config", "absent.toml"], "absent.toml"),
        (["--port", "0", "--ports-file", "absent/ports.json"], "absent/ports.json"),
        (["--port", "7071", "--listen", "127.0.0.1:7072"], "--port: found 7071"),
        (["--config", "/dev/zero"], "/dev/zero: is not a file"),
    ],
)
def test_bad_settings_exit_78_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], word: str
) -> None:
    assert main(["serve", "--data", str(tmp_path / "data"), *arguments]) == 78
    errors = capsys.readouterr().err.splitlines()
    assert len([line for line in errors if line.startswith("hpe: ")]) == 1
    assert word in errors[-1]


def test_a_core_that_is_not_there_exits_78(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HPE_COMPILED", "0")
    assert main(["serve", "--data", str(tmp_path / "data"), "--core", "compiled"]) == 78
    assert "core: found 'compiled'; allowed: auto, python (" in capsys.readouterr().err


def test_a_damaged_log_exits_65(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path) as process:
        process.terminate()
        assert process.wait() == 0
    (segment,) = (tmp_path / "data").glob("*.hpewal")
    damaged = bytearray(segment.read_bytes())
    damaged[20] ^= 1
    segment.write_bytes(damaged)
    refused = refused_start(tmp_path, "--port", "0")
    assert refused.returncode == 65, refused.stderr
    assert segment.name in refused.stderr
    assert segment.read_bytes() == damaged, "nothing is changed"


# --- death of a thread, failure of the disk -------------------------------------------------------


class DyingCore(CoreAround):
    """A core with a bug that shows at sequence 5."""

    def apply(self, batch: Batch) -> Output:
        output = super().apply(batch)
        if self.last_sequence >= 5:
            raise InvariantViolation("planted")
        return output


async def test_a_matcher_that_dies_ends_the_service_and_answers_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hpe.engine, "new_core", lambda **_: DyingCore())
    rows: list[Row] = []
    with pytest.raises(BaseExceptionGroup) as caught, trio.fail_after(120):
        await _deposit(tmp_path, None, 10, rows)
    assert caught.group_contains(InvariantViolation, match="planted")
    assert [row[1] for row in rows] == [1, 2], "configure and attach were sequences 1 and 2"
    assert report_fault(_only_exceptions(caught.value)) == 70


async def test_counts_of_all_that_contradict_themselves_end_the_service(tmp_path: Path) -> None:
    async def serve() -> None:
        async with running_service(tmp_path) as service, wire(service.port, user=7) as client:
            assert service.engine._stages is not None
            service.engine._stages.switchboard.credits.bytes -= 1_000_000
            await client.send(pack_request(Deposit(1, USD, 1)))
            await trio.sleep_forever()

    with pytest.raises(BaseExceptionGroup) as caught, trio.fail_after(120):
        await serve()
    assert caught.group_contains(InvariantViolation, match="returned than taken")
    assert report_fault(_only_exceptions(caught.value)) == 70


async def _deposit(tmp_path: Path, files: LogFiles | None, count: int, rows: list[Row]) -> None:
    """Serve, deposit up to `count` times, and note what was answered."""
    async with (
        running_service(tmp_path, files=files) as service,
        wire(service.port, user=7) as client,
    ):
        for number in range(1, count + 1):
            await client.send(pack_request(Deposit(number, USD, 1)))
            row = await client.receive()
            if row is None:
                await trio.sleep_forever()  # the end of the service cancels this
            rows.append(row)


def _only_exceptions(group: BaseExceptionGroup[BaseException]) -> Exception:
    matched, _ = group.split(Exception)
    assert isinstance(matched, Exception)
    return matched


@pytest.mark.parametrize("kind", ["eio", "enospc", "short"])
async def test_a_failing_disk_ends_the_service_and_nothing_undurable_is_answered(
    tmp_path: Path, kind: FaultKind
) -> None:
    """Every operation of the log in turn fails, until one run has no failure."""
    reached = 0
    for fail_at in range(1, 40):
        directory = tmp_path / str(fail_at)
        directory.mkdir()
        files = FaultyFiles(DirectoryFiles(directory / "data"), fail_at, kind)
        rows: list[Row] = []
        fault: Exception | None = None
        with trio.fail_after(120):
            try:
                await _deposit(directory, files, 3, rows)
            except Exception as error:
                fault = error
        async with running_service(directory) as service, wire(service.port, user=7) as client:
            balance = await client.ask(GetBalance(1, USD))
            assert balance[6] >= len(rows), "an answered deposit is gone"
        if fault is None:
            assert len(rows) == 3
            if files.failed:  # no room to fill a segment ahead is no reason to end
                assert kind != "eio", "a failed operation of the log went unnoticed"
                continue
            break
        assert report_fault(fault) == 74
        reached += 1
    else:
        pytest.fail("40 operations and still failing")
    assert reached > 5


def test_a_write_that_fails_in_the_process_exits_74(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path) as process:
        (segment,) = (tmp_path / "data").glob("*.hpewal")
        size = len(frames_of(segment))
        # The next write goes beyond what the system allows this process: EFBIG.
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, size))
        with socket.create_connection((process.host, process.port)) as client:
            client.settimeout(30)
            client.sendall(pack_request(_hello(7)))
            try:
                assert client.recv(1) == b"", "an undurable logon was answered"
            except ConnectionResetError:
                pass
        # stderr is a file here and as full as the log: the exit code has to do.
        assert process.wait() == 74, process.errors()


async def test_running_out_of_descriptors_delays_new_connections_only(tmp_path: Path) -> None:
    with trio.fail_after(120), ServiceProcess(tmp_path) as process:
        async with wire(process.port, user=7) as client:
            used = len(os.listdir(f"/proc/{process.pid}/fd"))
            before = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (used, before[1]))
            async with wire(process.port) as waiting:
                await waiting.send(pack_request(_hello(8)))
                assert (await client.ask(Deposit(1, USD, 1)))[0] == 69
                resource.prlimit(process.pid, resource.RLIMIT_NOFILE, before)
                assert (await waiting.responses(1))[0][0] == 1
        process.terminate()
        assert await trio.to_thread.run_sync(process.wait) == 0


def test_the_first_fault_of_a_group_decides_the_exit_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    group = ExceptionGroup("outer", [ExceptionGroup("inner", [WalWriteError("disk full")])])
    assert report_fault(group) == 74
    assert capsys.readouterr().err == "hpe: WalWriteError: disk full\n"
    assert report_fault(ZeroDivisionError("bug")) == 70
    assert "internal error: ZeroDivisionError('bug')" in capsys.readouterr().err
