"""What commands may need at most, reserved before they begin.

A command either finds all memory that it may need, or it does not begin, and the core is dead. The
worst case is one of trading: an order that arrives, and stops that have their turns, until the
effort of the batch is spent. Owned by the core, used by the thread that runs it.

So much is hardly ever used. It is therefore reserved together with what the next commands usually
take, and the next ones begin without another look, as long as `has_room` says so. That is enough:
whatever a command takes is either one of a few things of the command itself (its orders, their
ends, their accounts, one hold...), or is charged: a fill, a prevented match and a dead order that
was met, each report of an end or a turn, each timer that acts, each session that is revoked cost at
least 1. So COMMANDS_AHEAD commands that spent up to EFFORT_AHEAD, together, took no more than
COMMANDS_AHEAD times the first and EFFORT_AHEAD times what one unit can stand for; that much was
reserved beyond the worst case, which is still there for the next command. Effort only rises within
a batch, and each batch reserves anew (`begin` in effort.pxd). What takes the same records by the
thousand without effort, and reserves them by itself, ends the room (`end_room` in effort.pxd).
Buffers that are empty before each command need no more than the worst case.

What one unit stands for, at most: a fill is two records of totals, two kept fills with their marks,
four touches, two levels (of an uncross between icebergs, whose next slices come), and a firing; a
report is an order that ends or comes, with two touches, a level, and a timer; an act moves a timer
or begins an instrument's work.
"""

from libc.stdint cimport int64_t

from hpe.core.compiled cimport slabs
from hpe.core.compiled.accounts cimport reserve_accounts
from hpe.core.compiled.effort cimport has_room, reserve_effort
from hpe.core.compiled.events cimport reserve_events
from hpe.core.compiled.exchange_state cimport Exchange, Limits
from hpe.core.compiled.fees cimport reserve_own_rates
from hpe.core.compiled.holds cimport reserve_holds
from hpe.core.compiled.index_records cimport reserve_index
from hpe.core.compiled.lost_sessions cimport reserve_lost_sessions
from hpe.core.compiled.mass_cancel cimport reserve_mass_cancel
from hpe.core.compiled.matcher cimport reserve_trades
from hpe.core.compiled.places cimport reserve_holders
from hpe.core.compiled.timers cimport ENDING, HOLD, INTERRUPTION, ORDER, reserve_timers
from hpe.core.compiled.turns cimport reserve_turns
from hpe.core.compiled.waiting cimport reserve_triggers
from hpe.core.compiled.work cimport reserve_work

cdef enum:
    ORDERS_MAX = 2  # a pair
    TIMERS_MAX = 8  # of a command by itself: its orders' ends, a hold, a call, a session
    TOUCHES_MAX = 8
    HOLDERS_MAX = 1  # of a command by itself: that of its context
    COMMANDS_AHEAD = 64
    EFFORT_AHEAD = 1_024
    COMMANDS_AHEAD_ALONE = 2  # with HPE_SANITIZE, where a record is an allocation
    EFFORT_AHEAD_ALONE = 3


cdef inline int64_t commands_ahead() noexcept nogil:
    """Return for how many commands is reserved what each takes by itself."""
    return COMMANDS_AHEAD_ALONE if slabs.ALONE else COMMANDS_AHEAD


cdef inline int64_t effort_ahead() noexcept nogil:
    """Return what these commands may spend together before the worst case is reserved again."""
    return EFFORT_AHEAD_ALONE if slabs.ALONE else EFFORT_AHEAD


cdef inline int64_t fills_max(const Limits* limits) noexcept nogil:
    """Return how many fills and prevented matches a command may meet, without those of an uncross.

    Before its last arrival, the effort was not spent yet; for a `continue`, that of its turns.
    """
    return (
        max(limits.effort, limits.turns_effort + limits.continue_effort + 1) + 2 * limits.fills
    )


cdef inline int64_t auction_fills_max(const Limits* limits) noexcept nogil:
    """Return how many fills of an uncross a command may make."""
    return max(limits.uncross_fills, limits.part_fills)


cdef inline int64_t ends_max(const Limits* limits) noexcept nogil:
    """Return how many open orders may end in a command, apart from the legs of their pairs.

    The dead ones that the first and the last arrival meet, and those that end because it is time
    are included.
    """
    return (
        fills_max(limits) + 2 * limits.dead + 2 * auction_fills_max(limits)
        + mass_cancels_max(limits) + limits.acts[<int>ORDER] + 2 * limits.acts[<int>ENDING]
    )


cdef inline int64_t mass_cancels_max(const Limits* limits) noexcept nogil:
    """Return how many orders a mass cancel may end."""
    return max(limits.mass_cancel, limits.mass_cancel_all)


cdef inline bint reserve_exchange(Exchange* exchange) noexcept nogil:
    """Reserve what any one command of trading may need; False if there is no memory."""
    return has_room(&exchange.effort) or reserve_ahead(exchange)


cdef inline bint reserve_ahead(Exchange* exchange) noexcept nogil:
    """Reserve the worst case of a command, and what the next ones usually take."""
    cdef const Limits* limits = &exchange.limits
    cdef int64_t commands = commands_ahead(), spent = effort_ahead()
    cdef int64_t orders = ORDERS_MAX * commands, ends = ends_max(limits)
    cdef int64_t at_once = fills_max(limits) + auction_fills_max(limits), fills = at_once + spent
    cdef int64_t arrivals = ORDERS_MAX + limits.stops
    if not (
        reserve_index(&exchange.orders, orders, 2 * fills)
        and reserve_trades(&exchange.matcher, at_once // limits.fills + 1)
        and reserve_events(
            &exchange.events, arrivals, ends, ORDERS_MAX + limits.acts[<int>HOLD],
            auction_fills_max(limits),
        )
        and reserve_accounts(
            &exchange.balances, commands, orders + commands,
            4 * (ends + spent) + TOUCHES_MAX * commands,
        )
        and reserve_holders(&exchange.places, HOLDERS_MAX * commands)
        and reserve_holds(&exchange.holds, commands)
        and reserve_own_rates(&exchange.own_rates, commands)
        and reserve_timers(
            &exchange.timers,
            arrivals + limits.acts[<int>ENDING] + TIMERS_MAX * commands + 2 * spent,
        )
        and reserve_triggers(&exchange.trigger_slabs, orders)
        and reserve_work(&exchange.work_slabs, arrivals + orders + commands + spent, fills)
        and reserve_turns(
            &exchange.turns, limits.acts[<int>INTERRUPTION] + orders + commands + spent
        )
        and reserve_effort(&exchange.effort, commands)
        and reserve_mass_cancel(&exchange.mass_canceled, mass_cancels_max(limits))
        and slabs.reserve(
            &exchange.level_slab,
            fills + auction_fills_max(limits) + spent + arrivals + orders,
        )
    ):
        return False
    exchange.effort.room = commands - 1
    exchange.effort.room_until = exchange.effort.spent + spent
    return True


cdef inline bint reserve_context(Exchange* exchange) noexcept nogil:
    """Reserve the holder of a context; the commands ahead still have theirs. False: no memory."""
    return reserve_holders(&exchange.places, 1 + HOLDERS_MAX * commands_ahead())


cdef inline bint reserve_losses(Exchange* exchange, int64_t sessions) noexcept nogil:
    """Reserve what so many sessions that lose their connection may need; False: no memory.

    Each gets one entry with its timer. What their orders need as they end is reserved as for a
    command: however many sessions there are, only acts[ENDING] of all entries act in a batch, each
    of which ends an order and its pair's other leg, or moves to another instrument.
    """
    return (
        reserve_lost_sessions(&exchange.lost_sessions, sessions)
        and reserve_timers(
            &exchange.timers, sessions + exchange.limits.acts[<int>ENDING] + TIMERS_MAX
        )
    )
