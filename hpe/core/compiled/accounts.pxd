"""Accounts: what every user has of every asset, and how much of it is bound.

The compiled twin of hpe/core/money/balances.py, with its names; the invariants are stated there. A
user's accounts are linked, and so are those of an asset, so that one asset is closed without a look
at the others. Owned by the core, used by the thread that runs it; users, accounts and touches were
reserved before the batch.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from hpe.core.compiled cimport buffers, hash_tables, slabs
from hpe.core.compiled.codes cimport (
    DEPOSIT_LIMIT,
    INSUFFICIENT_FUNDS,
    INSUFFICIENT_HOLD,
    NONE,
)
from hpe.core.compiled.holders cimport NOBODY, Holder, holder_at
from hpe.core.compiled.users cimport User
from hpe.core.compiled.wide cimport AMOUNT_MAX, INT_MAX


cdef struct Account:
    # One user's amounts of one asset, in atoms; see Account in hpe/core/money/balances.py. It begins
    # with its two keys, as User and Money do with their one. `next` and `previous` are other accounts of
    # the user, `next_of_asset` is another of the asset.
    int64_t user
    int64_t asset
    int64_t available
    int64_t reserved
    int64_t held
    int64_t named
    uint32_t holder
    uint32_t next
    uint32_t previous
    uint32_t next_of_asset
    uint8_t touched
    uint8_t closed


cdef struct Touched:
    # An account's amounts before they changed; `place` keeps the order of equal accounts.
    int64_t available
    int64_t reserved
    int64_t held
    int64_t named
    int64_t place
    uint32_t account


cdef struct Money:
    # An asset's net deposits, if anyone ever deposited, and the first of its accounts. `listed`:
    # commands may name it.
    int64_t asset
    int64_t net_deposits
    uint32_t accounts
    uint8_t deposited
    uint8_t listed


cdef struct Balances:
    # All accounts; `count` is their number without the house's. `gone` are closed accounts that the
    # last `take_changed` still returned, linked by `next`.
    slabs.Slab account_slab
    slabs.Slab user_slab
    slabs.Slab money_slab
    hash_tables.HashTable accounts
    hash_tables.HashTable users
    hash_tables.HashTable money
    const slabs.Slab* holders
    buffers.Buffer touched
    int64_t count
    uint32_t gone


cdef inline void make_balances(
    Balances* balances, uint64_t seed, const slabs.Slab* holders
) noexcept nogil:
    """Initialize without users; the house is opened like any other."""
    memset(balances, 0, sizeof(Balances))
    slabs.make_slab(&balances.account_slab, sizeof(Account))
    slabs.make_slab(&balances.user_slab, sizeof(User))
    slabs.make_slab(&balances.money_slab, sizeof(Money))
    hash_tables.make_table(
        &balances.accounts, seed, &balances.account_slab, hash_tables.begins_with_two
    )
    hash_tables.make_table(
        &balances.users, seed, &balances.user_slab, hash_tables.begins_with_one
    )
    hash_tables.make_table(
        &balances.money, seed, &balances.money_slab, hash_tables.begins_with_one
    )
    balances.holders = holders


cdef inline void free_balances(Balances* balances) noexcept nogil:
    """Free all memory."""
    slabs.free_slab(&balances.account_slab)
    slabs.free_slab(&balances.user_slab)
    slabs.free_slab(&balances.money_slab)
    hash_tables.free_table(&balances.accounts)
    hash_tables.free_table(&balances.users)
    hash_tables.free_table(&balances.money)
    buffers.free_buffer(&balances.touched)


cdef inline bint reserve_accounts(
    Balances* balances, int64_t users, int64_t accounts, int64_t touches
) noexcept nogil:
    """Make sure that so many of each, and as many new assets as accounts, fit; False: no memory."""
    return (
        slabs.reserve(&balances.user_slab, users)
        and slabs.reserve(&balances.account_slab, accounts)
        and slabs.reserve(&balances.money_slab, accounts)
        and hash_tables.reserve_places(&balances.users, users)
        and hash_tables.reserve_places(&balances.accounts, accounts)
        and hash_tables.reserve_places(&balances.money, accounts)
        and buffers.make_room(&balances.touched, touches * <int64_t>sizeof(Touched))
    )


cdef inline Account* account_at(const Balances* balances, uint32_t number) noexcept nogil:
    """Return the account of a number."""
    return <Account*>slabs.record(&balances.account_slab, number)


cdef inline User* user_at(const Balances* balances, uint32_t number) noexcept nogil:
    """Return the user of a number."""
    return <User*>slabs.record(&balances.user_slab, number)


cdef inline uint32_t find_user(const Balances* balances, int64_t user) noexcept nogil:
    """Return the number of a user, 0 if there is none."""
    return hash_tables.find(&balances.users, user, 0)


cdef inline uint32_t find_account(
    const Balances* balances, int64_t user, int64_t asset
) noexcept nogil:
    """Return the number of an account, 0 if there is none."""
    return hash_tables.find(&balances.accounts, user, asset)


cdef inline Account* peek(const Balances* balances, int64_t user, int64_t asset) noexcept nogil:
    """Return an account, NULL if there is none; the reference returns an empty one."""
    cdef uint32_t number = find_account(balances, user, asset)
    return account_at(balances, number) if number else NULL


cdef inline Money* find_money(const Balances* balances, int64_t asset) noexcept nogil:
    """Return what is known of an asset, NULL if it is not listed and nobody has an account of it."""
    cdef uint32_t number = hash_tables.find(&balances.money, asset, 0)
    if number == 0:
        return NULL
    return <Money*>slabs.record(&balances.money_slab, number)


cdef inline Money* _money_of(Balances* balances, int64_t asset) noexcept nogil:
    """Return what is known of an asset; it is new when listed, or with its first account."""
    cdef Money* money = find_money(balances, asset)
    cdef uint32_t number
    if money == NULL:
        number = slabs.take(&balances.money_slab)
        money = <Money*>slabs.record(&balances.money_slab, number)
        money.asset = asset
        hash_tables.add(&balances.money, asset, 0, number)
    return money


cdef inline void touch(Balances* balances, uint32_t number) noexcept nogil:
    """Note an account's amounts before they change, once per body."""
    cdef Account* account = account_at(balances, number)
    cdef Touched* noted
    if account.touched:
        return
    account.touched = True
    noted = <Touched*>(balances.touched.data + balances.touched.size)
    noted.available, noted.reserved = account.available, account.reserved
    noted.held, noted.named = account.held, account.named
    noted.place = balances.touched.size
    noted.account = number
    balances.touched.size += <int64_t>sizeof(Touched)


cdef inline int64_t take_changed(Balances* balances, const Touched** changed) noexcept nogil:
    """Return how many accounts changed since the last call, and set where they stand.

    They are sorted by user and asset, without the house's; good until the next `touch`. The
    accounts of an asset that was delisted meanwhile are included, empty.
    """
    cdef Touched* noted = <Touched*>balances.touched.data
    cdef int64_t place, count = 0
    cdef int64_t touched = balances.touched.size // <int64_t>sizeof(Touched)
    cdef Account* account
    _give_back_gone(balances)
    for place in range(touched):
        account = account_at(balances, noted[place].account)
        account.touched = False
        if account.closed:
            account.next = balances.gone
            balances.gone = noted[place].account
        if account.user != INT_MAX and _differs(account, &noted[place]):
            noted[count] = noted[place]
            count += 1
    _sort(balances, noted, count)
    balances.touched.size = 0
    changed[0] = noted
    return count


cdef inline void _give_back_gone(Balances* balances) noexcept nogil:
    cdef uint32_t number = balances.gone, following
    while number:
        following = account_at(balances, number).next
        slabs.give_back(&balances.account_slab, number)
        number = following
    balances.gone = 0


cdef inline bint _differs(const Account* account, const Touched* noted) noexcept nogil:
    return (
        account.available != noted.available
        or account.reserved != noted.reserved
        or account.held != noted.held
        or account.named != noted.named
    )


cdef inline bint _is_after(
    const Balances* balances, const Touched* one, const Touched* other
) noexcept nogil:
    cdef const Account* left = account_at(balances, one.account)
    cdef const Account* right = account_at(balances, other.account)
    if left.user != right.user:
        return left.user > right.user
    if left.asset != right.asset:
        return left.asset > right.asset
    return one.place > other.place


cdef inline void _sort(const Balances* balances, Touched* all, int64_t count) noexcept nogil:
    """Sort in place, by a heap."""
    cdef int64_t place = count // 2
    cdef Touched last
    while place > 0:
        place -= 1
        _sift(balances, all, place, count)
    while count > 1:
        count -= 1
        last = all[count]
        all[count] = all[0]
        all[0] = last
        _sift(balances, all, 0, count)


cdef inline void _sift(
    const Balances* balances, Touched* all, int64_t place, int64_t count
) noexcept nogil:
    """Let what stands at a place of the heap sink to where it belongs."""
    cdef Touched sinking = all[place]
    cdef int64_t below = 2 * place + 1
    while below < count:
        if below + 1 < count and _is_after(balances, &all[below + 1], &all[below]):
            below += 1
        if not _is_after(balances, &all[below], &sinking):
            break
        all[place] = all[below]
        place = below
        below = 2 * place + 1
    all[place] = sinking


cdef inline uint32_t open_user(Balances* balances, int64_t user) noexcept nogil:
    """Create a user that is not there."""
    cdef uint32_t number = slabs.take(&balances.user_slab)
    user_at(balances, number).user = user
    hash_tables.add(&balances.users, user, 0, number)
    return number


cdef inline uint32_t open_account(
    Balances* balances, uint32_t of, int64_t asset, uint32_t holder
) noexcept nogil:
    """Open an account for a user that has none of this asset; `of` is the user's number."""
    cdef uint32_t number = slabs.take(&balances.account_slab)
    cdef Account* account = account_at(balances, number)
    cdef Money* money = _money_of(balances, asset)
    cdef User* user = user_at(balances, of)
    account.user, account.asset, account.holder = user.user, asset, holder
    account.next = user.accounts
    if account.next:
        account_at(balances, account.next).previous = number
    user.accounts = number
    account.next_of_asset = money.accounts
    money.accounts = number
    hash_tables.add(&balances.accounts, user.user, asset, number)
    _count(balances, account, 1)
    return number


cdef inline void _count(Balances* balances, const Account* account, int more) noexcept nogil:
    """Count an account that comes or goes; those of the house take no place."""
    cdef Holder* holder
    if account.user != INT_MAX:
        balances.count += more
    if account.holder == NOBODY:
        return
    holder = holder_at(balances.holders, account.holder)
    if account.user != INT_MAX:
        holder.accounts += more
    else:
        holder.kept += more


cdef inline bint is_needed(const Balances* balances, int64_t asset) noexcept nogil:
    """True if anyone has money of an asset. Cost: all accounts of it."""
    cdef const Money* money = find_money(balances, asset)
    cdef uint32_t number = money.accounts if money != NULL else 0
    cdef const Account* account
    while number:
        account = account_at(balances, number)
        if account.available or account.reserved or account.held:
            return True
        number = account.next_of_asset
    return False


cdef inline void close_asset(Balances* balances, int64_t asset) noexcept nogil:
    """Remove an asset and its accounts, which must be empty. Cost: as `is_needed`."""
    cdef uint32_t of = hash_tables.find(&balances.money, asset, 0)
    cdef uint32_t number, following
    if of == 0:
        return
    number = (<Money*>slabs.record(&balances.money_slab, of)).accounts
    while number:
        following = account_at(balances, number).next_of_asset
        _close(balances, number)
        number = following
    hash_tables.remove(&balances.money, asset, 0)
    slabs.give_back(&balances.money_slab, of)


cdef inline void _close(Balances* balances, uint32_t number) noexcept nogil:
    """Remove one account; its record is not used again before `take_changed` has returned it."""
    cdef Account* account = account_at(balances, number)
    hash_tables.remove(&balances.accounts, account.user, account.asset)
    if account.next:
        account_at(balances, account.next).previous = account.previous
    if account.previous:
        account_at(balances, account.previous).next = account.next
    else:
        user_at(balances, find_user(balances, account.user)).accounts = account.next
    _count(balances, account, -1)
    account.closed = True
    if not account.touched:
        slabs.give_back(&balances.account_slab, number)


cdef inline int64_t cost_of(const Balances* balances, int64_t asset) noexcept nogil:
    """Return the effort that `is_needed` counts as: all users, if any has an account of it."""
    cdef const Money* money = find_money(balances, asset)
    return balances.users.count if money != NULL and money.accounts else 0


cdef inline Account* house(Balances* balances, int64_t asset) noexcept nogil:
    """Return the house's account; opens it if necessary."""
    cdef uint32_t number = find_account(balances, INT_MAX, asset)
    if number == 0:
        number = open_account(balances, find_user(balances, INT_MAX), asset, NOBODY)
    return account_at(balances, number)


cdef inline int deposit_refusal(
    const Balances* balances, int64_t asset, int64_t amount
) noexcept nogil:
    """Return the reject reason if a deposit would take an asset's total beyond AMOUNT_MAX."""
    cdef const Money* money = find_money(balances, asset)
    cdef int64_t net = money.net_deposits if money != NULL else 0
    return DEPOSIT_LIMIT if amount > AMOUNT_MAX - net else NONE


cdef inline void deposit(Balances* balances, uint32_t number, int64_t amount) noexcept nogil:
    """Credit available money; the amount was checked."""
    cdef Account* account = account_at(balances, number)
    cdef Money* money = find_money(balances, account.asset)
    money.deposited = True
    money.net_deposits += amount
    touch(balances, number)
    account.available += amount


cdef inline bint has_available(
    const Balances* balances, uint32_t number, int64_t amount
) noexcept nogil:
    """True if this much is available; `number` 0: there is no account."""
    return number != 0 and account_at(balances, number).available >= amount


cdef inline int withdraw(Balances* balances, uint32_t number, int64_t amount) noexcept nogil:
    """Debit available money; `number` 0: there is no account."""
    cdef Account* account
    if not has_available(balances, number, amount):
        return INSUFFICIENT_FUNDS
    account = account_at(balances, number)
    touch(balances, number)
    find_money(balances, account.asset).net_deposits -= amount
    account.available -= amount
    return NONE


cdef inline int lock(Balances* balances, uint32_t number, int64_t amount) noexcept nogil:
    """Move available money to held; `number` 0: there is no account."""
    cdef Account* account
    if not has_available(balances, number, amount):
        return INSUFFICIENT_FUNDS
    account = account_at(balances, number)
    touch(balances, number)
    account.available -= amount
    account.held += amount
    return NONE


cdef inline int unlock(Balances* balances, uint32_t number, int64_t amount) noexcept nogil:
    """Move held money back to available, but nothing that orders or named holds bind."""
    cdef Account* account
    if number == 0:
        return INSUFFICIENT_HOLD
    account = account_at(balances, number)
    if account.held - account.named < amount:
        return INSUFFICIENT_HOLD
    touch(balances, number)
    account.held -= amount
    account.available += amount
    return NONE


cdef inline void transfer(
    Balances* balances, uint32_t number, uint32_t payee, int64_t amount
) noexcept nogil:
    """Move available money to another account; the money exists."""
    touch(balances, number)
    touch(balances, payee)
    account_at(balances, number).available -= amount
    account_at(balances, payee).available += amount
