"""The client that was written from protocol.md alone, against a real service that needs keys.

The keys are made by `hpe keys add`, as docs/operations.md says. Proofs fail four times at most on
the shared service: the fifth would close it to this address.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.integration.independent_client import (
    ADD_ASSET,
    BUY,
    DEPOSIT,
    GET_BALANCE,
    GET_CONSERVATION,
    GET_ORDERBOOK,
    LOGON,
    MASS_CANCEL,
    PING,
    SELL,
    SUBSCRIBE,
    SUBSCRIBE_PRIVATE,
    TRANSFER,
    ErrorAnswer,
    FrameConnection,
    IndependentClient,
    encode,
)
from tests.integration.independent_support import (
    FUNDS,
    OwnMarket,
    assert_ended,
    limit,
    new_market,
    refusal,
)
from tests.support.service import PROJECT, ServiceProcess

TRADER, GATEWAY, MARKET_DATA, OPERATOR = 1, 2, 3, 4
KEYS = {
    "desk-7": ("trader", "--users", "7,8"),
    "broker": ("gateway", "--users", "1000-1999"),
    "screen": ("market-data",),
    "ops": ("operator",),
}


class Guarded(NamedTuple):
    """A service with keys, and a market on it."""

    address: tuple[str, int]
    secrets: dict[str, bytes]
    market: OwnMarket

    def log_on(self, key_id: str, user: int, **options: int) -> IndependentClient:
        """A session by a key."""
        return IndependentClient(self.address, user, key=(key_id, self.secrets[key_id]), **options)


def make_keys(directory: Path) -> dict[str, bytes]:
    """All keys of KEYS, in keys.json; returns their secrets."""
    secrets = {}
    for key_id, (role, *users) in KEYS.items():
        command = [sys.executable, "-m", "hpe", "keys", "add", key_id, "--role", role, *users]
        printed = subprocess.run(
            [*command, "--file", str(directory / "keys.json")],
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        secrets[key_id] = bytes.fromhex(printed.stdout)
    return secrets


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """The service that the tests of this module share."""
    directory = tmp_path_factory.mktemp("guarded")
    secrets = make_keys(directory)
    with ServiceProcess(directory, ["--keys", str(directory / "keys.json")]) as service:
        address = service.host, service.port
        with closing(IndependentClient(address, 1, key=("ops", secrets["ops"]))) as operator:
            market = new_market(operator, "T", (7, 1000))
        yield Guarded(address, secrets, market)


def test_each_role_logs_on(guarded: Guarded) -> None:
    for key_id, user, role in (
        ("desk-7", 8, TRADER),
        ("broker", 1999, GATEWAY),
        ("screen", 5, MARKET_DATA),
        ("ops", 5, OPERATOR),
    ):
        with closing(guarded.log_on(key_id, user)) as client:
            assert client.welcome["role"] == role
            assert client.call(PING, 3)["token"] == 3
            assert client.welcome["window"] == (1 if role == MARKET_DATA else 64)


def test_a_wrong_proof_is_refused_without_saying_why(guarded: Guarded) -> None:
    secret = guarded.secrets["desk-7"]
    messages = set()
    for key_id, proof, user in (
        ("desk-7", bytes(32), 7),
        ("nobody", secret, 7),
    ):
        with pytest.raises(ErrorAnswer) as caught:
            IndependentClient(guarded.address, user, key=(key_id, proof))
        assert (caught.value.name, caught.value.fatal) == ("authentication_failed", True)
        messages.add(caught.value.error["message"])
    assert len(messages) == 1


def test_a_right_proof_for_a_foreign_user_is_named_and_not_counted(
    guarded: Guarded,
) -> None:
    for _ in range(6):  # five failed logons would close the door
        with pytest.raises(ErrorAnswer) as caught:
            guarded.log_on("desk-7", 9)
        assert (caught.value.name, caught.value.fatal) == ("user_not_allowed", True)
    with closing(guarded.log_on("desk-7", 7)) as client:
        assert client.welcome["role"] == TRADER


def test_a_logon_needs_its_proof_next(guarded: Guarded) -> None:
    connection = FrameConnection(guarded.address)
    connection.send(encode(1, 1, 1, 7, 0, 0, "", 0, 0, 0, "desk-7"))
    challenge = connection.receive()
    assert (challenge.type, challenge.request_id) == (LOGON, 1)
    assert len(challenge["nonce"]) == 32
    connection.send(encode(PING, 2))
    assert connection.receive()["name"] == "expected_hello"
    assert_ended(connection)


def test_a_trade_of_a_trader_and_a_gateway(guarded: Guarded) -> None:
    market = guarded.market
    with (
        closing(guarded.log_on("desk-7", 7)) as trader,
        closing(guarded.log_on("broker", 1500)) as gateway,
    ):
        trader.call(*limit(market, SELL, 100, 5))
        order = [*limit(market, BUY, 100, 5), 0, 0, None]
        response, fills = gateway.wait(gateway.start(*order, 1000))
        assert (response["status"], len(fills)) == (2, 1)
        assert gateway.call(GET_BALANCE, market.quote, 1000)["available"] == FUNDS - 500
        assert gateway.call(GET_BALANCE, market.quote)["available"] == 0
        assert gateway.call(TRANSFER, market.quote, 500, 1000, 1001)["reason"] == 16
        assert gateway.call(SUBSCRIBE_PRIVATE, 0, 1000)["user"] == 1000


def test_what_the_role_does_not_allow_is_refused(guarded: Guarded) -> None:
    market = guarded.market
    other_user = [*limit(market, BUY, 1, 1), 0, 0, None]
    forbidden: dict[tuple[str, int], list[list[Any]]] = {
        ("desk-7", 7): [
            [DEPOSIT, market.quote, 1],
            [GET_BALANCE, market.quote, 8],
            [*other_user, 8],
            [SUBSCRIBE_PRIVATE, 0, 8],
            [GET_CONSERVATION, market.quote],
            [TRANSFER, market.quote, 1, 8],
            [MASS_CANCEL, 0, 0, 0, True],
        ],
        ("broker", 1500): [
            [DEPOSIT, market.quote, 1],
            [*other_user, 7],
            [TRANSFER, market.quote, 1, 7, 1000],
            [SUBSCRIBE_PRIVATE, 0, 2000],
        ],
        ("screen", 5): [
            limit(market, BUY, 1, 1),
            [GET_BALANCE, market.quote],
            [SUBSCRIBE_PRIVATE, 0],
        ],
        ("ops", 5): [limit(market, BUY, 1, 1)],
    }
    allowed = {
        "desk-7": [GET_BALANCE, market.quote],
        "broker": [GET_BALANCE, market.quote, 1001],
        "screen": [SUBSCRIBE, market.instrument, 1],
        "ops": [ADD_ASSET, "MORE", 0],
    }
    for (key_id, user), requests in forbidden.items():
        with closing(guarded.log_on(key_id, user)) as client:
            for request in requests:
                assert refusal(client, *request) == ("not_authorized", ""), request
            assert client.call(*allowed[key_id])["reason"] == 0
            assert client.call(GET_ORDERBOOK, market.instrument, 1)["reason"] == 0


def test_an_id_that_was_refused_is_not_used_up(guarded: Guarded) -> None:
    with closing(guarded.log_on("desk-7", 7)) as client:
        refused = client.start(DEPOSIT, guarded.market.quote, 1)
        with pytest.raises(ErrorAnswer, match="not_authorized"):
            client.wait(refused)
        client.close()
        client.connect()
        assert client.welcome["last_request_id"] == 0
        client.call(*limit(guarded.market, BUY, 1, 1))
        client.start_as(refused, *limit(guarded.market, BUY, 1, 1))
        with pytest.raises(ErrorAnswer, match="stale_id"):
            client.wait(refused)


def test_a_session_is_resumed_in_its_role_alone(guarded: Guarded) -> None:
    client = guarded.log_on("broker", 1500)
    order = client.start(*limit(guarded.market, SELL, 100, 1))
    client.wait(order)
    client.close()
    client.connect()
    assert client.welcome["last_request_id"] == order
    client.close()
    client.key = ("ops", guarded.secrets["ops"])
    with pytest.raises(ErrorAnswer, match="unknown_session"):
        client.connect()


def test_five_wrong_proofs_shut_a_source_out(tmp_path: Path) -> None:
    secrets = make_keys(tmp_path)
    with ServiceProcess(tmp_path, ["--keys", str(tmp_path / "keys.json")]) as service:
        address = service.host, service.port
        for _ in range(5):
            with pytest.raises(ErrorAnswer, match="authentication_failed"):
                IndependentClient(address, 7, key=("desk-7", bytes(32)))
        with pytest.raises(ErrorAnswer) as caught:
            IndependentClient(address, 7, key=("desk-7", secrets["desk-7"]))
        assert (caught.value.name, caught.value.fatal) == ("too_many_logons", True)
