"""The catalogue: commands and queries that list assets and instruments.

The compiled twin of hpe/core/trading/catalogue.py, with its names. Rejects are tested in the order of
protocol.md's lists, and a rejected command changes nothing. Texts are in a Texts (texts.py): so all
this holds the interpreter's lock, and raises MemoryError if there is no memory; the core is then
dead. Owned by the core, used by the thread that runs it.
"""

from libc.stdint cimport int64_t, uint32_t

from hpe.core.compiled cimport hash_tables, slabs
from hpe.core.compiled.accounts cimport reserve_accounts
from hpe.core.compiled.answers cimport Response, begin_response
from hpe.core.compiled.codes cimport (
    DUPLICATE_SYMBOL,
    FEES_BELOW_ZERO,
    INVALID_COMBINATION,
    NONE,
    SAME_ASSET,
    TOO_MANY_ASSETS,
    TOO_MANY_INSTRUMENTS,
    TYPE_ADD_ASSET,
    TYPE_ADD_INSTRUMENT,
    TYPE_RESOLVE_INSTRUMENT,
    UNKNOWN_ASSET,
    UNKNOWN_PAIR,
)
from hpe.core.compiled.context cimport Context, PlaceLimits
from hpe.core.compiled.effort cimport ROW, ask, end_room
from hpe.core.compiled.exchange_state cimport Exchange, add_book, book_of
from hpe.core.compiled.fees cimport FeeRates, rates_of
from hpe.core.compiled.holders cimport Holder, Refusal, holder_at
from hpe.core.compiled.instruments cimport Instrument
from hpe.core.compiled.loading cimport take_facts
from hpe.core.compiled.places cimport Taken, place_refusal
from hpe.core.compiled.treasury cimport list_asset


cdef inline int reserve_listings(
    Exchange* exchange, int64_t assets, int64_t instruments
) except -1:
    """Reserve what so many new assets and instruments need; other commands then reserve anew."""
    end_room(&exchange.effort)
    if not (
        reserve_accounts(&exchange.balances, 0, assets, 0)
        and slabs.reserve(&exchange.book_slab, instruments)
        and hash_tables.reserve_places(&exchange.books, instruments)
    ):
        raise MemoryError
    return 0


cdef inline Holder* _holder(const Exchange* exchange, const Context* context) noexcept nogil:
    return holder_at(&exchange.places.holder_slab, context.holder)


cdef inline int add_asset(
    Exchange* exchange, object texts, const Context* context, object command, Response* response
) except -1:
    """List an asset."""
    cdef Refusal no = Refusal(DUPLICATE_SYMBOL, 0)
    cdef int64_t asset = 0
    if texts.asset_named(command.symbol) is None:
        no = _assets_refusal(exchange, texts, context, 1)
    if no.reason == NONE:
        reserve_listings(exchange, 1, 0)
        asset = take_asset(exchange, texts, context, command.symbol, command.decimals)
    return _answer(response, TYPE_ADD_ASSET, context, command, no, asset)


cdef inline int _answer(
    Response* response, int kind, const Context* context, object command, Refusal no, int64_t new_id
) except -1:
    begin_response(response, kind, command.request_id, context.sequence, no.reason, no.flags)
    response.fields.number.number = new_id
    return 0


cdef inline int64_t take_asset(
    Exchange* exchange, object texts, const Context* context, object symbol, object decimals
) except -1:
    """List an asset, which was reserved; return its id."""
    cdef Holder* holder = _holder(exchange, context)
    cdef int64_t asset = texts.take_asset(symbol, decimals, context.user, holder.key)
    list_asset(&exchange.treasury, asset)
    holder.assets += 1
    return asset


cdef inline Refusal _assets_refusal(
    const Exchange* exchange, object texts, const Context* context, int64_t more
) except *:
    """Return why a user's session may not list this many more assets, NONE if it may."""
    cdef const PlaceLimits* limits = &exchange.settings.places
    cdef int64_t of_user = texts.asset_takers.count_of(context.user)
    cdef Taken taken = Taken(len(texts.assets), of_user, _holder(exchange, context).assets)
    return place_refusal(
        &exchange.places, context, TOO_MANY_ASSETS, more, &taken, limits.assets_max,
        limits.assets_per_user_max, False,
    )


cdef inline Refusal _instruments_refusal(
    const Exchange* exchange, object texts, const Context* context
) except *:
    """Return why a user's session may not list one more instrument, NONE if it may."""
    cdef const PlaceLimits* limits = &exchange.settings.places
    cdef int64_t of_user = texts.instrument_takers.count_of(context.user)
    cdef Taken taken = Taken(
        len(texts.instruments), of_user, _holder(exchange, context).instruments
    )
    return place_refusal(
        &exchange.places, context, TOO_MANY_INSTRUMENTS, 1, &taken, limits.instruments_max,
        limits.instruments_per_user_max, False,
    )


cdef inline int add_instrument(
    Exchange* exchange, object texts, const Context* context, object command, Response* response
) except -1:
    """List a pair and open its book."""
    cdef Refusal no = _listing_refusal(exchange, texts, context, command)
    cdef int64_t instrument = 0
    if no.reason == NONE:
        reserve_listings(exchange, 0, 1)
        instrument = list_instrument(exchange, texts, context, command)
    return _answer(response, TYPE_ADD_INSTRUMENT, context, command, no, instrument)


cdef inline Refusal _listing_refusal(
    const Exchange* exchange, object texts, const Context* context, object command
) except *:
    cdef Refusal no
    if texts.contradicts(command):
        return Refusal(INVALID_COMBINATION, 0)
    if command.base not in texts.assets or command.quote not in texts.assets:
        return Refusal(UNKNOWN_ASSET, 0)
    if command.base == command.quote:
        return Refusal(SAME_ASSET, 0)
    if texts.instrument_named(command.symbol) is not None:
        return Refusal(DUPLICATE_SYMBOL, 0)
    no = _instruments_refusal(exchange, texts, context)
    if no.reason == NONE and command.maker_fee_ppm + command.taker_fee_ppm < 0:
        return Refusal(FEES_BELOW_ZERO, 0)
    return no


cdef inline int64_t list_instrument(
    Exchange* exchange, object texts, const Context* context, object row
) except -1:
    """List a valid pair, which was reserved; return its id. User 0 stands for the configuration."""
    cdef Holder* holder = _holder(exchange, context)
    cdef object listed = texts.take_instrument(row, context.user, holder.key)
    cdef Instrument instrument
    instrument.instrument_id = listed.instrument_id
    take_facts(&instrument, listed)
    add_book(exchange, &instrument, rates_of(listed.maker_fee_ppm, listed.taker_fee_ppm))
    holder.instruments += 1
    return instrument.instrument_id


cdef inline int resolve_instrument(
    Exchange* exchange, object texts, const Context* context, object command, Response* response
) except -1:
    """Find a pair by asset symbols; under auto_create, list what is missing with scale 1."""
    cdef Refusal no = Refusal(NONE, 0)
    cdef int64_t instrument = 0
    known = texts.instrument_of_pair(*texts.named_ids(command.base, command.quote))
    if known is not None:
        instrument = known.instrument_id
    elif command.base == command.quote:
        no.reason = SAME_ASSET
    elif not exchange.settings.auto_create:
        no.reason = UNKNOWN_PAIR
    else:
        no = _pair_refusal(exchange, texts, context, command)
        if no.reason == NONE:
            instrument = _create_pair(exchange, texts, context, command)
    return _answer(response, TYPE_RESOLVE_INSTRUMENT, context, command, no, instrument)


cdef inline Refusal _pair_refusal(
    const Exchange* exchange, object texts, const Context* context, object command
) except *:
    """Return why a pair and its new assets may not be listed, NONE if they may."""
    cdef int64_t new = texts.named_ids(command.base, command.quote).count(0)
    cdef Refusal no = Refusal(NONE, 0)
    if texts.instrument_named(texts.row_of_pair(command.base, command.quote).symbol) is not None:
        return Refusal(DUPLICATE_SYMBOL, 0)
    if new:
        no = _assets_refusal(exchange, texts, context, new)
    if no.reason == NONE:
        no = _instruments_refusal(exchange, texts, context)
    return no


cdef inline int64_t _create_pair(
    Exchange* exchange, object texts, const Context* context, object command
) except -1:
    """List a pair and its new assets; return its id."""
    reserve_listings(exchange, 2, 1)
    for symbol in (command.base, command.quote):
        if texts.asset_named(symbol) is None:
            take_asset(exchange, texts, context, symbol, 0)
    row = texts.row_of_pair(command.base, command.quote)
    return list_instrument(exchange, texts, context, row)


# --- queries --------------------------------------------------------------------------------------


cdef inline tuple list_assets(Exchange* exchange, object texts, object query):
    """Return a page of assets, as the fields of the reply."""
    cdef list rows = [asset.row() for asset in texts.assets_after(query.after, query.limit)]
    ask(&exchange.effort, ROW, len(rows))
    return exchange.sequence, rows


cdef inline tuple list_instruments(Exchange* exchange, object texts, object query):
    """Return a page of instruments, as the fields of the reply."""
    cdef list rows = []
    for listed in texts.instruments_after(query.after, query.limit):
        _refresh(exchange, listed)
        rows.append(listed.row())
    ask(&exchange.effort, ROW, len(rows))
    return exchange.sequence, rows


cdef inline int refresh_fees(const Exchange* exchange, object texts) except -1:
    """Copy the common rates of every book into the row of its instrument."""
    for listed in texts.instruments.values():
        _refresh(exchange, listed)
    return 0


cdef inline int _refresh(const Exchange* exchange, object listed) except -1:
    """Copy the common rates of one book, which change without the interpreter."""
    cdef const FeeRates* common = &book_of(exchange, listed.instrument_id).fees.common
    listed.maker_fee_ppm, listed.taker_fee_ppm = common.maker, common.taker
    return 0
