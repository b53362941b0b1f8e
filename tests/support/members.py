"""The keys of a service that several tests share: operator, canary, trader, gateway.

Owns keys and nothing else; `write_keys` puts all of them in a key file.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from hpe.access.key_files import changed_keys
from hpe.access.keys import Key, KeyEntry, Scheme
from hpe.protocol.base import Request
from hpe.protocol.enums import Role
from tests.support.canary import USER as CANARY_USER
from tests.support.line import Line

OPERATOR_KEY: Final = Key("operator", bytes(range(2, 34)))
CANARY_KEY: Final = Key("canary", bytes(range(32)))
TRADER_KEY: Final = Key("trader", bytes(range(1, 33)))
TRADER: Final = 7
GATEWAY_KEY: Final = Key("gateway", bytes(range(3, 35)))
GATEWAY_USERS: Final = (99, 999)


def write_keys(path: Path) -> str:
    """Write a key file for the operator, the canary, a trader, and a gateway."""
    rows: list[tuple[Key, Role, tuple[int, ...]]] = [
        (OPERATOR_KEY, Role.OPERATOR, ()),
        (CANARY_KEY, Role.TRADER, (CANARY_USER,)),
        (TRADER_KEY, Role.TRADER, (TRADER,)),
        (GATEWAY_KEY, Role.GATEWAY, GATEWAY_USERS),
    ]
    with changed_keys(path) as keys:
        for key, role, users in rows:
            keys[key.id] = KeyEntry(key.id, Scheme.HMAC_SHA256, role, users, key.secret)
    return str(path)


def operate(port: int, requests: Iterable[Request]) -> None:
    """Send requests as the operator; none may be refused."""
    with Line(port) as line:
        line.log_on(1, OPERATOR_KEY)
        for request in requests:
            row = line.ask(request)
            assert not row[4], row
