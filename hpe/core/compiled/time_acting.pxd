"""What time does to the exchange: entries that are due act, within the bounds of a batch.

The compiled twin of the timers' part of hpe/core/trading/exchange.py, with its names. Owned by the
core, used by the thread that runs it.
"""

from libc.stdint cimport int64_t, uint32_t

from hpe.core.compiled.disconnects cimport act_on_ending
from hpe.core.compiled.exchange_state cimport Exchange, book_of, count_act
from hpe.core.compiled.expiry cimport act_on_order
from hpe.core.compiled.interruptions cimport end_interruption
from hpe.core.compiled.timers cimport (
    ENDING,
    HOLD,
    INTERRUPTION,
    ORDER,
    TimerEntry,
    begin_body,
    entry_at,
    next_to_act,
    review,
)
from hpe.core.compiled.treasury cimport act_on_hold


cdef inline void let_time_act(Exchange* exchange, int64_t time_ns) noexcept nogil:
    """Act on what is due at a batch's time, in order, within its bounds."""
    cdef uint32_t number
    begin_body(&exchange.timers, time_ns)
    number = next_to_act(&exchange.timers, time_ns)
    while number:
        act(exchange, entry_at(&exchange.timers, number)[0])
        number = next_to_act(&exchange.timers, time_ns)
    review(&exchange.timers)


cdef inline void act(Exchange* exchange, TimerEntry entry) noexcept nogil:
    """Act on one entry, within its kind's bound."""
    count_act(exchange, entry.kind)
    if entry.kind == ORDER:
        act_on_order(exchange, &entry)
    elif entry.kind == HOLD:
        act_on_hold(&exchange.treasury, &entry)
    elif entry.kind == ENDING:
        act_on_ending(exchange, &entry)
    elif entry.kind == INTERRUPTION:
        end_interruption(exchange, book_of(exchange, entry.node.second))
