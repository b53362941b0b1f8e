"""What surrounds a command: the memory that it may need, what it did, and its response.

The compiled twin of `_collect`, `_weigh` and `_report` in hpe/core/driver.py. Owned by the core, used
by the thread that runs it. What may fail says so, with False: then the core is dead, and nothing of the
batch is published.
"""

from libc.stdint cimport int64_t

from hpe.core.compiled.answers cimport Response, encode_response
from hpe.core.compiled.batch_work cimport BatchWork, add_trades, reserve_command
from hpe.core.compiled.core_state cimport Core
from hpe.core.compiled.effort cimport has_room
from hpe.core.compiled.events cimport (
    EVENT_AUCTION,
    EVENT_DELISTED,
    EVENT_MATCH,
    Event,
    auction_fill_count,
    event_at,
    event_count,
    forget_events,
)
from hpe.core.compiled.exchange_state cimport Exchange, Limits
from hpe.core.compiled.market_data cimport active, delisted, note
from hpe.core.compiled.matcher cimport fill_count, forget_trades, prevented_count
from hpe.core.compiled.order_index cimport free_gone
from hpe.core.compiled.reports cimport Moment, report as report_event
from hpe.core.compiled.reserving cimport (
    auction_fills_max,
    commands_ahead,
    effort_ahead,
    ends_max,
    fills_max,
    reserve_ahead,
)
from hpe.core.compiled.watched cimport reserve_notes

cdef enum:
    CHANGES_PER_FILL = 3
    CHANGES_PER_COMMAND = 4  # by itself: its orders come, or move


cdef inline bint reserve_execution(Core* core) noexcept nogil:
    """Reserve what any one command may need before it is reported; False if there is no memory."""
    return has_room(&core.exchange.effort) or _reserve_ahead(core)


cdef inline bint _reserve_ahead(Core* core) noexcept nogil:
    """Reserve for more than one command; changes and trades are noted for a whole batch.

    A fill of an uncross changes both sides as another fill does one.
    """
    cdef const Limits* limits = &core.exchange.limits
    cdef int64_t fills = fills_max(limits) + auction_fills_max(limits) + effort_ahead()
    if not reserve_ahead(&core.exchange):
        return False
    if not active(&core.market_feed):
        return True
    return reserve_notes(
        &core.market_feed.journal,
        CHANGES_PER_FILL * (fills + auction_fills_max(limits) + effort_ahead())
        + 2 * ends_max(limits) + limits.stops + CHANGES_PER_COMMAND * commands_ahead(),
        fills,
    )


cdef inline void weigh(Core* core) noexcept nogil:
    """Note how much the batch has done, and whether some commands have to wait."""
    cdef BatchWork* work = &core.work
    cdef const Exchange* exchange = &core.exchange
    work.effort = exchange.effort.spent
    work.full = work.effort >= exchange.limits.effort
    work.careful = work.full or exchange.turns.listed.count > 0 or exchange.timers.overdue


cdef inline bint collect(Core* core, bint told) noexcept nogil:
    """Charge and report what a command did; if `told`, also to its connection.

    Fills and searched levels are what can make one command cost a thousand times another: after
    `effort` of them the batch is full, which bounds its time and the log's record.
    """
    cdef const Exchange* exchange = &core.exchange
    if exchange.effort.spent != core.work.effort or event_count(&exchange.events) > 1:
        weigh(core)
    return report(core, exchange.sequence, told)


cdef inline bint report(Core* core, int64_t sequence, bint told) noexcept nogil:
    """Report what happened, and forget it; there is room for a response afterwards."""
    cdef Exchange* exchange = &core.exchange
    cdef int64_t place, count = event_count(&exchange.events)
    cdef int64_t fills = fill_count(&exchange.matcher) + auction_fill_count(&exchange.events)
    cdef int64_t reports = count + 2 * fills + prevented_count(&exchange.matcher)
    cdef Moment moment = Moment(sequence, core.work.time_ns, told)
    cdef const Event* event
    if not reserve_command(&core.work, reports, fills):
        return False
    for place in range(count):
        event = event_at(&exchange.events, place)
        report_event(&core.feed, &core.work, event, &moment)
        if event.kind == EVENT_MATCH or event.kind == EVENT_AUCTION:
            _note_trades(core, event)
        elif event.kind == EVENT_DELISTED:
            delisted(&core.market_feed, event.what.delisted)
    forget_events(&exchange.events)
    forget_trades(&exchange.matcher)
    free_gone(&exchange.orders)
    return True


cdef inline void _note_trades(Core* core, const Event* event) noexcept nogil:
    """Let trades be logged, and be market data."""
    cdef Exchange* exchange = &core.exchange
    add_trades(
        &core.work, event, &exchange.events, &exchange.matcher, &exchange.orders.orders
    )
    if active(&core.market_feed):
        note(
            &core.market_feed, event, &exchange.events, &exchange.matcher, &exchange.orders.orders
        )


cdef inline int64_t put_digested(Core* core, const Response* response) noexcept nogil:
    """Append a response to what the digest covers; return where it begins."""
    cdef int64_t start = core.work.digested.size
    encode_response(&core.work.digested, response)
    return start
