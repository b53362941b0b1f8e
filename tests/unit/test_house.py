"""The rooms of the house: what stands on what, beyond the import contracts of pyproject.toml."""

import subprocess
import sys

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
