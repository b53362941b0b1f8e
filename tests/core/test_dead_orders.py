"""Dead orders: past their time but not ended yet. They count for nothing; a match ends them."""

import pytest

from hpe.core.contract import DUE_AT_ONCE, Batch, Limits
from hpe.protocol.codes import CancelReason, ErrorCode, RejectReason
from hpe.protocol.enums import ExecType, InstrumentStatus, OrderType, SelfTrade, Side, TimeInForce
from hpe.protocol.flags import ORDER_POST_ONLY
from hpe.protocol.listings import GetInstrument, InstrumentReply
from hpe.protocol.money import CaptureHold, Deposit, LockBalance, ReleaseHold
from hpe.protocol.operations import SetStatus, Uncross
from hpe.protocol.orders import OcoResponse, ReplaceOrder, SubmitOco, SubmitOrder
from hpe.protocol.reports import ExecutionReport, OrderReport
from tests.support.core_parts import place
from tests.support.core_pit import Pit
from tests.support.listed import listed

BUY, SELL = Side
LIMIT, MARKET, STOP = OrderType.LIMIT, OrderType.MARKET, OrderType.STOP
GTC, IOC, FOK, GTD = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD
CALL = InstrumentStatus.CALL_AUCTION
SOON_NS, CROWD = 10**6, 40


@pytest.fixture
def pit(new_core):
    """Return a pit of which one order a batch expires, and in another market a crowd that does so.

    The crowd is due first, so whatever the test lets expire at `soon` is dead for long.
    """
    pit = Pit(new_core, Limits(acts=(1, 1, 1, 1, 1)))
    pit.trade_at(100)
    pit.crowded = pit.alice.list_pair()
    pit.alice.deposit(4, 10**6)
    pit.soon = pit.venue.time_ns + SOON_NS
    for _ in range(CROWD):
        early = {"tif": GTD, "expires_ns": pit.soon - 1, "instrument": pit.crowded}
        place(pit.alice, BUY, 1, 1, **early)
    return pit


def short(trader, side, price, quantity, at, **fields):
    """Place an order whose time comes when `let_die` is called."""
    return place(trader, side, price, quantity, tif=GTD, expires_ns=at, **fields)


def let_die(pit):
    pit.venue.time_ns += 2 * SOON_NS


def gone(pit, user):
    return [order_id for _, order_id in pit.reports(user, ExecType.EXPIRED)]


def test_a_match_ends_the_dead_at_their_place_among_the_fills(pit):
    first = pit.alice.submit(SELL, 101, 1).order_id
    dead = short(pit.alice, SELL, 101, 5, at=pit.soon, display_quantity=1).order_id
    pair = pit.alice.get(
        OcoResponse, SubmitOco(pit.alice.next_id(), 1, SELL, 1, 101, 90, expires_ns=pit.soon)
    )
    last = pit.alice.submit(SELL, 102, 1).order_id
    let_die(pit)
    told = len(pit.venue.private[1])
    taken = pit.bob.submit(BUY, 102, 2)
    assert (taken.cum, taken.leaves, taken.quote_total) == (2, 0, 203)
    rows = [
        (report.order_id, report.exec_type, report.sequence, report.request_id)
        for report in pit.venue.private[1][told:]
        if report.instrument == 1
    ]
    sequence = taken.sequence
    assert rows == [
        (first, ExecType.TRADE, sequence, 0),
        (dead, ExecType.EXPIRED, sequence, 0),
        (pair.limit_order_id, ExecType.EXPIRED, sequence, 0),
        (pair.stop_order_id, ExecType.CANCELED, sequence, 0),
        (last, ExecType.TRADE, sequence, 0),
    ]
    pit.venue.check()


@pytest.mark.parametrize(
    ("tif", "terms", "cum"), [(FOK, {}, 0), (IOC, {"minimum_quantity": 2}, 0), (IOC, {}, 1)]
)
def test_dead_lots_count_for_no_quantity(pit, tif, terms, cum):
    pit.alice.submit(SELL, 101, 1)
    dead = short(pit.alice, SELL, 101, 5, at=pit.soon).order_id
    let_die(pit)
    assert place(pit.bob, BUY, 101, 2, tif=tif, **terms).cum == cum
    assert gone(pit, 1).count(dead) == (1 if cum else 0), "a walk ends none"
    pit.venue.check()


def test_a_market_buy_pays_for_living_lots_only(pit):
    short(pit.alice, SELL, 101, 5, at=pit.soon)
    pit.alice.submit(SELL, 110, 1)
    poor = pit.venue.attach(3)
    poor.deposit(2, 109)
    let_die(pit)
    assert poor.submit(BUY, 0, 1, IOC).reason == RejectReason.INSUFFICIENT_FUNDS
    poor.deposit(2, 1)
    budget = place(poor, BUY, 0, 0, MARKET, tif=FOK, budget=110)
    assert (budget.cum, budget.quote_total) == (1, 110)
    pit.venue.check()


def test_post_only_passes_the_dead_and_leaves_no_crossed_book(pit):
    dead = short(pit.alice, SELL, 101, 5, at=pit.soon).order_id
    let_die(pit)
    placed = pit.bob.submit(BUY, 101, 1, post_only=True)
    assert (placed.reason, placed.leaves) == (0, 1)
    assert dead in gone(pit, 1)
    book = pit.alice.book()
    assert (book.bids, book.asks) == ([(101, 1, 1)], [])
    pit.venue.check()


def test_a_pair_ends_the_dead_that_it_would_stand_against(pit):
    dead = short(pit.bob, BUY, 101, 5, at=pit.soon).order_id
    let_die(pit)
    pair = pit.alice.get(OcoResponse, SubmitOco(pit.alice.next_id(), 1, SELL, 1, 101, 90))
    assert pair.reason == 0
    assert dead in gone(pit, 2)
    pit.venue.check()


def test_one_s_own_dead_order_prevents_nothing(pit):
    dead = short(pit.bob, SELL, 101, 5, at=pit.soon).order_id
    pit.alice.submit(SELL, 102, 1)
    let_die(pit)
    bought = place(pit.bob, BUY, 102, 1, self_trade=1)
    assert (bought.cum, bought.reason) == (1, 0)
    assert dead in gone(pit, 2)
    pit.venue.check()


def test_the_clearing_is_that_of_the_living_and_an_uncross_waits(pit):
    pit.alice.ask(SetStatus(pit.alice.next_id(), 1, CALL))
    pit.bob.submit(BUY, 100, 3)
    pit.alice.submit(SELL, 100, 1)
    short(pit.alice, SELL, 95, 2, at=pit.soon)
    let_die(pit)
    pit.alice.deposit(1, 1)
    shown = pit.alice.get(InstrumentReply, GetInstrument(1, 1))
    assert shown.open_orders == 3
    assert pit.alice.book().asks == [(95, 2, 1), (100, 1, 1)]
    row = (shown.indicative_price, shown.indicative_volume, shown.indicative_surplus)
    assert row == (100, 1, 2)
    sequence = pit.venue.core.last_sequence
    refused = pit.alice.refused(Uncross(pit.alice.next_id(), 1))
    assert refused.code == ErrorCode.BUSY
    assert pit.venue.core.last_sequence == sequence + 1, "a tick: time acts with a command only"
    pit.venue.check()
    for _ in range(CROWD):
        pit.venue.pass_time(1)
    assert pit.alice.ask(Uncross(pit.alice.next_id(), 1)).volume == 1
    pit.venue.check()


def test_a_stop_that_is_dead_when_its_turn_comes_ends_as_expired(pit):
    pit.bob.submit(BUY, 90, 9)
    stop = short(pit.alice, SELL, 0, 1, at=pit.soon, kind=STOP, stop_price=90).order_id
    let_die(pit)
    pit.bob.submit(SELL, 90, 1)
    assert stop in gone(pit, 1)
    assert pit.reports(1, ExecType.TRIGGERED) == []
    pit.venue.check()


def test_naming_a_dead_order_ends_it_first(pit):
    ids = [
        short(pit.bob, BUY, 90, 2, at=pit.soon, client_order_id=number).order_id
        for number in (7, 8, 9)
    ]
    let_die(pit)
    assert pit.bob.cancel(ids[0]).reason == RejectReason.UNKNOWN_ORDER
    replaced = ReplaceOrder(pit.bob.next_id(), 0, 8, leaves_quantity=1)
    assert pit.bob.ask(replaced).reason == RejectReason.UNKNOWN_ORDER
    again = place(pit.bob, BUY, 91, 1, client_order_id=9)
    assert again.reason == 0
    assert gone(pit, 2) == ids
    pit.venue.check()


def test_naming_a_dead_hold_ends_it_first(pit):
    for number in (4, 5, 6):
        lock = LockBalance(pit.bob.next_id(), 1, 7, hold_id=number, expires_ns=pit.soon)
        assert pit.bob.ask(lock).reason == 0
    short_lived = LockBalance(pit.alice.next_id(), 1, 7, hold_id=1, expires_ns=pit.soon - 1)
    assert pit.alice.ask(short_lived).reason == 0
    let_die(pit)
    released = pit.bob.ask(ReleaseHold(pit.bob.next_id(), 4))
    assert released.reason == RejectReason.UNKNOWN_HOLD
    captured = pit.bob.ask(CaptureHold(pit.bob.next_id(), 6, 1, 1))
    assert captured.reason == RejectReason.UNKNOWN_HOLD
    lock = LockBalance(pit.bob.next_id(), 1, 9, hold_id=5)
    assert pit.bob.ask(lock).reason == 0
    assert pit.bob.money(1)[2] == 9
    pit.venue.check()


def test_an_order_before_too_many_dead_is_busy_and_a_stop_waits_for_them(pit):
    pit.venue.limit(dead=3)
    ids = [short(pit.bob, BUY, 99, 1, at=pit.soon).order_id for _ in range(4)]
    pit.bob.submit(BUY, 90, 5)
    let_die(pit)
    for price, flags in ((90, 0), (99, ORDER_POST_ONLY)):
        order = SubmitOrder(pit.alice.next_id(), 1, 0, SELL, LIMIT, GTC, price, 1, flags)
        assert pit.alice.refused(order).code == ErrorCode.BUSY
    pair = SubmitOco(pit.alice.next_id(), 1, SELL, 1, 99, 80)
    assert pit.alice.refused(pair).code == ErrorCode.BUSY
    assert pit.alice.submit(SELL, 100, 1).reason == 0, "it would come to none"
    stop = place(pit.alice, SELL, 0, 1, STOP, stop_price=100).order_id
    assert pit.reports(1, ExecType.TRIGGERED) == []
    assert pit.unfinished
    twin = pit.venue.restored()
    output = pit.venue.apply()
    assert listed(twin.apply(Batch(pit.venue.time_ns, []))) == output
    assert output.next_due_ns == DUE_AT_ONCE
    for order_id in ids[:1]:
        assert pit.bob.cancel(order_id).reason == RejectReason.UNKNOWN_ORDER
    pit.venue.apply()
    assert [order_id for _, order_id in pit.reports(1, ExecType.TRIGGERED)] == [stop]
    assert pit.alice.book().last_price == 90
    pit.venue.check()


@pytest.mark.parametrize(
    ("policy", "lots", "comes_to_them"),
    [
        (SelfTrade.NONE, 1, False),
        (SelfTrade.CANCEL_TAKER, 9, False),
        (SelfTrade.CANCEL_MAKER, 1, True),
        (SelfTrade.CANCEL_BOTH, 9, False),
        (SelfTrade.DECREMENT, 1, False),
        (SelfTrade.DECREMENT, 2, True),
    ],
)
def test_one_s_own_order_hides_no_dead(pit, policy, lots, comes_to_them):
    """Lots that the self-trade rule cancels are none that an order gets."""
    pit.venue.limit(dead=3)
    pit.bob.submit(SELL, 101, 1)
    ids = [short(pit.alice, SELL, 102, 1, at=pit.soon).order_id for _ in range(6)]
    pit.alice.submit(SELL, 103, 9)
    let_die(pit)
    order = SubmitOrder(pit.bob.next_id(), 1, 0, BUY, LIMIT, IOC, 103, lots, 0, policy)
    if comes_to_them:
        assert pit.bob.refused(order).code == ErrorCode.BUSY
    else:
        answer = pit.bob.ask(order)
        assert answer.cum + answer.canceled == lots
        assert not set(gone(pit, 1)) & set(ids)
    pit.venue.check()


def test_an_iceberg_hides_no_dead(pit):
    """What it hides comes behind all that stand at its price."""
    pit.venue.limit(dead=3)
    place(pit.bob, SELL, 101, 10, display_quantity=1)
    for _ in range(4):
        short(pit.alice, SELL, 101, 1, at=pit.soon)
    let_die(pit)
    order = SubmitOrder(pit.alice.next_id(), 1, 0, BUY, LIMIT, IOC, 101, 2)
    assert pit.alice.refused(order).code == ErrorCode.BUSY
    assert place(pit.alice, BUY, 101, 1, tif=IOC).cum == 1, "it comes to none"
    pit.venue.check()


def test_the_market_goes_on_between_the_parts(pit):
    let_die(pit)
    expired = len(gone(pit, 1))
    for number in range(5):
        assert pit.bob.ask(Deposit(pit.bob.next_id(), 1, 1)).reason == 0
        assert len(gone(pit, 1)) == expired + number + 1
    reports = [r for r in pit.venue.private[1] if isinstance(r, OrderReport | ExecutionReport)]
    assert {r.reason for r in reports if r.exec_type == ExecType.EXPIRED} == {CancelReason.EXPIRED}
