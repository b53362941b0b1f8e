"""The compiled frame scanner finds what the plain one finds, in whatever bytes."""

from __future__ import annotations

import random
from itertools import islice

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hpe import extensions
from hpe.protocol import frames, registry
from hpe.protocol.admission import CONTROL, NO_CLASS
from hpe.protocol.frames import _PADDING, FRAMES_MAX, frame
from hpe.protocol.limits import REQUEST_BYTES_MAX
from hpe.protocol.vectors import vectors_of
from tests.support.hostile_frames import hostile_bodies

if not extensions.is_used("hpe.protocol._frames"):
    # With HPE_COMPILED=1, as in CI, is_used raises instead.
    pytest.skip("hpe.protocol._frames is not built, or HPE_COMPILED=0", allow_module_level=True)

from hpe.protocol import _frames

REQUESTS = [
    msgspec.msgpack.encode(vector)
    for message in (*registry.CONTROL, *registry.QUERIES, *registry.COMMANDS, *registry.INTERNAL)
    for vector in vectors_of(message).values()
]
LENGTHS = (1, REQUEST_BYTES_MAX)
FORMS = ["05", "7f", "80", "c0", "cb4014000000000000", "d40105", "e0", "ff"]
FORMS += ["cc00", "cc05", "ccff", "cd0000", "cdffff", "ce00000000", "ceffffffff"]
FORMS += ["cf" + "00" * 8, "cf7f" + "ff" * 7, "cf80" + "00" * 7, "cf" + "ff" * 8]
FORMS += ["d000", "d07f", "d080", "d0ff", "d17fff", "d18000", "d27fffffff", "d280000000"]
FORMS += ["d3" + "00" * 8, "d37f" + "ff" * 7, "d380" + "00" * 7, "d3" + "ff" * 8]
HEADERS = ["90", "91", "98", "9f", "dc0000", "dc0008", "dcffff", "dd00000008", "80", "c4"]
KINDS = ["00", "01", "1f", "20", "3f", "40", "41", "60", "6f", "70", "7f", "80", "c3", "ff"]


def scan_both(
    stream: bytes,
    first: int = 0,
    lengths: tuple[int, int] = LENGTHS,
    frames_max: int = FRAMES_MAX,
    alone: int = CONTROL,
) -> int:
    """Compare both forms on one stream; return where they stopped."""
    arguments = (stream + _PADDING, first, len(stream), lengths, frames_max, alone)
    plain = frames._scan(*arguments)
    compiled = _frames.scan(*arguments)
    assert compiled == plain
    whole = stream[first : compiled[2]]
    rows = _frames.rows_of(whole)
    assert rows == frames._rows_of(whole)
    assert len(rows) == compiled[0]
    assert all(type(row) is tuple for row in rows)
    return compiled[2]


def read_both(body: bytes) -> None:
    """Compare both forms of what reads heads, at every end and every start."""
    for end in range(len(body) + 1):
        assert _frames.read_head(body, 0, end) == frames._read_head(body, 0, end)
    for start in range(len(body) + 1):
        assert _frames.read_head(body, start, len(body)) == frames._read_head(
            body, start, len(body)
        )
        assert _frames.request_id(body, start, len(body)) == frames._request_id(
            body, start, len(body)
        )


def test_the_compiled_form_serves_where_it_is_built() -> None:
    assert frames.scan is _frames.scan
    assert frames.rows_of is _frames.rows_of
    assert frames.read_head is _frames.read_head
    assert extensions.sources_digest("hpe.protocol._frames") == _frames.SOURCES_DIGEST


@pytest.mark.parametrize("body", REQUESTS, ids=lambda body: f"{body[1]}-{len(body)}")
def test_every_request_at_every_cut(body: bytes) -> None:
    before, after = frame(REQUESTS[0]), frame(REQUESTS[-1])
    for alone in (CONTROL, NO_CLASS):
        for stream in (frame(body), before + frame(body) + after, frame(body) * 2):
            stops = {scan_both(stream[:cut], alone=alone) for cut in range(len(stream) + 1)}
            assert len(frame(body)) in stops or len(before) in stops
    read_both(body)


def test_a_stream_of_all_requests_from_every_frame_and_at_every_bound() -> None:
    stream = b"".join(map(frame, REQUESTS))
    first = count = 0
    while first < len(stream):
        for frames_max in (0, 1, 2, 7, FRAMES_MAX):
            after = scan_both(stream, first, frames_max=frames_max)
        assert after > first
        first += 4 + int.from_bytes(stream[first : first + 4], "big")
        count += 1
    assert count == len(REQUESTS) > 100


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_form_of_an_id_behind_every_header(header: str, kind: str) -> None:
    for form in FORMS:
        for rest in (b"", bytes(9), b"\xff" * 9):
            body = bytes.fromhex(header + kind + form) + rest
            read_both(body)
            scan_both(frame(body) + frame(REQUESTS[0]))
            for cut in range(1, len(body)):
                scan_both(frame(body[:cut]) + frame(body))


@pytest.mark.parametrize("seed", range(4))
def test_bodies_that_are_almost_requests(seed: int) -> None:
    source = random.Random(seed)
    bodies = hostile_bodies(seed)
    for _ in range(150):
        stream = b"".join(map(frame, islice(bodies, source.randint(1, 12))))
        cut = source.randint(0, len(stream))
        scan_both(stream[:cut])
        damaged = bytearray(stream)
        damaged[source.randrange(len(damaged))] = source.randrange(256)
        scan_both(bytes(damaged), lengths=(source.choice((0, 1, 2)), source.choice((9, 64, 2_048))))


@given(
    st.lists(st.binary(max_size=24).map(frame) | st.binary(max_size=24), max_size=8).map(b"".join),
    st.integers(0, 12),
    st.tuples(st.integers(0, 3), st.integers(0, 40)),
    st.integers(0, 5),
    st.sampled_from([CONTROL, NO_CLASS]),
)
@example(b"\xff" * 30, 0, (0, 2**32), 5, CONTROL)
@example(b"\0" * 30, 2, (0, 2**62), 5, NO_CLASS)
def test_any_bytes(
    stream: bytes, first: int, lengths: tuple[int, int], frames_max: int, alone: int
) -> None:
    scan_both(stream, min(first, len(stream)), lengths, frames_max, alone)
    read_both(stream[:40])


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (0, 4), (3, 2**62), (-(2**62), 3)])
def test_nothing_is_read_outside_the_buffer(start: int, end: int) -> None:
    with pytest.raises(IndexError, match=rf"^{start}\.\.{end} is not inside 3 bytes$"):
        _frames.scan(b"abc", start, end, LENGTHS, 1, CONTROL)
    with pytest.raises(IndexError):
        _frames.read_head(b"abc", start, end)
    with pytest.raises(IndexError):
        _frames.request_id(b"abc", start, end)
