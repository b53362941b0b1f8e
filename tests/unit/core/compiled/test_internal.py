"""Internal commands about sessions in the compiled core against the reference's."""

from collections import Counter
from random import Random

import pytest

from hpe.core.codec import encode
from hpe.core.context.command import Context
from hpe.core.context.places import Places
from hpe.core.contract import DEFAULT_LIMITS
from hpe.core.internal import CONTINUE_CLOSING, InternalCommands
from hpe.core.output.private_reports import PrivateFeed
from hpe.core.sessions.origins import origin_of, service_origin
from hpe.core.sessions.registry import Sessions
from hpe.core.state.dump import dump_state
from hpe.core.trading.disconnects import Disconnects
from hpe.core.trading.exchange import Exchange
from hpe.protocol.enums import DetachCause, Role
from hpe.protocol.flags import LOGOUT_KEEP_ORDERS
from hpe.protocol.internal import (
    Continue,
    KeySetting,
    KeysValid,
    SessionAttached,
    SessionClosed,
    SessionDetached,
    Tick,
)
from tests.unit.core.compiled.test_registry import ACTS, DECODER, KEYS, ROLES, ROWS, SMALL

STEPS = 1_500
REVOCATIONS = 2
FATES = {(): 0, ("back",): 1, ("lost",): 2, ("left_for_good",): 3, ("back", "lost"): 4}
"""What the reference has its Disconnects do, and what the compiled core returns: Fate."""


class Noted(Disconnects):
    """Disconnects that note what they are asked for."""

    asked = ()

    def back(self, context, session_id):
        self.asked += (("back", session_id, 0),)
        super().back(context, session_id)

    def lost(self, context, session_id, grace_ns):
        self.asked += (("lost", session_id, grace_ns),)
        super().lost(context, session_id, grace_ns)

    def left_for_good(self, session_id):
        self.asked += (("left_for_good", session_id, 0),)
        super().left_for_good(session_id)

    def taken(self):
        """Return (fate, session id, grace) of what was asked for, once per session."""
        asked, self.asked = self.asked, ()
        sessions = dict.fromkeys(session_id for _, session_id, _ in asked)
        found = []
        for session_id in sessions:
            names = tuple(name for name, whose, _ in asked if whose == session_id)
            grace_ns = max(grace for _, whose, grace in asked if whose == session_id)
            found.append((FATES[names], session_id, grace_ns))
        return found


class InternalTwice:
    """The same sessions in both cores, and the commands that change them."""

    def __init__(self, registry, parts, seed):
        self.random, self.parts, self.seen = Random(seed), parts, Counter()
        self.compiled = registry.Sessions(SMALL, seed, ACTS)
        limits = DEFAULT_LIMITS._replace(revocations=REVOCATIONS, room=SMALL, acts=ACTS)
        self.exchange = Exchange(limits)
        self.exchange.disconnects = Noted(self.exchange, self.exchange.act)
        self.sessions = Sessions(self.exchange.timers, SMALL)
        self.feed = PrivateFeed(self.exchange.orders)
        self.handlers = InternalCommands(self.exchange, self.sessions, self.feed).handlers
        self.sequence, self.time_ns, self.attach_number = 0, 1, 0

    def execute(self, command):
        """Execute a command in both cores, and compare the responses and what else they say."""
        self.sequence += 1
        context = Context(self.sequence, self.time_ns, 1, *service_origin(self.exchange.places))
        expected = encode(self.handlers[type(command)](context, command))
        body = encode(command)
        code, kind, values, _ = self.parts.judged(body, internal=True)
        assert code == 0
        private_sequence = self.feed.last(getattr(command, "user", 0))
        response, outcome = self.compiled.execute(
            kind, values, body, self.sequence, self.time_ns, private_sequence
        )
        assert response == expected
        outcomes = [outcome] if outcome[0] else []
        if isinstance(command, KeysValid | Continue):
            outcomes = [self.compiled.close_revoked() for _ in range(REVOCATIONS)]
            outcomes = [each for each in outcomes if each[0]]
        assert outcomes == self.exchange.disconnects.taken()
        assert self.compiled.spent == self.exchange.market.effort.spent
        self.seen.update([type(command), *[fate for fate, *_ in outcomes]])

    def step(self):
        self.time_ns += self.random.choice([1, 1_000])
        session = self.random.choice([*self.sessions] or [None])
        choice = self.random.random()
        if choice < 0.45 or session is None:
            self.execute(self.attached(session if choice < 0.15 else None))
        elif choice < 0.6:
            number = session.attach_number + self.random.choice([0, 0, 0, 1]) or 1
            cause = self.random.choice([*DetachCause])
            self.execute(SessionDetached(7, session.session_id, number, cause))
        elif choice < 0.75:
            number = session.attach_number + self.random.choice([0, 0, 0, 1]) or 1
            keep = self.random.choice([0, LOGOUT_KEEP_ORDERS])
            self.execute(SessionClosed(8, session.session_id, number, keep))
        elif choice < 0.85:
            valid = [KeySetting(*pair) for pair in KEYS.items() if self.random.random() < 0.7]
            wide = [
                KeySetting(2**40 + number, Role.TRADER) for number in range(choice < 0.8 and 20)
            ]
            self.execute(KeysValid(9, valid + wide))
        elif choice < 0.95:
            self.execute(Continue(CONTINUE_CLOSING))
        else:
            self.execute(Tick(1))

    def attached(self, session):
        self.attach_number += 1
        window, grace_ms = self.random.choice([0, 8, 30]), self.random.choice([0, 5])
        flags = self.random.randint(0, 1)
        key, role = self.random.choice([*KEYS.items(), *((0, each) for each in ROLES)])
        session_id, user = 0, self.random.randint(1, 4)
        if session is not None:
            session_id, user = session.session_id, session.user
            key, role = session.key, session.role
        return SessionAttached(
            self.attach_number, session_id, user, window, role, 1, 9, flags, grace_ms, key
        )

    def compare(self):
        assert self.compiled.check() == 0
        chunks = dump_state(self.exchange, self.sessions, self.feed, 0)
        expected = [chunk for chunk in chunks if type(DECODER.decode(chunk)) in ROWS]
        assert [encode(row) for row in self.compiled.rows()] == expected
        assert self.compiled.revoked() == [*self.sessions.revoked]
        for session in self.sessions:
            origin = origin_of(session, self.exchange.places)
            expected = (origin.user, session.session_id, 3, *origin[3:])
            assert self.compiled.origin(session.session_id, 3) == expected


@pytest.mark.parametrize("seed", range(3))
def test_internal_commands_about_sessions_are_executed_as_in_the_reference(registry, parts, seed):
    print(f"seed {seed}")
    both = InternalTwice(registry, parts, seed)
    both.feed._sequences[2] = 77
    for _ in range(STEPS):
        both.step()
        both.compare()
    print(both.seen)
    kinds = {SessionAttached, SessionDetached, SessionClosed, KeysValid, Continue, Tick}
    assert both.seen.keys() >= {*kinds, 1, 2, 3, 4}


def test_the_service_itself_may_do_what_operators_may(registry):
    compiled = registry.Sessions(SMALL, 1, ACTS)
    expected = service_origin(Places(Exchange().settings))
    assert compiled.origin(0, 5) == (expected.user, expected.session_id, 5, *expected[3:])
