"""Random streams of everything, under limits that are all small: three cores stay the same.

One executes them, one loaded the first one's dump a few batches before, one replays the log.
"""

from collections import Counter
from random import Random

import pytest

from hpe.core.contract import Limits, RoomSizes
from hpe.core.state.rows import KINDS
from hpe.protocol.base import type_number
from hpe.protocol.codes import CancelReason, ErrorCode, RejectReason
from hpe.protocol.registry import COMMANDS, CONTROL, INTERNAL, QUERIES
from tests.model.commands import MOODS
from tests.model.stream import RandomStream
from tests.model.stream_limits import small_limits
from tests.support.core_driver import CoreFactory, Venue
from tests.support.shadowed import ShadowedCore

STEPS = 250
SEEDS = 4 * MOODS
RELEASE_SEEDS = 100 * MOODS
CHECK_EVERY = 25
NOT_OF_A_CORE = {
    ErrorCode.FRAME_TOO_LARGE, ErrorCode.EXPECTED_HELLO, ErrorCode.UNSUPPORTED_VERSION,
    ErrorCode.LOGON_TIMEOUT, ErrorCode.SESSION_REPLACED, ErrorCode.ALREADY_LOGGED_ON,
    ErrorCode.AUTHENTICATION_FAILED, ErrorCode.USER_NOT_ALLOWED, ErrorCode.HEARTBEAT_TIMEOUT,
    ErrorCode.SLOW_CONSUMER, ErrorCode.RESUME_TOO_OLD, ErrorCode.RESUME_AHEAD,
    ErrorCode.TOO_MANY_SUBSCRIPTIONS, ErrorCode.STORAGE_FULL, ErrorCode.TOO_MANY_CONNECTIONS,
    ErrorCode.RATE_EXCEEDED, ErrorCode.TOO_MANY_LOGONS,
}  # fmt: skip
"""What connections answer themselves."""


def play(new_core: CoreFactory, seed: int) -> Counter[str]:
    """Play one stream; return what it reached."""
    random = Random(seed)
    three = ShadowedCore(small_limits(random), new_core=new_core)
    three.load_every = random.randint(1, 9)
    number = 0
    try:
        stream = RandomStream(Venue(lambda _: three, three.limits), seed, seed % MOODS)
        for number in range(1, STEPS + 1):
            stream.step()
            if number % CHECK_EVERY == 0:
                three.check()
    except Exception as error:
        error.add_note(f"seed {seed}, step {number}, {three.limits}")
        raise
    return stream.reached + Counter({f"row {kind}": count for kind, count in three.rows.items()})


def missing(reached: Counter[str]) -> list[str]:
    """List what cores answer and report that no stream reached."""
    names = [f"reject {reason.name}" for reason in RejectReason if reason]
    names += [f"ended {reason.name}" for reason in CancelReason]
    names += [f"error {code.name}" for code in ErrorCode if code not in NOT_OF_A_CORE]
    return [name for name in names if name not in reached and name not in _attached(reached)]


def _attached(reached: Counter[str]) -> set[str]:
    """Return the refusals of sessions, which are errors of another message."""
    words = [name.split() for name in reached if name.startswith("attach ")]
    return {f"error {code}" for _, code, _ in words}


def test_streams_of_everything_are_the_same_after_a_load_and_from_the_log(new_core):
    reached: Counter[str] = Counter()
    for seed in range(SEEDS):
        reached += play(new_core, seed)
    for name, count in sorted(reached.items()):
        print(f"{count:6} {name}")
    print("not reached:", ", ".join(missing(reached)) or "nothing")
    for message in (*CONTROL, *QUERIES, *COMMANDS):
        assert reached[f"sent {type_number(message)}"], message
    for message in (*QUERIES, *COMMANDS):
        assert reached[f"done {type_number(message)}"], message
    for message in INTERNAL:
        assert reached[f"internal {type_number(message)}"], message
    for kind in KINDS:
        assert reached[f"row {kind.__name__}"], f"no core loaded a row {kind.__name__}"


@pytest.mark.release
@pytest.mark.parametrize("seed", range(SEEDS, RELEASE_SEEDS))
def test_many_streams(new_core, seed):
    play(new_core, seed)


def test_every_limit_is_small_in_a_stream():
    """Every field, so that one that is new is made small too."""
    found = small_limits(Random(1))
    for name, value in found._asdict().items():
        whole = getattr(Limits(), name)
        if isinstance(value, RoomSizes):
            assert all(few < many for few, many in zip(value, whole, strict=True)), name
        elif isinstance(value, tuple):
            assert max(value) < min(whole), name
        else:
            assert value < whole or name.startswith("indicative_ns"), name
