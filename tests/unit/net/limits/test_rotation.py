"""A queue in which sources take turns."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from hpe.net.limits.rotation import Rotation


def filled(*sources: str) -> Rotation[int]:
    rotation: Rotation[int] = Rotation()
    for number, source in enumerate(sources):
        rotation.add(source, number)
    return rotation


def drained(rotation: Rotation[int]) -> list[int]:
    return [rotation.take() for _ in range(len(rotation))]


def test_sources_take_turns_and_in_each_the_oldest_is_first() -> None:
    assert drained(filled(*"aaaabbc")) == [0, 4, 6, 1, 5, 2, 3]


def test_a_newcomer_passes_after_one_of_each_other_source() -> None:
    rotation = filled(*"abcdef" * 1_000)
    rotation.take()
    rotation.add("new", -1)
    assert [rotation.take() for _ in range(7)][-1] == -1


def test_a_source_that_comes_back_goes_to_the_end() -> None:
    rotation = filled(*"abb")
    assert rotation.take() == 0
    rotation.add("a", 3)
    assert drained(rotation) == [1, 3, 2]


def test_whoever_gives_up_leaves_nothing_behind() -> None:
    rotation = filled(*"aab")
    rotation.discard("a", 0)
    assert (rotation.waiting("a"), rotation.waiting("b"), len(rotation)) == (1, 1, 2)
    rotation.discard("a", 1)
    rotation.discard("b", 2)
    assert (rotation.waiting("a"), len(rotation), rotation.longest) == (0, 0, 0)
    assert not rotation._lines
    assert not rotation._by_length


@pytest.mark.parametrize("take", [Rotation.take, Rotation.take_surplus])
def test_nothing_is_taken_where_nothing_waits(take: Callable[[Rotation[int]], int]) -> None:
    """And not with StopIteration, which would end a generator that takes, and say nothing."""
    rotation = filled("a")
    assert take(rotation) == 0
    with pytest.raises(IndexError, match="nobody waits"):
        take(rotation)
    assert len(rotation) == 0


def test_the_newest_of_the_longest_line_gives_way() -> None:
    rotation = filled(*"aabbbc")
    assert [rotation.take_surplus() for _ in range(2)] == [4, 1]
    assert sorted(drained(rotation)) == [0, 2, 3, 5]


@pytest.mark.parametrize("seed", range(20))
def test_it_does_what_lists_do(seed: int) -> None:
    """Against lists that are searched, whatever comes in whatever order."""
    chance = random.Random(seed)
    rotation: Rotation[int] = Rotation()
    lines: dict[str, list[int]] = {}
    for number in range(2_000):
        act = chance.choice(("add", "add", "take", "discard", "surplus"))
        if act == "add" or not lines:
            source = chance.choice("abcdefgh")
            rotation.add(source, number)
            lines.setdefault(source, []).append(number)
        elif act == "take":
            source = next(iter(lines))
            line = lines.pop(source)
            assert rotation.take() == line.pop(0)
            lines[source] = line
        elif act == "discard":
            source = chance.choice(sorted(lines))
            gone = chance.choice(lines[source])
            rotation.discard(source, gone)
            lines[source].remove(gone)
        else:
            longest = max(map(len, lines.values()))
            newest = {line[-1]: source for source, line in lines.items() if len(line) == longest}
            gone = rotation.take_surplus()
            lines[newest[gone]].remove(gone)
        lines = {source: line for source, line in lines.items() if line}
        assert len(rotation) == sum(map(len, lines.values()))
        assert rotation.longest == max(map(len, lines.values()), default=0)
        for source in "abcdefgh":
            assert rotation.waiting(source) == len(lines.get(source, []))
