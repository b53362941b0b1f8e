"""What one command leaves over goes on in `continue`: nothing is lost, done twice, or overtaken."""

from random import Random

import pytest

from hpe.core.core import Batch
from hpe.core.exchange import DUE_AT_ONCE
from hpe.messages import (
    CancelReason,
    Continue,
    Deposit,
    Error,
    ErrorCode,
    ExecType,
    ListOrders,
    OrderReport,
    OrderResponse,
    OrdersReply,
    OrderTerms,
    OrderType,
    Side,
    SubmitOco,
    SubmitOrder,
    TimeInForce,
)
from tests.support.core_parts import place
from tests.support.core_pit import Pit, limit_effort, limit_stops, logged

BUY, SELL = Side
GTC, IOC, FOK, GTD = TimeInForce
STOP, STOP_LIMIT = OrderType.STOP, OrderType.STOP_LIMIT
TRIGGERED = ExecType.TRIGGERED


@pytest.fixture
def pit():
    pit = Pit()
    pit.trade_at(100)
    return pit


# --- stops ----------------------------------------------------------------------------------------


def test_more_than_a_command_may_fire_goes_on_right_behind_it(pit):
    """With the real limit: 1,024 in the command that traded, then two `continue`."""
    pit.his.submit(BUY, 90, 5_000)
    ids = pit.sell_stops(2_100)
    request = pit.set_off()
    behind = Deposit(pit.his.next_id(), 1, 1)
    *_, traded, deposited = pit.his.send(request, behind)
    mine = pit.his.session_id
    assert logged(pit.venue.bodies[-1]) == [
        (mine, [SubmitOrder]), (0, [Continue, Continue]), (mine, [Deposit]),
    ]  # fmt: skip
    assert deposited.sequence == traded.sequence + 3
    fired = pit.reports(1, TRIGGERED)
    assert [order_id for _, order_id in fired] == ids
    at = traded.sequence
    assert [at + n // 1_024 for n in range(2_100)] == [sequence for sequence, _ in fired]
    assert pit.hers.book().bids == [(90, 5_000 - 1 - 2_100, 1)]
    pit.venue.check()


@pytest.mark.parametrize(("stops", "commands"), [(4, 0), (5, 1), (8, 1), (9, 2), (1, 0)])
def test_how_many_commands_the_stops_take(pit, monkeypatch, stops, commands):
    limit_stops(monkeypatch, 4)
    pit.his.submit(BUY, 90, 100)
    pit.sell_stops(stops)
    pit.his.send(pit.set_off())
    expected = [(pit.his.session_id, [SubmitOrder])]
    if commands:
        expected.append((0, [Continue] * commands))
    assert logged(pit.venue.bodies[-1]) == expected
    assert len(pit.reports(1, TRIGGERED)) == stops
    pit.venue.check()


def test_stops_that_stops_set_off_queue_behind_all(pit, monkeypatch):
    limit_stops(monkeypatch, 2)
    for price, quantity in ((90, 3), (89, 2), (88, 50)):
        pit.his.submit(BUY, price, quantity)
    deep = pit.sell_stops(2, 88)
    middle = pit.sell_stops(2, 89)
    first = pit.sell_stops(3, 90)
    pit.his.send(pit.set_off())
    in_turn = [order_id for _, order_id in pit.reports(1, TRIGGERED)]
    assert in_turn == [*first, *middle, *deep]
    assert logged(pit.venue.bodies[-1])[1] == (0, [Continue] * 3)
    pit.venue.check()


def test_the_stop_that_fires_at_once_is_answered_before_its_turn(pit, monkeypatch):
    limit_stops(monkeypatch, 1)
    pit.his.submit(BUY, 90, 100)
    *_, response = pit.hers.send(
        SubmitOrder(pit.hers.next_id(), 1, 0, SELL, STOP, GTC, 0, 5, 0, 0, OrderTerms(100))
    )
    assert (response.leaves, response.cum, response.status) == (5, 0, 0)
    assert len(pit.reports(1, TRIGGERED)) == 1
    pit.venue.check()


# --- batches that are full ------------------------------------------------------------------------


def test_in_a_full_batch_all_commands_are_busy_and_the_next_begins_with_continue(pit, monkeypatch):
    pit.his.submit(BUY, 90, 100)
    pit.sell_stops(9)
    limit_effort(monkeypatch, 14)
    sequence = pit.venue.core.last_sequence
    request, behind = pit.set_off(), Deposit(pit.his.next_id(), 1, 1)
    *_, traded, busy, orders = pit.his.send(request, behind, ListOrders(1))
    assert isinstance(traded, OrderResponse)
    assert isinstance(busy, Error)
    assert (busy.code, busy.request_id) == (ErrorCode.BUSY, behind.request_id)
    assert isinstance(orders, OrdersReply), "queries are answered"
    assert logged(pit.venue.bodies[-1]) == [(pit.his.session_id, [SubmitOrder])]
    fired = len(pit.reports(1, TRIGGERED))
    assert 0 < fired < 9
    assert pit.venue.core.last_sequence == sequence + 1

    (again,) = pit.his.send(behind)
    assert isinstance(again, Error), "this batch too is full before its first command"
    assert logged(pit.venue.bodies[-1]) == [(0, [Continue])]
    assert len(pit.reports(1, TRIGGERED)) > fired
    pit.finish()
    (done,) = pit.his.send(behind)
    assert (done.reason, done.request_id) == (0, behind.request_id)
    assert len(pit.reports(1, TRIGGERED)) == 9
    assert pit.hers.book().bids == [(90, 90, 1)]
    pit.venue.check()


def test_a_response_that_was_given_is_recalled_also_while_something_goes_on(pit, monkeypatch):
    pit.his.submit(BUY, 90, 100)
    pit.sell_stops(30)
    limit_effort(monkeypatch, 10)
    request = pit.set_off()
    *_, first = pit.his.send(request)
    (recalled,) = pit.his.send(request)
    assert recalled.flags == 1
    assert recalled.order_id == first.order_id
    assert pit.unfinished
    pit.finish()
    pit.venue.check()


def test_what_goes_on_is_due_at_once(pit, monkeypatch):
    pit.his.submit(BUY, 90, 100)
    pit.sell_stops(9)
    assert pit.venue.apply(pit.his.run(Deposit(pit.his.next_id(), 1, 1))).next_due_ns == 0
    limit_effort(monkeypatch, 10)
    output = pit.venue.apply(pit.his.run(pit.set_off()))
    while pit.unfinished:
        assert output.next_due_ns == DUE_AT_ONCE
        output = pit.venue.apply()
        assert logged(output.body) == [(0, [Continue])]
    assert output.next_due_ns == 0
    pit.venue.check()


def test_internal_commands_come_behind_the_continue_of_a_batch(pit, monkeypatch):
    pit.his.submit(BUY, 90, 100)
    pit.sell_stops(30)
    limit_effort(monkeypatch, 10)
    pit.his.send(pit.set_off())
    third = pit.venue.attach(3)
    ((session, kinds),) = logged(pit.venue.bodies[-1])
    assert session == 0
    assert [kind.__name__ for kind in kinds] == ["Continue", "SessionAttached"]
    pit.venue.configure(open_orders_max=77)
    assert pit.unfinished
    assert isinstance(third.ask(Deposit(third.next_id(), 1, 1)), Error)
    pit.finish()
    pit.venue.check()


def test_a_dump_in_the_middle_of_the_queue_goes_on_identically(pit, monkeypatch):
    pit.his.submit(BUY, 90, 100)
    pit.sell_stops(12)
    pair = SubmitOco(pit.hers.next_id(), 1, SELL, 2, 120, 90, limit_client_order_id=7)
    assert pit.hers.ask(pair).reason == 0
    for trigger in (90, 89):
        place(pit.hers, SELL, 85, 3, STOP_LIMIT, GTD, stop_price=trigger, expires_ns=10**9)
    limit_effort(monkeypatch, 10)
    pit.his.send(pit.set_off())
    cuts = 0
    others = []
    while pit.unfinished:
        others.append(pit.venue.restored())
        assert others[-1].state_hash() == pit.venue.core.state_hash()
        others[-1].check()
        output = pit.venue.apply()
        for other in others:
            assert other.apply(Batch(pit.venue.time_ns, [])) == output
            assert other.state_hash() == pit.venue.core.state_hash()
        cuts += 1
    assert cuts > 2
    assert pit.his.book().last_price == 90
    pit.venue.check()


def test_a_log_that_ends_in_the_middle_is_replayed_and_goes_on(pit, monkeypatch):
    pit.his.submit(BUY, 90, 100)
    pit.sell_stops(20)
    limit_effort(monkeypatch, 10)
    pit.his.send(pit.set_off())
    recovered = pit.venue.replayed()
    assert recovered.exchange.market.unfinished
    while pit.unfinished:
        output = pit.venue.apply()
        assert recovered.apply(Batch(pit.venue.time_ns, [])) == output
    assert recovered.state_hash() == pit.venue.core.state_hash()
    pit.venue.check()


# --- what ends in the queue -----------------------------------------------------------------------


def test_a_queued_stop_whose_time_comes_expires_and_does_not_fire(pit, monkeypatch):
    pit.his.submit(BUY, 90, 100)
    expires_ns = pit.venue.time_ns + 10**6
    ids = [*pit.sell_stops(5), *pit.sell_stops(9, tif=GTD, expires_ns=expires_ns)]
    limit_effort(monkeypatch, 10)
    pit.his.send(pit.set_off())
    fired = pit.reports(1, TRIGGERED)
    assert len(fired) < 5
    pit.venue.pass_time(2 * 10**6)
    pit.finish()
    assert [order_id for _, order_id in pit.reports(1, TRIGGERED)] == ids[:5]
    assert sorted(order_id for _, order_id in pit.reports(1, ExecType.EXPIRED)) == ids[5:]
    assert pit.hers.money(1)[1] == 0
    pit.venue.check()


def test_a_queued_stop_whose_other_leg_was_filled_has_no_turn(pit, monkeypatch):
    """The buy stop that fires before it lifts the pair's limit order, which cancels it."""
    limit_stops(monkeypatch, 1)
    for price, quantity in ((101, 1), (90, 1), (80, 50)):
        pit.his.submit(BUY, price, quantity)
    buyer = place(pit.his, BUY, 0, 0, STOP, stop_price=101, budget=110).order_id
    pair = pit.hers.ask(SubmitOco(pit.hers.next_id(), 1, SELL, 1, 110, 90))
    last = pit.sell_stops(1)
    pit.his.send(pit.set_off(quantity=2))
    assert [order_id for _, order_id in pit.reports(2, TRIGGERED)] == [buyer]
    assert [order_id for _, order_id in pit.reports(1, TRIGGERED)] == last
    (linked,) = [r for r in pit.venue.private[1] if isinstance(r, OrderReport) and r.reason]
    assert (linked.order_id, linked.reason) == (pair.stop_order_id, CancelReason.LINKED)
    assert logged(pit.venue.bodies[-1])[1:] == [(0, [Continue])], "it takes no turn"
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


def played(seed, between):
    """Send random orders one by one, with `between` after each; gives what came of it."""
    pit, random = Pit(), Random(seed)
    pit.trade_at(100)
    for _ in range(120):
        client = random.choice((pit.hers, pit.his))
        client.send(random_order(random, client))
        between(pit)
    pit.venue.check()
    return pit


@pytest.mark.parametrize("seed", range(6))
def test_cutting_the_turns_into_commands_or_batches_changes_nothing(seed, monkeypatch):
    print(f"seed {seed}")
    whole = played(seed, lambda pit: None)
    assert not any(Continue in kinds for body in whole.venue.bodies for _, kinds in logged(body))
    limit_stops(monkeypatch, 1)
    by_commands = played(seed, lambda pit: None)
    assert by_commands.everything() == whole.everything()
    assert by_commands.venue.core.last_sequence > whole.venue.core.last_sequence
    limit_effort(monkeypatch, 2)
    by_batches = played(seed, Pit.finish)
    assert by_batches.everything() == whole.everything()
    assert len(by_batches.venue.bodies) > len(whole.venue.bodies)
