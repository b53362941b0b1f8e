"""The containers of the compiled core against Python's: buffers, hash tables, ordered trees."""

from math import log2
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sortedcontainers import SortedList

from hpe.core.codec import encode
from hpe.protocol.limits import INT_MAX

EDGES = sorted(
    {
        edge + more
        for edge in (0, 2**5, 2**7, 2**8, 2**15, 2**16, 2**31, 2**32, 2**62)
        for more in (-1, 0, 1)
    }
)
integers = st.integers(-INT_MAX - 1, INT_MAX)


@pytest.mark.parametrize("edge", EDGES)
def test_integers_have_their_shortest_form(parts, edge):
    for number in (edge, -edge, -edge - 1):
        assert parts.encoded(number) == encode(number)


@given(st.recursive(st.none() | st.booleans() | integers | st.text(max_size=300), st.lists))
def test_values_are_encoded_as_by_the_library(parts, value):
    assert parts.encoded(value) == encode(value)


@pytest.mark.parametrize("count", [15, 16, 65_535, 65_536])
def test_headers_of_long_arrays(parts, count):
    assert parts.encoded([0] * count) == encode([0] * count)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("keys", [40, 5_000])
def test_a_hash_table_is_a_dict(records, seed, keys):
    print(f"seed {seed}")
    random, table, model, moving = Random(seed), records.HashTable(seed), {}, 0
    for step in range(30_000):
        key = random.randrange(keys), random.choice([0, -1, INT_MAX])
        grows = random.random() < (0.7 if step // 5_000 % 2 == 0 else 0.3)
        if key not in model and grows:
            model[key] = table.add(*key)
        elif key in model and not grows:
            table.remove(*key)
            del model[key]
        assert table.find(*key) == model.get(key, 0)
        moving += table.is_moving
    assert len(table) == len(model)
    assert moving
    for first in range(keys):
        for second in (0, -1, INT_MAX):
            assert table.find(first, second) == model.get((first, second), 0)


def test_a_full_table_finds_everything_while_it_moves(records):
    table = records.HashTable(1)
    numbers = {}
    for key in range(3_000):
        numbers[key] = table.add(key, key)
        if table.is_moving:
            assert all(table.find(each, each) == numbers[each] for each in range(0, key, 37))
            assert table.find(key + 1, key + 1) == 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("span", [30, 100_000])
def test_a_tree_is_a_sorted_list(records, seed, span):
    print(f"seed {seed}")
    random, tree, model = Random(seed), records.Tree(), SortedList()
    for step in range(6_000):
        key = random.randrange(-span, span), random.randrange(2), random.randrange(2)
        grows = random.random() < (0.75 if step // 1_500 % 2 == 0 else 0.25)
        if grows and key not in model:
            tree.insert(*key)
            model.add(key)
        elif not grows and model:
            key = random.choice(model)
            tree.take_out(*key)
            model.remove(key)
        assert tree.has(*key) == (key in model)
        place = model.bisect_left(key)
        assert tree.at_or_after(*key) == (model[place] if place < len(model) else None)
        assert tree.count_from(*key) == len(model) - place
        if step % 300 == 0:
            assert tree.keys() == list(model)
            assert tree.keys_backward() == list(reversed(model))
            tree.check()
    assert len(tree) == len(model)


def inward(count):
    """Return numbers from both ends in turn, toward the middle."""
    return [number // 2 if number % 2 else count - 1 - number // 2 for number in range(count)]


COUNT = 20_000
ORDERS = {
    "ascending": list(range(COUNT)),
    "descending": list(range(COUNT))[::-1],
    "inward": inward(COUNT),
    "outward": inward(COUNT)[::-1],
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_no_order_of_keys_makes_a_tree_deep(records, order):
    tree = records.Tree()
    for number in order:
        tree.insert(number, 0, 0)
    assert tree.check() <= 1.45 * log2(COUNT) + 1
    for number in order[::2]:
        tree.take_out(number, 0, 0)
    assert tree.check() <= 1.45 * log2(COUNT / 2) + 1
    assert tree.keys() == sorted((number, 0, 0) for number in order[1::2])
