"""No code reaches through the contract into a core's inside, over the whole tree."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

import pytest

import hpe.core
from hpe.core import new_core
from hpe.core.contract import Core
from tests.conftest import PROJECT_ROOT
from tests.support.core_around import CoreAround
from tests.unit.test_tidy import MODULES, imported_modules, tree_of

OPEN: Final = {
    "hpe.core", "hpe.core.contract",
    "hpe.core.codec", "hpe.core.decoding.judging",  # bytes
    "hpe.core.permissions",  # who may send them
    "hpe.core.state.rows",  # the rows of a dump
    "hpe.core.output.private_ring",  # what follows from its outputs alone
}  # fmt: skip
"""What others may import of the package."""

MAKERS: Final = {f"hpe.core.{name}" for name in hpe.core.__all__}
"""The functions that the package itself offers."""

INSIDE: Final = (
    PROJECT_ROOT / "hpe" / "core",
    PROJECT_ROOT / "tests" / "unit" / "core",
    PROJECT_ROOT / "tests" / "differential",  # its streams aim at the state of the reference
)
OUTSIDE: Final = [
    path for path in MODULES if not any(path.is_relative_to(folder) for folder in INSIDE)
]
UNIT_TESTS: Final = sorted((PROJECT_ROOT / "tests" / "unit" / "core").rglob("test_*.py"))
CONTRACT_MODULES: Final = {"hpe.core.contract", "hpe.core.state.rows"}
each_outside = pytest.mark.parametrize(
    "path", OUTSIDE, ids=lambda path: str(path.relative_to(PROJECT_ROOT))
)
CONTRACT: Final = {name for name in vars(Core) if not name.startswith("_")}


def inner_imports(tree: ast.Module) -> set[str]:
    """Return the core's own modules that a module imports, `from hpe.core import x` included."""
    found = {name for name in imported_modules(tree) if name.startswith("hpe.core.")} - OPEN
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "hpe.core":
            found |= {f"hpe.core.{alias.name}" for alias in node.names} - MAKERS
    return found - OPEN


def reached(tree: ast.Module) -> set[str]:
    """Return what a module takes of something called a core that is not in the contract."""
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or node.attr in CONTRACT:
            continue
        whose = node.value
        if isinstance(whose, ast.Name):
            called = whose.id
        elif isinstance(whose, ast.Attribute) and not is_package(whose):
            called = whose.attr
        else:
            continue
        if called in ("core", "_core"):
            found.add(f"{called}.{node.attr}")
    return found


def is_package(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id == "hpe"


@each_outside
def test_others_use_a_core_by_its_contract(path: Path) -> None:
    tree = tree_of(path)
    found = inner_imports(tree) | reached(tree)
    assert not found


@pytest.mark.parametrize("path", UNIT_TESTS, ids=lambda path: path.name)
def test_a_unit_test_of_the_core_is_of_a_part_of_it(path: Path) -> None:
    """What needs the contract alone runs on every core, in tests/core."""
    tree = tree_of(path)
    parts = {name for name in imported_modules(tree) if name.startswith("hpe.core.")}
    assert parts - CONTRACT_MODULES or reached(tree)


def test_the_rules_see_what_they_forbid() -> None:
    source = (
        "from hpe.core import driver, new_core\nimport hpe.core.contract\n"
        "import hpe.core.trading.market\n"
    )
    assert inner_imports(ast.parse(source)) == {
        "hpe.core.driver",
        "hpe.core.trading.market",
    }
    source = "core.exchange.check()\nself._core.sessions\nhpe.core.codec\ncore.apply(batch)\n"
    assert reached(ast.parse(source)) == {"core.exchange", "_core.sessions"}


def test_the_contract_is_what_the_rules_list() -> None:
    listed = """apply replay dump load check state_hash name limits bounds last_sequence
        last_time_ns next_due_ns last_attach_number attached_sessions instrument_count
        configuration_differences unfinished"""
    assert set(listed.split()) == CONTRACT
    for core in (new_core(), CoreAround()):
        assert set(dir(core)) >= CONTRACT
