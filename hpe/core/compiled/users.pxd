"""Users: what is known of each, and the heads of its lists.

The compiled twin of UserOrders in hpe/core/trading/order_index.py: accounts.pxd has the records and
finds them, order_index.pxd fills the lists of orders and fills. Owned by the core, used by the
thread that runs it.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t

from hpe.core.compiled.paging cimport Rising


cdef struct User:
    # `accounts` is the first of its accounts, `shelves` the first of the markets in which it has open
    # orders. `fills_after` is the private sequence of the newest fill that is no longer kept, 0 while
    # all are. `holds` is the number of its named holds. `holder` is charged for the user's place;
    # `blocked` is the kill switch.
    # `private_sequence` is that of its newest private report, `reported` is its place among those with
    # reports in the present batch (batch_work.pxd).
    int64_t user
    int64_t private_sequence
    int64_t fills_after
    Rising orders
    Rising fills
    uint32_t accounts
    uint32_t shelves
    uint32_t holder
    uint32_t reported
    uint32_t holds
    uint8_t blocked
