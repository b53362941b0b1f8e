"""Rejects: whose account pays, and what is refused meanwhile."""

from __future__ import annotations

import random

import pytest

from hpe.core.contract import Run
from hpe.net.limits.rejects import Rejects
from hpe.protocol.base import Request
from hpe.protocol.codes import CancelReason, ErrorCode
from hpe.protocol.frames import chunk_of, encode_frame
from hpe.protocol.money import Deposit, GetBalance
from hpe.protocol.orders import CancelOrder, MassCancel, SubmitOrder

PER_S, BURST = 10, 20
START_S = 1_000_000.0
TIME = 1_700_000_000_000_000_000
NOT_CANCELED = (CancelReason.REQUESTED, CancelReason.REPLACED_AWAY)
ENDED = [reason for reason in CancelReason if reason not in NOT_CANCELED]


# --- accounts -------------------------------------------------------------------------------------

ORDER, CANCEL, QUERY = SubmitOrder(1, 1, 0, 1, 2, 1, 100, 1), CancelOrder(2, 1), GetBalance(3, 1)
THROTTLED = int(ErrorCode.THROTTLED)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    clock = [START_S]
    monkeypatch.setattr("hpe.net.limits.rejects.trio.current_time", lambda: clock[0])
    return clock


def admitted(rejects: Rejects, payer: int | str, now_s: float, *requests: Request) -> list[int]:
    run = Run(1, 1, 0, chunk_of(b"".join(map(encode_frame, requests))))
    pieces = rejects.admit(payer, [run], now_s)
    assert b"".join(piece.chunk.frames for piece in pieces) == run.chunk.frames
    return [piece.admit for piece in pieces for _ in range(piece.chunk.count)]


MIXED = (ORDER, CANCEL, QUERY, Deposit(4, 1, 1), MassCancel(5))


def test_beyond_the_burst_commands_are_marked_and_queries_and_cancels_are_not(
    now: list[float],
) -> None:
    rejects = Rejects(PER_S, BURST)
    rejects.note("desk", BURST, 0)
    assert admitted(rejects, "desk", now[0], *MIXED) == [0] * 5
    rejects.note("desk", 1, 0)
    assert admitted(rejects, "desk", now[0], *MIXED) == [THROTTLED, 0, 0, THROTTLED, 0]
    assert rejects.throttled == 2
    assert admitted(rejects, "other", now[0], *MIXED) == [0] * 5
    assert admitted(rejects, "desk", now[0] + 1.01 / PER_S, *MIXED) == [0] * 5


def test_cancels_have_an_account_of_their_own(now: list[float]) -> None:
    rejects = Rejects(PER_S, BURST)
    rejects.note(7, 0, BURST + 1)
    assert admitted(rejects, 7, now[0], *MIXED) == [0, THROTTLED, 0, 0, THROTTLED]


def test_what_was_in_flight_is_paid_for(now: list[float]) -> None:
    """Whatever a key has under way when it is stopped: over time it gets its rate and no more."""
    rejects, rejected = Rejects(PER_S, BURST), 0
    chance = random.Random(5)
    for _ in range(100_000):
        now[0] += 0.001
        if not admitted(rejects, "desk", now[0], ORDER)[0]:
            count = chance.randrange(50)
            rejects.note("desk", count, 0)
            rejected += count
    assert rejected == pytest.approx(100 * PER_S + BURST, abs=50)


def test_marked_frames_stay_as_they_are(now: list[float]) -> None:
    rejects = Rejects(PER_S, BURST)
    rejects.note("desk", BURST + 1, 0)
    busy = Run(1, 1, ErrorCode.BUSY, chunk_of(encode_frame(ORDER)))
    assert rejects.admit("desk", [busy], now[0]) == [busy]
    assert rejects.throttled == 0


def test_without_a_rate_nothing_is_counted(now: list[float]) -> None:
    rejects = Rejects(0, BURST)
    rejects.note("desk", 1_000, 0)
    assert admitted(rejects, "desk", now[0], *MIXED) == [0] * 5
    assert len(rejects) == 0


def test_accounts_that_are_paid_are_forgotten(now: list[float]) -> None:
    rejects = Rejects(PER_S, BURST)
    for user in range(1, 100_001):
        now[0] += 0.001
        rejects.note(user, 1, 0)
    assert len(rejects) <= 2_048
