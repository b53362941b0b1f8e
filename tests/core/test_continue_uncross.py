"""An uncross with more fills than one command may have: its parts, over commands and batches."""

import pytest

from hpe.core.codec import decode_body
from hpe.core.contract import Batch
from hpe.protocol.codes import RejectReason
from hpe.protocol.control import Error
from hpe.protocol.enums import ExecType, InstrumentStatus, Liquidity, OrderType, Side, TimeInForce
from hpe.protocol.internal import Continue, InstrumentSetting
from hpe.protocol.listings import (
    AssetsReply,
    GetInstrument,
    InstrumentReply,
    InstrumentsReply,
    ListAssets,
    ListInstruments,
)
from hpe.protocol.money import LockBalance
from hpe.protocol.operations import SetStatus, Uncross, UncrossResponse
from hpe.protocol.orders import CancelOrder
from hpe.protocol.reports import ExecutionReport
from tests.support.core_driver import settings_of
from tests.support.core_parts import place
from tests.support.core_pit import Pit, limit_effort, limit_fills, logged
from tests.support.listed import listed

BUY, SELL = Side
STOP, GTD = OrderType.STOP, TimeInForce.GTD
CALL = InstrumentStatus.CALL_AUCTION
TRIGGERED = ExecType.TRIGGERED
UNKNOWN = RejectReason.UNKNOWN_ORDER


def status(pit):
    return pit.alice.get(InstrumentReply, GetInstrument(1, 1)).status


def called(pit, count):
    """Begin a call in which `count` pairs of one lot cross at 100, and 4 lots more are for sale."""
    pit.alice.ask(SetStatus(pit.alice.next_id(), 1, CALL))
    for number in range(count):
        pit.alice.submit(SELL, 95 + number % 3, 1)
        pit.bob.submit(BUY, 105 - number % 3, 1)
    pit.alice.submit(SELL, 106, 4)


def traded(pit):
    """Return alice's fills behind her first, which made the last price."""
    reports = pit.venue.private[1]
    return [report for report in reports if isinstance(report, ExecutionReport)][1:]


def uncross(pit, next_status=InstrumentStatus.TRADING):
    return pit.bob.get(UncrossResponse, Uncross(pit.bob.next_id(), 1, next_status))


def test_an_uncross_keeps_its_price_and_status_though_the_configuration_changes(pit):
    """What arrives later has the new bounds."""
    (row,) = pit.alice.get(InstrumentsReply, ListInstruments(1)).rows
    symbols = [symbol for _, symbol, _ in pit.alice.get(AssetsReply, ListAssets(1)).rows]
    called(pit, 7)
    limit_fills(pit, 2)
    done = uncross(pit, InstrumentStatus.CANCEL_ONLY)
    narrow = InstrumentSetting(row.symbol, *symbols, 1, 1, 200, 300, 5, 9, 0)
    pit.venue.internal(settings_of(instruments=[narrow]))
    assert pit.unfinished
    pit.finish()
    assert [fill.last_price for fill in traded(pit)] == [100] * 7
    assert (done.price, done.volume, status(pit)) == (100, 7, InstrumentStatus.CANCEL_ONLY)
    trading = InstrumentStatus.TRADING
    assert pit.alice.ask(SetStatus(pit.alice.next_id(), 1, trading)).reason == 0
    assert pit.bob.submit(BUY, 100, 5).reason == RejectReason.PRICE_OUT_OF_RANGE
    assert pit.bob.submit(BUY, 200, 4).reason == RejectReason.QUANTITY_OUT_OF_RANGE
    pit.venue.check()


@pytest.mark.parametrize(("fills", "commands"), [(7, 0), (4, 1), (2, 3), (1, 6)])
def test_an_uncross_goes_on_at_the_same_price(pit, fills, commands, new_core):
    whole = Pit(new_core)
    whole.trade_at(100)
    for each in (pit, whole):
        called(each, 7)
    expected = uncross(whole)
    limit_fills(pit, fills)
    bodies = len(pit.venue.bodies)
    done = uncross(pit)
    pit.finish()
    assert (done.price, done.volume) == (expected.price, expected.volume) == (100, 7)
    groups = [[(pit.bob.session_id, [Uncross])], *[[(0, [Continue])]] * commands]
    assert [logged(body) for body in pit.venue.bodies[bodies:]] == groups
    assert pit.everything() == whole.everything()
    assert status(pit) == InstrumentStatus.TRADING
    sequences = [sequence for sequence, _ in pit.reports(1, ExecType.TRADE)[1:]]
    assert sequences == [done.sequence + number // fills for number in range(7)]
    pit.venue.check()


@pytest.mark.parametrize("next_status", [InstrumentStatus.TRADING, InstrumentStatus.HALTED])
def test_an_uncross_over_several_batches(pit, next_status, new_core):
    """Of its instrument nothing comes between; the next status is set behind the last part."""
    whole = Pit(new_core)
    whole.trade_at(100)
    for each in (pit, whole):
        called(each, 7)
    uncross(whole, next_status)
    limit_fills(pit, 2)
    limit_effort(pit, 2)
    assert uncross(pit, next_status).volume == 7
    assert [len(decode_body(body).trades) for body in pit.venue.bodies[-1:]] == [2]
    for trades in (2, 2, 1):
        pit.venue.core.check()
        loaded = pit.venue.restored()
        assert loaded.state_hash() == pit.venue.core.state_hash()
        change = SetStatus(pit.alice.last_request_id + 1, 1, next_status)
        run = pit.alice.run(change, GetInstrument(1, 1))
        output = pit.venue.apply(run)
        assert listed(loaded.apply(Batch(pit.venue.time_ns, [run]))) == output
        assert logged(output.body)[0] == (0, [Continue])
        assert len(decode_body(output.body).trades) == trades
        answer, shown = pit.alice.replies(output)
        assert isinstance(answer, Error) is (trades == 2)
        assert shown.status == (CALL if trades == 2 else next_status)
    assert not pit.unfinished
    pit.alice.last_request_id += 1
    assert pit.everything() == whole.everything()
    pit.venue.check()


def test_stops_fire_behind_the_last_part_of_an_uncross(pit):
    called(pit, 7)
    stops = [place(pit.bob, BUY, 0, 0, STOP, stop_price=100, budget=212).order_id for _ in "ab"]
    limit_fills(pit, 3)
    limit_effort(pit, 3)
    uncross(pit)
    pit.finish()
    told = [r.exec_type for r in pit.venue.private[2] if r.exec_type != ExecType.NEW]
    fired = [report.order_id for report in pit.venue.private[2] if report.exec_type == TRIGGERED]
    assert fired == stops
    assert told[: 1 + 7] == [ExecType.TRADE] * 8, "the trade of the fixture and all of the call"
    assert told[8:] == [TRIGGERED, ExecType.TRADE] * 2
    assert pit.alice.book().asks == []
    pit.venue.check()


def test_what_is_due_meanwhile_waits_for_the_last_part_and_for_no_command_behind(pit):
    """An uncross counts on its orders: six bids trade though they are due, two then expire."""
    pit.alice.ask(SetStatus(pit.alice.next_id(), 1, CALL))
    soon = pit.venue.time_ns + 10**6
    hold = LockBalance(pit.bob.next_id(), 1, 7, hold_id=5, expires_ns=soon + 1)
    assert pit.bob.ask(hold).reason == 0
    bids = [place(pit.bob, BUY, 100, 1, tif=GTD, expires_ns=soon).order_id for _ in range(8)]
    for _ in range(6):
        pit.alice.submit(SELL, 100, 1)
    limit_fills(pit, 2)
    limit_effort(pit, 2)
    uncross(pit)
    pit.venue.pass_time(2 * 10**6)
    assert pit.unfinished
    assert pit.reports(2, ExecType.EXPIRED) == []
    cancel = CancelOrder(pit.bob.next_id(), bids[-1])
    response = pit.bob.ask(cancel)
    assert (response.request_id, response.reason) == (cancel.request_id, UNKNOWN)
    assert not pit.unfinished
    assert [order_id for _, order_id in pit.reports(2, ExecType.TRADE)][1:] == bids[:6]
    expired = [order_id for _, order_id in pit.reports(2, ExecType.EXPIRED)]
    assert expired == bids[-1:], "the cancel named it"
    pit.venue.pass_time(1)
    expired = [order_id for _, order_id in pit.reports(2, ExecType.EXPIRED)]
    assert sorted(expired) == bids[6:]
    assert pit.bob.money(1)[2] == 0
    assert status(pit) == InstrumentStatus.TRADING
    pit.venue.check()


def test_expiry_between_two_parts_leaves_no_crossed_book(pit):
    """The bids at the price expire; a lower bid still crosses the asks that are left."""
    pit.alice.ask(SetStatus(pit.alice.next_id(), 1, CALL))
    soon = pit.venue.time_ns + 10**6
    for _ in range(6):
        pit.alice.submit(SELL, 95, 1)
        place(pit.bob, BUY, 105, 1, tif=GTD, expires_ns=soon)
    pit.bob.submit(BUY, 97, 1)
    limit_fills(pit, 2)
    limit_effort(pit, 2)
    assert uncross(pit).price > 97
    pit.venue.pass_time(2 * 10**6)
    pit.finish()
    pit.venue.pass_time(1)
    pit.venue.check()
    prices = {
        report.last_price
        for report in pit.venue.private[1]
        if isinstance(report, ExecutionReport) and report.liquidity == Liquidity.AUCTION
    }
    assert len(prices) == 1, "all of it at the same price"
