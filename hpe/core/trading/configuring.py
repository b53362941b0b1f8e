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
from hpe.errors import ConfigError
from hpe.protocol.internal import Configure, InstrumentSetting


def differences(exchange: Exchange, wanted: Configure) -> Configure | None:
    """Return the `configure` that makes the state match a configuration, None if it matches.

    Raises:
        ConfigError: the state cannot be made to match; the text says why.
    """

    def check_rates(row: InstrumentSetting) -> None:
        _check_rates(exchange, row)

    return configuration_differences(
        exchange.listings, exchange.settings, wanted, exchange.limits.configure_bytes, check_rates
    )


def _rates(row: InstrumentSetting) -> FeeRates | None:
    """Return the fees that the configuration names, None if it names none."""
    if row.maker_fee_ppm is None or row.taker_fee_ppm is None:
        return None
    return rates_of(row.maker_fee_ppm, row.taker_fee_ppm)


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
