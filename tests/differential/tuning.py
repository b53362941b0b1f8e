"""What one stream is about: limits, settings, markets, clients and how often each request comes.

Drawn from the stream's random source alone, so that a seed gives a stream. Most weights of a stream
are moved far from the usual ones, and some are 0: a stream that does a few things very often finds
what a mixture of everything dilutes. Pure.
"""

from __future__ import annotations

from random import Random
from typing import Any, Final, NamedTuple

from hpe.core.contract import DEFAULT_LIMITS, Limits, RoomSizes
from hpe.protocol.enums import Role
from hpe.protocol.internal import AssetSetting, Configure, InstrumentSetting, PlaceLimits
from hpe.protocol.limits import AMOUNT_MAX
from hpe.protocol.listings import AddInstrument
from tests.model.commands import UNIT_NS
from tests.model.stream_limits import small_limits, small_places

USUAL: Final = {
    "limit": 300, "cross": 120, "ioc": 60, "market": 60, "budget": 50, "stop": 60, "stop_limit": 40,
    "trailing": 30, "pair": 40, "iceberg": 60, "post_only": 50, "minimum": 30, "gtd": 50,
    "wrong_order": 25, "cancel": 80, "replace": 140, "replace_busy": 20, "mass_cancel": 10,
    "deposit": 30, "withdraw": 15, "lock": 15, "unlock": 10, "hold": 25, "capture": 15,
    "release": 15, "transfer": 20, "status": 14, "reopen": 40, "uncross": 16, "fees": 20,
    "block": 5, "unblock": 12, "add_asset": 3, "add_instrument": 4, "resolve": 6, "delist": 4,
    "delist_asset": 4, "query": 60, "subscribe": 25, "crowd": 25,
}  # fmt: skip
"""How often each kind of request comes, of a thousand and some; see requests.py and others.py."""

_FACTORS: Final = (0, 0.2, 1, 1, 1, 3, 8)
_SCALES: Final = (1, 1, 1, 2, 7, 10, 1_000, 2**20, 2**31, 2**45)
_FEES: Final = (
    (0, 0), (0, 0), (-100, 300), (1_000, 2_500), (-200_000, 333_333), (5, 5), (0, 999_999),
    (999_999, 0), (-999_999, 999_999), (-1, 3), (333_333, 1),
)  # fmt: skip


class StreamMarket(NamedTuple):
    """One instrument that a stream begins with, and around which price it is traded."""

    listing: AddInstrument
    middle: int
    spread: int


class Tuning(NamedTuple):
    """One stream's draws; `chances` are probabilities by name."""

    limits: Limits
    settings: Configure
    markets: list[StreamMarket]
    assets: list[tuple[str, int]]
    users: int
    seats: list[tuple[int, Role, int]]
    weights: dict[str, float]
    lots: int
    money: float
    runs: tuple[int, ...]
    frames: tuple[int, ...]
    waits_ns: tuple[int, ...]
    chances: dict[str, float]
    hash_every: int
    load_every: int
    replays: bool
    frames_max: int
    start_ns: int


def tuned(random: Random) -> Tuning:
    """Draw what a stream is about."""
    limits = _limits(random)
    users = random.choice((2, 3, 3, 4, 8))
    many = random.choice(((1, 1, 2), (1, 2, 3, 4), (3, 5, 9), (10, 30)))
    return Tuning(
        limits=limits,
        settings=settings(random),
        markets=[_market(random, number) for number in range(random.choice((1, 1, 2, 3, 4)))],
        assets=[(symbol, random.choice((0, 2, 8, 18))) for symbol in "ABC"],
        users=users,
        seats=_seats(random, users),
        weights=_weights(random),
        lots=random.choice((2, 4, 12, 12, 40, 1_000)),
        money=random.choice((0.01, 1, 1, 1, 1)),
        runs=random.choice(((1,), (0, 1, 1, 2), (1, 2, 4, 6), (4, 8))),
        frames=many,
        waits_ns=random.choice(
            ((1,), (1, UNIT_NS), (1, UNIT_NS, UNIT_NS, 3 * UNIT_NS, 30 * UNIT_NS), (UNIT_NS // 3,))
        ),
        chances=_chances(random),
        hash_every=random.choice((1, 1, 4, 50)),
        load_every=random.choice((7, 31, 101, 10**9)),
        replays=random.random() < 0.3,
        frames_max=random.choice((150, 400, 400, 1_000, 3_000)),
        start_ns=random.choice((1_780_000_000_000_000_000,) * 9 + (2**62,)),
    )


def _weights(random: Random) -> dict[str, float]:
    weights = {name: often * random.choice(_FACTORS) for name, often in USUAL.items()}
    weights["limit"] += 30  # something has to be in the book
    weights["reopen"] += 5
    return weights


def _chances(random: Random) -> dict[str, float]:
    """Draw probabilities; those of bad bytes are 0 in most streams, which they would end."""
    pick = random.choice
    return {
        "fault": pick((0, 0, 0, 0.01, 0.06)), "extreme": pick((0, 0.005, 0.03, 0.2)),
        "stretched": pick((0, 0.03, 0.3)), "repeat": pick((0, 0.02, 0.15)),
        "skipped": pick((0, 0.05, 0.3)), "admit": pick((0, 0.02, 0.1)),
        "internal": pick((0.02, 0.08, 0.3)), "session": pick((0.2, 0.6)),
        "settings": pick((0, 0.03, 0.2)), "other_user": pick((0, 0.1, 0.4)),
        "aimed": pick((0.7, 0.95, 1.0)), "client_id": pick((0, 0.1, 0.5)),
        "disconnect": pick((0, 0.15, 0.5)), "own_policy": pick((0, 0.3, 0.8)),
        "bound": pick((0, 0.01, 0.05)), "wanted": pick((0, 0.05, 0.3)),
        "old": pick((0, 0.02)), "far": pick((0, 0.05, 0.4)), "due": pick((0, 0.1, 0.3)),
    }  # fmt: skip


def _limits(random: Random) -> Limits:
    """Draw limits: all small, all moderate, some of them small, or those of the protocol."""
    chance, few = random.random(), random.randint
    if chance < 0.3:
        return small_limits(random)
    moderate = DEFAULT_LIMITS._replace(
        fills=few(4, 30), stops=few(2, 8), fired=few(2, 9), uncross_fills=few(2, 9),
        part_fills=few(1, 5), dead=few(1, 6), mass_cancel=few(1, 9), mass_cancel_all=few(1, 9),
        revocations=few(1, 3), effort=few(10, 120), turns_effort=few(1, 20),
        continue_effort=few(1, 8), query_effort=few(12, 300),
        acts=(few(1, 6), few(1, 6), few(1, 6), few(1, 6), few(1, 6)), ended_orders=few(2, 20),
        recent_fills=few(2, 30), changes=few(2, 20), reports=few(2, 20), snapshot_orders=few(2, 30),
        indicative_levels=few(0, 5), indicative_ns_per_level=random.choice((1, UNIT_NS)),
        made_up_levels=few(1, 9), room=RoomSizes(60, 40, 30, 8, 8, 2, 5),
        reserved_part=few(2, 8),
    )  # fmt: skip
    if chance < 0.7:
        return moderate
    if chance < 0.9:
        rows: dict[str, Any] = DEFAULT_LIMITS._asdict()
        rows |= {name: each for name, each in moderate._asdict().items() if random.random() < 0.4}
        return Limits(**rows)
    return DEFAULT_LIMITS


def settings(random: Random) -> Configure:
    """Draw a configuration, now and then with few places; sometimes it lists something."""
    places = small_places(random) if random.random() < 0.3 else PlaceLimits()
    assets = [AssetSetting(random.choice("ABCFG"), 2)] if random.random() < 0.2 else []
    instruments = [_setting(random)] if random.random() < 0.4 else []
    return Configure(
        1, random.random() < 0.6, random.choice((30, 400, 10**9)) * UNIT_NS,
        random.choice((3, 40)) * UNIT_NS, random.choice((24, 80, 400, 10**6)),
        random.choice((12, 40, 150, 10**6)), assets, instruments, places,
    )  # fmt: skip


def _setting(random: Random) -> InstrumentSetting:
    """Draw limits of an instrument that may be listed already, under the same scale or not."""
    symbol, base, quote = random.choice((("A/B0", "A", "B"), ("A/B1", "A", "B"), ("B/C", "B", "C")))
    maker, taker = random.choice(((None, None), *_FEES))
    banded = random.random() < 0.4
    interrupts = banded and random.random() < 0.6
    return InstrumentSetting(
        symbol, base, quote, 1, 1, 1, random.choice((60, 2**62)), 1, random.choice((90, 2**62)),
        random.choice((0, 3)), random.choice((AMOUNT_MAX, 5_000)), maker, taker,
        random.randint(1, 5), 70_000 if banded else 0, 50 if banded else 0, interrupts,
        random.choice((0, 4)) if interrupts else 0,
    )  # fmt: skip


def _market(random: Random, number: int) -> StreamMarket:
    """Draw an instrument: dense or wide, cheap or near the bounds of 64 bits, banded or not."""
    middle, spread = random.choice((5, 20, 50, 50, 1_000, 10**6)), random.choice((1, 2, 2, 4, 12))
    tick, lot = random.choice(_SCALES), random.choice((1, 1, 1, 2, 5, 2**20))
    if number < 2 and random.random() < 0.5:
        tick = lot = 1  # as `_setting` names it
    while middle * tick > 2**55:
        tick >>= 10
    limits: dict[str, Any] = {}
    if random.random() < 0.3:
        limits |= {"price_min": max(1, middle - 3 * spread), "price_max": middle + 3 * spread}
    if random.random() < 0.3:
        limits |= {"quantity_min": random.randint(1, 3), "quantity_max": random.randint(10, 60)}
    if random.random() < 0.2:
        limits |= {"notional_min": middle * tick * 2, "notional_max": middle * tick * 40}
    if random.random() < 0.5:
        limits |= {"band_ppm": random.choice((20_000, 70_000, 200_000, 999_999))}
        limits |= {"reference_price": middle}
        if random.random() < 0.7:
            limits |= {"volatility_interruption": True}
            limits |= {"interruption_ms": random.choice((0, 1, 6, 50))}
    maker, taker = random.choice(_FEES)
    base, quote = random.choice(((1, 2), (1, 2), (3, 2), (1, 3)))
    listing = AddInstrument(
        1, f"{'ABC'[base - 1]}/{'ABC'[quote - 1]}{number}", base, quote, lot, max(tick, 1),
        maker_fee_ppm=maker, taker_fee_ppm=taker, self_trade=random.randint(1, 5), **limits,
    )  # fmt: skip
    return StreamMarket(listing, middle, spread)


def _seats(random: Random, users: int) -> list[tuple[int, Role, int]]:
    """Draw (user, role, key) of those who come; the first one opens the venue."""
    seats = [(1, Role.ANONYMOUS, 0)]
    keyed = random.random() < 0.5
    for _ in range(random.choice((2, 4, 7))):
        user = random.randint(1, users)
        if not keyed or random.random() < 0.3:
            seats.append((user, Role.ANONYMOUS, 0))
        else:
            role, key = random.choice(
                ((Role.TRADER, 1), (Role.TRADER, 5), (Role.GATEWAY, 2), (Role.OPERATOR, 3),
                 (Role.MARKET_DATA, 4))
            )  # fmt: skip
            seats.append((user, role, key))
    return seats
