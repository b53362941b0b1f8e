"""The configuration as a logged command: what it changes, and which rates it may not bring.

The compiled twin of hpe/core/trading/configuring.py. Texts are in a Texts (texts.py): this holds the
interpreter's lock. `configure` raises MemoryError if there is no memory; the core is then dead.
Owned by the core, used by the thread that runs it.
"""

from hpe.core.compiled.books cimport Book, set_status
from hpe.core.compiled.catalogue cimport (
    list_instrument,
    refresh_fees,
    reserve_listings,
    take_asset,
)
from hpe.core.compiled.context cimport Context
from hpe.core.compiled.exchange_state cimport Exchange, book_of
from hpe.core.compiled.fees cimport FeeRates, LowestRates, can_go_below_zero, rates_of
from hpe.core.compiled.loading cimport take_facts, take_settings
from hpe.core.compiled.operations cimport rates_go_below_zero
from hpe.core.compiled.state_rows cimport settings_row


cdef inline object differences(
    const Exchange* exchange, object texts, object wanted, object bytes_max
):
    """Return the `configure` that makes the state match a configuration, None if it matches.

    Raises ConfigError if the state cannot be made to match; the text says why.
    """
    cdef list too_low = [row for row in wanted.instruments if _are_too_low(exchange, texts, row)]
    refresh_fees(exchange, texts)
    return texts.differences(
        settings_row(&exchange.settings)[1:], exchange.settings.reserved_part, wanted, bytes_max,
        too_low,
    )


cdef inline bint _names_rates(object row) except -1:
    """True if the configuration sets the fees of an instrument."""
    return row.maker_fee_ppm is not None and row.taker_fee_ppm is not None


cdef inline bint _are_too_low(const Exchange* exchange, object texts, object wanted) except -1:
    """True for rates that, together with others in a trade, would cost the house money."""
    cdef FeeRates rates
    cdef LowestRates lowest
    if not _names_rates(wanted):
        return False
    rates = rates_of(wanted.maker_fee_ppm, wanted.taker_fee_ppm)
    listed = texts.instrument_named(wanted.symbol)
    if listed is None:
        lowest = LowestRates(rates.maker, rates.taker)
        return can_go_below_zero(&lowest)
    return rates_go_below_zero(exchange, book_of(exchange, listed.instrument_id), rates, 0)


cdef inline int configure(
    Exchange* exchange, object texts, const Context* context, object command
) except -1:
    """Apply a logged `configure`, which comes from user 0."""
    cdef object listed
    reserve_listings(exchange, len(command.assets), len(command.instruments))
    take_settings(exchange, command, command.places)
    for asset in command.assets:
        if texts.asset_named(asset.symbol) is None:
            take_asset(exchange, texts, context, asset.symbol, asset.decimals)
    for row in command.instruments:
        listed = texts.instrument_named(row.symbol)
        if listed is None:
            list_instrument(exchange, texts, context, texts.row_of_setting(row))
        else:
            texts.change(listed, row)
            _change(book_of(exchange, listed.instrument_id), listed, row)
    return 0


cdef inline int _change(Book* book, object listed, object row) except -1:
    """Change the limits of a listed instrument, and its common rates if there are some."""
    take_facts(&book.instrument, listed)
    if _names_rates(row):
        book.fees.common = rates_of(row.maker_fee_ppm, row.taker_fee_ppm)
    set_status(book, book.status)
    return 0
