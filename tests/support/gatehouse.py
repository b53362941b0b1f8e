"""Keys for tests of logon: key files, and logons over a raw connection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from hpe.access.key_files import changed_keys
from hpe.access.keys import Key, KeyEntry, Scheme
from hpe.access.proofs import new_nonce, prove
from hpe.engine import HighPerformanceEngine
from hpe.protocol.control import Hello, Logon
from hpe.protocol.enums import Role
from hpe.protocol.frames import encode_frame
from tests.support.service import RunningService
from tests.support.wire import Row, WireClient

KEY = Key("desk-1", bytes(range(32)))
OTHER = Key("desk-1", bytes(32))
OPERATOR = Key("chief", bytes(range(1, 33)))


def write_keys(path: Path, *entries: KeyEntry) -> str:
    """Write a key file with these keys."""
    with changed_keys(path) as keys:
        keys.clear()
        keys.update({entry.id: entry for entry in entries})
    return str(path)


def trader(key: Key, *users: int) -> KeyEntry:
    return KeyEntry(key.id, Scheme.HMAC_SHA256, Role.TRADER, users, key.secret)


def operator(key: Key) -> KeyEntry:
    return KeyEntry(key.id, Scheme.HMAC_SHA256, Role.OPERATOR, (), key.secret)


async def log_on(client: WireClient, key: Key, user: int, /, **fields: Any) -> Row:
    """Send hello, answer the challenge, and return the reply."""
    hello = Hello(1, 1, user, key_id=key.id, **fields)
    await client.send(encode_frame(hello))
    challenge = await client.receive()
    assert challenge is not None
    assert challenge[:3] == [5, 1, 0]
    nonce = new_nonce()
    signature = prove(key, challenge[3], nonce, msgspec.msgpack.encode(hello))
    await client.send(encode_frame(Logon(1, nonce, signature)))
    row = await client.receive()
    assert row is not None
    return row


def give_strangers(service: RunningService, seconds: float) -> None:
    """Set the logon timeout for later connections; earlier ones keep theirs."""
    assert service.engine._stages is not None
    service.engine._stages.server.context.logon_timeout_s = seconds


def figure(engine: HighPerformanceEngine, name: str) -> int:
    return int(engine.statistics()[name])
