"""Hostile frames in process: the core's error and its field are those of a second opinion."""

from collections import Counter

import msgpack
import pytest

from hpe.core.decoding.judging import CONTROL_TABLES, REQUEST_TABLES, Undecodable, decode_request
from hpe.protocol.codes import ErrorCode
from tests.support.hostile_frames import TYPES, hostile_bodies
from tests.support.second_judge import TO_ANYBODY, SecondVerdict, verdict_on

PER_SEED = 10_000
RELEASE_SEEDS = 130
"""1.3 million frames."""
PER_RUN = 50
TABLES = {**REQUEST_TABLES, **CONTROL_TABLES}


def verdict_of(body):
    try:
        decode_request(body, TABLES)
    except Undecodable as fault:
        return SecondVerdict(fault.code, fault.request_id, fault.field)
    return None


def judge_many(seed, count):
    """Hold a stream of bodies against the second opinion; return what they came to."""
    print(f"seed {seed}")
    found = Counter()
    for _, body in zip(range(count), hostile_bodies(seed), strict=False):
        expected = verdict_on(body, TO_ANYBODY)
        assert verdict_of(body) == expected, f"seed {seed}: {body.hex()}"
        found[ErrorCode(expected.code).name if expected else "request"] += 1
        if expected and "." in expected.field:
            found["inside an array"] += 1
    return found


@pytest.mark.parametrize("seed", range(2))
def test_each_is_judged_as_the_second_opinion_judges_it(seed):
    found = judge_many(seed, PER_SEED)
    print(found)
    kinds = {"request", "inside an array", "BAD_FIELD", "UNKNOWN_TYPE", "NOT_AN_ARRAY"}
    assert found.keys() >= kinds | {"BAD_MESSAGEPACK", "TRAILING_BYTES"}
    assert found["request"] > PER_SEED // 100
    assert found["BAD_FIELD"] > PER_SEED // 4
    assert found["inside an array"] > PER_SEED // 100


def test_the_examples_that_are_changed_are_of_every_request():
    kinds = Counter()
    for _, body in zip(range(5_000), hostile_bodies(1), strict=False):
        if verdict_on(body, TO_ANYBODY) is None:
            kinds[msgpack.unpackb(body, strict_map_key=False)[0]] += 1
    assert kinds.keys() == {*TYPES}


@pytest.mark.release
@pytest.mark.timeout(1_800)
def test_a_million_are_judged_as_the_second_opinion_judges_them():
    found = sum((judge_many(seed, PER_SEED) for seed in range(RELEASE_SEEDS)), Counter())
    print(found)
    assert sum(found.values()) - found["inside an array"] == RELEASE_SEEDS * PER_SEED
