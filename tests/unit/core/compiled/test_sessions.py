"""One compiled session against the reference's: what it remembers, what it may do."""

from collections import Counter, deque
from random import Random

import msgspec
import pytest

from hpe.core.codec import encode
from hpe.core.sessions.session import Remembered, Session
from hpe.protocol.base import type_number
from hpe.protocol.codes import ErrorCode
from hpe.protocol.enums import Role
from hpe.protocol.limits import RESPONSE_BYTES_MAX, WINDOW_MAX
from hpe.protocol.registry import COMMANDS, QUERIES
from hpe.protocol.vectors import vectors_of

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
        cells = sum(1 + max(len(each[3]) + 19, 0) // 60 for each in expected)
        assert self.compiled.cell_count == cells


def an_entry(random, request_id):
    size = random.choice([0, 1, 39, 40, 41, 99, 100, 101, 160, 161, RESPONSE_BYTES_MAX])
    return Remembered(
        request_id, random.randint(1, 4), random.randint(0, 3), random.randbytes(size)
    )


@pytest.mark.parametrize("seed", range(6))
def test_responses_are_remembered_and_recalled_alike(sessions, seed):
    print(f"seed {seed}")
    random, answers = Random(seed), Counter()
    both, last = RememberedTwice(sessions, random.choice([1, 3, 16, 40])), 0
    for _ in range(STEPS):
        choice = random.random()
        if choice < 0.3:
            count = random.randint(1, 20)
            both.compiled.reserve(count)
            for _ in range(random.randint(0, count)):
                last += random.choice([1, 1, 2])
                both.remember(an_entry(random, last))
            both.compare()
        elif choice < 0.32:
            both.widen(random.choice([1, 2, 16, 17, 40, 70]))
        elif last:
            wanted = random.randint(max(last - 150, 0), last)
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
    entry = Remembered(2**63 - 1, 2**32 - 1, 2**32 - 1, b"\xff" * RESPONSE_BYTES_MAX)
    both.remember(entry)
    assert both.recall(2**63 - 1, 2**32 - 1, 2**32 - 1) == entry.response
    assert both.recall(0, 1, 1) is ErrorCode.STALE_ID
    both.compare()


def test_a_session_that_remembers_nothing_calls_every_id_stale(sessions):
    assert RememberedTwice(sessions, 1).recall(1, 1, 1) is ErrorCode.STALE_ID


def test_the_largest_window_takes_no_more_than_its_places(sessions):
    both = RememberedTwice(sessions, WINDOW_MAX)
    for request_id in range(1, WINDOW_MAX + 101):
        both.compiled.reserve(1)
        both.remember(Remembered(request_id, 1, 1, b"response"))
    both.compare()
    assert both.compiled.ring_size == WINDOW_MAX
    assert both.recall(100, 1, 1) is ErrorCode.STALE_ID
    assert both.recall(101, 1, 1) == b"response"


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
