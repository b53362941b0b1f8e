"""Effort, settings and places of the compiled core against the reference's."""

import re
from random import Random

import msgspec
import pytest

from hpe.core.context import effort
from hpe.core.context.command import Context
from hpe.core.context.effort import Effort
from hpe.core.context.holders import NOBODY, told
from hpe.core.context.places import Places, Taken
from hpe.core.context.settings import Settings
from hpe.core.contract import DEFAULT_LIMITS
from hpe.errors import InvariantViolation
from hpe.protocol.codes import RejectReason
from hpe.protocol.flags import FLAG_KEY_LIMIT, FLAG_USER_LIMIT
from hpe.protocol.internal import PlaceLimits
from hpe.protocol.limits import INT_MAX
from tests.conftest import PROJECT_ROOT

STEPS = 3_000
KINDS = ("users", "accounts", "orders", "holds", "assets", "instruments")


# --- effort ---------------------------------------------------------------------------------------


def test_charges_are_the_references():
    text = (PROJECT_ROOT / "hpe" / "core" / "compiled" / "effort.pxd").read_text(encoding="utf-8")
    (members,) = re.findall(r"cdef enum Charge:\n((?:    .+\n)+)", text)
    found = {name: int(value) for name, value in re.findall(r"    (\w+) = (\d+)\n", members)}
    assert found == {name: value for name, value in vars(effort).items() if name.isupper()}


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 1_000_003])
def test_efforts_of_many_are_the_references(places, count):
    assert places.clearing_effort(count) == effort.clearing_effort(count)
    assert places.rows_passed(count) == effort.rows_passed(count)


def take_off(reference, key, user, count):
    owner = key, 0 if key else user
    reference.taken_off[owner] = reference.taken_off.get(owner, 0) + count


@pytest.mark.parametrize("seed", range(2))
def test_a_meter_counts_as_the_references(places, seed):
    print(f"seed {seed}")
    random, compiled, reference = Random(seed), places.Effort(), Effort()
    for _ in range(STEPS):
        key, user = random.choice((0, 0, 5, INT_MAX)), random.choice((1, 2, 3, INT_MAX))
        choice = random.random()
        if choice < 0.5:
            name, each, count = random.choice(("charge", "ask", "waste")), 8, random.randint(0, 99)
            getattr(compiled, name)(each, count)
            getattr(reference, name)(each, count)
        elif choice < 0.95:
            count = random.randint(0, 256)
            compiled.take_off(key, user, count)
            take_off(reference, key, user, count)
        else:
            compiled.begin()
            reference.begin()
        expected = reference.spent, reference.asked, reference.wasted, len(reference.taken_off)
        assert compiled.counts == expected
        owner = key, 0 if key else user
        assert compiled.taken_off(key, user) == reference.taken_off.get(owner, 0)


# --- settings -------------------------------------------------------------------------------------


def a_limit(random):
    return random.choice((1, random.randint(1, 100), random.randint(1, INT_MAX), INT_MAX))


def some_settings(random):
    """Return settings with limits of every size."""
    names = PlaceLimits.__struct_fields__
    return (
        random.random() < 0.5, *(a_limit(random) for _ in range(4)),
        PlaceLimits(**{name: a_limit(random) for name in names}),
    )  # fmt: skip


def flat(row):
    return (*row[:5], msgspec.structs.astuple(row[5]))


@pytest.mark.parametrize("reserved_part", [1, 2, DEFAULT_LIMITS.reserved_part])
def test_settings_are_the_references(places, reserved_part):
    random, compiled, reference = (
        Random(reserved_part),
        places.Places(reserved_part),
        Settings(reserved_part),
    )
    for _ in range(300):
        assert compiled.row() == (flat(reference.row()), reference.open_orders_any_max)
        for count in (1, 2, 7, 8, 9, random.randint(1, INT_MAX), INT_MAX):
            assert compiled.share_of(count) == min(reference.share_of(count), INT_MAX)
            assert compiled.unreserved(count) == reference.unreserved(count)
        row = some_settings(random)
        compiled.set(flat(row))
        reference.set(*row)


# --- places ---------------------------------------------------------------------------------------


class BothPlaces:
    """The same places in both cores."""

    def __init__(self, places):
        part = DEFAULT_LIMITS.reserved_part
        self.settings = Settings(part)
        self.compiled, self.reference = places.Places(part), Places(self.settings)
        self.number(0)

    def number(self, key):
        """Return the number of a key's holder, which is there then."""
        self.reference.of(key)
        return self.compiled.number(key)

    def set(self, row):
        self.compiled.set(flat(row))
        self.settings.set(*row)

    def take(self, key, kind, more):
        holder = self.reference.of(key)
        more = max(more, -getattr(holder, kind))
        setattr(holder, kind, getattr(holder, kind) + more)
        self.compiled.take(key, kind, more)

    def refusal(self, key, operator, *arguments, reserve):
        holder = self.reference.of(key)
        context = Context(1, 1, 0, 1, 0, holder, operator=operator, cancel_on_disconnect=False)
        expected = told(self.reference.refusal(context, *arguments, reserve=reserve))
        assert self.compiled.refusal(key, operator, *arguments, reserve) == expected
        return expected

    def compare(self):
        assert sorted(self.compiled.known()) == sorted(self.reference._holders)
        for key in self.reference._holders:
            self.compare_key(key)

    def compare_key(self, key):
        holder = self.reference._holders[key]
        counts = [*holder.counts().values()]
        assert self.compiled.counts(key) == (counts, holder.has_any)

    def found(self):
        """Return the holder's number of each place, as if they were found, with their kinds."""
        return [
            (number, self.compiled.number(key))
            for key, holder in self.reference._holders.items()
            for number, kind in enumerate(KINDS)
            for _ in range(holder.counts()[kind])
        ]

    def check(self, found):
        """Check both; `found` is as `found` returns it."""
        numbers = {self.compiled.number(key): each for key, each in self.reference._holders.items()}
        by_kind = {
            name: [numbers.get(holder, NOBODY) for number, holder in found if number == kind]
            for kind, name in enumerate(KINDS)
        }
        try:
            self.reference.check(**by_kind)
        except InvariantViolation:
            expected = False
        else:
            expected = True
        assert self.compiled.check(found) == expected
        return expected


@pytest.mark.parametrize("seed", range(4))
def test_places_are_the_references(places, seed):
    print(f"seed {seed}")
    random, both, seen = Random(seed), BothPlaces(places), set()
    last = 0
    for step in range(STEPS):
        choice, key = random.random(), random.choice((0, random.randint(1, last + 20)))
        last = max(last, key)
        if choice < 0.5:
            both.take(key, random.choice(KINDS), random.randint(-5, 2))
        elif choice < 0.98:
            count_max, user_max = random.randint(1, 40), random.choice((5, 10, 20, INT_MAX))
            taken = Taken(*(random.randint(0, 20) for _ in range(3)))
            seen.add(both.refusal(
                key, random.random() < 0.2, RejectReason.TOO_MANY_HOLDS, random.randint(1, 2),
                taken, count_max, user_max, reserve=random.random() < 0.3,
            ))  # fmt: skip
        else:
            both.set(some_settings(random))
            key = 0
        if step % 20:
            both.compare_key(key)
        else:
            both.compare()
    reason = RejectReason.TOO_MANY_HOLDS
    assert seen == {
        (0, 0), (reason, 0), (reason, FLAG_USER_LIMIT), (reason, FLAG_KEY_LIMIT)
    }  # fmt: skip
    assert len(both.compiled.known()) < last, "some were forgotten"


@pytest.mark.parametrize("taken", [0, 1, 7, 8, 9])
@pytest.mark.parametrize("operator", [False, True])
@pytest.mark.parametrize("reserve", [False, True])
@pytest.mark.parametrize("key", [0, 5])
def test_places_at_their_limits(places, taken, operator, reserve, key):
    both, reason = BothPlaces(places), RejectReason.TOO_MANY_USERS
    for counts in ((taken, 0, 0), (0, taken, 0), (0, 0, taken), (taken, taken, taken)):
        for limits in ((8, 8), (8, INT_MAX), (32, 8), (32, INT_MAX), (INT_MAX, INT_MAX)):
            both.refusal(key, operator, reason, 1, Taken(*counts), *limits, reserve=reserve)


def test_check_sees_every_wrong_count(places):
    both, random = BothPlaces(places), Random(1)
    for key in (0, 5, 9):
        for kind in KINDS:
            both.take(key, kind, random.randint(1, 3))
    good = both.found()
    assert both.check(good)
    for place, (kind, holder) in enumerate(good):
        without = good[:place] + good[place + 1 :]
        assert not both.check(without)
        assert not both.check([*good, (kind, holder)])
        assert not both.check([*without, ((kind + 1) % len(KINDS), holder)])
        assert not both.check([*without, (kind, 1_000)])
        assert not both.check([*without, (kind, 0)])
    assert both.check(good)


def test_check_sees_a_holder_that_was_forgotten(places):
    both = BothPlaces(places)
    idle = [both.number(key) for key in (1, 2, 3)]
    for key in range(4, 66):
        both.take(key, "users", 1)
    both.compare()
    good = both.found()
    assert both.check(good)
    gone = [number for number in idle if (0, number) not in good]
    assert gone
    for number in gone:
        assert not both.check([*good, (0, number)])
