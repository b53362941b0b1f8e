"""Money at the bounds of 64 bits: the bound itself is accepted, one more is rejected by name.

A rejected command changes nothing visible: accounts, books, open orders.
"""

import msgspec
import pytest

from hpe.protocol.codes import ErrorCode, RejectReason
from hpe.protocol.enums import OrderType, Side, TimeInForce
from hpe.protocol.limits import AMOUNT_MAX, HOUSE_USER, INT_MAX, PPM
from hpe.protocol.listings import AddAsset, AddInstrument, ListInstruments
from hpe.protocol.money import CaptureHold, Deposit, ListBalances, LockBalance, Transfer, Withdraw
from hpe.protocol.operations import GetConservation
from hpe.protocol.orders import ListOrders, OrderTerms, SubmitOco, SubmitOrder
from tests.support.core_parts import place

BUY, SELL = Side
GTC, IOC, FOK, GTD = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD
MARKET, LIMIT = OrderType.MARKET, OrderType.LIMIT
STOP, STOP_LIMIT = OrderType.STOP, OrderType.STOP_LIMIT
BASE, QUOTE = 1, 2
NOTIONAL = RejectReason.NOTIONAL_OUT_OF_RANGE
QUANTITY = RejectReason.QUANTITY_OUT_OF_RANGE
PRICE = RejectReason.PRICE_OUT_OF_RANGE
FUNDS = RejectReason.INSUFFICIENT_FUNDS
LIMIT_OF_DEPOSITS = RejectReason.DEPOSIT_LIMIT

SIDES = pytest.mark.parametrize("side", Side)


class Bank:
    """A venue with assets BASE and QUOTE; `rich` is user 1 and has all that there may be."""

    def __init__(self, venue):
        self.venue = venue
        self.rich, self.other = venue.attach(1), venue.attach(2)
        for symbol in ("BASE", "QUOTE"):
            asset = self.rich.get_id(AddAsset(self.rich.next_id(), symbol, 0))
            self.rich.deposit(asset, AMOUNT_MAX)

    def list(self, **fields):
        """List one more pair of the two assets; return its id."""
        symbol = f"PAIR{self.rich.last_request_id}"
        return self.rich.get_id(AddInstrument(self.rich.next_id(), symbol, BASE, QUOTE, **fields))

    def give(self, asset, amount, to_user=2):
        """Let the rich one pay somebody."""
        assert self.transfer(asset, amount, to_user).reason == 0

    def transfer(self, asset, amount, to_user):
        return self.rich.ask(Transfer(self.rich.next_id(), asset, amount, to_user))

    def seen(self):
        """Return what a rejected command must not change."""
        ask, users = self.rich.ask, (1, 2, 3, HOUSE_USER)
        books = [self.rich.book(row.instrument) for row in ask(ListInstruments(1)).rows]
        return (
            [ask(ListBalances(1, user=user)).rows for user in users],
            [ask(ListOrders(1, user=user)).rows for user in users],
            [(book.book_sequence, book.last_price, book.bids, book.asks) for book in books],
            [ask(GetConservation(1, asset)).net_deposits for asset in (BASE, QUOTE)],
        )

    def rejects(self, reason, ask, *arguments, **fields):
        """Ask for what must be rejected by this name and change nothing."""
        before = self.seen()
        assert ask(*arguments, **fields).reason == reason
        assert self.seen() == before
        self.venue.core.check()

    def refuses(self, request, field):
        """Send what the wire itself has no room for in this field."""
        before = self.seen()
        answer = self.rich.refused(request)
        assert (answer.code, answer.executed) == (ErrorCode.BAD_FIELD, False)
        assert answer.field == field
        assert self.seen() == before


@pytest.fixture
def bank(venue):
    assert AMOUNT_MAX == 2**62
    return Bank(venue)


def in_atoms(micro):
    """Round millionths of an atom up to whole ones."""
    return -(-micro // PPM)


def largest_notional(worst_ppm):
    """Find the largest N whose N + ceil(N x worst) still is within the bound."""
    low, high = 0, AMOUNT_MAX
    while low < high:
        middle = (low + high + 1) // 2
        if middle + in_atoms(middle * worst_ppm) <= AMOUNT_MAX:
            low = middle
        else:
            high = middle - 1
    return low


# --- price x quantity -----------------------------------------------------------------------------


@SIDES
@pytest.mark.parametrize(
    ("price", "quantity", "atoms"),
    [(1, 2**62, 1), (2**31, 2**31, 1), (2**30, 2**31, 2), (2**62, 1, 1), (1, 1, 2**62)],
)
def test_the_bound_itself_is_accepted(bank, side, price, quantity, atoms):
    pair = bank.list(quote_atoms_per_tick=atoms)
    assert place(bank.rich, side, price, quantity, instrument=pair).leaves == quantity
    paid = AMOUNT_MAX if side is BUY else quantity
    assert bank.rich.money(QUOTE if side is BUY else BASE)[1] == paid
    bank.venue.check()


@SIDES
@pytest.mark.parametrize(
    ("price", "quantity", "atoms"),
    [
        (1, 2**62 + 1, 1),
        (2**31, 2**31 + 1, 1),
        (2**31 + 1, 2**31, 1),
        (2**62 + 1, 1, 1),
        (1, 2, 2**62),
        (2**32, 2**32, 1),  # 0 in 64 bits
        (2**61, 2**61, 4),  # 0 in 64 bits, whichever two are multiplied first
        (3, 6_148_914_691_236_517_206, 1),  # 2 in 64 bits
        (2, INT_MAX, 1),  # -2 in 64 bits signed
        (INT_MAX, INT_MAX, 1),  # 1 in 64 bits
        (INT_MAX, INT_MAX, 2**62),
    ],
)
def test_beyond_the_bound_is_rejected_by_name(bank, side, price, quantity, atoms):
    pair = bank.list(quote_atoms_per_tick=atoms)
    for tif in (GTC, IOC, FOK):
        bank.rejects(NOTIONAL, place, bank.rich, side, price, quantity, LIMIT, tif, instrument=pair)
    stop = {"instrument": pair, "stop_price": 5}
    bank.rejects(NOTIONAL, place, bank.rich, side, price, quantity, STOP_LIMIT, **stop)


@SIDES
@pytest.mark.parametrize(
    ("maker", "taker"), [(0, 1), (1, 0), (0, 333_333), (-5, 5), (999_999, 999_999), (-7, 250_000)]
)
def test_the_fee_comes_on_top(bank, side, maker, taker):
    pair = bank.list(maker_fee_ppm=maker, taker_fee_ppm=taker)
    most = largest_notional(max(maker, taker))
    assert most < AMOUNT_MAX
    bank.rejects(NOTIONAL, place, bank.rich, side, 1, most + 1, instrument=pair)
    bank.rejects(NOTIONAL, place, bank.rich, side, most + 1, 1, instrument=pair)
    assert place(bank.rich, side, 1, most, instrument=pair).reason == 0
    reserved = bank.rich.money(QUOTE if side is BUY else BASE)[1]
    assert reserved == (most + in_atoms(most * max(maker, taker)) if side is BUY else most)
    bank.venue.check()


@pytest.mark.parametrize("quantity", [2, 4, 2**61, 2**62])
def test_base_atoms_beyond_the_bound_are_money_that_nobody_has(bank, quantity):
    """Lots x atoms per lot: 2^63 and more, negative or 0 in 64 bits."""
    pair = bank.list(base_atoms_per_lot=2**62)
    bank.rejects(FUNDS, place, bank.rich, SELL, 1, quantity, instrument=pair)
    assert place(bank.rich, SELL, 1, 1, instrument=pair).reason == 0
    bank.venue.check()


def test_a_market_buy_of_everything_costs_too_much_by_one(bank):
    pair = bank.list()
    bank.give(BASE, 2**31 + 1)
    place(bank.other, SELL, 2**31, 2**31, instrument=pair)
    place(bank.other, SELL, 2**32, 1, instrument=pair)
    bank.rejects(FUNDS, place, bank.rich, BUY, 0, INT_MAX, MARKET, IOC, instrument=pair)
    bank.rejects(FUNDS, place, bank.rich, BUY, 0, 2**31 + 1, MARKET, IOC, instrument=pair)
    bought = place(bank.rich, BUY, 0, 2**31, MARKET, IOC, instrument=pair)
    assert (bought.cum, bought.quote_total) == (2**31, AMOUNT_MAX)
    assert bank.other.money(QUOTE) == (AMOUNT_MAX, 0, 0)
    bank.venue.check()


def test_a_market_buy_that_its_fee_makes_too_dear(bank):
    pair = bank.list(taker_fee_ppm=1)
    bank.give(BASE, 2**31)
    most = largest_notional(1)
    place(bank.other, SELL, most, 1, instrument=pair)
    place(bank.other, SELL, most, 1, instrument=pair)
    bank.rejects(FUNDS, place, bank.rich, BUY, 0, 2, MARKET, IOC, instrument=pair)
    assert place(bank.rich, BUY, 0, 1, MARKET, IOC, instrument=pair).quote_total == most
    bank.venue.check()


def test_a_trigger_beyond_the_wire_is_no_price(bank):
    pair = bank.list()
    bank.give(BASE, 10)
    place(bank.other, SELL, 100, 1, instrument=pair)
    place(bank.rich, BUY, 100, 1, instrument=pair)
    sell = (bank.other, SELL, 0, 1, STOP)
    for trail in (100, 101, INT_MAX):
        bank.rejects(PRICE, place, *sell, instrument=pair, trail=trail)
    buy = (bank.rich, BUY, 0, 0, STOP)
    bank.rejects(PRICE, place, *buy, instrument=pair, trail=INT_MAX - 99, budget=10)
    assert place(*sell, instrument=pair, trail=99).reason == 0
    assert place(*buy, instrument=pair, trail=INT_MAX - 100, budget=10).reason == 0
    bank.venue.check()


# --- replace --------------------------------------------------------------------------------------


@SIDES
def test_a_replace_within_and_beyond_the_bound(bank, side):
    pair = bank.list()
    order = place(bank.rich, side, 1, 10, instrument=pair)
    replace = bank.rich.replace
    bank.rejects(NOTIONAL, replace, order.order_id, leaves_quantity=2**62 + 1)
    bank.rejects(NOTIONAL, replace, order.order_id, leaves_quantity=2, price=2**61 + 1)
    bank.rejects(NOTIONAL, replace, order.order_id, leaves_quantity=INT_MAX, price=INT_MAX)
    bank.rejects(NOTIONAL, replace, order.order_id, leaves_quantity=2**32, price=2**32)
    assert replace(order.order_id, leaves_quantity=2**31, price=2**31).reason == 0
    bank.venue.check()


@SIDES
@pytest.mark.parametrize(
    ("maker", "taker"), [(0, 0), (500_000, 0), (0, 250_000), (-100_000, 100_001)]
)
def test_a_replace_counts_what_the_order_traded_before(bank, side, maker, taker):
    """Traded so far + the new open part + the worst fee of both: 2^62 and not one more."""
    pair = bank.list(maker_fee_ppm=maker, taker_fee_ppm=taker)
    before, worst = 2**60, max(maker, taker, 0)
    resting, against = (bank.rich, bank.other) if side is BUY else (bank.other, bank.rich)
    bank.give(BASE, 2**20)
    order = place(resting, side, before, 2, instrument=pair)
    contra = SELL if side is BUY else BUY
    assert place(against, contra, before, 1, instrument=pair).cum == 1
    fee_micro = before * maker

    def total(notional):
        return before + notional + in_atoms(fee_micro + notional * worst)

    low, high = 1, AMOUNT_MAX
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if total(middle) <= AMOUNT_MAX else (low, middle - 1)
    most = low
    bank.rejects(NOTIONAL, resting.replace, order.order_id, leaves_quantity=1, price=most + 1)
    replaced = resting.replace(order.order_id, leaves_quantity=1, price=most)
    assert (replaced.reason, replaced.leaves, replaced.quote_total) == (0, 1, before)
    bank.venue.check()


def test_a_replace_whose_whole_quantity_leaves_the_wire(bank):
    pair = bank.list()
    bank.give(BASE, 10)
    order = place(bank.other, SELL, 1, 3, instrument=pair)
    place(bank.rich, BUY, 1, 1, instrument=pair)
    replace = bank.other.replace
    bank.rejects(QUANTITY, replace, order.order_id, leaves_quantity=INT_MAX)
    bank.rejects(NOTIONAL, replace, order.order_id, leaves_quantity=INT_MAX - 1)
    bank.rejects(NOTIONAL, replace, order.order_id, quantity=INT_MAX)
    bank.rejects(FUNDS, replace, order.order_id, quantity=2**62)
    bank.venue.check()


def test_a_replace_for_more_than_there_is(bank):
    pair = bank.list(taker_fee_ppm=1)
    bank.give(QUOTE, 1_000_001)
    order = place(bank.other, BUY, 1, 10, instrument=pair)
    bank.rejects(FUNDS, bank.other.replace, order.order_id, leaves_quantity=1_000_001)
    assert bank.other.replace(order.order_id, leaves_quantity=1_000_000).reason == 0
    assert bank.other.money(QUOTE) == (0, 1_000_001, 0)
    bank.venue.check()


# --- pairs and budgets ----------------------------------------------------------------------------


def test_either_leg_of_a_pair_has_the_bound(bank):
    pair = bank.list()

    def submit(price, stop_limit_price, quantity=2**31):
        command = SubmitOco(
            bank.rich.next_id(), pair, BUY, quantity, price, price + 5, stop_limit_price
        )
        return bank.rich.ask(command)

    bank.rejects(NOTIONAL, submit, 2**31 + 1, 5)
    bank.rejects(NOTIONAL, submit, 5, 2**31 + 1)
    bank.rejects(NOTIONAL, submit, INT_MAX - 5, INT_MAX, INT_MAX)
    assert submit(2**31 - 9, 2**31).reason == 0
    assert bank.rich.money(QUOTE) == (0, AMOUNT_MAX, 0), "one reserve for both"
    bank.venue.check()


@pytest.mark.parametrize(
    ("kind", "tif", "stop_price"), [(MARKET, IOC, 0), (MARKET, FOK, 0), (STOP, GTC, 9)]
)
def test_a_budget_at_its_bounds(bank, kind, tif, stop_price):
    pair = bank.list(notional_max=2**62 - 1)
    free = bank.list()

    def spend(instrument, budget):
        terms = {"stop_price": stop_price, "budget": budget}
        return place(bank.rich, BUY, 0, 0, kind, tif, instrument=instrument, **terms)

    bank.rejects(NOTIONAL, spend, pair, 2**62)
    too_much = OrderTerms(stop_price=stop_price, budget=2**62 + 1)
    order = SubmitOrder(
        bank.rich.last_request_id + 1, free, 0, BUY, kind, tif, 0, 0, 0, 0, too_much
    )
    bank.refuses(order, "terms.budget")
    assert spend(free, 2**62).reason in (0, 103, 104)
    bank.venue.check()
    if not stop_price:  # the stop has it all reserved
        bank.give(QUOTE, 1, 3)
    bank.rejects(FUNDS, spend, free, 2**62)


def test_a_budget_buys_up_to_the_bound_fee_included(bank):
    pair = bank.list(taker_fee_ppm=1)
    most = largest_notional(1)
    bank.give(BASE, 3)
    for price in (most, 1, 1):
        place(bank.other, SELL, price, 1, instrument=pair)
    bought = place(bank.rich, BUY, 0, 0, MARKET, IOC, instrument=pair, budget=AMOUNT_MAX)
    assert bought.quote_total + bought.fee_total <= AMOUNT_MAX
    assert bought.cum == 2, "two at 1; then not the dear one"
    bank.venue.check()


# --- sums of money --------------------------------------------------------------------------------


def test_deposits_of_all_users_share_the_bound(venue):
    client = venue.attach(1)
    client.get_id(AddAsset(client.next_id(), "A", 0))

    def deposit(amount, user):
        return client.ask(Deposit(client.next_id(), 1, amount, user))

    for user, amount in ((1, 2**61), (2, 2**60), (3, 2**60 - 1)):
        assert deposit(amount, user).reason == 0
    for amount in (2, 2**61, 2**62):
        answer = deposit(amount, 4)
        assert (answer.reason, answer.available) == (LIMIT_OF_DEPOSITS, 0)
    assert deposit(1, 4).available == 1
    assert deposit(1, 1).reason == LIMIT_OF_DEPOSITS
    assert client.ask(Withdraw(client.next_id(), 1, 1, 4)).reason == 0
    assert deposit(1, 1).available == 2**61 + 1
    assert client.ask(GetConservation(1, 1)).net_deposits == AMOUNT_MAX
    venue.check()


@pytest.mark.parametrize("amount", [2**62 + 1, 2**63 - 1, 2**63, 2**64 - 1])
def test_amounts_beyond_the_wire_are_refused(bank, amount):
    number = bank.rich.last_request_id + 1
    bank.refuses(Deposit(number, QUOTE, amount), "amount")
    bank.refuses(Withdraw(number, QUOTE, amount), "amount")
    bank.refuses(Transfer(number, QUOTE, amount, 2), "amount")
    bank.refuses(LockBalance(number, QUOTE, amount), "amount")
    bank.refuses(CaptureHold(number, 1, amount, 2), "amount")


@pytest.mark.parametrize("field", ["price", "quantity"])
def test_integers_beyond_63_bits_are_refused(bank, field):
    pair = bank.list()
    order = SubmitOrder(bank.rich.last_request_id + 1, pair, 0, BUY, LIMIT, GTC, 1, 1)
    bank.refuses(msgspec.structs.replace(order, **{field: 2**63}), field)
    bank.refuses(msgspec.structs.replace(order, **{field: -1}), field)


def test_one_account_collects_all_there_is_by_transfers_captures_and_trades(bank):
    """Half by transfer, a quarter by capture, a quarter by a trade, the last atom as well."""
    quarter = 2**60
    bank.give(QUOTE, 2 * quarter, 3)
    hold = LockBalance(bank.rich.next_id(), QUOTE, quarter, hold_id=7)
    assert bank.rich.ask(hold).reason == 0
    more = CaptureHold(bank.rich.next_id(), 7, quarter + 1, 3)
    bank.rejects(RejectReason.INSUFFICIENT_HOLD, bank.rich.ask, more)
    captured = bank.rich.ask(CaptureHold(bank.rich.next_id(), 7, quarter, 3))
    assert (captured.reason, captured.remaining) == (0, 0)
    bank.give(BASE, 1, 3)
    third, pair = bank.venue.attach(3), bank.list()
    place(third, SELL, quarter, 1, instrument=pair)
    assert place(bank.rich, BUY, quarter, 1, instrument=pair).cum == 1
    assert third.money(QUOTE) == (AMOUNT_MAX, 0, 0)
    assert bank.rich.money(QUOTE) == (0, 0, 0)
    bank.rejects(LIMIT_OF_DEPOSITS, third.ask, Deposit(third.next_id(), QUOTE, 1))
    bank.rejects(FUNDS, bank.transfer, QUOTE, 1, 3)
    shown = third.ask(GetConservation(1, QUOTE))
    assert (shown.net_deposits, shown.available) == (AMOUNT_MAX, AMOUNT_MAX)
    order = place(third, BUY, 2**31, 2**31, instrument=pair)
    assert third.money(QUOTE) == (0, AMOUNT_MAX, 0)
    assert third.cancel(order.order_id).canceled == 2**31
    assert third.ask(LockBalance(third.next_id(), QUOTE, AMOUNT_MAX)).held == AMOUNT_MAX
    bank.venue.check()


@pytest.mark.parametrize(
    ("maker", "taker"), [(999_999, 999_999), (-999_999, 999_999), (0, 999_999)]
)
def test_fees_of_nearly_everything_stay_money(bank, maker, taker):
    """The house collects up to the bound; a rebate gives nearly twice the price."""
    pair = bank.list(maker_fee_ppm=maker, taker_fee_ppm=taker)
    bank.give(BASE, 1)
    most = largest_notional(max(maker, taker))
    sold = place(bank.other, SELL, most, 1, instrument=pair)
    assert sold.reason == 0
    bought = place(bank.rich, BUY, most, 1, instrument=pair)
    assert bought.quote_total + bought.fee_total <= AMOUNT_MAX
    shown = bank.rich.ask(GetConservation(1, QUOTE))
    assert shown.available == AMOUNT_MAX
    assert shown.house == bought.fee_total + in_atoms(most * maker)
    assert bank.other.money(QUOTE)[0] == most - in_atoms(most * maker)
    bank.venue.check()


def test_a_transfer_of_everything_and_one_more(bank):
    bank.rejects(FUNDS, bank.rich.ask, Withdraw(bank.rich.next_id(), 2, 1, 2))
    bank.give(QUOTE, AMOUNT_MAX, HOUSE_USER)
    bank.rejects(FUNDS, bank.transfer, QUOTE, 1, 2)
    back = Transfer(bank.rich.next_id(), QUOTE, AMOUNT_MAX, 1, HOUSE_USER)
    assert bank.rich.ask(back).reason == 0
    assert bank.rich.money(QUOTE) == (AMOUNT_MAX, 0, 0)
    bank.venue.check()
