"""Responses and refusals of the compiled core, for tests against the reference.

The service never imports it; one thread uses it. Everything here holds the interpreter's lock; what it
calls does not need the lock.
"""

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcpy, memset

from hpe.core.compiled cimport (
    answers,
    buffers,
    fields,
    judging,
    orders,
    refusals,
    session,
    slabs,
)
from hpe.core.compiled.taking cimport take_refusals

from hpe.core.compiled.tables import flat_refusals

ERROR_BYTES_MAX = refusals.ERROR_BYTES_MAX
CASES = {
    "BATCH_FULL": refusals.REFUSED_BATCH_FULL, "UNFINISHED": refusals.REFUSED_UNFINISHED,
    "QUERIES_FULL": refusals.REFUSED_QUERIES_FULL, "CALL_TOO_DEEP": refusals.REFUSED_CALL_TOO_DEEP,
}

cdef refusals.Refusals table
cdef fields.Tables names

take_refusals(&table, flat_refusals())


cdef class Answers:
    """One session, the response at hand, and the bytes of what was answered last."""

    cdef slabs.Slab cells
    cdef slabs.Slab traded
    cdef session.Session own
    cdef buffers.Buffer buffer
    cdef answers.Response response

    def __init__(self):
        slabs.make_slab(&self.cells, sizeof(session.Remembered))
        slabs.make_slab(&self.traded, sizeof(orders.Traded))
        memset(&self.own, 0, sizeof(session.Session))
        self.own.window = 1_000
        if not buffers.make_room(&self.buffer, 4_096):
            raise MemoryError

    def __dealloc__(self):
        session.forget_all(&self.cells, &self.own)
        slabs.free_slab(&self.cells)
        slabs.free_slab(&self.traded)
        buffers.free_buffer(&self.buffer)

    cdef bytes _taken(self):
        taken = bytes(self.buffer.data[: self.buffer.size])
        self.buffer.size = 0
        return taken

    def refusal(self, int64_t request_id, int which):
        """See refusals.pxd."""
        refusals.put_refusal(&self.buffer, &table, request_id, which)
        return self._taken()

    def fault(self, int64_t request_id, int code, bytes field):
        """Return the refusal of a body with this wrong field (b"" for none), and if it goes on."""
        cdef judging.Fault fault = judging.Fault(code, fields.NO_ROWS, request_id)
        if field:
            fault.rule = 3
            names.names[3].size = len(field)
            memcpy(names.names[3].text, <const uint8_t*>field, len(field))
        goes_on = refusals.put_fault(&self.buffer, &table, &names, &fault)
        return self._taken(), bool(goes_on)

    def begin(self, int kind, int64_t request_id, int64_t sequence, int reason, int flags):
        """See answers.pxd; what was there before is forgotten."""
        memset(&self.response, 0x55, sizeof(answers.Response))
        answers.begin_response(&self.response, kind, request_id, sequence, reason, flags)

    def set_oco(self, int64_t time_ns, int64_t limit_order_id, int64_t stop_order_id):
        """Set the own fields of a response, as the following do."""
        cdef answers.OcoResponse* said = &self.response.fields.oco
        said.time_ns = time_ns
        said.limit_order_id, said.stop_order_id = limit_order_id, stop_order_id

    def set_mass_cancel(self, int64_t canceled, int64_t remaining):
        cdef answers.MassCancelResponse* said = &self.response.fields.mass_cancel
        said.canceled, said.remaining = canceled, remaining

    def set_lock(self, int64_t asset, int64_t available, int64_t reserved, int64_t held):
        cdef answers.LockResponse* said = &self.response.fields.lock
        said.asset, said.available, said.reserved, said.held = asset, available, reserved, held

    def set_hold(
        self, int64_t hold_id, int64_t asset, int64_t remaining, int64_t available,
        int64_t reserved, int64_t held
    ):
        cdef answers.HoldResponse* said = &self.response.fields.hold
        said.hold_id, said.asset, said.remaining = hold_id, asset, remaining
        said.available, said.reserved, said.held = available, reserved, held

    def set_uncross(self, int64_t time_ns, int64_t price, int64_t volume):
        cdef answers.UncrossResponse* said = &self.response.fields.uncross
        said.time_ns, said.price, said.volume = time_ns, price, volume

    def set_number(self, int64_t number):
        self.response.fields.number.number = number

    def set_attached(
        self, int64_t session_id, int64_t window, int64_t last_request_id,
        int64_t private_sequence, int64_t limit, int64_t time_ns
    ):
        cdef answers.SessionAttachedResponse* said = &self.response.fields.attached
        said.session_id, said.window, said.last_request_id = session_id, window, last_request_id
        said.private_sequence, said.limit, said.time_ns = private_sequence, limit, time_ns

    def rejected(
        self, int kind, int64_t request_id, int64_t sequence, int64_t time_ns, int reason, int flags
    ):
        """See answers.pxd."""
        memset(&self.response, 0x55, sizeof(answers.Response))
        answers.order_rejected(
            &self.response, kind, request_id, sequence, time_ns, reason, flags
        )

    def order(
        self, int kind, int64_t request_id, int64_t sequence, int64_t time_ns, other,
        int64_t fill_count, int64_t last_trade_id
    ):
        """Set a response about an order, which is a reference's; see answers.pxd."""
        cdef orders.Order order
        cdef orders.Traded* totals
        memset(&order, 0, sizeof(orders.Order))
        order.order_id, order.quantity, order.leaves = other.order_id, other.quantity, other.leaves
        order.cum, order.reason, order.state = other.cum, other.reason, other.state
        if not slabs.reserve(&self.traded, 1):
            raise MemoryError
        totals = orders.trading(&self.traded, &order)
        totals.quote_total, totals.fee_total = other.quote_total, other.fee_total
        memset(&self.response, 0x55, sizeof(answers.Response))
        answers.order_response(
            &self.response, kind, request_id, sequence, time_ns, &order, &self.traded, fill_count,
            last_trade_id,
        )
        slabs.give_back(&self.traded, order.traded)

    def encoded(self):
        """Return the bytes of the response."""
        answers.encode_response(&self.buffer, &self.response)
        return self._taken()

    def changed_nothing(self):
        """See answers.pxd."""
        return bool(answers.changed_nothing(&self.response))

    def is_cancel(self):
        """See answers.pxd."""
        return bool(answers.is_cancel(&self.response))

    def remember(self, int64_t request_id, bytes body, int64_t crc, bytes response):
        """Remember the response to a body."""
        if (
            not slabs.reserve(&self.cells, session.CELLS_MAX)
            or not session.reserve_ring(&self.own, 1)
        ):
            raise MemoryError
        session.remember(
            &self.cells, &self.own, request_id, len(body), crc, <const uint8_t*>response,
            len(response),
        )

    def not_executed(self, int64_t request_id, bytes body, int admit, bint full):
        """See answers.pxd."""
        answers.put_not_executed(
            &self.buffer, &table, &self.cells, &self.own, request_id, <const uint8_t*>body,
            len(body), admit, full,
        )
        return self._taken()
