"""Random streams: a `StreamMaker` aims at the state of the reference, which executes it meanwhile.

A seed gives a stream. Each stream draws what it is about (tuning.py). Its batches are recorded as
the bytes that they are, with what the reference did. One thread.
"""

from __future__ import annotations

from contextlib import nullcontext
from random import Random
from typing import Final

import msgspec
from msgspec.structs import replace

from hpe.core.driver import ReferenceCore
from hpe.protocol.base import Request
from hpe.protocol.codes import ErrorCode
from hpe.protocol.frames import frame
from hpe.protocol.limits import AMOUNT_MAX, REQUEST_BYTES_MAX
from hpe.protocol.listings import AddAsset
from hpe.protocol.money import Deposit
from tests.differential import orders, others
from tests.differential.aim import Aim
from tests.differential.clients import Clients, ClientSeat, encode, system
from tests.differential.crowds import crowd
from tests.differential.hostile import extreme, fault, stretched
from tests.differential.playing import CoreFactory, StreamPlayer, Summary
from tests.differential.reached import Coverage, watching
from tests.differential.recording import FORM, Frames, RecordedStream, StreamStep
from tests.differential.tuning import tuned
from tests.differential.world import ReferenceView
from tests.support.naive_permissions import permitted

MAKERS: Final = {**orders.MAKERS, **others.MAKERS}
_MARKS: Final = (ErrorCode.BUSY, ErrorCode.THROTTLED, ErrorCode.SHUTTING_DOWN)
_QUIET: Final = 40
"""So many rows of state are few enough to be compared after every batch."""


class StreamMaker:
    """One stream in the making; `summaries` is what the reference did.

    `error` is what ended it early: the reference failed. `reached` counts what it reaches.
    """

    def __init__(
        self, seed: int, new_core: CoreFactory = ReferenceCore, reached: Coverage | None = None
    ) -> None:
        self._reached = reached
        self.random = random = Random(f"stream {seed}")
        self.tuning = tuning = tuned(random)
        self.player = StreamPlayer(new_core, tuning.limits, tuning.replays)
        core = self.player.core
        assert isinstance(core, ReferenceCore)
        self.world = ReferenceView(core, random)
        self.aim = Aim(random, tuning, self.world)
        self.clients = Clients(self.aim, tuning.seats)
        self.steps: list[StreamStep] = []
        self.summaries: list[Summary] = []
        self.frames = 0
        self.wanted = b""
        self.error: Exception | None = None
        self._origin = f"seed {seed}"
        names = [name for name, weight in tuning.weights.items() if weight]
        self._names, self._sums = names, [tuning.weights[name] for name in names]
        for n in range(1, len(self._sums)):
            self._sums[n] += self._sums[n - 1]

    def recording(self) -> RecordedStream:
        """Return the stream so far."""
        tuning = self.tuning
        return RecordedStream(FORM, self._origin, tuning.limits, tuning.replays, self.steps)

    def run(self) -> RecordedStream:
        """Generate the whole stream."""
        reached = self._reached
        try:
            with nullcontext() if reached is None else watching(reached, self.world):
                self._whole()
        except Exception as error:  # a failure of the reference is a finding, too
            self.error = error
        return self.recording()

    def _whole(self) -> None:
        self._open()
        while self.frames < self.tuning.frames_max and len(self.steps) < 1_500:
            self._step()
        self._play(StreamStep(self._next_time(), self.wanted, [], hashes=True))
        self.player.core.check()

    # --- batches ----------------------------------------------------------------------------------

    def _open(self) -> None:
        """List, let everybody come, and give them money."""
        tuning, aim = self.tuning, self.aim
        plain = replace(tuning.settings, assets=[], instruments=[])
        found = self.world.core.configuration_differences(plain)
        first = [system(found)] if found is not None else []
        self._play(StreamStep(self._next_time(), b"", first, [encode(plain)]))
        for run in self.clients.attach_all():
            self._play(StreamStep(self._next_time(), b"", [run]))
        given: list[Request] = [AddAsset(1, *row) for row in tuning.assets]
        given += [market.listing for market in tuning.markets]
        tick = max(m.listing.quote_atoms_per_tick * m.middle for m in tuning.markets)
        lot = max(m.listing.base_atoms_per_lot for m in tuning.markets)
        most = AMOUNT_MAX // (tuning.users + 2)
        amount = max(1, min(most, int(max(tick, lot) * tuning.lots * 100 * tuning.money)))
        for user in range(1, tuning.users + 1):
            given += [Deposit(1, asset, amount, user) for asset in (1, 2, 3)]
        seat = self.clients.seats[0]
        for start in range(0, len(given), 9):
            if seat.there:
                some = given[start : start + 9]
                self._play(StreamStep(aim.now_ns + 1, b"", [self._run(seat, some)]))

    def _step(self) -> None:
        random, aim, tuning = self.random, self.aim, self.tuning
        if aim.chance("wanted"):
            masks = [random.choice((0, 0, 31, random.randint(0, 31))) for _ in range(6)]
            self.wanted = b"".join(
                number.to_bytes(4, "big") + bytes([mask])
                for number, mask in enumerate(masks, 1) if mask
            )  # fmt: skip
        runs: list[Frames] = []
        asked: list[bytes] = []
        when = self._next_time()
        for _ in range(random.choice(tuning.runs)):
            present = self.clients.present()
            if not present or aim.chance("internal"):
                some, questions = self.clients.happenings()
                if asked and questions:
                    continue  # what differs is known only before the batch
                runs, asked = runs + some, asked + questions
            else:
                runs.append(self._client(random.choice(present)))
        count = len(self.steps)
        loads = count % tuning.load_every == tuning.load_every - 1
        hashes = count % (1 if self._small() else tuning.hash_every) == 0
        self._play(StreamStep(when, self.wanted, runs, asked, loads, hashes))

    def _small(self) -> bool:
        return self.tuning.hash_every <= 4 and self.world.exchange.orders.open_count < _QUIET

    def _next_time(self) -> int:
        """Return the time of the next batch, now and then when something is due."""
        random, now_ns = self.random, self.aim.now_ns
        due_ns = self.player.core.next_due_ns
        if now_ns < due_ns < now_ns + 10**12 and self.aim.chance("due"):
            return max(now_ns + 1, due_ns + random.choice((-1, 0, 0, 1)))
        return now_ns + random.choice(self.tuning.waits_ns)

    def _play(self, step: StreamStep) -> None:
        self.steps.append(step)
        self.frames += sum(len(run.bodies) for run in step.runs)
        self.aim.now_ns = step.time_ns
        self.summaries.append(self.player.play(step))
        if self._reached is not None and self.player.output is not None:
            self._reached.read(self.player.output)
        core = self.player.core
        assert isinstance(core, ReferenceCore)
        self.world.core = core
        self.clients.follow()

    # --- frames -----------------------------------------------------------------------------------

    def _client(self, seat: ClientSeat) -> Frames:
        """Return a run of one client, now and then of a connection that lost its session."""
        random, aim = self.random, self.aim
        bodies = []
        for _ in range(random.choice(self.tuning.frames)):
            name = random.choices(self._names, cum_weights=self._sums)[0]
            if name == "crowd":
                wide = permitted(seat.role, (1, 2**63), seat.user, others.uncross(aim, 1))
                if wide or random.random() < 0.3:
                    bodies += [self._body(seat, each) for each in crowd(aim, seat.user)]
            else:
                bodies.append(self._body(seat, MAKERS[name](aim, seat.user)))
        number = seat.number if not aim.chance("old") else random.randint(1, seat.number + 1)
        admit = random.choice(_MARKS) if aim.chance("admit") else 0
        return Frames(seat.number, number, admit, b"".join(map(frame, bodies)))

    def _run(self, seat: ClientSeat, requests: list[Request]) -> Frames:
        bodies = [self._numbered(seat, request) for request in requests]
        return Frames(seat.number, seat.number, 0, b"".join(map(frame, bodies)))

    def _numbered(self, seat: ClientSeat, request: Request) -> bytes:
        seat.last_id += self.random.choice((2, 3)) if self.aim.chance("skipped") else 1
        body = encode(replace(request, request_id=seat.last_id))
        seat.sent.append(body)
        return body

    def _body(self, seat: ClientSeat, request: Request) -> bytes:
        """Return the bytes of a request, or others that begin as it does."""
        aim, random = self.aim, self.random
        if seat.sent and aim.chance("repeat"):
            body = random.choice(seat.sent)
            return body if random.random() < 0.8 else _reused(random, body)
        body = self._numbered(seat, request)
        changed = body
        if aim.chance("stretched"):
            changed = stretched(random, body)
        elif aim.chance("extreme"):
            changed = extreme(random, body)
        elif aim.chance("fault"):
            changed = fault(random, body)
        if changed is not body and len(changed) <= REQUEST_BYTES_MAX:
            seat.sent[-1] = changed if changed[:1] else body
            if changed == body:
                return body
            if len(changed) < 2:
                seat.sent.pop()
            return changed
        return body


def _reused(random: Random, body: bytes) -> bytes:
    """Return a request that was sent before with another content, if it was one."""
    try:
        return extreme(random, body)
    except (msgspec.MsgspecError, UnicodeDecodeError, IndexError, TypeError):
        return body
