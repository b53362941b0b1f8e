"""Logon: what a proof proves, which clients are admitted, and that all refusals look alike."""

import hashlib
import hmac

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpe.access import ed25519, proofs
from hpe.access.keys import Key, KeyEntry, Scheme
from hpe.access.proofs import new_nonce, prove
from hpe.net import logon as module
from hpe.net.logon import (
    ANONYMOUS,
    OTHER_SCHEME,
    UNKNOWN_KEY,
    WRONG_PROOF,
    WRONG_USER,
    Authenticator,
    Grant,
    LogonRefusal,
)
from hpe.protocol.codes import ErrorCode
from hpe.protocol.control import Hello, Logon
from hpe.protocol.enums import Role
from hpe.protocol.limits import INT_MAX, PROTOCOL_VERSION

SECRET, OTHER = b"s" * 32, b"o" * 32
PRIVATE = b"p" * 32
SERVER_NONCE, CLIENT_NONCE = b"\x01" * 32, b"\x02" * 32

ENTRIES = (
    KeyEntry("trader", Scheme.HMAC_SHA256, Role.TRADER, (7, 8), SECRET),
    KeyEntry("gateway", Scheme.HMAC_SHA256, Role.GATEWAY, (1000, 1999), OTHER),
    KeyEntry("signer", Scheme.ED25519, Role.TRADER, (9,), ed25519.public_key(PRIVATE)),
    KeyEntry("feed", Scheme.HMAC_SHA256, Role.MARKET_DATA, (), SECRET),
    KeyEntry("ops", Scheme.HMAC_SHA256, Role.OPERATOR, (), SECRET),
)
KEYS = {entry.id: entry for entry in ENTRIES}
OWN = {
    "trader": Key("trader", SECRET),
    "gateway": Key("gateway", OTHER),
    "signer": Key("signer", PRIVATE, Scheme.ED25519),
    "feed": Key("feed", SECRET),
    "ops": Key("ops", SECRET),
}


def hello(key_id="trader", user=7, **values):
    return Hello(1, PROTOCOL_VERSION, user, key_id=key_id, **values)


def attempt(key, message, *, keys=KEYS, server_nonce=SERVER_NONCE, body=None, **changes):
    """Log on with a key; `changes` replace fields of the logon message."""
    sent = msgspec.msgpack.encode(message)
    fields = {"nonce": CLIENT_NONCE, "signature": prove(key, SERVER_NONCE, CLIENT_NONCE, sent)}
    logon = Logon(1, **{**fields, **changes})
    return Authenticator(keys).check(body or sent, message, server_nonce, logon)


def test_what_stands_for_a_key_in_the_log_never_changes():
    assert ANONYMOUS.key_number == 0
    assert Grant("desk-1", Role.TRADER, 7, 7).key_number == 7984251781909546729
    assert Grant("desk-2", Role.TRADER, 7, 7).key_number < 2**63


@pytest.mark.parametrize(
    ("key_id", "user", "grant"),
    [
        ("trader", 7, Grant("trader", Role.TRADER, 7, 7)),
        ("trader", 8, Grant("trader", Role.TRADER, 8, 8)),
        ("gateway", 1500, Grant("gateway", Role.GATEWAY, 1000, 1999)),
        ("signer", 9, Grant("signer", Role.TRADER, 9, 9)),
        ("feed", 5, Grant("feed", Role.MARKET_DATA, 5, 5)),
        ("ops", 5, Grant("ops", Role.OPERATOR, 1, INT_MAX)),
    ],
)
def test_a_proven_key_grants_its_role(key_id, user, grant):
    assert attempt(OWN[key_id], hello(key_id, user)) == grant


@pytest.mark.parametrize(
    ("key", "message", "reason"),
    [
        (Key("trader", OTHER), hello(), WRONG_PROOF),
        (OWN["trader"], hello("nobody"), UNKNOWN_KEY),
        (OWN["trader"], hello(""), UNKNOWN_KEY),
        (OWN["trader"], hello("gateway", 1000), WRONG_PROOF),
        (Key("trader", OTHER), hello(user=9), WRONG_PROOF),
        (Key("signer", OTHER, Scheme.ED25519), hello("signer", 9), WRONG_PROOF),
        (Key("trader", SECRET, Scheme.ED25519), hello(), OTHER_SCHEME),
        (Key("signer", ed25519.public_key(PRIVATE)), hello("signer", 9), OTHER_SCHEME),
    ],
    ids=[
        "wrong secret", "unknown key", "no key", "another's key", "wrong secret and user",
        "wrong private key", "wrong scheme", "the public key as a secret",
    ],
)  # fmt: skip
def test_a_key_that_is_not_proven_gives_nothing(key, message, reason):
    assert attempt(key, message) == reason
    assert reason.code is ErrorCode.AUTHENTICATION_FAILED


@pytest.mark.parametrize(
    ("key_id", "user"), [("trader", 9), ("gateway", 999), ("gateway", 2000), ("signer", 7)]
)
def test_only_a_proven_key_learns_that_the_user_is_not_its_own(key_id, user):
    assert attempt(OWN[key_id], hello(key_id, user)) == WRONG_USER
    assert WRONG_USER.code is ErrorCode.USER_NOT_ALLOWED


@pytest.mark.parametrize("key_id", ["trader", "signer"])
def test_a_proof_is_good_for_one_challenge_and_one_hello(key_id):
    key, message = OWN[key_id], hello(key_id, KEYS[key_id].users[0])
    body = msgspec.msgpack.encode(message)
    assert isinstance(attempt(key, message), Grant)
    assert isinstance(attempt(key, message, server_nonce=b"\x03" * 32), LogonRefusal)
    assert isinstance(attempt(key, message, nonce=b"\x03" * 32), LogonRefusal)
    assert isinstance(attempt(key, message, body=body + b"\0"), LogonRefusal)
    for change in ({"session_id": 1}, {"flags": 1}, {"window": 3}, {"client": "x"}):
        other = msgspec.structs.replace(message, **change)
        assert isinstance(attempt(key, message, body=msgspec.msgpack.encode(other)), LogonRefusal)


@pytest.mark.parametrize("key_id", ["trader", "signer"])
@given(data=st.data())
def test_a_proof_with_one_bit_changed_proves_nothing(key_id, data):
    key, message = OWN[key_id], hello(key_id, KEYS[key_id].users[0])
    signature = prove(key, SERVER_NONCE, CLIENT_NONCE, msgspec.msgpack.encode(message))
    bit = data.draw(st.integers(0, 8 * len(signature) - 1))
    changed = (int.from_bytes(signature, "big") ^ (1 << bit)).to_bytes(len(signature), "big")
    assert isinstance(attempt(key, message, signature=changed), LogonRefusal)


@given(signature=st.binary(min_size=32, max_size=64), key_id=st.sampled_from([*KEYS, "x", ""]))
def test_no_bytes_that_a_stranger_sends_do_more_than_nothing(signature, key_id):
    assert isinstance(attempt(OWN["trader"], hello(key_id), signature=signature), LogonRefusal)


def test_the_bytes_that_are_proven_are_those_of_the_document():
    body = msgspec.msgpack.encode(hello())
    proven = b"hpe logon 1\0" + SERVER_NONCE + CLIENT_NONCE + hashlib.sha256(body).digest()
    found = prove(OWN["trader"], SERVER_NONCE, CLIENT_NONCE, body)
    assert found == hmac.new(SECRET, proven, hashlib.sha256).digest()
    signed = prove(OWN["signer"], SERVER_NONCE, CLIENT_NONCE, body)
    assert ed25519.verify(ed25519.public_key(PRIVATE), signed, proven)


@pytest.mark.parametrize("key_id", ["trader", "signer", "nobody", ""])
@pytest.mark.parametrize("scheme", Scheme)
def test_the_work_follows_from_the_proof_and_not_from_the_key(key_id, scheme, monkeypatch):
    """Which key exists, and of which scheme it is, cannot be told from the time of an answer."""
    done = []
    honest = module.is_proof

    def count(scheme, secret, proof, message):
        done.append((scheme, len(secret)))
        return honest(scheme, secret, proof, message)

    monkeypatch.setattr(module, "is_proof", count)
    assert isinstance(attempt(Key("wrong", b"w" * 32, scheme), hello(key_id)), LogonRefusal)
    assert done == [(scheme, 32)]


def test_the_stand_in_secret_of_unknown_keys_admits_no_client():
    for zero in (bytes(32), bytes(64)):
        assert isinstance(attempt(OWN["trader"], hello("nobody"), signature=zero), LogonRefusal)
    assert isinstance(attempt(Key("nobody", bytes(32)), hello("nobody")), LogonRefusal)


@pytest.mark.parametrize("right", [True, False])
def test_secrets_are_compared_in_constant_time(monkeypatch, right):
    """The verdict is that of compare_digest and of nothing else."""
    monkeypatch.setattr(proofs.hmac, "compare_digest", lambda *_: right)
    for key in (OWN["trader"], Key("trader", OTHER)):
        assert isinstance(attempt(key, hello()), Grant) is right


def test_nonces_are_drawn_anew_for_everybody():
    nonces = {Authenticator(KEYS).challenge() for _ in range(100)} | {new_nonce()}
    assert {len(nonce) for nonce in nonces} == {32}
    assert len(nonces) == 101


def test_without_a_key_file_nothing_is_required():
    assert Authenticator(None).required is False
    assert ANONYMOUS == ("", Role.ANONYMOUS, 1, INT_MAX)


def test_an_empty_key_file_lets_nobody_in():
    assert Authenticator({}).required is True
    for key in OWN.values():
        assert isinstance(attempt(key, hello(key.id), keys={}), LogonRefusal)


def test_taking_other_keys_names_what_is_gone_or_changed():
    authenticator = Authenticator(KEYS)
    kept, gone, rotated = KEYS["feed"], KEYS["ops"], KEYS["gateway"]
    narrower = KEYS["trader"]
    after = {
        kept.id: kept,
        rotated.id: KeyEntry(rotated.id, rotated.scheme, rotated.role, rotated.users, b"n" * 32),
        narrower.id: KeyEntry("trader", narrower.scheme, narrower.role, (7,), narrower.secret),
        "signer": KEYS["signer"],
        "new": KeyEntry("new", Scheme.HMAC_SHA256, Role.OPERATOR, (), SECRET),
    }
    assert authenticator.take(after) == {gone.id, rotated.id, narrower.id}
    assert authenticator.take(dict(after)) == frozenset()

    def check(key, message):
        body = msgspec.msgpack.encode(message)
        logon = Logon(1, CLIENT_NONCE, prove(key, SERVER_NONCE, CLIENT_NONCE, body))
        return authenticator.check(body, message, SERVER_NONCE, logon)

    assert isinstance(check(OWN["ops"], hello("ops")), LogonRefusal)
    assert isinstance(check(OWN["gateway"], hello("gateway", 1000)), LogonRefusal)
    assert isinstance(check(OWN["trader"], hello(user=8)), LogonRefusal)
    assert isinstance(check(OWN["trader"], hello(user=7)), Grant)
    assert isinstance(check(Key("new", SECRET), hello("new")), Grant)


def test_signing_keys_may_come_later():
    authenticator = Authenticator({"trader": KEYS["trader"]})
    assert authenticator.take(KEYS) == frozenset()
    message = hello("signer", 9)
    body = msgspec.msgpack.encode(message)
    logon = Logon(1, CLIENT_NONCE, prove(OWN["signer"], SERVER_NONCE, CLIENT_NONCE, body))
    assert isinstance(authenticator.check(body, message, SERVER_NONCE, logon), Grant)
