"""Market data: what each channel reports about a book, when it reports nothing, and completeness.

Books here are followed by subscribers that know only what they were sent (naive_followers.py); the
model plays do the same at random. Numbers that matter are written out.
"""

import pytest

from hpe.protocol.enums import (
    BookChange,
    Channel,
    InstrumentStatus,
    OrderType,
    SelfTrade,
    Side,
    TimeInForce,
)
from hpe.protocol.limits import CHANGES_PER_UPDATE_MAX
from hpe.protocol.operations import SetStatus, Uncross
from hpe.protocol.orders import CancelOrder, MassCancel, SubmitOrder
from tests.support.core_parts import place
from tests.support.market_parts import checksum, subscribe, taken

BUY, SELL = Side.BUY, Side.SELL
LIMIT, GTC = OrderType.LIMIT, TimeInForce.GTC
BEST, LEVELS, ORDERS = Channel.BEST, Channel.LEVELS, Channel.ORDERS
TRADES, STATUS = Channel.TRADES, Channel.STATUS
ADDED, CHANGED, REMOVED = BookChange
ALL = tuple(Channel)


@pytest.fixture
def watched(client, other):
    """Return the venue with everything of instrument 1 wanted."""
    client.venue.wanted = {(1, channel) for channel in ALL}
    return client.venue


# --- best ---------------------------------------------------------------------------------------


def test_best_is_told_when_price_or_quantity_of_it_changes(watched, client):
    first = client.submit(BUY, 100, 5)
    (update,) = taken(watched)[BEST]
    assert (update.bid_price, update.bid_quantity, update.ask_price, update.ask_quantity) == (
        (100, 5, 0, 0)
    )
    assert (update.instrument, update.last, update.time_ns) == (1, 1, watched.time_ns)
    client.submit(BUY, 100, 2)
    assert taken(watched)[BEST][0].bid_quantity == 7
    client.submit(BUY, 99, 2)
    assert BEST not in taken(watched), "behind the best"
    client.cancel(first.order_id)
    assert taken(watched)[BEST][0].bid_quantity == 2


def test_best_shows_an_iceberg_s_slice(watched, client):
    place(client, SELL, 100, 10, display_quantity=3)
    (update,) = taken(watched)[BEST]
    assert (update.ask_price, update.ask_quantity) == (100, 3)


def test_best_of_a_batch_is_that_at_its_end(watched, client):
    orders = [SubmitOrder(50 + n, 1, 0, BUY, LIMIT, GTC, 100 + n, 1) for n in range(5)]
    watched.apply(client.run(*orders))
    (update,) = taken(watched)[BEST]
    assert (update.bid_price, update.last) == (104, 5)


def test_best_that_came_and_went_is_not_told(watched, client):
    client.submit(BUY, 100, 5)
    taken(watched)
    order = SubmitOrder(50, 1, 0, BUY, LIMIT, GTC, 101, 1)
    watched.apply(client.run(order, CancelOrder(51, 2)))
    found = taken(watched)
    assert BEST not in found
    assert (found[ORDERS][0].first, found[ORDERS][0].last) == (2, 3)


# --- levels -------------------------------------------------------------------------------------


def test_levels_that_changed_are_told_as_they_are(watched, client, other):
    client.submit(BUY, 100, 5)
    client.submit(BUY, 99, 5)
    taken(watched)
    client.submit(BUY, 100, 2)
    (update,) = taken(watched)[LEVELS]
    assert (update.first, update.last) == (3, 3)
    assert (update.bids, update.asks) == ([(100, 7, 2)], [])
    assert update.checksum == checksum([(100, 7), (99, 5)])
    other.submit(SELL, 100, 9)
    (update,) = taken(watched)[LEVELS]
    assert update.bids[0] == (100, 0, 0)
    assert update.asks == [(100, 2, 1)]
    assert (update.first, update.last) == (4, 6)
    assert update.checksum == checksum([(99, 5)], [(100, 2)])


def test_the_checksum_covers_ten_levels_of_each_side(watched, client, other):
    for price in range(100, 112):
        client.submit(BUY, price, price)
        other.submit(SELL, price + 100, 1)
    update = taken(watched)[LEVELS][-1]
    bids = [(price, price) for price in range(111, 101, -1)]
    asks = [(price, 1) for price in range(200, 210)]
    assert update.checksum == checksum(bids, asks)


def test_one_more_level_beyond_the_tenth_changes_no_checksum(watched, client):
    for price in range(100, 112):
        client.submit(BUY, price, 1)
    before = taken(watched)[LEVELS][-1].checksum
    client.submit(BUY, 99, 1)
    assert taken(watched)[LEVELS][-1].checksum == before


# --- orders -------------------------------------------------------------------------------------


def rows(update):
    return [tuple(row) for row in update.changes]


def test_every_change_of_an_order_has_a_row_and_a_number(watched, client, other):
    first, second = client.submit(BUY, 100, 5), client.submit(BUY, 100, 5)
    third = client.submit(BUY, 99, 5)
    taken(watched)
    sold = other.submit(SELL, 100, 7)
    (update,) = taken(watched)[ORDERS]
    assert rows(update) == [
        (REMOVED, BUY, first.order_id, 100, 0),
        (CHANGED, BUY, second.order_id, 100, 3),
    ]
    assert (update.first, update.last, sold.leaves) == (4, 5, 0)
    client.replace(third.order_id, leaves_quantity=2)
    assert rows(taken(watched)[ORDERS][0]) == [(CHANGED, BUY, third.order_id, 99, 2)]
    client.cancel(second.order_id)
    assert rows(taken(watched)[ORDERS][0]) == [(REMOVED, BUY, second.order_id, 100, 0)]


def test_a_replace_that_loses_its_place_goes_and_comes(watched, client):
    order = client.submit(BUY, 100, 5)
    taken(watched)
    client.replace(order.order_id, leaves_quantity=8)
    (update,) = taken(watched)[ORDERS]
    assert rows(update) == [
        (REMOVED, BUY, order.order_id, 100, 0),
        (ADDED, BUY, order.order_id, 100, 8),
    ]


def test_the_next_slice_of_an_iceberg_goes_to_the_end(watched, client, other):
    iceberg = place(client, BUY, 100, 10, display_quantity=4)
    client.submit(BUY, 100, 1)
    taken(watched)
    other.submit(SELL, 100, 4)
    (update,) = taken(watched)[ORDERS]
    *_, gone, shown = rows(update)
    assert gone == (REMOVED, BUY, iceberg.order_id, 100, 0)
    assert shown == (ADDED, BUY, iceberg.order_id, 100, 4)
    snapshot = subscribe(client, ORDERS).snapshot
    assert snapshot.bids == [(2, 100, 1), (1, 100, 4)]


def test_what_never_rests_is_no_change_of_the_book(watched, client):
    client.submit(BUY, 100, 5, TimeInForce.IOC)
    place(client, SELL, 90, 5, OrderType.STOP_LIMIT, stop_price=91)
    assert taken(watched) == {}


def test_less_of_what_an_iceberg_hides_is_no_change_of_the_book(watched, client):
    order = place(client, BUY, 100, 10, display_quantity=4)
    taken(watched)
    client.replace(order.order_id, leaves_quantity=7)
    assert taken(watched) == {}
    assert client.book().book_sequence == 1


def test_a_decremented_maker_changes(watched, client):
    maker = client.submit(SELL, 100, 5)
    taken(watched)
    place(client, BUY, 100, 3, self_trade=SelfTrade.DECREMENT)
    found = taken(watched)
    assert rows(found[ORDERS][0]) == [(CHANGED, SELL, maker.order_id, 100, 2)]
    assert TRADES not in found


# --- trades -------------------------------------------------------------------------------------


def test_trades_are_a_chain(watched, client, other):
    client.submit(BUY, 100, 5)
    client.submit(BUY, 99, 5)
    taken(watched)
    other.submit(SELL, 99, 7)
    (update,) = taken(watched)[TRADES]
    assert (update.previous_trade_id, update.trades) == (0, [(1, 100, 5, SELL), (2, 99, 2, SELL)])
    assert (update.last, update.time_ns) == (4, watched.time_ns)
    other.submit(SELL, 99, 1)
    (update,) = taken(watched)[TRADES]
    assert (update.previous_trade_id, update.trades) == (2, [(3, 99, 1, SELL)])


def test_the_chain_is_of_one_instrument(watched, client, other):
    instrument = client.list_pair()
    client.deposit(3, 1_000)
    other.deposit(4, 1_000)
    watched.wanted.add((instrument, TRADES))
    for number in (1, instrument):
        client.submit(SELL, 10, 2, instrument=number)
    for number in (1, instrument, 1, instrument):
        other.submit(BUY, 10, 1, instrument=number)
    found = {}
    for row in watched.market:
        if row.channel is TRADES:
            found.setdefault(row.instrument, []).extend(row.updates)
    assert [(u.previous_trade_id, u.trades[0][0]) for u in found[1]] == [(0, 1), (1, 3)]
    assert [(u.previous_trade_id, u.trades[0][0]) for u in found[instrument]] == [(0, 2), (2, 4)]


def test_trades_of_an_uncross_have_no_taker(watched, client, other):
    client.ask(SetStatus(client.next_id(), 1, InstrumentStatus.CALL_AUCTION))
    client.submit(BUY, 100, 5)
    other.submit(SELL, 90, 5)
    taken(watched)
    client.ask(Uncross(client.next_id(), 1))
    (update,) = taken(watched)[TRADES]
    ((trade_id, _price, quantity, side),) = update.trades
    assert (trade_id, quantity, side) == (1, 5, 0)


# --- status -------------------------------------------------------------------------------------


def test_status_tells_the_call_and_what_it_would_trade(watched, client, other):
    client.ask(SetStatus(client.next_id(), 1, InstrumentStatus.CALL_AUCTION))
    (update,) = taken(watched)[STATUS]
    assert (update.status, update.last_price, update.indicative_volume) == (4, 0, 0)
    client.submit(BUY, 100, 5)
    assert STATUS not in taken(watched), "nothing crosses"
    other.submit(SELL, 90, 3)
    (update,) = taken(watched)[STATUS]
    indicative = (
        update.indicative_price, update.indicative_volume, update.indicative_surplus,
    )  # fmt: skip
    assert indicative == (100, 3, 2)
    client.ask(Uncross(client.next_id(), 1, InstrumentStatus.CANCEL_ONLY))
    (update,) = taken(watched)[STATUS]
    assert (update.status, update.last_price, update.indicative_volume) == (2, 100, 0)


def test_an_indicative_price_that_goes_away_is_told(watched, client, other):
    client.ask(SetStatus(client.next_id(), 1, InstrumentStatus.CALL_AUCTION))
    client.submit(BUY, 100, 5)
    order = other.submit(SELL, 90, 3)
    taken(watched)
    other.cancel(order.order_id)
    assert taken(watched)[STATUS][-1].indicative_volume == 0


def test_hidden_lots_count_in_the_indicative_price(watched, client, other):
    client.ask(SetStatus(client.next_id(), 1, InstrumentStatus.CALL_AUCTION))
    order = place(client, BUY, 100, 10, display_quantity=2)
    other.submit(SELL, 100, 6)
    assert taken(watched)[STATUS][-1].indicative_surplus == 4
    client.replace(order.order_id, leaves_quantity=7)
    found = taken(watched)
    assert found[STATUS][-1].indicative_surplus == 1
    assert found.keys() == {STATUS}


def test_status_tells_the_last_price_and_the_band_that_it_moves(watched, client, other):
    instrument = client.list_pair(band_ppm=100_000, reference_price=50)
    client.deposit(3, 1_000)
    other.deposit(4, 1_000)
    answer = subscribe(client, STATUS, instrument=instrument)
    assert (answer.snapshot.last_price, answer.snapshot.band_low) == (0, 45)
    taken(watched)
    client.submit(SELL, 52, 2, instrument=instrument)
    assert STATUS not in taken(watched)
    other.submit(BUY, 52, 1, instrument=instrument)
    (update,) = taken(watched)[STATUS]
    assert (update.last_price, update.band_low, update.band_high) == (52, 47, 57)
    other.submit(BUY, 52, 1, instrument=instrument)
    assert STATUS not in taken(watched), "the same price"


def test_the_status_that_an_instrument_has_is_no_news(watched, client):
    client.ask(SetStatus(client.next_id(), 1, InstrumentStatus.TRADING))
    assert taken(watched) == {}


# --- what is wanted -----------------------------------------------------------------------------


def test_only_what_is_wanted_is_made(client, other):
    venue = client.venue
    instrument = client.list_pair()
    client.deposit(4, 1_000)
    venue.wanted = {(1, TRADES), (instrument, BEST)}
    client.submit(BUY, 100, 5)
    client.submit(BUY, 10, 5, instrument=instrument)
    other.submit(SELL, 100, 5)
    assert [(row.instrument, row.channel) for row in venue.market] == [
        (instrument, BEST),
        (1, TRADES),
    ]


def test_what_nobody_wants_is_counted_all_the_same(client, other):
    venue = client.venue
    client.submit(BUY, 100, 5)
    venue.wanted = {(1, LEVELS)}
    client.submit(BUY, 99, 5)
    venue.wanted = set()
    client.submit(BUY, 98, 5)
    venue.wanted = {(1, LEVELS)}
    client.submit(BUY, 97, 5)
    updates = taken(venue)[LEVELS]
    assert [(update.first, update.last) for update in updates] == [(2, 2), (4, 4)]
    assert client.book().book_sequence == 4
    venue.check()


def test_best_begins_where_the_book_is_though_another_channel_was_wanted_before(client):
    """What was best when the first channel was wanted must come as news when it comes back."""
    venue = client.venue
    client.submit(BUY, 90, 5)
    venue.wanted = {(1, ORDERS)}
    better = client.submit(BUY, 91, 5)
    assert subscribe(client, BEST).snapshot.bid_price == 91
    taken(venue)
    client.submit(BUY, 80, 5)
    assert BEST not in taken(venue), "nothing of it changed"
    client.cancel(better.order_id)
    assert taken(venue)[BEST][0].bid_price == 90


def test_status_begins_where_the_book_is_though_another_channel_was_wanted_before(client):
    venue = client.venue
    venue.wanted = {(1, ORDERS)}
    client.ask(SetStatus(client.next_id(), 1, InstrumentStatus.HALTED))
    assert subscribe(client, STATUS).snapshot.status == InstrumentStatus.HALTED
    taken(venue)
    client.ask(SetStatus(client.next_id(), 1, InstrumentStatus.TRADING))
    assert taken(venue)[STATUS][0].status == InstrumentStatus.TRADING


def test_an_instrument_that_is_listed_while_it_is_wanted(client):
    venue = client.venue
    venue.wanted = {(2, LEVELS)}
    instrument = client.list_pair()
    client.deposit(4, 1_000)
    assert instrument == 2
    client.submit(BUY, 10, 5, instrument=2)
    (row,) = venue.market
    assert (row.updates[0].first, row.updates[0].bids) == (1, [(10, 5, 1)])


@pytest.mark.parametrize("restart", ["replayed", "restored"])
def test_market_data_goes_on_after_a_restart(watched, client, restart):
    order = client.submit(BUY, 100, 5)
    taken(watched)
    watched.core = getattr(watched, restart)()
    client.cancel(order.order_id)
    found = taken(watched)
    assert (found[LEVELS][0].first, found[LEVELS][0].last) == (2, 2)
    assert found[BEST][0].bid_price == 0


def test_subscribers_change_nothing_of_the_state(client, other):
    venue = client.venue
    client.submit(BUY, 100, 5)
    twin = venue.restored()
    venue.wanted = {(1, channel) for channel in ALL}
    bodies = len(venue.bodies)
    subscribe(client, LEVELS)
    subscribe(client, ORDERS)
    other.submit(SELL, 100, 3)
    client.ask(MassCancel(client.next_id()))
    assert len(venue.bodies) == bodies + 2, "a subscribe is not logged"
    for body in venue.bodies[bodies:]:
        twin.replay(body)
    assert twin.state_hash() == venue.core.state_hash()


# --- many rows ----------------------------------------------------------------------------------


def test_many_changes_come_in_parts_of_which_the_last_has_the_checksum(watched, client):
    count = CHANGES_PER_UPDATE_MAX + 5
    client.deposit(2, 10**12)
    watched.configure(open_orders_per_user_max=100_000)
    prices = range(1, count + 1)
    orders = [SubmitOrder(100 + n, 1, 0, BUY, LIMIT, GTC, n, 1) for n in prices]
    for first in range(0, count, 4_000):
        watched.apply(client.run(*orders[first : first + 4_000]))
    taken(watched)
    before = client.book().book_sequence
    client.ask(MassCancel(99_999, all_users=True))
    found = taken(watched)
    for channel in (LEVELS, ORDERS):
        first, second = found[channel]
        assert (first.first, first.last) == (before + 1, before + CHANGES_PER_UPDATE_MAX)
        assert (second.first, second.last) == (first.last + 1, before + count)
        assert (first.checksum, second.checksum) == (None, checksum())
    assert [len(update.changes) for update in found[ORDERS]] == [CHANGES_PER_UPDATE_MAX, 5]
    assert {row[1:] for update in found[LEVELS] for row in update.bids} == {(0, 0)}
    assert sum(len(update.bids) for update in found[LEVELS]) == count
    assert len(found[BEST]) == 1
