"""What a command may need at most, reserved before it begins.

A command either finds all memory that it may need, or it does not begin, and the core is dead. The
worst case is one of trading: an order that arrives, and stops that have their turns, until the
effort of the batch is spent. Owned by the core, used by the thread that runs it.
"""

from libc.stdint cimport int64_t

from hpe.core.compiled cimport slabs
from hpe.core.compiled.accounts cimport reserve_accounts
from hpe.core.compiled.effort cimport reserve_effort
from hpe.core.compiled.events cimport reserve_events
from hpe.core.compiled.exchange_state cimport Exchange, Limits
from hpe.core.compiled.fees cimport reserve_own_rates
from hpe.core.compiled.holds cimport reserve_holds
from hpe.core.compiled.index_records cimport reserve_index
from hpe.core.compiled.lost_sessions cimport reserve_lost_sessions
from hpe.core.compiled.mass_cancel cimport reserve_mass_cancel
from hpe.core.compiled.matcher cimport reserve_trades
from hpe.core.compiled.places cimport reserve_holders
from hpe.core.compiled.timers cimport ENDING, INTERRUPTION, ORDER, reserve_timers
from hpe.core.compiled.turns cimport reserve_turns
from hpe.core.compiled.waiting cimport reserve_triggers
from hpe.core.compiled.work cimport reserve_work

cdef enum:
    ORDERS_MAX = 2  # a pair


cdef inline int64_t fills_max(const Limits* limits) noexcept nogil:
    """Return how many fills, dead orders and prevented matches a command may meet.

    Before its last arrival, the effort was not spent yet.
    """
    return limits.effort + 2 * limits.fills


cdef inline int64_t ends_max(const Limits* limits) noexcept nogil:
    """Return how many open orders may end in a command, apart from the legs of their pairs.

    Those that end because it is time are included.
    """
    return (
        fills_max(limits) + 2 * limits.uncross_fills + mass_cancels_max(limits)
        + limits.acts[<int>ORDER] + 2 * limits.acts[<int>ENDING]
    )


cdef inline int64_t mass_cancels_max(const Limits* limits) noexcept nogil:
    """Return how many orders a mass cancel may end."""
    return max(limits.mass_cancel, limits.mass_cancel_all)


cdef inline bint reserve_exchange(Exchange* exchange) noexcept nogil:
    """Reserve what any one command of trading may need; False if there is no memory."""
    cdef const Limits* limits = &exchange.limits
    cdef int64_t fills = fills_max(limits) + limits.uncross_fills
    cdef int64_t arrivals = ORDERS_MAX + limits.stops
    return (
        reserve_index(&exchange.orders, ORDERS_MAX, 2 * fills)
        and reserve_trades(&exchange.matcher, fills // limits.fills + 1)
        and reserve_events(
            &exchange.events, arrivals, ends_max(limits), ORDERS_MAX, limits.uncross_fills
        )
        and reserve_accounts(&exchange.balances, 1, ORDERS_MAX + 1, 4 * ends_max(limits))
        and reserve_holders(&exchange.places, 1)
        and reserve_holds(&exchange.holds, 1)
        and reserve_own_rates(&exchange.own_rates, 1)
        and reserve_timers(&exchange.timers, ORDERS_MAX + arrivals + limits.acts[<int>ENDING])
        and reserve_triggers(&exchange.trigger_slabs, ORDERS_MAX)
        and reserve_work(&exchange.work_slabs, arrivals + 1, fills)
        and reserve_turns(&exchange.turns, 1 + limits.acts[<int>INTERRUPTION])
        and reserve_effort(&exchange.effort, 1)
        and reserve_mass_cancel(&exchange.mass_canceled, mass_cancels_max(limits))
        and slabs.reserve(&exchange.level_slab, fills + arrivals)
    )


cdef inline bint reserve_losses(Exchange* exchange, int64_t sessions) noexcept nogil:
    """Reserve what so many sessions that lose their connection may need; False: no memory.

    What their orders need as they end is reserved as for a command.
    """
    return (
        reserve_lost_sessions(&exchange.lost_sessions, sessions)
        and reserve_timers(&exchange.timers, sessions + exchange.limits.acts[<int>ENDING])
    )
