"""Parties, named holds and money commands of the compiled core, for tests against the reference.

The service never imports it; one thread uses it. Everything here holds the interpreter's lock; what it
calls does not need the lock.
"""

from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

from hpe.core.compiled cimport (
    accounts,
    answers,
    context,
    events,
    fields,
    holders,
    holds,
    money_check,
    parties,
    places,
    timers,
    treasury,
)


cdef class Exchange:
    """The money of one exchange; holders are named by their keys."""

    cdef context.Settings settings
    cdef accounts.Balances balances
    cdef places.Places places
    cdef timers.Timers timers
    cdef holds.Holds holds
    cdef parties.Parties parties
    cdef events.Events events
    cdef treasury.Treasury treasury

    def __cinit__(self, int64_t reserved_part, acts):
        cdef int64_t[timers.KINDS] acts_max
        for kind, bound in enumerate(acts):
            acts_max[kind] = bound
        context.make_settings(&self.settings, reserved_part)
        places.make_places(&self.places, 7, &self.settings)
        accounts.make_balances(&self.balances, 7, &self.places.holder_slab)
        timers.make_timers(&self.timers, 7, acts_max)
        holds.make_holds(
            &self.holds, 7, &self.settings, &self.balances, &self.timers, &self.places
        )
        events.make_events(&self.events)
        treasury.make_treasury(
            &self.treasury, &self.balances, &self.holds, &self.parties, &self.events
        )
        if not parties.make_parties(
            &self.parties, &self.settings, &self.balances, &self.places
        ):
            raise MemoryError

    def __dealloc__(self):
        events.free_events(&self.events)
        holds.free_holds(&self.holds)
        timers.free_timers(&self.timers)
        accounts.free_balances(&self.balances)
        places.free_places(&self.places)

    def limit(self, limits):
        """Change the limits of places."""
        cdef context.PlaceLimits given = self.settings.places
        given.users_max, given.accounts_max, given.holds_max, given.holds_per_user_max = limits
        self.settings.places = given

    def list_asset(self, int64_t asset):
        """Let commands name an asset."""
        if not accounts.reserve_accounts(&self.balances, 0, 1, 0):
            raise MemoryError
        treasury.list_asset(&self.treasury, asset)

    def close(self, int64_t asset):
        """See balances.py."""
        accounts.close_asset(&self.balances, asset)

    cdef int _reserve(self) except -1:
        """Reserve for one command."""
        if not (
            accounts.reserve_accounts(&self.balances, 1, 2, 3)
            and places.reserve_holders(&self.places, 1)
            and holds.reserve_holds(&self.holds, 1)
            and timers.reserve_timers(&self.timers, 1)
            and events.reserve_events(&self.events, 0, 0, 2, 0)
        ):
            raise MemoryError
        return 0

    cdef context.Context _context(self, origin):
        cdef context.Context under
        under.sequence, under.time_ns, under.user, key, under.operator = origin
        under.holder = places.holder_of(&self.places, key)
        under.effort_max = under.session_id = under.cancel_on_disconnect = 0
        return under

    def run(self, int kind, origin, values):
        """Execute a money command of a type, by the values of its fields; return its response."""
        self._reserve()
        cdef context.Context under = self._context(origin)
        cdef fields.Request request
        cdef answers.Response response
        memset(&request, 0, sizeof(request))
        request.kind, request.size = kind, len(values)
        for slot, value in enumerate(values):
            request.values[slot] = value
        treasury.execute_money(&self.treasury, &under, &request, &response)
        assert response.kind == kind
        return tuple([response.fields.values[at] for at in range(answers.field_count(kind))])

    def admit(self, origin, int64_t user, int64_t first, int64_t second, bint reserve):
        """Create a user and its accounts if there is room; return the refusal."""
        self._reserve()
        cdef context.Context under = self._context(origin)
        cdef holders.Refusal refusal = parties.party_refusal(
            &self.parties, &under, user, first, second, reserve
        )
        cdef uint32_t mine
        if refusal.reason == 0:
            mine = parties.admit(&self.parties, under.holder, user, first, second)
            assert accounts.user_at(&self.balances, mine).user == user
        return refusal.reason, refusal.flags

    def act(self, int64_t time_ns):
        """Let the holds act that are due, as many as may; return how many did."""
        cdef uint32_t number
        count = 0
        timers.begin_body(&self.timers, time_ns)
        while True:
            number = timers.next_to_act(&self.timers, time_ns)
            if number == 0:
                return count
            self._reserve()
            self.timers.room[<int>timers.HOLD] -= 1
            treasury.act_on_hold(&self.treasury, timers.entry_at(&self.timers, number))
            count += 1

    def take_events(self):
        """Return the changes of holds since the last call."""
        cdef const events.HoldEvent* hold
        cdef int64_t place
        found = []
        for place in range(events.event_count(&self.events)):
            assert events.event_at(&self.events, place).kind == events.EVENT_HOLD
            hold = &events.event_at(&self.events, place).what.hold
            found.append((
                hold.user, hold.hold_id, hold.asset, hold.change, hold.amount, hold.remaining,
                hold.expires_ns,
            ))
        events.forget_events(&self.events)
        return found

    cdef int64_t _key(self, uint32_t holder):
        return holders.holder_at(&self.places.holder_slab, holder).key

    cdef tuple _account(self, const accounts.Account* account):
        return (
            account.user, account.asset, account.available, account.reserved, account.held,
            account.named, self._key(account.holder),
        )

    def take_changed(self):
        """Return the rows of the accounts that changed."""
        cdef const accounts.Touched* changed
        cdef int64_t count = accounts.take_changed(&self.balances, &changed)
        return [
            self._account(accounts.account_at(&self.balances, changed[place].account))
            for place in range(count)
        ]

    def user(self, int64_t user):
        """Return the key and the number of holds of a user, and its accounts; None if unknown."""
        cdef uint32_t number = accounts.find_user(&self.balances, user)
        cdef uint32_t next_account
        cdef const accounts.User* found
        if number == 0:
            return None
        found = accounts.user_at(&self.balances, number)
        rows = []
        next_account = found.accounts
        while next_account:
            rows.append(self._account(accounts.account_at(&self.balances, next_account)))
            next_account = accounts.account_at(&self.balances, next_account).next
        return self._key(found.holder), found.holds, sorted(rows)

    def hold_rows(self):
        """Return (user, hold id, asset, amount, expires_ns, key) of every hold, sorted."""
        cdef uint32_t number = self.holds.sorted.least
        cdef const holds.Hold* hold
        found = []
        while number:
            hold = holds.hold_at(&self.holds, number)
            assert holds.find_hold(&self.holds, hold.node.first, hold.node.second) == number
            found.append((
                hold.node.first, hold.node.second, hold.asset, hold.amount, hold.expires_ns,
                self._key(hold.holder),
            ))
            number = hold.node.next
        return found

    def hold_after(self, int64_t user, int64_t after):
        """Return the id of a user's first hold with an id above this one, or None."""
        cdef uint32_t number = holds.hold_after(&self.holds, user, after)
        return holds.hold_at(&self.holds, number).node.second if number else None

    def restore_hold(
        self, int64_t user, int64_t hold_id, int64_t asset, int64_t amount, int64_t expires_ns,
        int64_t key,
    ):
        """Add a hold as loading does; its money becomes held."""
        cdef holds.Hold hold
        cdef accounts.Account* account = accounts.peek(&self.balances, user, asset)
        self._reserve()
        hold.asset, hold.amount, hold.expires_ns = asset, amount, expires_ns
        hold.holder = places.holder_of(&self.places, key)
        account.available -= amount
        account.held += amount
        account.named += amount
        holds.restore_hold(&self.holds, user, hold_id, &hold)

    def bind(self, int64_t user, int64_t asset, int64_t amount):
        """Reserve available money, as orders do."""
        cdef uint32_t number = accounts.find_account(&self.balances, user, asset)
        cdef accounts.Account* account = accounts.account_at(&self.balances, number)
        self._reserve()
        accounts.touch(&self.balances, number)
        account.available -= amount
        account.reserved += amount

    def counts(self, int64_t key):
        """Return the places of a key: users, accounts, holds."""
        self._reserve()
        cdef const holders.Holder* holder = holders.holder_at(
            &self.places.holder_slab, places.holder_of(&self.places, key)
        )
        return holder.users, holder.accounts, holder.holds

    def sums(self):
        """Return the numbers of users and accounts without the house's, of holds and of timers."""
        return (
            self.balances.users.count - 1, self.balances.count, self.holds.slab.count,
            self.timers.entry_slab.count, timers.next_due_ns(&self.timers),
        )

    def net_deposits(self, int64_t asset):
        """Return deposits minus withdrawals of an asset, None if there were none."""
        cdef const accounts.Money* money = accounts.find_money(&self.balances, asset)
        return money.net_deposits if money != NULL and money.deposited else None

    def check(self):
        """Return what is wrong, by the name of the fault, "" if nothing is."""
        places.begin_check(&self.places)
        money_check.find_money_places(&self.places, &self.holds)
        fault = money_check.check_money(&self.holds)
        if fault == money_check.MONEY_IS_SOUND and not places.check_places(&self.places):
            return "PLACES"
        return FAULTS[fault]

    def spoil_account(self, int64_t user, int64_t asset, name, int64_t more):
        """Add to an amount of an account, as no command does."""
        cdef accounts.Account* account = accounts.peek(&self.balances, user, asset)
        if name == "available":
            account.available += more
        elif name == "reserved":
            account.reserved += more
        elif name == "held":
            account.held += more
        else:
            account.named += more

    def spoil_hold(self, int64_t user, int64_t hold_id, int64_t more):
        """Add to the amount of a hold."""
        holds.hold_at(&self.holds, holds.find_hold(&self.holds, user, hold_id)).amount += more

    def spoil_counts(self, int64_t user, int64_t key, name, int more):
        """Add to a number that is counted."""
        cdef uint32_t number = accounts.find_user(&self.balances, user)
        cdef holders.Holder* holder = holders.holder_at(
            &self.places.holder_slab, places.holder_of(&self.places, key)
        )
        if name == "accounts":
            self.balances.count += more
        elif name == "holds":
            accounts.user_at(&self.balances, number).holds += more
        elif name == "users of a key":
            holder.users += more
        elif name == "accounts of a key":
            holder.accounts += more
        else:
            holder.holds += more


FAULTS = {
    money_check.MONEY_IS_SOUND: "", money_check.AMOUNT_IS_NEGATIVE: "NEGATIVE",
    money_check.MONEY_IS_NOT_CONSERVED: "CONSERVATION",
    money_check.ACCOUNTS_ARE_MISCOUNTED: "ACCOUNTS", money_check.HOLD_IS_EMPTY: "EMPTY",
    money_check.NAMED_IS_WRONG: "NAMED", money_check.HOLDS_ARE_MISCOUNTED: "HOLDS",
}
