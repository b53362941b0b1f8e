"""examples/minimal_client.py, as a reader would run it, against a real service."""

import sys
from pathlib import Path

import trio

from hpe.access.key_files import changed_keys
from hpe.access.keys import Key, KeyEntry, Scheme, new_secret
from hpe.client.client import connect
from hpe.protocol.enums import Role
from tests.support.service import running_service

EXPECTED = """\
fill: price 6500000 quantity 200
sent twice, executed once: open 100
book: bids [[6000000, 100, 1]] asks [[6500000, 300, 1]]
seller: BTC available 95000000 locked 3000000
seller: USD available 1300000000 locked 0
buyer: BTC available 2000000 locked 0
buyer: USD available 98100000000 locked 600000000
"""


async def run_example(address: str, project_root: Path, *key: str) -> str:
    script = str(project_root / "examples" / "minimal_client.py")
    # No PYTHONPATH: it must not need the package.
    command = [sys.executable, script, address, *key]
    result = await trio.run_process(command, capture_stdout=True, env={})
    return result.stdout.decode()


async def test_a_first_trade_with_socket_and_msgpack_only(
    tmp_path: Path, project_root: Path
) -> None:
    with trio.fail_after(120):
        async with running_service(tmp_path) as service:
            assert await run_example(service.address, project_root) == EXPECTED


async def test_the_same_with_a_key(tmp_path: Path, project_root: Path) -> None:
    secrets = {"gateway": new_secret(), "operator": new_secret()}
    with changed_keys(tmp_path / "keys.json") as keys:
        for key_id, role, users in (
            ("gateway", Role.GATEWAY, (1, 2)),
            ("operator", Role.OPERATOR, ()),
        ):
            keys[key_id] = KeyEntry(key_id, Scheme.HMAC_SHA256, role, users, secrets[key_id])
    operator_key = Key("operator", secrets["operator"])
    with trio.fail_after(120):
        async with running_service(tmp_path, keys_file=str(tmp_path / "keys.json")) as service:
            async with connect(service.address, user=9, key=operator_key, timeout_s=20) as operator:
                await operator.deposit("BTC", 1, user=1)
                await operator.deposit("USD", 100_000, user=2)
            secret = secrets["gateway"].hex()
            printed = await run_example(service.address, project_root, "gateway", secret)
            assert printed == EXPECTED


def test_it_stays_small_and_imports_nothing_else(project_root: Path) -> None:
    lines = (project_root / "examples" / "minimal_client.py").read_text().splitlines()
    imported = {line.split()[1] for line in lines if line.startswith(("import ", "from "))}
    assert imported == {"hashlib", "hmac", "itertools", "os", "socket", "sys", "typing", "msgpack"}
    assert len([line for line in lines if line.strip()]) <= 100
