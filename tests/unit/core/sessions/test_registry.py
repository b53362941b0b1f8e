"""The sessions alone: what is kept of reconnects, and what `check` sees."""

import pytest

from hpe.core.sessions.registry import Sessions
from hpe.core.timers import Timers
from hpe.errors import InvariantViolation
from hpe.protocol.internal import SessionAttached
from hpe.protocol.listings import AddAsset


def test_what_is_kept_of_reconnects_is_bounded():
    timers = Timers()
    sessions = Sessions(timers)
    sessions.set_times(100, 0)
    waiting = sessions.attach(SessionAttached(1, 0, 1, 1), 1)
    sessions.detach(waiting.session_id, 1, 1)
    session = sessions.attach(SessionAttached(2, 0, 1, 1), 1)
    for number in range(3, 2_000):
        sessions.detach(session.session_id, number - 1, number)
        sessions.attach(SessionAttached(number, session.session_id, 1, 1), number)
    assert [entry.due[0] for entry in timers.entries()] == [101]
    sessions.check()


def lose_a_window(sessions, session):
    session.window += 1_000


def remember_too_much(sessions, session):
    session.last_request_id += 1


def attach_twice(sessions, session):
    session.attach_number += 1


def outgrow_the_ids(sessions, session):
    sessions.last_session_id = 0


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lose_a_window, "room that sessions take"),
        (remember_too_much, "forgot its last"),
        (attach_twice, "attached wrongly"),
        (outgrow_the_ids, "never given"),
    ],
)
def test_check_sees_what_is_wrong(venue, damage, complaint):
    client = venue.attach()
    client.ask(AddAsset(1, "X", 0))
    sessions = venue.core.sessions
    sessions.check()
    damage(sessions, sessions.get(client.session_id))
    with pytest.raises(InvariantViolation, match=complaint):
        sessions.check()


def test_check_sees_room_that_is_counted_wrongly(venue):
    venue.attach().detach()
    venue.core.check()
    venue.core.sessions._room._taken += 1
    with pytest.raises(InvariantViolation, match="room that sessions take"):
        venue.core.check()
