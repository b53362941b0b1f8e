"""Which function executes which command of a client.

The compiled twin of `commands_of` in hpe/core/routing.py, for commands that have integers alone;
those that name symbols are not executed here. Owned by the core, used by the thread that runs it.
What a command may need was reserved before (reserving.pxd).
"""

from hpe.core.compiled.answers cimport Response
from hpe.core.compiled.codes cimport (
    TYPE_BLOCK_USER,
    TYPE_CANCEL_ORDER,
    TYPE_CAPTURE_HOLD,
    TYPE_DEPOSIT,
    TYPE_LOCK_BALANCE,
    TYPE_MASS_CANCEL,
    TYPE_RELEASE_HOLD,
    TYPE_REPLACE_ORDER,
    TYPE_SET_FEES,
    TYPE_SET_STATUS,
    TYPE_SUBMIT_OCO,
    TYPE_SUBMIT_ORDER,
    TYPE_TRANSFER,
    TYPE_UNCROSS,
    TYPE_UNLOCK_BALANCE,
    TYPE_WITHDRAW,
)
from hpe.core.compiled.context cimport Context
from hpe.core.compiled.entry cimport cancel_order, submit_order
from hpe.core.compiled.exchange_state cimport Exchange
from hpe.core.compiled.fields cimport Request
from hpe.core.compiled.mass_cancel cimport mass_cancel
from hpe.core.compiled.operations cimport block_user, set_fees, set_status, uncross
from hpe.core.compiled.pairs cimport submit_oco
from hpe.core.compiled.replacing cimport replace_order
from hpe.core.compiled.treasury cimport execute_money

ctypedef void (*Handler)(
    Exchange* exchange, const Context* context, const Request* command, Response* response
) noexcept nogil


cdef inline void _money(
    Exchange* exchange, const Context* context, const Request* command, Response* response
) noexcept nogil:
    execute_money(&exchange.treasury, context, command, response)


cdef inline Handler handler_of(int kind) noexcept nogil:
    """Return what executes a type of command, NULL if nothing here does."""
    if kind == TYPE_SUBMIT_ORDER:
        return submit_order
    if kind == TYPE_CANCEL_ORDER:
        return cancel_order
    if kind == TYPE_MASS_CANCEL:
        return mass_cancel
    if kind == TYPE_REPLACE_ORDER:
        return replace_order
    if kind == TYPE_SUBMIT_OCO:
        return submit_oco
    if kind == TYPE_SET_FEES:
        return set_fees
    if kind == TYPE_SET_STATUS:
        return set_status
    if kind == TYPE_UNCROSS:
        return uncross
    if kind == TYPE_BLOCK_USER:
        return block_user
    if (
        kind == TYPE_DEPOSIT or kind == TYPE_WITHDRAW or kind == TYPE_TRANSFER
        or kind == TYPE_LOCK_BALANCE or kind == TYPE_UNLOCK_BALANCE
        or kind == TYPE_CAPTURE_HOLD or kind == TYPE_RELEASE_HOLD
    ):
        return _money
    return NULL
