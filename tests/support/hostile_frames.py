"""Hostile frames by the million, in process: bodies that are almost requests, from one seed.

Most are examples of protocol.md with something wrong that a table could get wrong: a value of
another form or out of its range, a field missing or too many, an array inside an array; the others
are such requests with bytes changed, and noise. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from random import Random
from struct import pack
from typing import Any, Final

import msgpack

from hpe.protocol.base import type_number
from hpe.protocol.registry import COMMANDS, CONTROL, QUERIES
from tests.conftest import PROJECT_ROOT
from tests.support import protocol_document as document
from tests.support.msgpack_forms import MALFORMED, well_formed

FORMS: Final = (*well_formed(), *MALFORMED)
NUMBERS: Final = (
    0,
    1,
    2,
    3,
    5,
    7,
    100,
    1_000,
    2**31 - 1,
    2**31,
    2**62,
    2**62 + 1,
    2**63 - 1,
    2**63,
)
TEXTS: Final = ("", "A", "BTC/USD", "A B", "~" * 48, "~" * 49, "é", "\x7f", "A" * 97, "A" * 98)
REQUESTS: Final = (*CONTROL, *QUERIES, *COMMANDS)
TYPES: Final = tuple(map(type_number, REQUESTS))
TERMS: Final = 6
"""Fields of the array inside submit_order."""


def hostile_bodies(seed: int) -> Iterator[bytes]:
    """Yield bodies forever; equal seeds give equal bodies."""
    random = Random(seed)
    while True:
        body = _request(random)
        match random.randrange(10):
            case 0:
                body = random.randbytes(random.randrange(40))
            case 1 | 2:
                body = _mutated(random, body)
            case 3:
                body = bytes([0x93, random.choice(TYPES), 1]) + body
            case 4 | 5:
                body = _order_with_terms(random)
        yield body


def _request(random: Random) -> bytes:
    """Return an example of the document, often with a field or two replaced."""
    return spoiled(random, random.choice(_examples()))


def spoiled(random: Random, request: list[Any]) -> bytes:
    """Encode a request, often with a field or two missing, too many or replaced."""
    kind, request_id, *values = request
    parts = [bytes(msgpack.packb(each)) for each in (request_id, *values)]
    if random.random() < 0.2:
        del parts[random.randrange(len(parts)) :]
    parts += [_value(random) for _ in range(random.choice((0, 0, 0, 0, 1, 2)))]
    for _ in range(random.choice((0, 1, 1, 2)) if parts else 0):
        parts[random.randrange(len(parts))] = _value(random)
    number = bytes([kind]) if random.random() < 0.98 else random.choice(FORMS)
    return _header(random, len(parts) + 1) + number + b"".join(parts)


def _order_with_terms(random: Random) -> bytes:
    """Return an order with something wrong inside its array of terms, and perhaps after it."""
    inner = [b"\x00"] * random.randrange(TERMS + 2)
    for _ in range(random.choice((0, 1, 1, 2)) if inner else 0):
        inner[random.randrange(len(inner))] = _value(random)
    terms = _header(random, len(inner)) + b"".join(inner)
    behind = [] if random.random() < 0.5 else [_value(random)]
    order = [64, 9, 1, 0, 1, 2, 1, 100, 5, 0, 0]
    parts = [*(bytes(msgpack.packb(each)) for each in order), terms, *behind]
    return _header(random, len(parts)) + b"".join(parts)


@cache
def _examples() -> list[list[Any]]:
    """Return the values of the requests that clients may send."""
    text = (PROJECT_ROOT / "protocol.md").read_text(encoding="utf-8")
    return [
        msgpack.unpackb(example.frame[4:])
        for message in document.messages(text)
        if message.direction == "request" and message.type_number in TYPES
        for example in message.examples
    ]


def _value(random: Random) -> bytes:
    roll = random.random()
    if roll < 0.35:
        return random.choice(FORMS)
    if roll < 0.5:
        inner = [random.choice(NUMBERS) for _ in range(random.randrange(TERMS + 2))]
        parts = [msgpack.packb(each) for each in inner]
        if parts and random.random() < 0.5:
            parts[random.randrange(len(parts))] = random.choice(FORMS)
        return _header(random, len(parts)) + b"".join(parts)
    value: Any = random.choice((*NUMBERS, *TEXTS, True, False, None, -1, 1.0, b"x"))
    return bytes(msgpack.packb(value))


def _header(random: Random, count: int) -> bytes:
    roll = random.random()
    if roll < 0.02:
        return pack(">BI", 0xDD, count)
    return bytes([0x90 | count]) if count < 16 and roll < 0.9 else pack(">BH", 0xDC, count)


def _mutated(random: Random, body: bytes) -> bytes:
    changed = bytearray(body)
    for _ in range(random.randrange(1, 4)):
        at = random.randrange(len(changed) + 1)
        match random.randrange(4):
            case 0:
                del changed[at:]
            case 1:
                changed[at:at] = random.randbytes(random.randrange(1, 4))
            case 2:
                changed[at : at + 1] = b""
            case _ if at < len(changed):
                changed[at] ^= 1 << random.randrange(8)
    return bytes(changed)
