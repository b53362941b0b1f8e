"""Which parts of a configuration differ from what is listed and set.

Part of the deterministic core; pure. At every start, the service compares its configuration with
the recovered state and logs one `configure` with the differences, which trading/configuring.py
applies; scale (decimals, atoms per lot and tick, the assets of a pair) never changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from hpe.core.codec import encode
from hpe.core.context.settings import Settings
from hpe.core.listings.instruments import Instrument, Listings, limits_contradict
from hpe.errors import ConfigError
from hpe.protocol.internal import AssetSetting, Configure, InstrumentSetting, PlaceLimits
from hpe.protocol.listings import AddInstrument
from hpe.protocol.scale import is_decimal_scale

AreTooLow = Callable[[InstrumentSetting], bool]
"""True if an instrument is given rates that, with others in a trade, would cost the house money."""


def configuration_differences(
    listings: Listings,
    settings: Settings,
    wanted: Configure,
    bytes_max: int,
    are_too_low: AreTooLow,
) -> Configure | None:
    """Return the `configure` that makes the state match a configuration, None if it matches.

    Args:
        listings: what is listed.
        settings: what is set.
        wanted: the whole configuration.
        bytes_max: the most bytes that the differences may take in the log.
        are_too_low: compares the rates that an instrument is given with those in its book.

    Raises:
        ConfigError: it would change the scale of something listed, names unknown assets, or has
            rates that would cost the house money.
    """
    assets = [asset for asset in wanted.assets if _asset_is_new(listings, asset)]
    _check_count("assets", len(listings.assets), len(assets), wanted.places.assets_max)
    symbols = {asset.symbol for asset in listings.assets.values()}
    symbols |= {asset.symbol for asset in assets}
    for instrument in wanted.instruments:
        for symbol in (instrument.base, instrument.quote):
            if symbol not in symbols:
                raise ConfigError(f"instrument {instrument.symbol}: no asset {symbol}")
    instruments = []
    for row in wanted.instruments:
        _check_instrument(row)
        if are_too_low(row):
            raise ConfigError(
                f"instrument {row.symbol}: maker {row.maker_fee_ppm} ppm and taker "
                f"{row.taker_fee_ppm} ppm, with the rates of users and open orders, could sum "
                "below zero"
            )
        if _instrument_differs(listings, row):
            instruments.append(row)
    new = sum(listings.instrument_named(row.symbol) is None for row in instruments)
    limit = wanted.places.instruments_max
    _check_count("instruments", len(listings.instruments), new, limit)
    same = settings.row() == settings_of(wanted)
    if same and not assets and not instruments:
        return None
    differences = msgspec.structs.replace(wanted, assets=assets, instruments=instruments)
    size = len(encode(differences))
    if size > bytes_max:
        raise ConfigError(
            f"{len(assets)} new assets and {len(instruments)} instruments take {size} bytes in the "
            f"log, at most {bytes_max} at one start: add them in parts, or at run time"
        )
    return differences


def _check_count(what: str, count: int, new: int, count_max: int) -> None:
    """Refuse new listings beyond a limit; a limit below what is listed refuses nothing else."""
    if new and count + new > count_max:
        raise ConfigError(
            f"{what}_max: found {count_max}; allowed: at least {count + new}, the {what} that are "
            "listed and those that the configuration adds"
        )


def _asset_is_new(listings: Listings, wanted: AssetSetting) -> bool:
    listed = listings.asset_named(wanted.symbol)
    if listed is not None and listed.decimals != wanted.decimals:
        raise ConfigError(
            f"asset {wanted.symbol} has {listed.decimals} decimals in the log, "
            f"{wanted.decimals} in the configuration: decimals never change"
        )
    return listed is None


def _check_instrument(wanted: InstrumentSetting) -> None:
    """Raise ConfigError if the settings of an instrument contradict each other."""
    if wanted.base == wanted.quote:
        raise ConfigError(f"instrument {wanted.symbol}: base and quote are both {wanted.base}")
    if limits_contradict(wanted):
        raise ConfigError(
            f"instrument {wanted.symbol}: a minimum is above its maximum, band_ppm is without "
            "reference_price, volatility_interruption without band_ppm, or interruption_ms without "
            "volatility_interruption"
        )
    if not is_decimal_scale(wanted.base_atoms_per_lot, wanted.quote_atoms_per_tick):
        raise ConfigError(
            f"instrument {wanted.symbol}: a tick of {wanted.quote_atoms_per_tick} / "
            f"{wanted.base_atoms_per_lot} atoms is not a finite decimal"
        )


def _instrument_differs(listings: Listings, wanted: InstrumentSetting) -> bool:
    listed = listings.instrument_named(wanted.symbol)
    if listed is None:
        return True
    if _scale(listings, listed) != (
        wanted.base, wanted.quote, wanted.base_atoms_per_lot, wanted.quote_atoms_per_tick,
    ):  # fmt: skip
        raise ConfigError(
            f"instrument {wanted.symbol} is listed as {_scale(listings, listed)}: "
            "its assets, lot and tick never change"
        )
    named = msgspec.structs.asdict(listed)
    return any(named[name] != value for name, value in limits_of(wanted).items())


def _scale(listings: Listings, listed: Instrument) -> tuple[str, str, int, int]:
    assets = listings.assets
    return (
        assets[listed.base].symbol, assets[listed.quote].symbol,
        listed.base_atoms_per_lot, listed.quote_atoms_per_tick,
    )  # fmt: skip


def limits_of(row: InstrumentSetting) -> dict[str, Any]:
    """Return the fields that may change; not the fees, which `configure` may leave unchanged."""
    named = msgspec.structs.asdict(row)
    for name in ("symbol", "base", "quote", "base_atoms_per_lot", "quote_atoms_per_tick"):
        del named[name]
    return {name: value for name, value in named.items() if value is not None}


def listing_of(listings: Listings, row: InstrumentSetting) -> AddInstrument:
    """Return what lists a new pair, whose assets are listed."""
    base, quote = map(listings.asset_named, (row.base, row.quote))
    assert base is not None
    assert quote is not None
    fields = {
        **limits_of(row), "symbol": row.symbol, "base": base.asset_id, "quote": quote.asset_id,
        "base_atoms_per_lot": row.base_atoms_per_lot,
        "quote_atoms_per_tick": row.quote_atoms_per_tick,
    }  # fmt: skip
    return AddInstrument(1, **fields)


def change_limits(listed: Instrument, row: InstrumentSetting) -> None:
    """Change the limits of a listed instrument; its fees are changed with those of its book."""
    listed.price_min, listed.price_max = row.price_min, row.price_max
    listed.quantity_min, listed.quantity_max = row.quantity_min, row.quantity_max
    listed.notional_min, listed.notional_max = row.notional_min, row.notional_max
    listed.self_trade, listed.band_ppm = row.self_trade, row.band_ppm
    listed.reference_price = row.reference_price
    listed.volatility_interruption = row.volatility_interruption
    listed.interruption_ms = row.interruption_ms


def settings_of(row: Configure) -> tuple[bool, int, int, int, int, PlaceLimits]:
    """Return what a configuration sets, as `Settings.set` takes it."""
    return (
        row.auto_create, row.session_expiry_ns, row.session_keep_ns, row.open_orders_max,
        row.open_orders_per_user_max, row.places,
    )  # fmt: skip
