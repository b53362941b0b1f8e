"""The MB workload: order flow with published answers, rebuilt from its recipe.

Owns the generator, the table of known report hashes and nothing else. Pure: the same scenario,
size and seed give the same messages on every machine; only the standard library's `random` and
`math` are used, so that nothing here shares code with the engine that it judges.

The recipe is that of flash1-dev/matching-engine-benchmark (MIT): an mt19937 stream with 53-bit
doubles, a geometric walk of the mid price, levels with a near and a far peak, a shuffled order of
arrival, and a life for every order (immediate, modified, canceled, canceled twice, modified too
late). The order of draws from the stream is part of the recipe: moving one changes the whole flow.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from random import Random
from typing import Final, NamedTuple

from hpe.orderflow.files import Command, Op
from hpe.protocol.enums import Side

SEED: Final = 23
MID_START: Final = 167.52
TICK: Final = 0.005
LEVELS: Final = 800
"""Distances from the mid that an order may have, in ticks."""

IMMEDIATE_SHARE: Final = 0.15
MODIFY_SHARE: Final = 0.20
MODIFY_MOVES_SHARE: Final = 0.80
CANCEL_SHARE: Final = 0.95
STALE_SHARE: Final = 0.02


class Scenario(NamedTuple):
    """How far the mid price wanders: volatility per unit of time, swing over the whole run."""

    volatility: float
    swing: float

    def sigma(self, orders: int) -> float:
        """Standard deviation of one step; spelled as in the recipe, for the same roundings."""
        if not self.volatility:
            return 0.0
        return self.volatility * math.sqrt((self.swing / self.volatility) ** 2 / orders)


SCENARIOS: Final[dict[str, Scenario]] = {
    "static": Scenario(0.0, 0.0),
    "normal": Scenario(0.15, 0.02),
    "swing-25": Scenario(0.5, 0.25),
    "swing-40": Scenario(0.5, 0.40),
    "flash-crash": Scenario(0.5, 0.60),
}

KNOWN_HASHES: Final[dict[tuple[str, int], str]] = {
    ("normal", 1_000_000): "e9b2e3926854410b01a035aeb25dd05f1e597c233be8263de9eb49b6713d367e",
    ("static", 1_000_000): "9803843ee404fc29c9a0aa5614f8f0d5a58b5c44fcac9ef89067886fcaaa30d1",
    ("flash-crash", 1_000_000): "cff8d3f94b709fc64a8b2058a6ca4fb6920364904796e46906895e362d2bb16b",
    ("static", 20_000): "75465244465e144211887b27fa9d16264940e34827fe1e54f9820195c7745fc3",
    ("normal", 20_000): "7e32c8ad534265a77e66b9fc1df15cc61fe3030434a5b0ab9548704d23bb0395",
    ("swing-25", 20_000): "36fc4d2ff747cc66eabf6ac46c083a9725c87eb6fda67f52c884155462390142",
    ("swing-40", 20_000): "8c9192c69c18459e7ae06fb872690801d87b6de80ef0025314e17c4c06253c3e",
    ("flash-crash", 20_000): "aa7690ffa18ade5ce41c5531f72d7d43df842f5e670a4a0160eec5b6dc6c5c75",
}
"""(scenario, orders) -> SHA-256 of the report; at 1,000,000 as published with the benchmark."""


class _Order(NamedTuple):
    order_id: int
    side: Side
    price: int
    quantity: int


def messages(scenario: str, orders: int, seed: int = SEED) -> Iterator[Command]:
    """Yield the messages of a scenario in order; `seq` is the position, from 0.

    Args:
        scenario: a name of SCENARIOS.
        orders: number of new orders; there are about twice as many messages.
        seed: of the random stream; the known hashes are those of the default.
    """
    random = mersenne_twister(seed)
    drawn = _draw_orders(random, SCENARIOS[scenario], orders)
    for top in range(orders - 1, 0, -1):
        other = int(random.random() * (top + 1))
        drawn[top], drawn[other] = drawn[other], drawn[top]
    for seq, (op, order) in enumerate(_lives(random, drawn)):
        yield Command(seq, op, order.order_id, order.side, order.quantity, order.price)


def flow_line(command: Command) -> str:
    """Return a message in the flash1 form (hpe/orderflow/files.py)."""
    side = command.side.name[0]
    rest = f"{command.order_id},{command.quantity},{command.price}"
    if command.op is Op.CANCEL:
        return f"C,{command.order_id}"
    if command.op is Op.MODIFY:
        return f"M,{side},{rest}"
    return f"N,{side},{'I' if command.op is Op.IMMEDIATE else 'L'},{rest}"


def mersenne_twister(seed: int) -> Random:
    """Return mt19937 as C++ seeds it (init_genrand); Python's own seeding is another one."""
    state = [seed]
    for index in range(1, 624):
        previous = state[-1]
        state.append((1_812_433_253 * (previous ^ (previous >> 30)) + index) & 0xFFFF_FFFF)
    random = Random()
    random.setstate((3, (*state, 624), None))
    return random


def _level_shares() -> list[float]:
    weights = [
        1 / (level + 1) ** 2.23 + 5 * math.exp(-0.5 * (level - 8) ** 2) for level in range(LEVELS)
    ]
    total = sum(weights)
    return [share / total for share in accumulate(weights)]


def _draw_orders(random: Random, scenario: Scenario, orders: int) -> list[_Order]:
    """Draw the new orders before they are shuffled: first half buys, second half sells."""
    uniform = random.random
    shares = _level_shares()
    sigma = scenario.sigma(orders)
    drift = -sigma * sigma / 2
    mid = MID_START
    drawn = []
    for index in range(orders):
        radius = math.sqrt(-2 * math.log(uniform()))
        mid *= math.exp(drift + sigma * (radius * math.cos(2 * math.pi * uniform())))
        mid_ticks = math.floor(mid / TICK + 0.5)
        level = bisect_left(shares, uniform())
        quantity = 1 + int(uniform() * 100)
        if index < orders / 2:
            side, price = Side.BUY, mid_ticks - (level + 1)
        else:
            side, price = Side.SELL, mid_ticks + (level + 1)
        drawn.append(_Order(index + 1, side, price, quantity))
    return drawn


def _lives(random: Random, orders: list[_Order]) -> Iterator[tuple[Op, _Order]]:
    """Yield the life of every order: the requests about it, in order.

    The recipe also draws pauses (30 to 100 us before a modify, a half-life of 431 us before a
    cancel). No message overtakes another, so nothing depends on them, but they must be drawn,
    because all later draws from the stream depend on it.
    """
    uniform = random.random
    for order in orders:
        if uniform() < IMMEDIATE_SHARE:
            yield Op.IMMEDIATE, order
            continue
        yield Op.LIMIT, order
        modified = uniform() < MODIFY_SHARE
        if modified:
            uniform()  # pause
            toward = 0
            if uniform() < MODIFY_MOVES_SHARE:
                toward = 1 if order.side is Side.BUY else -1
            order = order._replace(quantity=order.quantity + 1, price=order.price + toward)
            yield Op.MODIFY, order
        if uniform() < CANCEL_SHARE:
            uniform()  # pause
            yield Op.CANCEL, order
            if uniform() < STALE_SHARE:
                uniform()  # pause
                yield Op.CANCEL, order
            if modified and uniform() < STALE_SHARE:
                uniform()  # pause
                yield Op.MODIFY, order
