"""Dead orders are not walked where they cannot matter."""

import pytest

from hpe.core.contract import Limits
from hpe.core.trading.orders import Order
from hpe.protocol.codes import CancelReason
from hpe.protocol.enums import InstrumentStatus, Side, TimeInForce
from hpe.protocol.listings import GetInstrument, InstrumentReply
from hpe.protocol.operations import SetStatus
from tests.support.core_parts import place
from tests.support.core_pit import Pit

BUY, SELL = Side
GTC, FOK, GTD = TimeInForce.GTC, TimeInForce.FOK, TimeInForce.GTD
CALL = InstrumentStatus.CALL_AUCTION
SOON_NS = 10**6


@pytest.fixture
def pit(new_core):
    """Return a pit in which time ends nothing: orders whose time has come stay dead."""
    pit = Pit(new_core, Limits(acts=(0, 0, 0, 0, 0)))
    pit.trade_at(100)
    pit.soon = pit.venue.time_ns + SOON_NS
    return pit


def short(trader, side, price, quantity, at, **fields):
    """Place an order whose time comes when `let_die` is called."""
    return place(trader, side, price, quantity, tif=GTD, expires_ns=at, **fields)


def let_die(pit):
    pit.venue.time_ns += 2 * SOON_NS


@pytest.mark.parametrize("tif", [GTC, FOK])
@pytest.mark.parametrize("side", Side)
def test_the_dead_beyond_an_order_s_limit_are_not_walked(pit, monkeypatch, side, tif):
    """No order has to pass a crowd that it would not trade with, in a market with a band."""
    limits = {"band_ppm": 100_000, "reference_price": 100, "volatility_interruption": True}
    pit.banded = pit.alice.list_pair(**limits)
    for asset in (3, 4):
        pit.alice.deposit(asset, 10**6)
        pit.bob.deposit(asset, 10**6, 2)
    far, near = (108, 100) if side is BUY else (92, 100)
    other = SELL if side is BUY else BUY
    for _ in range(20):
        short(pit.alice, other, far, 1, at=pit.soon, instrument=pit.banded)
    let_die(pit)
    pit.alice.deposit(1, 1)
    seen, is_dead = [], Order.is_dead
    monkeypatch.setattr(
        Order, "is_dead", lambda order, at: seen.append(order) or is_dead(order, at)
    )
    order = place(pit.bob, side, near, 1, tif=tif, instrument=pit.banded)
    assert order.reason == (CancelReason.FOK_NOT_FILLABLE if tif is FOK else 0)
    assert seen == []
    pit.venue.check()


def test_what_finding_no_price_costs_is_small(pit, monkeypatch):
    """The dead of a call in which nothing crosses are not walked."""
    pit.alice.ask(SetStatus(pit.alice.next_id(), 1, CALL))
    for _ in range(20):
        short(pit.alice, SELL, 105, 1, at=pit.soon)
        short(pit.bob, BUY, 95, 1, at=pit.soon)
    let_die(pit)
    pit.alice.deposit(1, 1)
    seen, is_dead = [], Order.is_dead
    monkeypatch.setattr(
        Order, "is_dead", lambda order, at: seen.append(order) or is_dead(order, at)
    )
    assert pit.alice.get(InstrumentReply, GetInstrument(1, 1)).indicative_volume == 0
    assert seen == []
    pit.venue.check()
