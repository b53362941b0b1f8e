"""What a scanner finds out about frames, and chunks taken apart by it."""

from __future__ import annotations

import random
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpe.core.codec import DECODE_FAULTS, DECODERS
from hpe.core.contract import Run
from hpe.errors import ProtocolError
from hpe.protocol import registry
from hpe.protocol.admission import (
    CANCEL,
    CLASSES,
    COMMAND,
    CONTROL,
    NO_CLASS,
    ORDER,
    QUERY,
    SUBSCRIBE,
)
from hpe.protocol.base import Request, type_number
from hpe.protocol.codes import ErrorCode
from hpe.protocol.control import Ping
from hpe.protocol.frames import (
    NO_TYPE,
    Chunk,
    FrameScanner,
    chunk_of,
    encode_frame,
    frame,
    request_id_of,
    type_of,
)
from hpe.protocol.limits import INT_MAX
from hpe.protocol.market_data import Subscribe
from hpe.protocol.money import Deposit, GetBalance
from hpe.protocol.orders import CancelOrder, MassCancel, ReplaceOrder, SubmitOco, SubmitOrder

pytestmark = pytest.mark.usefixtures("each_form")

BUSY = int(ErrorCode.BUSY)
REQUESTS: list[Request] = [
    SubmitOrder(1, 1, 0, 1, 2, 1, 100, 1),
    ReplaceOrder(2, 1, 0, 5),
    CancelOrder(300, 1),
    GetBalance(70_000, 1),
    MassCancel(2**40),
    SubmitOco(6, 1, 2, 5, 110, 90),
    Subscribe(7, 1, 1),
    Deposit(200, 1, 5),
]
OF_REQUESTS = [ORDER, ORDER, CANCEL, QUERY, CANCEL, ORDER, SUBSCRIBE, COMMAND]
ID_FORMS = ["05", "cc05", "cd0005", "ce00000005", "cf0000000000000005"]
ID_FORMS += ["d005", "d10005", "d200000005", "d30000000000000005"]
NO_IDS = ["00", "ff", "d0ff", "c0", "a105", "cb4014000000000000", "cf8000000000000000", "cd00", ""]


def chunk_of_requests(*requests: Request) -> Chunk:
    return chunk_of(b"".join(map(encode_frame, requests)))


def test_every_type_has_its_class() -> None:
    expected = dict.fromkeys(map(type_number, registry.CONTROL), CONTROL)
    expected |= dict.fromkeys(map(type_number, registry.QUERIES), QUERY)
    expected |= dict.fromkeys(map(type_number, registry.COMMANDS), COMMAND)
    expected |= dict.fromkeys(map(type_number, registry.INTERNAL), NO_CLASS)
    expected |= {
        type_number(type(each)): of for each, of in zip(REQUESTS, OF_REQUESTS, strict=True)
    }
    assert {number: CLASSES[number] for number in expected} == expected
    assert CLASSES[0] == CLASSES[NO_TYPE] == NO_CLASS
    assert not any(CLASSES[112:])


def test_a_row_says_where_a_frame_is_and_what_it_is() -> None:
    (chunk,) = FrameScanner(2_048).feed(b"".join(map(encode_frame, REQUESTS)))
    assert [frame(chunk.frames[start:end]) for start, end, *_ in chunk.table] == [
        encode_frame(each) for each in REQUESTS
    ]
    assert [row[2:] for row in chunk.table] == [
        (type_number(type(each)), each.request_id, admission)
        for each, admission in zip(REQUESTS, OF_REQUESTS, strict=True)
    ]
    assert chunk.classes == ORDER | CANCEL | QUERY | SUBSCRIBE | COMMAND
    assert chunk_of(chunk.frames) == chunk


def test_places_are_those_in_the_chunk() -> None:
    stream = b"".join(map(encode_frame, (REQUESTS[0], Ping(9, 1), *REQUESTS[1:])))
    chunks = FrameScanner(2_048, frames_max=3).feed(stream)
    assert [chunk.count for chunk in chunks] == [1, 1, 3, 3, 1]
    assert [chunk.control for chunk in chunks] == [False, True, False, False, False]
    for chunk in chunks:
        assert chunk == chunk_of(chunk.frames)
        assert b"".join(map(frame, chunk.bodies)) == chunk.frames


@pytest.mark.parametrize("header", ["9841", "dc000841"])
@pytest.mark.parametrize("form", ID_FORMS)
def test_an_id_is_read_in_every_form(header: str, form: str) -> None:
    body = bytes.fromhex(header + form) + bytes(7)
    assert (type_of(body), request_id_of(body)) == (65, 5)
    assert [row[2:4] for row in chunk_of(frame(body) + frame(body)).table] == [(65, 5)] * 2
    short = body[:-7]  # what follows is of the next frame
    rows = chunk_of(frame(short) + bytes.fromhex("0000000201ff")).table
    assert rows[0][2:4] == (65, 5)


@pytest.mark.parametrize("header", ["9841", "dc000841"])
@pytest.mark.parametrize("form", NO_IDS)
def test_what_can_be_no_id_is_none(header: str, form: str) -> None:
    body = bytes.fromhex(header + form)
    assert (type_of(body), request_id_of(body)) == (65, 0)
    following = bytes.fromhex("00000009984105050505050505")
    assert [row[3] for row in chunk_of(frame(body) + following).table] == [0, 5]


def test_the_type_behind_a_long_array_header_is_found() -> None:
    (row,) = chunk_of(frame(b"\xdc\x00\x03\x41\x01\x01")).table  # cancel_order as array16
    assert row[2:] == (type_number(CancelOrder), 1, CANCEL)


@pytest.mark.parametrize(
    "body", [b"", b"\x90", b"\xdc", b"\xdc\x00\x03", b"\x93\xcc\x41\x05", b"\x01\x41\x05", b"\x83A"]
)
def test_frames_without_a_type_at_its_place_have_none(body: bytes) -> None:
    chunk = chunk_of(frame(body) + encode_frame(REQUESTS[0]))
    assert [row[2:] for row in chunk.table] == [(NO_TYPE, 0, NO_CLASS), (64, 1, ORDER)]
    assert (type_of(body), request_id_of(body)) == (NO_TYPE, 0)


@given(st.lists(st.binary(max_size=40) | st.sampled_from(REQUESTS), max_size=20))
def test_a_row_says_what_decoding_finds(contents: list[bytes | Request]) -> None:
    encode = msgspec.msgpack.encode
    bodies = [each if isinstance(each, bytes) else encode(each) for each in contents]
    chunk = chunk_of(b"".join(map(frame, bodies)))
    assert chunk.bodies == bodies
    for body, (_, _, kind, request_id, admission) in zip(bodies, chunk.table, strict=True):
        assert (kind, request_id) == (type_of(body), request_id_of(body))
        assert admission == CLASSES[kind]
        decoder = DECODERS[kind]
        if decoder is None:
            continue
        try:
            decoded = decoder.decode(body)
        except DECODE_FAULTS:
            continue
        assert decoded.request_id == request_id
        assert 0 < request_id <= INT_MAX


@pytest.mark.parametrize("missing", [1, 3, len(encode_frame(REQUESTS[0])) - 1])
def test_frames_that_are_not_whole_are_no_chunk(missing: int) -> None:
    whole = encode_frame(REQUESTS[0])
    with pytest.raises(ProtocolError, match="no whole frame"):
        chunk_of(whole + whole[:-missing])
    assert chunk_of(b"") == Chunk(b"", 0, NO_CLASS)


def run_of(*requests: Request) -> Run:
    return Run(3, 7, 0, chunk_of_requests(*requests))


def busy_orders(admission: int, _start: int, _end: int) -> int:
    return BUSY if admission == ORDER else 0


@pytest.mark.parametrize("seed", range(30))
def test_pieces_hold_the_same_frames_and_each_has_one_answer(seed: int) -> None:
    source = random.Random(seed)
    numbers = source.choices(range(len(REQUESTS)), k=source.randint(1, 40))
    run = run_of(*(REQUESTS[number] for number in numbers))
    pieces = run.split(busy_orders)
    assert b"".join(piece.chunk.frames for piece in pieces) == run.chunk.frames
    expected = [BUSY if OF_REQUESTS[number] == ORDER else 0 for number in numbers]
    assert [piece.admit for piece in pieces for _ in piece.chunk.table] == expected
    assert all(a.admit != b.admit for a, b in pairwise(pieces))
    assert {(piece.connection, piece.attach) for piece in pieces} == {(3, 7)}
    assert all(piece.chunk == chunk_of(piece.chunk.frames) for piece in pieces)


def test_every_frame_is_shown_once_with_its_class_and_place() -> None:
    run = run_of(*REQUESTS)
    seen: list[tuple[int, bytes]] = []

    def decide(admission: int, start: int, end: int) -> int:
        seen.append((admission, frame(run.chunk.frames[start:end])))
        return 0

    assert run.split(decide)[0] is run
    assert seen == list(zip(OF_REQUESTS, map(encode_frame, REQUESTS), strict=True))


def test_a_run_refused_as_a_whole_stays_one() -> None:
    run = run_of(*REQUESTS)
    assert run.split(lambda *_: BUSY) == [msgspec.structs.replace(run, admit=BUSY)]


def test_a_part_is_a_chunk_of_its_own() -> None:
    whole = chunk_of_requests(*REQUESTS)
    for first in range(len(REQUESTS)):
        for after in range(first + 1, len(REQUESTS) + 1):
            assert whole.part(first, after) == chunk_of_requests(*REQUESTS[first:after])
