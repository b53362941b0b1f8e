"""One module looks at the bytes of frames: nobody else unpacks a prefix or reads a type byte."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

import pytest

from tests.conftest import PROJECT_ROOT

FRAMES: Final = "hpe/protocol/frames.py"

ALLOWED: Final = {
    "hpe/core/decoding/wellformed.py": "decides what is MessagePack, inside a body",
    "hpe/core/codec.py": "makes the header of an array",
    "hpe/core/contract.py": "rows of the tables of an output",
    "hpe/core/output/market_data.py": "Batch.wanted, and what a checksum is over",
    "hpe/net/delivery/topics.py": "Batch.wanted",
    "hpe/client/maintained_book.py": "what a checksum is over",
    "hpe/wal/format.py": "the log's own layout",
    "hpe/wal/log.py": "the log's own layout",
    "hpe/wal/mark.py": "the log's own layout",
    "hpe/access/ed25519.py": "numbers of the curve, little-endian",
    "hpe/net/logon.py": "a number out of a digest",
    "hpe/machine.py": "a random number",
    "hpe/cli/replay.py": "a random number",
}
"""Other modules that read or write binary, and what that is."""

ALLOWED_COMPILED: Final = {
    "hpe/core/compiled/wellformed.pxd": "decides what is MessagePack, inside a body",
    "hpe/core/compiled/judging.pxd": "decodes a body in one reading, from its header on",
    "hpe/core/compiled/buffers.pxd": "makes the header of an array",
}
"""The same of compiled modules."""

HEADERS: Final = re.compile(r"\b0x(90|9f|dc)\b|\\xdc", re.IGNORECASE)
"""Array headers, which say where the type byte is."""

STRUCTS: Final = ("Struct", "struct.Struct")

SOURCES: Final = sorted(
    str(path.relative_to(PROJECT_ROOT)) for path in (PROJECT_ROOT / "hpe").rglob("*.py")
)


def looks_at_bytes(source: str) -> Iterator[str]:
    """Yield what a module does that only a walk over frames needs."""
    yield from (header[0] for header in HEADERS.finditer(source))
    for node in ast.walk(ast.parse(source)):
        found = isinstance(node, ast.Attribute) and node.attr in ("from_bytes", "unpack_from")
        found |= isinstance(node, ast.Call) and ast.unparse(node.func) in STRUCTS
        found |= isinstance(node, ast.Subscript) and is_frame_without_prefix(node)
        if found:
            yield ast.unparse(node)


def is_frame_without_prefix(node: ast.Subscript) -> bool:
    """True for `frame[4:]` and the like."""
    place = node.slice
    start = place.lower if isinstance(place, ast.Slice) else place
    whose = ast.unparse(node.value).rpartition(".")[2]
    called = any(name in whose for name in ("frame", "body", "buffer"))
    return called and isinstance(start, ast.Constant) and start.value in (4, 5, 7)


def test_one_compiled_module_looks_at_the_heads_of_frames() -> None:
    found = {
        str(path.relative_to(PROJECT_ROOT))
        for path in (PROJECT_ROOT / "hpe").rglob("*.p[yx][xd]")
        if HEADERS.search(path.read_text())
    }
    assert found == {"hpe/protocol/_frames.pxd", *ALLOWED_COMPILED}


def test_what_is_allowed_is_there() -> None:
    for name in (FRAMES, *ALLOWED):
        assert list(looks_at_bytes((PROJECT_ROOT / name).read_text())), name


@pytest.mark.parametrize("name", [name for name in SOURCES if name not in (FRAMES, *ALLOWED)])
def test_no_other_module_looks_at_the_bytes_of_frames(name: str) -> None:
    assert not list(looks_at_bytes((PROJECT_ROOT / name).read_text()))


@pytest.mark.parametrize(
    "source",
    [
        "int.from_bytes(frames[:4], 'big')",
        "length_at = Struct('>I').unpack_from",
        "kind = frames[at + (7 if frames[at + 4] == 0xDC else 5)]",
        "number = body[1] if 0x90 <= body[0] <= 0x9F else -1",
        "decode(frame[4:])",
        "run.frames[5]",
    ],
)
def test_a_walker_is_found(source: str) -> None:
    assert list(looks_at_bytes(source))
