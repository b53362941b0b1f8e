"""All sessions of the compiled core against the reference's registry, and its own check."""

from collections import Counter, deque
from itertools import islice
from random import Random

import msgspec
import pytest

from hpe.core.codec import encode
from hpe.core.contract import RoomLimit, RoomSizes
from hpe.core.output.private_reports import PrivateFeed
from hpe.core.sessions.registry import Sessions
from hpe.core.sessions.session import Remembered
from hpe.core.state.dump import dump_state
from hpe.core.state.rows import Dumped, DumpedHead, DumpedKey, DumpedResponse, DumpedSession
from hpe.core.timers import SESSION, Timers
from hpe.core.trading.exchange import Exchange
from hpe.protocol.codes import ErrorCode
from hpe.protocol.enums import Role
from hpe.protocol.internal import KeySetting, KeysValid, SessionAttached

STEPS = 1_500
ACTS = (0, 0, 0, 0, 3)
SMALL = RoomSizes(room=240, key_share=90, large=120, kept=30, small=12, least=4, operators=3)
TIGHT = RoomSizes(room=64, key_share=40, large=24, kept=16, small=8, least=4, operators=2)
DECODER = msgspec.msgpack.Decoder(Dumped)
ROWS = (DumpedKey, DumpedSession, DumpedResponse)
ROLES = (Role.TRADER, Role.TRADER, Role.GATEWAY, Role.MARKET_DATA, Role.OPERATOR, Role.ANONYMOUS)
KEYS = {1: Role.TRADER, 2: Role.GATEWAY, 3: Role.MARKET_DATA, 4: Role.OPERATOR, 5: Role.TRADER}


class SessionsTwice:
    """The same sessions in both cores."""

    def __init__(self, registry, sizes, seed, *, keys):
        self.random, self.keys = Random(seed), keys
        self.compiled = registry.Sessions(sizes, seed, ACTS)
        self.timers = Timers(ACTS)
        self.reference = Sessions(self.timers, sizes)
        self.exchange = Exchange()
        self.feed = PrivateFeed(self.exchange.orders)
        self.time_ns, self.attach_number, self.seen = 1, 0, Counter()
        self.set_times(5_000, 1_000)

    # --- the same to both ---------------------------------------------------------------------

    def attach(self, command):
        answer = self.reference.attach(command, self.time_ns)
        found = self.compiled.attach(command, self.time_ns)
        if isinstance(answer, ErrorCode):
            assert found == (0, 0, answer, 0)
            self.seen[answer] += 1
        elif isinstance(answer, RoomLimit):
            assert found == (0, 0, ErrorCode.TOO_MANY_SESSIONS, answer)
            self.seen[answer] += 1
        else:
            assert found == (answer.session_id, answer.window, 0, 0)
            self.seen["new" if not command.session_id else "back"] += 1

    def detach(self, session_id, attach_number):
        answer = self.reference.detach(session_id, attach_number, self.time_ns)
        expected = answer.grace_ns if answer is not None else -1
        assert self.compiled.detach(session_id, attach_number, self.time_ns) == expected
        self.seen["detached", answer is not None and answer.role] += 1

    def close(self, session_id, attach_number):
        answer = self.reference.close(session_id, attach_number)
        assert self.compiled.close(session_id, attach_number) == answer
        self.seen["closed", answer] += 1

    def set_times(self, expiry_ns, keep_ns):
        self.reference.set_times(expiry_ns, keep_ns)
        self.compiled.set_times(expiry_ns, keep_ns)
        self.exchange.settings.set(False, expiry_ns, keep_ns, 100, 10)

    def set_keys(self, valid):
        wanted = KeysValid(1, [KeySetting(*pair) for pair in valid.items()])
        assert self.compiled.keys_differ(valid) == self.reference.keys_differ(wanted)
        self.reference.set_keys(valid)
        # What is named twice counts as it was named last.
        self.compiled.set_keys([*dict.fromkeys(valid, Role.ANONYMOUS).items(), *valid.items()])
        assert not self.compiled.keys_differ(valid)
        self.seen["revoked"] += len(self.reference.revoked)

    def revoke(self, count):
        for session_id in list(islice(self.reference.revoked, count)):
            self.reference.revoke(session_id)
            assert self.compiled.revoke_first() == session_id
        if not self.reference.revoked:
            assert self.compiled.revoke_first() == 0

    def expire(self):
        gone = []
        self.timers.begin_body(self.time_ns)
        while (entry := self.timers.next_to_act(self.time_ns)) is not None:
            self.timers.room[SESSION] -= 1
            gone.append(entry.due[2])
            self.reference.expire(entry)
        assert self.compiled.expire(self.time_ns) == gone
        self.seen["expired"] += len(gone)

    def remember(self, session):
        for _ in range(self.random.randint(1, 6)):
            request_id = session.last_request_id + self.random.choice([1, 1, 2, 300])
            response = encode((64, request_id, 0, b"x" * self.random.choice([1, 20, 70, 130])))
            entry = Remembered(request_id, 1, 2, response)
            session.remembered.append(entry)
            session.last_request_id = request_id
            self.compiled.remember(session.session_id, *msgspec.structs.astuple(entry))

    # --- what happens -------------------------------------------------------------------------

    def hello(self):
        role, key = self.random.choice(ROLES), 0
        if self.keys and self.random.random() < 0.8:
            key, role = self.random.choice([*KEYS.items()])
        self.arrive(0, self.random.randint(1, 5), role, key)

    def come_back(self, session):
        """Return to a session, or try to return to one that is not there or another's."""
        wanted = [session.session_id, session.user, session.role, session.key]
        choice = self.random.random()
        if choice < 0.03:
            wanted[0] = self.reference.last_session_id + self.random.randint(1, 2)
        elif choice < 0.06:
            wanted[1] += 1
        elif choice < 0.09:
            wanted[2] = self.random.choice(ROLES)
        elif choice < 0.12:
            wanted[3] = self.random.choice([0, *KEYS])
        self.arrive(*wanted)

    def arrive(self, session_id, user, role, key):
        self.attach_number += self.random.choice([1, 1, 3])
        window = self.random.choice([0, 1, 4, 8, 12, 13, 30, 60])
        first = self.random.randint(1, 4)
        grace_ms, flags = self.random.choice([0, 0, 1, 2]), self.random.randint(0, 1)
        self.attach(
            SessionAttached(
                self.attach_number, session_id, user, window, role, first, first + 3, flags,
                grace_ms, key,
            )
        )  # fmt: skip

    def leave(self, session):
        """Leave a session, in one way or another; its attachment may not be current."""
        wrong = self.random.random() < 0.1
        attach_number = session.attach_number + wrong
        if self.random.random() < 0.8:
            self.detach(session.session_id + (wrong and self.random.randint(0, 1)), attach_number)
        else:
            self.close(session.session_id, attach_number)

    def step(self, *, crowded):
        """Do something; in a crowd, most sessions stay attached."""
        choice = self.random.random()
        self.time_ns += self.random.choice([0, 1, 200, 2_000, 500_000])
        sessions = [*self.reference]
        session = self.random.choice(sessions) if sessions else None
        if choice < 0.3 or session is None:
            self.hello()
        elif choice < 0.33:
            self.set_times(
                self.random.choice([1, 5_000, 3_000_000]), self.random.choice([0, 1_000])
            )
        elif choice < 0.36:
            allowed = {k: role for k, role in KEYS.items() if self.random.random() < 0.85}
            if self.random.random() < 0.1:
                allowed[1] = Role.OPERATOR
            self.set_keys(allowed)
        elif choice < 0.42:
            self.revoke(self.random.randint(1, 3))
        elif choice < 0.55:
            self.expire()
        elif choice < 0.57:
            self.reload()
        elif session.attach_number and choice < (0.62 if crowded else 0.75):
            self.leave(session)
        elif session.attach_number and session.role is not Role.MARKET_DATA and choice < 0.85:
            self.remember(session)
        else:
            self.come_back(session)

    def reload(self):
        """Restore every session, as from a dump."""
        self.compiled.load(DECODER.decode(chunk) for chunk in self.dump())
        old, self.timers = self.reference, Timers(ACTS)
        new = self.reference = Sessions(self.timers, old._room.sizes)
        new.set_times(old._expiry_ns, old._room.keep_ns)
        new.last_session_id, new.last_attach_number = old.last_session_id, old.last_attach_number
        new.valid_keys = old.valid_keys
        for session in old:
            new.restore(session)
        new.find_revoked()

    def dump(self):
        """Return the rows of a state that has the reference's sessions and nothing else."""
        return dump_state(self.exchange, self.reference, self.feed, 0)

    def compare(self):
        reference, compiled = self.reference, self.compiled
        reference.check()
        assert compiled.check() == 0
        expected = [chunk for chunk in self.dump() if type(DECODER.decode(chunk)) in ROWS]
        assert [encode(row) for row in compiled.rows()] == expected
        assert compiled.last_ids() == (reference.last_session_id, reference.last_attach_number)
        assert compiled.revoked() == [*reference.revoked]
        due = [(each.due[0], each.due[2]) for each in self.timers.entries()]
        assert compiled.timers() == due
        for session_id, number in reference.attachments():
            assert compiled.attached(number) == session_id
        assert compiled.attached(reference.last_attach_number + 1) == 0
        room = reference._room
        sums = room._taken, room._large, room._operators, len(room._shares)
        assert compiled.sums()[:4] == sums


@pytest.mark.parametrize("sizes", [SMALL, TIGHT], ids=["small", "tight"])
@pytest.mark.parametrize("keys", [True, False], ids=["keys", "users"])
@pytest.mark.parametrize("seed", range(3))
def test_sessions_come_and_go_as_in_the_reference(registry, seed, keys, sizes):
    print(f"seed {seed}")
    both = SessionsTwice(registry, sizes, seed, keys=keys)
    for step in range(STEPS):
        both.step(crowded=step // 200 % 2 > 0)
        both.compare()
    print(both.seen)
    expected = {"new", "back", "expired", ErrorCode.UNKNOWN_SESSION, RoomLimit.ALL}
    expected |= {("detached", False), ("detached", Role.MARKET_DATA), ("detached", Role.OPERATOR)}
    expected |= {("closed", True), ("closed", False)}
    if keys:
        expected |= {ErrorCode.KEY_REVOKED, "revoked"}
    assert both.seen.keys() >= expected
    both.set_times(1, 0)
    while both.timers.entries():
        both.time_ns += 10**10
        both.expire()
    for session in [*both.reference]:
        both.close(session.session_id, session.attach_number)
    assert both.compiled.sums() == (0, 0, 0, 0, 0)


def test_a_session_with_its_window_full_comes_back_with_all_that_it_remembers(registry):
    both = SessionsTwice(registry, SMALL, 1, keys=False)
    both.attach(SessionAttached(1, 0, 1, 30))
    (session,) = both.reference
    while len(session.remembered) < session.window:
        both.remember(session)
    kept = deque(session.remembered)
    both.detach(session.session_id, 1)
    both.attach(SessionAttached(2, session.session_id, 1, 1))
    assert session.remembered == kept
    both.compare()


@pytest.mark.parametrize(
    ("kind", "fields", "text"),
    [
        (DumpedHead, {"keys_known": False}, "is a valid key, but the first says"),
        (DumpedSession, {"window": 1}, "is beyond the window of session 1"),
        (DumpedSession, {"window": 2**32}, "too large"),
        (DumpedSession, {"attach_number": 9}, "two sessions have connection 9"),
        (DumpedResponse, {"session_id": 9}, "names session 9, of which no row came before"),
        (DumpedResponse, {"request_id": 9}, "has the response to another request than 9"),
        (DumpedResponse, {"response": bytes(193)}, "has a response of 193 bytes"),
    ],
)
def test_rows_of_sessions_that_cannot_be_are_refused(registry, kind, fields, text):
    both = SessionsTwice(registry, SMALL, 1, keys=True)
    for number in (1, 2):
        both.attach(SessionAttached(number, 0, number, 8, Role.TRADER, key=number))
    while len(both.reference.get(1).remembered) < 2:
        both.remember(both.reference.get(1))
    both.set_keys({1: Role.TRADER})
    rows = [DECODER.decode(chunk) for chunk in both.dump()]
    both.compiled.load(rows)
    both.compare()
    changed = [
        msgspec.structs.replace(row, **fields) if isinstance(row, kind) else row for row in rows
    ]
    with pytest.raises((ValueError, OverflowError), match=text):
        both.compiled.load(changed)


DAMAGES = {
    "id": 1, "responses": 2, "window": 2, "attachment": 3, "timer": 4, "revocation": 5, "room": 6,
    "share": 7, "rank": 8,
}  # fmt: skip
"""What is made wrong, and what the check says; see Contradiction in session_check.pxd."""


@pytest.mark.parametrize(("name", "found"), DAMAGES.items(), ids=DAMAGES)
def test_the_check_sees_what_is_wrong(registry, name, found):
    both = SessionsTwice(registry, SMALL, 1, keys=False)
    for number in (1, 2):
        both.attach(SessionAttached(number, 0, number, 8))
        both.remember(both.reference.get(number))
    both.detach(2, 2)
    both.compare()
    both.compiled.damage(name, 2 if name in ("timer", "rank") else 1)
    assert both.compiled.check() == found
