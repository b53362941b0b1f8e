"""Connections that wait for their turn to end: their requests are still executed and answered."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from hpe.engine import HighPerformanceEngine
from hpe.net import watchdog as watchdog
from hpe.protocol.control import Hello
from hpe.protocol.flags import HELLO_CANCEL_ON_DISCONNECT
from hpe.protocol.market_data import GetOrderbook
from hpe.protocol.money import Deposit
from hpe.protocol.orders import SubmitOrder
from tests.support.service import running_service
from tests.support.wire import WireClient, named, pack_request, wire

USD = 3
ORDER = SubmitOrder(2, 1, 0, 1, 2, 1, 1, 1)


def hold_the_exits(engine: HighPerformanceEngine, seconds: float) -> None:
    """Make it look as if this many others were before the one that ends now."""
    assert engine._stages is not None
    engine._stages.server.context.exits._open_s = trio.current_time() + seconds


async def bids(client: WireClient, request_id: int) -> int:
    reply = await client.ask(GetOrderbook(request_id, 1, 5))
    return len(reply[8])


async def test_orders_are_canceled_before_it_is_ones_turn(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, wire(service.port, user=8) as other:
            async with wire(service.port) as client:
                hello = Hello(1, 1, 7, flags=HELLO_CANCEL_ON_DISCONNECT)
                assert (await client.ask(hello))[0] == 1
                await client.ask(Deposit(1, USD, 1_000_000))
                await client.ask(ORDER)
                assert await bids(other, 1) == 1
                hold_the_exits(service.engine, 3)
            request_id = 2
            while await bids(other, request_id):
                request_id += 1
            assert service.engine.statistics()["connections"] == 2, "it was its turn already"


async def test_the_last_frame_comes_however_late_the_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BEHIND_S", "STALL_S", "WATCH_S"):
        monkeypatch.setattr(watchdog, name, 0.2)
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, wire(service.port) as stranger:
            hold_the_exits(service.engine, 1.5)
            await stranger.send(pack_request(GetOrderbook(1, 1, 5)))
            assert named(await stranger.until_closed()) == [(1, "expected_hello")]
