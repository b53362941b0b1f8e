"""An opening auction, fees, a trailing stop and a pair of which one cancels the other.

Run: python examples/auction_and_stops.py [--address HOST:PORT]
Needs the assets BTC and USD (the demo has them) and lists a pair of its own for every run.
"""

import argparse
from decimal import Decimal

import trio

import hpe
from hpe.client import Client
from hpe.protocol.limits import HOUSE_USER

D = Decimal


async def list_pair(client: Client) -> str:
    """List a pair with fees of -0.01 % and 0.05 %; a lot is 0.0001 BTC, a tick 0.01 USD."""
    base, quote = await client.asset("BTC"), await client.asset("USD")
    symbol = f"EXAMPLE-{client.session_id}"
    await client.add_instrument(
        symbol, base.id, quote.id, base_atoms_per_lot=10_000, maker_fee_ppm=-100, taker_fee_ppm=500
    )
    return symbol


async def open_market(pair: str, seller: Client, buyer: Client) -> None:
    """Gather orders in a call and trade them at one price."""
    await seller.set_status(pair, "call_auction")
    await seller.submit_order(pair, "sell", 1, 99)
    await buyer.submit_order(pair, "buy", 1, 101)
    call = await buyer.get_instrument(pair)
    print("call: would trade", call.indicative_volume, "at", call.indicative_price)
    opening = await seller.uncross(pair)
    print("opened: traded", opening.volume, "at", opening.price)
    [fill] = await buyer.list_fills()
    print("buyer's fill:", fill.liquidity.name.lower(), "fee", fill.fee)


async def protect(pair: str, seller: Client, buyer: Client) -> None:
    """Protect what the buyer bought in two ways, and move the market up and down."""
    trailing = await buyer.submit_order(pair, "sell", D("0.4"), trail=5)
    both = await buyer.submit_oco(pair, "sell", D("0.6"), price=110, stop_price=90)
    # Up to 110: the pair's limit order sells, so its stop is canceled; the trailing stop follows.
    taken = await seller.submit_order(pair, "buy", D("0.6"), 110)
    print("taken:", taken.cum, "for", taken.quote_total, "fee", taken.fee_total)
    for order in await buyer.list_orders(pair):
        print("open:", order.order_type.name.lower(), order.leaves, "fires at", order.stop_price)
    # Down to 104, more than 5 below: the trailing stop sells the rest to the best bids.
    await seller.submit_order(pair, "buy", D("0.5"), 104)
    await buyer.submit_order(pair, "sell", D("0.1"), 104)
    for order_id in (both.limit_order_id, both.stop_order_id, trailing.order_id):
        order = await buyer.get_order(order_id)
        print(f"order {order_id}:", order.order_type.name.lower(), order.status.name.lower())


async def run(address: str | None) -> None:
    """Play both sides, then show that no money was created or lost."""
    async with hpe.connect(address, user=201) as seller, hpe.connect(address, user=202) as buyer:
        pair = await list_pair(seller)
        for client in (seller, buyer):
            await client.deposit("BTC", 10)
            await client.deposit("USD", 10_000)
        await open_market(pair, seller, buyer)
        await protect(pair, seller, buyer)
        print("house:", (await seller.get_balance("USD", HOUSE_USER)).available)
        sums = await seller.get_conservation("USD")
        print("conserved:", sums.net_deposits == sums.available + sums.reserved + sums.held)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--address", help="HOST:PORT, default HPE_ADDRESS or 127.0.0.1:7070")
    trio.run(run, parser.parse_args().address)
