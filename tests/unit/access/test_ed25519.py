"""Ed25519: signatures of the standard, and public keys that prove nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpe.access import ed25519
from hpe.access.key_files import load_keys
from hpe.access.keys import parse_public_key
from hpe.errors import ConfigError
from tests.unit.access.test_keys import row, write


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys.json"


def test_ed25519_gives_the_signature_of_rfc_8032():
    private = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    public = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert ed25519.public_key(private) == public
    assert ed25519.sign(private, b"\x72") == signature
    assert ed25519.verify(public, signature, b"\x72")
    assert not ed25519.verify(public, signature, b"\x73")
    assert not ed25519.verify(public, bytes(64), b"\x72")
    assert not ed25519.verify(bytes(32), signature, b"\x72")


SMALL_ORDERS = (
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
)
"""All points whose order divides eight."""

NO_POINTS = {
    "0100000000000000000000000000000000000000000000000000000000000080": "no point on the curve",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff": "no point on the curve",
    "0200000000000000000000000000000000000000000000000000000000000000": "no point on the curve",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f": "beyond the field",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f": "beyond the field",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff": "beyond the field",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff": "beyond the field",
}
FAULTY_KEYS = {**dict.fromkeys(SMALL_ORDERS, "a point of small order"), **NO_POINTS}


def test_a_constant_signature_fits_a_key_of_small_order():
    """Why such keys are refused: R the neutral point and s zero prove every message."""
    neutral = bytes.fromhex(SMALL_ORDERS[2])
    for number in range(5):
        assert ed25519.verify(neutral, neutral + bytes(32), b"message %d" % number)


@pytest.mark.parametrize(("public", "fault"), FAULTY_KEYS.items())
def test_public_keys_that_prove_nothing_are_refused(path, public, fault):
    assert fault in ed25519.fault_of_public_key(bytes.fromhex(public))
    with pytest.raises(ConfigError, match=f"^--public-key: found .*{fault}") as caught:
        parse_public_key(public, "--public-key")
    assert public not in str(caught.value)
    write(path, {"version": 1, "keys": [row(scheme="ed25519", secret=None, public_key=public)]})
    with pytest.raises(ConfigError, match=rf"keys\[0\] \(a\): public_key: found .*{fault}"):
        load_keys(path)


@given(private=st.binary(min_size=32, max_size=32))
def test_public_keys_of_key_pairs_are_good(private):
    assert ed25519.fault_of_public_key(ed25519.public_key(private)) == ""


def test_ed25519_draws_keys_anew():
    assert len({ed25519.new_private_key() for _ in range(10)}) == 10
