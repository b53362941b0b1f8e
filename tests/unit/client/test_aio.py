"""The one module of the client library that knows an event loop, sockets, TLS and threads."""

import ast
from pathlib import Path

import pytest

from tests.conftest import PROJECT_ROOT

MACHINE = {
    "trio", "trio_util", "asyncio", "anyio", "sniffio", "outcome", "socket", "select", "selectors",
    "ssl", "threading", "_thread", "concurrent", "multiprocessing", "queue", "signal",
}  # fmt: skip
MODULES = sorted((PROJECT_ROOT / "hpe" / "client").rglob("*.py"))


def taken_from_the_machine(path: Path) -> set[str]:
    """Return what a module imports of loops, sockets and threads, and `time.sleep` if it does."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names):
                found |= {name.name.split(".")[0] for name in names}
            case ast.ImportFrom(module="time", names=names):
                found |= {f"time.{name.name}" for name in names}
            case ast.ImportFrom(module=str(module)):
                found.add(module.split(".")[0])
            case ast.Attribute(ast.Name("time"), attr):
                found.add(f"time.{attr}")
    return found & (MACHINE | {"time.sleep"})


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_one_module_knows_the_machine(path: Path):
    found = taken_from_the_machine(path)
    if path.name == "aio.py":
        assert {"trio", "ssl", "threading", "time.sleep"} <= found
    else:
        assert found == set()


def test_every_way_to_import_is_seen(tmp_path: Path):
    path = tmp_path / "module.py"
    for text, name in (
        ("import trio.lowlevel", "trio"),
        ("from trio import Event", "trio"),
        ("def late():\n    import threading as t", "threading"),
        ("from time import sleep", "time.sleep"),
        ("import time\ntime.sleep(1)", "time.sleep"),
    ):
        path.write_text(text)
        assert taken_from_the_machine(path) == {name}
    path.write_text("import time\ntime.monotonic()\nfrom hpe.client import aio")
    assert taken_from_the_machine(path) == set()
