"""Private reports: what a user is told about orders, holds and accounts, in order, how often."""

import pytest

from hpe.protocol.codes import CancelReason, RejectReason
from hpe.protocol.enums import ExecType, HoldChange, OrderType, SelfTrade, Side, TimeInForce
from hpe.protocol.limits import REPORTS_PER_UPDATE_MAX
from hpe.protocol.money import CaptureHold, LockBalance, ReleaseHold, UnlockBalance
from hpe.protocol.orders import MassCancel, OcoResponse, ReplaceOrder, SubmitOco, SubmitOrder
from hpe.protocol.reports import ExecutionReport, HoldReport, OrderReport, PreventedMatch
from tests.support.core_driver import bodies_of
from tests.support.core_parts import place
from tests.support.listed import listed

LIMIT, STOP, STOP_LIMIT = OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT
GTC, IOC, FOK, GTD = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD
NEW, REPLACED, TRIGGERED = ExecType.NEW, ExecType.REPLACED, ExecType.TRIGGERED
CANCELED, EXPIRED = ExecType.CANCELED, ExecType.EXPIRED


class OneUsersReports:
    """What one user is told, from when it was made."""

    def __init__(self, client):
        self.client = client
        self.user = client.user
        self.venue = client.venue
        self.take()

    def take(self):
        """Return the reports since last time, balances excepted."""
        told = self.venue.private.get(self.user, [])
        fresh, self.seen = told[getattr(self, "seen", 0) :], len(told)
        return fresh

    def kinds(self):
        """Return the kinds of the reports since last time."""
        return [ExecType(getattr(report, "exec_type", 0)) for report in self.take()]


@pytest.fixture
def mine(client):
    return OneUsersReports(client)


@pytest.fixture
def theirs(other):
    return OneUsersReports(other)


def quantities(report):
    return report.leaves, report.cum, report.canceled


# --- accepted orders ----------------------------------------------------------------------------


def test_an_accepted_order_is_told_before_its_fills(client, other, mine):
    other.submit(Side.SELL, 100, 5)
    response = client.submit(Side.BUY, 100, 8, client_order_id=77)
    new, fill = mine.take()
    assert isinstance(new, OrderReport)
    assert (new.exec_type, new.status, new.reason, new.request_id) == (NEW, 0, 0, 0)
    assert (new.order_id, new.client_order_id, new.instrument) == (response.order_id, 77, 1)
    assert quantities(new) == (8, 0, 0)
    assert (new.order_type, new.price, new.stop_price, new.side) == (LIMIT, 100, 0, Side.BUY)
    assert (new.sequence, new.time_ns) == (response.sequence, response.time_ns)
    assert isinstance(fill, ExecutionReport)
    assert client.events == [], "only the stream tells of it"
    assert client.fills == [fill]


@pytest.mark.parametrize(
    ("terms", "kind", "price", "quantity", "leaves", "stop_price"),
    [
        ({"stop_price": 120}, STOP_LIMIT, 121, 5, 5, 120),
        ({"stop_price": 120, "budget": 900}, STOP, 0, 0, 0, 120),
        ({"trail": 7, "budget": 900}, STOP, 0, 0, 0, 107),
    ],
)
def test_an_accepted_stop_tells_its_trigger(
    client, other, mine, terms, kind, price, quantity, leaves, stop_price
):
    other.submit(Side.SELL, 100, 1)
    client.submit(Side.BUY, 100, 1)
    mine.take()
    place(client, Side.BUY, price, quantity, kind, **terms)
    (new,) = mine.take()
    assert (new.exec_type, new.status, new.order_type) == (NEW, 0, kind)
    assert (new.leaves, new.price, new.stop_price) == (leaves, price, stop_price)


def test_a_trailing_stop_tells_the_trigger_that_it_has_reached(client, other, mine):
    other.submit(Side.SELL, 100, 1)
    client.submit(Side.BUY, 100, 1)
    stop = place(client, Side.SELL, 0, 5, STOP, trail=7)
    other.submit(Side.SELL, 110, 1)
    client.submit(Side.BUY, 110, 1)
    mine.take()
    client.cancel(stop.order_id)
    (ended,) = mine.take()
    assert (ended.exec_type, ended.stop_price) == (CANCELED, 103)


def test_an_order_by_budget_is_told_without_lots(client, other, mine):
    other.submit(Side.SELL, 100, 5)
    place(client, Side.BUY, 0, 0, OrderType.MARKET, IOC, budget=350)
    new, fill = mine.take()
    assert (new.exec_type, new.status, *quantities(new)) == (NEW, 0, 0, 0, 0)
    assert (fill.last_quantity, fill.leaves, fill.cum) == (3, 0, 3)


def test_both_orders_of_a_pair_are_told_the_limit_first(client, mine):
    command = SubmitOco(client.next_id(), 1, Side.SELL, 5, 120, 80, user=0)
    pair = client.get(OcoResponse, command)
    limit, stop = mine.take()
    assert (limit.order_id, stop.order_id) == (pair.limit_order_id, pair.stop_order_id)
    assert [(r.exec_type, r.leaves, r.request_id) for r in (limit, stop)] == [(NEW, 5, 0)] * 2
    assert (limit.order_type, limit.price, limit.stop_price) == (LIMIT, 120, 0)
    assert (stop.order_type, stop.price, stop.stop_price) == (STOP, 0, 80)


def test_a_reject_tells_nothing(client, mine):
    before = len(client.venue.balances[1])
    assert client.submit(Side.BUY, 100, 10**7).reason == RejectReason.INSUFFICIENT_FUNDS
    assert client.cancel(999).reason == RejectReason.UNKNOWN_ORDER
    lock = LockBalance(client.next_id(), 1, 10**9, 0, 3)
    assert client.ask(lock).reason == RejectReason.INSUFFICIENT_FUNDS
    assert mine.take() == []
    assert len(client.venue.balances[1]) == before


# --- ended orders -------------------------------------------------------------------------------


def test_a_cancel_is_told_although_the_response_says_it(client, mine):
    order = client.submit(Side.BUY, 100, 5)
    mine.take()
    response = client.cancel(order.order_id)
    (report,) = mine.take()
    assert (report.exec_type, report.reason, report.request_id) == (CANCELED, 101, 0)
    assert (report.status, *quantities(report)) == (4, 0, 0, 5)
    assert report.sequence == response.sequence
    assert client.events == []


@pytest.mark.parametrize(
    ("tif", "quantity", "minimum", "kinds", "reason"),
    [
        (IOC, 8, 0, [NEW, ExecType.TRADE, CANCELED], CancelReason.IOC_REMAINDER),
        (FOK, 8, 0, [NEW, CANCELED], CancelReason.FOK_NOT_FILLABLE),
        (GTC, 8, 6, [NEW, CANCELED], CancelReason.MINIMUM_NOT_FILLABLE),
    ],
)
def test_what_ends_on_arrival_is_told_last(
    client, other, mine, tif, quantity, minimum, kinds, reason
):
    other.submit(Side.SELL, 100, 5)
    terms = {"minimum_quantity": minimum} if minimum else {}
    response = place(client, Side.BUY, 100, quantity, LIMIT, tif, **terms)
    reports = mine.take()
    assert [report.exec_type for report in reports] == kinds
    assert (response.reason, reports[-1].reason) == (reason, reason)
    assert quantities(reports[-1]) == (response.leaves, response.cum, response.canceled)


def test_a_market_order_that_finds_too_little(client, other, mine):
    other.submit(Side.SELL, 100, 5)
    client.submit(Side.BUY, 0, 8, IOC)
    *_, ended = mine.take()
    assert (ended.reason, *quantities(ended)) == (CancelReason.NO_LIQUIDITY, 0, 5, 3)


def test_a_filled_order_has_no_other_end_than_its_last_fill(client, other, mine, theirs):
    other.submit(Side.SELL, 100, 5)
    client.submit(Side.BUY, 100, 5)
    assert mine.kinds() == theirs.kinds() == [NEW, ExecType.TRADE]


def test_an_expired_order_is_told_once(client, mine):
    venue = client.venue
    until = venue.time_ns + 100
    place(client, Side.BUY, 100, 5, LIMIT, GTD, expires_ns=until)
    mine.take()
    venue.pass_time(100)
    (report,) = mine.take()
    assert (report.exec_type, report.status, report.reason) == (EXPIRED, 12, 110)
    assert (report.sequence, report.time_ns) == (venue.core.last_sequence, venue.time_ns)


def test_orders_that_self_trade_ends_are_told_after_the_prevented_match(client, mine):
    maker = client.submit(Side.SELL, 100, 5)
    mine.take()
    taker = place(client, Side.BUY, 100, 8, self_trade=SelfTrade.CANCEL_BOTH)
    new, prevented, *ended = mine.take()
    assert new.exec_type == NEW
    assert isinstance(prevented, PreventedMatch)
    assert prevented.request_id == taker.request_id
    assert [report.order_id for report in ended] == [maker.order_id, taker.order_id]
    assert {(r.exec_type, r.reason, r.request_id, r.leaves) for r in ended} == {
        (CANCELED, CancelReason.SELF_TRADE, 0, 0)
    }
    assert client.events == [prevented]


def test_a_decremented_maker_that_goes_on_has_no_report_of_its_own(client, mine):
    client.submit(Side.SELL, 100, 5)
    mine.take()
    taker = place(client, Side.BUY, 100, 3, self_trade=SelfTrade.DECREMENT)
    _new, prevented, ended = mine.take()
    assert (prevented.maker_leaves, prevented.taker_leaves) == (2, 0)
    assert (ended.order_id, ended.reason, ended.canceled) == (taker.order_id, 107, 3)


def test_the_other_leg_is_told_bare_the_canceled_one_is_not(client, mine):
    pair = client.get(OcoResponse, SubmitOco(client.next_id(), 1, Side.SELL, 5, 120, 80))
    mine.take()
    response = client.cancel(pair.limit_order_id)
    limit, stop = mine.take()
    assert (limit.order_id, limit.reason, limit.request_id) == (pair.limit_order_id, 101, 0)
    assert (stop.order_id, stop.reason) == (pair.stop_order_id, CancelReason.LINKED)
    assert stop.request_id == response.request_id
    assert client.events == [stop]


def test_mass_cancel_tells_its_own_user_bare_and_others_in_their_streams(
    client, other, mine, theirs
):
    client.submit(Side.BUY, 100, 5)
    other.submit(Side.BUY, 100, 5)
    mine.take(), theirs.take()
    command = MassCancel(client.next_id(), all_users=True)
    client.ask(command)
    (report,), (distant,) = mine.take(), theirs.take()
    assert (report.reason, report.request_id) == (CancelReason.MASS_CANCEL, command.request_id)
    assert (distant.reason, distant.request_id) == (CancelReason.MASS_CANCEL, 0)
    assert client.events == [report]


# --- changed orders -----------------------------------------------------------------------------


def test_a_replace_is_told_as_the_order_is_before_it_trades(client, other, mine):
    other.submit(Side.SELL, 100, 5)
    order = client.submit(Side.BUY, 90, 8)
    mine.take()
    response = client.replace(order.order_id, quantity=9, price=100)
    replaced, fill = mine.take()
    assert (replaced.exec_type, replaced.status, replaced.request_id) == (REPLACED, 0, 0)
    assert (replaced.price, *quantities(replaced)) == (100, 9, 0, 0)
    assert (fill.leaves, fill.cum) == (4, 5)
    assert response.leaves == 4
    assert client.events == []


def test_a_partly_filled_order_that_is_replaced(client, other, mine):
    order = client.submit(Side.BUY, 100, 8)
    other.submit(Side.SELL, 100, 3)
    mine.take()
    client.replace(order.order_id, leaves_quantity=2)
    (replaced,) = mine.take()
    assert (replaced.exec_type, replaced.status) == (REPLACED, 1)
    assert quantities(replaced) == (2, 3, 0)


def test_a_stop_that_is_replaced_tells_its_new_trigger(client, mine):
    stop = place(client, Side.SELL, 0, 5, STOP, stop_price=80)
    mine.take()
    client.replace(stop.order_id, quantity=5, stop_price=70)
    (replaced,) = mine.take()
    assert (replaced.exec_type, replaced.stop_price, replaced.leaves) == (REPLACED, 70, 5)


def test_a_replace_to_nothing_only_cancels(client, mine):
    order = client.submit(Side.BUY, 100, 8)
    mine.take()
    client.replace(order.order_id, leaves_quantity=0)
    (report,) = mine.take()
    assert (report.exec_type, report.reason) == (CANCELED, CancelReason.REPLACED_AWAY)
    assert quantities(report) == (0, 0, 8)


def test_a_fired_stop_tells_its_trigger_then_trades_then_ends(client, other, mine):
    stop = place(client, Side.SELL, 0, 5, STOP, stop_price=95)
    other.submit(Side.BUY, 95, 3)
    mine.take()
    client.submit(Side.SELL, 95, 1)
    new, sold, triggered, fill, ended = mine.take()
    assert (new.exec_type, sold.request_id != 0) == (NEW, True)
    assert (triggered.exec_type, triggered.order_id) == (TRIGGERED, stop.order_id)
    assert (triggered.stop_price, triggered.reason, triggered.leaves) == (95, 0, 5)
    assert (fill.order_id, fill.last_quantity, fill.request_id) == (stop.order_id, 2, 0)
    assert (ended.exec_type, ended.reason) == (CANCELED, CancelReason.NO_LIQUIDITY)
    assert quantities(ended) == (0, 2, 3)


# --- holds --------------------------------------------------------------------------------------


def test_a_named_hold_from_lock_to_end(client, mine, theirs):
    ask = client.ask
    until = client.venue.time_ns + 1_000
    ask(LockBalance(client.next_id(), 1, 100, 0, 7, until))
    ask(CaptureHold(client.next_id(), 7, 30, 2))
    ask(ReleaseHold(client.next_id(), 7, 20))
    client.venue.pass_time(1_000)
    reports = mine.take()
    assert all(isinstance(report, HoldReport) for report in reports)
    assert [(r.change, r.amount, r.remaining) for r in reports] == [
        (HoldChange.LOCKED, 100, 100),
        (HoldChange.CAPTURED, 30, 70),
        (HoldChange.RELEASED, 20, 50),
        (HoldChange.EXPIRED, 50, 0),
    ]
    assert {(r.hold_id, r.asset, r.expires_ns, r.request_id) for r in reports} == {(7, 1, until, 0)}
    assert reports[-1].sequence == client.venue.core.last_sequence
    assert theirs.take() == [], "the receiver is told of its own account only"


def test_the_whole_of_a_hold_is_released(client, mine):
    client.ask(LockBalance(client.next_id(), 1, 100, 0, 7))
    client.ask(ReleaseHold(client.next_id(), 7))
    *_, released = mine.take()
    assert (released.change, released.amount, released.remaining) == (HoldChange.RELEASED, 100, 0)


def test_money_held_without_an_id_makes_no_hold_report(client, mine):
    client.ask(LockBalance(client.next_id(), 1, 100))
    client.ask(UnlockBalance(client.next_id(), 1, 100))
    assert mine.take() == []


def test_a_hold_is_told_to_its_owner_whoever_changes_it(client, other, mine, theirs):
    client.ask(LockBalance(client.next_id(), 1, 100, other.user, 7))
    client.ask(CaptureHold(client.next_id(), 7, 100, client.user, other.user))
    assert [report.change for report in theirs.take()] == [HoldChange.LOCKED, HoldChange.CAPTURED]
    assert mine.take() == []


# --- the frames ---------------------------------------------------------------------------------


def test_many_reports_of_one_user_come_in_several_frames(client, mine):
    count = REPORTS_PER_UPDATE_MAX + 10
    half = count // 2
    for start in range(0, count, half):
        requests = [
            SubmitOrder(100 + start + n, 1, 0, Side.BUY, LIMIT, GTC, 7, 1) for n in range(half)
        ]
        client.venue.apply(client.run(*requests))
    output = client.venue.apply(client.run(MassCancel(9_999, all_users=True)))
    rows = [(first, last) for user, first, last, _ in output.private]
    assert [last - first + 1 for first, last in rows] == [REPORTS_PER_UPDATE_MAX, 11]
    assert rows[0][1] + 1 == rows[1][0]
    assert all(len(bodies_of(frame)) == 1 for *_, frame in output.private)
    assert [r.order_id for r in mine.take()[-count:]] == list(range(1, count + 1))


def test_replaying_gives_the_same_streams(client, other):
    venue = client.venue
    other.submit(Side.SELL, 7, 2)
    bodies = len(venue.bodies)
    order = SubmitOrder(9, 1, 0, Side.BUY, LIMIT, GTC, 7, 3)
    output = venue.apply(client.run(order, ReplaceOrder(10, 2, 0, 2)))
    core = venue.new_core()
    for body in venue.bodies[:bodies]:
        core.replay(body)
    assert listed(core.replay(venue.bodies[-1])).private == output.private


def test_the_last_number_is_told_at_logon(client, other):
    venue = client.venue
    client.submit(Side.BUY, 100, 5)
    count = len(venue.private[1]) + len(venue.balances[1])
    assert venue.try_attach(1).private_sequence == count
    assert venue.try_attach(99).private_sequence == 0
