"""The settings that decide about outcomes.

Part of the deterministic core; a row of the state.
"""

from __future__ import annotations

from hpe.protocol.internal import PlaceLimits


class Settings:
    """The settings that decide about outcomes; only the logged `configure` changes them.

    With fewer than `open_orders_any_max` open orders in total, no limit on them is reached. One in
    `reserved_part` places is for operators: enough to clean up what others have filled.
    """

    __slots__ = (
        "auto_create", "open_orders_any_max", "open_orders_max", "open_orders_per_user_max",
        "places", "reserved_part", "session_expiry_ns", "session_keep_ns",
    )  # fmt: skip

    def __init__(self, reserved_part: int) -> None:
        self.reserved_part = reserved_part
        self.set(False, 86_400 * 10**9, 600 * 10**9, 1_000_000, 1_000_000)

    def set(
        self,
        auto_create: bool,
        session_expiry_ns: int,
        session_keep_ns: int,
        open_orders_max: int,
        open_orders_per_user_max: int,
        places: PlaceLimits = PlaceLimits(),  # noqa: B008 - immutable
    ) -> None:
        """Change all settings."""
        self.auto_create = auto_create
        self.session_expiry_ns = session_expiry_ns
        self.session_keep_ns = session_keep_ns
        self.open_orders_max = open_orders_max
        self.open_orders_per_user_max = open_orders_per_user_max
        self.places = places
        self.open_orders_any_max = min(
            self.unreserved(open_orders_max),
            open_orders_per_user_max,
            self.share_of(open_orders_max),
        )

    def share_of(self, count_max: int) -> int:
        """Return how many of `count_max` places one key may take, at least one."""
        return -(-count_max * self.places.key_share_percent // 100)

    def unreserved(self, count_max: int) -> int:
        """Return how many of `count_max` places are not reserved for operators."""
        return count_max - count_max // self.reserved_part

    def row(self) -> tuple[bool, int, int, int, int, PlaceLimits]:
        """Return all settings, as `set` takes them."""
        return (
            self.auto_create, self.session_expiry_ns, self.session_keep_ns, self.open_orders_max,
            self.open_orders_per_user_max, self.places,
        )  # fmt: skip
