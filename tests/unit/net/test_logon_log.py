"""What the log says about logons: floods are counted, not written."""

from __future__ import annotations

import base64
import logging

import pytest

from hpe.net.logon import UNKNOWN_KEY, WRONG_PROOF, WRONG_USER, Grant
from hpe.net.logon_log import LINES, LogonLog
from hpe.protocol.codes import ErrorCode
from hpe.protocol.control import Hello
from hpe.protocol.enums import Role
from tests.support.secrecy import assert_silent

HELLO = Hello(1, 1, 7, key_id="desk-1", client="demo/1")
GRANT = Grant("desk-1", Role.TRADER, 7, 7)
BURST = 50


def test_a_flood_of_one_kind_is_counted_and_hides_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="hpe.net")
    log = LogonLog()
    for number in range(1_000):
        log.refused((UNKNOWN_KEY, WRONG_PROOF)[number % 2], HELLO, "10.0.0.9", 5.0)
    assert len(caplog.messages) == BURST
    log.refused(WRONG_USER, HELLO, "10.0.0.1", 5.0)
    log.welcomed(HELLO, GRANT, 3, "10.0.0.1", 5.0)
    assert caplog.messages[BURST:] == [
        "logon refused: user_not_allowed (the key may not act for this user), key 'desk-1', "
        "user 7, client 'demo/1', from 10.0.0.1",
        "logon: session 3, role trader, key 'desk-1', user 7, client 'demo/1', from 10.0.0.1",
    ]
    log.refused(UNKNOWN_KEY, None, "10.0.0.9", 5.0 + 1.01 * LINES.interval_s)
    log.refused(UNKNOWN_KEY, None, "10.0.0.9", 5.0 + 2.02 * LINES.interval_s)
    assert caplog.messages[BURST + 2 :] == [
        "logon refused: authentication_failed (unknown key), from 10.0.0.9 "
        "(950 more of this kind since the last such line)",
        "logon refused: authentication_failed (unknown key), from 10.0.0.9",
    ]


def test_newcomers_without_end_write_no_log_without_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="hpe.net")
    log = LogonLog()
    for number in range(100_000):  # 10,000 per second
        log.welcomed(HELLO, GRANT, number, "10.0.0.1", number / 10_000)
    assert BURST <= len(caplog.messages) <= BURST + 10 / LINES.interval_s


def test_strangers_that_vanish_by_the_thousand_hide_no_lost_session(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="hpe.net")
    log = LogonLog()
    for number in range(1_000):
        log.lost(f"connection {number}", "reset", False, 5.0)
    assert len(caplog.messages) == BURST
    log.lost("connection 1000", "no byte for 45 s", True, 5.0)
    log.lost("connection 1001", "reset", False, 5.0 + 1.01 * LINES.interval_s)
    assert caplog.messages[BURST:] == [
        "connection 1000 ended: no byte for 45 s",
        "connection 1001 ended: reset (950 more of this kind since the last such line)",
    ]


SECRET = bytes(range(100, 132))
BASE_64 = base64.b64encode(SECRET).decode()


@pytest.mark.parametrize("form", [SECRET.hex(), SECRET.hex().upper(), SECRET.hex(" "), BASE_64])
def test_a_secret_in_the_wrong_place_is_not_repeated(
    caplog: pytest.LogCaptureFixture, form: str
) -> None:
    caplog.set_level(logging.INFO, logger="hpe.net")
    log = LogonLog()
    for hello in (Hello(1, 1, 7, client=f"x {form} y"), Hello(1, 1, 7, key_id=SECRET.hex()[:32])):
        log.refused(UNKNOWN_KEY, hello, "10.0.0.1", 0.0)
        log.welcomed(hello, GRANT, 3, "10.0.0.1", 0.0)
    assert_silent(caplog.text, SECRET)
    assert caplog.text.count("characters>") == 4


@pytest.mark.parametrize(
    "name", ["market-maker_2.eu-central.desk-7", "Acme trading bot 3.11.4 of desk 7"]
)
def test_names_are_shown_whole(caplog: pytest.LogCaptureFixture, name: str) -> None:
    caplog.set_level(logging.INFO, logger="hpe.net")
    LogonLog().welcomed(Hello(1, 1, 7, key_id=name[:32], client=name), GRANT, 3, "::1", 0.0)
    assert f"key '{name[:32]}', user 7, client '{name}'" in caplog.text


def test_kinds_are_as_many_as_there_are_codes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="hpe.net")
    log = LogonLog()
    for code in ErrorCode:
        log.refused(UNKNOWN_KEY._replace(code=code), None, "10.0.0.1", 0.0)
    assert len(caplog.messages) == len(ErrorCode)
