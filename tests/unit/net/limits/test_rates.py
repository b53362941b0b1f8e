"""Token buckets against a plain model, refusals in place, and which connections are cut."""

from __future__ import annotations

import random

import msgspec
import pytest

from hpe.core.contract import Run
from hpe.net.limits import rates
from hpe.net.limits.rates import RateLimiter, RateLimits, Sender
from hpe.net.logon import ANONYMOUS, Grant
from hpe.protocol.base import Request, type_number
from hpe.protocol.codes import ErrorCode
from hpe.protocol.control import Heartbeat, Logout, Ping
from hpe.protocol.enums import Role
from hpe.protocol.frames import chunk_of, encode_frame
from hpe.protocol.limits import HEARTBEAT_MS_MIN
from hpe.protocol.money import GetBalance
from hpe.protocol.orders import CancelOrder, MassCancel, SubmitOrder

THROTTLED = int(ErrorCode.THROTTLED)
START_S = 1_000_000.0  # a clock that has run for long: where floats are coarse

ORDER = SubmitOrder(1, 1, 0, 1, 2, 1, 100, 1)
CANCEL = CancelOrder(2, 1)
QUERY = GetBalance(3, 1)
PING, LOGOUT, HEARTBEAT = (type_number(kind) for kind in (Ping, Logout, Heartbeat))


def sender(user: int = 1) -> Sender:
    return Sender(ANONYMOUS, user)


def run_of(*requests: Request) -> Run:
    return Run(1, 1, 0, chunk_of(b"".join(map(encode_frame, requests))))


def refused(request: Request) -> Run:
    return msgspec.structs.replace(run_of(request), admit=THROTTLED)


def refusals(pieces: list[Run]) -> list[int]:
    return [piece.admit for piece in pieces for _ in range(piece.chunk.count)]


def test_without_limits_nothing_is_touched() -> None:
    limiter = RateLimiter(RateLimits())
    run = run_of(*[ORDER] * 100)
    assert not limiter.limited
    pieces, cut = limiter.admit(sender(), run, START_S)
    assert pieces[0] is run
    assert not cut
    assert len(limiter) == 0


@pytest.mark.parametrize("per_s", [1, 3, 7, 100, 99_999])
def test_a_whole_burst_fits_and_nothing_more(per_s: int) -> None:
    burst = 50
    limiter = RateLimiter(RateLimits(per_s, burst))
    pieces, _ = limiter.admit(sender(), run_of(*[ORDER] * burst), START_S)
    assert refusals(pieces) == [0] * burst
    pieces, _ = limiter.admit(sender(), run_of(QUERY, ORDER), START_S)
    assert refusals(pieces) == [THROTTLED] * 2
    assert limiter.throttled == 2


def test_a_burst_of_zero_is_one_second_of_the_rate() -> None:
    limiter = RateLimiter(RateLimits(messages_per_s=5))
    pieces, _ = limiter.admit(sender(), run_of(*[ORDER] * 6), START_S)
    assert refusals(pieces) == [0] * 5 + [THROTTLED]


def test_tokens_come_back_at_the_rate() -> None:
    limiter = RateLimiter(RateLimits(10, 2))
    limiter.admit(sender(), run_of(ORDER, ORDER), START_S)
    assert refusals(limiter.admit(sender(), run_of(ORDER, ORDER), START_S + 0.1)[0]) == [
        0,
        THROTTLED,
    ]
    assert refusals(limiter.admit(sender(), run_of(*[ORDER] * 3), START_S + 9)[0]) == [
        0,
        0,
        THROTTLED,
    ]


@pytest.mark.parametrize("seed", range(20))
def test_it_admits_what_a_plain_token_bucket_admits(seed: int) -> None:
    source = random.Random(seed)
    per_s, burst = source.choice([1, 2, 8, 32]), source.randint(1, 20)
    limiter = RateLimiter(RateLimits(per_s, burst))
    tokens, before, now_s = float(burst), START_S, START_S
    for _ in range(300):
        now_s += source.choice([0, 0, 1 / 1024, 3 / 128, 5 / 16])  # floats are exact there
        tokens = min(burst, tokens + (now_s - before) * per_s)
        before = now_s
        expected = tokens >= 0.5  # half a token of slack, see rates.py
        if expected:
            tokens -= 1
        found = refusals(limiter.admit(sender(), run_of(ORDER), now_s)[0]) == [0]
        assert found == expected


def test_cancels_have_a_bucket_of_their_own() -> None:
    limiter = RateLimiter(RateLimits(1, 1, 1, 2))
    run = run_of(ORDER, ORDER, CANCEL, ORDER, MassCancel(4), CANCEL)
    pieces, _ = limiter.admit(sender(), run, START_S)
    assert refusals(pieces) == [0, THROTTLED, 0, THROTTLED, 0, THROTTLED]
    assert b"".join(piece.chunk.frames for piece in pieces) == run.chunk.frames


def test_cancels_without_a_limit_cost_nothing() -> None:
    limiter = RateLimiter(RateLimits(messages_per_s=1))
    pieces, cut = limiter.admit(sender(), run_of(*[CANCEL] * 50, ORDER), START_S)
    assert refusals(pieces) == [0] * 51
    assert not cut


def test_users_do_not_share_tokens() -> None:
    limiter = RateLimiter(RateLimits(1, 1))
    assert refusals(limiter.admit(sender(), run_of(ORDER), START_S)[0]) == [0]
    assert refusals(limiter.admit(sender(2), run_of(ORDER), START_S)[0]) == [0]
    assert refusals(limiter.admit(sender(), run_of(ORDER), START_S)[0]) == [THROTTLED]


def test_a_client_that_stays_far_above_the_rate_is_cut_and_one_that_stops_is_not() -> None:
    limiter, me = RateLimiter(RateLimits(10, 10)), sender()
    assert not limiter.admit(me, run_of(*[ORDER] * 20), START_S)[1]  # twice the rate
    # Another connection of the same user is not cut for it.
    assert limiter.admit(sender(), run_of(ORDER), START_S + 0.01) == ([refused(ORDER)], False)
    assert limiter.admit(me, run_of(ORDER), START_S + 0.01)[1]  # and one more
    # The excess of the past is no reason to cut what is admitted, or a slow second.
    assert not limiter.admit(me, run_of(ORDER), START_S + 0.5)[1]
    assert not limiter.admit(me, run_of(*[ORDER] * 10), START_S + 1.1)[1]


def test_a_key_has_one_limit_for_all_its_users_and_takes_no_others_tokens() -> None:
    limiter = RateLimiter(RateLimits(10, 2))
    for role in (Role.MARKET_DATA, Role.GATEWAY, Role.OPERATOR, Role.TRADER):
        first, second = (Sender(Grant(f"key {role}", role, 1, 100), user) for user in (7, 8))
        assert refusals(limiter.admit(first, run_of(QUERY), START_S)[0]) == [0]
        assert refusals(limiter.admit(second, run_of(QUERY, QUERY), START_S)[0]) == [0, THROTTLED]
    traders = [Sender(Grant(key, Role.TRADER, 7, 7), 7) for key in ("one", "two")]
    assert [limiter.admit_control(each, PING, START_S)[0] for each in traders * 2] == [
        0, 0, 0, 0,
    ], "what the keys of one account do is their own"  # fmt: skip


def test_control_draws_on_the_messages_but_for_the_end_and_heartbeats() -> None:
    limiter, me = RateLimiter(RateLimits(10, 2, 1, 1)), sender()
    asked = [PING, LOGOUT, HEARTBEAT, PING, LOGOUT, HEARTBEAT, PING]
    assert [limiter.admit_control(me, kind, START_S)[0] for kind in asked] == [0] * 6 + [THROTTLED]
    assert refusals(limiter.admit(me, run_of(ORDER, CANCEL), START_S)[0]) == [THROTTLED, 0]
    answers = [limiter.admit_control(me, PING, START_S) for _ in range(10)]
    assert answers == [(THROTTLED, False)] * 8 + [(THROTTLED, True)] * 2
    assert limiter.throttled == 12


def test_heartbeats_are_free_as_long_as_they_are_no_flood() -> None:
    limiter, me = RateLimiter(RateLimits(2, 2)), sender()
    for beat in range(1_000):
        now_s = START_S + beat * HEARTBEAT_MS_MIN / 1_000
        assert limiter.admit_control(me, HEARTBEAT, now_s) == (0, False)
    answers = [limiter.admit_control(me, HEARTBEAT, START_S + 1_000) for _ in range(110)]
    assert answers[:102] == [(0, False)] * 102, "those of 30 s at once, and the messages' burst"
    assert answers[102] == (THROTTLED, False)
    assert answers[-1] == (THROTTLED, True)
    assert RateLimiter(RateLimits(0, 0, 5)).admit_control(me, PING, START_S) == (0, False)


def test_a_burst_within_its_bound_is_never_cut() -> None:
    limiter = RateLimiter(RateLimits(1, 1_000))
    assert not limiter.admit(sender(), run_of(*[ORDER] * 1_000), START_S)[1]


def test_full_buckets_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "SWEEP_MIN", 10)
    limiter = RateLimiter(RateLimits(1, 1))
    for user in range(100):
        limiter.admit(sender(user), run_of(ORDER), START_S + user)
        limiter.admit(sender(200), run_of(ORDER), START_S + user)
    assert len(limiter) <= 11
    assert refusals(limiter.admit(sender(99), run_of(ORDER), START_S + 99)[0]) == [THROTTLED]
