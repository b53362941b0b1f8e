"""Bytes that are no request, or one in an unusual form: every fault that the decoder names.

Pure functions of a good body and a random source. Forms of MessagePack are those of
tests/support/msgpack_forms.py.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from struct import Struct, pack
from typing import Any, Final

import msgspec

from hpe.protocol.base import type_number
from hpe.protocol.limits import REQUEST_BYTES_MAX
from hpe.protocol.registry import COMMANDS, CONTROL, INTERNAL, QUERIES
from tests.support.hostile_frames import TEXTS, spoiled
from tests.support.msgpack_forms import MALFORMED, well_formed

EXTREMES: Final = (
    0, 1, 2, 5, 6, 7, 31, 32, 127, 128, 255, 256, 999_999, 1_000_000, 2**31 - 1, 2**31, 2**32,
    2**53, 2**62 - 1, 2**62, 2**62 + 1, 2**63 - 2, 2**63 - 1, 2**63, 2**64 - 1,
    -1, -32, -33, -128, -999_999, -1_000_000, -(2**31), -(2**62), -(2**63),
)  # fmt: skip
_VALUES: Final = (*EXTREMES, *TEXTS, True, False, None, 1.0, b"x", [], [1], {})
_FORMS: Final = (*well_formed(), *MALFORMED)
_TYPES: Final = tuple(map(type_number, (*CONTROL, *QUERIES, *COMMANDS, *INTERNAL)))
_UNSIGNED: Final = [(0xCC + n, Struct(f">B{letter}"), 256 << (8 * (2**n - 1)))
                    for n, letter in enumerate("BHIQ")]  # fmt: skip
_SIGNED: Final = [(0xD0 + n, Struct(f">B{letter}"), 1 << (8 * 2**n - 1))
                  for n, letter in enumerate("bhiq")]  # fmt: skip
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder().decode


def stretched(random: Random, body: bytes) -> bytes:
    """Return a request in other forms of the same values: longer integers and headers."""
    values = _decode(body)
    kind = bytes([values[0]])
    parts = [kind, *(_wide(random, value) for value in values[1:])]
    wide = random.random() < 0.4 or len(parts) > 15
    head = pack(">BH", 0xDC, len(parts)) if wide else bytes([0x90 | len(parts)])
    found = head + b"".join(parts)
    return found if len(found) <= REQUEST_BYTES_MAX else body


def _wide(random: Random, value: Any) -> bytes:
    """Encode one value in any form that can hold it."""
    if type(value) is int:
        forms = [(first, form) for first, form, bound in _UNSIGNED if 0 <= value < bound]
        forms += [(first, form) for first, form, bound in _SIGNED if -bound <= value < bound]
        if forms and random.random() < 0.7:
            first, form = random.choice(forms)
            return form.pack(first, value)
    if type(value) is list:
        inner = b"".join([_wide(random, each) for each in value])
        heads = [pack(">BH", 0xDC, len(value)), pack(">BI", 0xDD, len(value))]
        if len(value) < 16:
            heads.append(bytes([0x90 | len(value)]))
        return random.choice(heads) + inner
    if type(value) is str and random.random() < 0.5:
        text = value.encode()
        return random.choice((pack(">BB", 0xD9, len(text)), pack(">BH", 0xDA, len(text)))) + text
    return _encode(value)


def extreme(random: Random, body: bytes) -> bytes:
    """Put an integer at a bound into one of the fields, also into a nested one."""
    values = _decode(body)
    places = [(values, n) for n in range(1, len(values))]
    places += [(v, n) for v in values if type(v) is list for n in range(len(v))]
    for _ in range(random.choice((1, 1, 1, 2))):
        row, place = random.choice(places)
        if place != 1 or row is not values or random.random() < 0.1:
            row[place] = random.choice(EXTREMES)
    return _encode(values)


def _cut(random: Random, body: bytes) -> bytes:
    return body[: random.randrange(len(body))]


def _longer(random: Random, body: bytes) -> bytes:
    return body + random.choice((b"\x00", b"\xc1", b"\xff\xff", body))


def _unused_byte(random: Random, body: bytes) -> bytes:
    at = random.randrange(len(body))
    return body[:at] + b"\xc1" + body[at + 1 :]


def _replaced(random: Random, values: list[Any], part: bytes) -> bytes:
    """Encode values with one of them, behind the type, given as bytes."""
    parts = [_encode(value) for value in values]
    parts[random.randrange(1, len(parts))] = part
    return _head(len(parts)) + b"".join(parts)


def _head(count: int) -> bytes:
    return bytes([0x90 | count]) if count < 16 else pack(">BH", 0xDC, count)


def _deep(random: Random, body: bytes) -> bytes:
    depth = random.choice((5, 6, 7, 8, 9, 12))
    nested = random.choice((b"\x91", b"\x81\x01")) * depth + random.choice((b"\x01", b"\x90"))
    return _replaced(random, _decode(body), nested)


def _form(random: Random, body: bytes) -> bytes:
    return _replaced(random, _decode(body), random.choice(_FORMS))


def _not_an_array(random: Random, body: bytes) -> bytes:
    return random.choice(
        (b"", b"\x01", b"\xc0", b"\x80", b"\x81\x40\x01", b"\xa1A", b"\xdd\x00\x00\x00\x01\x40",
         b"\xcf" + bytes(8), b"\x90", b"\xdc\x00\x00", b"\xdd" + pack(">I", 2) + b"\x40\x01")
    )  # fmt: skip


def _other_type(random: Random, body: bytes) -> bytes:
    values = _decode(body)
    rest = b"".join([_encode(value) for value in values[1:]])
    kind = random.choice(
        (bytes([random.choice(_TYPES)]), bytes([random.randrange(128)]), b"\xcc\x40", b"\xe0",
         b"\xcd\x00\x40", b"\xd0\x40", b"\xc0", b"\xa1@", b"\xca\x00\x00\x00\x00", b"\x91\x40")
    )  # fmt: skip
    return _head(len(values)) + kind + rest


def _fields(random: Random, body: bytes) -> bytes:
    """Leave fields out, or put more behind the last one; also in a nested array."""
    values = _decode(body)
    inner = [value for value in values if type(value) is list]
    row = random.choice(inner) if inner and random.random() < 0.5 else values
    if random.random() < 0.5 and len(row) > 1:
        del row[random.randrange(1 if row is values else 0, len(row)) :]
    else:
        row += [random.choice(_VALUES) for _ in range(random.choice((1, 1, 2, 9)))]
    return _encode(values)


def _wrong_value(random: Random, body: bytes) -> bytes:
    values = _decode(body)
    values[random.randrange(1, len(values))] = random.choice(_VALUES)
    return _encode(values)


def _terms(random: Random, body: bytes) -> bytes:
    """Make an order whose array of terms is wrong somewhere."""
    terms: Any = [random.choice(_VALUES) for _ in range(random.randrange(9))]
    return _encode([64, random.randint(1, 99), 1, 0, 1, 2, 1, 5, 5, 0, 0, terms])


def _length(random: Random, body: bytes) -> bytes:
    """Announce another number of fields than there are."""
    count = (body[0] & 0x0F) if body[0] != 0xDC else body[2]
    return bytes([0x90 | max(0, min(15, count + random.choice((-1, 1))))]) + body[1:]


def _flipped(random: Random, body: bytes) -> bytes:
    changed = bytearray(body)
    for _ in range(random.randint(1, 3)):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _spoiled(random: Random, body: bytes) -> bytes:
    return spoiled(random, _decode(body))


def _noise(random: Random, body: bytes) -> bytes:
    return random.randbytes(random.randrange(30))


_GOES_ON: Final[tuple[Callable[[Random, bytes], bytes], ...]] = (
    _fields, _wrong_value, _terms, _other_type, _spoiled,
)  # fmt: skip
"""Mostly answered, and the connection goes on."""

_ENDS_IT: Final[tuple[Callable[[Random, bytes], bytes], ...]] = (
    _cut, _longer, _unused_byte, _deep, _form, _not_an_array, _length, _flipped, _noise,
)  # fmt: skip


def fault(random: Random, body: bytes) -> bytes:
    """Make something wrong of a good body; one in three mostly ends its connection."""
    make = random.choice(_GOES_ON if random.random() < 0.66 else _ENDS_IT)
    return make(random, body)[:REQUEST_BYTES_MAX]
