"""The configuration as a logged command: what differs from the state, and how it is applied.

Part of the deterministic core. At every start, the service compares its configuration with the
recovered state and logs one `configure` with the differences; scale (decimals, atoms per lot
and tick, the assets of a pair) never changes.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hpe.core.codec import encode
from hpe.core.context.command import Context
from hpe.core.listings.instruments import Instrument
from hpe.core.money.fees import FeeRates, can_go_below_zero, rates_of
from hpe.core.trading.catalogue import limits_contradict
from hpe.core.trading.exchange import Exchange
from hpe.core.trading.operations import rates_go_below_zero, set_common_rates
from hpe.errors import ConfigError
from hpe.protocol.internal import AssetSetting, Configure, InstrumentSetting, PlaceLimits
from hpe.protocol.listings import AddInstrument
from hpe.protocol.scale import is_decimal_scale


def configuration_differences(exchange: Exchange, wanted: Configure) -> Configure | None:
    """Return the `configure` that makes the state match a configuration, None if it matches.

    Raises:
        ConfigError: it would change the scale of something listed, or names unknown assets.
    """
    listings, settings = exchange.listings, exchange.settings
    assets = [asset for asset in wanted.assets if _asset_is_new(exchange, asset)]
    _check_count("assets", len(listings.assets), len(assets), wanted.places.assets_max)
    symbols = {asset.symbol for asset in listings.assets.values()}
    symbols |= {asset.symbol for asset in assets}
    for instrument in wanted.instruments:
        for symbol in (instrument.base, instrument.quote):
            if symbol not in symbols:
                raise ConfigError(f"instrument {instrument.symbol}: no asset {symbol}")
    instruments = [row for row in wanted.instruments if _instrument_differs(exchange, row)]
    new = sum(listings.instrument_named(row.symbol) is None for row in instruments)
    limit = wanted.places.instruments_max
    _check_count("instruments", len(listings.instruments), new, limit)
    same = settings.row() == _settings(wanted)
    if same and not assets and not instruments:
        return None
    differences = msgspec.structs.replace(wanted, assets=assets, instruments=instruments)
    size, size_max = len(encode(differences)), exchange.limits.configure_bytes
    if size > size_max:
        raise ConfigError(
            f"{len(assets)} new assets and {len(instruments)} instruments take {size} bytes in the "
            f"log, at most {size_max} at one start: add them in parts, or at run time"
        )
    return differences


def _check_count(what: str, count: int, new: int, count_max: int) -> None:
    """Refuse new listings beyond a limit; a limit below what is listed refuses nothing else."""
    if new and count + new > count_max:
        raise ConfigError(
            f"{what}_max: found {count_max}; allowed: at least {count + new}, the {what} that are "
            "listed and those that the configuration adds"
        )


def _asset_is_new(exchange: Exchange, wanted: AssetSetting) -> bool:
    listed = exchange.listings.asset_named(wanted.symbol)
    if listed is not None and listed.decimals != wanted.decimals:
        raise ConfigError(
            f"asset {wanted.symbol} has {listed.decimals} decimals in the log, "
            f"{wanted.decimals} in the configuration: decimals never change"
        )
    return listed is None


def _instrument_differs(exchange: Exchange, wanted: InstrumentSetting) -> bool:
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
    _check_rates(exchange, wanted)
    listed = exchange.listings.instrument_named(wanted.symbol)
    if listed is None:
        return True
    if _scale(exchange, listed) != (
        wanted.base, wanted.quote, wanted.base_atoms_per_lot, wanted.quote_atoms_per_tick,
    ):  # fmt: skip
        raise ConfigError(
            f"instrument {wanted.symbol} is listed as {_scale(exchange, listed)}: "
            "its assets, lot and tick never change"
        )
    named = msgspec.structs.asdict(listed)
    return any(named[name] != value for name, value in _limits(wanted).items())


def _scale(exchange: Exchange, listed: Instrument) -> tuple[str, str, int, int]:
    assets = exchange.listings.assets
    return (
        assets[listed.base].symbol, assets[listed.quote].symbol,
        listed.base_atoms_per_lot, listed.quote_atoms_per_tick,
    )  # fmt: skip


def _limits(row: InstrumentSetting) -> dict[str, Any]:
    """Return the fields that may change; not the fees, which `configure` may leave unchanged."""
    named = msgspec.structs.asdict(row)
    for name in ("symbol", "base", "quote", "base_atoms_per_lot", "quote_atoms_per_tick"):
        del named[name]
    return {name: value for name, value in named.items() if value is not None}


def _rates(row: InstrumentSetting) -> FeeRates | None:
    """Return the fees that the configuration names, None if it names none."""
    if row.maker_fee_ppm is None or row.taker_fee_ppm is None:
        return None
    return rates_of(row.maker_fee_ppm, row.taker_fee_ppm)


def _settings(row: Configure) -> tuple[bool, int, int, int, int, PlaceLimits]:
    return (
        row.auto_create, row.session_expiry_ns, row.session_keep_ns, row.open_orders_max,
        row.open_orders_per_user_max, row.places,
    )  # fmt: skip


def _check_rates(exchange: Exchange, wanted: InstrumentSetting) -> None:
    """Refuse rates that, together with others in a trade, would cost the house money."""
    rates = _rates(wanted)
    if rates is None:
        return
    listed = exchange.listings.instrument_named(wanted.symbol)
    below = can_go_below_zero([rates])
    if listed is not None:
        below = rates_go_below_zero(exchange.books[listed.instrument_id], rates, 0)
    if below:
        raise ConfigError(
            f"instrument {wanted.symbol}: maker {rates.maker} ppm and taker {rates.taker} ppm, "
            "with the rates of users and open orders, could sum below zero"
        )


def configure(exchange: Exchange, context: Context, command: Configure) -> None:
    """Apply a logged `configure`."""
    listings = exchange.listings
    exchange.settings.set(*_settings(command))
    for asset in command.assets:
        if listings.asset_named(asset.symbol) is None:
            listings.add_asset(asset.symbol, asset.decimals, 0, context.holder)
    for row in command.instruments:
        listed = listings.instrument_named(row.symbol)
        if listed is None:
            _list(exchange, context, row)
        else:
            _change(listed, row)
            book, rates = exchange.books[listed.instrument_id], _rates(row)
            if rates is not None:
                set_common_rates(book, rates)
            book.set_status(book.status)


def _list(exchange: Exchange, context: Context, row: InstrumentSetting) -> None:
    base, quote = map(exchange.listings.asset_named, (row.base, row.quote))
    assert base is not None
    assert quote is not None
    fields = {
        **_limits(row), "symbol": row.symbol, "base": base.asset_id, "quote": quote.asset_id,
        "base_atoms_per_lot": row.base_atoms_per_lot,
        "quote_atoms_per_tick": row.quote_atoms_per_tick,
    }  # fmt: skip
    exchange.catalogue.list_instrument(context, AddInstrument(1, **fields))


def _change(listed: Instrument, row: InstrumentSetting) -> None:
    """Change the limits of a listed instrument; set_common_rates changes its fees."""
    listed.price_min, listed.price_max = row.price_min, row.price_max
    listed.quantity_min, listed.quantity_max = row.quantity_min, row.quantity_max
    listed.notional_min, listed.notional_max = row.notional_min, row.notional_max
    listed.self_trade, listed.band_ppm = row.self_trade, row.band_ppm
    listed.reference_price = row.reference_price
    listed.volatility_interruption = row.volatility_interruption
    listed.interruption_ms = row.interruption_ms
