"""An order named with another instrument's symbol is left alone, because the scales differ."""

from decimal import Decimal
from pathlib import Path

import pytest
import trio

from hpe.client.client import connect
from hpe.client.sync import connect_sync
from hpe.errors import OrderRejected
from tests.support.service import running_service

PATIENCE_S = 120
D = Decimal

NOT_ON = "is on ETH/USD, not on BTC/USD; nothing was sent"


async def test_an_order_of_another_instrument_is_not_touched(tmp_path: Path) -> None:
    """On the scale of BTC/USD a new price of 6 would have been 0.6."""
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path) as service,
            connect(service.address, user=1, timeout_s=PATIENCE_S) as own,
            connect(service.address, user=1, timeout_s=PATIENCE_S) as other,
        ):
            await own.deposit("USD", 1_000)
            order = await own.submit_order("ETH/USD", "buy", 1, 5, client_order_id=77)
            pair = await own.submit_oco("ETH/USD", "buy", 1, 5, 20, stop_limit_price=20)
            for client in (own, other):  # the second one has not seen the orders
                sent = client.requests.last_request_id
                for name in ({"order_id": order.order_id}, {"client_order_id": 77}):
                    with pytest.raises(ValueError, match=rf"order {order.order_id} {NOT_ON}"):
                        await client.replace_order("BTC/USD", **name, quantity=1, price=6)
                    with pytest.raises(ValueError, match=NOT_ON):
                        await client.cancel_order("BTC/USD", **name)
                with pytest.raises(ValueError, match=NOT_ON):
                    await client.cancel_order("BTC/USD", pair.stop_order_id)
                asked = client.requests.last_request_id - sent
                # A client order id may be another order's now, so it is always asked for.
                assert asked == (2 if client is own else 6), "4 more: 2 listings, 2 orders"
            assert (await own.get_order(order.order_id)).price == 5
            less = await other.replace_order("ETH/USD", client_order_id=77, quantity=1, price=6)
            assert (less.order_id, less.leaves) == (order.order_id, 1)
            assert (await other.get_order(order.order_id)).price == 6
            gone = await other.cancel_order("ETH/USD", client_order_id=77)
            assert gone.canceled == 1
            for name in ({"order_id": order.order_id}, {"client_order_id": 77}):
                with pytest.raises(OrderRejected, match="unknown_order"):
                    await own.cancel_order("ETH/USD", **name)


async def test_orders_that_a_client_saw_are_not_asked_for(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path) as service,
            connect(service.address, user=1, timeout_s=PATIENCE_S) as maker,
            connect(service.address, user=1, timeout_s=PATIENCE_S) as listing,
            connect(service.address, user=1, timeout_s=PATIENCE_S) as asking,
            connect(service.address, user=1, timeout_s=PATIENCE_S) as following,
            following.private_events() as events,
        ):
            await maker.deposit("USD", 1_000)
            order = await maker.submit_order("ETH/USD", "buy", 1, 5)
            await listing.list_orders()
            await asking.get_order(order.order_id)
            assert [(await anext(events)).raw.private_sequence for _ in range(3)] == [1, 2, 3]
            for client in (maker, listing, asking, following):
                await client.instrument("ETH/USD")
                before = client.requests.last_request_id
                await client.replace_order("ETH/USD", order.order_id, quantity=1, price=6)
                assert client.requests.last_request_id == before + 1


async def test_a_script_gets_the_same_error(tmp_path: Path) -> None:
    def script(address: str) -> None:
        with connect_sync(address, user=1, timeout_s=PATIENCE_S) as client:
            client.deposit("USD", 1_000)
            order = client.submit_order("ETH/USD", "buy", 1, 5)
            with pytest.raises(ValueError, match=NOT_ON):
                client.replace_order("BTC/USD", order.order_id, quantity=1, price=6)
            assert client.get_order(order.order_id).price == 5

    with trio.fail_after(PATIENCE_S):
        async with running_service(tmp_path) as service:
            await trio.to_thread.run_sync(script, service.address)
