"""Effort, settings and places of the compiled core, for tests against the reference.

The service never imports it; one thread uses it. Everything here holds the interpreter's lock; what it
calls does not need the lock.
"""

from libc.stdint cimport int64_t, uint32_t

from hpe.core.compiled cimport context, effort, holders, places


cdef class Effort:
    """See hpe/core/context/effort.py."""

    cdef effort.Effort own

    def __cinit__(self):
        effort.make_effort(&self.own, 7)

    def __dealloc__(self):
        effort.free_effort(&self.own)

    def begin(self):
        """See effort.py."""
        effort.begin(&self.own)

    def charge(self, int64_t each, int64_t count):
        """See effort.py."""
        effort.charge(&self.own, each, count)

    def ask(self, int64_t each, int64_t count):
        """See effort.py."""
        effort.ask(&self.own, each, count)

    def waste(self, int64_t each, int64_t count):
        """See effort.py."""
        effort.waste(&self.own, each, count)

    def take_off(self, int64_t key, int64_t user, int64_t count):
        """Count orders that a mass cancel canceled."""
        if not effort.reserve_effort(&self.own, 1):
            raise MemoryError
        effort.note_taken_off(&self.own, key, user, count)

    def taken_off(self, int64_t key, int64_t user):
        """Return how many orders were canceled."""
        return effort.taken_off(&self.own, key, user)

    @property
    def counts(self):
        """All that was charged, and how many owners took off orders."""
        return self.own.spent, self.own.asked, self.own.wasted, self.own.taken_off_slab.count


def clearing_effort(int64_t levels):
    """See effort.py."""
    return effort.clearing_effort(levels)


def rows_passed(int64_t orders):
    """See effort.py."""
    return effort.rows_passed(orders)


cdef class Places:
    """Settings, and the places of keys, which are named by their keys; see places.py."""

    cdef context.Settings settings
    cdef places.Places own

    def __cinit__(self, int64_t reserved_part):
        context.make_settings(&self.settings, reserved_part)
        places.make_places(&self.own, 7, &self.settings)

    def __dealloc__(self):
        places.free_places(&self.own)

    def set(self, row):
        """Change all settings; the last one is a row of limits."""
        cdef context.PlaceLimits limits
        limits.users_max, limits.accounts_max, limits.holds_max = row[5][:3]
        limits.holds_per_user_max, limits.assets_max, limits.assets_per_user_max = row[5][3:6]
        limits.instruments_max, limits.instruments_per_user_max = row[5][6:8]
        limits.key_share_percent = row[5][8]
        context.set_settings(&self.settings, row[0], row[1], row[2], row[3], row[4], &limits)

    def row(self):
        """Return all settings, and the number of open orders at which no limit is reached."""
        cdef const context.Settings* own = &self.settings
        cdef const context.PlaceLimits* limits = &own.places
        return (
            bool(own.auto_create), own.session_expiry_ns, own.session_keep_ns, own.open_orders_max,
            own.open_orders_per_user_max,
            (
                limits.users_max, limits.accounts_max, limits.holds_max,
                limits.holds_per_user_max, limits.assets_max, limits.assets_per_user_max,
                limits.instruments_max, limits.instruments_per_user_max, limits.key_share_percent,
            ),
        ), own.open_orders_any_max  # fmt: skip

    def share_of(self, int64_t count_max):
        """See settings.py."""
        return context.share_of(&self.settings, count_max)

    def unreserved(self, int64_t count_max):
        """See settings.py."""
        return context.unreserved(&self.settings, count_max)

    cdef uint32_t _number(self, int64_t key) except 0:
        if not places.reserve_holders(&self.own, 1):
            raise MemoryError
        return places.holder_of(&self.own, key)

    cdef holders.Holder* _holder(self, int64_t key) except NULL:
        return holders.holder_at(&self.own.holder_slab, self._number(key))

    def number(self, int64_t key):
        """Return the number of a key's holder."""
        return self._number(key)

    def known(self):
        """Return all keys that are remembered."""
        cdef uint32_t number = self.own.newest
        found = []
        while number:
            found.append(holders.holder_at(&self.own.holder_slab, number).key)
            number = holders.holder_at(&self.own.holder_slab, number).next
        return found

    def counts(self, int64_t key):
        """Return the counts of a key, and whether it has any place."""
        cdef const holders.Holder* found = self._holder(key)
        counts = [holders.count_of(found, kind) for kind in range(holders.PLACE_KINDS)]
        return counts, bool(holders.has_any(found))

    def take(self, int64_t key, kind, int64_t more):
        """Take so many places of a kind."""
        cdef holders.Holder* found = self._holder(key)
        if kind == "users":
            found.users += more
        elif kind == "accounts":
            found.accounts += more
        elif kind == "orders":
            found.orders += more
        elif kind == "holds":
            found.holds += more
        elif kind == "assets":
            found.assets += more
        else:
            found.instruments += more

    def refusal(
        self, int64_t key, bint operator, int reason, int64_t more, taken, int64_t count_max,
        int64_t of_user_max, bint reserve,
    ):
        """Return (reason, flags)."""
        cdef context.Context under = context.Context(
            1, 1, 0, 1, 0, self._number(key), operator, False
        )
        cdef places.Taken given = places.Taken(taken[0], taken[1], taken[2])
        cdef holders.Refusal refusal = places.place_refusal(
            &self.own, &under, reason, more, &given, count_max, of_user_max, reserve
        )
        return refusal.reason, refusal.flags

    def check(self, found):
        """True if all counts are right; `found` is (kind, number of a holder) of each place."""
        places.begin_check(&self.own)
        for kind, number in found:
            places.find_place(&self.own, kind, number)
        return bool(places.check_places(&self.own))
