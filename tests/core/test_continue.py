"""Unfinished work continues in `continue`: nothing is lost, done twice, or overtaken."""

from random import Random

import pytest
from msgspec.structs import replace

from hpe.core.contract import DEFAULT_LIMITS, DUE_AT_ONCE, Batch, Limits
from hpe.core.state.rows import DumpedWaiting
from hpe.protocol.codes import CancelReason, ErrorCode, RejectReason
from hpe.protocol.enums import ExecType, InstrumentStatus, OrderType, Side, TimeInForce
from hpe.protocol.internal import Continue, Tick
from hpe.protocol.money import Deposit
from hpe.protocol.operations import SetFees, SetStatus, Uncross
from hpe.protocol.orders import (
    ListOrders,
    MassCancel,
    OrderResponse,
    OrdersReply,
    OrderTerms,
    ReplaceOrder,
    SubmitOco,
    SubmitOrder,
)
from hpe.protocol.reports import OrderReport
from tests.support.core_parts import place
from tests.support.core_pit import Pit, limit_effort, limit_stops, logged
from tests.support.dumps import rows_of
from tests.support.listed import listed

BUY, SELL = Side
GTC, IOC, FOK, GTD = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD
STOP, STOP_LIMIT = OrderType.STOP, OrderType.STOP_LIMIT
TRIGGERED = ExecType.TRIGGERED
BUSY = ErrorCode.BUSY


def test_a_body_has_a_command_when_time_ends_all_that_was_unfinished(pit):
    """Else its reports would have a sequence that nothing waits for until it is durable."""
    limit_stops(pit, 0)
    soon_ns = pit.venue.time_ns + 10**6
    place(pit.alice, SELL, 0, 1, STOP, tif=GTD, stop_price=100, expires_ns=soon_ns)
    assert pit.unfinished
    sequence, pit.venue.time_ns = pit.venue.core.last_sequence, soon_ns
    output = pit.venue.apply(pit.bob.run(ListOrders(1)))
    assert logged(output.body) == [(0, [Tick])]
    assert output.last_sequence == sequence + 1 == pit.venue.private[1][-1].sequence
    assert not pit.unfinished
    pit.venue.check()


# --- stops ----------------------------------------------------------------------------------------


def test_more_than_a_command_may_fire_goes_on_with_the_bodies_that_follow(pit):
    """1,024 in the command that traded, and in each `continue` while a batch may do so much."""
    pit.venue.limit(turns_effort=8_192)
    pit.bob.submit(BUY, 90, 5_000)
    ids = pit.sell_stops(2_100)
    request = pit.set_off()
    behind = Deposit(pit.bob.next_id(), 1, 1)
    *_, traded, deposited = pit.bob.send(request, behind)
    mine = pit.bob.session_id
    assert logged(pit.venue.bodies[-1]) == [(mine, [SubmitOrder, Deposit])]
    assert deposited.sequence == traded.sequence + 1
    pit.alice.deposit(1, 1)
    assert logged(pit.venue.bodies[-1]) == [(0, [Continue]), (pit.alice.session_id, [Deposit])]
    pit.venue.apply()
    assert logged(pit.venue.bodies[-1]) == [(0, [Continue])]
    assert not pit.unfinished
    fired = pit.reports(1, TRIGGERED)
    assert [order_id for _, order_id in fired] == ids
    at = traded.sequence
    expected = [at] * 1_024 + [at + 2] * 1_024 + [at + 4] * 52
    assert [sequence for sequence, _ in fired] == expected
    assert pit.alice.book().bids == [(90, 5_000 - 1 - 2_100, 1)]
    pit.venue.check()


@pytest.mark.parametrize("count", [1, 128, 256])
def test_as_many_runs_as_a_batch_has_frames_are_logged_behind_it(pit, count):
    """Each takes a row of what is logged; so does the `continue`, which had no room of its own."""
    limit_stops(pit, 1)
    pit.sell_stops(40)
    pit.bob.submit(BUY, 90, 100)
    pit.bob.send(pit.set_off())
    both = pit.alice, pit.bob
    runs = [both[n % 2].run(Deposit(both[n % 2].next_id(), 1, 1)) for n in range(count)]
    pit.venue.apply(*runs)
    expected = [(both[n % 2].session_id, [Deposit]) for n in range(count)]
    assert logged(pit.venue.bodies[-1]) == [(0, [Continue]), *expected]
    pit.venue.check()


def test_stops_leave_their_triggers_in_parts_as_small_as_their_turns(pit):
    pit.venue.limit(fired=20, turns_effort=5, continue_effort=0)
    ids = pit.sell_stops(60)
    pit.bob.submit(BUY, 90, 100)
    pit.bob.send(pit.set_off())
    waiting = []
    while pit.unfinished:
        waiting.append(len(rows_of(pit.venue.core, DumpedWaiting)))
        pit.venue.apply()
    assert waiting[:9] == list(range(40, -1, -5))
    assert [order_id for _, order_id in pit.reports(1, TRIGGERED)] == ids
    pit.venue.check()


@pytest.mark.parametrize(("stops", "commands"), [(4, 0), (5, 1), (8, 1), (9, 2), (1, 0)])
def test_how_many_commands_the_stops_take(pit, stops, commands):
    limit_stops(pit, 4)
    pit.bob.submit(BUY, 90, 100)
    pit.sell_stops(stops)
    bodies = len(pit.venue.bodies)
    pit.bob.send(pit.set_off())
    pit.finish()
    expected = [[(pit.bob.session_id, [SubmitOrder])], *[[(0, [Continue])]] * commands]
    assert [logged(body) for body in pit.venue.bodies[bodies:]] == expected
    assert len(pit.reports(1, TRIGGERED)) == stops
    pit.venue.check()


def test_stops_that_stops_set_off_queue_behind_all(pit):
    limit_stops(pit, 2)
    for price, quantity in ((90, 3), (89, 2), (88, 50)):
        pit.bob.submit(BUY, price, quantity)
    deep = pit.sell_stops(2, 88)
    middle = pit.sell_stops(2, 89)
    first = pit.sell_stops(3, 90)
    pit.bob.send(pit.set_off())
    bodies = len(pit.venue.bodies)
    pit.finish()
    in_turn = [order_id for _, order_id in pit.reports(1, TRIGGERED)]
    assert in_turn == [*first, *middle, *deep]
    assert len(pit.venue.bodies) == bodies + 3
    pit.venue.check()


def test_the_stop_that_fires_at_once_is_answered_before_its_turn(pit):
    limit_stops(pit, 1)
    pit.bob.submit(BUY, 90, 100)
    *_, response = pit.alice.send(
        SubmitOrder(pit.alice.next_id(), 1, 0, SELL, STOP, GTC, 0, 5, 0, 0, OrderTerms(100))
    )
    assert (response.leaves, response.cum, response.status) == (5, 0, 0)
    assert len(pit.reports(1, TRIGGERED)) == 1
    pit.venue.check()


# --- batches that are full ------------------------------------------------------------------------


def test_while_stops_stand_in_line_their_instrument_alone_is_busy(pit):
    second = pit.alice.list_pair()
    for asset in (3, 4):
        pit.bob.deposit(asset, 1_000)
    resting = pit.bob.submit(BUY, 90, 100).order_id
    pit.sell_stops(19)
    limit_stops(pit, 1)
    sequence = pit.venue.core.last_sequence
    order = SubmitOrder(pit.bob.next_id(), 1, 0, BUY, OrderType.LIMIT, GTC, 50, 1)
    request = replace(pit.set_off(), request_id=order.request_id)
    order = replace(order, request_id=pit.bob.next_id())
    elsewhere = replace(order, request_id=pit.bob.next_id(), instrument=second)
    *_, traded, busy, passed, orders = pit.bob.send(request, order, elsewhere, ListOrders(1))
    assert isinstance(traded, OrderResponse)
    assert (busy.code, busy.request_id) == (ErrorCode.BUSY, order.request_id)
    assert (passed.reason, passed.sequence) == (0, sequence + 2)
    assert isinstance(orders, OrdersReply), "queries are answered"
    assert len(pit.reports(1, TRIGGERED)) == 1

    for refused in (
        SubmitOco(1, 1, SELL, 1, 120, 80), Uncross(1, 1), SetFees(1, 1, 5, 5),
        ReplaceOrder(1, resting, 0, leaves_quantity=200),
        ReplaceOrder(1, resting, 0, leaves_quantity=2, price=89),
        ReplaceOrder(1, resting, 0, leaves_quantity=2, requeue=True),
    ):  # fmt: skip
        assert pit.bob.refused(replace(refused, request_id=pit.bob.next_id())).code == BUSY
    for kept in (
        ReplaceOrder(1, resting, 0, leaves_quantity=50), SetFees(1, second, 5, 5),
        MassCancel(1, instrument=second), SetStatus(1, 1, InstrumentStatus.TRADING),
    ):  # fmt: skip
        assert pit.bob.ask(replace(kept, request_id=pit.bob.next_id())).reason == 0
    assert pit.unfinished
    pit.finish()
    assert pit.bob.ask(replace(order, request_id=pit.bob.next_id())).reason == 0
    assert len(pit.reports(1, TRIGGERED)) == 19
    pit.venue.check()


def test_a_canceled_stop_leaves_its_line_and_takes_no_turn(pit):
    pit.bob.submit(BUY, 90, 100)
    ids = pit.sell_stops(5)
    pair = pit.alice.ask(SubmitOco(pit.alice.next_id(), 1, SELL, 1, 110, 90))
    limit_stops(pit, 1)
    pit.bob.send(pit.set_off())
    assert pit.alice.cancel(ids[4]).reason == CancelReason.REQUESTED
    assert pit.alice.cancel(pair.stop_order_id).reason == CancelReason.REQUESTED
    (linked,) = pit.alice.events
    assert (linked.order_id, linked.reason) == (pair.limit_order_id, CancelReason.LINKED)
    assert pit.unfinished
    pit.venue.check()
    pit.finish()
    assert [order_id for _, order_id in pit.reports(1, TRIGGERED)] == ids[:4]
    assert pit.alice.book().asks == []
    pit.venue.check()


def test_stops_in_line_wait_while_the_market_is_closed(pit):
    """They are no unfinished work then; they go on in a call, ahead of those that fire later."""
    pit.bob.submit(BUY, 90, 100)
    ids = [place(pit.alice, SELL, 91, 1, STOP_LIMIT, stop_price=90).order_id for _ in range(5)]
    limit_stops(pit, 1)
    pit.bob.send(pit.set_off())
    for status in (InstrumentStatus.HALTED, InstrumentStatus.CANCEL_ONLY):
        assert pit.alice.ask(SetStatus(pit.alice.next_id(), 1, status)).reason == 0
        assert not pit.unfinished
        assert pit.venue.apply().body == b""
        pit.venue.check()
    assert pit.alice.cancel(ids[-1]).reason == CancelReason.REQUESTED
    assert pit.alice.ask(SetFees(pit.alice.next_id(), 1, 1, 1)).reason == 0
    fired = len(pit.reports(1, TRIGGERED))
    call = InstrumentStatus.CALL_AUCTION
    assert pit.alice.ask(SetStatus(pit.alice.next_id(), 1, call)).reason == 0
    pit.finish()
    assert [order_id for _, order_id in pit.reports(1, TRIGGERED)] == ids[:-1]
    assert fired < len(ids) - 1
    assert pit.alice.book().asks == [(91, 4, 4)]
    pit.venue.check()


def test_rates_of_stops_in_line_count_while_the_market_is_closed(pit):
    """They are open orders of it: whoever meets them later must not be paid by the house."""
    ask = pit.alice.ask
    for rates in ((0, 100, 0), (-100, 100, 1)):
        assert ask(SetFees(pit.alice.next_id(), 1, rates[0], rates[1], user=rates[2])).reason == 0
    pit.bob.submit(BUY, 90, 100)
    pit.sell_stops(5)
    assert ask(SetFees(pit.alice.next_id(), 1, None, None, user=1)).reason == 0
    limit_stops(pit, 1)
    pit.bob.send(pit.set_off())
    closed = InstrumentStatus.CANCEL_ONLY
    assert ask(SetStatus(pit.alice.next_id(), 1, closed)).reason == 0
    below_zero = RejectReason.FEES_BELOW_ZERO
    assert ask(SetFees(pit.alice.next_id(), 1, 0, 99)).reason == below_zero
    pit.venue.core = pit.venue.restored()
    assert ask(SetFees(pit.alice.next_id(), 1, 0, 99)).reason == below_zero
    assert ask(MassCancel(pit.alice.next_id())).canceled == 3
    assert ask(SetFees(pit.alice.next_id(), 1, 0, 99)).reason == 0
    pit.venue.check()


@pytest.mark.parametrize("count", [2, 5])
def test_unfinished_instruments_have_their_turns_one_after_the_other(pit, count):
    """Ascending, beginning behind the last that was served, also over a restart."""
    pairs = [1, *(pit.alice.list_pair() for _ in range(3))]
    for pair in pairs:
        for trader in (pit.alice, pit.bob):
            for asset in (2 * pair - 1, 2 * pair):
                trader.deposit(asset, 10_000)
        if pair > 1:
            pit.alice.submit(SELL, 100, 1, instrument=pair)
            pit.bob.submit(BUY, 100, 1, instrument=pair)
        pit.bob.submit(BUY, 90, 50, instrument=pair)
        for _ in range(3):
            place(pit.alice, SELL, 0, 1, STOP, stop_price=90, instrument=pair)
    limit_stops(pit, 1)
    limit_effort(pit, 4 * 4 * count)
    orders = [replace(pit.set_off(), instrument=pair) for pair in pairs]
    pit.bob.send(*orders)
    before, served = len(pit.venue.private[1]), []
    while pit.unfinished:
        twin = pit.venue.restored()
        output = pit.venue.apply()
        assert listed(twin.apply(Batch(pit.venue.time_ns, []))) == output
        ((session, kinds),) = logged(output.body)
        assert session == 0
        served.append(len(kinds))
    told = [r for r in pit.venue.private[1][before:] if r.exec_type == TRIGGERED]
    assert [report.instrument for report in told] == pairs * 2
    assert sum(served) == 8
    assert served == ([4, 4] if count == 5 else [3, 3, 2]), "as far as their part of a body goes"
    pit.venue.check()


def test_a_response_that_was_given_is_recalled_also_while_something_goes_on(pit):
    pit.bob.submit(BUY, 90, 100)
    pit.sell_stops(30)
    limit_effort(pit, 10)
    request = pit.set_off()
    *_, first = pit.bob.send(request)
    (recalled,) = pit.bob.send(request)
    assert recalled.flags == 1
    assert recalled.order_id == first.order_id
    assert pit.unfinished
    pit.finish()
    pit.venue.check()


def test_what_goes_on_is_due_at_once(pit):
    pit.bob.submit(BUY, 90, 100)
    pit.sell_stops(9)
    assert pit.venue.apply(pit.bob.run(Deposit(pit.bob.next_id(), 1, 1))).next_due_ns == 0
    limit_effort(pit, 10)
    output = pit.venue.apply(pit.bob.run(pit.set_off()))
    while pit.unfinished:
        assert output.next_due_ns == DUE_AT_ONCE
        output = pit.venue.apply()
        assert logged(output.body) == [(0, [Continue])]
    assert output.next_due_ns == 0
    pit.venue.check()


def test_internal_commands_come_behind_the_continue_of_a_batch(pit):
    pit.bob.submit(BUY, 90, 100)
    pit.sell_stops(30)
    limit_effort(pit, 10)
    pit.bob.send(pit.set_off())
    third = pit.venue.attach(3)
    ((session, kinds),) = logged(pit.venue.bodies[-1])
    assert session == 0
    assert [kind.__name__ for kind in kinds] == ["Continue", "SessionAttached"]
    pit.venue.configure(open_orders_max=77)
    assert pit.unfinished
    assert third.ask(Deposit(third.next_id(), 1, 1)).reason == 0
    pit.finish()
    pit.venue.check()


def test_a_dump_in_the_middle_of_the_queue_goes_on_identically(pit):
    pit.bob.submit(BUY, 90, 100)
    pit.sell_stops(12)
    pair = SubmitOco(pit.alice.next_id(), 1, SELL, 2, 120, 90, limit_client_order_id=7)
    assert pit.alice.ask(pair).reason == 0
    for trigger in (90, 89):
        place(pit.alice, SELL, 85, 3, STOP_LIMIT, GTD, stop_price=trigger, expires_ns=10**9)
    limit_effort(pit, 10)
    pit.bob.send(pit.set_off())
    cuts = 0
    others = []
    while pit.unfinished:
        others.append(pit.venue.restored())
        assert others[-1].state_hash() == pit.venue.core.state_hash()
        others[-1].check()
        output = pit.venue.apply()
        for other in others:
            assert listed(other.apply(Batch(pit.venue.time_ns, []))) == output
            assert other.state_hash() == pit.venue.core.state_hash()
        cuts += 1
    assert cuts > 2
    assert pit.bob.book().last_price == 90
    pit.venue.check()


def test_a_log_that_ends_in_the_middle_is_replayed_and_goes_on(pit):
    pit.bob.submit(BUY, 90, 100)
    pit.sell_stops(20)
    limit_effort(pit, 10)
    pit.bob.send(pit.set_off())
    recovered = pit.venue.replayed()
    assert recovered.unfinished
    while pit.unfinished:
        output = pit.venue.apply()
        assert listed(recovered.apply(Batch(pit.venue.time_ns, []))) == output
    assert recovered.state_hash() == pit.venue.core.state_hash()
    pit.venue.check()


# --- what ends in the queue -----------------------------------------------------------------------


def test_a_queued_stop_whose_time_comes_expires_and_does_not_fire(pit):
    pit.bob.submit(BUY, 90, 100)
    expires_ns = pit.venue.time_ns + 10**6
    ids = [*pit.sell_stops(5), *pit.sell_stops(9, tif=GTD, expires_ns=expires_ns)]
    limit_effort(pit, 10)
    pit.bob.send(pit.set_off())
    fired = pit.reports(1, TRIGGERED)
    assert len(fired) < 5
    pit.venue.pass_time(2 * 10**6)
    pit.finish()
    assert [order_id for _, order_id in pit.reports(1, TRIGGERED)] == ids[:5]
    assert sorted(order_id for _, order_id in pit.reports(1, ExecType.EXPIRED)) == ids[5:]
    assert pit.alice.money(1)[1] == 0
    pit.venue.check()


def test_a_queued_stop_whose_other_leg_was_filled_has_no_turn(pit):
    """The buy stop that fires before it lifts the pair's limit order, which cancels it."""
    limit_stops(pit, 1)
    for price, quantity in ((101, 1), (90, 1), (80, 50)):
        pit.bob.submit(BUY, price, quantity)
    buyer = place(pit.bob, BUY, 0, 0, STOP, stop_price=101, budget=110).order_id
    pair = pit.alice.ask(SubmitOco(pit.alice.next_id(), 1, SELL, 1, 110, 90))
    last = pit.sell_stops(1)
    pit.bob.send(pit.set_off(quantity=2))
    pit.finish()
    assert [order_id for _, order_id in pit.reports(2, TRIGGERED)] == [buyer]
    assert [order_id for _, order_id in pit.reports(1, TRIGGERED)] == last
    (linked,) = [r for r in pit.venue.private[1] if isinstance(r, OrderReport) and r.reason]
    assert (linked.order_id, linked.reason) == (pair.stop_order_id, CancelReason.LINKED)
    assert logged(pit.venue.bodies[-1]) == [(0, [Continue])], "it takes no turn"
    pit.venue.check()


# --- however it is cut ----------------------------------------------------------------------------


def random_order(random, client):
    """Make a limit order, a stop limit, a stop or a trailing stop around 100."""
    side, choice = random.choice(list(Side)), random.random()
    price, quantity, trigger = (random.randint(95, 105), random.randint(1, 6),
                                random.randint(95, 105))  # fmt: skip
    kind, terms = OrderType.LIMIT, None
    if choice > 0.8:
        kind, price = STOP, 0
        budget = random.randint(90, 900) if side is BUY else 0
        quantity = 0 if budget else quantity
        trail = random.choice((0, 2))
        terms = OrderTerms(0 if trail else trigger, trail, budget=budget)
    elif choice > 0.5:
        kind, terms = STOP_LIMIT, OrderTerms(trigger)
    return SubmitOrder(client.next_id(), 1, 0, side, kind, GTC, price, quantity, 0, 0, terms)


def played(new_core, seed, between, limits=DEFAULT_LIMITS):
    """Send random orders one by one, with `between` after each; return what came of it."""
    pit, random = Pit(new_core, limits), Random(seed)
    pit.trade_at(100)
    for _ in range(120):
        client = random.choice((pit.alice, pit.bob))
        client.send(random_order(random, client))
        between(pit)
    pit.venue.check()
    return pit


@pytest.mark.parametrize("seed", range(6))
def test_cutting_the_turns_into_commands_or_batches_changes_nothing(new_core, seed):
    print(f"seed {seed}")
    whole = played(new_core, seed, lambda pit: None)
    assert not any(Continue in kinds for body in whole.venue.bodies for _, kinds in logged(body))
    by_commands = played(new_core, seed, Pit.finish, Limits(stops=1))
    assert by_commands.everything() == whole.everything()
    assert by_commands.venue.core.last_sequence > whole.venue.core.last_sequence
    limits = Limits(stops=1, effort=2, turns_effort=0, continue_effort=0)
    by_batches = played(new_core, seed, Pit.finish, limits)
    assert by_batches.everything() == whole.everything()
    assert len(by_batches.venue.bodies) > len(whole.venue.bodies)
