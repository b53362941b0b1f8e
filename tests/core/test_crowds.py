"""A crowd of one key, due or set off at one instant, delays no other market and no cancel.

The crowds are small here, the bounds are the real ones: the tests count batches and effort, which
do not grow with a crowd. A canary trades on another instrument all the time.
"""

import pytest

from hpe.core.contract import DEFAULT_LIMITS
from hpe.protocol.codes import ErrorCode
from hpe.protocol.control import Error
from hpe.protocol.enums import OrderType, Side, TimeInForce
from hpe.protocol.internal import Continue
from hpe.protocol.money import LockBalance
from hpe.protocol.orders import CancelOrder, OrderTerms, SubmitOrder
from tests.support.core_parts import place
from tests.support.core_pit import FUNDS, Pit, logged
from tests.support.meter import spends_less

BUY, SELL = Side
LIMIT, STOP_LIMIT = OrderType.LIMIT, OrderType.STOP_LIMIT
GTC, GTD = TimeInForce.GTC, TimeInForce.GTD
SOON_NS = 10**9
CROWD = 1_000
PER_BATCH = DEFAULT_LIMITS.acts[0]
STOPS = 2_000
TURNS_MIN = DEFAULT_LIMITS.turns_effort // 2
EFFORT_MAX = 2 * DEFAULT_LIMITS.turns_effort
"""What one batch may do in all while a crowd is there."""


@pytest.fixture
def pit(new_core):
    """Return a pit with a second market, in which the canary trades."""
    pit = Pit(new_core)
    pit.second = pit.alice.list_pair()
    pit.canary = pit.venue.attach(3)
    for asset in (3, 4):
        pit.alice.deposit(asset, FUNDS, 3)
    pit.mob = pit.venue.attach(1, flags=1)
    return pit


def send(client, requests):
    """Send many requests, a batch full of them at a time; all must be accepted."""
    for start in range(0, len(requests), 1_000):
        replies = client.send(*requests[start : start + 1_000])
        assert not [reply for reply in replies if isinstance(reply, Error) or reply.reason]


def orders(client, count, price, terms=None, *, kind=LIMIT, side=BUY):
    tif = GTD if terms is not None and terms.expires_ns else GTC
    return [
        SubmitOrder(client.next_id(), 1, 0, side, kind, tif, price, 1, 0, 0, terms)
        for _ in range(count)
    ]


def sing(pit):
    """Let the canary place an order and cancel it; neither batch does too much."""
    order = SubmitOrder(pit.canary.next_id(), pit.second, 0, BUY, LIMIT, GTC, 5, 1)
    assert spends_less(pit.canary, EFFORT_MAX + 1, order)
    response = pit.canary.ask(order)
    assert not isinstance(response, Error), response
    assert response.reason == 0
    cancel = CancelOrder(pit.canary.next_id(), response.order_id)
    assert spends_less(pit.canary, EFFORT_MAX + 1, cancel)
    assert pit.canary.ask(cancel).reason


def songs_until_quiet(pit):
    """Let the canary sing until nothing is due at once; return how often, two batches each."""
    count = 0
    while True:
        count += 1
        sing(pit)
        if pit.venue.core.next_due_ns != 1:
            return count


def test_orders_that_expire_at_one_nanosecond(pit):
    soon = pit.venue.time_ns + SOON_NS
    send(pit.alice, orders(pit.alice, CROWD, 1, OrderTerms(expires_ns=soon)))
    pit.venue.time_ns += 2 * SOON_NS
    assert songs_until_quiet(pit) == -(-CROWD // PER_BATCH // 2)
    assert pit.alice.money(2) == (FUNDS, 0, 0)
    pit.venue.check()


def test_holds_that_expire_at_one_nanosecond(pit):
    soon = pit.venue.time_ns + SOON_NS
    send(pit.alice, [
        LockBalance(pit.alice.next_id(), 2, 1, hold_id=number, expires_ns=soon)
        for number in range(1, CROWD + 1)
    ])  # fmt: skip
    pit.venue.time_ns += 2 * SOON_NS
    assert songs_until_quiet(pit) == -(-CROWD // PER_BATCH // 2)
    assert pit.alice.money(2) == (FUNDS, 0, 0)
    pit.venue.check()


def test_orders_of_a_session_that_is_lost(pit):
    send(pit.mob, orders(pit.mob, CROWD, 1))
    pit.mob.detach()
    assert songs_until_quiet(pit) in (-(-CROWD // PER_BATCH // 2) - 1, -(-CROWD // PER_BATCH // 2))
    assert pit.alice.money(2) == (FUNDS, 0, 0)
    pit.venue.check()


def test_stops_that_one_trade_sets_off(pit):
    pit.trade_at(100)
    send(pit.alice, orders(pit.alice, STOPS, 90, OrderTerms(90), kind=STOP_LIMIT, side=SELL))
    pit.bob.submit(BUY, 90, 1)
    assert not pit.unfinished
    newest = pit.bob.submit(SELL, 90, 1).order_id
    assert pit.unfinished
    busy = SubmitOrder(pit.bob.next_id(), 1, 0, BUY, LIMIT, GTC, 1, 1)
    assert pit.bob.refused(busy).code == ErrorCode.BUSY
    last_stop = newest - 2
    canceled = pit.alice.ask(CancelOrder(pit.alice.next_id(), last_stop))
    assert (canceled.order_id, canceled.canceled) == (last_stop, 1), "cancels pass"
    songs = songs_until_quiet(pit)
    turns = STOPS - DEFAULT_LIMITS.stops
    assert turns // DEFAULT_LIMITS.turns_effort <= 2 * songs <= turns // TURNS_MIN
    assert pit.alice.book().asks == [(90, STOPS - 1, STOPS - 1)]
    pit.venue.check()


def test_dead_orders_at_the_top_of_a_book_hold_up_their_own_market_alone(pit):
    """While the crowd is dead nobody trades through it; everybody else does."""
    soon = pit.venue.time_ns + SOON_NS
    pit.bob.submit(BUY, 1, 1)
    count = DEFAULT_LIMITS.dead + 4 * PER_BATCH
    send(pit.alice, orders(pit.alice, count, 99, OrderTerms(expires_ns=soon)))
    pit.venue.time_ns += 2 * SOON_NS
    sing(pit)
    through = SubmitOrder(pit.bob.next_id(), 1, 0, SELL, LIMIT, GTC, 1, 1)
    assert pit.bob.refused(through).code == ErrorCode.BUSY
    songs_until_quiet(pit)
    sold = pit.bob.submit(SELL, 1, 1)
    assert (sold.cum, sold.quote_total) == (1, 1)
    pit.venue.check()


def test_instruments_whose_turn_gives_nothing_use_up_what_goes_on_in_a_batch(new_core):
    """Each stop waits behind dead orders; so many `continue` as the bound pays for, in turn."""
    limits = DEFAULT_LIMITS._replace(acts=(1, 1, 1, 1, 1), dead=1, turns_effort=20)
    pit = Pit(new_core, limits)
    soon, books = pit.venue.time_ns + SOON_NS, []
    for _ in range(5):
        books.append(book := pit.alice.list_pair())
        for asset in (2 * book - 1, 2 * book):
            pit.alice.deposit(asset, FUNDS)
        buy_and_sell(pit.alice, book, 101)
        place(pit.alice, SELL, 0, 1, OrderType.STOP, stop_price=100, instrument=book)
        for _ in range(2):
            place(pit.alice, BUY, 99, 1, tif=GTD, expires_ns=soon, instrument=book)
    send(pit.alice, orders(pit.alice, 30, 1, OrderTerms(expires_ns=soon - 1)))  # they end before
    pit.venue.time_ns += 2 * SOON_NS
    for book in books:
        buy_and_sell(pit.alice, book, 100)
    served = [continues_of(pit) for _ in range(5)]
    assert served == [3, 3, 3, 3, 3]
    pit.venue.check()


def buy_and_sell(client, book, price):
    for side in (SELL, BUY):
        client.submit(side, price, 1, instrument=book)


def continues_of(pit):
    """Let a batch pass; return how many `continue` it has."""
    ((session, kinds),) = logged(pit.venue.apply().body)
    assert (session, set(kinds)) == (0, {Continue})
    return len(kinds)
