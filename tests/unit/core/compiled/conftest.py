"""The parts of the compiled core, where there is a C compiler."""

import os

import pytest

from hpe.extensions import VARIABLE, wanted
from tests.unit.core.compiled.building import SANITIZED, built_part, missing


@pytest.fixture(scope="session")
def part(tmp_path_factory, worker_id):
    """Return what builds a module; all processes of a session share a folder for each form."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent

    def build(name, *macros):
        if missing() and wanted(os.environ):
            pytest.fail(f"{VARIABLE}=1, but the compiled core cannot be built: {missing()}")
        if missing():
            # Without a compiler, there is nothing to compare; with HPE_COMPILED=1 it is an error.
            pytest.skip(f"the compiled core cannot be built: {missing()}")
        return built_part(name, shared / "_".join(("compiled", *macros)), *macros)

    return build


@pytest.fixture(scope="session", params=[(), (SANITIZED,)], ids=["slabs", "alone"])
def accounts(part, request):
    return part("_accounts", *request.param)


@pytest.fixture(scope="session", params=[(), (SANITIZED,)], ids=["slabs", "alone"])
def execution(part, request):
    return part("_execution", *request.param)


@pytest.fixture(scope="session", params=[(), (SANITIZED,)], ids=["slabs", "alone"])
def cores(part, request):
    return part("_core", *request.param)


@pytest.fixture(scope="session", params=[(), (SANITIZED,)], ids=["slabs", "alone"])
def admission(part, request):
    return part("_admission", *request.param)


@pytest.fixture(scope="session", params=[(), (SANITIZED,)], ids=["slabs", "alone"])
def feeds(part, request):
    return part("_feeds", *request.param)


@pytest.fixture(scope="session")
def parts(part):
    return part("_parts")


@pytest.fixture(scope="session", params=[(), (SANITIZED,)], ids=["slabs", "alone"])
def places(part, request):
    return part("_places", *request.param)


@pytest.fixture(scope="session", params=[(), (SANITIZED,)], ids=["slabs", "alone"])
def sessions(part, request):
    return part("_sessions", *request.param)


@pytest.fixture(scope="session", params=[(), (SANITIZED,)], ids=["slabs", "alone"])
def registry(part, request):
    return part("_registry", *request.param)


@pytest.fixture(scope="session", params=[(), (SANITIZED,)], ids=["slabs", "alone"])
def records(part, request):
    return part("_records", *request.param)


@pytest.fixture(scope="session", params=[(), (SANITIZED,)], ids=["slabs", "alone"])
def treasury(part, request):
    return part("_treasury", *request.param)


@pytest.fixture(scope="session", params=[(), (SANITIZED,)], ids=["slabs", "alone"])
def triggers(part, request):
    return part("_triggers", *request.param)


@pytest.fixture(scope="session", params=[(), (SANITIZED,)], ids=["slabs", "alone"])
def matching(part, request):
    return part("_matching", *request.param)


@pytest.fixture(scope="session", params=[(), (SANITIZED,)], ids=["slabs", "alone"])
def outputs(part, request):
    return part("_outputs", *request.param)


@pytest.fixture(scope="session", params=[(), (SANITIZED,)], ids=["slabs", "alone"])
def work(part, request):
    return part("_work", *request.param)


@pytest.fixture(scope="session", params=[(), (SANITIZED,)], ids=["slabs", "alone"])
def answers(part, request):
    return part("_answers", *request.param)


@pytest.fixture(scope="session", params=[(), (SANITIZED,)], ids=["slabs", "alone"])
def indexes(part, request):
    return part("_index", *request.param)


@pytest.fixture(scope="session", params=[(), (SANITIZED,)], ids=["slabs", "alone"])
def trading(part, request):
    return part("_trading", *request.param)
