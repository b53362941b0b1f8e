"""Room for sessions against the naive room: random crowds in a small room, and the same answers."""

from collections import deque
from random import Random

import pytest

from hpe.core.core import RoomLimit, RoomSizes
from hpe.core.sessions import Remembered, Sessions
from hpe.core.timers import Timers
from hpe.messages import Role, SessionAttached
from tests.support.naive_room import NaiveRoom, NaiveSeat

SIZES = RoomSizes(room=256, key_share=64, large=128, kept=16, small=16, least=4, operators=3)
MS = 1_000_000
PACE_NS = MS // 5
"""Times are multiples of it, so that bounds are met exactly."""
KEEP_NS, EXPIRY_NS = 5 * MS, 10**9 * MS
STEPS = 400


class RoomPlay:
    """The core's sessions and the naive room, side by side."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.sessions = self.new_sessions()
        self.naive = NaiveRoom(SIZES, KEEP_NS)
        self.now_ns = 1
        self.attach_number = 0

    def new_sessions(self) -> Sessions:
        sessions = Sessions(Timers(), SIZES)
        sessions.set_times(EXPIRY_NS, KEEP_NS)
        return sessions

    def step(self) -> None:
        """Do one thing to both, and compare."""
        random = self.random
        self.now_ns += PACE_NS * random.choice((1, 1, 1, 5, 60))
        there = [seat for seat in self.naive.seats if not seat.gone_ns]
        chance = random.random()
        if chance < 0.45 or not there:
            self.come(self.stranger())
        elif chance < 0.60:
            self.come(random.choice(self.naive.seats))
        elif chance < 0.90:
            self.go(random.choice(there))
        elif chance < 0.97:
            self.execute(random.choice(there))
        else:
            self.restart()
        found = {session.session_id: session.window for session in self.sessions}
        assert found == {seat.session_id: seat.window for seat in self.naive.seats}
        self.sessions.check()

    def stranger(self) -> NaiveSeat:
        """Return somebody who has no session yet."""
        key, user = self.random.choice(((0, 1), (0, 2), (0, 3), (0, 9), (5, 1), (6, 2), (7, 3)))
        operator = key == 7
        grace_ns = self.random.choice((0, 0, 0, MS, 8 * MS))
        return NaiveSeat(self.sessions.last_session_id + 1, key, user, operator, 0, grace_ns)

    def come(self, seat: NaiveSeat) -> None:
        wanted = self.random.choice((1, 3, 4, 8, 16, 17, 40, 100))
        self.attach_number += 1
        known = seat in self.naive.seats
        role = (Role.OPERATOR if seat.operator else Role.TRADER) if seat.key else Role.ANONYMOUS
        command = SessionAttached(
            self.attach_number, seat.session_id if known else 0, seat.user, wanted, role,
            key=seat.key, grace_ms=seat.grace_ns // MS,
        )  # fmt: skip
        result = self.sessions.attach(command, self.now_ns)
        limit = self.naive.attach(seat, wanted, self.now_ns)
        if limit:
            assert isinstance(result, RoomLimit)
            assert result.name.lower() == limit
        else:
            assert (result.session_id, result.window) == (seat.session_id, seat.window)

    def go(self, seat: NaiveSeat) -> None:
        session = self.sessions.get(seat.session_id)
        self.sessions.detach(seat.session_id, session.attach_number, self.now_ns)
        seat.gone_ns = self.now_ns

    def execute(self, seat: NaiveSeat) -> None:
        session, count = self.sessions.get(seat.session_id), self.random.randint(1, 30)
        for _ in range(count):
            session.last_request_id += 1
            session.remembered.append(Remembered(session.last_request_id, 1, 1, b""))
        seat.remembered = min(seat.remembered + count, seat.window)

    def restart(self) -> None:
        """Go on with sessions that were loaded."""
        loaded = self.new_sessions()
        loaded.last_session_id = self.sessions.last_session_id
        for session in self.sessions:
            session.remembered = deque(session.remembered, maxlen=session.window)
            loaded.restore(session)
        self.sessions = loaded


@pytest.mark.parametrize("seed", range(20))
def test_the_core_and_the_naive_room_grant_the_same(seed):
    play = RoomPlay(seed)
    for _ in range(STEPS):
        play.step()


def test_the_plays_meet_every_limit_and_everybody_gives_way():
    limits, gone = set(), 0
    for seed in range(10):
        play = RoomPlay(seed)
        attach = play.naive.attach

        def noted(seat, wanted, now_ns, attach=attach, play=play):
            nonlocal gone
            before = len(play.naive.seats) + (seat not in play.naive.seats)
            limits.add(limit := attach(seat, wanted, now_ns))
            gone += not limit and len(play.naive.seats) < before
            return limit

        play.naive.attach = noted
        for _ in range(STEPS):
            play.step()
    assert limits == {"", "all", "key", "operators"}
    assert gone > 100
