"""When many tasks need the same listing, the client asks for it once."""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from hpe.client.listings import KnownListings, SeenOrders
from hpe.errors import QueryTimeout
from hpe.protocol.listings import (
    AssetsReply,
    InstrumentRow,
    InstrumentsReply,
    ListAssets,
    ListInstruments,
)
from tests.support.stream_peer import StreamPeer, stream_peer

ROW = InstrumentRow(1, "BTC/USD", 1, 2, 10**6, 1, 1, 9, 1, 9, 0, 9, 0, 0, 0, 0, 0, False)
MANY = 10_000


async def answer(peer: StreamPeer, *symbols: str) -> None:
    instruments = await peer.request(ListInstruments)
    rows = [InstrumentRow(n, symbol, *ROW_REST) for n, symbol in enumerate(symbols, 1)]
    peer.say(InstrumentsReply(instruments.request_id, 0, 1, rows))
    assets = await peer.request(ListAssets)
    peer.say(AssetsReply(assets.request_id, 0, 1, [(1, "BTC", 8), (2, "USD", 6)]))


ROW_REST = tuple(getattr(ROW, name) for name in InstrumentRow.__struct_fields__[2:])


async def test_ten_thousand_tasks_that_miss_the_same_ask_once(autojump_clock: MockClock) -> None:
    found: list[str] = []
    async with stream_peer() as peer, trio.open_nursery() as nursery:
        listings = KnownListings(peer.channel)

        async def look() -> None:
            found.append((await listings.instrument("BTC/USD")).symbol)

        for _ in range(MANY):
            nursery.start_soon(look)
        await answer(peer, "BTC/USD")
        await wait_all_tasks_blocked()
        assert found == ["BTC/USD"] * MANY
        await peer.quiet()


async def test_what_does_not_exist_is_asked_for_once_too(autojump_clock: MockClock) -> None:
    failed: list[str] = []
    async with stream_peer() as peer, trio.open_nursery() as nursery:
        listings = KnownListings(peer.channel)

        async def look() -> None:
            with pytest.raises(LookupError, match=r"no instrument 'X/Y' \(known: BTC/USD\)"):
                await listings.instrument("X/Y")
            failed.append("X/Y")

        for _ in range(100):
            nursery.start_soon(look)
        await answer(peer, "BTC/USD")
        await wait_all_tasks_blocked()
        assert len(failed) == 100
        # One that comes later asks anew: it may have been listed meanwhile.
        nursery.start_soon(answer, peer, "BTC/USD", "X/Y")
        assert (await listings.instrument("X/Y")).id == 2


async def test_one_that_came_during_an_answer_asks_for_a_newer_one(
    autojump_clock: MockClock,
) -> None:
    async with stream_peer() as peer, trio.open_nursery() as nursery:
        listings = KnownListings(peer.channel)
        nursery.start_soon(listings.renew)
        await wait_all_tasks_blocked()
        nursery.start_soon(listings.instrument, "X/Y")
        await wait_all_tasks_blocked()
        await answer(peer, "BTC/USD")
        await answer(peer, "BTC/USD", "X/Y")


async def test_an_error_is_everybodys_and_a_cancelled_one_nobodys(
    autojump_clock: MockClock,
) -> None:
    errors: list[QueryTimeout] = []
    async with stream_peer(timeout_s=1) as peer, trio.open_nursery() as nursery:
        listings = KnownListings(peer.channel)

        async def look() -> None:
            try:
                await listings.asset("BTC")
            except QueryTimeout as error:
                errors.append(error)

        begin_s = trio.current_time()
        for _ in range(100):
            nursery.start_soon(look)
        await trio.sleep(1.5)
        assert len(errors) == 100
        assert "outcome" not in str(errors[0])
        assert "can be sent again" in str(errors[0])
        assert trio.current_time() - begin_s < 2  # and not one second each
        peer.asked.clear()
        with trio.move_on_after(0.5):
            await listings.asset("BTC")
        peer.asked.clear()
        nursery.start_soon(answer, peer)
        assert (await listings.asset("BTC")).decimals == 8


async def test_an_id_that_is_not_listed_is_asked_for_once(autojump_clock: MockClock) -> None:
    """It was delisted: ids are never used again."""
    async with stream_peer() as peer, trio.open_nursery() as nursery:
        listings = KnownListings(peer.channel)
        nursery.start_soon(answer, peer, "BTC/USD")
        pair = await listings.instrument_of(7)
        assert (pair.id, pair.symbol) == (7, "instrument 7")
        nursery.start_soon(answer, peer, "BTC/USD")
        asset = await listings.asset_of(9)
        assert (asset.id, asset.symbol) == (9, "asset 9")
        assert await listings.instrument_of(7) is pair
        assert await listings.asset_of(9) is asset
        await peer.quiet()
        assert str(pair.prices.value(5)) == str(pair.tick_size) == "NaN"
        for grid in (pair.prices, pair.quantities, pair.quote.amounts, asset.amounts):
            with pytest.raises(ValueError, match="its scale is not known, it was delisted"):
                grid.count(1)
        assert {*listings.instruments} == {"BTC/USD"}
        assert {*listings.assets} == {"BTC", "USD"}


async def test_what_was_delisted_last_keeps_its_scale(autojump_clock: MockClock) -> None:
    async with stream_peer() as peer, trio.open_nursery() as nursery:
        listings = KnownListings(peer.channel, gone_max=2)
        nursery.start_soon(answer, peer, "A/USD", "B/USD", "C/USD", "D/USD")
        await listings.renew()
        nursery.start_soon(answer, peer, "A/USD")
        await listings.renew()
        assert [listings.seen_instrument(n).symbol for n in (1, 2, 3, 4)] == [
            "A/USD", "instrument 2", "C/USD", "D/USD",
        ]  # fmt: skip
        nursery.start_soon(answer, peer, "A/USD")
        assert (await listings.instrument_of(2)).symbol == "instrument 2"
        assert (await listings.instrument_of(4)).symbol == "D/USD"
        assert listings.seen_instrument(3).symbol == "instrument 3", "it made room for 2"


def test_the_orders_seen_last_are_remembered() -> None:
    seen = SeenOrders(2)
    for order_id in (1, 2, 1, 3):
        seen.add(order_id, 10 * order_id)
    assert [seen.instrument_of(order_id) for order_id in (1, 2, 3)] == [10, None, 30]
