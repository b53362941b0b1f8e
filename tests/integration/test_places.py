"""Places seen from outside: one key takes its share, others find theirs, also after a restart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import trio

from hpe.access.keys import Key, KeyEntry, Scheme
from hpe.config.settings import AssetConfig
from hpe.protocol.base import Request
from hpe.protocol.codes import RejectReason
from hpe.protocol.enums import OrderType, Role, Side, TimeInForce
from hpe.protocol.listings import AddAsset, ListAssets, ResolveInstrument
from hpe.protocol.money import Deposit, LockBalance
from hpe.protocol.orders import SubmitOrder
from tests.support.gatehouse import KEY, OPERATOR, log_on, operator, trader, write_keys
from tests.support.service import running_service
from tests.support.wire import WireClient, wire

USD, PAIR = 3, 1
GREEDY: Final = tuple(range(11, 21))
MODEST: Final = 21
GATEWAY: Final = (30, 39)
OTHER_KEY, GATEWAY_KEY = Key("desk-2", bytes(32)), Key("gate-1", bytes(range(2, 34)))
SMALL: Final[dict[str, Any]] = {
    "auto_create": True, "assets_max": 64, "open_orders_max": 80, "holds_max": 80,
    "holds_per_user_max": 15,
}  # fmt: skip
"""A key gets a quarter of them, operators also the last eighth."""


class Member:
    """A connection that is logged on; it counts its request ids."""

    def __init__(self, client: WireClient) -> None:
        self._client = client
        self._last_id = 0

    async def ask(self, request: type[Request], *fields: object) -> int:
        """Send a command and return the reject reason, 0 for none."""
        self._last_id += 1
        row = await self._client.ask(request(self._last_id, *fields))
        reason = row[4]
        assert isinstance(reason, int), row
        return reason

    async def asset_count(self) -> int:
        """Return the number of listed assets."""
        return len((await self._client.ask(ListAssets(1)))[4])


@asynccontextmanager
async def members(port: int, *who: tuple[Key, int]) -> AsyncIterator[list[Member]]:
    """Log on with these keys, each for a user."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(wire(port)) for _ in who]
        for client, (key, user) in zip(clients, who, strict=True):
            assert (await log_on(client, key, user, heartbeat_ms=60_000))[0] == 1
        yield [Member(client) for client in clients]


async def bid(member: Member) -> int:
    order = (PAIR, 0, Side.BUY, OrderType.LIMIT, TimeInForce.GTC, 1, 1)
    return await member.ask(SubmitOrder, *order)


async def test_one_key_takes_its_share_of_places_and_others_find_theirs(tmp_path: Path) -> None:
    gateway = KeyEntry(
        GATEWAY_KEY.id, Scheme.HMAC_SHA256, Role.GATEWAY, GATEWAY, GATEWAY_KEY.secret
    )
    entries = trader(KEY, *GREEDY), trader(OTHER_KEY, MODEST), operator(OPERATOR), gateway
    settings: dict[str, Any] = {**SMALL, "keys_file": write_keys(tmp_path / "keys.json", *entries)}
    who = [(KEY, user) for user in GREEDY]
    who += [(OTHER_KEY, MODEST), (GATEWAY_KEY, GATEWAY[0]), (OPERATOR, 1)]
    with trio.fail_after(120):
        async with (
            running_service(tmp_path, **settings) as service,
            members(service.port, *who) as (*greedy, modest, gate, chief),
        ):
            for user in (*GREEDY, MODEST, *range(GATEWAY[0], GATEWAY[1] + 1)):
                assert await chief.ask(Deposit, USD, 1_000_000, user) == 0

            pairs = [await greedy[0].ask(ResolveInstrument, f"A{n}", f"B{n}") for n in range(40)]
            assert pairs == [0] * 8 + [RejectReason.TOO_MANY_ASSETS] * 32
            assert await modest.ask(ResolveInstrument, "M", "N") == 0
            assert await chief.ask(AddAsset, "OWN", 2) == 0

            orders = [await bid(account) for account in greedy for _ in range(5)]
            assert orders == [0] * 20 + [RejectReason.TOO_MANY_ORDERS] * 30
            assert await bid(modest) == await bid(gate) == 0

            holds = [await gate.ask(LockBalance, USD, 1, 30, n) for n in range(1, 31)]
            assert holds == [0] * 15 + [RejectReason.TOO_MANY_HOLDS] * 15
            assert await gate.ask(LockBalance, USD, 1, 31, 1) == 0, "another user of the same key"
            assert await chief.ask(LockBalance, USD, 1, MODEST, 1) == 0
            count = await chief.asset_count()

        one_more = (*service.engine.config.assets, AssetConfig("EXTRA", 2))
        async with (
            running_service(tmp_path, **settings, assets=one_more) as service,
            members(service.port, *who) as (*greedy, modest, _, chief),
        ):
            assert await chief.asset_count() == count + 1
            assert {await bid(account) for account in greedy} == {RejectReason.TOO_MANY_ORDERS}
            assert await bid(modest) == 0
