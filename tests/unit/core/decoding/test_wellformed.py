"""The walk over MessagePack: where values end, and which bytes are not values."""

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpe.core.decoding.wellformed import DEPTH_MAX, Malformed, ValueKind, read_value, value_end
from tests.support.msgpack_forms import MALFORMED, well_formed

NESTED = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text()
    | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


def depth(value):
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@pytest.mark.parametrize("encoded", sorted(set(well_formed())), ids=lambda b: b[:12].hex())
def test_every_form_ends_where_it_ends(encoded):
    assert value_end(encoded + b"\x07") == len(encoded)
    for cut in range(len(encoded)):
        with pytest.raises(Malformed):
            value_end(encoded[:cut])


@pytest.mark.parametrize("encoded", MALFORMED, ids=lambda b: b[:12].hex())
def test_what_is_no_value_is_refused(encoded):
    with pytest.raises(Malformed):
        value_end(encoded)


@given(NESTED)
def test_what_a_library_writes_is_well_formed(value):
    encoded = msgpack.packb(value)
    if depth(value) <= DEPTH_MAX:
        assert value_end(encoded) == len(encoded)
    else:
        with pytest.raises(Malformed, match="inside each other"):
            value_end(encoded)


@given(st.binary(max_size=40))
def test_arbitrary_bytes_are_judged_as_a_library_judges_them(body):
    try:
        end = value_end(body)
    except Malformed:
        end = None
    if end is not None:
        msgspec.msgpack.decode(msgspec.Raw(body[:end]), type=msgspec.Raw)
        with pytest.raises(Malformed):
            value_end(body[: end - 1])


def test_values_are_read_where_they_stand():
    body = msgpack.packb([1, -5, "é", b"xy", True, None, {"a": 1}, 2**64 - 1])
    kinds, position = [], read_value(body, 0).end
    for _ in range(8):
        value = read_value(body, position)
        kinds.append((value.kind, value.number, body[value.start : value.end]))
        position = value_end(body, position)
    assert kinds == [
        (ValueKind.INTEGER, 1, b""),
        (ValueKind.INTEGER, -5, b""),
        (ValueKind.STRING, 0, "é".encode()),
        (ValueKind.BINARY, 0, b"xy"),
        (ValueKind.BOOL, 1, b""),
        (ValueKind.NIL, 0, b""),
        (ValueKind.MAP, 2, b""),
        (ValueKind.INTEGER, 2**64 - 1, b""),
    ]
    assert position == len(body)
