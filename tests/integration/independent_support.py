"""What the tests of the independent client share: a market of one's own, and how refusals look.

The thread of a test calls these; they rely on a service that runs.
"""

from __future__ import annotations

import itertools
from contextlib import closing
from typing import Any, NamedTuple

import pytest

from tests.integration.independent_client import (
    ADD_ASSET,
    ADD_INSTRUMENT,
    DEPOSIT,
    GTC,
    LIMIT,
    PING,
    SUBMIT_ORDER,
    ErrorAnswer,
    FrameConnection,
    IndependentClient,
)

FUNDS = 1_000_000_000
_numbers = itertools.count(1)


class OwnMarket(NamedTuple):
    """An instrument of a test's own, and two users with money."""

    instrument: int
    base: int
    quote: int
    users: tuple[int, int]


def make_market(address: tuple[str, int]) -> OwnMarket:
    """A new market on a service without keys."""
    number = next(_numbers)
    users = (1000 + 2 * number, 1001 + 2 * number)
    with closing(IndependentClient(address, users[0])) as client:
        return new_market(client, f"T{number}", users)


def new_market(client: IndependentClient, name: str, users: tuple[int, int]) -> OwnMarket:
    """Make assets and an instrument of them, and give both users money in both."""
    base, quote = (client.call(ADD_ASSET, name + end, 0)["id"] for end in "BQ")
    instrument = client.call(ADD_INSTRUMENT, name, base, quote)["id"]
    for user, asset in itertools.product(users, (base, quote)):
        assert client.call(DEPOSIT, asset, FUNDS, user)["available"] == FUNDS
    return OwnMarket(instrument, base, quote, users)


def limit(market: OwnMarket, side: int, price: int, quantity: int, force: int = GTC) -> list[Any]:
    """Type and fields of a plain limit order."""
    return [SUBMIT_ORDER, market.instrument, 0, side, LIMIT, force, price, quantity]


def refusal(client: IndependentClient, *request: Any) -> tuple[str, str]:
    """Name and field of the error that refuses a request, while the connection goes on."""
    with pytest.raises(ErrorAnswer) as caught:
        client.call(*request)
    assert not caught.value.fatal
    assert caught.value.error["executed"] is False
    assert client.call(PING, 5)["token"] == 5
    return caught.value.name, caught.value.error["field"]


def assert_ended(connection: FrameConnection) -> None:
    """The server closed it; nothing came before the end."""
    with pytest.raises(ConnectionError):
        connection.receive()
    connection.close()


def end_reason(client: IndependentClient) -> str:
    """The name of the error with which the server ends the connection."""
    with pytest.raises(ErrorAnswer) as caught:
        client.wait(0)  # never answered
    assert caught.value.fatal
    assert caught.value.error.request_id == 0
    assert_ended(client.connection)
    return caught.value.name
