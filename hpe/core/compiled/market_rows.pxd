"""What a book is now, and the messages of market data that say so, as bytes.

The compiled twin of hpe/protocol/market_data.py, and of `checksum` and the last part of
hpe/core/output/market_data.py, with their names. Reads books and appends to buffers: used by the
thread that runs the core. Nothing here takes memory; every `put` relies on room for
MESSAGE_BYTES_MAX, and for LINE_BYTES_MAX per row of a message.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memset

from hpe.core.compiled._c cimport crc32, write64
from hpe.core.compiled.auction cimport Clearing
from hpe.core.compiled.books cimport Book, price_band, sequence
from hpe.core.compiled.buffers cimport (
    INTEGER_BYTES_MAX,
    Buffer,
    put_array,
    put_byte,
    put_integer,
)
from hpe.core.compiled.codes cimport (
    TYPE_BEST_UPDATE,
    TYPE_LEVELS_UPDATE,
    TYPE_ORDERS_SNAPSHOT,
    TYPE_ORDERS_UPDATE,
    TYPE_STATUS_UPDATE,
    TYPE_TRADES_UPDATE,
)
from hpe.core.compiled.ladders cimport Ladder, Level, best, price_of, worse

cdef enum:
    CHECKSUM_LEVELS = 10
    MESSAGE_BYTES_MAX = 128  # of a frame apart from its rows: at most 8 bytes and 13 integers
    LINE_BYTES_MAX = 1 + 5 * INTEGER_BYTES_MAX


cdef struct BestRow:
    int64_t bid_price
    int64_t bid_quantity
    int64_t ask_price
    int64_t ask_quantity


cdef struct StatusRow:
    int64_t status
    int64_t last_price
    int64_t band_low
    int64_t band_high
    Clearing indicative


cdef inline uint32_t checksum(const Book* book) noexcept nogil:
    """Return the CRC-32 of the best levels, with which a maintained book verifies itself."""
    cdef uint8_t[4 * CHECKSUM_LEVELS * 8] numbers
    memset(numbers, 0, sizeof(numbers))
    _write_best(&book.bids, numbers)
    _write_best(&book.asks, numbers + 2 * CHECKSUM_LEVELS * 8)
    return crc32(numbers, sizeof(numbers), 0)


cdef inline void _write_best(const Ladder* ladder, uint8_t* at) noexcept nogil:
    """Write price and quantity of the best levels of a side."""
    cdef const Level* level = best(ladder)
    cdef int left = CHECKSUM_LEVELS
    while level != NULL and left:
        write64(at, <uint64_t>price_of(ladder, level))
        write64(at + 8, <uint64_t>level.quantity)
        at += 16
        left -= 1
        level = worse(ladder, level)


cdef inline void best_row(const Book* book, BestRow* row) noexcept nogil:
    """Set the best bid and ask with their shown quantities, 0 for an empty side."""
    cdef const Level* bid = best(&book.bids)
    cdef const Level* ask = best(&book.asks)
    row.bid_price = price_of(&book.bids, bid) if bid != NULL else 0
    row.bid_quantity = bid.quantity if bid != NULL else 0
    row.ask_price = price_of(&book.asks, ask) if ask != NULL else 0
    row.ask_quantity = ask.quantity if ask != NULL else 0


cdef inline void status_row(
    const Book* book, const Clearing* indicative, StatusRow* row
) noexcept nogil:
    """Set the fields of a status update, from `status` on."""
    row.status = book.status
    row.last_price = book.last_price
    row.band_low = row.band_high = 0
    if book.instrument.band_ppm:
        price_band(book, &row.band_low, &row.band_high)
    row.indicative = indicative[0]


cdef inline bint is_same_best(const BestRow* one, const BestRow* other) noexcept nogil:
    """True if two rows are equal."""
    return memcmp(one, other, sizeof(BestRow)) == 0


cdef inline bint is_same_status(const StatusRow* one, const StatusRow* other) noexcept nogil:
    """True if two rows are equal; all fields are integers without gaps."""
    return memcmp(one, other, sizeof(StatusRow)) == 0


# --- messages -------------------------------------------------------------------------------------


cdef inline void _begin(Buffer* out, int fields, int kind, const Book* book) noexcept nogil:
    """Append the head of a message, which has so many fields, type and instrument included."""
    put_array(out, fields)
    put_byte(out, kind)
    put_byte(out, 0)
    put_byte(out, 0)
    put_integer(out, book.instrument.instrument_id)


cdef inline void put_best(
    Buffer* out, const Book* book, int64_t time_ns, const BestRow* row
) noexcept nogil:
    """Append a best_update."""
    _begin(out, 10, TYPE_BEST_UPDATE, book)
    put_integer(out, sequence(book))
    put_integer(out, time_ns)
    put_integer(out, row.bid_price)
    put_integer(out, row.bid_quantity)
    put_integer(out, row.ask_price)
    put_integer(out, row.ask_quantity)


cdef inline void begin_levels(
    Buffer* out, const Book* book, int64_t first, int64_t last, int64_t time_ns
) noexcept nogil:
    """Append a levels_update; bids, asks and a checksum follow."""
    _begin(out, 10, TYPE_LEVELS_UPDATE, book)
    put_integer(out, first)
    put_integer(out, last)
    put_integer(out, time_ns)


cdef inline void begin_orders_snapshot(
    Buffer* out, const Book* book, int64_t time_ns
) noexcept nogil:
    """Append an orders_snapshot; bids, asks and the checksum follow."""
    _begin(out, 9, TYPE_ORDERS_SNAPSHOT, book)
    put_integer(out, sequence(book))
    put_integer(out, time_ns)


cdef inline void begin_orders(
    Buffer* out, const Book* book, int64_t first, int64_t last, int64_t time_ns
) noexcept nogil:
    """Append an orders_update; the changes and a checksum follow."""
    _begin(out, 9, TYPE_ORDERS_UPDATE, book)
    put_integer(out, first)
    put_integer(out, last)
    put_integer(out, time_ns)


cdef inline void begin_trades(
    Buffer* out, const Book* book, int64_t time_ns, int64_t previous_trade_id
) noexcept nogil:
    """Append a trades_update; the trades follow."""
    _begin(out, 8, TYPE_TRADES_UPDATE, book)
    put_integer(out, sequence(book))
    put_integer(out, time_ns)
    put_integer(out, previous_trade_id)


cdef inline void put_status(
    Buffer* out, const Book* book, int64_t time_ns, const StatusRow* row
) noexcept nogil:
    """Append a status_update."""
    _begin(out, 13, TYPE_STATUS_UPDATE, book)
    put_integer(out, sequence(book))
    put_integer(out, time_ns)
    put_integer(out, row.status)
    put_integer(out, row.last_price)
    put_integer(out, row.band_low)
    put_integer(out, row.band_high)
    put_integer(out, row.indicative.price)
    put_integer(out, row.indicative.volume)
    put_integer(out, row.indicative.surplus)


cdef inline void put_three(
    Buffer* out, int64_t first, int64_t second, int64_t third
) noexcept nogil:
    """Append a row of three integers: a level, or an order of a snapshot."""
    put_array(out, 3)
    put_integer(out, first)
    put_integer(out, second)
    put_integer(out, third)
