"""The client library returns Decimals with the instrument's symbol; `raw` has the integers."""

from dataclasses import fields, is_dataclass
from decimal import Decimal
from pathlib import Path

import trio

from hpe.client.client import connect
from hpe.client.streams import Snapshot
from hpe.client.views import BalanceReportView, ExecutionView, OrderReportView
from hpe.protocol.reports import ExecutionReport, OrderReport
from tests.support.service import running_service

PATIENCE_S = 120
D = Decimal


async def test_an_order_priced_with_what_a_book_shows_trades_at_that_price(tmp_path: Path) -> None:
    """Ticks taken for a price would have paid a hundred times as much."""
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path) as service,
            connect(service.address, user=1, timeout_s=PATIENCE_S) as maker,
            connect(service.address, user=2, timeout_s=PATIENCE_S) as taker,
            taker.book("ETH/USD") as book,
            taker.orders_book("ETH/USD") as orders,
            taker.private_events() as events,
        ):
            await maker.deposit("ETH", 2)
            await taker.deposit("USD", 1_000_000)
            await maker.submit_order("ETH/USD", "sell", D("0.5"), D("3000.25"))
            await book.changed()
            await orders.changed()
            assert book.asks == [*book.view().asks] == [(D("3000.25"), D("0.5"), 1)]
            assert book.raw.asks() == [(300_025, 500, 1)]
            order = orders.orders("sell")[0]
            assert (order.price, order.quantity) == (D("3000.25"), D("0.5"))

            price, quantity, _ = book.asks[0]
            bought = await taker.submit_order("ETH/USD", "buy", quantity, price)
            [fill] = bought.fills
            assert (fill.symbol, fill.price, fill.quantity) == ("ETH/USD", D("3000.25"), D("0.5"))
            assert (bought.symbol, bought.raw.cum) == ("ETH/USD", 500)

            told = [await anext(events) for _ in range(3)]
            assert [event.raw.private_sequence for event in told if not isinstance(event, Snapshot)]
            deposited, accepted, traded = told
            assert isinstance(deposited, BalanceReportView)
            assert (deposited.symbol, deposited.available) == ("USD", D(1_000_000))
            assert isinstance(accepted, OrderReportView)
            assert (accepted.symbol, accepted.price) == ("ETH/USD", D("3000.25"))
            assert isinstance(accepted.raw, OrderReport)
            assert accepted.raw.price == 300_025
            assert isinstance(traded, ExecutionView)
            assert (traded.price, traded.quantity, traded.leaves) == (D("3000.25"), D("0.5"), 0)
            assert isinstance(traded.raw, ExecutionReport)


async def test_nothing_that_is_shown_prints_an_exponent(tmp_path: Path) -> None:
    """An atom of BTC is 0.00000001, and nothing of it 0.00000000."""
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path) as service,
            connect(service.address, user=1, timeout_s=PATIENCE_S) as client,
        ):
            account = await client.deposit("BTC", D("0.00000012"))
            assert str(account.available) == "0.00000012"
            assert repr(account).startswith(
                "BalanceView(available=Decimal('0.00000012'), locked=Decimal('0.00000000')"
            )
            assert f"{account.locked} {account.available:>12}" == "0.00000000   0.00000012"
            sums = await client.get_conservation("BTC")
            assert "E-" not in repr(sums)
            assert "E-" not in repr(await client.list_balances())


async def test_raw_is_the_one_name_of_the_integers(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path) as service,
            connect(service.address, user=1, timeout_s=PATIENCE_S) as client,
            client.best("BTC/USD") as best,
            client.trades("BTC/USD") as trades,
            client.status("BTC/USD") as status,
        ):
            await client.deposit("BTC", 5)
            await client.deposit("USD", 1_000)
            sell = await client.submit_order("BTC/USD", "sell", 2, 100)
            buy = await client.submit_order("BTC/USD", "buy", 1, 100)
            await client.lock_balance("USD", 1, hold_id=1)
            shown = [
                *(sell, buy, *buy.fills, best.now, await anext(trades), status.now),
                *(await client.list_orders(), await client.list_fills(), await client.list_holds()),
                *(await client.list_balances(), await client.get_balance("USD")),
                *(await client.get_instrument("BTC/USD"), await client.get_orderbook("BTC/USD")),
                *(await client.release_hold(1), await client.mass_cancel()),
                await client.get_conservation("USD"),
            ]
    for view in (each for row in shown for each in (row if isinstance(row, list) else [row])):
        assert is_dataclass(view)
        names = [field.name for field in fields(view)]
        assert "raw" in names, view
        assert not {"row", "result", "report"} & {*names}, view
        assert "raw" not in repr(view)
