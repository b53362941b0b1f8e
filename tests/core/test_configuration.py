"""The configuration as a command: what differs, what is applied, what never changes."""

import pytest

from hpe.errors import ConfigError
from hpe.protocol.codes import RejectReason
from hpe.protocol.enums import Side
from hpe.protocol.internal import AssetSetting, InstrumentSetting
from hpe.protocol.limits import INT_MAX
from hpe.protocol.listings import InstrumentsReply, ListInstruments, ResolveInstrument
from hpe.protocol.operations import SetFees
from tests.support.core_driver import settings_of

ASSETS = [AssetSetting("BTC", 8), AssetSetting("USD", 2)]


def pair(**changes):
    values = {
        "symbol": "BTC/USD", "base": "BTC", "quote": "USD", "base_atoms_per_lot": 10,
        "quote_atoms_per_tick": 5, "price_min": 1, "price_max": 1_000, "quantity_min": 1,
        "quantity_max": 1_000, "notional_min": 0,
    }  # fmt: skip
    return InstrumentSetting(**{**values, **changes})


@pytest.fixture
def configured(venue):
    wanted = settings_of(assets=ASSETS, instruments=[pair()])
    assert venue.core.configuration_differences(wanted) == wanted
    venue.internal(wanted)
    return venue


def differences(venue, **changes):
    values = {"assets": ASSETS, "instruments": [pair()], **changes}
    return venue.core.configuration_differences(settings_of(**values))


def test_a_new_core_needs_nothing_but_listings(venue):
    assert venue.core.configuration_differences(settings_of()) is None


def test_what_was_applied_no_longer_differs(configured):
    assert differences(configured) is None
    client = configured.attach()
    (row,) = client.get(InstrumentsReply, ListInstruments(1)).rows
    assert (row.symbol, row.base, row.quote) == ("BTC/USD", 1, 2)
    assert (row.base_atoms_per_lot, row.quote_atoms_per_tick) == (10, 5)
    assert (row.price_max, row.quantity_max) == (1_000, 1_000)
    configured.check()


def test_only_differences_are_listed(configured):
    wanted = settings_of(
        open_orders_max=5,
        assets=[*ASSETS, AssetSetting("EUR", 2)],
        instruments=[pair(), pair(symbol="BTC/EUR", quote="EUR")],
    )
    found = configured.core.configuration_differences(wanted)
    assert [asset.symbol for asset in found.assets] == ["EUR"]
    assert [row.symbol for row in found.instruments] == ["BTC/EUR"]
    assert found.open_orders_max == 5
    configured.internal(found)
    assert configured.core.configuration_differences(wanted) is None


@pytest.mark.parametrize(
    "change", [{"auto_create": True}, {"open_orders_max": 7}, {"session_expiry_ns": 7}]
)
def test_each_setting_is_compared(configured, change):
    found = differences(configured, **change)
    assert (found.assets, found.instruments) == ([], [])
    configured.internal(found)
    assert differences(configured, **change) is None
    assert differences(configured) is not None


@pytest.mark.parametrize(
    "change",
    [
        {"price_min": 5},
        {"price_max": INT_MAX},
        {"quantity_min": 5},
        {"quantity_max": 5},
        {"notional_min": 5},
    ],
)
def test_limits_change_and_resting_orders_stay(configured, change):
    client = configured.attach()
    client.deposit(2, 100)
    assert client.submit(Side.BUY, 2, 10).reason == 0
    found = differences(configured, instruments=[pair(**change)])
    assert found.instruments == [pair(**change)]
    configured.internal(found)
    assert differences(configured, instruments=[pair(**change)]) is None
    assert client.book().bids == [(2, 10, 1)]
    configured.check()


def test_a_new_limit_holds_from_its_command_on(configured):
    client = configured.attach()
    client.deposit(2, 1_000)
    configured.internal(settings_of(instruments=[pair(price_max=3)]))
    assert client.submit(Side.BUY, 4, 1).reason == RejectReason.PRICE_OUT_OF_RANGE
    assert client.submit(Side.BUY, 3, 1).reason == 0


@pytest.mark.parametrize(
    ("assets", "instruments", "complaint"),
    [
        ([AssetSetting("BTC", 7)], [], "decimals never change"),
        (ASSETS, [pair(base_atoms_per_lot=20)], "never change"),
        (ASSETS, [pair(symbol="X", base_atoms_per_lot=12)], "tick of 5 / 12 atoms is not a finite"),
        (ASSETS, [pair(quote_atoms_per_tick=6)], "never change"),
        (ASSETS, [pair(base="USD", quote="BTC")], "never change"),
        (ASSETS, [pair(symbol="X", base="XRP")], "no asset XRP"),
        (ASSETS, [pair(symbol="X", base="BTC", quote="BTC")], "both BTC"),
        (ASSETS, [pair(price_min=9, price_max=8)], "above its maximum"),
        (ASSETS, [pair(quantity_min=9, quantity_max=8)], "above its maximum"),
    ],
)
def test_what_cannot_be_is_refused_by_name(configured, assets, instruments, complaint):
    before = configured.core.state_hash()
    with pytest.raises(ConfigError, match=complaint):
        differences(configured, assets=assets, instruments=instruments)
    assert configured.core.state_hash() == before


def test_an_asset_that_somebody_made_meanwhile_is_kept(venue):
    venue.configure(auto_create=True)
    client = venue.attach()
    pair_id = client.get_id(ResolveInstrument(client.next_id(), "BTC", "USD"))
    assets = [AssetSetting("BTC", 0), AssetSetting("USD", 0), AssetSetting("EUR", 2)]
    venue.internal(settings_of(assets=assets))
    assert client.get_id(ResolveInstrument(client.next_id(), "BTC", "USD")) == pair_id
    venue.check()


@pytest.mark.parametrize(
    ("bound", "more", "what"),
    [
        ("assets_max", {"assets": [*ASSETS, AssetSetting("ETH", 8)]}, "at least 3, the assets"),
        (
            "instruments_max",
            {"instruments": [pair(), pair(symbol="X"), pair(symbol="Y")]},
            "at least 3, the instruments",
        ),
    ],
)
def test_a_configuration_beyond_the_listing_limits_is_refused(configured, bound, more, what):
    with pytest.raises(ConfigError, match=what):
        differences(configured, **more, **{bound: 2})
    assert differences(configured, **{bound: 1}) is not None  # it refuses new ones only


def test_a_configuration_that_no_record_holds_is_refused(configured):
    configured.limit(configure_bytes=60)
    with pytest.raises(ConfigError, match="1 new assets and 0 instruments take"):
        differences(configured, assets=[*ASSETS, AssetSetting("E" * 48, 8)])


# --- fees: they have a command of their own -------------------------------------------------------


def test_fees_that_the_configuration_leaves_out_are_as_they_were(configured):
    """A start must not undo, nor stumble over, what an operator set since."""
    client = configured.attach(1)
    assert client.ask(SetFees(client.next_id(), 1, -100, 500)).reason == 0
    client.deposit(2, 100_000)
    client.submit(Side.BUY, 10, 10)
    wanted = settings_of(assets=ASSETS, instruments=[pair(price_max=900)])
    configured.internal(configured.core.configuration_differences(wanted))
    (row,) = client.get(InstrumentsReply, ListInstruments(1)).rows
    assert (row.price_max, row.maker_fee_ppm, row.taker_fee_ppm) == (900, -100, 500)
    assert configured.core.configuration_differences(wanted) is None
    configured.check()


def test_fees_that_it_names_are_set_or_refused(configured):
    client = configured.attach(1)
    named = settings_of(assets=ASSETS, instruments=[pair(maker_fee_ppm=-100, taker_fee_ppm=500)])
    configured.internal(configured.core.configuration_differences(named))
    client.deposit(2, 100_000)
    client.submit(Side.BUY, 10, 10)
    free = settings_of(assets=ASSETS, instruments=[pair(maker_fee_ppm=0, taker_fee_ppm=0)])
    with pytest.raises(ConfigError, match="sum below zero"):
        configured.core.configuration_differences(free)
