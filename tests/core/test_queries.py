"""Queries through frames: pages, filters, ownership, which ended orders are kept."""

import pytest

from hpe.core.state.rows import DumpedAccount
from hpe.protocol.codes import CancelReason, RejectReason
from hpe.protocol.enums import InstrumentStatus, Liquidity, OrderType, Side, TimeInForce
from hpe.protocol.limits import HOUSE_USER, INT_MAX
from hpe.protocol.listings import AddInstrument, GetInstrument, InstrumentReply
from hpe.protocol.money import (
    BalancesReply,
    Deposit,
    HoldsReply,
    ListBalances,
    ListHolds,
    LockBalance,
)
from hpe.protocol.operations import (
    ConservationReply,
    GetConservation,
    GetStateHash,
    SetFees,
    SetStatus,
    StateHashReply,
    Uncross,
)
from hpe.protocol.orders import (
    FillsReply,
    GetOrder,
    ListFills,
    ListOrders,
    OrderReply,
    OrdersReply,
    SubmitOco,
)
from tests.support.core_parts import place
from tests.support.dumps import rows_of

BUY, SELL = Side
GTC, IOC, FOK, GTD = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD
STOP, STOP_LIMIT = OrderType.STOP, OrderType.STOP_LIMIT
UNKNOWN = RejectReason.UNKNOWN_ORDER


def pages(client, expected, query_of, key, limit):
    """Read all pages of a list; a page shorter than the limit is the last."""
    rows, after = [], 0
    while True:
        page = client.get(expected, query_of(after, limit)).rows
        rows += page
        if len(page) < limit:
            return rows
        after = key(page[-1])


def get(client, order_id=0, client_order_id=0, user=0):
    reply = client.get(OrderReply, GetOrder(1, order_id, client_order_id, user))
    assert (reply.order is None) is (reply.reason != 0)
    return reply


# --- orders ---------------------------------------------------------------------------------------


@pytest.fixture
def many(market, client, other):
    """Give user 1 five orders, of instruments 1 and 2, between those of user 2."""
    client.get_id(AddInstrument(client.next_id(), "SECOND", 1, 2))
    for number in range(5):
        client.submit(BUY, 10 + number, 1, instrument=1 + number % 2)
        other.submit(SELL, 100 + number, 1)
    return client


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6, 1_000])
def test_pages_of_orders(many, limit):
    def ids(instrument, user=0):
        rows = pages(
            many, OrdersReply, lambda after, n: ListOrders(1, instrument, after, n, user),
            lambda row: row.order_id, limit,
        )  # fmt: skip
        return [row.order_id for row in rows]

    assert ids(0) == [1, 3, 5, 7, 9]
    assert ids(1) == [1, 5, 9]
    assert ids(2) == [3, 7]
    assert ids(3) == []
    assert ids(0, user=2) == [2, 4, 6, 8, 10]
    assert ids(0, user=99) == []


def test_a_page_begins_behind_an_id_that_need_not_exist(many):
    rows = many.get(OrdersReply, ListOrders(1, 0, 4)).rows
    assert [row.order_id for row in rows] == [5, 7, 9]
    assert many.get(OrdersReply, ListOrders(1, 0, 9)).rows == []
    assert many.get(OrdersReply, ListOrders(1, 0, INT_MAX)).rows == []


def test_pages_go_on_while_orders_end(many):
    first = many.get(OrdersReply, ListOrders(1, 0, 0, 2)).rows
    many.cancel(first[-1].order_id)
    many.cancel(5)
    rest = many.get(OrdersReply, ListOrders(1, 0, first[-1].order_id, 2)).rows
    assert [row.order_id for row in rest] == [7, 9]


def test_waiting_stops_are_listed_among_the_others(market, client, other):
    client.submit(BUY, 10, 1)
    stop = place(client, SELL, 40, 5, STOP_LIMIT, GTD, stop_price=50, expires_ns=10**9, flags=0)
    client.submit(BUY, 11, 1)
    rows = client.get(OrdersReply, ListOrders(1)).rows
    assert [row.order_id for row in rows] == [1, stop.order_id, 3]
    assert [row.waiting for row in rows] == [False, True, False]
    row = rows[1]
    assert (row.stop_price, row.price, row.leaves, row.expires_ns) == (50, 40, 5, 10**9)
    assert (row.order_type, row.time_in_force, row.reserved) == (STOP_LIMIT, GTD, 5)


def test_the_legs_of_a_pair_name_each_other(client):
    response = client.ask(SubmitOco(client.next_id(), 1, SELL, 7, 200, 90))
    assert response.reason == 0
    limit, stop = client.get(OrdersReply, ListOrders(1)).rows
    assert (limit.linked_order_id, stop.linked_order_id) == (stop.order_id, limit.order_id)
    assert (limit.reserved, stop.reserved) == (7, 0)
    client.cancel(limit.order_id)
    row = get(client, stop.order_id).order
    assert (row.linked_order_id, row.reason) == (0, CancelReason.LINKED)


def test_a_trailing_stop_shows_its_present_trigger(client, other):
    other.submit(SELL, 100, 1)
    client.submit(BUY, 100, 1)
    stop = place(client, SELL, 0, 1, STOP, trail=5)
    other.submit(BUY, 107, 1)
    client.submit(SELL, 107, 1)
    row = get(client, stop.order_id).order
    assert (row.stop_price, row.trail, row.waiting) == (102, 5, True)


# --- fills ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 2, 3, 1_000])
def test_pages_of_fills_show_what_the_reports_told(market, client, other, limit):
    for price in (100, 101, 102):
        other.submit(SELL, price, 2)
    client.submit(BUY, 102, 5, client_order_id=9)
    client.submit(SELL, 50, 1)
    client.cancel(client.submit(BUY, 1, 1).order_id)
    client.submit(BUY, 50, 1)
    for trader, user in ((client, 0), (other, 0), (other, 1)):
        rows = pages(
            trader, FillsReply, lambda after, n, user=user: ListFills(1, after, n, user),
            lambda row: row.private_sequence, limit,
        )  # fmt: skip
        told = [report for report in market.private[user or trader.user] if report.exec_type == 15]
        assert [
            (
                row.trade_id, row.private_sequence, row.time_ns, row.instrument, row.order_id,
                row.client_order_id, row.side, row.liquidity, row.price, row.quantity, row.fee,
                row.contra_order_id,
            )
            for row in rows
        ] == [
            (
                report.trade_id, report.private_sequence, report.time_ns, report.instrument,
                report.order_id, report.client_order_id, report.side, report.liquidity,
                report.last_price, report.last_quantity, report.fee, report.contra_order_id,
            )
            for report in told
        ]  # fmt: skip
        assert len(rows) >= 3
    assert client.get(FillsReply, ListFills(1, user=99)).rows == []


def test_the_newest_fills_of_all_users_are_kept(market, client, other):
    market.limit(recent_fills=5)
    for _ in range(4):
        other.submit(SELL, 100, 1)
        client.submit(BUY, 100, 1)
    for core in (market.core, market.replayed(), market.restored()):
        market.core = core
        replies = [trader.get(FillsReply, ListFills(1)) for trader in (client, other)]
        ids = [[row.trade_id for row in reply.rows] for reply in replies]
        assert ids == [[3, 4], [2, 3, 4]]
        for trader, reply in zip((client, other), replies, strict=True):
            told = [report for report in market.private[trader.user] if report.exec_type == 15]
            forgotten = told[: 4 - len(reply.rows)]
            assert reply.complete_after == forgotten[-1].private_sequence
            page = trader.get(FillsReply, ListFills(1, after=reply.rows[-1].private_sequence))
            assert (page.rows, page.complete_after) == ([], reply.complete_after)
        market.check()


def test_while_all_fills_are_kept_they_are_complete(market, client, other):
    other.submit(SELL, 100, 1)
    client.submit(BUY, 100, 1)
    assert client.get(FillsReply, ListFills(1)).complete_after == 0
    assert client.get(FillsReply, ListFills(1, user=99)).complete_after == 0


# --- money ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 2, 3, 1_000])
def test_pages_of_accounts_leave_out_the_empty_ones(market, client, limit):
    for _ in range(3):
        client.list_pair()
    for asset in (3, 5, 8):
        client.deposit(asset, asset)
    client.ask(LockBalance(client.next_id(), 5, 2))
    client.ask(LockBalance(client.next_id(), 5, 3, hold_id=1))
    client.submit(BUY, 10, 7)
    rows = pages(
        client, BalancesReply, lambda after, n: ListBalances(1, after, n), lambda row: row[0], limit
    )
    assert rows == [
        (1, 1_000_000, 0, 0, 0), (2, 999_930, 70, 0, 0), (3, 3, 0, 0, 0), (5, 0, 0, 5, 3),
        (8, 8, 0, 0, 0),
    ]  # fmt: skip
    assert client.get(BalancesReply, ListBalances(1, user=99)).rows == []
    market.check()


@pytest.mark.parametrize("limit", [1, 2, 3, 1_000])
def test_pages_of_holds(client, other, limit):
    for hold_id in (30, INT_MAX, 4):
        client.ask(
            LockBalance(client.next_id(), 1, hold_id % 10 + 1, 0, hold_id, hold_id % 9 * 10**9)
        )
    for trader, user in ((client, 0), (other, 1)):
        rows = pages(
            trader, HoldsReply, lambda after, n, user=user: ListHolds(1, after, n, user),
            lambda row: row[0], limit,
        )  # fmt: skip
        assert rows == [
            (4, 1, 5, 4 * 10**9), (30, 1, 1, 3 * 10**9), (INT_MAX, 1, 8, INT_MAX % 9 * 10**9),
        ]  # fmt: skip
    assert other.get(HoldsReply, ListHolds(1)).rows == []


def test_conservation_adds_up_with_fees_and_holds(market, client, other):
    def conservation(asset):
        return client.get(ConservationReply, GetConservation(1, asset))

    before = conservation(2)
    assert (before.net_deposits, before.available, before.accounts) == (2_000_000, 2_000_000, 2)
    client.ask(SetFees(client.next_id(), 1, 0, 10_000))
    other.submit(SELL, 100, 5)
    client.submit(BUY, 100, 2)
    client.submit(BUY, 50, 1)
    client.ask(LockBalance(client.next_id(), 2, 9))
    reply = conservation(2)
    assert reply.net_deposits == reply.available + reply.reserved + reply.held == 2_000_000
    assert (reply.reserved, reply.held, reply.house, reply.accounts) == (51, 9, 2, 3)
    assert conservation(1).house == 0
    unknown = conservation(9)
    assert unknown.reason == RejectReason.UNKNOWN_ASSET
    assert (unknown.net_deposits, unknown.accounts) == (0, 0)


def test_a_query_opens_no_account_and_no_user(market, client):
    before = list(market.core.dump())
    for query in (
        ListBalances(1, user=77), ListHolds(1, user=77), ListOrders(1, user=77),
        ListFills(1, user=77), GetOrder(1, 5, 0, 77), GetConservation(1, 1), GetInstrument(1, 1),
    ):  # fmt: skip
        client.ask(query)
    assert list(market.core.dump()) == before


# --- instruments ----------------------------------------------------------------------------------


def shown(client, instrument=1):
    return client.get(InstrumentReply, GetInstrument(1, instrument))


def test_an_unknown_instrument_is_all_zero(client):
    reply = shown(client, 9)
    fields = [getattr(reply, name) for name in reply.__struct_fields__[4:]]
    assert (reply.reason, set(fields)) == (RejectReason.UNKNOWN_INSTRUMENT, {0})


def test_an_instrument_shows_its_orders_stops_and_the_askers_rates(client, other):
    client.ask(SetFees(client.next_id(), 1, 3, 7))
    client.ask(SetFees(client.next_id(), 1, 1, 2, 1))
    client.submit(BUY, 10, 1)
    other.submit(SELL, 20, 1)
    place(client, SELL, 5, 1, STOP_LIMIT, stop_price=6)
    reply = shown(client)
    assert (reply.open_orders, reply.waiting_stops) == (3, 1)
    assert (reply.maker_fee_ppm, reply.taker_fee_ppm) == (1, 2)
    assert (shown(other).maker_fee_ppm, shown(other).taker_fee_ppm) == (3, 7)
    assert (reply.status, reply.last_price, reply.band_low, reply.band_high) == (1, 0, 0, 0)


def test_the_indicative_price_is_that_of_an_uncross_now(client, other):
    client.ask(SetStatus(client.next_id(), 1, InstrumentStatus.CALL_AUCTION))

    def indicative():
        reply = shown(client)
        return reply.indicative_price, reply.indicative_volume, reply.indicative_surplus

    assert indicative() == (0, 0, 0)
    client.submit(BUY, 110, 7)
    assert indicative() == (0, 0, 0)
    other.submit(SELL, 100, 5)
    assert indicative() == (110, 5, 2)
    assert shown(client).status == InstrumentStatus.CALL_AUCTION
    response = client.ask(Uncross(client.next_id(), 1))
    assert (response.price, response.volume) == (110, 5)
    assert indicative() == (0, 0, 0)
    assert shown(client).last_price == 110
    (row,) = client.get(FillsReply, ListFills(1)).rows
    assert row.liquidity == Liquidity.AUCTION


def test_the_band_is_shown_in_every_status(client):
    limits = {"band_ppm": 100_000, "reference_price": 50}
    number = client.get_id(AddInstrument(client.next_id(), "BANDED", 1, 2, **limits))
    for status in (
        InstrumentStatus.TRADING,
        InstrumentStatus.HALTED,
        InstrumentStatus.CALL_AUCTION,
    ):
        client.ask(SetStatus(client.next_id(), number, status))
        reply = shown(client, number)
        assert (reply.band_low, reply.band_high, reply.status) == (45, 55, status)


def test_the_state_hash_is_the_cores(market, client):
    reply = client.get(StateHashReply, GetStateHash(1))
    assert reply.state_hash == market.core.state_hash().hex()
    client.ask(Deposit(client.next_id(), 1, 1))
    assert client.get(StateHashReply, GetStateHash(1)).state_hash != reply.state_hash


def test_the_house_is_a_user_like_any_other_to_a_query(client):
    client.deposit(1, 5, user=HOUSE_USER)
    assert client.get(BalancesReply, ListBalances(1, user=HOUSE_USER)).rows == [(1, 5, 0, 0, 0)]
    assert client.balance(1, user=HOUSE_USER).available == 5


@pytest.mark.parametrize(("maker_ppm", "rows"), [(-100_000, [(2, 0)]), (0, [])])
def test_a_trade_at_a_rate_opens_the_houses_account_though_it_gets_nothing(
    client, other, maker_ppm, rows
):
    """A fee of one atom, all of it the maker's rebate: the rates decide, not the sum."""
    client.ask(SetFees(client.next_id(), 1, maker_ppm, -maker_ppm))
    other.submit(SELL, 10, 1)
    assert client.submit(BUY, 10, 1).fee_total == -maker_ppm // 100_000
    accounts = rows_of(client.venue.core, DumpedAccount)
    assert [(row.asset, row.available) for row in accounts if row.user == HOUSE_USER] == rows
