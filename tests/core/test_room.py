"""Room for sessions: what each takes, how much is allowed, and which session gives way."""

import sys
from itertools import count

import pytest

from hpe.core.contract import DEFAULT_LIMITS, RoomLimit
from hpe.core.state.rows import DumpedSession, DumpedSettings
from hpe.protocol.codes import ErrorCode
from hpe.protocol.control import Error
from hpe.protocol.enums import Role
from hpe.protocol.flags import FLAG_DUPLICATE
from hpe.protocol.internal import SessionAttached, SessionClosed, SessionDetached
from hpe.protocol.limits import WINDOW_MAX
from hpe.protocol.listings import ResolveInstrument
from tests.support.core_driver import DAY_NS, KEEP_NS
from tests.support.core_driver import settings_of as settings
from tests.support.dumps import rows_of

ROOM, KEY_SHARE, LARGE_SHARE, KEPT, SMALL, LEAST, OPERATORS = DEFAULT_LIMITS.room

TRADER = {"role": Role.TRADER}
KEEP_S_NS = KEEP_NS


def crowd(venue, count, *, stay=False, wait_ns=None, first_user=1_000, users=1, **granted):
    """Make many sessions come, and go unless they stay; return their ids."""
    ids = []
    for start in range(0, count, 1_000):
        requests = []
        for n in range(start, min(start + 1_000, count)):
            number = next(venue.attach_numbers)
            user = first_user + n % users
            requests.append(SessionAttached(number, 0, user, **{"window": LEAST, **granted}))
        replies = venue.internal(*requests, wait_ns=wait_ns)
        made = [reply for reply in replies if not reply.error]
        ids += [reply.session_id for reply in made]
        if made and not stay:
            gone = [SessionDetached(1, r.session_id, r.request_id, 1) for r in made]
            venue.internal(*gone)
    return ids


def key_crowd(venue, keys, **named):
    """Have 16 keys, or so, open four sessions of the largest window each."""
    for key in range(1, keys + 1):
        crowd(venue, 4, first_user=key, key=key, window=WINDOW_MAX, **TRADER, **named)


def refused(venue, user=1, **granted):
    """Return whose limit refuses a hello."""
    response = venue.try_attach(user, **granted)
    assert response.error == ErrorCode.TOO_MANY_SESSIONS
    assert (response.session_id, response.window) == (0, 0)
    return response.limit


def sessions_of(venue):
    """Return the rows of all sessions, by id."""
    return {row.session_id: row for row in rows_of(venue.core, DumpedSession)}


def lives(venue, session_id):
    return session_id in sessions_of(venue)


def remember(client, count):
    """Make a session remember this many responses; they are rejects."""
    requests = [ResolveInstrument(client.next_id(), "X", "Y") for _ in range(count)]
    for start in range(0, count, 500):
        client.send(*requests[start : start + 500])
    return requests


# --- the lock-out that was ----------------------------------------------------------------------


@pytest.mark.parametrize("stay", [False, True])
@pytest.mark.parametrize("restart", [None, "replayed", "restored"])
def test_sixteen_keys_with_the_largest_windows_lock_nobody_out(venue, stay, restart):
    key_crowd(venue, 16, stay=stay)
    if restart:
        venue.core = getattr(venue, restart)()
    assert venue.attach(1, key=99, window=64, **TRADER).window == 64
    assert venue.attach(1, key=98, window=WINDOW_MAX, **TRADER).window >= SMALL
    assert venue.attach(1, key=97, role=Role.OPERATOR).window == 64
    if stay:
        assert refused(venue, 1, key=1, **TRADER) == RoomLimit.KEY
    else:
        assert venue.attach(1, key=1, **TRADER).window == 64
    venue.core.check()


def test_one_script_that_runs_a_thousand_times_under_one_key(venue):
    crowd(venue, 1_024, key=7, **TRADER)
    assert venue.attach(1, key=7, **TRADER).window == 64
    venue.check()


@pytest.mark.parametrize(("key", "count"), [(0, 100_000), (7, 10_000)])
def test_a_hundred_thousand_sessions_that_only_query(venue, key, count):
    """Each is left before the next ones come, which come when the first are old."""
    granted = {"key": key, **(TRADER if key else {})}
    ids = crowd(venue, count, wait_ns=KEEP_S_NS // 3, **granted)
    assert len(ids) == count
    assert venue.attach(1, key=99, **TRADER).window == 64
    assert venue.attach(1, key=98, window=WINDOW_MAX, **TRADER).window == WINDOW_MAX
    assert venue.attach(2, window=64).window == 64
    assert lives(venue, ids[-1])


def test_young_sessions_do_not_give_way_but_leave_room_for_users_without_any(venue):
    crowd(venue, 70_000)
    assert refused(venue, 1_000) == RoomLimit.ALL
    assert venue.attach(1).window == 64, "the kept part is for users without a session"
    assert refused(venue, 2, window=65) == RoomLimit.ALL, "not for large windows"
    assert refused(venue, 1) == RoomLimit.ALL, "and each has one of it"
    assert venue.attach(1, key=5, **TRADER).window == 64, "keys have the whole room"
    venue.pass_time(KEEP_S_NS)
    assert venue.attach(1, window=64).window == 64
    assert venue.attach(3, window=WINDOW_MAX).window > LEAST
    venue.core.check()


# --- what a session takes -----------------------------------------------------------------------


def test_a_session_that_left_takes_what_it_remembers(venue):
    crowd(venue, KEY_SHARE // LEAST - 4, key=7, **TRADER)
    client = venue.attach(1, key=7, window=64, **TRADER)
    assert client.window == 64
    remember(client, 30)
    assert refused(venue, key=7, **TRADER) == RoomLimit.KEY
    client.detach()
    assert venue.attach(1, key=7, window=64, **TRADER).window == 64 - 30
    venue.check()


@pytest.mark.parametrize("window", [1, LEAST])
def test_a_small_window_is_granted_as_it_is_and_takes_the_least(venue, window):
    crowd(venue, KEY_SHARE // LEAST, stay=True, key=7, window=window, **TRADER)
    assert sessions_of(venue)[1].window == window
    assert refused(venue, key=7, window=1, **TRADER) == RoomLimit.KEY
    venue.core.check()


def test_large_windows_come_out_of_half_of_the_room(venue):
    for key in range(1, 9):
        crowd(venue, 4, stay=True, key=key, window=WINDOW_MAX, **TRADER)
    assert venue.attach(1, key=9, window=WINDOW_MAX, **TRADER).window == 64
    venue.internal(SessionClosed(1, 1, 1))
    assert venue.attach(1, key=9, window=WINDOW_MAX, **TRADER).window == WINDOW_MAX
    assert 8 * 4 * WINDOW_MAX == LARGE_SHARE
    venue.check()


def test_a_newcomer_is_granted_what_is_free_and_room_is_made_for_a_small_window_alone(venue):
    crowd(venue, 3, stay=True, key=7, window=WINDOW_MAX, **TRADER)
    client = venue.attach(1, key=7, window=1_000, **TRADER)
    remember(client, 1_000)
    client.detach(wait_ns=1)
    venue.pass_time(KEEP_S_NS)
    newer = venue.attach(1, key=7, window=WINDOW_MAX, **TRADER)
    assert newer.window == WINDOW_MAX - 1_000
    assert lives(venue, client.session_id)
    small = venue.attach(1, key=7, window=WINDOW_MAX, **TRADER)
    assert not lives(venue, client.session_id)
    assert small.window == 1_000, "made for 64, and then all that is free"
    venue.check()


# --- coming back --------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [0, 2, WINDOW_MAX])
def test_a_returning_session_keeps_what_it_remembers_however_little_is_left(venue, wanted):
    client = venue.attach(1, key=7, window=WINDOW_MAX, **TRADER)
    requests = remember(client, 900)
    client.detach()
    for key in range(8, 16):
        crowd(venue, 4, stay=True, key=key, window=WINDOW_MAX, **TRADER)
    for key in range(16, 26):
        crowd(venue, KEY_SHARE // SMALL, stay=True, key=key, window=SMALL, **TRADER)
    again = venue.attach(1, client.session_id, wanted, key=7, **TRADER)
    assert 900 <= again.window < WINDOW_MAX
    first = again.ask(requests[0])
    assert first.flags == FLAG_DUPLICATE, "it was executed, and is not called stale"
    venue.core.check()


def test_a_takeover_keeps_what_it_remembers_too(venue):
    client = venue.attach(1, window=100)
    requests = remember(client, 80)
    again = venue.attach(1, client.session_id, 10)
    assert again.window == 80
    assert not isinstance(again.ask(requests[0]), Error)
    venue.check()


def test_a_returning_session_does_not_give_way_to_itself(venue):
    ids = crowd(venue, KEY_SHARE // LEAST, key=7, **TRADER)
    venue.pass_time(KEEP_S_NS)
    again = venue.attach(1_000, ids[0], 64, key=7, **TRADER)
    assert again.window == 64
    assert lives(venue, ids[0])
    living = sessions_of(venue)
    assert [each in living for each in ids[1:5]] == [False, False, False, True]
    venue.core.check()


# --- who gives way ------------------------------------------------------------------------------


def fill_up(venue):
    """Have keys from 100 on take all the room, with sessions that stay."""
    share, keys = KEY_SHARE // SMALL, count(100)
    while len(crowd(venue, share, stay=True, key=next(keys), window=SMALL, **TRADER)) == share:
        pass
    for window in range(SMALL - 1, LEAST - 1, -1):
        crowd(venue, 1, stay=True, key=next(keys), window=window, **TRADER)
    assert refused(venue, key=next(keys), window=1, **TRADER) == RoomLimit.ALL
    venue.core.check()


def test_the_one_that_takes_most_loses_the_session_that_left_first(venue):
    few = crowd(venue, 10, key=5, first_user=5, **TRADER)
    many = crowd(venue, 20, key=9, first_user=9, **TRADER)
    fill_up(venue)
    venue.pass_time(KEEP_S_NS)
    assert venue.attach(1, key=50, **TRADER).window == 64
    living = sessions_of(venue)
    assert [each in living for each in many[:5]] == [False, False, False, False, True]
    assert living.keys() >= {*few}
    for key in (51, 52, 53):
        venue.attach(1, key=key, **TRADER)
    # Both came to ten; of those the lower number gave way first, then they took turns.
    living = sessions_of(venue)
    assert sum(each in living for each in few) == 7
    assert sum(each in living for each in many) == 7
    venue.core.check()


def test_of_those_that_take_as_much_the_lower_number_gives_way(venue):
    theirs = {key: crowd(venue, 20, key=key, first_user=key, **TRADER) for key in (9, 5)}
    fill_up(venue)
    venue.pass_time(KEEP_S_NS)
    venue.attach(1, key=50, window=16, **TRADER)
    assert (lives(venue, theirs[5][0]), lives(venue, theirs[9][0])) == (False, True)


def test_no_session_gives_way_to_an_owner_that_would_take_as_much(venue):
    crowd(venue, 4, key=5, first_user=5, **TRADER)
    fill_up(venue)
    venue.pass_time(KEEP_S_NS)
    assert refused(venue, key=50, **TRADER) == RoomLimit.ALL
    assert venue.attach(1, key=50, window=32, **TRADER).window == 32
    venue.core.check()


def test_a_refusal_leaves_everybody_where_he_was(venue):
    """One session could give way, but what it leaves is not enough."""
    granted = {"key": 7, **TRADER}
    venue.internal(SessionAttached(next(venue.attach_numbers), 0, 1, 0, **granted))
    fill_up(venue)
    sessions = sessions_of(venue)
    assert refused(venue, key=50, window=64, **TRADER) == RoomLimit.ALL
    assert sessions_of(venue) == sessions
    venue.core.check()


def test_a_key_at_its_share_gives_way_to_itself_first(venue):
    mine = crowd(venue, KEY_SHARE // LEAST, key=7, first_user=7, **TRADER)
    others = crowd(venue, 10, key=8, first_user=8, **TRADER)
    venue.pass_time(KEEP_S_NS)
    assert venue.attach(7, key=7, window=32, **TRADER).window == 32
    living = sessions_of(venue)
    assert [each in living for each in mine[:3]] == [False, False, True]
    assert living.keys() >= {*others}
    venue.core.check()


def test_without_keys_the_largest_owner_gives_way_to_itself_in_the_end(venue):
    mine = crowd(venue, (ROOM - KEPT) // LEAST)
    venue.pass_time(KEEP_S_NS)
    assert venue.attach(1_000, window=16).window == 16
    assert [lives(venue, each) for each in mine[:2]] == [False, True]
    venue.core.check()


@pytest.mark.parametrize(("grace_ms", "keep_ns"), [(0, KEEP_NS), (3_600_000, KEEP_NS), (5, 0)])
def test_a_session_gives_way_when_it_was_kept_and_its_grace_is_over(venue, grace_ms, keep_ns):
    venue.configure(session_keep_ns=keep_ns)
    stays_ns = max(keep_ns, grace_ms * 1_000_000 + 1)
    count = KEY_SHARE // LEAST
    ids = crowd(venue, count, key=7, window=16, grace_ms=grace_ms, **TRADER)
    left_ns = sessions_of(venue)[ids[0]].detached_ns
    venue.time_ns = left_ns + stays_ns - 2
    assert refused(venue, key=7, **TRADER) == RoomLimit.KEY
    assert venue.attach(1, key=7, window=16, **TRADER).window == 16
    assert not lives(venue, ids[0])
    venue.core.check()


def test_the_settings_of_now_decide(venue):
    ids = crowd(venue, KEY_SHARE // LEAST, key=7, **TRADER)
    assert refused(venue, key=7, **TRADER) == RoomLimit.KEY
    venue.configure(session_keep_ns=0, session_expiry_ns=DAY_NS)
    assert venue.attach(1, key=7, window=16, **TRADER).window == 16
    venue.configure(session_keep_ns=KEEP_NS, session_expiry_ns=1)
    for _ in range(len(ids) // DEFAULT_LIMITS.acts[4] + 1):
        venue.pass_time(1)
    assert not sessions_of(venue).keys() & {*ids}
    venue.core.check()


# --- operators ----------------------------------------------------------------------------------


def test_operators_come_in_however_full_it_is_and_the_first_that_left_gives_way(venue):
    fill_up(venue)
    granted = {"role": Role.OPERATOR, "key": 7, "grace_ms": 3_600_000}
    ids = crowd(venue, OPERATORS, **granted)
    assert len(ids) == OPERATORS
    kept = venue.attach(1_000, ids[0], **granted)
    newer = venue.attach(1_000, window=1_000, **granted)
    assert newer.window == 64, "what is beyond that would be out of the room"
    assert [lives(venue, each) for each in ids[:3]] == [True, False, True]
    assert kept.session_id == ids[0]
    venue.core.check()


def test_with_sixty_four_operators_attached_another_is_refused(venue):
    granted = {"role": Role.OPERATOR, "key": 7}
    ids = crowd(venue, OPERATORS, stay=True, **granted)
    assert refused(venue, **granted) == RoomLimit.OPERATORS
    again = venue.attach(1_000, ids[3], 64, **granted)
    assert again.window == 64
    again.detach()
    assert venue.attach(1, **granted).window == 64
    venue.check()


def test_an_operator_has_more_than_its_reserve_out_of_what_is_free(venue):
    granted = {"role": Role.OPERATOR, "key": 7}
    client = venue.attach(1, window=WINDOW_MAX, **granted)
    assert client.window == WINDOW_MAX
    remember(client, 100)
    client.detach()
    venue.pass_time(1)
    fill_up(venue)
    assert venue.attach(1, client.session_id, **granted).window == 100
    venue.core.check()


def test_what_an_operator_has_out_of_the_room_gives_way(venue):
    granted = {"role": Role.OPERATOR, "key": 7}
    client = venue.attach(1, window=1_000, **granted)
    small = crowd(venue, 1, **granted)
    remember(client, 300)
    client.detach()
    fill_up(venue)
    venue.pass_time(KEEP_S_NS)
    assert venue.attach(1, key=50, **TRADER).window == 64
    assert not lives(venue, client.session_id)
    assert lives(venue, small[0]), "it takes nothing of the room"
    venue.core.check()


# --- cost ---------------------------------------------------------------------------------------


def calls_of(function):
    """Count the calls that a function makes, C functions included."""
    count = 0

    def note(frame, event, arg):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("users", [1, 5_000])
def test_making_room_does_not_walk_the_sessions(venue, users):
    """Sixty thousand could give way, of one owner or of many."""
    crowd(venue, (ROOM - KEPT) // LEAST, users=users)
    venue.pass_time(KEEP_S_NS)
    venue.attach(9, window=100)  # their time has come: each is filed, once
    count = len(sessions_of(venue))
    costs = [calls_of(lambda user=user: venue.attach(user, window=100)) for user in (1, 2, 3)]
    assert len(sessions_of(venue)) == count - 3 * (SMALL // LEAST - 1)
    assert max(costs) < 2_000


def test_the_settings_are_in_the_state(venue):
    before = venue.core.state_hash()
    venue.internal(settings(session_keep_ns=5))
    changed = venue.core.state_hash()
    assert changed != before
    assert rows_of(venue.restored(), DumpedSettings)[0].session_keep_ns == 5
