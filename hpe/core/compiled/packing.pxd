"""What a batch returns, made of its work when it is over: buffers, and tables of whose bytes are where.

The compiled twin of `output` and the packing functions of BatchWork in hpe/core/output/batch.py.
Owned by the core, used by the thread that runs it, until it hands an output on: then whoever has the
output owns its buffers. It fails only where there is no memory: then the core is dead, and nothing
of the batch is published.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t

from hpe.core.compiled._c cimport write32
from hpe.core.compiled.batch_work cimport (
    BatchWork,
    Piece,
    Reported,
    piece_at,
    piece_count,
    report_at,
    reported_at,
    ROW_BYTES_MAX,
    Report,
)
from hpe.core.compiled.body cimport encode_body
from hpe.core.compiled.buffers cimport (
    INTEGER_BYTES_MAX,
    PREFIX_BYTES,
    Buffer,
    free_buffer,
    make_room,
    put_array,
    put_byte,
    put_bytes,
    put_integer,
)
from hpe.core.compiled.codes cimport TYPE_PRIVATE_UPDATE
from hpe.core.compiled.sorting cimport Ranked, is_sorted, sort_ranked

cdef enum:
    UPDATE_FIELDS = 7
    UPDATE_BYTES_MAX = PREFIX_BYTES + 3 + 4 * INTEGER_BYTES_MAX  # without the reports


cdef struct Output:
    # See Output in hpe/core/contract.py.
    Buffer replies
    Buffer private
    Buffer market
    Buffer body
    Buffer reply_rows
    Buffer private_rows
    Buffer market_rows
    Buffer cut
    Buffer subscribed
    Buffer progress


cdef inline void free_output(Output* output) noexcept nogil:
    """Free all memory; the output is then empty and can be used again."""
    cdef Buffer* each = &output.replies
    while each <= &output.progress:
        free_buffer(each)
        each += 1


cdef inline bint pack(BatchWork* work, uint32_t digest, Output* output) noexcept nogil:
    """Set a batch's output and its log body; False if there is no memory.

    The output is empty, or an old one whose memory is used again: where nothing has to be moved, its
    buffers change places with those of the work. What is logged is there until now.
    """
    cdef Buffer* each = &output.replies
    while each <= &output.progress:
        each.size = 0
        each += 1
    if work.begun and not encode_body(&output.body, work, digest):
        return False
    if not _pack_replies(work, output) or not _pack_private(work, output) or not _sort_cut(work):
        return False
    _swap(&work.market, &output.market)
    _swap(&work.market_rows, &output.market_rows)
    _swap(&work.cut, &output.cut)
    _swap(&work.subscribed, &output.subscribed)
    _swap(&work.progress, &output.progress)
    return True


cdef inline void _swap(Buffer* one, Buffer* other) noexcept nogil:
    cdef Buffer kept = one[0]
    one[0] = other[0]
    other[0] = kept


cdef inline Ranked* _ranked(BatchWork* work, int64_t count) noexcept nogil:
    """Return room to sort so many rows, NULL if there is no memory."""
    if not make_room(&work.ranked, (count + 1) * <int64_t>sizeof(Ranked)):
        return NULL
    return <Ranked*>work.ranked.data


cdef inline bint _pack_replies(BatchWork* work, Output* output) noexcept nogil:
    """Set all replies, sorted by connection, and their rows."""
    cdef int64_t place, count = piece_count(work), end = 0
    cdef bint in_order
    cdef Ranked* ranked = _ranked(work, count)
    if ranked == NULL or not make_room(&output.reply_rows, count * ROW_BYTES_MAX):
        return False
    in_order = True
    for place in range(count):
        ranked[place] = Ranked(piece_at(work, place).connection, place)
        in_order = in_order and piece_at(work, place).start == end
        end = piece_at(work, place).end
    if not in_order or not is_sorted(ranked, count):
        if not make_room(&output.replies, work.replies.size):
            return False
        sort_ranked(ranked, count)
        in_order = False
    for place in range(count):
        _pack_piece(work, output, ranked[place].place, in_order)
    if in_order:
        _swap(&work.replies, &output.replies)
    return True


cdef inline void _pack_piece(
    BatchWork* work, Output* output, int64_t place, bint in_order
) noexcept nogil:
    """Append a piece to the replies, unless all are in order, and add it to its connection's row."""
    cdef const Piece* piece = piece_at(work, place)
    cdef int64_t size = piece.end - piece.start, end = piece.end
    cdef Piece* row
    if not in_order:
        put_bytes(&output.replies, work.replies.data + piece.start, size)
        end = output.replies.size
    if output.reply_rows.size:
        row = <Piece*>(output.reply_rows.data + output.reply_rows.size) - 1
        if row.connection == piece.connection:
            row.end = end
            row.frames += piece.frames
            row.bytes += piece.bytes
            return
    row = <Piece*>(output.reply_rows.data + output.reply_rows.size)
    row[0] = Piece(piece.connection, end - size, end, piece.frames, piece.bytes)
    output.reply_rows.size += sizeof(Piece)


cdef inline bint _pack_private(BatchWork* work, Output* output) noexcept nogil:
    """Set the reports of all users, sorted by user, in frames, and their rows."""
    cdef int64_t count = work.reported.size // <int64_t>sizeof(Reported), place
    cdef int64_t frames = count + work.reports.size // <int64_t>sizeof(Report) // work.reports_max
    cdef Ranked* ranked = _ranked(work, count)
    cdef Reported* mine
    if (
        ranked == NULL
        or not make_room(&output.private, work.digested.size + frames * UPDATE_BYTES_MAX)
        or not make_room(&output.private_rows, frames * ROW_BYTES_MAX)
    ):
        return False
    for place in range(count):
        ranked[place] = Ranked(reported_at(work, place + 1).user.user, place + 1)
    sort_ranked(ranked, count)
    for place in range(count):
        mine = reported_at(work, ranked[place].place)
        mine.user.reported = 0
        while mine.count:
            _put_update(work, output, mine)
    return True


cdef inline void _put_update(
    const BatchWork* work, Output* output, Reported* mine
) noexcept nogil:
    """Append a frame of the next reports of a user, and its row."""
    cdef Buffer* private = &output.private
    cdef int64_t start = private.size, count = min(mine.count, work.reports_max), left = count
    cdef int64_t last = mine.first + count - 1
    cdef const Report* part
    cdef int64_t[5] row
    private.size += PREFIX_BYTES
    put_array(private, UPDATE_FIELDS)
    put_byte(private, TYPE_PRIVATE_UPDATE)
    put_byte(private, 0)  # request id
    put_byte(private, 0)  # flags
    put_integer(private, mine.user.user)
    put_integer(private, mine.first)
    put_integer(private, last)
    put_array(private, count)
    while left:
        part = report_at(work, mine.head)
        put_bytes(private, work.digested.data + part.start, part.size)
        mine.head = part.next
        left -= 1
    write32(private.data + start, <uint32_t>(private.size - start - PREFIX_BYTES))
    row[0], row[1], row[2] = mine.user.user, mine.first, last
    row[3], row[4] = start, private.size
    put_bytes(&output.private_rows, <const uint8_t*>row, sizeof(row))
    mine.first = last + 1
    mine.count -= count


cdef inline bint _sort_cut(BatchWork* work) noexcept nogil:
    """Sort the connections that are to be closed."""
    cdef int64_t* connections = <int64_t*>work.cut.data
    cdef int64_t place, count = work.cut.size // <int64_t>sizeof(int64_t)
    cdef Ranked* ranked = _ranked(work, count)
    if ranked == NULL:
        return False
    for place in range(count):
        ranked[place] = Ranked(connections[place], place)
    sort_ranked(ranked, count)
    for place in range(count):
        connections[place] = ranked[place].key
    return True
