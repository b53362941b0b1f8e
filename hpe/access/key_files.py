"""Key files: secrets at rest, readable by their owner alone.

Owns two formats, both JSON: the service's key file (all keys, changed by `hpe keys`) and a
client's (its own key). Blocking; any thread may call it. Guarantees: a file that other users could
read or that another user owns is refused; a change is atomic, durable and exclusive, so that
concurrent commands lose nothing and a crash leaves either the old file or the new one; errors quote
nothing from a file except ids and users. Relies on POSIX rename, fsync and flock. Rules:
docs/operations.md, "Keys".
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from hpe.access.keys import (
    Key,
    KeyEntry,
    Keys,
    Scheme,
    check_key_id,
    parse_public_key,
    parse_role,
    parse_scheme,
    parse_secret,
    parse_users,
)
from hpe.errors import ConfigError
from hpe.files.durable_names import sync_directory
from hpe.files.small_files import FILE_BYTES_MAX, read_small

VERSION: Final = 1

_OTHERS: Final = stat.S_IXUSR | stat.S_IRWXG | stat.S_IRWXO


class _Row(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One key of the service's file. Its scheme needs either `secret` or `public_key`."""

    id: str
    role: str
    scheme: str
    users: str = ""
    secret: str = ""
    public_key: str = ""


class _KeyFile(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    keys: list[_Row]


class _ClientFile(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    secret: str
    scheme: str = str(Scheme.HMAC_SHA256)


def load_keys(path: str | Path) -> Keys:
    """Return the keys in the service's key file.

    Raises:
        ConfigError: it cannot be read, other users could read it, or its content is wrong.
    """
    file: _KeyFile = _decode(path, _KeyFile)
    if file.version != VERSION:
        raise ConfigError(f"{path}: found version {file.version}; allowed: {VERSION}")
    keys: dict[str, KeyEntry] = {}
    for number, row in enumerate(file.keys):
        entry = _entry(row, f"{path}: keys[{number}]")
        if entry.id in keys:
            raise ConfigError(f"{path}: key {entry.id} is listed twice")
        keys[entry.id] = entry
    return keys


@contextlib.contextmanager
def changed_keys(path: str | Path) -> Iterator[dict[str, KeyEntry]]:
    """Change the service's key file: what the dictionary holds when the block ends is written.

    A missing file is created. An exception in the block leaves the file unchanged.

    Raises:
        ConfigError: as load_keys, or the file cannot be written.
    """
    real = Path(os.path.realpath(path))  # renaming would replace a symbolic link by a file
    with _locked(real):
        keys = dict(load_keys(real)) if os.path.lexists(real) else {}
        yield keys
        content = _encode(_KeyFile(VERSION, [_row(entry) for entry in keys.values()]))
        if len(content) > FILE_BYTES_MAX:
            raise ConfigError(
                f"{path}: {len(keys)} keys take {len(content)} bytes; allowed: {FILE_BYTES_MAX}"
            )
        _replace(real, content)


def read_client_key(path: str | Path) -> Key:
    """Return the key in a client's key file.

    Raises:
        ConfigError: it cannot be read, other users could read it, or its content is wrong.
    """
    file: _ClientFile = _decode(path, _ClientFile)
    check_key_id(file.id)
    scheme = parse_scheme(file.scheme, f"{path}: scheme")
    return Key(file.id, parse_secret(file.secret, f"{path}: secret"), scheme)


def write_client_key(path: str | Path, key: Key) -> None:
    """Write a client's key file; an existing file is never overwritten.

    Raises:
        ConfigError: the file exists or cannot be written.
    """
    content = _encode(_ClientFile(key.id, key.secret.hex(), str(key.scheme)))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _write(descriptor, content)
        except BaseException:
            os.unlink(path)
            raise
    except FileExistsError:
        raise ConfigError(f"{path}: already exists; a key in it may be in use") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error


def key_of_environment(environment: Mapping[str, str]) -> Key | None:
    """Return the key in HPE_KEY_ID, HPE_KEY_SECRET and HPE_KEY_SCHEME, None if none is set.

    Raises:
        ConfigError: only one of the first two is set, or a value is wrong.
    """
    key_id, secret = environment.get("HPE_KEY_ID"), environment.get("HPE_KEY_SECRET")
    if key_id is None and secret is None:
        return None
    if key_id is None or secret is None:
        missing = "HPE_KEY_ID" if key_id is None else "HPE_KEY_SECRET"
        raise ConfigError(
            f"environment {missing}: not set; HPE_KEY_ID and HPE_KEY_SECRET are set together"
        )
    return Key.from_text(key_id, secret, environment.get("HPE_KEY_SCHEME", Scheme.HMAC_SHA256))


def _entry(row: _Row, where: str) -> KeyEntry:
    check_key_id(row.id)
    where = f"{where} ({row.id})"
    role = parse_role(row.role, f"{where}: role")
    scheme = parse_scheme(row.scheme, f"{where}: scheme")
    name, other = "secret", "public_key"
    if scheme is Scheme.ED25519:
        name, other = other, name
    if getattr(row, other):
        raise ConfigError(f"{where}: has a {other}; allowed: only a {name} with {scheme}")
    parse = parse_public_key if scheme is Scheme.ED25519 else parse_secret
    secret = parse(getattr(row, name), f"{where}: {name}")
    return KeyEntry(row.id, scheme, role, parse_users(role, row.users, f"{where}: users"), secret)


def _row(entry: KeyEntry) -> _Row:
    row = _Row(entry.id, entry.role_name, str(entry.scheme), entry.users_text)
    if entry.scheme is Scheme.ED25519:
        row.public_key = entry.secret.hex()
    else:
        row.secret = entry.secret.hex()
    return row


def _decode(path: str | Path, kind: type[Any]) -> Any:
    content = read_small(path, _check_private)
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # Only the location: an error's text may quote what was found there.
        text, _, place = str(error).partition(" - at `")
        place = f"at {place.rstrip('`')}" if place else "not valid JSON of a key file"
        missing = text if text.startswith("Object missing required field") else "not as allowed"
        raise ConfigError(f"{path}: {place}: {missing}") from None


def _check_private(status: os.stat_result, path: str | Path) -> None:
    if status.st_uid not in (os.geteuid(), 0):
        raise ConfigError(
            f"{path}: found owner {status.st_uid}; allowed: {os.geteuid()} (the running user) or 0"
        )
    if status.st_mode & _OTHERS:
        raise ConfigError(
            f"{path}: found mode {stat.S_IMODE(status.st_mode):04o}; allowed: 0600, because it "
            f"holds secrets (chmod 600 {path})"
        )


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Lock a file against other commands, by means of a lock file beside it.

    The directory cannot serve as the lock: a service that keeps its log there holds it all along.
    """
    lock = path.with_name(f".{path.name}.lock")
    try:
        descriptor = _take(lock)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be locked: {error.strerror}") from error
    try:
        yield
    finally:
        # While it is locked, so that a process that waits for it sees that it has been removed.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(lock)
        os.close(descriptor)


def _take(lock: Path) -> int:
    """Open and lock the lock file; repeat until the locked file still has this name."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    while True:
        descriptor = os.open(lock, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(descriptor), os.lstat(lock)):
                return descriptor
        except FileNotFoundError:
            pass  # the process that had locked it removed it meanwhile
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _encode(content: msgspec.Struct) -> bytes:
    return msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"


def _write(descriptor: int, content: bytes) -> None:
    """Write a new file durably and close it."""
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _replace(path: Path, content: bytes) -> None:
    """Write a new file with mode 0600 and rename it, so nobody sees half of it or may read it."""
    try:
        descriptor, aside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            _write(descriptor, content)
            os.rename(aside, path)
        except BaseException:
            os.unlink(aside)
            raise
        sync_directory(path.parent)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error
