"""Delisting: removing assets and instruments that nothing uses.

The compiled twin of hpe/core/trading/delisting.py, with its names, which says when something is in
use. Texts are in a Texts (texts.py), so the commands themselves hold the interpreter's lock. Nothing
here takes memory: one event was reserved. Owned by the core, used by the thread that runs it.
"""

from libc.stdint cimport int64_t, uint32_t

from hpe.core.compiled cimport hash_tables, slabs
from hpe.core.compiled.accounts cimport close_asset, cost_of, is_needed
from hpe.core.compiled.answers cimport Response, begin_response
from hpe.core.compiled.books cimport Book
from hpe.core.compiled.codes cimport (
    IN_USE,
    NONE,
    TYPE_DELIST_ASSET,
    TYPE_DELIST_INSTRUMENT,
    UNKNOWN_ASSET,
    UNKNOWN_INSTRUMENT,
)
from hpe.core.compiled.context cimport Context
from hpe.core.compiled.effort cimport DELISTING, ROW, charge
from hpe.core.compiled.events cimport add_delisted
from hpe.core.compiled.exchange_state cimport Exchange, book_of, order_at
from hpe.core.compiled.fees cimport clear_own
from hpe.core.compiled.holders cimport holder_at
from hpe.core.compiled.index_records cimport fill_at
from hpe.core.compiled.interruptions cimport keep_call
from hpe.core.compiled.operations cimport count_orders
from hpe.core.compiled.order_index cimport next_ended
from hpe.core.compiled.places cimport holder_of
from hpe.core.compiled.turns cimport forget


cdef inline int delist_asset(
    Exchange* exchange, object texts, const Context* context, object command, Response* response
) except -1:
    """Remove an asset and its accounts, which must be empty. Cost: all accounts of it."""
    cdef int64_t asset = command.asset
    cdef uint32_t number
    cdef int reason = NONE
    charge(&exchange.effort, DELISTING, 1)
    charge(&exchange.effort, ROW, cost_of(&exchange.balances, asset))
    if asset not in texts.assets:
        reason = UNKNOWN_ASSET
    elif texts.pairs_of(asset) or is_needed(&exchange.balances, asset):
        reason = IN_USE
    else:
        close_asset(&exchange.balances, asset)
        # Its key has this place, so its holder is there.
        number = holder_of(&exchange.places, texts.free_asset(asset))
        holder_at(&exchange.places.holder_slab, number).assets -= 1
    begin_response(response, TYPE_DELIST_ASSET, command.request_id, context.sequence, reason, 0)
    return 0


cdef inline int delist_instrument(
    Exchange* exchange, object texts, const Context* context, object command, Response* response
) except -1:
    """Remove an instrument and its book. Cost: the kept ended orders and fills."""
    cdef int64_t instrument = command.instrument
    cdef Book* book = book_of(exchange, instrument)
    cdef uint32_t number
    cdef int reason = NONE
    if book == NULL:
        reason = UNKNOWN_INSTRUMENT
    elif _is_used(exchange, book):
        reason = IN_USE
    else:
        _remove(exchange, book)
        number = holder_of(&exchange.places, texts.free_instrument(instrument))
        holder_at(&exchange.places.holder_slab, number).instruments -= 1
        add_delisted(&exchange.events, instrument)
    charge(&exchange.effort, DELISTING, 1)
    begin_response(response, TYPE_DELIST_INSTRUMENT, command.request_id, context.sequence, reason, 0)
    return 0


cdef inline void _remove(Exchange* exchange, Book* book) noexcept nogil:
    """Remove a book; its record stays until the next one is removed."""
    cdef int64_t instrument = book.instrument.instrument_id
    keep_call(exchange, book)  # remove the timer of its call
    forget(&exchange.turns, book)
    clear_own(&book.fees)
    if exchange.gone_book:
        slabs.give_back(&exchange.book_slab, exchange.gone_book)
    exchange.gone_book = hash_tables.find(&exchange.books, instrument, 0)
    hash_tables.remove(&exchange.books, instrument, 0)


cdef inline bint _is_used(Exchange* exchange, const Book* book) noexcept nogil:
    cdef int64_t instrument = book.instrument.instrument_id
    cdef uint32_t number = exchange.orders.oldest_ended
    if count_orders(exchange, book):
        return True
    charge(&exchange.effort, ROW, exchange.orders.ended_count)
    while number:
        if order_at(exchange, number).instrument == instrument:
            return True
        number = next_ended(&exchange.orders, number)
    if book.last_trade_id == 0:
        return False
    charge(&exchange.effort, ROW, exchange.orders.fill_count)
    number = exchange.orders.oldest_fill
    while number:
        if fill_at(&exchange.orders, number).report.instrument == instrument:
            return True
        number = fill_at(&exchange.orders, number).next
    return False
