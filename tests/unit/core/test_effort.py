"""One meter: what is charged stands in the document, and does not depend on the path taken."""

import re

import pytest

from hpe.core import effort
from hpe.core.effort import Effort
from hpe.messages import (
    CancelOrder,
    OrderType,
    ReplaceOrder,
    Side,
    SubmitOco,
    TimeInForce,
)
from tests.conftest import PROJECT_ROOT
from tests.support.core_parts import place
from tests.support.core_pit import Pit

BUY, SELL = Side
LATER = 10**18 + 10**12


def charges():
    """Return what the module charges, by name."""
    return {name: value for name, value in vars(effort).items() if name.isupper()}


def test_the_document_has_every_charge_and_no_other():
    text = (PROJECT_ROOT / "protocol.md").read_text(encoding="utf-8")
    section = text.split("\n### Effort\n")[1].split("\n### ")[0]
    rows = re.findall(r"^\| `([A-Z_]+)` \| (\d+) \|", section, re.MULTILINE)
    assert {(name, int(value)) for name, value in rows} == {*charges().items()}
    assert len(rows) == len(charges()) + 1, "ROW is in both tables"


def test_commands_and_queries_are_counted_apart():
    meter = Effort()
    meter.charge(effort.CONTINUE, 2)
    meter.charge(effort.FILL)
    meter.ask(effort.ROW, 5)
    assert (meter.spent, meter.asked) == (17, 5)
    meter.begin()
    assert (meter.spent, meter.asked) == (0, 0)


def spent(pit):
    return pit.venue.core.exchange.market.effort.spent


WAYS = {
    "plain": {},
    "expires": {"tif": TimeInForce.GTD, "expires_ns": LATER},
    "of its session": {"flags": 2},
    "iceberg": {"display_quantity": 1},
    "stop": {"order_type": OrderType.STOP_LIMIT, "stop_price": 130},
}


@pytest.mark.parametrize("way", WAYS)
def test_an_order_that_only_comes_changes_and_goes_costs_nothing_on_any_path(way, new_core):
    pit, terms = Pit(new_core), dict(WAYS[way])
    kind = terms.pop("order_type", OrderType.LIMIT)
    placed = place(pit.his, BUY, 90, 5, kind, **terms)
    assert (placed.reason, spent(pit)) == (0, 0)
    for fields in (
        {"leaves_quantity": 4},
        {"leaves_quantity": 6},
        {"requeue": True, "quantity": 9},
    ):
        replaced = pit.his.ask(ReplaceOrder(pit.his.next_id(), placed.order_id, 0, **fields))
        assert (replaced.reason, spent(pit)) == (0, 0)
    pit.his.ask(CancelOrder(pit.his.next_id(), placed.order_id, 0))
    assert spent(pit) == 0
    pit.venue.check()


def test_the_first_order_of_a_user_costs_what_his_second_does(new_core):
    """It takes the long way, as there is no account to credit yet."""
    pit = Pit(new_core)
    new = pit.venue.attach(3)
    new.deposit(2, 10**6)
    costs = []
    for _ in range(2):
        assert new.submit(BUY, 90, 1).leaves == 1
        costs.append(spent(pit))
    assert costs == [0, 0]


def test_what_a_command_does_to_other_orders_costs(new_core):
    pit = Pit(new_core)
    pit.trade_at(100)
    pair = pit.hers.ask(SubmitOco(pit.hers.next_id(), 1, SELL, 1, 115, 86))
    assert spent(pit) == 0
    pit.hers.ask(CancelOrder(pit.hers.next_id(), pair.limit_order_id, 0))
    assert spent(pit) == effort.REPORT, "the other leg"
