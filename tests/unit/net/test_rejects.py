"""Rejects: which answers count, whose account pays, what is refused meanwhile."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpe.core.core import Run
from hpe.messages import (
    FLAG_DUPLICATE,
    FLAG_UNCHANGED,
    INT_MAX,
    REPLIES,
    CancelOrder,
    CancelReason,
    CancelResponse,
    Deposit,
    DepositResponse,
    Error,
    ErrorCode,
    ExecutionReport,
    GetBalance,
    HoldResponse,
    LockResponse,
    MassCancel,
    MassCancelResponse,
    OcoResponse,
    OrderResponse,
    OrderStatus,
    RejectReason,
    ReplaceResponse,
    Reply,
    Request,
    ResolveInstrumentResponse,
    SubmitOrder,
    type_number,
)
from hpe.net.framing import encode_frame
from hpe.net.rejects import Rejects, count_idle

PER_S, BURST = 10, 20
START_S = 1_000_000.0
TIME = 1_700_000_000_000_000_000
NOT_CANCELED = (CancelReason.REQUESTED, CancelReason.REPLACED_AWAY)
ENDED = [reason for reason in CancelReason if reason not in NOT_CANCELED]


def order_answer(
    kind: type[OrderResponse], *, flags: int = 0, reason: int = 0, **fields: int
) -> Any:
    values = {
        "status": OrderStatus.NEW, "order_id": 7, "leaves": 5, "cum": 0, "canceled": 0,
        "quote_total": 0, "fill_count": 0, "first_trade_id": 0, "fee_total": 0,
    }  # fmt: skip
    return kind(9, flags, 70_000, reason, TIME, **{**values, **fields})


def ended(reason: int, **fields: int) -> Any:
    values = {"status": OrderStatus.CANCELED, "leaves": 0, "canceled": 5}
    return order_answer(OrderResponse, reason=reason, **{**values, **fields})


REJECTED: dict[str, int] = {
    "status": OrderStatus.REJECTED, "order_id": 0, "leaves": 0, "reason": RejectReason.UNKNOWN_ORDER
}  # fmt: skip
MONEY, HOLD = len(LockResponse.__struct_fields__) - 4, len(HoldResponse.__struct_fields__) - 4
COUNTED = [
    order_answer(OrderResponse, **REJECTED),
    order_answer(ReplaceResponse, **REJECTED),
    *[ended(reason) for reason in ENDED],
    order_answer(ReplaceResponse, flags=FLAG_UNCHANGED),
    OcoResponse(5, 0, 6, RejectReason.USER_BLOCKED, TIME, 0, 0),
    DepositResponse(5, 0, 6, RejectReason.UNKNOWN_ASSET, *[0] * MONEY),
    HoldResponse(5, 0, 6, RejectReason.UNKNOWN_HOLD, *[0] * HOLD),
    ResolveInstrumentResponse(5, 0, 6, 0, 3),
    ResolveInstrumentResponse(5, 0, 6, RejectReason.UNKNOWN_ASSET, 0),
]
COUNTED_CANCELS = [
    order_answer(CancelResponse, **REJECTED),
    MassCancelResponse(5, 0, 6, 0, 0, 0),
    MassCancelResponse(5, 0, 6, 0, 0, 8),
    MassCancelResponse(5, 0, 6, RejectReason.UNKNOWN_INSTRUMENT, 0, 0),
]
NOT_COUNTED = [
    order_answer(OrderResponse),
    order_answer(OrderResponse, status=OrderStatus.FILLED, leaves=0, cum=5, fill_count=1),
    ended(CancelReason.IOC_REMAINDER, cum=1, canceled=4, fill_count=1),
    order_answer(CancelResponse, reason=CancelReason.REQUESTED, leaves=0, canceled=5),
    order_answer(ReplaceResponse),
    order_answer(ReplaceResponse, reason=CancelReason.REPLACED_AWAY, leaves=0, canceled=5),
    *[
        msgspec.structs.replace(answer, flags=answer.flags | FLAG_DUPLICATE)
        for answer in (*COUNTED, *COUNTED_CANCELS)
    ],
    MassCancelResponse(5, 0, 6, 0, 3, 0),
    OcoResponse(5, 0, 6, 0, TIME, 3, 4),
    LockResponse(5, 0, 6, 0, *[1] * MONEY),
    Error(5, 0, ErrorCode.BUSY, "busy", "", True, False, False),
    ExecutionReport(5, 0, *[0] * (len(ExecutionReport.__struct_fields__) - 2)),
]  # fmt: skip
ALL = [(COUNTED, (1, 0)), (COUNTED_CANCELS, (0, 1)), (NOT_COUNTED, (0, 0))]


@pytest.mark.parametrize(
    ("answer", "counted"), [(answer, count) for answers, count in ALL for answer in answers]
)
def test_answers_that_count(answer: Reply, counted: tuple[int, int]) -> None:
    assert count_idle(encode_frame(answer)) == counted


INTS = st.one_of(
    st.sampled_from([0, 1, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, INT_MAX]),
    st.integers(1, INT_MAX),
    # Ids that look like the beginning of an answer that counts.
    st.binary(min_size=8, max_size=8).map(
        lambda tail: int.from_bytes((b"\0\0\0\x24\x9f\x40\0" + tail)[:8], "big")
    ),
)


@given(data=st.data())
def test_any_answers_in_any_order_are_counted_exactly(data: st.DataObject) -> None:
    frames, others, cancels = b"", 0, 0
    for _ in range(data.draw(st.integers(1, 8))):
        answers, (other, cancel) = data.draw(st.sampled_from(ALL))
        answer = data.draw(st.sampled_from(answers))
        others, cancels = others + other, cancels + cancel
        ids = {"request_id": data.draw(INTS)}
        for name in ("sequence", "time_ns", "quote_total", "order_id"):
            if getattr(answer, name, 0):
                ids[name] = data.draw(INTS)
        frames += encode_frame(msgspec.structs.replace(answer, **ids))
    assert count_idle(frames) == (others, cancels)


def test_every_response_has_the_header_that_counting_relies_on() -> None:
    responses = [kind for kind in REPLIES if 64 <= type_number(kind) < 112]
    assert len(responses) > 20
    for kind in responses:
        body = encode_frame(kind(9, *[0] * (len(kind.__struct_fields__) - 1)))[4:]
        assert body[0] & 0xF0 == 0x90, f"{kind.__name__} has too many fields"
        assert body[1] == type_number(kind)


@given(filler=st.binary(max_size=300))
def test_what_looks_like_an_answer_inside_of_a_frame_is_none(filler: bytes) -> None:
    inside = encode_frame(COUNTED[0])
    body = b"\x93\x20\x01" + msgspec.msgpack.encode(filler + inside + inside)
    frames = len(body).to_bytes(4, "big") + body
    assert count_idle(frames + inside + frames) == (1, 0)


# --- accounts -------------------------------------------------------------------------------------

ORDER, CANCEL, QUERY = SubmitOrder(1, 1, 0, 1, 2, 1, 100, 1), CancelOrder(2, 1), GetBalance(3, 1)
REJECT, CANCEL_REJECT = encode_frame(COUNTED[0]), encode_frame(COUNTED_CANCELS[0])
THROTTLED = int(ErrorCode.THROTTLED)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    clock = [START_S]
    monkeypatch.setattr("hpe.net.rejects.trio.current_time", lambda: clock[0])
    return clock


def admitted(rejects: Rejects, payer: int | str, now_s: float, *requests: Request) -> list[int]:
    run = Run(1, 1, 0, len(requests), b"".join(map(encode_frame, requests)))
    pieces = rejects.admit(payer, [run], now_s)
    assert b"".join(piece.frames for piece in pieces) == run.frames
    return [piece.admit for piece in pieces for _ in range(piece.frame_count)]


MIXED = (ORDER, CANCEL, QUERY, Deposit(4, 1, 1), MassCancel(5))


def test_beyond_the_burst_commands_are_marked_and_queries_and_cancels_are_not(
    now: list[float],
) -> None:
    rejects = Rejects(PER_S, BURST)
    rejects.note("desk", REJECT * BURST)
    assert admitted(rejects, "desk", now[0], *MIXED) == [0] * 5
    rejects.note("desk", REJECT)
    assert admitted(rejects, "desk", now[0], *MIXED) == [THROTTLED, 0, 0, THROTTLED, 0]
    assert rejects.throttled == 2
    assert admitted(rejects, "other", now[0], *MIXED) == [0] * 5
    assert admitted(rejects, "desk", now[0] + 1.01 / PER_S, *MIXED) == [0] * 5


def test_cancels_have_an_account_of_their_own(now: list[float]) -> None:
    rejects = Rejects(PER_S, BURST)
    rejects.note(7, CANCEL_REJECT * (BURST + 1))
    assert admitted(rejects, 7, now[0], *MIXED) == [0, THROTTLED, 0, 0, THROTTLED]


def test_what_was_in_flight_is_paid_for(now: list[float]) -> None:
    """Whatever a key has under way when it is stopped: over time it gets its rate and no more."""
    rejects, rejected = Rejects(PER_S, BURST), 0
    chance = random.Random(5)
    for _ in range(100_000):
        now[0] += 0.001
        if not admitted(rejects, "desk", now[0], ORDER)[0]:
            count = chance.randrange(50)
            rejects.note("desk", REJECT * count)
            rejected += count
    assert rejected == pytest.approx(100 * PER_S + BURST, abs=50)


def test_marked_frames_stay_as_they_are(now: list[float]) -> None:
    rejects = Rejects(PER_S, BURST)
    rejects.note("desk", REJECT * (BURST + 1))
    busy = Run(1, 1, ErrorCode.BUSY, 1, encode_frame(ORDER))
    assert rejects.admit("desk", [busy], now[0]) == [busy]
    assert rejects.throttled == 0


def test_without_a_rate_nothing_is_counted(now: list[float]) -> None:
    rejects = Rejects(0, BURST)
    rejects.note("desk", REJECT * 1_000)
    assert admitted(rejects, "desk", now[0], *MIXED) == [0] * 5
    assert len(rejects) == 0


def test_accounts_that_are_paid_are_forgotten(now: list[float]) -> None:
    rejects = Rejects(PER_S, BURST)
    for user in range(1, 100_001):
        now[0] += 0.001
        rejects.note(user, REJECT)
    assert len(rejects) <= 2_048
    rejects.note("quiet", encode_frame(NOT_COUNTED[0]))
    assert admitted(rejects, "quiet", now[0], *MIXED) == [0] * 5
