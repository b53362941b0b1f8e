"""Which clients can log on with a key, and what the log says about it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

from hpe.access.keys import Key
from hpe.errors import ConfigError
from hpe.net.limits.sources import FAILED_LOGONS_MAX
from hpe.protocol.control import Hello, Ping
from hpe.protocol.enums import Role
from hpe.protocol.listings import AddAsset
from hpe.protocol.money import Deposit, GetBalance, Transfer
from hpe.protocol.orders import CancelOrder
from tests.support.gatehouse import (
    KEY,
    OPERATOR,
    OTHER,
    figure,
    log_on,
    operator,
    trader,
    write_keys,
)
from tests.support.service import running_service
from tests.support.wire import Row, WireClient, named, pack_request, wire

USD = 3


async def test_a_key_lets_in_as_its_role_and_nothing_beyond_it(tmp_path: Path) -> None:
    keys = write_keys(tmp_path / "keys.json", trader(KEY, 7, 8), operator(OPERATOR))
    with trio.fail_after(120):
        async with (
            running_service(tmp_path, keys_file=keys) as service,
            wire(service.port) as chief,
            wire(service.port) as client,
        ):
            assert (await log_on(chief, OPERATOR, 1))[12] == Role.OPERATOR
            assert (await chief.ask(Deposit(1, USD, 500, 7)))[4] == 0
            welcome = await log_on(client, KEY, 7)
            assert welcome[12:14] == [Role.TRADER, 15_000]
            assert (await client.ask(GetBalance(1, USD)))[6] == 500
            refused = [
                await client.ask(GetBalance(2, USD, 8)),
                await client.ask(Deposit(3, USD, 5)),
                await client.ask(Transfer(4, USD, 5, 8)),
                await client.ask(AddAsset(5, "X", 2)),
            ]
            assert named(refused) == [(n, "not_authorized") for n in (2, 3, 4, 5)]
            assert (await client.ask(CancelOrder(6, 99)))[0] == 65


async def test_wrong_proofs_are_all_answered_alike_and_stop_their_source(tmp_path: Path) -> None:
    keys = write_keys(tmp_path / "keys.json", trader(KEY, 7), operator(OPERATOR))
    wrong = [(OTHER, 7), (OTHER, 8), (Key("nobody", KEY.secret), 7), (OTHER, 7), (OTHER, 7)]
    with trio.fail_after(120):
        async with running_service(tmp_path, keys_file=keys) as service:
            async with wire(service.port) as early:
                answers = []
                for key, user in wrong:
                    async with wire(service.port) as client:
                        answers.append(await log_on(client, key, user))
                        assert await client.until_closed() == []
                assert {tuple(row[1:]) for row in answers} == {
                    (1, 0, 207, "authentication_failed", "unknown key, or a wrong proof of it",
                     False, True, False, "")
                }  # fmt: skip
                async with wire(service.port) as sixth:
                    assert named(await sixth.until_closed()) == [(0, "too_many_logons")]
                # Another source with the same key is let in, and so is who was there before.
                stream = await trio.open_tcp_stream(
                    "127.0.0.1", service.port, local_address="127.0.0.9"
                )
                async with stream:
                    assert (await log_on(WireClient(stream), KEY, 7))[0] == 1
                assert (await log_on(early, KEY, 7))[0] == 1
            assert figure(service.engine, "logons_failed") == len(wrong)
            assert figure(service.engine, "connections_refused") == 1


async def test_a_right_key_for_a_wrong_user_is_named_and_not_counted_as_failed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keys = write_keys(tmp_path / "keys.json", trader(KEY, 7))
    caplog.set_level("INFO")
    with trio.fail_after(120):
        async with running_service(tmp_path, keys_file=keys) as service:
            for _ in range(2 * FAILED_LOGONS_MAX):
                async with wire(service.port) as client:
                    assert await log_on(client, KEY, 8) == [
                        31, 1, 0, 209, "user_not_allowed", "the key may not act for this user",
                        False, True, False, "",
                    ]  # fmt: skip
                    assert await client.until_closed() == []
            async with wire(service.port) as client:
                assert (await log_on(client, KEY, 7))[0] == 1
            assert figure(service.engine, "logons_failed") == 0
    lines = [line for line in caplog.messages if "user_not_allowed" in line]
    assert lines == [
        "logon refused: user_not_allowed (the key may not act for this user), key 'desk-1', "
        "user 8, client '', from 127.0.0.1"
    ] * (2 * FAILED_LOGONS_MAX)


async def test_the_log_shows_which_logons_succeeded_and_which_failed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keys = write_keys(tmp_path / "keys.json", trader(KEY, 7))
    caplog.set_level("INFO")
    forged = "demo\n2026 INFO hpe: all is well"
    with trio.fail_after(120):
        async with running_service(tmp_path, keys_file=keys) as service:
            for key in (KEY, OTHER, Key("nobody", KEY.secret)):
                async with wire(service.port) as client:
                    await log_on(client, key, 7, client=forged)
            async with wire(service.port) as client:
                await client.send(pack_request(Ping(1)))
                assert named(await client.until_closed()) == [(1, "expected_hello")]
            async with wire(service.port) as client:
                await client.send(pack_request(Hello(1, 2, 7)))
                assert named(await client.until_closed()) == [(1, "unsupported_version")]
    lines = [line for line in caplog.messages if line.startswith("logon")]
    client_text = "client 'demo\\n2026 INFO hpe: all is well', from 127.0.0.1"
    failed = "logon refused: authentication_failed"
    assert lines == [
        f"logon: session 1, role trader, key 'desk-1', user 7, {client_text}",
        f"{failed} (wrong proof), key 'desk-1', user 7, {client_text}",
        f"{failed} (unknown key), key 'nobody', user 7, {client_text}",
        "logon refused: expected_hello (the first message must be hello, found type 2), "
        "from 127.0.0.1",
        "logon refused: unsupported_version (version 2 asked for, 1 is spoken here), key '', "
        "user 7, client '', from 127.0.0.1",
    ]


async def test_a_reload_ends_revoked_and_changed_keys_and_no_others(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    keys = write_keys(path, trader(KEY, 7), operator(OPERATOR))
    with trio.fail_after(120):
        async with (
            running_service(tmp_path, keys_file=keys) as service,
            wire(service.port) as client,
            wire(service.port) as chief,
        ):
            await log_on(client, KEY, 7)
            await log_on(chief, OPERATOR, 1)
            assert "2 keys" in await service.engine.reload()
            assert (await client.ask(GetBalance(1, USD)))[0] == 33
            write_keys(path, trader(OTHER, 7), operator(OPERATOR))
            await service.engine.reload()
            assert named(await client.until_closed()) == [(0, "key_revoked")]
            assert (await chief.ask(GetBalance(1, USD)))[0] == 33
            async with wire(service.port) as again:
                assert named([await log_on(again, KEY, 7)]) == [(1, "authentication_failed")]
            async with wire(service.port) as again:
                assert (await log_on(again, OTHER, 7))[0] == 1
            path.chmod(0o644)
            with pytest.raises(ConfigError, match="600"):
                await service.engine.reload()
            assert (await chief.ask(GetBalance(1, USD)))[0] == 33


async def test_no_secret_is_in_any_log_or_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keys = write_keys(tmp_path / "keys.json", trader(KEY, 7))
    answers: list[Row] = []
    caplog.set_level("DEBUG")
    with trio.fail_after(120):
        async with running_service(tmp_path, keys_file=keys) as service:
            for key in (KEY, OTHER):
                async with wire(service.port) as client:
                    answers.append(await log_on(client, key, 7))
            await service.engine.reload()
            os.truncate(keys, 20)
            with pytest.raises(ConfigError) as caught:
                await service.engine.reload()
    for said in (caplog.text, repr(answers), str(caught.value), repr(caught.value)):
        assert not leaks(said, (KEY.secret, OTHER.secret))


def leaks(text: str, secrets: Sequence[bytes]) -> bool:
    return any(form in text for secret in secrets for form in (secret.hex(), repr(secret)[2:-1]))
