"""Model tests: the core against the naive exchange, command by command, reply by reply."""

import time

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.machine import ExchangeMachine
from tests.model.seeded_plays import play_many, play_seed

# How much one can afford on every change, and before a release. The seed of a failing play is
# in its report; so is that of a failing Hypothesis run (print_blob in tests/conftest.py).
FIRST_SEED, STEPS = 1, 200_000
FIRST_SEED_RELEASE, STEPS_RELEASE = 1_000_000, 2_000_000
FOUND = (1_000_089, 5_000_016, 5_000_239)
"""Seeds of plays that once failed, and are rare."""

EXAMPLES, RULES = 300, 25
EXAMPLES_RELEASE, RULES_RELEASE = 2_000, 60


def play_and_tell(new_core, first_seed, steps, capsys):
    started = time.perf_counter()
    played = play_many(new_core, first_seed, steps)
    with capsys.disabled():
        print(f"\n{played} steps in {time.perf_counter() - started:.0f} s, seeds {first_seed}...")
    assert played >= steps


@pytest.mark.alone
@pytest.mark.timeout(900)
def test_seeded_plays_give_what_the_naive_exchange_gives(new_core, capsys):
    play_and_tell(new_core, FIRST_SEED, STEPS, capsys)


@pytest.mark.parametrize("seed", FOUND)
def test_what_once_differed_is_the_same(new_core, seed):
    assert play_seed(new_core, seed)


@pytest.mark.alone
@pytest.mark.release
@pytest.mark.timeout(10_800)
def test_many_seeded_plays_give_what_the_naive_exchange_gives(new_core, capsys):
    play_and_tell(new_core, FIRST_SEED_RELEASE, STEPS_RELEASE, capsys)


@pytest.mark.timeout(900)  # shrinking a failure takes longer than passing
def test_the_core_does_what_the_naive_exchange_does(new_core):
    run_state_machine_as_test(
        lambda: ExchangeMachine(new_core),
        settings=settings(max_examples=EXAMPLES, stateful_step_count=RULES),
    )


@pytest.mark.release
@pytest.mark.timeout(7_200)
def test_the_core_does_what_the_naive_exchange_does_for_long(new_core):
    run_state_machine_as_test(
        lambda: ExchangeMachine(new_core),
        settings=settings(max_examples=EXAMPLES_RELEASE, stateful_step_count=RULES_RELEASE),
    )
