"""Every form that MessagePack has for a value, with numbers and lengths at the edges of ranges."""

from __future__ import annotations

import math
from collections.abc import Iterator
from struct import Struct, error, pack
from typing import Final

_EDGES: Final = (0, 1, 6, 7, 32, 64, 128, 1_000, 16_384, 65_536, 10**6, 2**31, 2**32, 2**62, 2**63)
_INTEGER_FORMS: Final = tuple(
    (first, Struct(form))
    for first, form in zip(
        range(0xCC, 0xD4), (">B", ">H", ">I", ">Q", ">b", ">h", ">i", ">q"), strict=True
    )
)
_TEXTS: Final = (
    "", "a", "BTC", "BTC/USD", "A-._9", "a b", "a\n", "\x00", "a" * 32, "a" * 33,
    "x" * 48, "x" * 49, "é" * 32, "é" * 64, "é" * 65, "~" * 97, "~" * 98,
)  # fmt: skip

MALFORMED: Final = (
    b"", b"\xc1", b"\xd9", b"\xd9\x05ab", b"\xa3ab", b"\xcf\x00", b"\xca\x00", b"\xc4\x02a",
    b"\xd4\x01", b"\xc7\x01\x05", b"\x91", b"\x92\x01", b"\x81\x01", b"\xdc\x00",
    b"\xde\x00\x01\x01",
    b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xa2\xff\xfe", b"\xa3\xed\xa0\x80",
    b"\xa1\xc0", b"\x91" * 9 + b"\x01",
)  # fmt: skip
"""Malformed values: truncated, the unused first byte, strings that are not UTF-8, too deep."""


def well_formed() -> Iterator[bytes]:
    """Yield encoded values."""
    yield from (b"\xc0", b"\xc2", b"\xc3")
    yield from _integers()
    for number in (0.0, 1.0, 1.5, -1.0, math.inf, math.nan):
        yield b"\xca" + pack(">f", number)
        yield b"\xcb" + pack(">d", number)
    for text in _TEXTS:
        yield from _sized(text.encode(), fixed=(0xA0, 32), first=0xD9)
    for length in (0, 1, 31, 32, 33, 64, 65):
        yield from _sized(bytes(length), fixed=None, first=0xC4)
    yield from (b"\xd4\x01a", b"\xd5\x01ab", b"\xd6\xff" + bytes(4), b"\xd7\xff" + bytes(8))
    yield from (b"\xd8\x00" + bytes(16), b"\xc7\x0c\xff" + bytes(12), b"\xc7\x00\x05")
    for count in (0, 1, 2, 6, 7, 15):
        for header in (bytes([0x90 | count]), pack(">BH", 0xDC, count), pack(">BI", 0xDD, count)):
            yield header + b"\x01" * count
    yield from (b"\x80", b"\x81\x01\x02", b"\xde\x00\x01\x01\x02", b"\xdf\x00\x00\x00\x01\x01\x02")
    yield from (b"\x81\x90\x01", b"\x81\xc0\xc0", b"\x91" * 7 + b"\x01")


def _integers() -> Iterator[bytes]:
    for edge in _EDGES:
        for number in {edge - 1, edge, edge + 1, -edge}:
            if -32 <= number < 128:
                yield bytes([number & 0xFF])
            for first, form in _INTEGER_FORMS:
                try:
                    yield bytes([first]) + form.pack(number)
                except error:
                    pass  # this form is too short for this number
    yield b"\xcf" + b"\xff" * 8


def _sized(content: bytes, fixed: tuple[int, int] | None, first: int) -> Iterator[bytes]:
    length = len(content)
    if fixed is not None and length < fixed[1]:
        yield bytes([fixed[0] | length]) + content
    for form, number in ((">BB", first), (">BH", first + 1), (">BI", first + 2)):
        if length < 256 or form != ">BB":
            yield pack(form, number, length) + content
