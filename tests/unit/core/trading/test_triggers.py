"""Waiting stops against a naive list, for both sides; their order; what check finds."""

from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hpe.core.trading.triggers import Firing, Triggers, WaitingSide
from hpe.errors import InvariantViolation
from hpe.protocol.enums import Side
from tests.unit.core.parts import new_book, new_order, new_stop

BUY, SELL = Side
SIDES = pytest.mark.parametrize("side", Side)


@dataclass
class NaiveStop:
    """A stop as a trader would note it: its trigger follows every trade by itself."""

    number: int
    side: Side
    trigger: int
    trail: int

    def follow(self, price):
        if self.trail and self.side is SELL:
            self.trigger = max(self.trigger, price - self.trail)
        elif self.trail:
            self.trigger = min(self.trigger, price + self.trail)

    def is_reached(self, price):
        return price <= self.trigger if self.side is SELL else price >= self.trigger

    def turn(self):
        """Buys by ascending trigger, sells by descending, ties by place."""
        return (self.trigger if self.side is BUY else -self.trigger), self.number


MANY = 1_000


def traded(triggers, prices, room=MANY):
    """Take out what trades reach, in parts; return the stops in turn."""
    firing, sides = Firing(prices), ([], [])
    while not firing.is_done:
        side = firing.side
        rows, _ = triggers.take(firing, room)
        assert len(rows) <= room
        sides[side].extend(rows)
    return [order for rows in sides for _, _, order in sorted(rows)]


def ids(orders):
    return [order.order_id for order in orders]


prices = st.integers(1, 30)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("fixed"), prices),
        st.tuples(st.just("trailing"), prices, st.integers(1, 8)),
        st.tuples(st.just("remove"), st.integers(0, 50)),
        st.tuples(st.just("trade"), prices),
    ),
    max_size=60,
)


@given(st.sampled_from(Side), steps)
def test_a_side_does_what_a_list_does(side, plan):
    book, waiting, naive, orders = new_book(), WaitingSide(side), [], {}
    for number, (step, *values) in enumerate(plan, 1):
        if step == "trade":
            (price,) = values
            waiting.advance(price)
            for stop in naive:
                stop.follow(price)
            fired = [order.order_id for _, _, order in sorted(waiting.reached(price, MANY))]
            reached = sorted((s for s in naive if s.is_reached(price)), key=NaiveStop.turn)
            assert fired == [stop.number for stop in reached]
            for stop in reached:
                assert orders[stop.number].terms.stop_price == stop.trigger
                assert orders[stop.number].terms.group is None
                naive.remove(stop)
        elif step == "remove" and naive:
            stop = naive.pop(values[0] % len(naive))
            waiting.remove(orders[stop.number])
            assert orders[stop.number].terms.stop_price == stop.trigger
        elif step != "remove":
            trigger, trail = values[0], (values[1] if step == "trailing" else 0)
            orders[number] = new_stop(book, number, side, trigger, trail=trail)
            waiting.add(orders[number])
            naive.append(NaiveStop(number, side, trigger, trail))
        waiting.check()
        assert sorted(ids(waiting.orders())) == sorted(stop.number for stop in naive)


@given(
    st.sampled_from(Side),
    st.lists(st.tuples(prices, st.integers(0, 8)), max_size=12),
    st.lists(prices, max_size=3),
    prices,
    st.integers(0, 13),
)
@example(SELL, [(30, 0), (10, 0), (1, 5)], [25], 8, 2)  # one that trails between two fixed ones
@example(BUY, [(10, 0), (29, 0), (30, 8)], [12], 30, 2)
def test_those_that_leave_first_are_the_first_to_have_their_turns(side, plan, moves, price, room):
    """However they are stored: fixed and trailing ones, whatever their peaks."""
    book, waiting = new_book(), WaitingSide(side)
    naive = [NaiveStop(n, side, trigger, trail) for n, (trigger, trail) in enumerate(plan, 1)]
    for stop in naive:
        waiting.add(new_stop(book, stop.number, side, stop.trigger, trail=stop.trail))
    for move in (*moves, price):
        waiting.advance(move)
        for stop in naive:
            stop.follow(move)
    reached = sorted((stop for stop in naive if stop.is_reached(price)), key=NaiveStop.turn)
    left = sorted(order.order_id for _, _, order in waiting.reached(price, room))
    assert left == sorted(stop.number for stop in reached[:room])
    waiting.check()


@given(
    st.lists(st.tuples(st.sampled_from(Side), prices, st.integers(0, 8)), max_size=12),
    st.lists(prices, max_size=8),
    st.sampled_from((1, 2, 3, MANY)),
)
def test_a_series_of_trades_fires_what_any_of_them_reached(plan, trades, room):
    """The trigger of a trailing stop is the one that the first trade reached it at.

    In how many parts they are taken out makes no difference.
    """
    book, triggers = new_book(), Triggers()
    naive = [NaiveStop(n, side, trigger, trail) for n, (side, trigger, trail) in enumerate(plan, 1)]
    for stop in naive:
        triggers.add(new_stop(book, stop.number, stop.side, stop.trigger, trail=stop.trail))
    fired = []
    for price in trades:
        for stop in [stop for stop in naive if stop not in fired]:
            stop.follow(price)
            if stop.is_reached(price):
                fired.append(stop)
    in_turn = [
        *sorted((stop for stop in fired if stop.side is BUY), key=NaiveStop.turn),
        *sorted((stop for stop in fired if stop.side is SELL), key=NaiveStop.turn),
    ]
    found = traded(triggers, trades, room)
    assert ids(found) == [stop.number for stop in in_turn]
    assert [order.trigger() for order in found] == [stop.trigger for stop in in_turn]
    assert triggers.count == len(plan) - len(found)
    triggers.check()


@SIDES
def test_stops_of_one_trigger_fire_by_their_place(side):
    book, waiting = new_book(), WaitingSide(side)
    for number, place in ((1, 30), (2, 10), (3, 20)):
        waiting.add(new_stop(book, number, side, 50, place=place))
    assert [order.order_id for _, _, order in waiting.reached(50, MANY)] == [2, 3, 1]


def test_fixed_and_trailing_stops_of_one_trigger_share_one_order():
    book, waiting = new_book(), WaitingSide(SELL)
    for number, trail in ((1, 0), (2, 5), (3, 0), (4, 9)):
        waiting.add(new_stop(book, number, SELL, 50, trail=trail))
    assert [order.order_id for _, _, order in sorted(waiting.reached(50, MANY))] == [1, 2, 3, 4]


def test_a_trailing_stop_never_moves_away():
    book, triggers = new_book(), Triggers()
    stops = [new_stop(book, 1, SELL, 95, trail=5), new_stop(book, 2, BUY, 105, trail=5)]
    for stop in stops:
        triggers.add(stop)

    def moved_to(price):
        triggers.advance(price)
        return [stop.trigger() for stop in stops]

    assert moved_to(100) == [95, 105]
    assert moved_to(103) == [98, 105]
    assert moved_to(99) == [98, 104]
    assert moved_to(101) == [98, 104]


def test_stops_with_one_peak_move_as_one_group_however_many_they_are():
    book, waiting = new_book(), WaitingSide(SELL)
    stops = [new_stop(book, n, SELL, 100 - n % 7 - n, trail=n) for n in range(1, 50)]
    for stop in stops:
        waiting.add(stop)
    assert len({id(stop.terms.group) for stop in stops}) == 7
    assert waiting.advance(200) == 49 - 7, "all but the largest group"
    assert waiting.advance(201) == 0
    assert len({id(stop.terms.group) for stop in stops}) == 1
    waiting.check()


def test_what_is_no_stop_has_no_trigger():
    book = new_book()
    assert new_order(book).trigger() == 0
    assert new_order(book, display=3).trigger() == 0


def test_a_trade_without_stops_is_nothing():
    triggers = Triggers()
    assert traded(triggers, [5, 6]) == []
    assert traded(triggers, []) == []
    triggers.check()


def spoil_peak(triggers):
    triggers.sells._trails[0].peak = 0


def widen_the_quiet(triggers):
    triggers.buys.quiet_low -= 1


def lose_first(triggers):
    triggers.sells._firsts.clear()


def spoil_trail(triggers):
    next(triggers.sells.orders()).terms.trail += 1


def spoil_place(triggers):
    next(triggers.sells.orders()).terms.place += 1


def leave_group(triggers):
    next(triggers.sells.orders()).terms.group = None


def move_a_fixed_stop(triggers):
    next(triggers.buys.orders()).terms.stop_price += 1


def count_wrongly(triggers):
    triggers.count += 1


def lose_a_fixed_stop(triggers):
    triggers.buys._fixed.clear()


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (spoil_peak, "out of order"),
        (widen_the_quiet, "quiet"),
        (lose_first, "filed wrongly"),
        (spoil_trail, "trails wrongly"),
        (spoil_place, "trails wrongly"),
        (leave_group, "in another group"),
        (move_a_fixed_stop, "waits at a foreign price"),
        (count_wrongly, "counted wrongly"),
        (lose_a_fixed_stop, "quiet"),
    ],
)
def test_check_sees_what_is_wrong(damage, complaint):
    book, triggers = new_book(), Triggers()
    triggers.add(new_stop(book, 1, SELL, 100, trail=5))
    triggers.add(new_stop(book, 3, SELL, 98, trail=5))
    triggers.add(new_stop(book, 2, BUY, 110))
    triggers.check()
    damage(triggers)
    with pytest.raises(InvariantViolation, match=complaint):
        triggers.check()
