"""Random commands for the model tests: as Hypothesis strategies and as a seeded stream.

The request ids, and the ids of orders, are placeholders that `addressed` replaces when the
command is sent: an order is named by how many orders ago it came. Values are small so that
commands meet each other, with a few at the bounds of the wire. No state of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Final, NamedTuple

import msgspec
from hypothesis import strategies as st

from hpe.messages import (
    AMOUNT_MAX,
    INT_MAX,
    AddAsset,
    AddInstrument,
    CancelOrder,
    Deposit,
    LockBalance,
    OrderType,
    ReplaceOrder,
    Request,
    ResolveInstrument,
    Side,
    SubmitOrder,
    TimeInForce,
    UnlockBalance,
    Withdraw,
)

_ids = st.just(1)
_instruments = st.sampled_from([1, 1, 1, 2, 2, 9])
_prices = st.integers(1, 9) | st.sampled_from([1, 10, 2**31, INT_MAX])
_quantities = st.integers(1, 12) | st.sampled_from([40, 2**55, 2**62, INT_MAX])
_client_order_ids = st.sampled_from([0, 0, 1, 2, 3])
_order_ages = st.integers(0, 8)
_amounts = st.integers(1, 60) | st.sampled_from([AMOUNT_MAX - 5_000, AMOUNT_MAX])
_users = st.sampled_from([0, 0, 0, 1, 2, 7])
_symbols = st.sampled_from(["A", "B", "C", "D", "E", "A/B", "B/C"])

limit_orders = st.builds(
    SubmitOrder, _ids, _instruments, _client_order_ids, st.sampled_from(Side),
    st.just(OrderType.LIMIT),
    st.sampled_from([TimeInForce.GTC, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK]),
    _prices, _quantities, st.sampled_from([0, 0, 0, 1]),
)  # fmt: skip
market_orders = st.builds(
    SubmitOrder, _ids, _instruments, _client_order_ids, st.sampled_from(Side),
    st.just(OrderType.MARKET), st.sampled_from(TimeInForce), st.sampled_from([0, 0, 0, 5]),
    _quantities, st.sampled_from([0, 0, 0, 1]),
)  # fmt: skip
cancels = st.builds(CancelOrder, _ids, _order_ages, _client_order_ids)
_some_quantity = st.none() | st.integers(0, 14) | st.just(INT_MAX)
replaces = st.builds(
    ReplaceOrder, _ids, _order_ages, st.just(0), _some_quantity, _some_quantity,
    st.none() | _prices, st.booleans(),
)  # fmt: skip
reductions = st.builds(
    ReplaceOrder, _ids, _order_ages, st.just(0), st.none(), st.integers(0, 14),
    st.none() | _prices, st.booleans(),
)  # fmt: skip
movements = st.sampled_from([Deposit, Withdraw, LockBalance, UnlockBalance]).flatmap(
    lambda kind: st.builds(kind, _ids, st.integers(1, 4), _amounts, _users)
)
listings = st.one_of(
    st.builds(AddAsset, _ids, _symbols, st.integers(0, 18)),
    st.builds(
        AddInstrument, _ids, _symbols, st.integers(1, 5), st.integers(1, 5), st.just(1),
        st.just(1), st.sampled_from([1, 5]), st.sampled_from([4, INT_MAX]),
    ),
    st.builds(ResolveInstrument, _ids, _symbols, _symbols),
)  # fmt: skip
commands = st.one_of(
    limit_orders, limit_orders, limit_orders, market_orders, cancels, replaces, reductions,
    reductions, movements, listings,
)  # fmt: skip


def addressed(command: Request, request_id: int, last_order_id: int) -> Request:
    """Give a command its request id and turn an order's age into its id."""
    if isinstance(command, CancelOrder | ReplaceOrder):
        order_id = max(last_order_id - command.order_id, 0)
        return msgspec.structs.replace(command, request_id=request_id, order_id=order_id)
    return msgspec.structs.replace(command, request_id=request_id)


class Flow(NamedTuple):
    """The shape of a seeded stream: prices around a middle, sizes, how far back ids reach."""

    middle: int
    spread: int
    quantity_max: int
    age_max: int
    amount_max: int


TIGHT: Final = Flow(middle=5, spread=2, quantity_max=12, age_max=8, amount_max=2_000)
WIDE: Final = Flow(middle=500, spread=60, quantity_max=30, age_max=400, amount_max=3_000)


def seeded_commands(seed: int, count: int, flow: Flow) -> Iterator[Request]:
    """Give a stream that only the seed decides; mostly orders on instruments 1 and 2."""
    random = Random(seed)
    for _ in range(count):
        side = random.choice(tuple(Side))
        away = -flow.spread if side is Side.BUY else flow.spread
        price = max(1, round(random.gauss(flow.middle + away / 2, flow.spread)))
        quantity = random.randint(1, flow.quantity_max)
        age = random.randint(0, flow.age_max)
        chance = random.random()
        if chance < 0.60:
            tif = random.choice((TimeInForce.GTC,) * 4 + (TimeInForce.IOC, TimeInForce.FOK))
            flags = int(tif is TimeInForce.GTC and random.random() < 0.2)
            limit = OrderType.LIMIT
            book = random.randint(1, 2)
            yield SubmitOrder(1, book, 0, side, limit, tif, price, quantity, flags)
        elif chance < 0.68:
            tif = random.choice((TimeInForce.IOC, TimeInForce.FOK))
            yield SubmitOrder(1, 1, 0, side, OrderType.MARKET, tif, 0, quantity)
        elif chance < 0.78:
            yield CancelOrder(1, age)
        elif chance < 0.94:
            total, leaves = random.choice(((quantity, None), (None, quantity)))
            new_price = random.choice((None, price))
            yield ReplaceOrder(1, age, 0, total, leaves, new_price, random.random() < 0.1)
        else:
            kind = random.choice((Deposit, Withdraw, LockBalance, UnlockBalance))
            yield kind(1, random.randint(1, 3), random.randint(1, flow.amount_max))
