"""One batch: its runs are executed in order, and become one output.

The compiled twin of `apply` and `_finish` in hpe/core/driver.py. Owned by whoever made the core; used
by one thread at a time, which needs no lock of the interpreter. Deterministic: no clock, no
randomness. If there is no memory, or a frame of the service is no command, `apply` returns False: then
the core is dead, and nothing of the batch may be published.
"""

from libc.stdint cimport int64_t

from hpe.core.compiled._c cimport crc32
from hpe.core.compiled.accounts cimport Touched, take_changed
from hpe.core.compiled.answering cimport apply_client
from hpe.core.compiled.batch_work cimport (
    BatchWork,
    begin_work,
    end_replies,
    replies_to,
    reply,
    reserve_command,
    reserve_runs,
)
from hpe.core.compiled.beginning cimport FAILED, begin, execute_internal
from hpe.core.compiled.buffers cimport PREFIX_BYTES, make_room
from hpe.core.compiled.core_state cimport (
    LOST_FRAME_BYTES_MAX,
    OWN_FRAME_BYTES,
    Batch,
    Core,
    Run,
    unfinished,
)
from hpe.core.compiled.effort cimport begin as begin_effort
from hpe.core.compiled.exchange_state cimport Exchange
from hpe.core.compiled.market_data cimport (
    MarketFeed,
    active,
    make_up,
    note_dead,
    updates,
    watch,
)
from hpe.core.compiled.packing cimport pack
from hpe.core.compiled.reports cimport Moment, report_accounts
from hpe.core.compiled.snapshots cimport answer_now, reserve_snapshots

cdef enum:
    SYSTEM_CONNECTION = 0


cdef inline bint apply(Core* core, const Batch* batch) noexcept nogil:
    """Execute a batch, whose time is above all before; its output is then in `output`."""
    cdef int64_t place
    if not begin_batch(core, batch):
        return False
    for place in range(batch.run_count):
        if batch.runs[place].connection == SYSTEM_CONNECTION:
            if not _apply_internal(core, &batch.runs[place]):
                return False
        elif not apply_client(core, &batch.runs[place]):
            return False
    return finish(core, batch.run_count == 0)


cdef inline bint begin_batch(Core* core, const Batch* batch) noexcept nogil:
    """Begin a batch: first the unfinished work of earlier ones continues."""
    cdef Exchange* exchange = &core.exchange
    begin_work(&core.work, batch.time_ns, exchange.sequence + 1)
    core.lost_frames.size = 0
    if (
        not watch(&core.market_feed, batch.wanted, batch.wanted_size, exchange.books.count)
        or not reserve_runs(
            &core.work, batch.run_count, batch.subscribe_count, batch.frame_count
        )
        or not reserve_snapshots(&core.snapshots, batch.subscribe_count)
        or not make_room(&core.lost_frames, batch.run_count * LOST_FRAME_BYTES_MAX)
    ):
        return False
    begin_effort(&exchange.effort)
    return not unfinished(core) or begin(core)


cdef inline bint _apply_internal(Core* core, const Run* run) noexcept nogil:
    """Execute frames of connection 0; they come from this process, so they must decode."""
    cdef BatchWork* work = &core.work
    cdef int64_t place, response
    replies_to(work, SYSTEM_CONNECTION, 0, 0)
    for place in range(run.count):
        response = execute_internal(
            core, run.frames + run.rows[place].start - PREFIX_BYTES,
            run.rows[place].end - run.rows[place].start + PREFIX_BYTES,
        )
        if response == FAILED:
            return False
        reply(work, work.digested.data + response, work.digested.size - response)
    return True


cdef inline bint finish(Core* core, bint makes_up) noexcept nogil:
    """Complete a batch: accounts, digest, market data (the late part if `makes_up`), body."""
    cdef Exchange* exchange = &core.exchange
    cdef MarketFeed* feed = &core.market_feed
    cdef BatchWork* work = &core.work
    # Timers act only with a command.
    if work.begun and work.logged.size == 0:
        if execute_internal(core, core.tick, OWN_FRAME_BYTES) == FAILED:
            return False
    if work.pieces.size:
        end_replies(work)
    if work.begun:
        if not _report_accounts(core):
            return False
        core.digest = crc32(work.digested.data, work.digested.size, core.digest)
    if work.begun and active(feed):
        if exchange.timers.overdue:
            note_dead(feed)
        if not updates(feed, work.time_ns, &work.market, &work.market_rows):
            return False
    elif makes_up and not work.begun and active(feed):
        if not make_up(feed, work.time_ns, &work.market, &work.market_rows):
            return False
    if not answer_now(
        &core.snapshots, feed, work, exchange.sequence, exchange.timers.now_ns
    ):
        return False
    return pack(work, core.digest, &core.output)


cdef inline bint _report_accounts(Core* core) noexcept nogil:
    """Report the accounts that the batch changed."""
    cdef const Touched* changed
    cdef int64_t count = take_changed(&core.exchange.balances, &changed)
    cdef Moment moment = Moment(core.exchange.sequence, core.work.time_ns, False)
    if not reserve_command(&core.work, count, 0):
        return False
    report_accounts(&core.feed, &core.work, changed, count, &moment)
    return True
