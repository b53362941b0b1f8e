"""The compiled room for sessions against the reference's, and its own check."""

from collections import Counter, deque
from random import Random

import pytest

from hpe.core.contract import RoomLimit, RoomSizes
from hpe.core.sessions.room import Newcomer, Room, owner_of
from hpe.core.sessions.session import Remembered, Session
from hpe.protocol.enums import Role

STEPS = 3_000
SMALL = RoomSizes(room=240, key_share=90, large=120, kept=30, small=12, least=4, operators=3)
TIGHT = RoomSizes(room=64, key_share=40, large=24, kept=16, small=8, least=4, operators=2)
ROLES = (Role.TRADER, Role.TRADER, Role.GATEWAY, Role.ANONYMOUS, Role.OPERATOR)


class RoomTwice:
    """The same room in both cores."""

    def __init__(self, sessions, sizes, seed, *, keys):
        self.random, self.keys, self.sizes = Random(seed), keys, sizes
        self.compiled, self.reference = sessions.Room(sizes, seed), Room(sizes)
        self.live, self.time_ns, self.last_id = {}, 1, 0
        self.seen = Counter()

    def add(self, session):
        self.live[session.session_id] = session
        self.compiled.add(session, len(session.remembered))
        self.reference.add(session)

    def remove(self, session):
        del self.live[session.session_id]
        self.compiled.remove(session.session_id)
        self.reference.remove(session)

    def admit(self, session, wanted, kept):
        """Admit a session, which is not counted; return what it may take, None if refused."""
        owner, operator = owner_of(session.key, session.user), session.role is Role.OPERATOR
        newcomer = Newcomer(owner, operator, wanted, kept)
        answer = self.reference.admit(newcomer, self.time_ns)
        room, refused, gone = self.compiled.admit(*newcomer, self.time_ns)
        self.seen[RoomLimit(refused)] += 1
        if isinstance(answer, RoomLimit):
            assert (refused, gone) == (answer, [])
            return None
        assert (room, refused) == (answer.room, 0)
        assert gone == [each.session_id for each in answer.gone]
        for each in gone:
            self.seen["gone", self.live.pop(each).role is Role.OPERATOR] += 1
        return room

    def hello(self):
        key = self.random.choice([1, 1, 1, 2, 3]) if self.keys and self.random.random() < 0.8 else 0
        self.last_id += 1
        user = self.random.randint(1, 5)
        session = Session(self.last_id, user, 0, deque(), self.random.choice(ROLES), key=key)
        self.attach(session, self.random.choice([1, 4, 8, 12, 13, 30, 60]), 0)

    def attach(self, session, wanted, kept):
        room = self.admit(session, wanted, kept)
        if room is not None:
            session.window = min(room, max(wanted, len(session.remembered)))
            session.attach_number, session.detached_ns = 1, 0
            session.grace_ms = self.random.choice([0, 0, 1])
            self.add(session)

    def come_back(self, session):
        self.remove(session)
        kept = max(len(session.remembered), self.sizes.least)
        self.attach(session, self.random.choice([session.window or 1, 1, 12, 40]), kept)

    def detach(self, session):
        self.remove(session)
        remembered = self.random.randint(len(session.remembered), session.window)
        session.remembered = deque([Remembered(1, 1, 1, b"")] * remembered)
        session.attach_number, session.detached_ns = 0, self.time_ns
        self.add(session)

    def keep(self, keep_ns):
        """Set another time that sessions are kept, as set_times does."""
        away = [each for each in self.live.values() if not each.attach_number]
        for session in away:
            self.remove(session)
        self.compiled.set_keep_ns(keep_ns)
        self.reference.keep_ns = keep_ns
        for session in away:
            self.add(session)

    def step(self, *, crowded):
        """Do something; in a crowd, most sessions stay attached."""
        choice = self.random.random()
        self.time_ns += self.random.choice([0, 1, 1_000, 500_000])
        session = self.random.choice(list(self.live.values())) if self.live else None
        if choice < 0.35 or session is None:
            self.hello()
        elif choice < 0.38:
            self.remove(session)
        elif choice < 0.4:
            self.keep(self.random.choice([0, 1_000, 2_000_000]))
        elif session.attach_number and choice < (0.45 if crowded else 0.8):
            self.detach(session)
        else:
            self.come_back(session)

    def compare(self):
        room = self.reference
        room.check(self.live.values())
        owners = room._shares
        assert self.compiled.sums() == (room._taken, room._large, room._operators, len(owners))
        assert self.compiled.ranking() == list(room._ranking)
        assert self.compiled.young() == list(room._young)
        assert self.compiled.operators_gone() == [each[1] for each in room._operators_gone]
        for owner, share in owners.items():
            expected = share.sessions, share.taken, list(share.gone)
            assert self.compiled.share(owner) == expected


@pytest.mark.parametrize("sizes", [SMALL, TIGHT], ids=["small", "tight"])
@pytest.mark.parametrize("keys", [True, False], ids=["keys", "users"])
@pytest.mark.parametrize("seed", range(3))
def test_room_is_granted_and_made_as_in_the_reference(sessions, seed, keys, sizes):
    print(f"seed {seed}")
    both = RoomTwice(sessions, sizes, seed, keys=keys)
    for step in range(STEPS):
        both.step(crowded=step // 200 % 2 > 0)
        both.compare()
    print(both.seen)
    limits = {RoomLimit.NONE, RoomLimit.ALL, *([RoomLimit.KEY] if keys else [])}
    assert both.seen.keys() >= {*limits, ("gone", False), ("gone", True)}
