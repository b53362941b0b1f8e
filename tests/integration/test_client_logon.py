"""The client library where keys are required: logon, roles, TLS, revocation, the environment."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme

from hpe.access.key_files import changed_keys
from hpe.access.keys import Key, KeyEntry, Scheme, new_secret
from hpe.access.tls import client_context
from hpe.client.backoff import Backoff
from hpe.client.client import Client, connect
from hpe.errors import ConnectionLost, RequestRefused
from hpe.protocol.codes import ErrorCode
from hpe.protocol.enums import Role
from tests.support.certificates import write_certificate
from tests.support.cutting_proxy import cutting_proxy
from tests.support.service import RunningService, running_service

PATIENCE_S = 120
HMAC = Scheme.HMAC_SHA256
QUICK = Backoff(0.01, 0.01)


class Keyring:
    """The service's key file, and the keys that clients hold."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.keys: dict[str, Key] = {}
        for key_id, role, users in (
            ("trader", Role.TRADER, (7, 8)),
            ("gateway", Role.GATEWAY, (1_000, 1_999)),
            ("data", Role.MARKET_DATA, ()),
            ("operator", Role.OPERATOR, ()),
        ):
            secret = new_secret()
            self.keys[key_id] = Key(key_id, secret)
            with changed_keys(path) as keys:
                keys[key_id] = KeyEntry(key_id, HMAC, role, users, secret)

    def revoke(self, key_id: str) -> None:
        with changed_keys(self.path) as keys:
            del keys[key_id]


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "keys.json")


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[trustme.CA, dict[str, str]]:
    authority = trustme.CA()
    return authority, write_certificate(authority, tmp_path)


@asynccontextmanager
async def keyed_service(
    tmp_path: Path, keyring: Keyring, **settings: Any
) -> AsyncIterator[RunningService]:
    with trio.fail_after(PATIENCE_S):
        async with running_service(tmp_path, keys_file=str(keyring.path), **settings) as service:
            yield service


def talk(service: RunningService, user: int, key: Key | None, **options: Any) -> Any:
    return connect(service.address, user=user, key=key, timeout_s=PATIENCE_S, **options)


async def code_of(service: RunningService, user: int, key: Key | None) -> int:
    """Return why a logon is refused."""
    with pytest.raises(RequestRefused) as caught:
        async with talk(service, user, key):
            pytest.fail("connected")
    return caught.value.code


async def test_roles_and_their_users(tmp_path: Path, keyring: Keyring) -> None:
    keys = keyring.keys
    async with keyed_service(tmp_path, keyring) as service:
        async with talk(service, 1, keys["operator"]) as operator:
            assert operator.welcome.role == Role.OPERATOR
            await operator.deposit("BTC", 1, user=7)
            await operator.deposit("BTC", 1, user=1_500)
        async with talk(service, 7, keys["trader"]) as trader:
            pair = await trader.instrument("BTC/USD")
            order = await trader.submit_order(pair, "sell", pair.lot_size, pair.tick_size)
            with pytest.raises(RequestRefused, match="not_authorized"):
                await trader.deposit("BTC", 1)
            with pytest.raises(RequestRefused, match="not_authorized"):
                await trader.cancel_order(pair, order.order_id, user=8)
            with pytest.raises(RequestRefused, match="not_authorized"):
                async with trader.private_events(user=8):
                    pytest.fail("begun")
        async with talk(service, 1_000, keys["gateway"]) as gateway:
            await gateway.submit_order(pair, "sell", pair.lot_size, pair.tick_size, user=1_500)
            async with gateway.private_events(after=0, user=1_500) as events:
                await anext(events)


async def test_whatever_is_wrong_is_answered_alike(tmp_path: Path, keyring: Keyring) -> None:
    trader = keyring.keys["trader"]
    failed = ErrorCode.AUTHENTICATION_FAILED
    async with keyed_service(tmp_path, keyring) as service:
        assert await code_of(service, 9, trader) == ErrorCode.USER_NOT_ALLOWED
        assert await code_of(service, 7, Key("trader", bytes(32))) == failed
        assert await code_of(service, 7, Key("nobody", trader.secret)) == failed
        assert await code_of(service, 7, None) == failed


async def test_the_key_of_the_environment(
    tmp_path: Path, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HPE_KEY_ID", "trader")
    monkeypatch.setenv("HPE_KEY_SECRET", keyring.keys["trader"].secret.hex())
    async with keyed_service(tmp_path, keyring) as service, talk(service, 8, None) as client:
        assert client.welcome.role == Role.TRADER


async def test_a_key_proves_itself_again_after_a_cut(tmp_path: Path, keyring: Keyring) -> None:
    async with (
        keyed_service(tmp_path, keyring) as service,
        cutting_proxy(service.port) as proxy,
        connect(
            proxy.address,
            user=7,
            key=keyring.keys["trader"],
            timeout_s=PATIENCE_S,
            backoff=QUICK,
        ) as client,
    ):
        session_id = client.session_id
        proxy.cut()
        assert (await client.get_balance("USD")).available == 0
        assert (client.reconnects, client.session_id) == (1, session_id)


async def test_a_revoked_key_ends_its_clients_for_good(tmp_path: Path, keyring: Keyring) -> None:
    async with (
        keyed_service(tmp_path, keyring) as service,
        talk(service, 7, keyring.keys["trader"], backoff=QUICK) as revoked,
        talk(service, 1, keyring.keys["operator"]) as other,
    ):
        keyring.revoke("trader")
        await service.engine.reload()
        await revoked.connected.wait_value(False)
        with pytest.raises(ConnectionLost, match="key_revoked"):
            await revoked.ping()
        assert isinstance(revoked.failure, RequestRefused)
        assert revoked.reconnects == 0
        assert await other.ping() > 0


async def test_market_data_goes_on_in_a_new_session(tmp_path: Path, keyring: Keyring) -> None:
    """Sessions of this role are forgotten with their connection; its books do not mind."""
    async with (
        keyed_service(tmp_path, keyring) as service,
        cutting_proxy(service.port) as proxy,
        connect(
            proxy.address,
            user=1,
            key=keyring.keys["data"],
            timeout_s=PATIENCE_S,
            backoff=QUICK,
        ) as watcher,
        watcher.book("BTC/USD") as book,
        watcher.trades("BTC/USD"),
        talk(service, 1, keyring.keys["operator"]) as operator,
        talk(service, 7, keyring.keys["trader"]) as trader,
    ):
        before = watcher.session_id
        await operator.deposit("BTC", 1, user=7)
        pair = await trader.instrument("BTC/USD")
        proxy.cut()
        await watcher.connected.wait_value(False)
        await trader.submit_order(pair, "sell", pair.lot_size, pair.tick_size)
        while book.sequence < 1:
            await book.changed()
        assert book.raw.asks() == [(1, 1, 1)]
        assert watcher.session_id != before
        await _both_at_once(watcher)
        with pytest.raises(RequestRefused, match="not_authorized"):
            await watcher.submit_order(pair, "sell", pair.lot_size, pair.tick_size)


async def _both_at_once(watcher: Client) -> None:
    """Ask several things at once: that there is no window is no reason to wait for each."""
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(watcher.get_orderbook, "BTC/USD")


async def test_a_plain_client_of_a_tls_port_is_told_of_tls(
    tmp_path: Path, keyring: Keyring, certificate: tuple[trustme.CA, dict[str, str]]
) -> None:
    with trio.fail_after(PATIENCE_S):
        async with keyed_service(tmp_path, keyring, **certificate[1]) as service:
            with pytest.raises(ConnectionLost, match=r"before welcome .*pass a context as `tls`"):
                async with talk(service, 7, keyring.keys["trader"]):
                    pytest.fail("connected")


async def test_everything_travels_encrypted(
    tmp_path: Path, keyring: Keyring, certificate: tuple[trustme.CA, dict[str, str]]
) -> None:
    authority, paths = certificate
    context = client_context()
    authority.configure_trust(context)
    async with (
        keyed_service(tmp_path, keyring, **paths) as service,
        cutting_proxy(service.port) as proxy,
    ):
        async with connect(
            proxy.address,
            user=7,
            key=keyring.keys["trader"],
            tls=context,
            timeout_s=PATIENCE_S,
            backoff=QUICK,
        ) as client:
            assert (await client.get_balance("USD")).available == 0
            proxy.cut()
            async with client.private_events(), client.book("BTC/USD") as book:
                assert book.live
            assert client.reconnects == 1
        with pytest.raises(ConnectionLost, match=r"certificate|CERTIFICATE"):
            async with talk(service, 7, keyring.keys["trader"], tls=True):
                pytest.fail("connected")
