"""The record: one chain of bytes that any log can carry."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpe.errors import WalWriteError
from hpe.wal.log import GENESIS_HASH, RECORD_BYTES_MAX, Record, record_hash

RECORD = Record(3, 5, bytes(range(16)), (b"first", b"", b"third"))


def test_golden_bytes():
    """Changing these is a change of format: raise FORMAT_VERSION."""
    assert RECORD.encode().hex() == (
        "48505232"  # HPR2
        "00000001"
        "00000000"
        "00000003"
        "0000000000000000"
        "0000000000000003"
        "0000000000000005"
        "000102030405060708090a0b0c0d0e0f"
        "00000005" + b"first".hex() + "00000000" + "00000005" + b"third".hex()
    )
    assert record_hash([RECORD.encode()]).hex() == "a1d9fc9906dda1e9fda96319a6e01123"
    assert record_hash(RECORD.parts()) == record_hash([RECORD.encode()])


@given(
    st.integers(1, 2**63),
    st.integers(0, 2**62),
    st.binary(min_size=16, max_size=16),
    st.lists(st.binary(max_size=40), min_size=1, max_size=5),
)
def test_round_trip(first, extra, previous_hash, bodies):
    record = Record(first, first + extra, previous_hash, tuple(bodies))
    assert Record.decode(record.encode()) == record


def test_every_truncation_and_extension_is_refused():
    encoded = RECORD.encode()
    for length in range(len(encoded)):
        with pytest.raises(ValueError, match=r"record|body"):
            Record.decode(encoded[:length])
    with pytest.raises(ValueError, match="1 bytes follow"):
        Record.decode(encoded + b"x")


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (Record(0, 5, GENESIS_HASH, (b"x",)), "not a range of sequences"),
        (Record(6, 5, GENESIS_HASH, (b"x",)), "not a range of sequences"),
        (Record(1, 5, GENESIS_HASH, ()), "at least one body"),
    ],
)
def test_impossible_records_are_refused(record, words):
    with pytest.raises(ValueError, match=words):
        Record.decode(record.encode())


def test_foreign_bytes_are_refused():
    with pytest.raises(ValueError, match="starts with b'HPR2', found b'HPR1'"):
        Record.decode(b"HPR1" + RECORD.encode()[4:])


@pytest.mark.parametrize(
    ("offset", "words"),
    [(7, "found 3, 0, 0"), (11, "found 1, 2, 0"), (23, "found 1, 0, 2")],
    ids=["kind", "shard", "epoch"],
)
def test_a_record_of_another_kind_shard_or_epoch_is_refused(offset, words):
    """They are kept for a replicated log; in a local one nothing may be read over."""
    encoded = bytearray(RECORD.encode())
    encoded[offset] ^= 2
    with pytest.raises(ValueError, match=f"kind 1, shard 0, epoch 0; {words}"):
        Record.decode(bytes(encoded))


def test_a_record_that_is_too_long_is_refused():
    room = RECORD_BYTES_MAX - 56 - 4
    assert len(Record(1, 1, GENESIS_HASH, (bytes(room),)).encode()) == RECORD_BYTES_MAX
    with pytest.raises(WalWriteError, match=f"{RECORD_BYTES_MAX + 1} bytes; at most"):
        Record(1, 1, GENESIS_HASH, (bytes(room + 1),)).encode()


def test_the_hash_covers_every_byte():
    encoded = RECORD.encode()
    hashes = {record_hash([encoded])}
    for index in range(len(encoded)):
        altered = bytearray(encoded)
        altered[index] ^= 1
        hashes.add(record_hash([bytes(altered)]))
    assert len(hashes) == len(encoded) + 1
