"""Runs taken apart: the same frames in the same order, each piece of one kind."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from hpe.core.contract import Run
from hpe.core.runs import CANCEL_TYPES, NO_TYPE, ORDER_TYPES, split_run
from hpe.protocol.base import Request, type_number
from hpe.protocol.codes import ErrorCode
from hpe.protocol.frames import FrameScanner, encode_frame
from hpe.protocol.money import GetBalance
from hpe.protocol.orders import CancelOrder, MassCancel, ReplaceOrder, SubmitOco, SubmitOrder

BUSY = int(ErrorCode.BUSY)
KINDS: list[Request] = [
    SubmitOrder(1, 1, 0, 1, 2, 1, 100, 1),
    ReplaceOrder(2, 1, 0, 5),
    CancelOrder(3, 1),
    GetBalance(4, 1),
    MassCancel(5),
    SubmitOco(6, 1, 2, 5, 110, 90),
]


def run_of(*requests: Request) -> Run:
    return Run(3, 7, 0, len(requests), b"".join(map(encode_frame, requests)))


@pytest.mark.parametrize("seed", range(30))
def test_pieces_hold_the_same_frames_and_each_has_one_answer(seed: int) -> None:
    source = random.Random(seed)
    requests = source.choices(KINDS, k=source.randint(1, 40))
    run = run_of(*requests)
    pieces = split_run(run, lambda kind, _start, _end: BUSY if kind in ORDER_TYPES else 0)
    assert b"".join(piece.frames for piece in pieces) == run.frames
    assert sum(piece.frame_count for piece in pieces) == run.frame_count
    orders = (SubmitOrder, ReplaceOrder, SubmitOco)
    expected = [BUSY if isinstance(request, orders) else 0 for request in requests]
    assert [piece.admit for piece in pieces for _ in range(piece.frame_count)] == expected
    assert all(a.admit != b.admit for a, b in pairwise(pieces))
    assert {(piece.connection, piece.attach) for piece in pieces} == {(3, 7)}


def test_every_frame_is_shown_once_with_its_type_and_place() -> None:
    run = run_of(*KINDS)
    seen: list[tuple[int, bytes]] = []

    def decide(kind: int, start: int, end: int) -> int:
        seen.append((kind, run.frames[start:end]))
        return 0

    assert split_run(run, decide)[0] is run
    assert seen == [(type_number(type(each)), encode_frame(each)) for each in KINDS]


def test_a_run_refused_as_a_whole_stays_one() -> None:
    run = run_of(*KINDS)
    assert split_run(run, lambda *_: BUSY) == [run._replace(admit=BUSY)]


def test_the_type_behind_a_long_array_header_is_found() -> None:
    body = b"\xdc\x00\x03\x41\x01\x01"  # cancel_order as array16
    frames = len(body).to_bytes(4, "big") + body
    pieces = split_run(
        Run(1, 1, 0, 1, frames), lambda kind, *_: BUSY if kind in CANCEL_TYPES else 0
    )
    assert [piece.admit for piece in pieces] == [BUSY]


def test_frames_too_short_to_have_a_type_have_none() -> None:
    odd = b"\0\0\0\1\x90" + b"\0\0\0\1\xdc"
    assert [chunk.frames for chunk in FrameScanner(2_048).feed(odd)] == [odd]
    kinds: list[int] = []

    def decide(kind: int, _start: int, _end: int) -> int:
        kinds.append(kind)
        return 0

    assert split_run(Run(1, 1, 0, 2, odd), decide) == [Run(1, 1, 0, 2, odd)]
    assert kinds == [NO_TYPE, NO_TYPE]
