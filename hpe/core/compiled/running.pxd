"""One run of a connection's frames: what is executed, remembered, repeated, refused and logged.

The compiled twin of `_answer_frames` and `_answer_other` in hpe/core/driver.py, as far as they decide;
whoever owns this run decodes the frames, executes commands and answers queries. For each frame it
calls `take_frame`; then `answer_fault` if it is no request, else what `course_of` says: `note_executed`
for a command that it executed, `answer_other` for every other one, `refuses_query` and then its answer
for a query. `end_run` follows. Owned by the core, used by the thread that runs it.

The session stays while its run is answered: time forgets only detached sessions, and only internal
commands, which are runs of their own, close others. What may fail was reserved: the frames of the
batch (`reserve_runs`), a response (`reserve_command`), its cells and its place in the ring
(session.pxd), and ERROR_BYTES_MAX for every refusal.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t

from hpe.core.compiled._c cimport crc32
from hpe.core.compiled.answers cimport put_not_executed
from hpe.core.compiled.batch_work cimport BatchWork, log, reply
from hpe.core.compiled.buffers cimport PREFIX_BYTES, begin_frame, end_frame
from hpe.core.compiled.codes cimport (
    ERROR_NOT_AUTHORIZED,
    ROLE_ANONYMOUS,
    TYPE_DELIST_ASSET,
    TYPE_DELIST_INSTRUMENT,
    TYPE_MASS_CANCEL,
    TYPE_REPLACE_ORDER,
    TYPE_SET_FEES,
    TYPE_SUBMIT_OCO,
    TYPE_SUBMIT_ORDER,
    TYPE_UNCROSS,
)
from hpe.core.compiled.fields cimport Request, Tables
from hpe.core.compiled.judging cimport Fault
from hpe.core.compiled.origins cimport user_of
from hpe.core.compiled.permissions cimport Permissions
from hpe.core.compiled.refusals cimport (
    REFUSED_QUERIES_FULL,
    Refusals,
    put_fault,
    put_refusal,
)
from hpe.core.compiled.session cimport Session, may, remember
from hpe.core.compiled.slabs cimport Slab

cdef enum:
    NOTHING_PENDING = -1
    COMMAND_FIRST = 64  # the range of types of commands; see hpe/protocol/limits.py
    INTERNAL_FIRST = 112

cdef enum Course:
    # What is done with a request. EXECUTED: it is a command that is executed now, unless it has to
    # wait for the batch or for its instrument; the batch begins in any case. NOT_EXECUTED: a
    # command that is not. FORBIDDEN: the session may not send it.
    EXECUTED = 1
    NOT_EXECUTED = 2
    FORBIDDEN = 3
    ASKED = 4


cdef struct Running:
    # The run of one session. `start` to `end` is the body at hand, `position` where its frame
    # begins, `pending` where the unlogged stretch of executed frames does. `intact`: False once a
    # frame broke the protocol; the rest of the run is not answered.
    Session* session
    const uint8_t* frames
    int64_t position
    int64_t start
    int64_t end
    int64_t pending
    int64_t highest_id
    int admit
    bint intact


cdef inline void begin_run(
    Running* running, Session* session, const uint8_t* frames, int admit
) noexcept nogil:
    """Begin to answer a session's frames; `admit` is 0, or the code that refuses all of them."""
    running.session = session
    running.frames = frames
    running.position = running.start = running.end = 0
    running.pending = NOTHING_PENDING
    running.highest_id = session.last_request_id
    running.admit = admit
    running.intact = True


cdef inline void take_frame(Running* running, int64_t start, int64_t end) noexcept nogil:
    """Take up the frame that follows, whose body is from `start` to `end`."""
    running.position = start - PREFIX_BYTES
    running.start = start
    running.end = end


cdef inline bint is_command(int kind) noexcept nogil:
    """True for the type of a command; of the requests of clients, all others are queries."""
    return COMMAND_FIRST <= kind < INTERNAL_FIRST


cdef inline int course_of(
    const Running* running, const Permissions* permissions, const Request* request
) noexcept nogil:
    """Return what is done with a request: its Course."""
    cdef bint command = is_command(request.kind)
    cdef bint fresh = request.values[0] > running.session.last_request_id
    # A repeat is answered whatever the session may do now: it was executed.
    if (
        running.session.role != ROLE_ANONYMOUS
        and (fresh or not command)
        and not may(running.session, permissions, request)
    ):
        return FORBIDDEN
    if not command:
        return ASKED
    return EXECUTED if fresh and running.admit == 0 else NOT_EXECUTED


cdef inline bint waits_for_batch(const BatchWork* work, int kind) noexcept nogil:
    """True if a command is not executed now because it may cost much and the batch is full."""
    return work.full and (
        kind == TYPE_SUBMIT_ORDER or kind == TYPE_REPLACE_ORDER or kind == TYPE_SUBMIT_OCO
        or kind == TYPE_UNCROSS or kind == TYPE_MASS_CANCEL or kind == TYPE_SET_FEES
        or kind == TYPE_DELIST_ASSET or kind == TYPE_DELIST_INSTRUMENT
    )


cdef inline void note_executed(
    Running* running, BatchWork* work, Slab* cells, int64_t request_id, int64_t response
) noexcept nogil:
    """Remember, answer and log the command at hand.

    Its response is the last that was appended to `digested`, from the offset `response` on.
    """
    cdef int64_t length = running.end - running.start
    cdef const uint8_t* said = work.digested.data + response
    cdef int64_t size = work.digested.size - response
    remember(
        cells, running.session, request_id, <uint16_t>length,
        crc32(running.frames + running.start, length, 0), said, <uint32_t>size,
    )
    reply(work, said, size)
    if running.pending == NOTHING_PENDING:
        running.pending = running.position


cdef inline void answer_fault(
    Running* running, BatchWork* work, const Refusals* refusals, const Tables* tables,
    const Fault* fault
) noexcept nogil:
    """Answer a frame that is no request; it may break the protocol."""
    cdef int64_t frame = begin_frame(&work.replies)
    _log_pending(running, work, running.position)
    running.intact = put_fault(&work.replies, refusals, tables, fault)
    end_frame(&work.replies, frame)
    running.highest_id = max(running.highest_id, fault.request_id)


cdef inline void answer_other(
    Running* running, BatchWork* work, const Refusals* refusals, const Slab* cells,
    const Request* request, int course
) noexcept nogil:
    """Answer a request that is no query and is not executed now."""
    cdef int64_t request_id = request.values[0]
    cdef int64_t frame = begin_frame(&work.replies)
    _pass_by(running, work, request_id)
    if course == FORBIDDEN:
        put_refusal(&work.replies, refusals, request_id, ERROR_NOT_AUTHORIZED)
    else:
        put_not_executed(
            &work.replies, refusals, cells, running.session, request_id,
            running.frames + running.start, running.end - running.start, running.admit, work.full,
        )
    end_frame(&work.replies, frame)


cdef inline bint refuses_query(
    Running* running, BatchWork* work, const Refusals* refusals, int64_t request_id, bint full
) noexcept nogil:
    """True if a query was refused; `full`: those of this batch have searched enough."""
    cdef int64_t frame
    _pass_by(running, work, request_id)
    if running.admit == 0 and not full:
        return False
    frame = begin_frame(&work.replies)
    put_refusal(
        &work.replies, refusals, request_id,
        running.admit if running.admit else REFUSED_QUERIES_FULL,
    )
    end_frame(&work.replies, frame)
    return True


cdef inline void _pass_by(Running* running, BatchWork* work, int64_t request_id) noexcept nogil:
    """Note a request that is not executed."""
    _log_pending(running, work, running.position)
    running.highest_id = max(running.highest_id, request_id)


cdef inline void _log_pending(Running* running, BatchWork* work, int64_t end) noexcept nogil:
    """Log executed frames: whole stretches, as the bytes that were received."""
    cdef const Session* session = running.session
    if running.pending != NOTHING_PENDING:
        log(
            work, session.session_id, user_of(session), running.frames + running.pending,
            end - running.pending,
        )
        running.pending = NOTHING_PENDING


cdef inline int64_t end_run(Running* running, BatchWork* work) noexcept nogil:
    """Log what is pending, and return the highest request id: the run's, or the session's."""
    _log_pending(running, work, running.end)
    return max(running.highest_id, running.session.last_request_id)
