"""The configuration as a logged command: what it changes, and which rates it may not bring.

Part of the deterministic core. listings/configuration.py finds what differs from the state.
"""

from __future__ import annotations

from hpe.core.context.command import Context
from hpe.core.listings.configuration import (
    change_limits,
    configuration_differences,
    listing_of,
    settings_of,
)
from hpe.core.money.fees import FeeRates, can_go_below_zero, rates_of
from hpe.core.trading.exchange import Exchange
from hpe.core.trading.operations import rates_go_below_zero, set_common_rates
from hpe.protocol.internal import Configure, InstrumentSetting


def differences(exchange: Exchange, wanted: Configure) -> Configure | None:
    """Return the `configure` that makes the state match a configuration, None if it matches.

    Raises:
        ConfigError: the state cannot be made to match; the text says why.
    """

    def are_too_low(row: InstrumentSetting) -> bool:
        return _are_too_low(exchange, row)

    return configuration_differences(
        exchange.listings, exchange.settings, wanted, exchange.limits.configure_bytes, are_too_low
    )


def _rates(row: InstrumentSetting) -> FeeRates | None:
    """Return the fees that the configuration names, None if it names none."""
    if row.maker_fee_ppm is None or row.taker_fee_ppm is None:
        return None
    return rates_of(row.maker_fee_ppm, row.taker_fee_ppm)


def _are_too_low(exchange: Exchange, wanted: InstrumentSetting) -> bool:
    """True for rates that, together with others in a trade, would cost the house money."""
    rates = _rates(wanted)
    if rates is None:
        return False
    listed = exchange.listings.instrument_named(wanted.symbol)
    if listed is None:
        return can_go_below_zero([rates])
    return rates_go_below_zero(exchange.books[listed.instrument_id], rates, 0)


def configure(exchange: Exchange, context: Context, command: Configure) -> None:
    """Apply a logged `configure`."""
    listings = exchange.listings
    exchange.settings.set(*settings_of(command))
    for asset in command.assets:
        if listings.asset_named(asset.symbol) is None:
            listings.add_asset(asset.symbol, asset.decimals, 0, context.holder)
    for row in command.instruments:
        listed = listings.instrument_named(row.symbol)
        if listed is None:
            exchange.catalogue.list_instrument(context, listing_of(listings, row))
        else:
            change_limits(listed, row)
            book, rates = exchange.books[listed.instrument_id], _rates(row)
            if rates is not None:
                set_common_rates(book, rates)
            book.set_status(book.status)
