"""`hpe keys`: add, list and revoke the keys in the service's key file.

Owns the arguments and the wording; key_files.py owns the file. Runs in a process of its own; a
running service loads the changed file on SIGHUP. Guarantees: a secret is shown once, alone on
stdout, when it is made; everything else that `add` and `revoke` print goes to stderr. Exit codes:
0 done, 2 wrong usage, 78 the file or a value is refused. Rules: docs/operations.md, "Keys".
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hpe.access import ed25519
from hpe.access.key_files import changed_keys, load_keys, write_client_key
from hpe.access.keys import (
    ROLE_NAMES,
    Key,
    KeyEntry,
    Scheme,
    check_key_id,
    new_secret,
    parse_public_key,
    parse_scheme,
    parse_users,
)
from hpe.errors import ConfigError

if TYPE_CHECKING:
    SubParsers = argparse._SubParsersAction[argparse.ArgumentParser]

DEFAULT_FILE: Final = "./hpe-keys.json"


def add_parsers(subparsers: SubParsers) -> None:
    """Add the `keys` command."""
    parser = subparsers.add_parser("keys", help="add, list and revoke the keys of clients")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    adder = actions.add_parser("add", help="create a key and print its secret once")
    adder.add_argument("id", metavar="ID", help="1-32 letters, digits, '_', '.', '-'")
    adder.add_argument(
        "--role", required=True, choices=list(ROLE_NAMES), help="what the key may do"
    )
    adder.add_argument(
        "--users", default="", help="accounts of a trader (7,8), range of a gateway (1000-1999)"
    )
    adder.add_argument(
        "--scheme",
        choices=list(Scheme),
        default=Scheme.HMAC_SHA256,
        help="how the client proves the key",
    )
    origin = adder.add_mutually_exclusive_group()
    origin.add_argument(
        "--public-key", metavar="HEX", help="ed25519: public half of a key that the client made"
    )
    origin.add_argument("--generate", action="store_true", help="ed25519: make the key pair here")
    adder.add_argument(
        "--save", type=Path, metavar="FILE", help="write the secret to a key file for the client"
    )
    lister = actions.add_parser("list", help="show all keys, without their secrets")
    lister.add_argument("--json", action="store_true", help="print JSON")
    revoker = actions.add_parser("revoke", help="revoke a key")
    revoker.add_argument("id", metavar="ID")
    for action, run in ((adder, run_add), (lister, run_list), (revoker, run_revoke)):
        action.add_argument(
            "--file", metavar="FILE", help=f"key file (HPE_KEYS_FILE, else {DEFAULT_FILE})"
        )
        action.set_defaults(run=run)


def run_add(arguments: argparse.Namespace) -> int:
    """Add a key; return the exit code."""
    file = _file(arguments)
    role = ROLE_NAMES[arguments.role]
    check_key_id(arguments.id)
    users = parse_users(role, arguments.users, "--users")
    scheme = parse_scheme(arguments.scheme)
    known, private = _make(arguments, scheme)
    with changed_keys(file) as keys:
        if arguments.id in keys:
            raise ConfigError(f"{file}: key {arguments.id} already exists; revoke it first")
        entry = KeyEntry(arguments.id, scheme, role, users, known)
        keys[arguments.id] = entry
        if private is not None and arguments.save is not None:
            # Before the key becomes valid: a secret that could not be saved must open nothing.
            write_client_key(arguments.save, Key(arguments.id, private, scheme))
    _say(f"added to {file}: {_describe(entry)}")
    _say("send SIGHUP to a running service to load it")
    if private is not None and arguments.save is None:
        _say("the client's secret follows; it is not shown again:")
        print(private.hex(), flush=True)
    return 0


def run_list(arguments: argparse.Namespace) -> int:
    """List all keys; return the exit code."""
    entries = load_keys(_file(arguments)).values()
    if arguments.json:
        print(json.dumps([_facts(entry) for entry in entries], indent=1))
        return 0
    for entry in entries:
        print(_describe(entry))
    return 0


def run_revoke(arguments: argparse.Namespace) -> int:
    """Revoke a key; return the exit code."""
    file = _file(arguments)
    load_keys(file)  # raises if the file does not exist, which `changed_keys` would create
    with changed_keys(file) as keys:
        if arguments.id not in keys:
            raise ConfigError(f"{file}: has no key {arguments.id}")
        del keys[arguments.id]
    _say(f"revoked in {file}: {arguments.id}")
    _say("send SIGHUP to a running service to close its connections")
    return 0


def _file(arguments: argparse.Namespace) -> str:
    file: str = arguments.file or os.environ.get("HPE_KEYS_FILE") or DEFAULT_FILE
    return file


def _make(arguments: argparse.Namespace, scheme: Scheme) -> tuple[bytes, bytes | None]:
    """Return what the service must know, and the client's secret if it is made here."""
    if scheme is Scheme.HMAC_SHA256:
        if arguments.public_key is not None or arguments.generate:
            raise ConfigError(f"--public-key, --generate: allowed: with --scheme {Scheme.ED25519}")
        secret = new_secret()
        return secret, secret
    if arguments.generate:
        private = ed25519.new_private_key()
        return ed25519.public_key(private), private
    if arguments.public_key is None:
        raise ConfigError(f"--scheme {scheme}: allowed: with --public-key HEX or --generate")
    if arguments.save is not None:
        raise ConfigError("--save: found with --public-key; allowed: where the secret is made here")
    return parse_public_key(arguments.public_key, "--public-key"), None


def _describe(entry: KeyEntry) -> str:
    users = f" for {entry.users_text}" if entry.users else ""
    return f"{entry.id}: {entry.role_name}{users}, {entry.scheme}"


def _facts(entry: KeyEntry) -> dict[str, str]:
    return {
        "id": entry.id,
        "role": entry.role_name,
        "users": entry.users_text,
        "scheme": str(entry.scheme),
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr)
