"""A hundred maintained books equal the engine's, at every durable sequence that they show.

Subscribers keep books of levels and of single orders: promptly, slowly, cut off again and again,
of a few levels or of all, most over bare sockets and some through the client library. Meanwhile
the book changes in small steps and in waves, and the service is killed once and restarted.
Every state that any of them took for the book is compared with a replay of the log.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest
import trio
import trio_util

from hpe.client.backoff import Backoff
from hpe.client.client import connect
from hpe.protocol.base import Request, type_number
from hpe.protocol.enums import Channel, OrderType, Side, TimeInForce
from hpe.protocol.frames import encode_frame
from hpe.protocol.market_data import Subscribe
from hpe.protocol.money import Deposit
from hpe.protocol.orders import CancelOrder, MassCancel, OrderTerms, ReplaceOrder, SubmitOrder
from tests.support.book_keepers import Habit, Keeper, Manner, Note, digest_of, judge
from tests.support.hostile import GONE, dial
from tests.support.line import ERROR, HEARTBEAT, REPORTS, Line, statistics
from tests.support.service import ServiceProcess

pytestmark = pytest.mark.alone

SEED: Final = 20_260_102
INSTRUMENTS: Final = (1, 2)
SYMBOLS: Final = {1: "BTC/USD", 2: "ETH/USD"}
MIDDLE: Final = 10_000
WIDTH: Final = 150
LIVE_MAX: Final = 300
STEPS_PER_S: Final = 60
WAVE_ORDERS: Final = 400
TRADER: Final = 5
SUBMIT_ORDER: Final = type_number(SubmitOrder)
DEPTHS: Final = (1_000, 1_000, 20, 5)
CONVERGE_S_MAX: Final = 120.0
MORE_TIMES: Final = (1, 2, 4)
"""How much traffic there is after the kill, until a slow reader was behind by more than what the
kernels keep for it."""

MANNERS: Final = (Manner.PROMPT, Manner.CUT, Manner.SLOW, Manner.SLOW, Manner.SLOW)


class BookTraffic:
    """What changes the books; one user trades with himself.

    Args:
        seed: decides what it does.

    Attributes:
        commands: that were answered.
        steps: that were taken, on all sessions.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.commands = 0
        self.steps = trio_util.AsyncValue(0)
        self._number = 0
        self._live: list[int] = []

    async def run(self, port: int, steps: int) -> None:
        """Trade on a session of its own for this many steps, or until the service is gone."""
        self._number = 0
        self._live.clear()
        try:
            with await dial(port) as line:
                await line.log_on(TRADER, window=2 * WAVE_ORDERS)
                await self._say(line, [Deposit(0, asset, 10**15) for asset in (1, 2, 3)])
                for step in range(steps):
                    due_s = trio.current_time() + 1 / STEPS_PER_S
                    for requests in self._wave() if step % 20 == 10 else [self._step()]:
                        await self._say(line, requests)
                        if isinstance(requests[-1], MassCancel):
                            self._live.clear()
                    self.steps.value += 1
                    await trio.sleep_until(due_s)
        except GONE:
            pass

    async def _say(self, line: Any, requests: list[Request]) -> None:
        """Send commands and wait for all of their responses."""
        frames = []
        for request in requests:
            self._number += 1
            fields = [getattr(request, name) for name in request.__struct_fields__[1:]]
            frames.append(encode_frame(type(request)(self._number, *fields)))
        await line.send(*frames)
        left = len(frames)
        while left:
            row = await line.receive()
            if not row:
                raise trio.ClosedResourceError
            if row[0] in REPORTS or row[0] == HEARTBEAT:
                continue
            assert row[0] != ERROR, row
            left -= 1
            if row[0] == SUBMIT_ORDER and row[8]:
                self._live.append(row[7])
        self.commands += len(frames)

    def _step(self) -> list[Request]:
        return [self._command() for _ in range(self.random.randint(1, 8))]

    def _command(self) -> Request:
        chance = self.random.random()
        if self._live and (chance < 0.35 or len(self._live) > LIVE_MAX):
            return CancelOrder(0, self._live.pop(self.random.randrange(len(self._live))))
        if self._live and chance < 0.45:
            order_id = self.random.choice(self._live)
            quantity = self.random.randint(1, 30)
            price = MIDDLE + self.random.randint(-WIDTH, WIDTH) if chance < 0.4 else None
            return ReplaceOrder(0, order_id, 0, quantity, None, price)
        return self._order(self.random.choice(INSTRUMENTS), -10)

    def _order(self, instrument: int, nearest: int) -> SubmitOrder:
        """Make an order; where `nearest` is below 0 it may cross the middle, and trade."""
        side = self.random.choice((Side.BUY, Side.SELL))
        away = self.random.randint(nearest, WIDTH) * (-1 if side is Side.BUY else 1)
        quantity = self.random.randint(1, 30)
        terms = None
        if quantity > 10 and self.random.random() < 0.2:
            terms = OrderTerms(display_quantity=self.random.randint(1, 5))
        return SubmitOrder(
            0, instrument, 0, side, OrderType.LIMIT, TimeInForce.GTC, MIDDLE + away, quantity,
            terms=terms,
        )  # fmt: skip

    def _wave(self) -> list[list[Request]]:
        """Many orders, and then most of the book is gone."""
        instrument = self.random.choice(INSTRUMENTS)
        side = self.random.choice((0, 1, 2))
        orders: list[Request] = [self._order(instrument, 1) for _ in range(WAVE_ORDERS)]
        return [orders, [MassCancel(0, instrument, side)]]


async def keep_by_library(port: int, instrument: int, channel: Channel, notes: set[Note]) -> None:
    """Note every state of a book that the client library maintains."""
    backoff = Backoff(0.05, 0.2)
    async with connect(str(port), user=900 + instrument, backoff=backoff) as client:
        if channel is Channel.LEVELS:
            async with client.book(SYMBOLS[instrument]) as levels:
                while True:
                    await levels.changed()
                    if levels.live:
                        digest = digest_of(levels.raw.bids(), levels.raw.asks())
                        notes.add(Note(instrument, channel, levels.sequence, None, None, digest))
                    assert not levels.mismatches
        async with client.orders_book(SYMBOLS[instrument]) as orders:
            while True:
                await orders.changed()
                if orders.live:
                    raw = orders.raw
                    digest = digest_of(raw.orders(Side.BUY), raw.orders(Side.SELL))
                    notes.add(Note(instrument, channel, orders.sequence, None, None, digest))
                assert not orders.mismatches


def keepers_of(
    port: int, count: int, slow_steps: int, traffic: BookTraffic, quiet: trio_util.AsyncBool
) -> list[Keeper]:
    """Make subscribers of all kinds."""
    return [
        Keeper(
            port,
            number,
            Habit(
                INSTRUMENTS[number % 2],
                (Channel.LEVELS, Channel.ORDERS)[number // 2 % 2],
                DEPTHS[number // 4 % len(DEPTHS)],
                MANNERS[number % len(MANNERS)],
                slow_steps,
            ),
            traffic.steps,
            quiet,
        )
        for number in range(count)
    ]


async def keep_books(tmp_path: Path, *, count: int, steps: int, slow_steps: int) -> Counter[str]:
    """Keep books through traffic, a kill and more traffic; then judge. Gives what keepers saw."""
    traffic, quiet, library_notes = BookTraffic(SEED), trio_util.AsyncBool(), set[Note]()
    async with trio.open_nursery() as nursery:
        with ServiceProcess(tmp_path) as service:
            port = service.port
            keepers = keepers_of(port, count, slow_steps, traffic, quiet)
            for keeper in keepers:
                nursery.start_soon(keeper.run)
            for instrument in INSTRUMENTS:
                for channel in (Channel.LEVELS, Channel.ORDERS):
                    nursery.start_soon(keep_by_library, port, instrument, channel, library_notes)
            async with trio.open_nursery() as trading:
                trading.start_soon(traffic.run, port, steps)
                await traffic.steps.wait_value(lambda taken: taken >= 0.8 * steps)
                merged = statistics(port)["market_updates_merged"]
                service.kill()
        with ServiceProcess(tmp_path, ["--port", str(port)]) as service:
            for times in MORE_TIMES:
                quiet.value = False
                await traffic.run(port, times * steps)
                final = final_sequences(port)
                quiet.value = True
                for keeper in keepers:
                    with trio.move_on_after(CONVERGE_S_MAX) as waiting:
                        await keeper.known.wait_value(final[keeper.habit.instrument])
                    assert not waiting.cancelled_caught, f"{keeper.describe()}, of {final}"
                figures = statistics(port)
                if merged + figures["market_updates_merged"]:
                    break
            merged += figures["market_updates_merged"]
            nursery.cancel_scope.cancel()
            service.kill()
    notes = library_notes.union(*(keeper.notes for keeper in keepers))
    verdict = judge(tmp_path / "data", notes)
    seen = sum((keeper.seen for keeper in keepers), Counter[str]())
    print(
        f"{count} keepers and 4 of the library, {traffic.commands} commands, {seen}, "
        f"{len(library_notes)} states of the library; {verdict.compared} different notes about "
        f"{verdict.books} books compared; merged {merged}, "
        f"dropped {figures['market_updates_dropped']}"
    )
    assert verdict.wrong == []
    assert verdict.unknown == [], "a state that is not in the log"
    assert verdict.last_sequences == final
    assert not seen["mismatch"]
    assert not seen["snapshot mismatch"]
    assert merged > 0
    one = next(iter(notes))
    strange = [one._replace(digest=one.digest ^ 1), one._replace(sequence=2**40)]
    caught = judge(tmp_path / "data", strange)
    assert [*caught.wrong, *caught.unknown] == strange, "the judge lets everything pass"
    assert seen["shallow"] > 0
    assert seen["connections"] > count, "one by the kill, and those of who is cut off"
    assert len(library_notes) > steps
    return seen


def final_sequences(port: int) -> dict[int, int]:
    """Return the book_sequence of each instrument, now that nobody trades."""
    final = {}
    with Line(port) as line:
        line.log_on(999)
        for instrument in INSTRUMENTS:
            subscribed = line.ask(Subscribe(1, instrument, Channel.BEST))
            final[instrument] = subscribed[7][4]
    return final


async def test_a_hundred_books_are_the_engines(tmp_path: Path) -> None:
    await keep_books(tmp_path, count=96, steps=600, slow_steps=720)


@pytest.mark.release
@pytest.mark.timeout(900)
async def test_a_hundred_books_are_the_engines_for_long(tmp_path: Path) -> None:
    seen = await keep_books(tmp_path, count=96, steps=4_000, slow_steps=3_600)
    assert seen["gap"] > 0, "no slow reader was so far behind that it had to begin anew"
