"""Named holds: held money with an id of its own.

The compiled twin of hpe/core/money/holds.py, with its names. A hold is found by its owner and id in
a hash table; one tree of all sorts them, so a page of a user's holds begins with a search. Owned by
the core, used by the thread that runs it. `reserve_holds` alone may fail; timers and touches were
reserved, too: a timer for each new hold, two touches for each payment.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from hpe.core.compiled cimport hash_tables, ordered, slabs
from hpe.core.compiled.accounts cimport (
    Account,
    Balances,
    account_at,
    find_account,
    find_user,
    lock,
    touch,
    user_at,
)
from hpe.core.compiled.codes cimport DUPLICATE_HOLD, NONE, TOO_MANY_HOLDS
from hpe.core.compiled.context cimport Context, Settings
from hpe.core.compiled.holders cimport Refusal, holder_at
from hpe.core.compiled.places cimport Places, Taken, place_refusal
from hpe.core.compiled.timers cimport HOLD, Timers, add_timer, remove_timer


cdef struct Hold:
    # What remains of a hold, in atoms; `expires_ns` 0: never. The node's keys are its owner and its
    # id. `account` is where the money is, `holder` has its place.
    ordered.Node node
    int64_t asset
    int64_t amount
    int64_t expires_ns
    uint32_t account
    uint32_t holder


cdef struct Holds:
    # The live named holds of every user.
    slabs.Slab slab
    hash_tables.HashTable by_id
    ordered.Tree sorted
    const Settings* settings
    Balances* balances
    Timers* timers
    Places* places


cdef inline bint _is_hold(
    const void* records, uint32_t number, int64_t user, int64_t hold_id
) noexcept nogil:
    cdef const ordered.Node* node = ordered.node(<const slabs.Slab*>records, number)
    return node.first == user and node.second == hold_id


cdef inline void make_holds(
    Holds* holds, uint64_t seed, const Settings* settings, Balances* balances, Timers* timers,
    Places* places
) noexcept nogil:
    """Initialize without holds."""
    memset(holds, 0, sizeof(Holds))
    slabs.make_slab(&holds.slab, sizeof(Hold))
    hash_tables.make_table(&holds.by_id, seed, &holds.slab, _is_hold)
    holds.settings, holds.balances = settings, balances
    holds.timers, holds.places = timers, places


cdef inline void free_holds(Holds* holds) noexcept nogil:
    """Free all memory."""
    hash_tables.free_table(&holds.by_id)
    slabs.free_slab(&holds.slab)


cdef inline bint reserve_holds(Holds* holds, int64_t more) noexcept nogil:
    """Make sure that so many holds can be added; False if there is no memory."""
    return slabs.reserve(&holds.slab, more) and hash_tables.reserve_places(&holds.by_id, more)


cdef inline Hold* hold_at(const Holds* holds, uint32_t number) noexcept nogil:
    """Return the hold of a number."""
    return <Hold*>slabs.record(&holds.slab, number)


cdef inline uint32_t find_hold(const Holds* holds, int64_t user, int64_t hold_id) noexcept nogil:
    """Return the number of a user's live hold, 0 if there is none."""
    return hash_tables.find(&holds.by_id, user, hold_id)


cdef inline Refusal add_hold(
    Holds* holds, const Context* context, int64_t user, int64_t hold_id, const Hold* wanted
) noexcept nogil:
    """Bind available money under an id; `wanted` has the fields of the new hold."""
    cdef uint32_t of
    cdef uint32_t account = find_account(holds.balances, user, wanted.asset)
    cdef Refusal refusal
    cdef Taken taken
    if find_hold(holds, user, hold_id):
        return Refusal(DUPLICATE_HOLD, 0)
    of = find_user(holds.balances, user)
    taken = Taken(
        holds.sorted.count, user_at(holds.balances, of).holds if of else 0,
        holder_at(&holds.places.holder_slab, wanted.holder).holds,
    )
    refusal = place_refusal(
        holds.places, context, TOO_MANY_HOLDS, 1, &taken, holds.settings.places.holds_max,
        holds.settings.places.holds_per_user_max, False,
    )
    if refusal.reason == NONE:
        refusal = Refusal(lock(holds.balances, account, wanted.amount), 0)
    if refusal.reason == NONE:
        account_at(holds.balances, account).named += wanted.amount
        restore_hold(holds, user, hold_id, wanted)
    return refusal


cdef inline void restore_hold(
    Holds* holds, int64_t user, int64_t hold_id, const Hold* wanted
) noexcept nogil:
    """Add a hold whose money is already held, as one from a dump is."""
    cdef uint32_t number = slabs.take(&holds.slab)
    cdef Hold* hold = hold_at(holds, number)
    hold.node.first, hold.node.second = user, hold_id
    hold.asset, hold.amount, hold.expires_ns = wanted.asset, wanted.amount, wanted.expires_ns
    hold.account, hold.holder = find_account(holds.balances, user, hold.asset), wanted.holder
    hash_tables.add(&holds.by_id, user, hold_id, number)
    ordered.insert(&holds.sorted, &holds.slab, number)
    user_at(holds.balances, find_user(holds.balances, user)).holds += 1
    holder_at(&holds.places.holder_slab, hold.holder).holds += 1
    if hold.expires_ns:
        add_timer(holds.timers, HOLD, hold.expires_ns, user, hold_id, 0)


cdef inline void pay(Holds* holds, uint32_t number, int64_t amount, uint32_t payee) noexcept nogil:
    """Pay from a hold into an account; an empty hold is removed."""
    cdef Hold* hold = hold_at(holds, number)
    cdef Account* account = account_at(holds.balances, hold.account)
    touch(holds.balances, hold.account)
    touch(holds.balances, payee)
    account.held -= amount
    account.named -= amount
    hold.amount -= amount
    account_at(holds.balances, payee).available += amount
    if hold.amount == 0:
        if hold.expires_ns:
            remove_timer(
                holds.timers, HOLD, hold.expires_ns, hold.node.first, hold.node.second, 0
            )
        _forget(holds, number)


cdef inline void expire(Holds* holds, uint32_t number) noexcept nogil:
    """Release what remains of a hold."""
    cdef const Hold* hold = hold_at(holds, number)
    pay(holds, number, hold.amount, hold.account)


cdef inline void _forget(Holds* holds, uint32_t number) noexcept nogil:
    cdef const Hold* hold = hold_at(holds, number)
    cdef int64_t user = hold.node.first
    holder_at(&holds.places.holder_slab, hold.holder).holds -= 1
    user_at(holds.balances, find_user(holds.balances, user)).holds -= 1
    hash_tables.remove(&holds.by_id, user, hold.node.second)
    ordered.take_out(&holds.sorted, &holds.slab, number)
    slabs.give_back(&holds.slab, number)


cdef inline uint32_t hold_after(const Holds* holds, int64_t user, int64_t after) noexcept nogil:
    """Return a user's first hold with an id above `after`, 0 if there is none.

    Those that follow in `sorted` are its next ones, as long as they are the user's.
    """
    cdef uint32_t number = ordered.at_or_after(&holds.sorted, &holds.slab, user, after, 1)
    if number and hold_at(holds, number).node.first == user:
        return number
    return 0
