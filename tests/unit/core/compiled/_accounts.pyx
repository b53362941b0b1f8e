"""Accounts of the compiled core, for tests against the reference.

The service never imports it; one thread uses it. Everything here holds the interpreter's lock; what it
calls does not need the lock.
"""

from libc.stdint cimport int64_t, uint32_t

from hpe.core.compiled cimport accounts, holders, slabs


cdef tuple row_of(const accounts.Account* account):
    """Return all amounts of an account, and the number of its holder."""
    return (
        account.user, account.asset, account.available, account.reserved, account.held,
        account.named, account.holder,
    )


cdef class Balances:
    """See hpe/core/money/balances.py; a holder is named by its number."""

    cdef slabs.Slab holder_slab
    cdef accounts.Balances balances
    cdef list users

    def __init__(self, int holder_count):
        slabs.make_slab(&self.holder_slab, sizeof(holders.Holder))
        accounts.make_balances(&self.balances, 7, &self.holder_slab)
        self.users = []
        for _ in range(holder_count):
            if not slabs.reserve(&self.holder_slab, 1):
                raise MemoryError
            slabs.take(&self.holder_slab)

    def __dealloc__(self):
        accounts.free_balances(&self.balances)
        slabs.free_slab(&self.holder_slab)

    cdef int _reserve(self, int64_t new, int64_t touches) except -1:
        if not accounts.reserve_accounts(&self.balances, new, new, touches):
            raise MemoryError
        return 0

    cdef uint32_t _number(self, int64_t user, int64_t asset):
        self._reserve(0, 1)
        return accounts.find_account(&self.balances, user, asset)

    def open_user(self, int64_t user):
        """Create a user."""
        self._reserve(1, 0)
        accounts.open_user(&self.balances, user)
        self.users.append(user)

    def open(self, int64_t user, int64_t asset, uint32_t holder):
        """Open an account."""
        self._reserve(1, 0)
        cdef uint32_t of = accounts.find_user(&self.balances, user)
        accounts.open_account(&self.balances, of, asset, holder)

    def change(self, int64_t user, int64_t asset, int64_t reserved, int64_t named):
        """Reserve available money, and name held money, as orders and holds do."""
        cdef uint32_t number = self._number(user, asset)
        cdef accounts.Account* account = accounts.account_at(&self.balances, number)
        accounts.touch(&self.balances, number)
        account.available -= reserved
        account.reserved += reserved
        account.named += named

    def take_changed(self):
        """Return the rows of the accounts that changed."""
        cdef const accounts.Touched* changed
        cdef int64_t count = accounts.take_changed(&self.balances, &changed)
        return [
            row_of(accounts.account_at(&self.balances, changed[place].account))
            for place in range(count)
        ]

    def rows(self):
        """Return the rows of all accounts, as users and their lists have them, sorted."""
        cdef uint32_t number, before
        found = []
        for user in self.users:
            before = 0
            number = accounts.find_user(&self.balances, user)
            number = accounts.user_at(&self.balances, number).accounts
            while number:
                assert accounts.account_at(&self.balances, number).previous == before
                row = row_of(accounts.account_at(&self.balances, number))
                assert accounts.find_account(&self.balances, row[0], row[1]) == number
                found.append(row)
                before = number
                number = accounts.account_at(&self.balances, number).next
        return sorted(found)

    def peek(self, int64_t user, int64_t asset):
        """True if there is such an account."""
        return accounts.peek(&self.balances, user, asset) != NULL

    def net_deposits(self, assets):
        """Return the net deposits of those of these assets that had any."""
        cdef const accounts.Money* money
        found = {}
        for asset in assets:
            money = accounts.find_money(&self.balances, asset)
            if money != NULL and money.deposited:
                found[asset] = money.net_deposits
        return found

    @property
    def count(self):
        """The number of accounts without the house's."""
        return self.balances.count

    @property
    def records(self):
        """The number of records that are in use."""
        return self.balances.account_slab.count

    def of_holder(self, uint32_t holder):
        """Return how many accounts a holder has."""
        return holders.holder_at(&self.holder_slab, holder).accounts

    def is_needed(self, int64_t asset):
        """See balances.py."""
        return bool(accounts.is_needed(&self.balances, asset))

    def close(self, int64_t asset):
        """See balances.py."""
        accounts.close_asset(&self.balances, asset)

    def cost_of(self, int64_t asset):
        """See balances.py."""
        return accounts.cost_of(&self.balances, asset)

    def deposit_refusal(self, int64_t asset, int64_t amount):
        """See balances.py."""
        return accounts.deposit_refusal(&self.balances, asset, amount)

    def deposit(self, int64_t user, int64_t asset, int64_t amount):
        """See balances.py."""
        accounts.deposit(&self.balances, self._number(user, asset), amount)

    def withdraw(self, int64_t user, int64_t asset, int64_t amount):
        """See balances.py."""
        return accounts.withdraw(&self.balances, self._number(user, asset), amount)

    def lock(self, int64_t user, int64_t asset, int64_t amount):
        """See balances.py."""
        return accounts.lock(&self.balances, self._number(user, asset), amount)

    def unlock(self, int64_t user, int64_t asset, int64_t amount):
        """See balances.py."""
        return accounts.unlock(&self.balances, self._number(user, asset), amount)

    def transfer(self, int64_t user, int64_t asset, int64_t amount, int64_t to_user):
        """See balances.py."""
        self._reserve(0, 2)
        accounts.transfer(
            &self.balances, accounts.find_account(&self.balances, user, asset),
            accounts.find_account(&self.balances, to_user, asset), amount,
        )
