"""examples/minimal_client.py, as a reader would run it, against a real service."""

import sys
from pathlib import Path

import trio

from tests.support.service import running_service

EXPECTED = """\
fill: price 6500000 quantity 200
book: bids [] asks [[6500000, 300, 1]]
seller: BTC available 95000000 locked 3000000
seller: USD available 1300000000 locked 0
buyer: BTC available 2000000 locked 0
buyer: USD available 98700000000 locked 0
"""


async def run_example(address: str, project_root: Path) -> str:
    script = str(project_root / "examples" / "minimal_client.py")
    # No PYTHONPATH: it must not need the package.
    result = await trio.run_process([sys.executable, script, address], capture_stdout=True, env={})
    return result.stdout.decode()


async def test_a_first_trade_with_socket_and_msgpack_only(
    tmp_path: Path, project_root: Path
) -> None:
    with trio.fail_after(20):
        async with running_service(tmp_path) as service:
            assert await run_example(service.address, project_root) == EXPECTED


def test_it_stays_small_and_imports_nothing_else(project_root: Path) -> None:
    lines = (project_root / "examples" / "minimal_client.py").read_text().splitlines()
    imported = {line.split()[1] for line in lines if line.startswith(("import ", "from "))}
    assert imported == {"itertools", "socket", "sys", "typing", "msgpack"}
    assert len([line for line in lines if line.strip()]) <= 60
