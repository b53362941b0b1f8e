"""The state machine that plays a core against the naive exchange, sessions and restarts included.

Owns one Play; each rule does the same to both sides and compares everything that came out.
Hypothesis drives it; one thread. The bulk of the commands is in seeded_plays.py, which costs a
fraction per command; here is what only Hypothesis finds: how commands, repeats, reconnects and
restarts come together.
"""

from __future__ import annotations

from random import Random

import msgspec
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from hpe.protocol.codes import ErrorCode
from hpe.protocol.control import Error
from hpe.protocol.enums import DetachCause
from hpe.protocol.internal import SessionAttached, SessionDetached
from hpe.protocol.money import Deposit
from hpe.protocol.orders import CancelOrder
from tests.model.commands import MOODS
from tests.model.play import Play, described
from tests.model.seats import KEYS, USERS, PlayStep, is_internal
from tests.support.core_driver import CoreFactory, decoded, framed

_encode = msgspec.msgpack.Encoder().encode
_places = st.integers(0, len(USERS) - 1)
_randoms = st.randoms(use_true_random=False)


class ExchangeMachine(RuleBasedStateMachine):
    """The core and the naive exchange, side by side."""

    def __init__(self, new_core: CoreFactory) -> None:
        super().__init__()
        self.play = Play(new_core)

    @initialize(mood=st.integers(0, MOODS - 1))
    def be_in_a_mood(self, mood: int) -> None:
        self.play.mood = mood

    @rule(random=_randoms, count=st.integers(1, 4))
    def execute(self, random: Random, count: int) -> None:
        """Several clients' commands in one batch."""
        batch = [self.play.choose(random) for _ in range(count)]
        note("\n".join(described(step.command) for step in batch))
        self.play.execute(batch)

    @rule(seed=st.integers(0, 2**32), count=st.integers(1, 40))
    def trade(self, seed: int, count: int) -> None:
        """A lively stream, one command at a time."""
        random = Random(seed)
        for _ in range(count):
            step = self.play.choose(random)
            note(described(step.command))
            self.play.execute([step])

    @rule(random=_randoms, place=_places)
    def refuse(self, random: Random, place: int) -> None:
        """A refused command does nothing and leaves a gap in the ids."""
        seats, command = self.play.seats, self.play.choose(random).command
        if is_internal(command) or not seats.sessions[place].attach_number:
            return
        client, request = seats.clients[place], seats.address(place, command)
        expected = ErrorCode.NOT_AUTHORIZED
        if seats.may(place, request):
            expected = ErrorCode.BUSY
            seats.sent[place].append((request.request_id, _encode(request)))
        assert client.refused(request, ErrorCode.BUSY).code == expected

    @rule(place=_places, age=st.integers(0, 12), altered=st.booleans(), busy=st.booleans())
    def repeat(self, place: int, age: int, altered: bool, busy: bool) -> None:
        """An id at or below the last one is answered from memory, busy or not."""
        seats = self.play.seats
        client, session = seats.clients[place], seats.sessions[place]
        used = [e for e in seats.sent[place] if e[0] <= session.last_request_id]
        if not used or not session.attach_number:
            return
        request_id, body = used[-1 - age % len(used)]
        if altered:
            body = _encode(CancelOrder(request_id, 77_777))
        run = client.run_of(framed(body), ErrorCode.BUSY if busy else 0)
        venue = self.play.venue
        bodies_before = len(venue.bodies)
        (reply,) = client.replies(venue.apply(run))
        assert len(venue.bodies) == bodies_before
        answer = session.repeated(request_id, body)
        if isinstance(answer, ErrorCode):
            assert isinstance(reply, Error)
            assert (reply.code, reply.request_id) == (answer, request_id)
        else:
            (first,) = decoded(framed(answer))
            assert reply == msgspec.structs.replace(first, flags=first.flags | 1)

    @rule(
        place=_places,
        window=st.integers(0, 6),
        detach=st.booleans(),
        flags=st.integers(0, 1),
        grace_ms=st.integers(0, 1),
    )
    def reconnect(self, place: int, window: int, detach: bool, flags: int, grace_ms: int) -> None:
        """A new connection takes the session; what the old one still sends is dropped.

        One whose key was revoked comes in vain.
        """
        play = self.play
        old, session = play.seats.clients[place], play.seats.sessions[place]
        if detach:
            play.execute([_lost(place, DetachCause.CONNECTION_LOST)])
        command = SessionAttached(1, 0, 1, window, flags=flags, grace_ms=grace_ms)
        play.execute([PlayStep(place, command, 1)])
        new = play.seats.clients[place]
        revoked = KEYS[place] in play.seats.revoked
        assert (new.attach_number > old.attach_number) is not revoked
        if revoked:
            return
        assert session.closed or new.session_id == old.session_id
        output = play.venue.apply(old.run(Deposit(old.next_id(), 1, 1)))
        assert (output.replies, output.body) == ([], b"")

    @rule(by_replay=st.booleans(), crash=st.booleans())
    def restart(self, by_replay: bool, crash: bool) -> None:
        """A core that replayed the log, or loaded the dump, goes on in this one's place."""
        venue = self.play.venue
        core = venue.replayed() if by_replay else venue.restored()
        assert core.state_hash() == venue.core.state_hash()
        venue.core = core
        if crash:
            places = range(len(USERS))
            self.play.execute([_lost(place, DetachCause.SERVER_RESTART) for place in places])

    def teardown(self) -> None:
        self.play.venue.check()


def _lost(place: int, cause: DetachCause) -> PlayStep:
    return PlayStep(place, SessionDetached(1, 1, 1, cause), 1)
