"""Requests about money, markets and listings, and queries of every kind.

Each maker takes where to aim and the user of the session, and returns a request under id 1. Owned
by one stream; one thread.
"""

from __future__ import annotations

from typing import Any, Final

from hpe.protocol.base import Request
from hpe.protocol.enums import Channel, InstrumentStatus
from hpe.protocol.limits import AMOUNT_MAX
from hpe.protocol.listings import (
    AddAsset,
    AddInstrument,
    DelistAsset,
    DelistInstrument,
    GetInstrument,
    ListAssets,
    ListInstruments,
    ResolveInstrument,
)
from hpe.protocol.market_data import GetOrderbook, Subscribe
from hpe.protocol.money import (
    CaptureHold,
    Deposit,
    GetBalance,
    ListBalances,
    ListHolds,
    LockBalance,
    ReleaseHold,
    Transfer,
    UnlockBalance,
    Withdraw,
)
from hpe.protocol.operations import (
    BlockUser,
    GetConservation,
    GetStateHash,
    SetFees,
    SetStatus,
    Uncross,
)
from hpe.protocol.orders import GetOrder, ListFills, ListOrders
from tests.differential.aim import Aim
from tests.differential.orders import Maker

_RATES: Final = (-999_999, -333_333, -200_000, -1, 0, 0, 1, 7, 2_500, 333_333, 999_999)
_SYMBOLS: Final = ("A", "B", "C", "D", "E", "F", "A/B0", "A/B1", "B/C", "~" * 48)
_CALL: Final = InstrumentStatus.CALL_AUCTION


def _amount(aim: Aim, available: int) -> int:
    """Return an amount: a little, a part of what is there, all of it, or a bound."""
    random = aim.random
    if aim.chance("bound"):
        return random.choice((AMOUNT_MAX, AMOUNT_MAX - 1, 1))
    amount = random.choice(
        (random.randint(1, 40), random.randint(1, 2_000), available // 3, available, available + 1)
    )
    return max(1, min(amount, AMOUNT_MAX))


def _paying(aim: Aim, user: int) -> tuple[int, int, int]:
    """Return an asset, an amount and whose it is."""
    asset = aim.asset()
    owner = aim.anybody() if aim.chance("other_user") else 0
    return asset, _amount(aim, aim.world.available(owner or user, asset)), owner


def deposit(aim: Aim, user: int) -> Deposit:
    """Make a deposit."""
    return Deposit(1, aim.asset(), _amount(aim, 10_000), aim.anybody())


def withdraw(aim: Aim, user: int) -> Withdraw:
    """Make a withdrawal."""
    return Withdraw(1, *_paying(aim, user))


def lock(aim: Aim, user: int) -> LockBalance:
    """Hold money without an id."""
    asset, amount, owner = _paying(aim, user)
    return LockBalance(1, asset, max(1, amount // 4), owner)


def unlock(aim: Aim, user: int) -> UnlockBalance:
    """Give held money back."""
    asset, amount, owner = _paying(aim, user)
    return UnlockBalance(1, asset, max(1, amount // 8), owner)


def hold(aim: Aim, user: int) -> LockBalance:
    """Hold money under an id, often for a time."""
    asset, amount, owner = _paying(aim, user)
    expires = aim.expiry() if aim.random.random() < 0.6 else 0
    hold_id = aim.random.randint(1, 6) if aim.random.random() < 0.97 else 0
    return LockBalance(1, asset, max(1, amount // 4), owner, hold_id, expires)


def _held(aim: Aim, user: int) -> tuple[int, int, int]:
    """Return a hold, what it has and whose it is."""
    owner = aim.user() if aim.chance("other_user") else 0
    hold_id, _, amount = aim.world.hold_of(owner or user)
    if not hold_id or aim.random.random() < 0.1:
        return aim.random.randint(1, 6), 20, owner
    return hold_id, amount, owner


def capture(aim: Aim, user: int) -> CaptureHold:
    """Pay from a hold."""
    hold_id, amount, owner = _held(aim, user)
    return CaptureHold(1, hold_id, _amount(aim, amount), aim.anybody(), owner)


def release(aim: Aim, user: int) -> ReleaseHold:
    """Release a part of a hold, or all."""
    hold_id, amount, owner = _held(aim, user)
    return ReleaseHold(1, hold_id, aim.random.choice((0, _amount(aim, amount))), owner)


def transfer(aim: Aim, user: int) -> Transfer:
    """Make a transfer."""
    asset, amount, owner = _paying(aim, user)
    return Transfer(1, asset, amount, aim.anybody(), owner)


def status(aim: Aim, user: int) -> SetStatus:
    """Set a status."""
    return SetStatus(1, aim.market()[0], aim.random.choice(tuple(InstrumentStatus)))


def reopen(aim: Aim, user: int) -> Request:
    """Let an instrument trade again, one that does not if there is one."""
    random, world = aim.random, aim.world
    shut = world.books_in(InstrumentStatus.HALTED) + world.books_in(InstrumentStatus.CANCEL_ONLY)
    calls = world.books_in(_CALL)
    if calls and (not shut or random.random() < 0.6):
        return Uncross(1, random.choice(calls))
    if shut:
        return SetStatus(1, random.choice(shut), InstrumentStatus.TRADING)
    return status(aim, user) if random.random() < 0.03 else fees(aim, user)


def uncross(aim: Aim, user: int) -> Uncross:
    """End a call, if there is one."""
    calls = aim.world.books_in(_CALL)
    book = aim.random.choice(calls) if calls and aim.random.random() < 0.9 else aim.market()[0]
    return Uncross(1, book, aim.random.choice(tuple(InstrumentStatus)[:3]))


def fees(aim: Aim, user: int) -> SetFees:
    """Change an instrument's rates or a user's own."""
    random, book = aim.random, aim.market()[0]
    owner, chance = aim.anybody() if random.random() < 0.6 else 0, random.random()
    if chance < 0.2:
        return SetFees(1, book, None, None, owner)
    maker, taker = random.choice(_RATES), random.choice(_RATES[3:])
    if chance < 0.23:
        return SetFees(1, book, maker, None, owner)
    if chance < 0.6:
        taker = max(taker, -maker)
    return SetFees(1, book, maker, taker, owner)


def block(aim: Aim, user: int) -> BlockUser:
    """Block a user."""
    return BlockUser(1, min(aim.anybody(), 2**62), True)


def unblock(aim: Aim, user: int) -> BlockUser:
    """Allow a user again."""
    users = aim.world.exchange.orders.users.items()
    blocked = [number for number, mine in users if mine.blocked]
    return BlockUser(1, aim.random.choice(blocked) if blocked else aim.user(), False)


def add_asset(aim: Aim, user: int) -> AddAsset:
    """List an asset."""
    return AddAsset(1, aim.random.choice(_SYMBOLS), aim.random.randint(0, 18))


def add_instrument(aim: Aim, user: int) -> AddInstrument:
    """List an instrument whose limits may contradict each other."""
    random = aim.random
    limits: dict[str, Any] = {
        random.choice(("price_min", "quantity_min")): 5,
        random.choice(("price_max", "quantity_max")): random.choice((4, 90)),
        random.choice(("notional_min", "maker_fee_ppm")): random.choice((0, 1, -1)) % 7,
    }
    banded = random.choice(
        ((0, 0, True, 0), (5, 0, False, 0), (5, 9, True, 0), (5, 9, True, 3), (5, 9, False, 3))
    )
    names = ("band_ppm", "reference_price", "volatility_interruption", "interruption_ms")
    limits |= dict(zip(names, banded, strict=True))
    lot, tick = random.choice(((1, 1), (1, 3), (40, 1), (12, 1), (12, 9), (2**62, 1), (7, 2**62)))
    ids = random.randint(1, 5), random.randint(1, 5)
    if random.random() < 0.5:
        limits = {}
    return AddInstrument(1, random.choice(_SYMBOLS), *ids, lot, tick, **limits)


def resolve(aim: Aim, user: int) -> ResolveInstrument:
    """Ask for a pair, which may be listed by that."""
    return ResolveInstrument(1, *[aim.random.choice(_SYMBOLS[:6]) for _ in range(2)])


def delist(aim: Aim, user: int) -> DelistInstrument:
    """Delist an instrument, mostly one that the stream did not begin with."""
    known = len(aim.tuning.markets)
    first = 1 if aim.random.random() < 0.15 else known + 1
    return DelistInstrument(1, aim.random.randint(first, known + 5))


def delist_asset(aim: Aim, user: int) -> DelistAsset:
    """Delist an asset, mostly one that may not be in use."""
    return DelistAsset(1, aim.random.randint(4 if aim.random.random() < 0.9 else 1, 9))


def query(aim: Aim, user: int) -> Request:
    """Make a query of any kind but a subscribe."""
    random, world = aim.random, aim.world
    book, after, limit = aim.market()[0], random.choice((0, 0, 1, 3, 40)), random.randint(1, 9)
    owner = random.choice((0, 0, aim.anybody()))
    last = world.exchange.last_order_id
    order = world.any_order()
    order_id = max(1, last - random.randint(0, 20))
    if order is not None and random.random() < 0.5:
        order_id, owner = order.order_id, order.user
    fills = max(0, random.randint(-5, 40))
    queries: tuple[Request, ...] = (
        GetOrderbook(1, book, random.choice((1, limit, 1_000))), GetBalance(1, aim.asset(), owner),
        ListAssets(1, after, limit), ListInstruments(1, after, limit),
        GetOrder(1, 0, random.randint(1, 9), owner), GetOrder(1, order_id, 0, owner),
        GetOrder(1, order_id, random.choice((0, 0, 1)), owner),
        ListOrders(1, random.choice((0, book)), max(0, order_id - limit), limit, owner),
        ListFills(1, fills, limit, owner), ListBalances(1, min(after, 3), limit, owner),
        ListHolds(1, after, limit, owner), GetInstrument(1, book), GetConservation(1, aim.asset()),
        GetStateHash(1),
    )  # fmt: skip
    return random.choice(queries)


def subscribe(aim: Aim, user: int) -> Subscribe:
    """Ask for a channel of an instrument."""
    depth = aim.random.choice((1, 3, 1_000))
    return Subscribe(1, aim.market()[0], aim.random.choice(tuple(Channel)), depth)


MAKERS: Final[dict[str, Maker]] = {
    "deposit": deposit, "withdraw": withdraw, "lock": lock, "unlock": unlock, "hold": hold,
    "capture": capture, "release": release, "transfer": transfer, "status": status,
    "reopen": reopen, "uncross": uncross, "fees": fees, "block": block, "unblock": unblock,
    "add_asset": add_asset, "add_instrument": add_instrument, "resolve": resolve, "delist": delist,
    "delist_asset": delist_asset, "query": query, "subscribe": subscribe,
}  # fmt: skip
