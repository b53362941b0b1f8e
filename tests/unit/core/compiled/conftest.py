"""The parts of the compiled core, where there is a C compiler."""

import pytest

from tests.unit.core.compiled.building import built_part, missing


@pytest.fixture(scope="session")
def part(tmp_path_factory, worker_id):
    """Return what builds a module; all processes of a session share a folder."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "compiled_parts"

    def build(name):
        if missing():
            pytest.skip(f"the compiled core cannot be built: {missing()}")
        return built_part(name, folder)

    return build


@pytest.fixture(scope="session")
def parts(part):
    return part("_parts")


@pytest.fixture(scope="session")
def records(part):
    return part("_records")
