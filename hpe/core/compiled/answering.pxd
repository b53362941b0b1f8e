"""One run of a connection's frames: decoded, executed, answered.

The compiled twin of `_apply_client`, `_answer_frames` and `_replay_group` in hpe/core/driver.py;
running.pxd decides what is done with a frame. Queries other than subscribes, and commands that name
symbols, take the interpreter's lock. Owned by the core, used by the thread that runs it. What may fail
says so, with False: then the core is dead, and nothing of the batch is published.
"""

from libc.stdint cimport int64_t, uint32_t

from hpe.core.compiled.answers cimport Response, changed_nothing, is_cancel
from hpe.core.compiled.batch_work cimport (
    advance,
    count_idle,
    cut,
    leave_place,
    replies_to,
)
from hpe.core.compiled.beginning cimport FAILED, begin, execute_internal
from hpe.core.compiled.buffers cimport (
    PREFIX_BYTES,
    begin_frame,
    end_frame,
    make_room,
    put_message,
)
from hpe.core.compiled.codes cimport (
    DETACH_PROTOCOL_ERROR,
    TYPE_SESSION_DETACHED,
    TYPE_SUBSCRIBE,
)
from hpe.core.compiled.collecting cimport collect, put_digested, reserve_execution
from hpe.core.compiled.context cimport Context
from hpe.core.compiled.core_state cimport Core, Row, Run
from hpe.core.compiled.effort cimport ROW, ask
from hpe.core.compiled.exchange_state cimport Exchange
from hpe.core.compiled.executing cimport Handler, handler_of
from hpe.core.compiled.fields cimport Request, value
from hpe.core.compiled.judging cimport Fault, decode_request
from hpe.core.compiled.origins cimport set_origin, user_of
from hpe.core.compiled.places cimport holder_of
from hpe.core.compiled.refusals cimport ERROR_BYTES_MAX
from hpe.core.compiled.refusing cimport is_busy
from hpe.core.compiled.registry cimport attached, session_at
from hpe.core.compiled.requests cimport (
    SUBSCRIBE_CHANNEL,
    SUBSCRIBE_DEPTH,
    SUBSCRIBE_INSTRUMENT,
    SUBSCRIBE_REQUEST_ID,
)
from hpe.core.compiled.reserving cimport reserve_context
from hpe.core.compiled.running cimport (
    ASKED,
    EXECUTED,
    Running,
    answer_fault,
    answer_other,
    begin_run,
    course_of,
    end_run,
    note_executed,
    refuses_query,
    take_frame,
    waits_for_batch,
)
from hpe.core.compiled.session cimport CELLS_MAX, RESPONSE_BYTES_MAX, Session, reserve_ring
from hpe.core.compiled.slabs cimport reserve
from hpe.core.compiled.snapshots cimport Subscribe, answer_later

cdef enum:
    ANSWER_BYTES_MAX = PREFIX_BYTES + RESPONSE_BYTES_MAX + ERROR_BYTES_MAX
    DETACHED_FIELDS = 4


cdef inline bint apply_client(Core* core, const Run* run) noexcept nogil:
    """Answer one connection's frames, unless a newer connection took its session."""
    cdef uint32_t number = attached(&core.sessions, run.attach)
    cdef Running running
    replies_to(&core.work, run.connection, run.count, run.size)
    if number == 0:
        return True
    if not _answer_run(core, run, number, &running):
        return False
    advance(&core.work, run.connection, end_run(&running, &core.work))
    if running.intact:
        return True
    cut(&core.work, run.connection)
    return _lose(core, run.attach, running.session.session_id)


cdef inline bint replay_group(Core* core, const Run* run, uint32_t session) noexcept nogil:
    """Execute one group of logged frames of a session again, the way they were executed first."""
    cdef Running running
    replies_to(&core.work, run.connection, 0, 0)
    if not _answer_run(core, run, session, &running):
        return False
    end_run(&running, &core.work)
    return True


cdef inline bint _answer_run(
    Core* core, const Run* run, uint32_t number, Running* running
) noexcept nogil:
    """Answer the frames of a session."""
    cdef Session* session = session_at(&core.sessions, number)
    if (
        not reserve_ring(session, run.count)
        or not reserve(&core.sessions.cells, run.count * CELLS_MAX)
    ):
        return False
    begin_run(running, session, run.frames, run.admit)
    return _answer_frames(core, run, running)


cdef inline bint _lose(Core* core, int64_t attach, int64_t session_id) noexcept nogil:
    """Detach a session whose connection broke the protocol; there is room for the frame."""
    cdef int64_t[DETACHED_FIELDS] fields
    cdef int64_t start = begin_frame(&core.lost_frames)
    fields[0], fields[1] = attach, session_id
    fields[2], fields[3] = attach, DETACH_PROTOCOL_ERROR
    put_message(&core.lost_frames, TYPE_SESSION_DETACHED, fields, DETACHED_FIELDS)
    end_frame(&core.lost_frames, start)
    return execute_internal(
        core, core.lost_frames.data + start, core.lost_frames.size - start
    ) != FAILED


cdef inline bint _answer_frames(Core* core, const Run* run, Running* running) noexcept nogil:
    """Answer frames in order, up to the first that breaks the protocol.

    One flat loop, because every frame passes here.
    """
    cdef Context context
    cdef Request request
    cdef Fault fault
    cdef Handler handler
    cdef const Row* row = run.rows
    cdef const Row* after = run.rows + run.count
    cdef int course
    if not _set_context(core, running.session, &context):
        return False
    while row < after and running.intact:
        take_frame(running, row.start, row.end)
        if not make_room(&core.work.replies, ANSWER_BYTES_MAX):
            return False
        if not decode_request(
            core.tables.requests, run.frames + row.start, row.end - row.start, &request, &fault
        ):
            answer_fault(
                running, &core.work, core.tables.refusals, core.tables.requests, &fault
            )
            row += 1
            continue
        row += 1
        course = course_of(running, core.tables.permissions, &request)
        handler = handler_of(request.kind)
        if course == ASKED:
            if not _answer_query(core, run.connection, running, &request):
                return False
            continue
        if course == EXECUTED:
            if not core.work.begun and not (
                begin(core) and _set_context(core, running.session, &context)
            ):
                return False
            if not (core.work.careful and _must_wait(core, &context, &request)):
                if not _execute(core, running, &context, &request, handler):
                    return False
                continue
        answer_other(
            running, &core.work, core.tables.refusals, &core.sessions.cells, &request, course
        )
    return True


cdef inline bint _set_context(
    Core* core, const Session* session, Context* context
) noexcept nogil:
    """Let a session's commands have this context, until a command of another one is executed."""
    if not reserve_context(&core.exchange):
        return False
    context.time_ns, context.effort_max = core.work.time_ns, core.exchange.limits.effort
    set_origin(context, session, holder_of(&core.exchange.places, session.key))
    return True


cdef inline bint _must_wait(
    Core* core, const Context* context, const Request* request
) noexcept nogil:
    """True if a command is not executed now because the batch or its instrument is busy."""
    return waits_for_batch(&core.work, request.kind) or is_busy(
        &core.exchange, context.user, request
    )


cdef inline bint _execute(
    Core* core, Running* running, Context* context, const Request* request, Handler handler
) noexcept nogil:
    """Execute one command, and let it be reported, answered, remembered and logged.

    `handler` is NULL for a command about what is listed.
    """
    cdef Exchange* exchange = &core.exchange
    cdef Response response
    if not reserve_execution(core):
        return False
    exchange.sequence += 1
    context.sequence = exchange.sequence
    if handler != NULL:
        handler(exchange, context, request, &response)
    elif not core.interpreter.execute(
        core.interpreter.owner, context, running.frames + running.start,
        running.end - running.start, &response,
    ):
        return False
    if not collect(core, True):
        return False
    if changed_nothing(&response):
        count_idle(&core.work, is_cancel(&response))
    note_executed(
        running, &core.work, &core.sessions.cells, request.values[0],
        put_digested(core, &response),
    )
    return True


cdef inline bint _answer_query(
    Core* core, int64_t connection, Running* running, const Request* request
) noexcept nogil:
    """Answer a query from the state between two commands.

    The place of a subscribe's reply stays empty: its snapshot is taken when the batch ends.
    """
    cdef bint full = core.exchange.effort.asked >= core.exchange.limits.query_effort
    cdef Subscribe asked
    if refuses_query(running, &core.work, core.tables.refusals, request.values[0], full):
        return True
    if request.kind != TYPE_SUBSCRIBE:
        return core.interpreter.answer(
            core.interpreter.owner, user_of(running.session), running.frames + running.start,
            running.end - running.start,
        )
    asked.connection, asked.request_id = connection, value(request, SUBSCRIBE_REQUEST_ID)
    asked.place = leave_place(&core.work)
    asked.body = 0
    ask(&core.exchange.effort, ROW, answer_later(
        &core.snapshots, &core.market_feed, &asked, value(request, SUBSCRIBE_INSTRUMENT),
        value(request, SUBSCRIBE_CHANNEL), value(request, SUBSCRIBE_DEPTH),
    ))
    return True
