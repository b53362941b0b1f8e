"""The output of batches of the compiled core is the reference's, byte for byte."""

from random import Random

import pytest

from hpe.core.contract import MARKET_ROW, PRIVATE_ROW, REPLY_ROW, SUBSCRIBED_ROW
from hpe.core.output.batch import _pack_market
from hpe.protocol.frames import Chunk, frame
from hpe.protocol.market_data import Subscribe
from hpe.protocol.orders import MassCancelResponse, OrderResponse
from tests.unit.core.compiled.both_outputs import BothOutputs
from tests.unit.core.compiled.happenings import EDGES, any_int

CONNECTIONS = (0, 1, 2, 3, 127, 300, 2**40)
NOTHING = {
    False: OrderResponse(1, 0, 1, 16, *(0,) * 10),
    True: MassCancelResponse(1, 0, 1, 0, 0, 0),
}
"""Responses that changed nothing, by whether they are cancels."""


class BothBatches(BothOutputs):
    """Batches of runs in both cores."""

    def run(self, connection):
        """Let a run of a connection have commands, queries, a subscribe, and end its connection."""
        random, work, compiled = self.random, self.work, self.compiled
        frames, sizes = random.choice(EDGES), random.choice(EDGES)
        if connection:
            chunk = Chunk(b"x" * min(sizes, 40), min(frames, 40), 0)
            work.weigh(connection, chunk)
            compiled.replies_to(connection, chunk.count, len(chunk.frames))
        else:
            compiled.replies_to(connection, 0, 0)
        out = work.replies_to(connection)
        for _ in range(random.randint(0, 3)):
            self.act(connection, out)
        idle, idle_cancels = random.randint(0, 2), random.randint(0, 2)
        for is_cancel, count in ((False, idle), (True, idle_cancels)):
            for _ in range(count):
                work.count_idle(NOTHING[is_cancel])
        if connection and random.random() < 0.8:
            highest_id = any_int(random)
            work.advance(connection, highest_id)
            compiled.advance(connection, highest_id, idle, idle_cancels)
        else:
            work.idle = work.idle_cancels = 0
        if random.random() < 0.1:
            work.cut.append(connection)
            compiled.cut(connection)

    def act(self, connection, out):
        random, work, compiled = self.random, self.work, self.compiled
        choice, body = random.random(), random.randbytes(random.randint(1, 190))
        compiled.reserve_command(0, 0)
        if choice < 0.5:
            self.command(any_int(random), random.choice((out, None)))
            compiled.reserve_command(0, 0)
            compiled.answer(body, True)
            work.digested.append(body)
            out.append(frame(body))
            session_id = random.choice((0, 1, 2, 2**33))
            frames = random.randbytes(random.choice((4, 40, 255, 256, 70_000)))
            work.log(session_id, session_id + 1, frames)
            compiled.log(session_id, session_id + 1, frames)
        elif choice < 0.8:
            compiled.answer(body, False)
            out.append(frame(body))
        else:
            self.places.append((connection, compiled.leave_place(), out, len(out)))
            out.append(b"")

    def finish(self):
        """Fill the places in another order than they were left; subscribe to some."""
        random, places = self.random, self.places
        self.compiled.end_replies()
        random.shuffle(places)
        for connection, place, out, index in places:
            body = frame(random.randbytes(random.randint(1, 3_000)))
            out[index] = body
            self.compiled.fill_place(place, body)
            if random.random() < 0.7:
                request = Subscribe(any_int(random), random.randint(1, 9), random.randint(1, 5), 1)
                self.work.begin_subscription(connection, request)
                numbers = request.request_id, request.instrument, request.channel
                self.compiled.begin_subscription(connection, *numbers)


def market_of(random):
    return [
        (random.randint(1, 9), random.randint(0, 5), random.randbytes(random.randint(0, 50)))
        for _ in range(random.randint(0, 3))
    ]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("reports_max", [1, 3, 4_096])
def test_batches_are_the_references(outputs, seed, reports_max):
    both, digest = BothBatches(outputs, seed, reports_max), 0
    random = both.random
    for _ in range(60):
        both.begin(begun=random.random() < 0.9)
        both.places = []
        connections = random.choices(CONNECTIONS, k=random.randint(0, 8))
        if random.random() < 0.3:
            connections.sort()
        for connection in connections:
            both.run(connection)
        both.accounts(any_int(random))
        if connections:
            both.finish()
        both.compare()
        market = market_of(random)
        if market:
            both.compiled.add_market(*_pack_market(market))
        before, digest = digest, both.digest(digest)
        assert outputs.checksum(both.compiled.digested, before) == digest
        output = both.output(digest, market)
        both.seen["replies"] += len(output.reply_rows) // REPLY_ROW.size
        both.seen["updates"] += len(output.private_rows) // PRIVATE_ROW.size
        both.seen["market"] += len(output.market_rows) // MARKET_ROW.size
        both.seen["subscribed"] += len(output.subscribed) // SUBSCRIBED_ROW.size
        both.seen["cut"] += len(output.cut)
    seen = both.seen
    assert min(seen[name] for name in ("replies", "updates", "market", "subscribed", "cut")) > 5


@pytest.mark.parametrize("count", [0, 1, 15, 16, 70_000])
def test_many_trades_and_groups_are_logged(outputs, count):
    both = BothOutputs(outputs, 1)
    both.begin(rows=count)
    for number in range(count):
        both.work.log(number, 1, b"frames")
        both.compiled.log(number, 1, b"frames")
    both.output(7)


@pytest.mark.parametrize("rows", [0, 1, 128, 1_024])
def test_what_the_service_logs_takes_no_room_of_the_frames(outputs, rows):
    both = BothOutputs(outputs, 1)
    both.begin(rows=rows)
    for _ in range(64):
        assert both.compiled.log_own(b"frame") >= rows


def test_a_batch_without_runs_is_empty(outputs):
    both = BothOutputs(outputs, 1)
    both.begin(begun=False)
    assert not any(both.output(0)[:10])


@pytest.mark.parametrize("count", [0, 1, 2, 3, 10, 1_000])
@pytest.mark.parametrize("largest", [1, 7, 2**63 - 1])
def test_rows_are_sorted_and_equal_ones_keep_their_order(outputs, count, largest):
    random = Random(count)
    keys = [random.randint(-largest, largest) for _ in range(count)]
    for each in (keys, sorted(keys), sorted(keys, reverse=True)):
        assert outputs.ranked(each) == sorted(range(count), key=each.__getitem__)
