"""A small market maker and the flow that trades against it, over one running service.

Run: python examples/quote_and_trade.py [--address HOST:PORT] [--rounds N] [--seed S]
The maker keeps one bid and one ask around a price that wanders, and shifts them against its
position; the other side sends market orders. The run is bounded and, for a given seed and an
otherwise empty book, always the same.
"""

import argparse
import random
from decimal import Decimal

import trio

import hpe
from hpe.client import Client, InstrumentView, OrderView
from hpe.errors import OrderRejected

SYMBOL = "BTC/USD"
SIZE_LOTS = 100
HALF_SPREAD_TICKS = 500
LEAN_TICKS_PER_LOT = 2


class MarketMaker:
    """Two resting orders, replaced every round by new ones around the wanted price."""

    def __init__(self, client: Client, instrument: InstrumentView) -> None:
        self.client = client
        self.instrument = instrument
        self.quotes: list[OrderView] = []

    async def quote(self, middle_ticks: int, position: Decimal) -> None:
        """Cancel the old quotes and set new ones."""
        for order in self.quotes:
            try:
                await self.client.cancel_order(self.instrument, order.order_id)
            except OrderRejected as rejected:
                if rejected.name != "unknown_order":  # filled meanwhile
                    raise
        lots = int(position / self.instrument.lot_size)
        middle = middle_ticks - lots * LEAN_TICKS_PER_LOT
        price, size = self.instrument.prices.value, self.instrument.quantities.value(SIZE_LOTS)
        submit = self.client.submit_order
        self.quotes = [
            await submit(self.instrument, "buy", size, price(middle - HALF_SPREAD_TICKS)),
            await submit(self.instrument, "sell", size, price(middle + HALF_SPREAD_TICKS)),
        ]


async def fund(client: Client, instrument: InstrumentView) -> None:
    """Give a user enough of both assets for the whole run."""
    await client.deposit(instrument.base.symbol, 100)
    await client.deposit(instrument.quote.symbol, 10_000_000)


async def run(address: str | None, rounds: int, seed: int) -> None:
    """Quote and trade for some rounds, then print the results."""
    dice = random.Random(seed)
    async with hpe.connect(address, user=101) as maker, hpe.connect(address, user=102) as taker:
        instrument = await maker.instrument(SYMBOL)
        await fund(maker, instrument)
        await fund(taker, instrument)
        start = (await maker.get_balance(instrument.base.symbol)).available
        maker_side = MarketMaker(maker, instrument)
        middle_ticks, fills = 6_500_000, 0
        for _ in range(rounds):
            held = await maker.get_balance(instrument.base.symbol)
            await maker_side.quote(middle_ticks, held.available + held.locked - start)
            quantity = instrument.quantities.value(dice.randint(1, SIZE_LOTS))
            order = await taker.submit_order(instrument, dice.choice(["buy", "sell"]), quantity)
            fills += len(order.fills)
            middle_ticks += dice.randint(-100, 100)
        for order in maker_side.quotes:
            print("last quote", order.order_id, order.status.name.lower(), order.leaves)
        held = await maker.get_balance(instrument.base.symbol)
        print(f"seed {seed}: {rounds} rounds, {fills} fills")
        print(f"maker holds {held.available + held.locked - start} {instrument.base.symbol} more")


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--address", help="HOST:PORT, default HPE_ADDRESS or 127.0.0.1:7070")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    trio.run(run, options.address, options.rounds, options.seed)


if __name__ == "__main__":
    main()
