"""One compiled session against the reference's: what it remembers, what it may do."""

import re
from collections import Counter, deque
from random import Random

import msgspec
import pytest

from hpe.core.codec import encode
from hpe.core.contract import DEFAULT_LIMITS, RoomSizes
from hpe.core.sessions.session import Remembered, Session
from hpe.protocol import flags
from hpe.protocol.base import type_number
from hpe.protocol.codes import CancelReason, ErrorCode
from hpe.protocol.enums import OrderStatus, Role
from hpe.protocol.limits import (
    FILLS_PER_COMMAND_MAX,
    INT_MAX,
    REQUEST_BYTES_MAX,
    RESPONSE_BYTES_MAX,
    WINDOW_MAX,
)
from hpe.protocol.registry import COMMANDS, QUERIES, REPLIES
from hpe.protocol.vectors import vectors_of
from tests.unit.core.compiled.building import FORMS

STEPS = 3_000
USERS = ("user", "to_user")


class RememberedTwice:
    """The same session in both cores."""

    def __init__(self, sessions, window):
        self.compiled = sessions.Session(1, window)
        self.reference = Session(1, 1, window, deque(maxlen=window))

    def remember(self, entry):
        self.compiled.remember(*msgspec.structs.astuple(entry))
        self.reference.remembered.append(entry)
        self.reference.last_request_id = entry.request_id

    def widen(self, window):
        """Grant another window, as an attachment does."""
        window = max(window, len(self.reference.remembered))
        self.compiled.set_window(window)
        self.reference.window = window
        self.reference.remembered = deque(self.reference.remembered, maxlen=window)

    def recall(self, request_id, length, crc):
        answer = self.reference.recall(request_id, length, crc)
        assert self.compiled.recall(request_id, length, crc) == answer
        return answer

    def compare(self):
        expected = [msgspec.structs.astuple(each) for each in self.reference.remembered]
        assert self.compiled.remembered() == expected
        assert self.compiled.last_request_id == self.reference.last_request_id
        cells = sum(1 + (len(each[3]) + 6) // 60 for each in expected)
        assert self.compiled.cell_count == cells


def a_response(random, request_id, size):
    """Return a response of this size, at least what its first three elements take."""
    head = (b"\x9d" if size < 160 else b"\xdc\x00\x20") + encode((64, request_id, 0))[1:]
    return head + random.randbytes(size - len(head))


def an_entry(random, request_id):
    size = random.choice([14, 39, 53, 54, 99, 113, 114, 159, 160, 173, 174, RESPONSE_BYTES_MAX])
    response = a_response(random, request_id, size)
    return Remembered(request_id, random.randint(1, 4), random.randint(0, 3), response)


@pytest.mark.parametrize("seed", range(6))
def test_responses_are_remembered_and_recalled_alike(sessions, seed):
    print(f"seed {seed}")
    random, answers = Random(seed), Counter()
    both, last, ids = RememberedTwice(sessions, random.choice([1, 3, 16, 40])), 0, []
    for _ in range(STEPS):
        choice = random.random()
        if choice < 0.3:
            count = random.randint(1, 20)
            both.compiled.reserve(count)
            for _ in range(random.randint(0, count)):
                last += random.choice([1, 1, 2, 90, 2**20])
                both.remember(an_entry(random, last))
                ids.append(last)
            both.compare()
        elif choice < 0.32:
            both.widen(random.choice([1, 2, 16, 17, 40, 70]))
        elif last:
            wanted = random.choice([*ids[-120:], random.randint(0, last), last - 1])
            answer = both.recall(wanted, random.randint(1, 4), random.randint(0, 3))
            answers[answer if isinstance(answer, ErrorCode) else "response"] += 1
    assert answers.keys() == {
        "response", ErrorCode.STALE_ID, ErrorCode.NOT_EXECUTED, ErrorCode.ID_REUSED
    }  # fmt: skip
    both.compiled.forget_all()
    assert both.compiled.cell_count == 0
    assert both.compiled.remembered() == []


def test_the_extremes_of_a_request_are_remembered(sessions):
    both = RememberedTwice(sessions, 2)
    both.compiled.reserve(2)
    for request_id in (INT_MAX - 1, INT_MAX):
        response = a_response(Random(1), request_id, RESPONSE_BYTES_MAX)
        entry = Remembered(request_id, REQUEST_BYTES_MAX, 2**32 - 1, response)
        both.remember(entry)
        assert both.recall(request_id, REQUEST_BYTES_MAX, 2**32 - 1) == response
        assert both.recall(request_id, REQUEST_BYTES_MAX + 2**16, 2**32 - 1) is ErrorCode.ID_REUSED
    assert both.recall(0, 1, 1) is ErrorCode.STALE_ID
    both.compare()


def test_a_session_that_remembers_nothing_calls_every_id_stale(sessions):
    assert RememberedTwice(sessions, 1).recall(1, 1, 1) is ErrorCode.STALE_ID


def test_the_largest_window_takes_no_more_than_its_places(sessions):
    both = RememberedTwice(sessions, WINDOW_MAX)
    for request_id in range(1, WINDOW_MAX + 101):
        both.compiled.reserve(1)
        both.remember(Remembered(request_id, 1, 1, encode((64, request_id, 0))))
    both.compare()
    assert both.compiled.ring_size == WINDOW_MAX
    assert both.recall(100, 1, 1) is ErrorCode.STALE_ID
    assert both.recall(101, 1, 1) == encode((64, 101, 0))


OF_COMMANDS = sorted(type_number(command) for command in COMMANDS)
SMALL_FIELDS = {
    "flags": sum(bit for name, bit in vars(flags).items() if name.startswith("FLAG_")),
    "reason": max(CancelReason), "status": max(OrderStatus), "fill_count": FILLS_PER_COMMAND_MAX,
}  # fmt: skip
"""The most that these fields of responses may be; any other may be INT_MAX."""


def largest(response):
    fields = response.__struct_fields__
    return encode(response(*[SMALL_FIELDS.get(name, INT_MAX) for name in fields]))


@pytest.mark.skipif("slabs" not in FORMS, reason="for the sanitizers, no record is in a block")
def test_a_million_responses_of_any_command_take_what_the_room_states(part):
    sessions = part("_sessions")  # in blocks, as they are outside of tests
    responses = [each for each in REPLIES if type_number(each) in OF_COMMANDS]
    assert sorted(map(type_number, responses)) == OF_COMMANDS
    longest = max(map(largest, responses), key=len)
    assert len(longest) <= 113
    session, random = sessions.Session(1, WINDOW_MAX), Random(1)
    # First of whatever length, then each of the longest: what is free is used again.
    for size in (None, len(longest)):
        for _ in range(WINDOW_MAX):
            session.reserve(1)
            request_id = session.last_request_id + 1
            response = a_response(random, request_id, size or random.randint(14, len(longest)))
            session.remember(request_id, 1, 1, response)
    per_response = session.bytes_taken / WINDOW_MAX
    print(f"{per_response:.1f} bytes per response of {len(longest)}")
    (stated,) = re.findall(r"takes up to\s+(\d+)", RoomSizes.__doc__)
    assert per_response <= int(stated)
    (in_all,) = re.findall(r"(\d+)\s+MiB", RoomSizes.__doc__)
    assert DEFAULT_LIMITS.room.room * int(stated) <= int(in_all) * 2**20


@pytest.mark.parametrize("message", [*QUERIES, *COMMANDS], ids=lambda message: message.__name__)
def test_roles_and_users_may_do_what_they_may_in_the_reference(sessions, parts, message):
    request = msgspec.convert(next(iter(vectors_of(message).values())), message)
    random, seen = Random(message.__name__), set()
    names = [name for name in USERS if hasattr(request, name)]
    compiled, reference = sessions.Session(5, 1), Session(1, 5, 1, deque())
    for _ in range(100):
        named = {name: random.randint(name == "to_user", 9) for name in names}
        if hasattr(request, "all_users"):
            named["all_users"] = random.random() < 0.3
        request = msgspec.structs.replace(request, **named)
        code, *decoded = parts.judged(encode(request))
        if code:
            continue  # user 0, which this request must not name
        kind, values, _ = decoded
        for role in Role:
            reference.role = role
            reference.user_first = random.randint(1, 6)
            reference.user_last = random.randint(reference.user_first, 9)
            may = reference.may(request)
            range_ = reference.user_first, reference.user_last
            assert compiled.may(role, *range_, kind, values) == may, (role, range_, request)
            seen.add(may)
    assert kind == type_number(message)
    assert True in seen
