"""Seeded plays: the bulk of the model's steps, and the shortest failing one when a play fails.

A play is decided by its seed alone. One that fails is cut down by leaving steps out for as long
as it still fails, and reported as the list of steps that is left. Several processes share the
seeds; each play is one thread. Core factories must be picklable: classes of a module.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from random import Random
from traceback import extract_tb
from typing import Final

from hpe.core.contract import DEFAULT_LIMITS, Limits
from tests.model.commands import MOODS
from tests.model.play import Play, described
from tests.model.seats import USERS, PlayStep
from tests.model.stream_limits import modeled_limits
from tests.support.core_driver import CoreFactory

STEPS_PER_PLAY: Final = 500
TRIES_MAX: Final = 400
"""Plays that the search for a shorter failure may take: about a minute."""


class PlayFailed(AssertionError):
    """A play in which core and naive exchange differ, with the fewest steps that were found."""


def play_seed(new_core: CoreFactory, seed: int, steps: int = STEPS_PER_PLAY) -> int:
    """Play one seed; return the number of commands.

    Raises:
        PlayFailed: something differed.
    """
    random = Random(seed)
    done: list[PlayStep] = []
    try:
        play = Play(new_core, seed % MOODS, limits=_limits_of(seed))
        while len(done) < steps:
            first = play.choose(random)
            batch = [first._replace(wait=max(1, first.wait))]
            while (step := play.choose(random)).wait == 0:
                batch.append(step)
            done += batch
            play.execute(batch)
        play.venue.check()
    except Exception as error:
        raise PlayFailed(
            _story(new_core, seed, shortest(new_core, done, _limits_of(seed)), error)
        ) from None
    return len(done)


def _limits_of(seed: int) -> Limits:
    """Let every other round of moods be played with tight limits."""
    return modeled_limits(Random(seed)) if seed // MOODS % 2 else DEFAULT_LIMITS


def play_steps(
    new_core: CoreFactory, steps: Sequence[PlayStep], limits: Limits = DEFAULT_LIMITS
) -> Exception | None:
    """Play given steps; return what went wrong."""
    try:
        play = Play(new_core, limits=limits)
        for batch in batches_of(steps):
            play.execute(batch)
        play.venue.check()
    except Exception as error:
        return error
    return None


def batches_of(steps: Sequence[PlayStep]) -> list[list[PlayStep]]:
    """Cut steps into batches, as their waits say."""
    batches: list[list[PlayStep]] = []
    for step in steps:
        if step.wait == 0 and batches:
            batches[-1].append(step)
        else:
            batches.append([step])
    return batches


def shortest(
    new_core: CoreFactory, steps: list[PlayStep], limits: Limits = DEFAULT_LIMITS
) -> list[PlayStep]:
    """Leave steps out, in ever smaller pieces, while the rest still fails."""
    size, tries = len(steps) // 2, 0
    while size and tries < TRIES_MAX:
        start, before = 0, len(steps)
        while start < len(steps) and tries < TRIES_MAX:
            fewer = steps[:start] + steps[start + size :]
            tries += 1
            if play_steps(new_core, fewer, limits) is None:
                start += size
            else:
                steps = fewer
        if size > 1 or len(steps) == before:
            size //= 2
    return steps


def _story(new_core: CoreFactory, seed: int, steps: list[PlayStep], first: Exception) -> str:
    error = play_steps(new_core, steps, _limits_of(seed)) or first
    lines = [f"seed {seed}: {len(steps)} steps are enough"]
    lines += [f"user {USERS[s.place]} after {s.wait}: {described(s.command)}" for s in steps]
    where = extract_tb(error.__traceback__)[-1]
    failure = f"{type(error).__name__} in {where.name}, line {where.lineno}: {error}"
    return "\n".join([*lines, failure])


def play_many(new_core: CoreFactory, first_seed: int, steps: int) -> int:
    """Play seed after seed until there were this many steps; return how many commands it were."""
    seeds = range(first_seed, first_seed + -(-steps // STEPS_PER_PLAY))
    workers = os.cpu_count() or 1
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return sum(pool.map(play_seed, [new_core] * len(seeds), seeds, chunksize=4))
