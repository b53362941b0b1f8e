"""`hpe serve`: warnings about open access, SIGHUP, and that no secret is shown."""

from __future__ import annotations

import logging
import os
import resource
import signal
import ssl
import traceback
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil
import pytest
import trio
import trustme

from hpe.access.key_files import changed_keys, load_keys
from hpe.access.keys import Key, KeyEntry, Scheme, new_secret
from hpe.access.proofs import new_nonce, prove
from hpe.access.tls import client_context
from hpe.cli import main
from hpe.cli.serve import _write_ports_file, exposures
from hpe.config.settings import Config
from hpe.errors import ConfigError
from hpe.protocol.control import Hello, Logon, Ping
from hpe.protocol.enums import Role
from hpe.protocol.money import Deposit
from tests.support.certificates import write_certificate
from tests.support.secrecy import assert_silent
from tests.support.service import ServiceProcess, running_service
from tests.support.wire import Row, WireClient, named, pack_request, wire

CHIEF, TRADER = Key("chief", new_secret()), Key("desk-1", new_secret())
SECRETS = (CHIEF.secret, TRADER.secret)
FILES = {"keys_file": "k", "tls_certificate": "c", "tls_key": "t"}


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    with changed_keys(path) as entries:
        for key, role, users in ((CHIEF, Role.OPERATOR, ()), (TRADER, Role.TRADER, (7,))):
            entries[key.id] = KeyEntry(key.id, Scheme.HMAC_SHA256, role, users, key.secret)
    return path


async def log_on(client: WireClient, key: Key, user: int) -> Row:
    hello = Hello(1, 1, user, key_id=key.id)
    await client.send(pack_request(hello))
    challenge = await client.receive()
    assert challenge is not None
    nonce, body = new_nonce(), pack_request(hello)[4:]
    await client.send(pack_request(Logon(1, nonce, prove(key, challenge[3], nonce, body))))
    answer = await client.receive()
    assert answer is not None
    return answer


async def until_said(process: ServiceProcess, text: str, times: int = 1) -> None:
    """Wait for a line in the log of another process, which nothing else tells of."""
    while process.errors().count(text) < times:  # noqa: ASYNC110 - it has no event
        await trio.sleep(0.01)


# --- what the start says ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, ["ANONYMOUS"]),
        ({"keys_file": "k"}, []),
        ({"host": "::1", "keys_file": "k"}, []),
        (FILES, []),
        ({"host": "0.0.0.0", **FILES}, []),
        ({"host": "0.0.0.0", "insecure_plaintext": True}, ["ANONYMOUS", "PLAINTEXT"]),
        ({"host": "::", "keys_file": "k", "insecure_plaintext": True}, ["PLAINTEXT"]),
        (
            {"host": "::", **FILES, "keys_file": "", "insecure_plaintext": True},
            ["ANONYMOUS"],
        ),
    ],
)
def test_what_is_left_open_is_said_and_nothing_else(
    settings: dict[str, str], said: list[str]
) -> None:
    config = Config(**settings)  # type: ignore[arg-type]  # settings of several types
    warnings = exposures(config)
    assert [warning.partition(":")[0] for warning in warnings] == said
    reach = config.host if "insecure_plaintext" in settings else "this machine"
    assert all(reach in warning for warning in warnings if warning.startswith("ANONYMOUS"))


def test_access_without_keys_is_one_warning(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path) as process:
        warnings = [line for line in process.errors().splitlines() if "WARNING" in line]
        assert sum("ANONYMOUS" in line for line in warnings) == 1
        assert not any("PLAINTEXT" in line for line in warnings)


def test_access_with_keys_needs_no_warning(tmp_path: Path, keys: Path) -> None:
    with ServiceProcess(tmp_path, ["--keys", str(keys)]) as process:
        assert "ANONYMOUS" not in process.errors()


def test_a_ports_file_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))  # as a full disk: no byte fits
    try:
        with pytest.raises(ConfigError, match="--ports-file: cannot write"):
            _write_ports_file(tmp_path / "ports.json", 7)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--listen", "0.0.0.0:0"], "keys_file, tls_certificate, tls_key not set"),
        (["--listen", "0.0.0.0:0", "--keys", "KEYS"], ": tls_certificate, tls_key not set"),
        (["--keys", "missing.json"], "missing.json: cannot be read"),
        (["--keys", "OPEN"], "found mode 0644; allowed: 0600"),
        (["--tls-certificate", "c.pem"], "tls_key: not set"),
        (["--tls-certificate", "c.pem", "--tls-key", "k.pem"], "c.pem: cannot be read"),
        (["--ports-file", "pipe"], "--ports-file: pipe exists and is not a regular file"),
        (["--ports-file", "x" * 300], "xxx: File name too long"),
    ],
)
def test_a_service_without_usable_keys_does_not_listen(
    tmp_path: Path,
    keys: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    named: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    unsafe = tmp_path / "open.json"
    unsafe.write_bytes(keys.read_bytes())
    unsafe.chmod(0o644)
    places = {"KEYS": str(keys), "OPEN": str(unsafe)}
    given = [places.get(argument, argument) for argument in arguments]
    assert main(["serve", "--data", str(tmp_path / "data"), "--port", "0", *given]) == 78
    printed, said = capsys.readouterr()
    assert printed == ""
    assert named in said
    assert_silent(said, *SECRETS)


# --- SIGHUP -------------------------------------------------------------------------------------


async def test_sighup_takes_keys_over_and_keeps_them_when_the_file_is_bad(
    tmp_path: Path, keys: Path
) -> None:
    with trio.fail_after(120), ServiceProcess(tmp_path, ["--keys", str(keys)]) as process:
        async with wire(process.port) as chief, wire(process.port) as trader:
            assert (await log_on(chief, CHIEF, 1))[0] == 1
            assert (await log_on(trader, TRADER, 7))[0] == 1
            assert main(["keys", "revoke", "desk-1", "--file", str(keys)]) == 0
            process.signal(signal.SIGHUP)
            assert named(await trader.until_closed()) == [(0, "key_revoked")]
            await until_said(process, "SIGHUP received: ")
            bad: tuple[Callable[[], object], ...] = (
                lambda: keys.chmod(0o644),
                lambda: (keys.chmod(0o600), os.truncate(keys, keys.stat().st_size - 9)),
                keys.unlink,
            )
            for times, spoil in enumerate(bad, start=1):
                spoil()
                process.signal(signal.SIGHUP)
                await until_said(process, "not everything could be loaded: ", times)
            async with wire(process.port) as again:
                assert (await log_on(again, CHIEF, 1))[0] == 1
            assert (await chief.ask(Ping(1)))[0] == 2
        process.terminate()
        assert process.wait() == 0
        assert "found mode 0644" in process.errors()
        assert_silent(process.errors(), *SECRETS)


async def test_sighup_without_files_does_no_harm(tmp_path: Path) -> None:
    with trio.fail_after(120), ServiceProcess(tmp_path) as process:
        process.signal(signal.SIGHUP)
        await until_said(process, "SIGHUP received: no keys_file or tls_certificate to reload")
        async with wire(process.port, user=7):
            pass
        process.terminate()
        assert process.wait() == 0


async def test_sighup_during_a_start_is_kept_for_when_it_is_ready(
    tmp_path: Path, keys: Path
) -> None:
    with trio.fail_after(120):
        process = ServiceProcess(tmp_path, ["--keys", str(keys)])
        # The receiver is open before the engine says its first word.
        await until_said(process, "hpe.engine")
        process.signal(signal.SIGHUP)
        with process:
            await until_said(process, "SIGHUP received: ")
            process.terminate()
            assert process.wait() == 0


async def test_sighup_takes_a_certificate_over(tmp_path: Path) -> None:
    first, second = trustme.CA(), trustme.CA()
    paths = (tmp_path / "server.pem", tmp_path / "server.key")

    def trust(authority: trustme.CA) -> ssl.SSLContext:
        write_certificate(authority, tmp_path)
        authority.cert_pem.write_to_path(tmp_path / "authority.pem")
        return client_context(tmp_path / "authority.pem")

    async def greet(port: int, context: ssl.SSLContext) -> None:
        stream = await trio.open_ssl_over_tcp_stream("127.0.0.1", port, ssl_context=context)
        async with stream:
            client = WireClient(stream)  # type: ignore[arg-type]  # the same methods
            await client.log_on(7)

    before = trust(first)
    options = ["--tls-certificate", str(paths[0]), "--tls-key", str(paths[1])]
    with trio.fail_after(120), ServiceProcess(tmp_path, options) as process:
        await greet(process.port, before)
        after = trust(second)
        process.signal(signal.SIGHUP)
        await until_said(process, "SIGHUP received: ")
        await greet(process.port, after)
        os.truncate(paths[1], 10)
        process.signal(signal.SIGHUP)
        await until_said(process, "not everything could be loaded: ")
        await greet(process.port, after)
        process.terminate()
        assert process.wait() == 0


# --- no secret in any log -----------------------------------------------------------------------


async def say_everything(port: int) -> list[Row]:
    """Log on rightly and wrongly, and once with the secret in the places of other things."""
    attempts = [(TRADER, 7), (TRADER, 8), (Key("desk-1", new_secret()), 7), (CHIEF, 7)]
    answers = []
    for key, user in attempts:
        async with wire(port) as client:
            answers.append(await log_on(client, key, user))
    async with wire(port) as client:
        hello = Hello(1, 1, 7, key_id="desk-1", client=TRADER.secret.hex())
        await client.send(pack_request(hello))
        assert (await client.receive() or [])[0] == 5
        await client.send(pack_request(Logon(1, new_nonce(), TRADER.secret)))
        answers += await client.until_closed()
    assert [answer[0] for answer in answers] == [1, 31, 31, 1, 31]
    return answers


async def test_a_process_prints_and_stores_no_secret(tmp_path: Path, keys: Path) -> None:
    with trio.fail_after(120), ServiceProcess(tmp_path, ["--keys", str(keys)]) as process:
        answers = await say_everything(process.port)
        process.terminate()
        assert process.wait() == 0
        assert_silent(process.errors() + process.ready_line + repr(answers), *SECRETS)
        for file in (tmp_path / "data").iterdir():
            assert_silent(file.read_bytes().decode("latin-1"), *SECRETS)
    assert load_keys(keys).keys() == {"chief", "desk-1"}


async def test_no_log_level_shows_a_secret(
    tmp_path: Path, keys: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with trio.fail_after(120):
        async with running_service(tmp_path, keys_file=str(keys)) as service:
            answers = await say_everything(service.port)
            os.chmod(keys, 0o644)
            with pytest.raises(ConfigError) as caught:
                await service.engine.reload()
            told = [repr(service.engine.config), repr(service.engine.statistics()), repr(answers)]
            told += traceback.format_exception(caught.value)
    assert caplog.records
    assert_silent(caplog.text + "".join(told), *SECRETS)


def test_the_proof_of_this_file_is_that_of_the_library() -> None:
    hello = Hello(1, 1, 7, key_id="desk-1")
    assert pack_request(hello)[4:] == msgspec.msgpack.encode(hello)


def highest_descriptor(pid: int) -> int:
    return max(int(name) for name in os.listdir(f"/proc/{pid}/fd"))


async def test_a_service_without_free_descriptors_goes_on_and_lets_in_when_there_are(
    tmp_path: Path,
) -> None:
    with ServiceProcess(tmp_path) as service, trio.fail_after(120):
        process = psutil.Process(service.pid)
        limits = process.rlimit(psutil.RLIMIT_NOFILE)
        async with wire(service.port, user=7) as client:
            process.rlimit(psutil.RLIMIT_NOFILE, (highest_descriptor(service.pid) + 1, limits[1]))
            fillers = [await trio.open_tcp_stream("127.0.0.1", service.port) for _ in range(64)]
            async with wire(service.port) as late:
                await late.send(pack_request(Hello(1, 1, 8)))
                with trio.move_on_after(0.5) as waiting:
                    await late.receive()
                assert waiting.cancelled_caught, "there was a descriptor left"
                assert (await client.ask(Deposit(1, 3, 5)))[0] == 69
                process.rlimit(psutil.RLIMIT_NOFILE, limits)
                welcome = await late.receive()
                assert welcome is not None
                assert welcome[0] == 1
            for filler in fillers:
                await filler.aclose()
        assert "Too many open files" in service.errors()
