"""Room for sessions against the naive room: random crowds in a small room, and the same answers."""

from random import Random

import pytest

from hpe.core.contract import DEFAULT_LIMITS, RoomLimit, RoomSizes
from hpe.core.state.rows import DumpedSession
from hpe.protocol.enums import Role
from hpe.protocol.listings import ResolveInstrument
from tests.support.core_driver import Venue, VenueClient, settings_of
from tests.support.dumps import rows_of
from tests.support.naive_room import NaiveRoom, NaiveSeat

SIZES = RoomSizes(room=256, key_share=64, large=128, kept=16, small=16, least=4, operators=3)
MS = 1_000_000
PACE_NS = MS // 5
"""Times are multiples of it, so that bounds are met exactly."""
KEEP_NS, EXPIRY_NS = 5 * MS, 10**9 * MS
STEPS = 400


class RoomPlay:
    """A core and the naive room, side by side; `clients` are the connections by session."""

    def __init__(self, new_core, seed: int) -> None:
        self.random = Random(seed)
        self.venue = Venue(new_core, DEFAULT_LIMITS._replace(room=SIZES))
        self.venue.internal(settings_of(session_expiry_ns=EXPIRY_NS, session_keep_ns=KEEP_NS))
        self.naive = NaiveRoom(SIZES, KEEP_NS)
        self.clients: dict[int, VenueClient] = {}
        self.last_session_id = 0

    def step(self) -> None:
        """Do one thing to both, and compare."""
        random = self.random
        self.venue.pace_ns = PACE_NS * random.choice((1, 1, 1, 5, 60))
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
        found = {row.session_id: row.window for row in rows_of(self.venue.core, DumpedSession)}
        assert found == {seat.session_id: seat.window for seat in self.naive.seats}
        self.venue.core.check()

    def stranger(self) -> NaiveSeat:
        """Return somebody who has no session yet."""
        key, user = self.random.choice(((0, 1), (0, 2), (0, 3), (0, 9), (5, 1), (6, 2), (7, 3)))
        operator = key == 7
        grace_ns = self.random.choice((0, 0, 0, MS, 8 * MS))
        return NaiveSeat(self.last_session_id + 1, key, user, operator, 0, grace_ns)

    def come(self, seat: NaiveSeat) -> None:
        wanted = self.random.choice((1, 3, 4, 8, 16, 17, 40, 100))
        known = seat in self.naive.seats
        role = (Role.OPERATOR if seat.operator else Role.TRADER) if seat.key else Role.ANONYMOUS
        granted = {"role": role, "key": seat.key, "grace_ms": seat.grace_ns // MS}
        session_id = seat.session_id if known else 0
        response = self.venue.try_attach(seat.user, session_id, wanted, **granted)
        limit = self.naive.attach(seat, wanted, self.venue.time_ns)
        if limit:
            assert RoomLimit(response.limit).name.lower() == limit
        else:
            assert (response.session_id, response.window) == (seat.session_id, seat.window)
            self.clients[seat.session_id] = VenueClient(self.venue, seat.user, response)
            self.last_session_id = max(self.last_session_id, seat.session_id)

    def go(self, seat: NaiveSeat) -> None:
        self.clients[seat.session_id].detach()
        seat.gone_ns = self.venue.time_ns

    def execute(self, seat: NaiveSeat) -> None:
        client, count = self.clients[seat.session_id], self.random.randint(1, 30)
        client.send(*(ResolveInstrument(client.next_id(), "X", "Y") for _ in range(count)))
        seat.remembered = min(seat.remembered + count, seat.window)

    def restart(self) -> None:
        """Go on with a core that loaded the dump."""
        self.venue.core = self.venue.restored()
        self.venue.pass_time(self.venue.pace_ns)


@pytest.mark.parametrize("seed", range(20))
def test_the_core_and_the_naive_room_grant_the_same(new_core, seed):
    play = RoomPlay(new_core, seed)
    for _ in range(STEPS):
        play.step()


def test_the_plays_meet_every_limit_and_everybody_gives_way(new_core):
    limits, gone = set(), 0
    for seed in range(10):
        play = RoomPlay(new_core, seed)
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
