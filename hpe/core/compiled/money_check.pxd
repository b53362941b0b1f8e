"""Whether money agrees with itself: what would be a broken invariant.

The compiled twin of the checks in hpe/core/money/balances.py and holds.py, without what open orders
reserve, which the index of orders knows. It takes no memory: while it adds up the holds of an
account, it takes them from its `named` and puts them back. Cost: all users, accounts and holds.
Owned by the core, used by the thread that runs it.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from hpe.core.compiled cimport hash_tables, slabs
from hpe.core.compiled._c cimport int128
from hpe.core.compiled.accounts cimport Account, Balances, Money, account_at, user_at
from hpe.core.compiled.holders cimport ACCOUNTS, HOLDS, USERS
from hpe.core.compiled.holds cimport Hold, Holds, hold_after, hold_at
from hpe.core.compiled.places cimport Places, find_place
from hpe.core.compiled.wide cimport INT_MAX

cdef enum MoneyFault:
    MONEY_IS_SOUND
    AMOUNT_IS_NEGATIVE
    MONEY_IS_NOT_CONSERVED
    ACCOUNTS_ARE_MISCOUNTED
    HOLD_IS_EMPTY
    NAMED_IS_WRONG
    HOLDS_ARE_MISCOUNTED


cdef inline int check_money(const Holds* holds) noexcept nogil:
    """Return what is wrong first, MONEY_IS_SOUND if nothing is."""
    cdef int fault = _check_accounts(holds.balances)
    if fault == MONEY_IS_SOUND:
        fault = _check_conservation(holds.balances)
    if fault == MONEY_IS_SOUND:
        fault = _check_counts(holds)
    if fault == MONEY_IS_SOUND:
        fault = _check_named(holds)
    return fault


cdef inline int _check_accounts(const Balances* balances) noexcept nogil:
    """Check the signs and the number of all accounts."""
    cdef const hash_tables.HashTable* table = &balances.accounts
    cdef const Account* account
    cdef int64_t count = 0
    cdef uint64_t place
    cdef uint32_t number
    for place in range(hash_tables.place_count(table)):
        number = hash_tables.number_at(table, place)
        if number == 0:
            continue
        account = account_at(balances, number)
        count += account.user != INT_MAX
        if (account.available < 0 and account.user != INT_MAX) or account.reserved < 0:
            return AMOUNT_IS_NEGATIVE
        if account.held < 0:
            return AMOUNT_IS_NEGATIVE
        if account.named > account.held:
            return NAMED_IS_WRONG
    return MONEY_IS_SOUND if count == balances.count else ACCOUNTS_ARE_MISCOUNTED


cdef inline int _check_conservation(const Balances* balances) noexcept nogil:
    """Check that all accounts of an asset have its deposits minus its withdrawals, together."""
    cdef const hash_tables.HashTable* table = &balances.money
    cdef const Money* money
    cdef const Account* account
    cdef int128 total
    cdef uint64_t place
    cdef uint32_t number
    for place in range(hash_tables.place_count(table)):
        number = hash_tables.number_at(table, place)
        if number == 0:
            continue
        money = <const Money*>slabs.record(&balances.money_slab, number)
        total = 0
        number = money.accounts
        while number:
            account = account_at(balances, number)
            total += account.available
            total += account.reserved
            total += account.held
            number = account.next_of_asset
        if total != money.net_deposits:
            return MONEY_IS_NOT_CONSERVED
    return MONEY_IS_SOUND


cdef inline int _check_counts(const Holds* holds) noexcept nogil:
    """Check that holds have money, and how many each user has; they are sorted by user."""
    cdef const hash_tables.HashTable* users = &holds.balances.users
    cdef uint32_t number = holds.sorted.least
    cdef const Hold* hold
    cdef int64_t counted = 0
    cdef uint64_t place
    while number:
        hold = hold_at(holds, number)
        if hold.amount <= 0:
            return HOLD_IS_EMPTY
        number = hold.node.next
    for place in range(hash_tables.place_count(users)):
        number = hash_tables.number_at(users, place)
        if number:
            counted += user_at(holds.balances, number).holds
            if not _has_holds(holds, number):
                return HOLDS_ARE_MISCOUNTED
    if counted != holds.sorted.count or holds.by_id.count != holds.sorted.count:
        return HOLDS_ARE_MISCOUNTED
    return MONEY_IS_SOUND


cdef inline bint _has_holds(const Holds* holds, uint32_t of) noexcept nogil:
    """True if a user has as many holds as it counts."""
    cdef int64_t user = user_at(holds.balances, of).user
    cdef int64_t count = 0
    cdef uint32_t number = hold_after(holds, user, -1)
    while number and hold_at(holds, number).node.first == user:
        count += 1
        number = hold_at(holds, number).node.next
    return count == user_at(holds.balances, of).holds


cdef inline int _check_named(const Holds* holds) noexcept nogil:
    """Check that the named amounts of the accounts are exactly what the holds say."""
    cdef const hash_tables.HashTable* table = &holds.balances.accounts
    cdef int fault = MONEY_IS_SOUND
    cdef uint64_t place
    cdef uint32_t number
    _add_named(holds, -1)
    for place in range(hash_tables.place_count(table)):
        number = hash_tables.number_at(table, place)
        if number and account_at(holds.balances, number).named:
            fault = NAMED_IS_WRONG
    _add_named(holds, 1)
    return fault


cdef inline void _add_named(const Holds* holds, int sign) noexcept nogil:
    """Add all holds to what their accounts have under names, or take them from it."""
    cdef uint32_t number = holds.sorted.least
    cdef const Hold* hold
    while number:
        hold = hold_at(holds, number)
        account_at(holds.balances, hold.account).named += sign * hold.amount
        number = hold.node.next


cdef inline void find_money_places(Places* places, const Holds* holds) noexcept nogil:
    """Count the places that users, accounts and holds take; the house takes none."""
    cdef const Balances* balances = holds.balances
    cdef uint32_t number = holds.sorted.least
    cdef uint64_t place
    while number:
        find_place(places, HOLDS, hold_at(holds, number).holder)
        number = hold_at(holds, number).node.next
    for place in range(hash_tables.place_count(&balances.users)):
        number = hash_tables.number_at(&balances.users, place)
        if number and user_at(balances, number).user != INT_MAX:
            find_place(places, USERS, user_at(balances, number).holder)
    for place in range(hash_tables.place_count(&balances.accounts)):
        number = hash_tables.number_at(&balances.accounts, place)
        if number and account_at(balances, number).user != INT_MAX:
            find_place(places, ACCOUNTS, account_at(balances, number).holder)
