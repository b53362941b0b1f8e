"""Clocks and randomness of the engine come from one value: nothing else there reads any."""

import ast
from types import SimpleNamespace

import pytest

from hpe.machine import THIS_MACHINE, Machine, Reading
from tests.conftest import PROJECT_ROOT
from tests.unit.test_tidy import PACKAGE, tree_of

OTHER_PROGRAMS = {"client", "cli", "orderflow"}
"""Rooms that are no part of the engine; hpe/client/aio.py is the client's own seam."""

ENGINE = [
    path
    for path in PACKAGE
    if path.relative_to(PROJECT_ROOT / "hpe").parts[0] not in OTHER_PROGRAMS
    and path != PROJECT_ROOT / "hpe" / "machine.py"
]
SOURCES = {"time", "random", "secrets", "uuid"}
"""Modules that are clocks or randomness and nothing else."""

READS = {"urandom", "getrandom", "now", "utcnow", "today", "generate", "times"}
"""Functions of other modules that read some: os, datetime, cryptography's private keys."""


def reads(tree: ast.Module) -> set[str]:
    """Return where a module reads a clock or randomness by itself, the Trio loop's apart."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in SOURCES}
        elif isinstance(node, ast.ImportFrom) and node.module in SOURCES:
            found.add(node.module)
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.name for alias in node.names if alias.name in READS}
        elif isinstance(node, ast.Attribute) and node.attr in READS:
            found.add(ast.unparse(node))
    return found


@pytest.mark.parametrize("path", ENGINE, ids=lambda path: str(path.relative_to(PROJECT_ROOT)))
def test_the_engine_reads_clocks_and_randomness_in_one_place(path):
    assert reads(tree_of(path)) == set()


def test_the_one_place_and_other_reads_are_found():
    rooms = {path.relative_to(PROJECT_ROOT / "hpe").parts[0] for path in ENGINE}
    assert {"access", "core", "engine.py", "net", "pipeline", "wal"} <= rooms
    assert reads(tree_of(PROJECT_ROOT / "hpe" / "machine.py")) == {"time", "os.urandom"}
    code = "import os, random\nfrom secrets import choice\nfrom os import getrandom\n"
    code += "a = os.urandom(8) + datetime.now() + stages.time + trio.current_time()"
    assert reads(ast.parse(code)) == {
        "random", "secrets", "getrandom", "os.urandom", "datetime.now",
    }  # fmt: skip


def test_durations_are_those_of_the_clocks_that_were_given():
    clock = SimpleNamespace(steady_ns=3_500_000_000)
    machine = Machine(lambda: 9, lambda: clock.steady_ns, lambda: 7)
    assert machine.steady_s() == 3.5
    clock.steady_ns += 250_000_000
    assert machine.steady_s() == 3.75
    assert machine.read_clocks() == Reading(wall_ns=9, steady_ns=3_750_000_000, boot_ns=7)


@pytest.mark.parametrize(("byte", "number"), [(b"\0", 2.0), (b"\x80", 4.0), (b"\xff", 6.0)])
def test_a_random_number_comes_from_the_bytes_that_were_given(byte, number):
    machine = Machine(random_bytes=lambda count: byte + byte[:1] * (count - 1))
    assert machine.random_between(2.0, 6.0) == pytest.approx(number, abs=0.02)


def test_this_machine_is_not_predictable_and_its_clock_goes_forward():
    assert len({THIS_MACHINE.random_bytes(16) for _ in range(100)}) == 100
    before_s = THIS_MACHINE.steady_s()
    assert THIS_MACHINE.steady_s() >= before_s
