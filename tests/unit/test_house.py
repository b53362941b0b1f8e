"""The rooms of the project: which may import which, beyond the contracts in pyproject.toml."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import grimp
import pytest

from tests.conftest import PROJECT_ROOT
from tests.unit.test_tidy import COMPILED, DOCSTRING, PACKAGE, tree_of

ARCHITECTURE = (PROJECT_ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
WHO_MAY_USE_IT = re.compile(
    r"Part of the deterministic core|\bthreads?\b|\bTrio loop\b|\b[Pp]ure\b|\bprocess\b"
    r"|\bevent loops?\b|\btasks?\b|A part of Client"
)


def loaded_by(module: str) -> set[str]:
    """Return the packages of hpe that a fresh interpreter has after importing one module."""
    code = f"import sys, {module}; print(*[name for name in sys.modules if name[:4] == 'hpe.'])"
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    return {name.split(".")[1] for name in found.stdout.split()}


def test_the_client_library_loads_no_part_of_the_service():
    assert loaded_by("hpe.client") == {
        "access", "client", "errors", "extensions", "files", "machine", "protocol",
        "version",
    }  # fmt: skip


def test_the_core_loads_nothing_but_the_wire():
    assert loaded_by("hpe.core") == {"core", "errors", "extensions", "protocol", "version"}


def knots(imports: dict[str, set[str]]) -> list[set[str]]:
    """Return the sets of modules that reach each other: what remains without all that hangs off."""
    reached: dict[str, set[str]] = {}
    for module in imports:
        found, left = set(), [module]
        while left:
            new = imports[left.pop()] - found
            found |= new
            left += new
        reached[module] = found
    return [
        {other for other in found if module in reached[other]}
        for module, found in reached.items()
        if module in found
    ]


def test_modules_import_each_other_in_one_direction():
    """Imports for types count: what a module has to know of another is what they are about."""
    graph = grimp.build_graph("hpe", exclude_type_checking_imports=False, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) > 100
    assert knots(imports) == []


def test_a_knot_is_found():
    assert knots({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [{"b", "c"}] * 2


@pytest.mark.parametrize(
    "path", [path for path in PACKAGE if path.name[:2] != "__"], ids=lambda path: path.stem
)
def test_a_module_says_which_thread_may_use_it(path):
    text = " ".join((ast.get_docstring(tree_of(path)) or "").split())
    assert WHO_MAY_USE_IT.search(text), text


@pytest.mark.parametrize("path", COMPILED, ids=lambda path: path.name)
def test_a_compiled_module_says_which_thread_may_use_it(path):
    docstring = DOCSTRING.match(path.read_text(encoding="utf-8"))
    assert docstring
    assert WHO_MAY_USE_IT.search(" ".join(docstring[1].split()))


def test_the_architecture_lists_every_module():
    """A room whose modules have a document of their own is listed as a whole, with a slash."""
    section = ARCHITECTURE.partition("## Modules in reading order")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| ")]
    listed = {name.strip() for cell in cells for name in cell.split(",")}
    missing = [
        name
        for path in PACKAGE + COMPILED
        if path.name[:2] != "__" and path.is_relative_to(PROJECT_ROOT / "hpe")
        for name in [str(path.relative_to(PROJECT_ROOT / "hpe"))]
        if name not in listed and f"{name.partition('/')[0]}/" not in listed
    ]
    assert not missing


def test_the_architecture_lists_the_rooms_of_the_core_in_the_order_of_their_contract():
    section = ARCHITECTURE.partition("| room of core/ |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in section.splitlines()[2:]]
    listed = [
        {
            name.strip().removeprefix("core/").removesuffix(".py").strip("/")
            for name in row.split(";")
        }
        for row in rows
    ]
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = [
        contract
        for contract in project["tool"]["importlinter"]["contracts"]
        if contract.get("containers") == ["hpe.core"]
    ]
    assert listed == [set(layer.split(" | ")) for layer in contract["layers"]]


def test_the_rooms_of_the_unit_tests_are_those_of_the_project():
    """A module is tested where its room is; bench/ and the tests' own models have tests, too."""
    unit = PROJECT_ROOT / "tests" / "unit"
    rooms = {path.parent.relative_to(unit) for path in unit.rglob("test_*.py")} - {Path()}
    package = {path.parent.relative_to(PROJECT_ROOT / "hpe") for path in PACKAGE} - {Path()}
    assert rooms - {Path("bench")} == package
