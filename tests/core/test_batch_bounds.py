"""Bounds of a batch: expiry, searches and queries in parts, and a restart between two parts."""

import queue
import sys

import pytest

from hpe.core.contract import DUE_AT_ONCE, SYSTEM_CONNECTION, Batch, Run
from hpe.core.state.rows import DumpedEnded, DumpedUser
from hpe.pipeline.clock import Clock
from hpe.pipeline.matching import Matching
from hpe.pipeline.matching_thread import STOP, run
from hpe.protocol.codes import CancelReason, ErrorCode, RejectReason
from hpe.protocol.enums import ExecType, OrderType, SelfTrade, Side, TimeInForce
from hpe.protocol.frames import chunk_of
from hpe.protocol.internal import Continue, Tick
from hpe.protocol.money import Deposit, LockBalance
from hpe.protocol.operations import (
    BlockUser,
    GetStateHash,
    SetFees,
    SetStatus,
    StateHashReply,
    Uncross,
)
from hpe.protocol.orders import GetOrder, MassCancel, OrderReply, OrderTerms, SubmitOco, SubmitOrder
from tests.support.core_driver import frames_of
from tests.support.core_parts import place
from tests.support.core_pit import Pit, limit_effort, limit_fills, limit_stops, logged
from tests.support.dumps import rows_of
from tests.support.hand_set_clock import HandSetClock
from tests.support.meter import asked_by, spent_by

BUY, SELL = Side
GTC, IOC, FOK, GTD = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD
STOP_ORDER = OrderType.STOP
HALTED, CALL = 3, 4


# --- expiry ---------------------------------------------------------------------------------------


def ten_that_expire(pit):
    soon = pit.venue.time_ns + 10**6
    ids = [place(pit.bob, BUY, 50, 1, tif=GTD, expires_ns=soon).order_id for _ in range(9)]
    hold = LockBalance(pit.bob.next_id(), 1, 7, hold_id=5, expires_ns=soon)
    assert pit.bob.ask(hold).reason == 0
    return ids


def test_many_that_expire_do_so_in_parts_with_commands_between(pit):
    ids = ten_that_expire(pit)
    venue = pit.venue
    venue.limit(acts=(4, 4, 4, 4, 4))
    venue.time_ns += 2 * 10**6
    for count in (4, 8):
        output = venue.apply(pit.alice.run(Deposit(pit.alice.next_id(), 1, 1)))
        (deposited,) = pit.alice.replies(output)
        assert deposited.reason == 0
        assert output.next_due_ns == DUE_AT_ONCE
        expired = pit.reports(2, ExecType.EXPIRED)
        assert [order_id for _, order_id in expired] == ids[:count]
        assert {sequence for sequence, _ in expired[-4:]} == {deposited.sequence}
    assert pit.bob.money(1)[2] == 0, "the hold has a bound of its own"
    assert venue.apply(pit.alice.run(Deposit(pit.alice.next_id(), 1, 1))).next_due_ns == 0
    assert [order_id for _, order_id in pit.reports(2, ExecType.EXPIRED)] == ids
    assert not any(Continue in kinds for body in venue.bodies for _, kinds in logged(body))


def test_what_was_due_during_an_uncross_ends_before_stops_have_their_turn(pit):
    """A stop that the uncross fires may not trade with an order whose time had come."""
    pit.alice.ask(SetStatus(pit.alice.next_id(), 1, CALL))
    for _ in range(5):
        pit.alice.submit(SELL, 100, 1)
        pit.bob.submit(BUY, 100, 1)
    soon = pit.venue.time_ns + 100
    due = place(pit.bob, BUY, 90, 5, tif=GTD, expires_ns=soon).order_id
    (stop,) = pit.sell_stops(1, trigger=100)
    limit_fills(pit, 4)
    limit_effort(pit, 4)
    pit.alice.ask(Uncross(pit.alice.next_id(), 1))
    pit.venue.pass_time(1_000)
    pit.finish()
    assert [order_id for _, order_id in pit.reports(2, ExecType.EXPIRED)] == [due]
    (canceled,) = [report for report in pit.venue.private[1] if report.order_id == stop][-1:]
    assert (canceled.exec_type, canceled.cum) == (ExecType.CANCELED, 0)
    assert canceled.reason == CancelReason.NO_LIQUIDITY
    pit.venue.check()


# --- a state in which something goes on -----------------------------------------------------------


def left_over(pit):
    """Fire ten stops of which each command gives two their turn."""
    pit.bob.submit(BUY, 90, 20)
    pit.sell_stops(10)
    limit_stops(pit, 2)
    limit_effort(pit, 4)
    pit.bob.send(pit.set_off())
    assert pit.unfinished


def test_a_start_in_the_middle_logs_everything_that_it_does(pit):
    """The matching thread must not execute anything whose body it does not hand to the log."""
    left_over(pit)
    core, bodies = pit.venue.replayed(), list(pit.venue.bodies)
    inbox: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
    log_inbox = queue.SimpleQueue()
    for _ in range(200):
        run_of_tick = Run(SYSTEM_CONNECTION, 0, 0, chunk_of(frames_of([Tick(1)])))
        inbox.put(Batch(0, [run_of_tick]))
    inbox.put(STOP)
    run(Matching(core, Clock(0, read=HandSetClock())), inbox, log_inbox, lambda: None)
    while not log_inbox.empty():
        bodies.append(log_inbox.get().body)
    again = pit.venue.new_core(pit.venue.limits)
    for body in bodies:
        assert again.replay(body).body == body
    assert again.state_hash() == core.state_hash()
    assert not core.unfinished


def test_stops_that_ended_in_the_queue_leave_nothing_to_go_on_with(new_core):
    """The only stop left in the queue was canceled there: a core from the dump knows none."""
    pit = Pit(new_core)
    pit.trade_at(100)
    pit.alice.ask(SubmitOco(pit.alice.next_id(), 1, SELL, 1, 115, 86))
    pit.alice.submit(SELL, 85, 1)
    pit.alice.submit(SELL, 110, 1)
    place(pit.bob, BUY, 0, 0, STOP_ORDER, stop_price=110, budget=10**6)
    limit_effort(pit, 6)
    pit.bob.submit(BUY, 110, 2)
    restored = pit.venue.restored()
    assert restored.state_hash() == pit.venue.core.state_hash()
    assert restored.unfinished == pit.venue.core.unfinished
    pit.venue.pass_time(1)
    run_of_tick = Run(SYSTEM_CONNECTION, 0, 0, chunk_of(frames_of([Tick(1)])))
    assert restored.apply(Batch(pit.venue.time_ns, [run_of_tick])).body == pit.venue.bodies[-1]


# --- walks ----------------------------------------------------------------------------------------


def test_a_small_order_walks_no_more_of_a_large_level_than_it_takes(pit):
    for _ in range(200):
        pit.alice.submit(SELL, 100, 1)
    kind, limit = OrderType.MARKET, OrderType.LIMIT
    market = SubmitOrder(
        pit.bob.next_id(), 1, 0, BUY, kind, IOC, 0, 1, self_trade=SelfTrade.CANCEL_MAKER
    )
    assert spent_by(pit.bob, market) == 4
    assert pit.bob.ask(market).cum == 1
    place(pit.alice, SELL, 100, 50, display_quantity=1)
    killed = SubmitOrder(pit.bob.next_id(), 1, 0, BUY, limit, FOK, 100, 1)
    assert spent_by(pit.bob, killed) < 10
    assert pit.bob.ask(killed).cum == 1


def test_a_level_of_more_orders_than_one_may_fill_still_fills_a_few(pit):
    for _ in range(10):
        pit.alice.submit(SELL, 100, 1)
    pit.venue.limit(fills=5)
    assert place(pit.bob, BUY, 100, 5, tif=FOK).cum == 5
    assert place(pit.bob, BUY, 100, 5, tif=FOK).cum == 5
    for _ in range(10):
        pit.alice.submit(SELL, 100, 1)
    assert place(pit.bob, BUY, 100, 6, tif=FOK).reason == CancelReason.FOK_NOT_FILLABLE


@pytest.mark.parametrize("terms", [None, OrderTerms(minimum_quantity=3), OrderTerms(budget=700)])
def test_a_deep_iceberg_does_not_stand_in_the_way_of_a_small_order(pit, terms):
    """Only the slices that it would take count against what one order may fill."""
    pit.venue.limit(fills=10)
    place(pit.alice, SELL, 100, 50, display_quantity=1)
    budget = terms is not None and terms.budget > 0
    kind, price = (OrderType.MARKET, 0) if budget else (OrderType.LIMIT, 100)
    tif = IOC if terms is not None and terms.minimum_quantity else FOK
    quantity = 0 if budget else 7
    number = pit.bob.next_id()
    response = pit.bob.ask(SubmitOrder(number, 1, 0, BUY, kind, tif, price, quantity, 0, 0, terms))
    assert (response.cum, response.reason) == (7, 0)
    pit.venue.check()


def test_what_looks_at_much_counts_as_much(pit):
    for user in range(10, 60):
        pit.alice.ask(Deposit(pit.alice.next_id(), 1, 1, user))
    assert spent_by(pit.alice, MassCancel(10**6, all_users=True, side=int(BUY))) >= 50
    for user in range(10, 60):
        pit.alice.ask(SetFees(pit.alice.next_id(), 1, 0, 0, user))
    assert spent_by(pit.alice, SetFees(10**6, 1, 0, 0, 59)) >= 49


def test_a_market_buy_pays_for_all_that_it_may_fill(pit):
    """The walk of its cost may not end before the level in which the last fill is."""
    pit.venue.limit(fills=5)
    for price in (100, 101):
        for _ in range(4):
            pit.alice.submit(SELL, price, 1)
    poor = pit.venue.attach(3)
    poor.deposit(2, 4 * 100)
    assert poor.submit(BUY, 0, 5, IOC).reason == RejectReason.INSUFFICIENT_FUNDS
    poor.deposit(2, 101)
    assert poor.submit(BUY, 0, 5, IOC).quote_total == 501
    pit.venue.check()


# --- queries and refused pairs --------------------------------------------------------------------


def test_queries_that_walked_enough_make_the_next_busy(pit):
    first, second = pit.alice.send(GetStateHash(1), GetStateHash(1))
    assert isinstance(first, StateHashReply)
    assert second.code == ErrorCode.BUSY
    (third,) = pit.alice.send(GetStateHash(1))
    assert third == first


def test_an_order_id_that_was_never_given_is_not_searched_for(pit):
    ended = len(rows_of(pit.venue.core, DumpedEnded))
    for order_id, walked in ((10**9, 0), (1, ended)):
        query = GetOrder(1, order_id, user=3)
        assert pit.alice.get(OrderReply, query).reason == RejectReason.UNKNOWN_ORDER
        assert asked_by(pit.alice, query) == walked
    assert ended > 0


def test_stops_that_an_uncross_moves_count_in_that_command(pit):
    """What is left to be counted is in no dump: a restored core would count less."""
    for peak in (100, 99, 98):
        pit.trade_at(peak)
        place(pit.alice, SELL, 0, 1, STOP_ORDER, trail=50)
    pit.alice.ask(SetStatus(pit.alice.next_id(), 1, CALL))
    pit.alice.submit(SELL, 105, 1)
    pit.bob.submit(BUY, 105, 1)
    uncross = Uncross(pit.alice.next_id(), 1, next_status=HALTED)
    assert spent_by(pit.alice, uncross) >= 2 + 2
    pit.alice.ask(uncross)
    assert pit.alice.book().last_price == 105
    pit.venue.check()


def test_refused_pairs_leave_nothing_in_memory(pit):
    """Orders are none of the collector's business: a cycle in one would stay forever."""
    poor = pit.venue.attach(4)

    def refuse(count):
        pairs = [SubmitOco(poor.next_id(), 1, SELL, 1, 115, 86) for _ in range(count)]
        assert {reply.reason for reply in poor.send(*pairs)} == {RejectReason.INSUFFICIENT_FUNDS}

    refuse(1_000)  # as many: Python keeps freed tuples for those that come
    before = sys.getallocatedblocks()
    refuse(1_000)
    assert sys.getallocatedblocks() - before < 500
    assert poor.money(1) == (0, 0, 0)


def test_a_stray_mass_cancel_or_unblock_opens_nobody(pit):
    known = rows_of(pit.venue.core, DumpedUser)
    pit.alice.ask(MassCancel(pit.alice.next_id(), user=999))
    pit.alice.ask(BlockUser(pit.alice.next_id(), 998, blocked=False))
    assert rows_of(pit.venue.core, DumpedUser) == known


def test_an_order_with_terms_is_replayed_from_its_bytes(pit):
    """Terms are an array inside the array: the log keeps the bytes as they came."""
    terms = OrderTerms(display_quantity=2)
    limit = OrderType.LIMIT
    pit.alice.ask(SubmitOrder(pit.alice.next_id(), 1, 0, SELL, limit, GTC, 120, 9, 0, 0, terms))
    assert pit.alice.book().asks == [(120, 2, 1)]
    pit.venue.check()


def test_a_budget_that_cannot_be_used_up_buys_nothing_with_fok(pit):
    """The walk that uses all its room on a whole level must look at what is behind it: nothing."""
    pair = pit.alice.list_pair(quote_atoms_per_tick=3, taker_fee_ppm=100_000)
    for trader in (pit.alice, pit.bob):
        for asset in (3, 4):
            trader.deposit(asset, 1_000)
    for trader, quantity, price in (
        (pit.bob, 5, 1), (pit.bob, 4, 1), (pit.alice, 1, 3), (pit.alice, 2, 3), (pit.alice, 2, 4),
    ):  # fmt: skip
        trader.submit(SELL, price, quantity, instrument=pair)
    pit.venue.limit(fills=5)
    terms = OrderTerms(budget=66)
    request = SubmitOrder(
        pit.bob.next_id(), pair, 0, BUY, OrderType.MARKET, FOK, 0, 0, 0, SelfTrade.CANCEL_MAKER,
        terms,
    )  # fmt: skip
    response = pit.bob.ask(request)
    assert (response.reason, response.cum) == (CancelReason.FOK_NOT_FILLABLE, 0)
    pit.venue.check()
