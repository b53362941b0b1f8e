"""Private events about something delisted before the client saw it: all come, without scales."""

from decimal import Decimal as D

import trio
from trio.testing import MockClock

from hpe.client.streams import PrivateEvents, RawSnapshot
from hpe.client.views import (
    BalanceReportView,
    ExecutionView,
    HoldReportView,
    OrderReportView,
    PreventedMatchView,
)
from hpe.protocol.listings import AssetsReply, InstrumentsReply, ListAssets, ListInstruments
from hpe.protocol.orders import FillRow, OrderRow
from hpe.protocol.reports import (
    BalanceReport,
    ExecutionReport,
    HoldReport,
    OrderReport,
    PreventedMatch,
    PrivateReport,
    PrivateUpdate,
)
from tests.support.stream_peer import StreamPeer, stream_peer
from tests.unit.client.test_private_events import PAIR_ROW, USER, following, listings, report


def row(instrument: int) -> OrderRow:
    amounts = (100, 3, 3, 0, 0, 0, 0, 0, 0, 300)
    return OrderRow(5, 0, instrument, 1, 2, 1, *amounts, 0, 0, False, 0, 0, 0, 0, 0, 0, 0)


async def test_what_was_delisted_before_this_client_saw_it_is_shown_with_its_integers(
    autojump_clock: MockClock,
) -> None:
    """No report and no row is lost, and no number is told that could be on a wrong scale."""
    async with stream_peer() as peer, following(peer, at=0) as events:
        reports: list[PrivateReport] = [
            OrderReport(0, 0, 1, 10, 1, 0, 0, 7, 5, 0, 1, 3, 0, 0, 0, 2, 100, 0),
            ExecutionReport(0, 0, 2, 20, 1, 1, 2, 7, 5, 0, 1, 1, 9, 100, 3, 0, 3, 6, 1),
            PreventedMatch(0, 0, 3, 30, 1, 7, 1, 100, 5, 6, 1, 1, 0, 0),
            HoldReport(0, 0, 4, 40, 1, 1, 9, 1, 8, 8, 0),
            BalanceReport(0, 0, 5, 50, 1, 9, 12, 0, 8, 8),
            report(6),
        ]
        peer.say(PrivateUpdate(0, 0, USER, 1, 6, reports))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(list_nothing_new, peer, 2)
            shown = [await anext(events) for _ in reports]
        assert [view.raw for view in shown] == reports
        order, fill, prevented, hold, account, known = shown
        assert isinstance(order, OrderReportView)
        assert isinstance(fill, ExecutionView)
        assert isinstance(prevented, PreventedMatchView)
        assert isinstance(hold, HoldReportView)
        assert isinstance(account, BalanceReportView)
        assert isinstance(known, BalanceReportView)
        assert (order.symbol, fill.symbol, prevented.symbol) == ("instrument 7",) * 3
        assert (hold.symbol, account.symbol, known.symbol) == ("asset 9", "asset 9", "BTC")
        for value in (order.price, order.leaves, fill.price, fill.fee, prevented.price):
            assert str(value) == "NaN"
        for value in (hold.amount, account.available, account.in_holds):
            assert str(value) == "NaN"
        assert order.stop_price is None, "it has none, whatever the scale"
        assert known.available == D("0.00000006")


async def test_a_snapshot_of_what_was_delisted_has_all_rows(autojump_clock: MockClock) -> None:
    fills = [FillRow(5, 77, 1, instrument, 1, 0, 1, 1, 100, 1, 0, 2) for instrument in (1, 7)]
    raw = RawSnapshot(9, [row(7), row(1)], [(9, 2, 3, 4, 0), (1, 2, 3, 4, 0)], [(1, 9, 4, 0)],
                      fills, 0)  # fmt: skip
    async with stream_peer() as peer, trio.open_nursery() as nursery:
        events = PrivateEvents(peer.channel, peer.subscriptions, listings(peer), USER, 3)
        nursery.start_soon(list_nothing_new, peer, 2)
        snapshot = await events._snapshot_view(raw)
    assert [order.symbol for order in snapshot.orders] == ["instrument 7", "BTC/USD"]
    assert [fill.symbol for fill in snapshot.fills] == ["BTC/USD", "instrument 7"]
    assert [account.symbol for account in snapshot.balances] == ["asset 9", "BTC"]
    assert [hold.symbol for hold in snapshot.holds] == ["asset 9"]
    assert [str(order.price) for order in snapshot.orders] == ["NaN", "100"]
    assert [str(order.reserved) for order in snapshot.orders] == ["NaN", "3.00"]


async def list_nothing_new(peer: StreamPeer, times: int) -> None:
    """Answer that what the test knows is listed, and nothing else."""
    for _ in range(times):
        instruments = await peer.request(ListInstruments)
        peer.say(InstrumentsReply(instruments.request_id, 0, 1, [PAIR_ROW]))
        assets = await peer.request(ListAssets)
        peer.say(AssetsReply(assets.request_id, 0, 1, [(1, "BTC", 8), (2, "USD", 2)]))
