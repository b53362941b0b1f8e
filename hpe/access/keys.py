"""Keys: what a client proves its identity with, and what the service stores about each.

Owns the two sides of a key and the notation of the users that it may act for. Pure and immutable;
any thread may use it; key_files.py reads and writes the files. Guarantees: neither side's repr
shows a secret, and no error quotes one: errors quote only what cannot be a secret. Rules:
protocol.md, "Logon", and docs/operations.md, "Keys".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Self

from hpe.access import ed25519
from hpe.errors import ConfigError
from hpe.machine import THIS_MACHINE, Machine
from hpe.protocol.enums import Role
from hpe.protocol.limits import HOUSE_USER, INT_MAX

SECRET_BYTES: Final = 32
"""Length of every secret: HMAC-SHA256 gains nothing from more, and Ed25519 requires it."""

ROLE_NAMES: Final = {
    "trader": Role.TRADER,
    "gateway": Role.GATEWAY,
    "market-data": Role.MARKET_DATA,
    "operator": Role.OPERATOR,
}
"""The names of the roles that a key can have, in files and on the command line."""

_KEY_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_USER: Final = re.compile(r"[1-9][0-9]{0,18}")
_USERS: Final = re.compile(r"[0-9, -]*")


class Scheme(StrEnum):
    """How a key is proven: by a secret that both sides know, or by a signature."""

    HMAC_SHA256 = "hmac-sha256"
    ED25519 = "ed25519"


@dataclass(frozen=True, slots=True)
class Key:
    """The client's side of a key.

    Attributes:
        id: the id that `hello` names.
        secret: the shared secret, or the Ed25519 private key.
        scheme: how the secret is used.

    Raises:
        ConfigError: no key can have this id or secret.
    """

    id: str
    secret: bytes = field(repr=False)
    scheme: Scheme = Scheme.HMAC_SHA256

    def __post_init__(self) -> None:
        """Check the id and the secret's length; never quote the secret."""
        check_key_id(self.id)
        check_secret(self.secret, f"key {self.id}")

    @classmethod
    def from_text(cls, key_id: str, secret: str, scheme: str = Scheme.HMAC_SHA256) -> Self:
        """Make a key from the text that `hpe keys add` printed: the secret is hexadecimal."""
        check_key_id(key_id)
        return cls(key_id, parse_secret(secret, f"key {key_id}"), parse_scheme(scheme))


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """The service's side of a key.

    Attributes:
        id: the id that `hello` names.
        scheme: how the key is proven.
        role: what its sessions may do.
        users: a trader's accounts; a gateway's first and last user; empty for other roles.
        secret: the shared secret, or the Ed25519 public key.
    """

    id: str
    scheme: Scheme
    role: Role
    users: tuple[int, ...]
    secret: bytes = field(repr=False)

    @property
    def role_name(self) -> str:
        """The role's name in files and on the command line."""
        return next(name for name, role in ROLE_NAMES.items() if role is self.role)

    @property
    def users_text(self) -> str:
        """The users in the notation that `parse_users` reads."""
        return ("-" if self.role is Role.GATEWAY else ",").join(map(str, self.users))

    def range_of(self, user: int) -> tuple[int, int] | None:
        """Return the first and last user that `user`'s session may act for, None if not allowed."""
        match self.role:
            case Role.TRADER:
                return (user, user) if user in self.users else None
            case Role.GATEWAY:
                first, last = self.users
                return (first, last) if first <= user <= last else None
            case Role.MARKET_DATA:
                return user, user
            case _:
                return 1, INT_MAX


Keys = Mapping[str, KeyEntry]
"""Key id -> key, on the service's side."""


def new_secret(machine: Machine = THIS_MACHINE) -> bytes:
    """Return a new random secret for an HMAC key."""
    return machine.random_bytes(SECRET_BYTES)


def check_key_id(key_id: str) -> None:
    """Check that `hello` can carry this key id.

    Raises:
        ConfigError: it cannot.
    """
    if not _KEY_ID.fullmatch(key_id):
        # A secret pasted into the wrong place is longer than an id, so it is not quoted.
        found = repr(key_id) if len(key_id) <= 32 else f"{len(key_id)} characters"
        raise ConfigError(f"key id: found {found}; allowed: 1-32 letters, digits, '_', '.', '-'")


def check_secret(secret: bytes, where: str) -> None:
    """Check the length of a secret or public key.

    Raises:
        ConfigError: the length is wrong.
    """
    if len(secret) != SECRET_BYTES:
        raise ConfigError(f"{where}: found {len(secret)} bytes; allowed: {SECRET_BYTES}")


def parse_secret(text: str, where: str) -> bytes:
    """Return a secret or a public key from hexadecimal digits.

    Raises:
        ConfigError: the text is not such a number; it is not quoted.
    """
    try:
        secret = bytes.fromhex(text.strip())
    except ValueError:
        # The cause would quote a position in the secret.
        raise ConfigError(
            f"{where}: found text that is not hexadecimal; allowed: {2 * SECRET_BYTES} hexadecimal "
            "digits"
        ) from None
    check_secret(secret, where)
    return secret


def parse_public_key(text: str, where: str) -> bytes:
    """Return an Ed25519 public key from hexadecimal digits.

    Raises:
        ConfigError: it is not a public key, or one that proves nothing; the text is not quoted.
    """
    key = parse_secret(text, where)
    if fault := ed25519.fault_of_public_key(key):
        raise ConfigError(f"{where}: found {fault}; allowed: the public key of an Ed25519 key pair")
    return key


def parse_scheme(text: str, where: str = "scheme") -> Scheme:
    """Return the scheme of this name.

    Raises:
        ConfigError: no scheme has this name, or a package that it needs is not installed.
    """
    if text not in tuple(Scheme):
        raise ConfigError(f"{where}: allowed: {', '.join(Scheme)}")
    scheme = Scheme(text)
    if scheme is Scheme.ED25519:
        ed25519.require()
    return scheme


def parse_role(text: str, where: str = "role") -> Role:
    """Return the role of this name.

    Raises:
        ConfigError: no key can have a role of this name.
    """
    if text not in ROLE_NAMES:
        raise ConfigError(f"{where}: allowed: {', '.join(ROLE_NAMES)}")
    return ROLE_NAMES[text]


def parse_users(role: Role, text: str, where: str = "users") -> tuple[int, ...]:
    """Return the users: "7,8" for a trader, "1000-1999" for a gateway, "" for other roles.

    Raises:
        ConfigError: the text does not name users, or not in the role's notation.
    """
    # A secret in the wrong place contains letters, so it is not quoted.
    found = f"{where}: found {text!r}" if _USERS.fullmatch(text) else f"{where}: found other text"
    match role:
        case Role.TRADER:
            users = tuple(_user(word, found) for word in text.split(","))
            if len(set(users)) < len(users):
                raise ConfigError(f"{found}; allowed: every account once")
            return tuple(sorted(users))
        case Role.GATEWAY:
            first, dash, last = text.partition("-")
            if not dash:
                raise ConfigError(f"{found}; allowed: the range FIRST-LAST for a gateway")
            users = (_user(first, found), _user(last, found))
            if users[0] > users[1]:
                raise ConfigError(f"{found}; allowed: FIRST not above LAST")
            return users
        case _:
            if text:
                raise ConfigError(f"{found}; allowed: none for this role")
            return ()


def _user(word: str, found: str) -> int:
    if not _USER.fullmatch(word.strip()) or int(word) >= HOUSE_USER:
        raise ConfigError(
            f"{found}; allowed: users 1 to {HOUSE_USER - 1}, as 7,8 for a trader or 1000-1999 "
            "for a gateway"
        )
    return int(word)
