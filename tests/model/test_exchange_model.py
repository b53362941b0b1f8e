"""Model tests: the core against the naive exchange, command by command, reply by reply."""

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.machine import ExchangeMachine
from tests.support.core_driver import CORE_FACTORIES

# How much one can afford on every change, and before a release. The seed of a failing run is
# in the report (print_blob of the profile in tests/conftest.py).
EXAMPLES = 900
STEPS = 40
EXAMPLES_RELEASE = 4_000
STEPS_RELEASE = 80

each_core = pytest.mark.parametrize("core", CORE_FACTORIES)


@pytest.mark.timeout(900)  # it passes in half a minute; shrinking a failure takes longer
@each_core
def test_the_core_does_what_the_naive_exchange_does(core):
    run_state_machine_as_test(
        lambda: ExchangeMachine(CORE_FACTORIES[core]),
        settings=settings(max_examples=EXAMPLES, stateful_step_count=STEPS),
    )


@pytest.mark.release
@pytest.mark.timeout(3_600)
@each_core
def test_the_core_does_what_the_naive_exchange_does_for_long(core):
    run_state_machine_as_test(
        lambda: ExchangeMachine(CORE_FACTORIES[core]),
        settings=settings(max_examples=EXAMPLES_RELEASE, stateful_step_count=STEPS_RELEASE),
    )
