"""The rooms of the project: which may import which, beyond the contracts in pyproject.toml."""

import subprocess
import sys

import grimp

from tests.conftest import PROJECT_ROOT


def loaded_by(module: str) -> set[str]:
    """Return the packages of hpe that a fresh interpreter has after importing one module."""
    code = f"import sys, {module}; print(*[name for name in sys.modules if name[:4] == 'hpe.'])"
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    return {name.split(".")[1] for name in found.stdout.split()}


def test_the_client_library_loads_no_part_of_the_service():
    assert loaded_by("hpe.client") == {"access", "client", "errors", "files", "protocol", "version"}


def test_the_core_loads_nothing_but_the_wire():
    assert loaded_by("hpe.core") == {"core", "errors", "protocol", "version"}


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
