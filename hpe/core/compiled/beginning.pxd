"""How a batch begins to execute, and the commands that the core executes for the service.

The compiled twin of `_begin` and `_execute_internal` in hpe/core/driver.py. Before the first command
of a batch, time acts and unfinished work goes on, once. Owned by the core, used by the thread that
runs it. What may fail says so, with False: then the core is dead, and nothing of the batch is
published.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t

from hpe.core.compiled.answers cimport Response
from hpe.core.compiled.batch_work cimport log, reserve_own
from hpe.core.compiled.buffers cimport PREFIX_BYTES
from hpe.core.compiled.collecting cimport (
    collect,
    put_digested,
    report,
    reserve_execution,
    weigh,
)
from hpe.core.compiled.context cimport Context
from hpe.core.compiled.core_state cimport (
    BROKEN_FRAME,
    BROKEN_TIME,
    OWN_FRAME_BYTES,
    Core,
    has_revoked,
)
from hpe.core.compiled.exchange_state cimport Exchange, count_act
from hpe.core.compiled.fields cimport Request
from hpe.core.compiled.judging cimport Fault, decode_request
from hpe.core.compiled.origins cimport set_service_origin
from hpe.core.compiled.places cimport holder_of
from hpe.core.compiled.registry cimport expire
from hpe.core.compiled.service_commands cimport execute_service, reserve_service
from hpe.core.compiled.time_acting cimport act
from hpe.core.compiled.timers cimport (
    SESSION,
    TimerEntry,
    begin_body,
    entry_at,
    next_to_act,
    review,
)

cdef enum:
    FAILED = -1


cdef inline bint begin(Core* core) noexcept nogil:
    """Let timers act, once per body, before its first command; then do unfinished work."""
    cdef Exchange* exchange = &core.exchange
    cdef int64_t in_all, one_stop, left
    core.work.begun = True
    if core.work.time_ns <= exchange.timers.now_ns:
        core.broken = BROKEN_TIME
        return False
    if not reserve_execution(core):
        return False
    _let_time_act(core, core.work.time_ns)
    if not report(core, exchange.sequence + 1, False):
        return False
    if has_revoked(core) and _execute_own(core, core.close_more, 0) == FAILED:
        return False
    in_all = exchange.effort.spent + exchange.limits.turns_effort
    left = exchange.turns.listed.count  # each at most once
    while left:
        one_stop = exchange.effort.spent + exchange.limits.continue_effort + 1
        if _execute_own(core, core.go_on, max(in_all, one_stop)) == FAILED:
            return False
        if exchange.effort.spent >= in_all:
            break
        left -= 1
    weigh(core)
    return True


cdef inline void _let_time_act(Core* core, int64_t time_ns) noexcept nogil:
    """Act on what is due at a batch's time, in order, within its bounds: on sessions, too."""
    cdef Exchange* exchange = &core.exchange
    cdef TimerEntry entry
    cdef uint32_t number
    begin_body(&exchange.timers, time_ns)
    number = next_to_act(&exchange.timers, time_ns)
    while number:
        entry = entry_at(&exchange.timers, number)[0]
        if entry.kind == SESSION:
            count_act(exchange, SESSION)
            expire(&core.sessions, entry.node.second)
        else:
            act(exchange, entry)
        number = next_to_act(&exchange.timers, time_ns)
    review(&exchange.timers)


cdef inline int64_t execute_internal(
    Core* core, const uint8_t* frame, int64_t size
) noexcept nogil:
    """Execute and log the command in a frame; see `_execute`."""
    if not core.work.begun and not begin(core):
        return FAILED
    return _execute(core, frame, size, 0)


cdef inline int64_t _execute_own(
    Core* core, const uint8_t* frame, int64_t effort_max
) noexcept nogil:
    """Execute a command that the core makes by itself, in a batch that has begun."""
    return _execute(core, frame, OWN_FRAME_BYTES, effort_max)


cdef inline int64_t _execute(
    Core* core, const uint8_t* frame, int64_t size, int64_t effort_max
) noexcept nogil:
    """Execute and log the command in a frame, which stays where it is until the batch is packed.

    `effort_max` is the bound for its context, 0 for the usual one. Returns where its response
    begins in what the digest covers, which ends with it, or FAILED, also for what is no command.
    """
    cdef Exchange* exchange = &core.exchange
    cdef const uint8_t* body = frame + PREFIX_BYTES
    cdef int64_t length = size - PREFIX_BYTES, start
    cdef Request request
    cdef Response response
    cdef Context context
    cdef Fault fault
    if not decode_request(core.tables.internal, body, length, &request, &fault):
        core.broken = BROKEN_FRAME
        return FAILED
    if (
        not reserve_execution(core) or not reserve_service(core, &request)
        or not reserve_own(&core.work)
    ):
        return FAILED
    exchange.sequence += 1
    context.sequence, context.time_ns = exchange.sequence, core.work.time_ns
    context.effort_max = effort_max if effort_max else exchange.limits.effort
    set_service_origin(&context, holder_of(&exchange.places, 0))
    if not execute_service(core, &context, body, length, &request, &response):
        return FAILED
    if not collect(core, False):
        return FAILED
    start = put_digested(core, &response)
    log(&core.work, 0, 0, frame, size)
    return start
