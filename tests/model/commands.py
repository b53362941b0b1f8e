"""Random commands for the model tests, all from one `Random`: seeded, or Hypothesis' own.

Request ids, order ids and times are placeholders that `addressed` replaces when the command is
sent: an order is named by how many orders ago it came, a time by how long from now. Values are
small so that commands meet each other, with a few at the bounds of the wire. No state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final

from msgspec.structs import replace

from hpe.protocol.base import Request
from hpe.protocol.enums import InstrumentStatus, OrderType, SelfTrade, Side, TimeInForce
from hpe.protocol.flags import ORDER_CANCEL_ON_DISCONNECT, ORDER_POST_ONLY
from hpe.protocol.limits import AMOUNT_MAX, HOUSE_USER, INT_MAX
from hpe.protocol.listings import (
    AddAsset,
    AddInstrument,
    DelistAsset,
    DelistInstrument,
    ResolveInstrument,
)
from hpe.protocol.money import (
    CaptureHold,
    Deposit,
    LockBalance,
    ReleaseHold,
    Transfer,
    UnlockBalance,
    Withdraw,
)
from hpe.protocol.operations import BlockUser, SetFees, SetStatus, Uncross
from hpe.protocol.orders import (
    CancelOrder,
    MassCancel,
    OrderTerms,
    ReplaceOrder,
    SubmitOco,
    SubmitOrder,
)

GIVEN: Final[tuple[Request, ...]] = (
    *(AddAsset(1, symbol, 2) for symbol in "ABC"),
    AddInstrument(1, "A/B", 1, 2, 1, 2),
    AddInstrument(
        1, "C/B", 3, 2, 4, 7, 2, 12, 2, 50, 42, 504, -200_000, 333_333,
        self_trade=SelfTrade.DECREMENT,
    ),
    AddInstrument(1, "A/C", 1, 3, 2, 1, maker_fee_ppm=1_000, taker_fee_ppm=2_500,
                  self_trade=SelfTrade.CANCEL_MAKER, band_ppm=100_000, reference_price=50),
    AddInstrument(1, "A/B2", 1, 2, maker_fee_ppm=-1, taker_fee_ppm=3,
                  band_ppm=70_000, reference_price=50, volatility_interruption=True,
                  interruption_ms=6),
)  # fmt: skip
"""The assets and instruments that every play begins with."""

UNIT_NS: Final = 1_000_000
"""One unit of a play's time: a millisecond, as graces have it."""

MIDDLES: Final = {1: 6, 2: 6, 3: 50, 4: 50}
"""Around which price an instrument is traded."""

_TRADERS: Final = (1, 2, 3)
NEWCOMERS: Final = (7, 11, 12, 13, 14, 15)
"""Users who have no session, and whom money and the kill switch bring into being."""
_PRICE_BOUNDS: Final = (1, 13, 2**31, 2**61, INT_MAX)
_QUANTITY_BOUNDS: Final = (0, 1, 40, 2**55, 2**62, INT_MAX)
_AMOUNT_BOUNDS: Final = (AMOUNT_MAX - 70_000, AMOUNT_MAX)
_SYMBOLS: Final = ("A", "B", "C", "D", "E", "A/B", "B/C")
_RATES: Final = (-333_333, -200_000, -1, 0, 0, 1, 7, 200_000, 333_333, 999_999)
_ALL_TIFS: Final = tuple(TimeInForce)
_SIDES: Final = tuple(Side)


def book_of(random: Random) -> int:
    """Choose an instrument: mostly one that exists."""
    return random.choice((1, 1, 1, 2, 2, 3, 3, 4, 4, 4)) if random.random() < 0.99 else 9


def price_of(random: Random, book: int) -> int:
    """Choose a price near the instrument's middle, seldom a bound of the wire."""
    if random.random() < 0.01:
        return random.choice(_PRICE_BOUNDS)
    far = random.choice((2, 3, 6))
    return max(1, MIDDLES.get(book, 6) + random.randint(-far, far))


def quantity_of(random: Random) -> int:
    """Choose lots."""
    return random.choice(_QUANTITY_BOUNDS) if random.random() < 0.01 else random.randint(1, 12)


def _expiry_of(random: Random, tif: TimeInForce) -> int:
    return random.randint(0, 90) if tif is TimeInForce.GTD else 0


def limit_order(random: Random) -> Request:
    """Make a limit order, sometimes an iceberg, post-only or with a minimum."""
    book, side, quantity = book_of(random), random.choice(_SIDES), quantity_of(random)
    tif = random.choice((*_ALL_TIFS, *(TimeInForce.GTC,) * 6))
    flags = display = minimum = 0
    special = random.random()
    if special < 0.15:
        flags = ORDER_POST_ONLY
    elif special < 0.40 and quantity < 100:  # else there would be no end of fills
        display = random.randint(1, 4)
    elif special < 0.50:
        minimum = random.randint(1, 8)
    if tif in (TimeInForce.IOC, TimeInForce.FOK) and random.random() < 0.95:
        flags = display = 0
        minimum = 0 if tif is TimeInForce.FOK else minimum
    terms = OrderTerms(
        display_quantity=display, minimum_quantity=minimum, expires_ns=_expiry_of(random, tif)
    )
    return SubmitOrder(
        1, book, _client_id_of(random), side, OrderType.LIMIT, tif, price_of(random, book),
        quantity, flags, _policy_of(random), _shortened(random, terms),
    )  # fmt: skip


def _shortened(random: Random, terms: OrderTerms) -> OrderTerms | None:
    """Leave terms out that ask for nothing, as clients do; seldom not, which means the same."""
    return None if terms == OrderTerms() and random.random() < 0.95 else terms


def market_order(random: Random) -> Request:
    """Make a market order, by quantity or by budget."""
    side, tif = random.choice(_SIDES), random.choice((TimeInForce.IOC, TimeInForce.FOK))
    quantity, terms = quantity_of(random), OrderTerms()
    if side is Side.BUY and random.random() < 0.5:
        quantity, terms = 0, OrderTerms(budget=_budget_of(random))
    elif tif is TimeInForce.IOC and random.random() < 0.2:
        terms = OrderTerms(minimum_quantity=random.randint(1, 8))
    return SubmitOrder(
        1, book_of(random), 0, side, OrderType.MARKET, tif, 0, quantity, 0, _policy_of(random),
        _shortened(random, terms),
    )  # fmt: skip


def stop_order(random: Random) -> Request:
    """Make a stop, a trailing stop or a stop limit."""
    book, side, tif = book_of(random), random.choice(_SIDES), random.choice(_ALL_TIFS)
    kind = random.choice((OrderType.STOP, OrderType.STOP_LIMIT))
    stop_price, quantity, price, trail, budget = (
        price_of(random, book),
        quantity_of(random),
        0,
        0,
        0,
    )
    if kind is OrderType.STOP_LIMIT:
        price = price_of(random, book)
    else:
        if random.random() < 0.5:
            stop_price, trail = 0, random.randint(1, 4)
        if side is Side.BUY:
            quantity, budget = 0, _budget_of(random)
    terms = OrderTerms(stop_price, trail, 0, 0, budget, _expiry_of(random, tif))
    return SubmitOrder(
        1, book, _client_id_of(random), side, kind, tif, price, quantity, 0, _policy_of(random),
        terms,
    )  # fmt: skip


def wrong_order(random: Random) -> Request:
    """Make an order with one field that another kind of order would have."""
    make = random.choice((limit_order, market_order, stop_order))
    order = make(random) if random.random() < 0.8 else wrong_order(random)
    assert isinstance(order, SubmitOrder)
    field = random.choice((*OrderTerms.__struct_fields__, "price", "flags", "time_in_force"))
    if field == "time_in_force":
        return replace(order, time_in_force=random.choice(_ALL_TIFS))
    if field == "flags":
        return replace(order, flags=order.flags ^ ORDER_POST_ONLY)
    if field == "price":
        return replace(order, price=0 if order.price else 6)
    terms = order.terms or OrderTerms()
    value = 0 if getattr(terms, field) else random.choice((1, 1, random.randint(1, 14)))
    return replace(order, terms=replace(terms, **{field: value}))


def pair(random: Random) -> Request:
    """Make an order of which one leg cancels the other; mostly one that can be taken."""
    book, side = book_of(random), random.choice(_SIDES)
    middle = MIDDLES.get(book, 6)
    away = random.randint(1, 4) * (-1 if side is Side.BUY else 1)
    price, stop_price = max(1, middle + away), max(1, middle - away)
    stop_limit = price_of(random, book) if random.random() < 0.5 else 0
    budget = _budget_of(random) if side is Side.BUY and not stop_limit else 0
    if random.random() < 0.05:
        budget = random.randint(0, 1) * 50
    expires = random.randint(0, 90) if random.random() < 0.3 else 0
    return SubmitOco(
        1, book, side, max(1, quantity_of(random)), price, stop_price, stop_limit, budget,
        _client_id_of(random), _client_id_of(random), expires, _policy_of(random),
    )  # fmt: skip


def cancel(random: Random) -> Request:
    """Make a cancel of a recent order."""
    return CancelOrder(1, random.randint(0, 12), random.choice((0, 0, 0, 0, 0, 1, 2)))


def replacement(random: Random) -> Request:
    """Make a replace of a recent order."""
    new = random.randint(0, 14) if random.random() < 0.98 else INT_MAX
    total, leaves = random.choice(((new, None), (None, new), (None, new)))
    if random.random() < 0.02:
        total, leaves = random.choice(((None, None), (new, new)))
    price = price_of(random, random.choice((1, 3))) if random.random() < 0.5 else None
    stop_price = price_of(random, random.choice((1, 3))) if random.random() < 0.15 else None
    client_id = random.choice((0, 0, 0, 0, 0, 0, 1))
    expires = random.randint(1, 90) if random.random() < 0.1 else 0
    if expires and random.random() < 0.5:
        total = leaves = None
    return ReplaceOrder(
        1, random.randint(0, 12), client_id, total, leaves, price, random.random() < 0.1,
        stop_price, expires_ns=expires,
    )  # fmt: skip


def movement(random: Random) -> Request:
    """Make a deposit, a withdrawal or a lock without an id."""
    kind = random.choice((Deposit, Withdraw, LockBalance, UnlockBalance))
    locks = kind in (LockBalance, UnlockBalance)
    amount = random.randint(1, 40) if locks else _amount_of(random)
    return kind(1, random.randint(1, 4), amount, _account_of(random))


def transfer(random: Random) -> Request:
    """Make a transfer between two users."""
    to_user = random.choice((*_TRADERS, HOUSE_USER, *NEWCOMERS))
    return Transfer(1, random.randint(1, 4), _amount_of(random), to_user, _account_of(random))


def hold(random: Random) -> Request:
    """Make, capture or release a named hold."""
    hold_id, user, chance = random.randint(1, 4), _account_of(random), random.random()
    if chance < 0.4:
        expires = random.randint(0, 40) if random.random() < 0.5 else 0
        lock_id = hold_id if random.random() < 0.95 else 0
        asset = random.randint(1, 4)
        return LockBalance(1, asset, random.randint(1, 60), user, lock_id, expires)
    if chance < 0.7:
        to_user = random.choice((*_TRADERS, HOUSE_USER, *NEWCOMERS))
        return CaptureHold(1, hold_id, random.randint(1, 50), to_user, user)
    return ReleaseHold(1, hold_id, random.choice((0, random.randint(1, 50))), user)


def status(random: Random) -> Request:
    """Set a status, or uncross."""
    book = book_of(random)
    if random.random() < 0.5:
        return SetStatus(1, book, random.choice(tuple(InstrumentStatus)))
    return Uncross(1, book, random.choice(tuple(InstrumentStatus)[:3]))


def reopening(random: Random, book: int) -> Request:
    """Let an instrument trade again."""
    if random.random() < 0.5:
        return Uncross(1, book)
    return SetStatus(1, book, InstrumentStatus.TRADING)


def mass_cancel(random: Random) -> Request:
    """Cancel many orders."""
    book = random.choice((0, book_of(random)))
    side = random.choice((0, 1, 2))
    return MassCancel(1, book, side, _account_of(random), random.random() < 0.2)


def block(random: Random) -> Request:
    """Block a user, or more often allow one again."""
    user = random.choice((*_TRADERS, *_TRADERS, *_TRADERS, *NEWCOMERS))
    return BlockUser(1, user, random.random() < 0.4)


def fees(random: Random) -> Request:
    """Change an instrument's rates or a user's own."""
    maker, taker = random.choice(_RATES), random.choice(_RATES[3:])
    user, chance = random.choice((0, *_TRADERS)), random.random()
    if chance < 0.2:
        return SetFees(1, book_of(random), None, None, user)
    if chance < 0.25:
        return SetFees(1, book_of(random), maker, None, user)
    return SetFees(1, book_of(random), maker, taker, user)


def listing(random: Random) -> Request:
    """Add an asset or a pair, or take one away."""
    symbol, chance = random.choice(_SYMBOLS), random.random()
    if chance < 0.25:
        kind = random.choice((DelistAsset, DelistInstrument))
        return kind(1, random.randint(random.choice((1, 5, 5)), 9))
    if chance < 0.4:
        return AddAsset(1, symbol, random.randint(0, 18))
    if chance < 0.7:
        return ResolveInstrument(1, symbol, random.choice(_SYMBOLS))
    limits: dict[str, Any] = {
        random.choice(("price_min", "quantity_min")): 5,
        random.choice(("price_max", "quantity_max")): random.choice((4, 90)),
        random.choice(("notional_min", "maker_fee_ppm")): random.choice((0, 1, -1)) % 7,
    }
    if random.random() < 0.3:
        limits["maker_fee_ppm"] = -5
    banded = random.choice(
        ((0, 0, True, 0), (5, 0, False, 0), (5, 9, True, 0), (5, 9, True, 3), (5, 9, False, 3))
    )
    names = ("band_ppm", "reference_price", "volatility_interruption", "interruption_ms")
    limits |= dict(zip(names, banded, strict=True))
    lot, tick = random.choice(((1, 1), (1, 3), (40, 1), (12, 1), (12, 9), (2**62, 1), (7, 2**62)))
    ids = random.randint(1, 5), random.randint(1, 5)
    return AddInstrument(1, symbol, *ids, lot, tick, **limits)


def _client_id_of(random: Random) -> int:
    return random.choice((0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6))


def _policy_of(random: Random) -> int:
    return random.choice((0, 0, 0, 1, 2, 3, 4, 5))


def _budget_of(random: Random) -> int:
    return AMOUNT_MAX if random.random() < 0.01 else random.randint(1, 400)


def _amount_of(random: Random) -> int:
    return random.choice(_AMOUNT_BOUNDS) if random.random() < 0.03 else random.randint(1, 2_000)


def _account_of(random: Random) -> int:
    return random.choice((0, 0, 0, *_TRADERS, 7, HOUSE_USER))


Maker = Callable[[Random], Request]

_KINDS: Final[dict[Maker, int]] = {
    limit_order: 340,
    market_order: 70,
    stop_order: 110,
    wrong_order: 20,
    pair: 50,
    cancel: 60,
    replacement: 150,
    movement: 40,
    transfer: 15,
    hold: 40,
    status: 20,
    mass_cancel: 6,
    block: 8,
    fees: 20,
    listing: 6,
}
"""How often each kind of command comes."""

_MOODS: Final[tuple[dict[Maker, int], ...]] = (
    {},
    {stop_order: 250, pair: 80, market_order: 200, cancel: 30, hold: 0, movement: 10, block: 1},
    {limit_order: 800, status: 40, market_order: 0, hold: 0, movement: 10, block: 1},
    {limit_order: 700, market_order: 200, cancel: 0, hold: 0, fees: 80},
    {transfer: 150, hold: 300, listing: 100, block: 40},
)
"""What plays are about: a bit of everything, stops, calls, trade under changing fees, places."""

_WHEELS: Final = [
    [make for make, often in {**_KINDS, **mood}.items() for _ in range(often)] for mood in _MOODS
]

MOODS: Final = len(_MOODS)
CALLS: Final = 2
"""The mood in which instruments stay closed for long, so that many orders gather."""


def command_of(random: Random, mood: int = 0) -> Request:
    """Make a command of any kind, seldom for another user than the session's."""
    command = random.choice(_WHEELS[mood])(random)
    if isinstance(command, SubmitOrder | SubmitOco) and random.random() < 0.15:
        command = replace(command, flags=command.flags | ORDER_CANCEL_ON_DISCONNECT)
    for_others = SubmitOrder | CancelOrder | ReplaceOrder | SubmitOco
    if isinstance(command, for_others) and random.random() < 0.15:
        command = replace(command, user=random.choice(_TRADERS))
    return command


def addressed(command: Request, request_id: int, last_order_id: int, time_ns: int) -> Request:
    """Return a command its request id, turn an order's age into its id and a wait into a time.

    A time is two units less than the wait says, so that some are over already.
    """
    now_ns = time_ns - 2 * UNIT_NS
    if isinstance(command, CancelOrder | ReplaceOrder):
        # The client id alone names the order half of the time.
        by_client_id = command.client_order_id and command.order_id % 2
        order_id = 0 if by_client_id else max(last_order_id - command.order_id, 0)
        command = replace(command, request_id=request_id, order_id=order_id)
        if isinstance(command, ReplaceOrder) and command.expires_ns:
            return replace(command, expires_ns=now_ns + command.expires_ns * UNIT_NS)
        return command
    if isinstance(command, SubmitOrder) and command.terms and command.terms.expires_ns:
        terms = replace(command.terms, expires_ns=now_ns + command.terms.expires_ns * UNIT_NS)
        return replace(command, request_id=request_id, terms=terms)
    if isinstance(command, SubmitOco | LockBalance) and command.expires_ns:
        expires_ns = now_ns + command.expires_ns * UNIT_NS
        return replace(command, request_id=request_id, expires_ns=expires_ns)
    return replace(command, request_id=request_id)


def seeded_commands(seed: int, count: int) -> Iterator[Request]:
    """Yield a stream that only the seed decides; what it closes or blocks it soon allows again."""
    random = Random(seed)
    for _ in range(count):
        chance = random.random()
        if chance < 0.10:
            yield reopening(random, random.randint(1, 4))
        elif chance < 0.13:
            yield BlockUser(1, random.choice(_TRADERS), False)
        else:
            yield command_of(random)
