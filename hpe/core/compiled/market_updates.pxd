"""The updates of one watched book: the frames of each channel that has any.

The compiled twin of `_updates` and what it yields in hpe/core/output/market_data.py, with their
names. Owned by the feed (market_data.pxd), used by the thread that runs the core. Everything
returns False if there is no memory: then nothing of the batch may be published.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t

from hpe.core.compiled cimport ordered, slabs
from hpe.core.compiled.books cimport sequence
from hpe.core.compiled.buffers cimport (
    Buffer,
    begin_frame,
    end_frame,
    make_room,
    put_array,
    put_bytes,
    put_integer,
    put_nil,
)
from hpe.core.compiled.codes cimport (
    CHANNEL_BEST,
    CHANNEL_LEVELS,
    CHANNEL_ORDERS,
    CHANNEL_STATUS,
    CHANNEL_TRADES,
)
from hpe.core.compiled.ladders cimport Ladder, Level, level_at
from hpe.core.compiled.market_rows cimport (
    LINE_BYTES_MAX,
    MESSAGE_BYTES_MAX,
    BestRow,
    StatusRow,
    begin_levels,
    begin_orders,
    begin_trades,
    best_row,
    checksum,
    is_same_best,
    is_same_status,
    put_best,
    put_status,
    put_three,
    status_row,
)
from hpe.core.compiled.watched cimport (
    ChangeNote,
    Journal,
    TradeNote,
    Watched,
    change_at,
    find_indicative,
    in_call,
    is_due,
    is_late,
    notice,
    sees_details,
    settle,
    trade_at,
    wants,
)

cdef enum:
    MARKET_ROW_BYTES = 4 * 8


cdef struct Touched:
    # The levels of one side that changed: a tree of their ranks, and the next to be written.
    const Ladder* ladder
    ordered.Tree ranks
    uint32_t next
    int64_t left


cdef inline bint put_updates(
    Watched* watched, int64_t time_ns, Buffer* frames, Buffer* rows
) noexcept nogil:
    """Append the frames of each wanted channel and their rows, then begin the next batch."""
    cdef bint changed = watched.changes.count > 0, fits = True
    cdef uint32_t crc = 0
    if changed and sees_details(watched):
        crc = checksum(watched.book)
    if changed and wants(watched, CHANNEL_BEST):
        fits = _best_updates(watched, time_ns, frames, rows)
    if changed and fits and wants(watched, CHANNEL_LEVELS):
        fits = _levels_updates(watched, time_ns, crc, frames, rows)
    if changed and fits and wants(watched, CHANNEL_ORDERS):
        fits = _orders_updates(watched, time_ns, crc, frames, rows)
    if watched.trades.count and fits and wants(watched, CHANNEL_TRADES):
        fits = _trades_updates(watched, time_ns, frames, rows)
    if fits and wants(watched, CHANNEL_STATUS):
        fits = _status_updates(watched, time_ns, frames, rows)
    settle(watched)
    if is_late(watched):
        notice(watched)
    return fits


cdef inline bint put_row(
    Buffer* rows, const Watched* watched, int channel, int64_t start, int64_t end
) noexcept nogil:
    """Append the row of frames that were written."""
    cdef int64_t[4] row
    if not make_room(rows, MARKET_ROW_BYTES):
        return False
    row[0], row[1], row[2], row[3] = watched.node.first, channel, start, end
    put_bytes(rows, <const uint8_t*>row, MARKET_ROW_BYTES)
    return True


cdef inline bint _best_updates(
    Watched* watched, int64_t time_ns, Buffer* frames, Buffer* rows
) noexcept nogil:
    cdef BestRow row
    cdef int64_t start
    best_row(watched.book, &row)
    if is_same_best(&row, &watched.best):
        return True
    if not make_room(frames, MESSAGE_BYTES_MAX):
        return False
    watched.best = row
    start = begin_frame(frames)
    put_best(frames, watched.book, time_ns, &row)
    end_frame(frames, start)
    return put_row(rows, watched, CHANNEL_BEST, start, frames.size)


# --- levels ---------------------------------------------------------------------------------------


cdef inline bint _levels_updates(
    Watched* watched, int64_t time_ns, uint32_t crc, Buffer* frames, Buffer* rows
) noexcept nogil:
    """Append the levels that changed, in parts; each except the last takes one number per row."""
    cdef Journal* journal = watched.journal
    cdef Touched bids, asks
    cdef int64_t start = frames.size, frame, first = watched.sequence + 1, last
    cdef int64_t bid_count, ask_count
    if not _touch(watched, &watched.book.bids, &bids) or not _touch(
        watched, &watched.book.asks, &asks
    ):
        return False
    while bids.left or asks.left:
        bid_count = min(bids.left, journal.limits.changes)
        ask_count = min(asks.left, journal.limits.changes - bid_count)
        if not make_room(frames, MESSAGE_BYTES_MAX + (bid_count + ask_count) * LINE_BYTES_MAX):
            return False
        last = first + bid_count + ask_count - 1
        if bids.left == bid_count and asks.left == ask_count:
            last = sequence(watched.book)
        frame = begin_frame(frames)
        begin_levels(frames, watched.book, first, last, time_ns)
        _put_levels(journal, &bids, bid_count, frames)
        _put_levels(journal, &asks, ask_count, frames)
        if bids.left or asks.left:
            put_nil(frames)
        else:
            put_integer(frames, crc)
        end_frame(frames, frame)
        first = last + 1
    return put_row(rows, watched, CHANNEL_LEVELS, start, frames.size)


cdef inline bint _touch(
    const Watched* watched, const Ladder* ladder, Touched* touched
) noexcept nogil:
    """Collect the levels of a side that changed."""
    cdef Journal* journal = watched.journal
    cdef ordered.Tree* ranks = &touched.ranks
    cdef const ChangeNote* noted
    cdef uint32_t place = watched.changes.first, number
    cdef int64_t rank, latest = 0  # no rank is 0
    touched.ladder = ladder
    ranks[0] = ordered.Tree(0, 0, 0, 0)
    while place:
        noted = change_at(journal, place)
        place = noted.next
        rank = noted.price * ladder.sign
        if noted.side != ladder.side or rank == latest:
            continue
        latest = rank
        if ordered.find_key(ranks, &journal.touched_slab, rank, 0, 0):
            continue
        if not slabs.reserve(&journal.touched_slab, 1):
            return False
        number = slabs.take(&journal.touched_slab)
        ordered.node(&journal.touched_slab, number).first = rank
        ordered.insert(ranks, &journal.touched_slab, number)
    touched.next = ranks.greatest
    touched.left = ranks.count
    return True


cdef inline void _put_levels(
    Journal* journal, Touched* touched, int64_t count, Buffer* frames
) noexcept nogil:
    """Append the next levels of a side, best first; quantity 0: it is gone."""
    cdef const Ladder* ladder = touched.ladder
    cdef const Level* level
    cdef uint32_t number, found
    cdef int64_t rank
    put_array(frames, count)
    touched.left -= count
    while count:
        number = touched.next
        rank = ordered.node(&journal.touched_slab, number).first
        touched.next = ordered.node(&journal.touched_slab, number).previous
        slabs.give_back(&journal.touched_slab, number)
        found = ordered.find_key(&ladder.levels, ladder.level_slab, rank, 0, 0)
        if found:
            level = level_at(ladder, found)
            put_three(frames, rank * ladder.sign, level.quantity, level.count)
        else:
            put_three(frames, rank * ladder.sign, 0, 0)
        count -= 1


# --- orders, trades, status -----------------------------------------------------------------------


cdef inline bint _orders_updates(
    Watched* watched, int64_t time_ns, uint32_t crc, Buffer* frames, Buffer* rows
) noexcept nogil:
    """Append every change of an order, in parts."""
    cdef int64_t start = frames.size, frame, first = watched.sequence + 1, last, count
    cdef int64_t left = watched.changes.count
    cdef uint32_t place = watched.changes.first
    while left:
        count = min(left, watched.journal.limits.changes)
        if not make_room(frames, MESSAGE_BYTES_MAX + count * LINE_BYTES_MAX):
            return False
        left -= count
        last = first + count - 1
        frame = begin_frame(frames)
        begin_orders(frames, watched.book, first, last, time_ns)
        place = _put_changes(watched.journal, place, count, frames)
        if last == sequence(watched.book):
            put_integer(frames, crc)
        else:
            put_nil(frames)
        end_frame(frames, frame)
        first = last + 1
    return put_row(rows, watched, CHANNEL_ORDERS, start, frames.size)


cdef inline uint32_t _put_changes(
    const Journal* journal, uint32_t place, int64_t count, Buffer* frames
) noexcept nogil:
    """Append so many changes from a place on; return the place of the next one."""
    cdef const ChangeNote* noted
    put_array(frames, count)
    while count:
        noted = change_at(journal, place)
        put_array(frames, 5)
        put_integer(frames, noted.change)
        put_integer(frames, noted.side)
        put_integer(frames, noted.order_id)
        put_integer(frames, noted.price)
        put_integer(frames, noted.shown)
        place = noted.next
        count -= 1
    return place


cdef inline bint _trades_updates(
    Watched* watched, int64_t time_ns, Buffer* frames, Buffer* rows
) noexcept nogil:
    """Append the trades, in parts."""
    cdef int64_t start = frames.size, frame, count, left = watched.trades.count
    cdef int64_t previous_trade_id = watched.last_trade_id
    cdef uint32_t place = watched.trades.first
    cdef const TradeNote* noted
    while left:
        count = min(left, watched.journal.limits.changes)
        if not make_room(frames, MESSAGE_BYTES_MAX + count * LINE_BYTES_MAX):
            return False
        left -= count
        frame = begin_frame(frames)
        begin_trades(frames, watched.book, time_ns, previous_trade_id)
        put_array(frames, count)
        while count:
            noted = trade_at(watched.journal, place)
            put_array(frames, 4)
            put_integer(frames, noted.trade_id)
            put_integer(frames, noted.price)
            put_integer(frames, noted.quantity)
            put_integer(frames, noted.side)
            previous_trade_id = noted.trade_id
            place = noted.next
            count -= 1
        end_frame(frames, frame)
    return put_row(rows, watched, CHANNEL_TRADES, start, frames.size)


cdef inline bint _status_updates(
    Watched* watched, int64_t time_ns, Buffer* frames, Buffer* rows
) noexcept nogil:
    cdef StatusRow row
    cdef int64_t start
    if not in_call(watched) or is_due(watched, time_ns):
        find_indicative(watched, time_ns)
    status_row(watched.book, &watched.indicative, &row)
    if is_same_status(&row, &watched.status):
        return True
    if not make_room(frames, MESSAGE_BYTES_MAX):
        return False
    watched.status = row
    start = begin_frame(frames)
    put_status(frames, watched.book, time_ns, &row)
    end_frame(frames, start)
    return put_row(rows, watched, CHANNEL_STATUS, start, frames.size)
