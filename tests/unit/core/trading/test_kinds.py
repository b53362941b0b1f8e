"""The table of order kinds against what the core does with orders of each kind."""

import re
from itertools import product

import pytest

from hpe.client.orders import OrderCalls
from hpe.core.trading.kinds import KINDS, RESTING, STOPS, Reserve, is_for, kind_of
from hpe.protocol.codes import RejectReason
from hpe.protocol.enums import InstrumentStatus, OrderType, Side, TimeInForce
from hpe.protocol.operations import SetStatus
from hpe.protocol.orders import OrderTerms, ReplaceOrder, SubmitOrder
from tests.conftest import PROJECT_ROOT
from tests.support import protocol_document as document
from tests.support.core_pit import Pit


def order_of(pit, key, *, trader=None, **changes):
    """Make an order of a kind that neither trades nor fires; a sell, if only sells are of it."""
    order_type, rests, has_budget = key
    kind = KINDS[key]
    side = Side.SELL if kind.reserves is Reserve.BASE else Side.BUY
    terms = OrderTerms(
        stop_price=(130 if side is Side.BUY else 70) if order_type in STOPS else 0,
        budget=500 if has_budget else 0,
    )
    return SubmitOrder(
        (trader or pit.bob).next_id(), 1, 0, side, order_type,
        TimeInForce.GTC if rests else TimeInForce.IOC,
        changes.get("price", 90 if kind.needs_price else 0), 0 if has_budget else 5, 0, 0, terms,
    )  # fmt: skip


def name_of(key):
    """Return the id of a kind's tests."""
    order_type, rests, has_budget = key
    words = order_type.name.lower(), "stays" if rests else "at_once", "budget" if has_budget else ""
    return "_".join(filter(None, words))


each_kind = pytest.mark.parametrize("key", KINDS, ids=name_of)


def documented_rows():
    """Return the rows of protocol.md's table of kinds."""
    text = (PROJECT_ROOT / "protocol.md").read_text(encoding="utf-8")
    columns = ("order", "order_type", "time_in_force", "needs", "may have")
    return document.table(document.sections(text)["Kinds of orders"], *columns)


def documented():
    """Return the kinds of protocol.md's table, and whether each needs a price."""
    found = {}
    for row in documented_rows():
        stays = {int(tif.split()[0]) in RESTING for tif in row["time_in_force"].split(", ")}
        needs = row["needs"].split(", ")
        has_budget, sells_without = "`budget`" in row["needs"], "a sell: quantity" in row["needs"]
        by_budget = {has_budget, has_budget and not sells_without}
        for key in product([OrderType(int(row["order_type"]))], stays, by_budget):
            found[key] = "price" in needs
    return found


def test_the_table_has_the_kinds_of_protocol_md():
    assert {key: kind.needs_price for key, kind in KINDS.items()} == documented()


def test_limit_orders_rest_with_the_times_in_force_of_protocol_md():
    """Every time in force is in its table; those that rest are the ones that "may rest" names."""
    row = next(row for row in documented_rows() if row["order"] == "limit")
    listed = {int(tif.split()[0]): tif.split()[1] for tif in row["time_in_force"].split(", ")}
    assert listed == {tif.value: tif.name.lower() for tif in TimeInForce}
    text = (PROJECT_ROOT / "protocol.md").read_text(encoding="utf-8")
    (named,) = re.findall(r"^- A limit or stop limit with (.+) \*\*may rest\*\*", text, re.M)
    assert re.split(", | or ", named) == [tif.name.lower() for tif in RESTING]


@pytest.mark.parametrize("tif", TimeInForce)
def test_what_a_time_in_force_does_is_said_wherever_one_looks_for_it(tif):
    """In a sentence of protocol.md, in the glossary, and where a client names it."""
    name = tif.name.lower()
    text = (PROJECT_ROOT / "protocol.md").read_text(encoding="utf-8")
    sentences = re.findall(r"^- .+", document.sections(text)["Kinds of orders"], re.M)
    assert any(re.search(rf"\b{name}\b", sentence) for sentence in sentences)
    glossary = (PROJECT_ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| time in force \|.*\b{tif.name} \w+", glossary, re.M)
    argument = re.search(r"time_in_force: (.+?);", OrderCalls.submit_order.__doc__ or "")
    assert argument is not None
    assert f'"{name}"' in argument[1]


@each_kind
def test_a_row_of_the_table_is_what_the_words_of_protocol_md_make_of_it(key):
    """Against "Kinds of orders", "Market states", "Replacing an order" and "Reservations"."""
    kind, (order_type, stays, has_budget) = KINDS[key], key
    stops = order_type in (OrderType.STOP, OrderType.STOP_LIMIT)
    limited = kind.needs_price
    assert kind.waits is stops
    assert kind.may_rest is (stays and limited), "market and stop orders never rest in the book"
    assert kind.in_call is (stops or (limited and stays)), "limits gtc and gtd, and stops"
    changes = not has_budget and (stops or kind.may_rest)
    assert kind.quantity is changes, "with a budget rejected; others can be open or cannot"
    assert kind.price is (changes and limited), "a price on a stop order is invalid_combination"
    assert kind.trigger is (changes and stops), "a waiting stop"
    unlimited = Reserve.COST if order_type is OrderType.MARKET else Reserve.BASE
    expected = Reserve.NOTIONAL if limited else unlimited
    assert kind.reserves is (Reserve.BUDGET if has_budget else expected)


@each_kind
@pytest.mark.parametrize("side", Side)
def test_stops_without_a_price_buy_with_a_budget_and_sell_without(key, side):
    order_type, _, has_budget = key
    buys_only = has_budget
    sells_only = order_type is OrderType.STOP and not has_budget
    allowed = (side is Side.BUY or not buys_only) and (side is Side.SELL or not sells_only)
    assert is_for(KINDS[key], side) is allowed


@each_kind
def test_a_price_is_needed_or_refused(key, new_core):
    pit, kind = Pit(new_core), KINDS[key]
    pit.trade_at(100)
    assert pit.bob.ask(order_of(pit, key)).reason != RejectReason.INVALID_COMBINATION
    price = 0 if kind.needs_price else 90
    wrong = pit.bob.ask(order_of(pit, key, price=price))
    assert wrong.reason == RejectReason.INVALID_COMBINATION


@each_kind
def test_an_order_is_accepted_with_what_its_kind_reserves_and_no_less(key, new_core):
    """Beside an offer of its 5 lots at 85, which it would reach."""
    pit, reserves = Pit(new_core), KINDS[key].reserves
    pit.trade_at(100)
    pit.alice.submit(Side.SELL, 85, 5)
    needed = {Reserve.NOTIONAL: 450, Reserve.COST: 425, Reserve.BUDGET: 500, Reserve.BASE: 5}
    poor = pit.venue.attach(3)
    asset = 1 if reserves is Reserve.BASE else 2
    poor.deposit(asset, needed[reserves] - 1)
    assert poor.ask(order_of(pit, key, trader=poor)).reason == RejectReason.INSUFFICIENT_FUNDS
    poor.deposit(asset, 1)
    assert poor.ask(order_of(pit, key, trader=poor)).reason != RejectReason.INSUFFICIENT_FUNDS
    pit.venue.check()


@each_kind
def test_what_may_rest_rests(key, new_core):
    pit = Pit(new_core)
    response = pit.bob.ask(order_of(pit, key))
    is_open = pit.venue.core.exchange.orders.open_count > 0
    assert is_open is (KINDS[key].may_rest or key[0] in STOPS)
    assert (response.canceled > 0) is (not is_open and not key[2])


@each_kind
def test_a_call_accepts_what_it_collects(key, new_core):
    pit = Pit(new_core)
    pit.alice.ask(SetStatus(pit.alice.next_id(), 1, InstrumentStatus.CALL_AUCTION))
    refused = pit.bob.ask(order_of(pit, key)).reason == RejectReason.NOT_IN_CALL
    assert refused is not KINDS[key].in_call


@each_kind
@pytest.mark.parametrize("field", ["quantity", "price", "stop_price"])
def test_a_replace_changes_what_the_kind_has(key, field, new_core):
    pit, kind = Pit(new_core), KINDS[key]
    placed = pit.bob.ask(order_of(pit, key))
    if not (kind.may_rest or key[0] in STOPS):
        assert kind[-3:] == (False, False, False)
        return
    changes = {"leaves_quantity": 4, **({field: 60} if field != "quantity" else {})}
    if field == "stop_price" and kind.reserves is not Reserve.BASE:
        changes["stop_price"] = 140
    command = ReplaceOrder(pit.bob.next_id(), placed.order_id, 0, **changes)
    refused = pit.bob.ask(command).reason == RejectReason.INVALID_COMBINATION
    may = {"quantity": kind.quantity, "price": kind.price, "stop_price": kind.trigger}[field]
    assert refused is not may
    pit.venue.check()


def test_what_is_not_in_the_table_is_no_kind():
    for order_type, tif, budget in product(OrderType, TimeInForce, (0, 5)):
        key = order_type, tif in RESTING, budget > 0
        assert kind_of(order_type, tif, budget) is KINDS.get(key)
    assert kind_of(OrderType.MARKET, TimeInForce.GTC, 0) is None
    assert kind_of(OrderType.LIMIT, TimeInForce.GTC, 5) is None
