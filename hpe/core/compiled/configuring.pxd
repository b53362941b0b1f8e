"""The configuration as a logged command: what it changes.

The compiled twin of `configure` in hpe/core/trading/configuring.py. Texts are in a Texts (texts.py):
this holds the interpreter's lock, and raises MemoryError if there is no memory; the core is then dead.
Owned by the core, used by the thread that runs it.
"""

from hpe.core.compiled.books cimport Book, set_status
from hpe.core.compiled.catalogue cimport list_instrument, reserve_listings, take_asset
from hpe.core.compiled.context cimport Context, PlaceLimits, set_settings
from hpe.core.compiled.exchange_state cimport Exchange, book_of
from hpe.core.compiled.fees cimport rates_of
from hpe.core.compiled.loading cimport take_facts


cdef inline int configure(
    Exchange* exchange, object texts, const Context* context, object command
) except -1:
    """Apply a logged `configure`, which comes from user 0."""
    cdef object listed
    reserve_listings(exchange, len(command.assets), len(command.instruments))
    _set(exchange, command)
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


cdef inline int _set(Exchange* exchange, object command) except -1:
    """Change all settings."""
    cdef object given = command.places
    cdef PlaceLimits places
    places.users_max, places.accounts_max = given.users_max, given.accounts_max
    places.holds_max, places.holds_per_user_max = given.holds_max, given.holds_per_user_max
    places.assets_max, places.assets_per_user_max = given.assets_max, given.assets_per_user_max
    places.instruments_max = given.instruments_max
    places.instruments_per_user_max = given.instruments_per_user_max
    places.key_share_percent = given.key_share_percent
    set_settings(
        &exchange.settings, command.auto_create, command.session_expiry_ns,
        command.session_keep_ns, command.open_orders_max, command.open_orders_per_user_max, &places,
    )
    return 0


cdef inline int _change(Book* book, object listed, object row) except -1:
    """Change the limits of a listed instrument, and its common rates if there are some."""
    take_facts(&book.instrument, listed)
    if row.maker_fee_ppm is not None and row.taker_fee_ppm is not None:
        book.fees.common = rates_of(row.maker_fee_ppm, row.taker_fee_ppm)
    set_status(book, book.status)
    return 0
