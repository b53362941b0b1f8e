"""The garbage collector while serving."""

from __future__ import annotations

import gc
import weakref

from hpe.pipeline.collector import MOST_OFTEN_S, quiet_collector


class Knot:
    """Refers to itself: counting references does not free it."""

    def __init__(self) -> None:
        self.me = self


def knot() -> weakref.ref[Knot]:
    return weakref.ref(Knot())


def test_no_older_collection_while_serving_and_everything_as_before_after_it() -> None:
    before = gc.get_threshold()
    with quiet_collector():
        older = [gc.get_stats()[generation]["collections"] for generation in (1, 2)]
        kept = [[number] for number in range(200_000)]
        assert [gc.get_stats()[generation]["collections"] for generation in (1, 2)] == older
        assert gc.get_freeze_count() > 0
    assert len(kept) == 200_000
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_those_that_overlap_restore_what_was_before_the_first() -> None:
    before = gc.get_threshold()
    first, second = quiet_collector(), quiet_collector()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert gc.get_threshold() != before, "the other one is still there"
    assert gc.get_freeze_count() > 0
    second.__exit__(None, None, None)
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_what_the_program_around_froze_stays_frozen() -> None:
    gc.freeze()
    try:
        with quiet_collector():
            pass
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


def test_a_tick_frees_young_cycles_now_and_then() -> None:
    with quiet_collector() as collector:
        first = knot()
        assert first() is not None, "nothing else has collected it"
        collector.tick(10.0)
        assert first() is None
        second = knot()
        collector.tick(10.0 + 0.9 * MOST_OFTEN_S)
        assert second() is not None, "a tick that comes too soon costs nothing"
        collector.tick(10.0 + 1.1 * MOST_OFTEN_S)
        assert second() is None
