"""Products beyond 64 bits, compiled: the reference's results over the range of their fields."""

from hypothesis import given
from hypothesis import strategies as st

from hpe.core.money import wide
from hpe.protocol.limits import AMOUNT_MAX, INT_MAX, PPM

positive = st.one_of(
    st.integers(1, 1_000), st.integers(1, INT_MAX), st.sampled_from([2**31, 2**62, INT_MAX])
)
amounts = st.one_of(st.integers(1, 1_000), st.integers(1, AMOUNT_MAX), st.just(AMOUNT_MAX))
rates = st.one_of(st.sampled_from([0, 1, 1 - PPM, PPM - 1]), st.integers(1 - PPM, PPM - 1))
rests = st.one_of(st.sampled_from([0, 1, PPM - 1]), st.integers(0, PPM - 1))


@given(price=positive, lots=positive, atoms=amounts)
def test_notionals(parts, price, lots, atoms):
    expected = wide.checked_notional(price, lots, atoms)
    assert parts.checked_notional(price, lots, atoms) == expected
    if expected is not None:
        assert parts.notional(price, lots, atoms) == expected
    assert parts.base_atoms(lots, atoms) == wide.base_atoms(lots, atoms)
    assert parts.ticks_of(price, lots) == wide.ticks_of(price, lots)
    assert parts.ticks_paid_by(lots, atoms) == wide.ticks_paid_by(lots, atoms)


def test_a_notional_at_its_bound(parts):
    assert parts.checked_notional(2**31, 2**31, 1) == AMOUNT_MAX
    assert parts.checked_notional(2**31 + 1, 2**31, 1) is None
    assert parts.checked_notional(1, 1, AMOUNT_MAX) == AMOUNT_MAX
    assert parts.checked_notional(2, 1, AMOUNT_MAX) is None
    assert parts.checked_notional(INT_MAX, INT_MAX, AMOUNT_MAX) is None


@given(notional=st.one_of(st.just(0), amounts), rate=rates, rest=rests)
def test_fees(parts, notional, rate, rest):
    assert parts.charge(notional, rate, rest) == wide.charge(notional, rate, rest)
    assert parts.worst_fee(notional, rate, rest) == wide.worst_fee(notional, rate, rest)


@given(reference=positive, parts_ppm=st.integers(0, PPM))
def test_bands(parts, reference, parts_ppm):
    assert parts.band(reference, parts_ppm) == wide.band(reference, parts_ppm)


@given(one=positive, other=positive)
def test_middles(parts, one, other):
    lowest, highest = sorted((one, other))
    assert parts.middle(lowest, highest) == wide.middle(lowest, highest)


@given(price=positive, trail=positive, sign=st.sampled_from([1, -1]))
def test_triggers_at_a_distance(parts, price, trail, sign):
    assert parts.trail_trigger(price, trail, sign) == wide.trail_trigger(price, trail, sign)


@given(lots=st.one_of(st.just(0), positive), display=positive)
def test_slices(parts, lots, display):
    assert parts.slices(lots, display) == wide.slices(lots, display)


@given(
    amount=amounts,
    rate=st.integers(0, PPM - 1),
    costs=st.lists(st.tuples(st.integers(1, 2**40), st.integers(1, 2**20)), max_size=5),
)
def test_budgets(parts, amount, rate, costs):
    atoms = 2**20
    ours, reference = parts.Budget(amount, atoms, rate), wide.Budget(amount, atoms, rate)
    for price, wanted in costs:
        assert ours.lots(price) == reference.lots(price)
        assert ours.is_spent(price) == reference.is_spent(price)
        lots = min(wanted, reference.lots(price))
        ours.spend(price, lots)
        reference.spend(price, lots)
    assert ours.is_spent(0) == reference.is_spent(0)
