"""Logon: the challenge, the check of its answer, and what a proven key grants.

Owns the server's side of a logon; no sockets, no waiting. Called from the Trio loop;
hpe/access/proofs.py defines the signed bytes. Guarantees: to a stranger, an unknown key, a key of
another scheme and a bad proof take the same work and look the same. Only a client that proved its
key learns that the key may not act for a user.
Source: protocol.md, "Logon".
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

from hpe.access import ed25519
from hpe.access.keys import Keys, Scheme, new_secret
from hpe.access.proofs import SCHEME_OF_LENGTH, is_proof, new_nonce, proven_bytes
from hpe.errors import InvariantViolation
from hpe.machine import THIS_MACHINE, Machine
from hpe.protocol.codes import ErrorCode
from hpe.protocol.control import Hello, Logon
from hpe.protocol.enums import Role
from hpe.protocol.internal import KeySetting, KeysValid
from hpe.protocol.limits import INT_MAX


class Grant(NamedTuple):
    """What a connection may do: its proven key ("" for none), role, and users to act for."""

    key_id: str
    role: Role
    user_first: int
    user_last: int

    @property
    def key_number(self) -> int:
        """Return the number of the key in the core's state; 0 if no keys are required."""
        return number_of(self.key_id) if self.key_id else 0


def number_of(key_id: str) -> int:
    """Return the number of a key in the core's state."""
    digest = hashlib.sha256(key_id.encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1 or 1


def keys_valid(keys: Keys) -> KeysValid:
    """Return the command that lists the valid keys. Secrets and users do not affect it."""
    rows = sorted((number_of(entry.id), entry.role) for entry in keys.values())
    return KeysValid(1, [KeySetting(number, role) for number, role in rows])


class LogonRefusal(NamedTuple):
    """A refused logon: what the client is told, and what the operator is told."""

    code: ErrorCode
    reason: str


UNKNOWN_KEY: Final = LogonRefusal(ErrorCode.AUTHENTICATION_FAILED, "unknown key")
OTHER_SCHEME: Final = LogonRefusal(ErrorCode.AUTHENTICATION_FAILED, "proof of another scheme")
WRONG_PROOF: Final = LogonRefusal(ErrorCode.AUTHENTICATION_FAILED, "wrong proof")
OTHER_REQUEST: Final = LogonRefusal(
    ErrorCode.AUTHENTICATION_FAILED, "request id is not that of hello"
)
WRONG_USER: Final = LogonRefusal(ErrorCode.USER_NOT_ALLOWED, "the key may not act for this user")

ANONYMOUS: Final = Grant("", Role.ANONYMOUS, 1, INT_MAX)
"""The grant of every client when no keys are required."""


class Authenticator:
    """Verifies clients by the keys of one key file.

    Args:
        keys: None admits every client as anonymous; an empty mapping admits none.
        connections_max: of one key.
        machine: where nonces come from.

    Raises:
        ConfigError: a key's scheme needs a package that is not installed.
    """

    def __init__(
        self,
        keys: Keys | None,
        connections_max: int = INT_MAX,
        machine: Machine = THIS_MACHINE,
    ) -> None:
        self._machine = machine
        self.required = keys is not None
        self._connections_max = connections_max
        self._connections: dict[str, int] = {}
        self._keys: Keys = {}
        # Used in place of keys that do not exist, so that a wrong id costs what a wrong proof does.
        self._nobody = {Scheme.HMAC_SHA256: new_secret(machine)}
        self.take(keys or {})

    def challenge(self) -> bytes:
        """Return the nonce of a `challenge`; it does not reveal whether the key is known."""
        return new_nonce(self._machine)

    def check(
        self, hello_body: bytes, hello: Hello, server_nonce: bytes, logon: Logon
    ) -> Grant | LogonRefusal:
        """Check a logon against the current keys.

        Args:
            hello_body: the bytes of hello as received, without the length prefix.
            hello: the same, decoded.
            server_nonce: the challenge to this hello; a second check needs a new one.
            logon: the answer.

        Returns:
            What the connection may do, or why it is refused.
        """
        message = proven_bytes(server_nonce, logon.nonce, hello_body)
        entry = self._keys.get(hello.key_id)
        # The work depends on what the stranger sent, never on what the key would be.
        scheme = SCHEME_OF_LENGTH.get(len(logon.signature))
        if scheme is None or scheme not in self._nobody:
            return UNKNOWN_KEY if entry is None else OTHER_SCHEME
        known = entry is not None and entry.scheme is scheme
        secret = entry.secret if entry is not None and known else self._nobody[scheme]
        proven = is_proof(scheme, secret, logon.signature, message)
        if entry is None:
            return UNKNOWN_KEY
        if not known or not proven:
            return WRONG_PROOF if known else OTHER_SCHEME
        users = entry.range_of(hello.user)
        return WRONG_USER if users is None else Grant(entry.id, entry.role, *users)

    def enter(self, grant: Grant, session_id: int) -> bool:
        """Count a connection of a key, unless the key has too many.

        A client that comes back to its session may find its dead connection still counted, so for
        resumed sessions there are as many places again.
        """
        count = self._connections.get(grant.key_id, 0)
        bound = 2 * self._connections_max if session_id else self._connections_max
        if count >= bound and grant.key_id:
            return False
        self._connections[grant.key_id] = count + 1
        return True

    def leave(self, grant: Grant) -> None:
        """Stop counting a connection."""
        self._connections[grant.key_id] -= 1
        if self._connections[grant.key_id] < 0:
            raise InvariantViolation(f"more connections of key {grant.key_id} ended than began")
        if not self._connections[grant.key_id]:
            del self._connections[grant.key_id]

    def take(self, keys: Keys) -> frozenset[str]:
        """Replace the keys.

        Returns:
            The ids of keys that were removed or changed: their connections must end.
        """
        if any(entry.scheme is Scheme.ED25519 for entry in keys.values()):
            stranger = ed25519.public_key(ed25519.new_private_key(self._machine))
            self._nobody.setdefault(Scheme.ED25519, stranger)
        before, self._keys = self._keys, keys
        return frozenset(key_id for key_id, entry in before.items() if keys.get(key_id) != entry)
