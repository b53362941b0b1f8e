"""Random configurations that differ from what is listed in little, or contradict it.

For the tests of the compiled core; pure but for the given random source.
"""

from __future__ import annotations

from random import Random
from typing import Any

from msgspec.structs import asdict, replace

from hpe.core.listings.instruments import Listings
from hpe.protocol.enums import SelfTrade
from hpe.protocol.internal import AssetSetting, Configure, InstrumentSetting, PlaceLimits
from hpe.protocol.limits import INT_MAX
from tests.model.commands import UNIT_NS

CHANGES: dict[str, tuple[Any, ...]] = {
    "base": ("A", "B", "X"),
    "quote": ("A", "B"),
    "base_atoms_per_lot": (1, 3),
    "quote_atoms_per_tick": (1, 2),
    "price_min": (1, 2),
    "price_max": (INT_MAX, 90, 1),
    "quantity_min": (1, 2),
    "quantity_max": (INT_MAX, 9, 1),
    "notional_min": (0, 4),
    "notional_max": (10**9, 504),
    "self_trade": tuple(SelfTrade),
    "band_ppm": (0, 200_000),
    "reference_price": (6, 50),
    "volatility_interruption": (False, True),
    "interruption_ms": (0, 3),
}
RATES = ((None, None), (None, 4), (0, 0), (-2, 300), (-20, 20), (-300, 2), (-900, 1_000))
PLACES = (
    *(PlaceLimits(),) * 6,
    PlaceLimits(assets_max=3),
    PlaceLimits(instruments_max=5),
    PlaceLimits(1_000, 1_001, 1_002, 103, 1_004, 105, 1_006, 107, 90),
)


def configuration(random: Random, listings: Listings) -> Configure:
    """Make a whole configuration."""
    new = [symbol for symbol in "DEFGHIJK" if listings.asset_named(symbol) is None]
    new.append(f"N{listings.last_asset_id}")  # so that some are always new
    assets = [
        *(
            AssetSetting(each.symbol, each.decimals + (random.random() < 0.02))
            for each in listings.assets.values() if random.random() < 0.5
        ),
        *(AssetSetting(symbol, 3) for symbol in new if random.random() < 0.1),
    ]  # fmt: skip
    newest = f"N{listings.last_instrument_id}"
    names = [each.symbol for each in listings.instruments.values()]
    symbols = [each.symbol for each in (*listings.assets.values(), *assets)]
    rows = [
        _row(random, listings, symbol, symbols)
        for symbol in [*random.sample(names, min(3, len(names))), "C1", "C2", newest]
        if random.random() < 0.4
    ]
    return Configure(
        1, random.random() < 0.9, random.choice((10**12, 10**12, 9 * UNIT_NS)),
        random.choice((10**12, 10**12, 2 * UNIT_NS)), 100, 30, assets, rows, random.choice(PLACES),
    )  # fmt: skip


def _row(random: Random, listings: Listings, symbol: str, assets: list[str]) -> InstrumentSetting:
    """Make the setting of one pair, which may be what is listed."""
    listed = listings.instrument_named(symbol)
    if listed is None:
        row = InstrumentSetting(
            symbol, *random.choices(assets, k=2), 1, 1, 1, INT_MAX, 1, INT_MAX, 0
        )
    else:
        fields = asdict(listed)
        del fields["instrument_id"]
        ids = {name: listings.assets[fields[name]].symbol for name in ("base", "quote")}
        row = InstrumentSetting(**{**fields, **ids})
    changes = {
        name: random.choice(values) for name, values in CHANGES.items() if random.random() < 0.02
    }
    if random.random() < 0.3:
        names = "maker_fee_ppm", "taker_fee_ppm"
        changes |= dict(zip(names, random.choice(RATES), strict=True))
    return replace(row, **changes)
