"""Requests of a random stream beside the plays' commands: queries, crowds, values at the bounds.

Pure: all from one random source. Crowds are what a few small limits leave unfinished: stops of one
trigger, limits that cross in a call or die together, a trade outside the band.
"""

from __future__ import annotations

from random import Random

import msgspec

from hpe.protocol.base import Request
from hpe.protocol.enums import Channel, OrderType, Side, TimeInForce
from hpe.protocol.listings import (
    AddAsset,
    DelistAsset,
    DelistInstrument,
    GetInstrument,
    ListAssets,
    ListInstruments,
)
from hpe.protocol.market_data import GetOrderbook, Subscribe
from hpe.protocol.money import GetBalance, ListBalances, ListHolds
from hpe.protocol.operations import GetConservation, GetStateHash
from hpe.protocol.orders import GetOrder, ListFills, ListOrders, OrderTerms, SubmitOrder
from tests.model.commands import price_of
from tests.support.hostile_frames import NUMBERS, spoiled

_encode = msgspec.msgpack.Encoder().encode


def query_of(random: Random, user: int, last_order_id: int) -> Request:
    """Make a query of any kind."""
    book, after, limit = random.randint(1, 6), random.randint(0, 4), random.randint(1, 8)
    owner = random.choice((0, 0, user, 1, 2, 3, 8))
    queries: tuple[Request, ...] = (
        GetOrderbook(1, book, limit), GetBalance(1, book, owner), ListAssets(1, after, limit),
        ListInstruments(1, after, limit), GetOrder(1, 0, limit, owner),
        GetOrder(1, max(1, last_order_id - random.randint(0, 9)), 0, owner),
        ListOrders(1, random.choice((0, book)), after, limit, owner),
        ListFills(1, after, limit, owner), ListBalances(1, after, limit, owner),
        ListHolds(1, after, limit, owner), GetInstrument(1, book), GetConservation(1, book),
        GetStateHash(1), *(Subscribe(1, book, channel, limit) for channel in Channel),
    )  # fmt: skip
    return random.choice(queries)


def looks(random: Random) -> list[Request]:
    """Ask twice what an uncross would do."""
    book = random.randint(1, 5)
    queries = (GetInstrument(1, book), Subscribe(1, book, Channel.STATUS, 1), GetInstrument(1, 4))
    return random.sample(queries, 2)


def listing_of(random: Random) -> Request:
    """List an asset that nobody has, or delist what may be in use."""
    commands: tuple[Request, ...] = (
        AddAsset(1, random.choice("DEHIJ"), 0), DelistAsset(1, random.randint(4, 9)),
        DelistInstrument(1, random.randint(4, 9)),
    )  # fmt: skip
    return random.choice(commands)


def crossing(random: Random, book: int) -> list[Request]:
    """Make limits that cross; half of the time all die at once."""
    tif, terms = TimeInForce.GTC, None
    if random.random() < 0.5:
        tif, terms = TimeInForce.GTD, OrderTerms(expires_ns=random.choice((5, 8, 11)))
    return [
        SubmitOrder(
            1, book, 0, random.choice(tuple(Side)), OrderType.LIMIT, tif, price_of(random, book), 4,
            terms=terms, user=random.randint(1, 3),
        )
        for _ in range(random.randint(3, 9))
    ]  # fmt: skip


def jump(random: Random, book: int) -> list[Request]:
    """Make a trade that is outside the band, and orders for the call that it begins."""
    price = random.choice((30, 70))
    sides = (Side.SELL, Side.BUY) if price > 50 else (Side.BUY, Side.SELL)
    return _trade(book, price, 9, *sides) + crossing(random, book)


def stops(random: Random, book: int) -> list[Request]:
    """Make stops of one trigger, and a trade there."""
    price = price_of(random, book)
    side, other = random.choice(((Side.BUY, Side.SELL), (Side.SELL, Side.BUY)))
    quantity, budget = (0, 60) if side is Side.BUY else (2, 0)
    terms = OrderTerms(price, budget=budget)
    crowd: list[Request] = [
        SubmitOrder(
            1, book, 0, side, OrderType.STOP, TimeInForce.IOC, 0, quantity, terms=terms,
            user=random.randint(1, 3),
        )
        for _ in range(random.randint(3, 9))
    ]  # fmt: skip
    return crowd + _trade(book, price, 5, other, side)


def _trade(book: int, price: int, quantity: int, maker: Side, taker: Side) -> list[Request]:
    """Make two limits that trade with each other, if nothing better is there."""
    return [
        SubmitOrder(
            1, book, 0, side, OrderType.LIMIT, TimeInForce.GTC, price, quantity, user=user
        )
        for user, side in enumerate((maker, taker), 1)
    ]  # fmt: skip


def extreme(random: Random, body: bytes) -> bytes:
    """Replace a number behind the id by one at a bound of the wire, or spoil the whole."""
    values = msgspec.msgpack.decode(body)
    if random.random() < 0.5:
        return spoiled(random, values)
    places = [n for n, value in enumerate(values) if n > 1 and type(value) is int]
    if places:
        values[random.choice(places)] = random.choice(NUMBERS)
    return _encode(values)
