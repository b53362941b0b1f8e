"""Parties: users and their accounts, which are created when an accepted command names them.

The compiled twin of hpe/core/money/parties.py, with its names. Owned by the core, used by the thread
that runs it. `make_parties` alone may fail; users and accounts were reserved before the batch (see
`reserve_accounts`): one user and two accounts for each order, one of each for each money command.
"""

from libc.stdint cimport int64_t, uint32_t

from hpe.core.compiled cimport accounts
from hpe.core.compiled.accounts cimport Balances
from hpe.core.compiled.codes cimport NONE, TOO_MANY_ACCOUNTS, TOO_MANY_USERS
from hpe.core.compiled.context cimport Context, PlaceLimits, Settings
from hpe.core.compiled.holders cimport Holder, Refusal, holder_at
from hpe.core.compiled.places cimport Places, Taken, holder_of, place_refusal, reserve_holders
from hpe.core.compiled.wide cimport INT_MAX

cdef enum:
    NO_ASSET = 0


cdef struct Parties:
    # All users and accounts of one exchange.
    const Settings* settings
    Balances* balances
    Places* places


cdef inline bint make_parties(
    Parties* parties, const Settings* settings, Balances* balances, Places* places
) noexcept nogil:
    """Initialize, and create the house, which takes no place; False if there is no memory."""
    if not (accounts.reserve_accounts(balances, 1, 0, 0) and reserve_holders(places, 1)):
        return False
    parties.settings, parties.balances, parties.places = settings, balances, places
    accounts.user_at(balances, accounts.open_user(balances, INT_MAX)).holder = holder_of(places, 0)
    return True


cdef inline Refusal party_refusal(
    const Parties* parties, const Context* context, int64_t user, int64_t first, int64_t second,
    bint reserve
) noexcept nogil:
    """Return why there is no room for a user and its new accounts, NONE if there is.

    `first` and `second` are the different assets in which it needs an account, NO_ASSET for none.
    """
    cdef const Balances* balances = parties.balances
    cdef const PlaceLimits* limits = &parties.settings.places
    cdef const Holder* holder = holder_at(&parties.places.holder_slab, context.holder)
    cdef Refusal refusal = Refusal(NONE, 0)
    cdef Taken taken
    cdef int64_t new
    if user == INT_MAX:
        return refusal
    if accounts.find_user(balances, user) == 0:
        taken = Taken(balances.users.count - 1, 0, holder.users)  # not the house
        refusal = place_refusal(
            parties.places, context, TOO_MANY_USERS, 1, &taken, limits.users_max, INT_MAX, reserve
        )
    if refusal.reason:
        return refusal
    new = _is_new(balances, user, first) + _is_new(balances, user, second)
    if new:
        taken = Taken(balances.count, 0, holder.accounts)
        refusal = place_refusal(
            parties.places, context, TOO_MANY_ACCOUNTS, new, &taken, limits.accounts_max, INT_MAX,
            reserve,
        )
    return refusal


cdef inline bint _is_new(const Balances* balances, int64_t user, int64_t asset) noexcept nogil:
    return asset != NO_ASSET and accounts.find_account(balances, user, asset) == 0


cdef inline uint32_t admit(
    Parties* parties, uint32_t holder, int64_t user, int64_t first, int64_t second
) noexcept nogil:
    """Create a user and its accounts where they are new; room was checked.

    Returns the user's number.
    """
    cdef uint32_t mine = accounts.find_user(parties.balances, user)
    if mine == 0:
        mine = open_user(parties, user, holder)
    if _is_new(parties.balances, user, first):
        accounts.open_account(parties.balances, mine, first, holder)
    if _is_new(parties.balances, user, second):
        accounts.open_account(parties.balances, mine, second, holder)
    return mine


cdef inline uint32_t open_user(Parties* parties, int64_t user, uint32_t holder) noexcept nogil:
    """Create a new user; return its number."""
    cdef uint32_t mine = accounts.open_user(parties.balances, user)
    accounts.user_at(parties.balances, mine).holder = holder
    holder_at(&parties.places.holder_slab, holder).users += 1
    return mine
