"""Limits and settings so small that a few commands reach every one of them, from a random source.

Pure. What they have to do with each other is kept: a body has room for at least something.
"""

from __future__ import annotations

from random import Random
from typing import Final

from hpe.core.contract import Limits, RoomSizes
from hpe.protocol.internal import AssetSetting, Configure, InstrumentSetting, PlaceLimits
from tests.model.commands import UNIT_NS

WINDOW_MAX: Final = 9


def small_limits(random: Random) -> Limits:
    """Make every field of the limits small; half of the time those that leave work over are 1."""
    few = random.randint
    effort, most = few(6, 60), random.choice((1, 3))
    return Limits(
        fills=few(2, 5), stops=few(1, most), fired=few(1, most), uncross_fills=few(1, most),
        part_fills=few(1, most), dead=few(1, 3), mass_cancel=few(1, 3),
        mass_cancel_all=few(1, 3), revocations=few(1, 2),
        configure_bytes=few(70, 300), effort=effort, turns_effort=few(1, 4 * most),
        continue_effort=few(1, 8), query_effort=few(20, 90),
        acts=(few(1, most), few(1, most), few(1, most), few(1, most), few(1, most)),
        ended_orders=few(1, 6), recent_fills=few(1, 8), changes=few(1, 3), reports=few(1, 4),
        snapshot_orders=few(1, 5), indicative_levels=few(0, 3),
        indicative_ns_per_level=random.choice((1, UNIT_NS // 2, 3 * UNIT_NS)),
        made_up_levels=few(1, 4), room=_room(random), reserved_part=few(2, 6),
    )  # fmt: skip


def modeled_limits(random: Random) -> Limits:
    """Make every field small as well, but leave room for the few sessions of a play.

    The naive exchange knows nothing of that; the naive room does.
    """
    few = random.randint
    return Limits(
        fills=few(1, 4), stops=few(1, 2), fired=few(1, 3), uncross_fills=few(1, 3),
        part_fills=few(1, 2), acts=(few(1, 2), few(1, 2), few(1, 2), few(1, 2), 1),
        dead=few(1, 2), mass_cancel=few(1, 4), mass_cancel_all=few(1, 4), revocations=few(1, 2),
        configure_bytes=300,
        effort=random.choice((1, 3, 8, 30)), turns_effort=few(1, 12),
        continue_effort=few(1, 8), query_effort=random.choice((5, 20, 60, 200)),
        ended_orders=few(1, 6), recent_fills=few(1, 8), changes=few(1, 3), reports=few(1, 4),
        snapshot_orders=few(1, 5), indicative_levels=few(0, 3),
        indicative_ns_per_level=random.choice((1, UNIT_NS // 2, 3 * UNIT_NS)),
        made_up_levels=few(1, 4), room=RoomSizes(80, 16, 16, 8, 8, 1, 2),
    )  # fmt: skip


def _room(random: Random) -> RoomSizes:
    """Make room for some ten sessions."""
    least = random.randint(1, 3)
    small = least + random.randint(1, 3)
    return RoomSizes(
        room=random.randint(40, 64), key_share=random.randint(8, 20),
        large=random.randint(10, 30), kept=random.randint(2, 8), small=small, least=least,
        operators=random.randint(1, 3),
    )  # fmt: skip


def small_places(random: Random) -> PlaceLimits:
    """Make few places."""
    few = random.randint
    return PlaceLimits(
        users_max=few(6, 12), accounts_max=few(14, 30), holds_max=few(3, 8),
        holds_per_user_max=few(2, 4), assets_max=few(6, 9), assets_per_user_max=few(3, 5),
        instruments_max=few(7, 12), instruments_per_user_max=few(4, 6),
        key_share_percent=random.choice((10, 25, 60)),
    )  # fmt: skip


def small_settings(random: Random) -> Configure:
    """Make a configuration with few places and short times; sometimes it lists something."""
    assets = [AssetSetting(random.choice("ABFG"), 2)] if random.random() < 0.3 else []
    instruments = []
    if random.random() < 0.3:
        symbol, base, quote = random.choice((("A/B", "A", "B"), ("B/C", "B", "C")))
        instruments.append(
            InstrumentSetting(symbol, base, quote, 1, 1, 1, random.choice((60, 2**62)), 1, 2**62, 0)
        )
    return Configure(
        1, random.random() < 0.7, random.choice((30, 400)) * UNIT_NS,
        random.choice((3, 40)) * UNIT_NS, random.randint(24, 80), random.randint(12, 40), assets,
        instruments, small_places(random),
    )  # fmt: skip
