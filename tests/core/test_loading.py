"""What a core loads from a dump, and what it refuses: after any fault it is new again."""

import msgspec
import pytest

from hpe.core.contract import CORE_VERSION, DEFAULT_LIMITS
from hpe.core.state.rows import KINDS, DumpedResting
from hpe.errors import StateError
from hpe.protocol.enums import Role, Side
from hpe.protocol.listings import AddAsset, AddInstrument
from hpe.protocol.money import Deposit, LockBalance
from hpe.protocol.orders import SubmitOco
from tests.support.core_driver import Venue

FEW_FILLS = DEFAULT_LIMITS._replace(fills=1)
NUMBERS = {kind.__name__.removeprefix("Dumped").lower(): n for n, kind in enumerate(KINDS, 1)}
QUEUED = {number for number, kind in enumerate(KINDS, 1) if kind.QUEUED}


def a_trader(venue):
    """Return a client with money of both assets of an instrument."""
    client = venue.attach(1)
    for name in ("BASE", "QUOTE"):
        client.get_id(AddAsset(client.next_id(), name, 0))
    client.get_id(AddInstrument(client.next_id(), "BASE/QUOTE", 1, 2))
    for asset in (1, 2):
        client.ask(Deposit(client.next_id(), asset, 1_000))
    return client


@pytest.fixture
def rows(new_core):
    """Return the rows of a venue with money, orders, a pair, a hold, fills, sessions and keys."""
    venue = Venue(new_core)
    client = a_trader(venue)
    for side, price in ((Side.BUY, 9), (Side.BUY, 9), (Side.SELL, 9), (Side.SELL, 12)):
        client.submit(side, price, 5, client_order_id=client.last_request_id)
    client.ask(SubmitOco(client.next_id(), 1, Side.BUY, 2, 7, 15, 16))
    client.ask(LockBalance(client.next_id(), 1, 5, 0, 7))
    venue.keys_valid((7, Role.TRADER))
    return [msgspec.msgpack.decode(row) for row in venue.core.dump()]


def bytes_of(rows):
    return [msgspec.msgpack.encode(row) for row in rows]


def refuse(new_core, chunks, text):
    """Load what must be refused; afterwards the core is as new, under the limits that it had."""
    core = new_core(FEW_FILLS)
    with pytest.raises(StateError, match=text):
        core.load(chunks)
    as_new(new_core, core)
    return core


def as_new(new_core, core):
    assert core.limits == FEW_FILLS
    assert list(core.dump()) == list(new_core().dump())
    assert core.next_due_ns == core.last_sequence == core.instrument_count == 0
    assert not core.unfinished
    assert not core.attached_sessions()
    core.check()


def test_a_refused_core_loads_what_is_good(new_core, rows):
    chunks = bytes_of(rows)
    core = refuse(new_core, chunks[:-1], "has no end")
    core.load(iter(chunks))
    assert list(core.dump()) == chunks
    core.check()


def test_a_refused_core_keeps_to_its_limits(new_core, rows):
    def refused(limits):
        core = new_core(limits)
        with pytest.raises(StateError):
            core.load(bytes_of(rows[:-1]))
        return core

    venue = Venue(new_core)
    client = a_trader(venue)
    for _ in range(2):
        client.submit(Side.SELL, 9, 4)
    venue.new_core = refused
    venue.limit(fills=1)
    client.submit(Side.BUY, 9, 8)
    assert len(client.fills) == 1


def test_what_cannot_be_read_leaves_the_core_as_new(new_core, rows):
    """Half of a state, then the disk fails."""

    def half():
        yield from bytes_of(rows[: len(rows) // 2])
        raise OSError("unreadable")

    core = new_core(FEW_FILLS)
    with pytest.raises(OSError, match="unreadable"):
        core.load(half(), b"")
    as_new(new_core, core)
    core.load(bytes_of(rows))


def test_a_dump_is_refused_wherever_it_is_cut(new_core, rows):
    chunks = bytes_of(rows)
    assert len({row[0] for row in rows}) > 12
    for count in range(len(chunks)):
        refuse(new_core, chunks[:count], "row")
        if len(chunks[count]) > 1:
            refuse(new_core, [*chunks[:count], chunks[count][:-1]], f"row {count + 1} .*")


def test_a_dump_without_one_of_its_rows_is_refused(new_core, rows):
    for index in range(len(rows)):
        refuse(new_core, bytes_of([*rows[:index], *rows[index + 1 :]]), "row")


def test_a_dump_with_a_row_twice_is_refused(new_core, rows):
    for index in range(len(rows)):
        refuse(new_core, bytes_of([*rows[: index + 1], *rows[index:]]), "row")


def test_rows_stand_in_their_order(new_core, rows):
    swapped = 0
    for index in range(len(rows) - 1):
        before, after = rows[index : index + 2]
        if before[0] in QUEUED and before[0] == after[0]:
            continue
        swapped += 1
        changed = [*rows[:index], after, before, *rows[index + 2 :]]
        refuse(new_core, bytes_of(changed), "row")
    assert swapped > 12


@pytest.mark.parametrize("version", [0, CORE_VERSION - 1, CORE_VERSION + 1, "5", None])
def test_another_version_is_refused_by_its_number(new_core, rows, version):
    head = [1, version, "whatever that version has"]
    text = f"core version {version}; this build is core version {CORE_VERSION}"
    refuse(new_core, bytes_of([head, *rows[1:]]), text)


@pytest.mark.parametrize(
    "head", [[], [1], [2, CORE_VERSION], {}, None, 1, ["core", CORE_VERSION], [[1], CORE_VERSION]]
)
def test_what_begins_otherwise_is_no_dump(new_core, rows, head):
    refuse(new_core, bytes_of([head, *rows[1:]]), "row 1 of the dump is no head")


def test_no_bytes_are_no_dump(new_core):
    refuse(new_core, [], "row 1 of the dump is missing")
    refuse(new_core, [b""], "row 1 of the dump is no row")


def test_every_row_has_exactly_its_fields(new_core, rows):
    for index, row in enumerate(rows):
        for changed in (row[:-1], [*row, 0], [99, *row[1:]], [0, *row[1:]], [*row[:-1], None]):
            chunks = bytes_of([*rows[:index], changed, *rows[index + 1 :]])
            refuse(new_core, chunks, f"row {index + 1} of the dump is no")


def test_every_row_is_one_value(new_core, rows):
    chunks = bytes_of(rows)
    for index, chunk in enumerate(chunks):
        changed = [*chunks[:index], chunk + b"\x00", *chunks[index + 1 :]]
        refuse(new_core, changed, f"row {index + 1} of the dump is no row")


def test_a_longer_form_of_a_number_is_refused(new_core, rows):
    chunks = bytes_of(rows)
    end = b"\x92\x16\xcd" + rows[-1][1].to_bytes(2, "big")
    assert msgspec.msgpack.decode(end) == rows[-1]
    refuse(new_core, [*chunks[:-1], end], "shortest form")


@pytest.mark.parametrize(
    ("kind", "place", "value", "text"),
    [
        ("instrument", 3, 9, "names asset 9"),
        ("instrument", 1, 0, "an instrument BASE/QUOTE that cannot be"),
        ("asset", 2, "BASE", "an asset BASE that cannot be"),
        ("net", 1, 9, "names asset 9"),
        ("account", 2, 9, "names asset 9"),
        ("account", 1, 9, "names user 9"),
        ("hold", 1, 9, "names user 9"),
        ("hold", 4, 9, "names of user 1 an account of asset 9"),
        ("resting", 1, 9, "names instrument 9"),
        ("resting", 5, 9, "names user 9"),
        ("resting", 31, 99, "names order 99"),
        ("ended", 1, 9, "names instrument 9"),
        ("fill", 1, 9, "names user 9"),
        ("response", 1, 9, "names session 9"),
        ("session", 3, 1, "beyond the window"),
        ("end", 1, 5, "says that 5 rows come before it"),
    ],
)
def test_what_a_row_names_must_be_there(new_core, rows, kind, place, value, text):
    number = NUMBERS[kind]
    index = max(index for index, row in enumerate(rows) if row[0] == number)
    changed = [*rows[index][:place], value, *rows[index][place + 1 :]]
    refuse(new_core, bytes_of([*rows[:index], changed, *rows[index + 1 :]]), text)


@pytest.mark.parametrize(
    ("kind", "place", "value"),
    [("user", 2, 7), ("user", 1, 99), ("ended", 31, 1), ("resting", 29, 1)],
)
def test_rows_that_no_state_has_are_refused(new_core, rows, kind, place, value):
    """A key of the house, no house, a partner of an ended order, a place of one that is no stop."""
    index = max(index for index, row in enumerate(rows) if row[0] == NUMBERS[kind])
    rows[index][place] = value
    refuse(new_core, bytes_of(rows), "rows that no state has|does not follow")


def test_two_open_orders_of_one_id_are_refused(new_core, rows):
    kind, field = NUMBERS["resting"], DumpedResting.__struct_fields__.index("order_id") + 1
    first, second = [index for index, row in enumerate(rows) if row[0] == kind][:2]
    rows[second][field] = rows[first][field]
    refuse(new_core, bytes_of(rows), "second one of order")


def test_a_key_needs_a_head_that_knows_keys(new_core, rows):
    rows[0][-1] = False
    refuse(new_core, bytes_of(rows), "none is known")
