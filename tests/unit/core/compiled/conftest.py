"""The parts of the compiled core, where there is a C compiler."""

import os
from pathlib import Path

import pytest

from hpe.extensions import VARIABLE, wanted
from tests.unit.core.compiled.building import (
    FORMS,
    PARTS_VARIABLE,
    built_part,
    form_folder,
    missing,
)

in_each_form = pytest.fixture(scope="session", params=list(FORMS.values()), ids=list(FORMS))


@pytest.fixture(scope="session")
def part(tmp_path_factory, worker_id):
    """Return what builds a module; all processes of a session share a folder for each form."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    folder = Path(os.environ.get(PARTS_VARIABLE) or shared)

    def build(name, *macros):
        if missing() and wanted(os.environ):
            pytest.fail(f"{VARIABLE}=1, but the compiled core cannot be built: {missing()}")
        if missing():
            # Without a compiler, there is nothing to compare; with HPE_COMPILED=1 it is an error.
            pytest.skip(f"the compiled core cannot be built: {missing()}")
        return built_part(name, form_folder(folder, *macros), *macros)

    return build


@in_each_form
def accounts(part, request):
    return part("_accounts", *request.param)


@in_each_form
def execution(part, request):
    return part("_execution", *request.param)


@in_each_form
def cores(part, request):
    return part("_core", *request.param)


@in_each_form
def admission(part, request):
    return part("_admission", *request.param)


@in_each_form
def feeds(part, request):
    return part("_feeds", *request.param)


@pytest.fixture(scope="session")
def parts(part):
    return part("_parts", *next(iter(FORMS.values())))


@in_each_form
def places(part, request):
    return part("_places", *request.param)


@in_each_form
def sessions(part, request):
    return part("_sessions", *request.param)


@in_each_form
def registry(part, request):
    return part("_registry", *request.param)


@in_each_form
def records(part, request):
    return part("_records", *request.param)


@in_each_form
def treasury(part, request):
    return part("_treasury", *request.param)


@in_each_form
def triggers(part, request):
    return part("_triggers", *request.param)


@in_each_form
def matching(part, request):
    return part("_matching", *request.param)


@in_each_form
def outputs(part, request):
    return part("_outputs", *request.param)


@in_each_form
def work(part, request):
    return part("_work", *request.param)


@in_each_form
def answers(part, request):
    return part("_answers", *request.param)


@in_each_form
def indexes(part, request):
    return part("_index", *request.param)


@in_each_form
def trading(part, request):
    return part("_trading", *request.param)
