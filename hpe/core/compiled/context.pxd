"""What a command acts under: where it comes from, and the settings that decide about outcomes.

The compiled twin of Context in hpe/core/context/command.py and of hpe/core/context/settings.py,
with their names. Plain values; the settings are owned by the core and changed by its thread alone.
"""

from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

from hpe.core.compiled._c cimport floor_divide, int128, product
from hpe.core.compiled.wide cimport INT_MAX


cdef struct Context:
    # The context of one command; see Context in hpe/core/context/command.py. `holder` is the number
    # of the holder whose places it takes, which is never NOBODY.
    int64_t sequence
    int64_t time_ns
    int64_t effort_max
    int64_t user
    int64_t session_id
    uint32_t holder
    bint operator
    bint cancel_on_disconnect


cdef struct PlaceLimits:
    # See PlaceLimits in hpe/protocol/internal.py.
    int64_t users_max
    int64_t accounts_max
    int64_t holds_max
    int64_t holds_per_user_max
    int64_t assets_max
    int64_t assets_per_user_max
    int64_t instruments_max
    int64_t instruments_per_user_max
    int64_t key_share_percent


cdef struct Settings:
    # See Settings in hpe/core/context/settings.py.
    int64_t session_expiry_ns
    int64_t session_keep_ns
    int64_t open_orders_max
    int64_t open_orders_per_user_max
    int64_t open_orders_any_max
    int64_t reserved_part
    PlaceLimits places
    bint auto_create


cdef inline void make_settings(Settings* settings, int64_t reserved_part) noexcept nogil:
    """Initialize what holds before the first `configure`."""
    cdef PlaceLimits places = PlaceLimits(
        1_048_576, 4_194_304, 1_000_000, 100_000, 65_536, 16_384, 65_536, 16_384, 25
    )
    memset(settings, 0, sizeof(Settings))
    settings.reserved_part = reserved_part
    set_settings(
        settings, False, 86_400 * 1_000_000_000, 600 * 1_000_000_000, 1_000_000, 1_000_000, &places
    )


cdef inline void set_settings(
    Settings* settings, bint auto_create, int64_t session_expiry_ns, int64_t session_keep_ns,
    int64_t open_orders_max, int64_t open_orders_per_user_max, const PlaceLimits* places
) noexcept nogil:
    """Change all settings."""
    settings.auto_create = auto_create
    settings.session_expiry_ns = session_expiry_ns
    settings.session_keep_ns = session_keep_ns
    settings.open_orders_max = open_orders_max
    settings.open_orders_per_user_max = open_orders_per_user_max
    settings.places = places[0]
    settings.open_orders_any_max = min(
        unreserved(settings, open_orders_max),
        open_orders_per_user_max,
        share_of(settings, open_orders_max),
    )


cdef inline int64_t share_of(const Settings* settings, int64_t count_max) noexcept nogil:
    """Return how many of `count_max` places one key may take, at least one and at most INT_MAX."""
    cdef int128 percent = product(count_max, settings.places.key_share_percent)
    cdef int128 share = -floor_divide(-percent, 100)
    return <int64_t>share if share < INT_MAX else INT_MAX


cdef inline int64_t unreserved(const Settings* settings, int64_t count_max) noexcept nogil:
    """Return how many of `count_max` places are not reserved for operators."""
    return count_max - count_max // settings.reserved_part
