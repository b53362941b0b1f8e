"""The configuration as a logged command: what it changes.

The compiled twin of `configure` in hpe/core/trading/configuring.py. Texts are in a Texts (texts.py):
this holds the interpreter's lock, and raises MemoryError if there is no memory; the core is then dead.
Owned by the core, used by the thread that runs it.
"""

from hpe.core.compiled.books cimport Book, set_status
from hpe.core.compiled.catalogue cimport list_instrument, reserve_listings, take_asset
from hpe.core.compiled.context cimport Context
from hpe.core.compiled.exchange_state cimport Exchange, book_of
from hpe.core.compiled.fees cimport rates_of
from hpe.core.compiled.loading cimport take_facts, take_settings


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
    if row.maker_fee_ppm is not None and row.taker_fee_ppm is not None:
        book.fees.common = rates_of(row.maker_fee_ppm, row.taker_fee_ppm)
    set_status(book, book.status)
    return 0
