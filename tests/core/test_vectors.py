"""The golden vectors of tests/vectors: every core gives these bytes, in every way of running."""

import msgpack
import pytest

from hpe.core.codec import decode_body
from hpe.core.contract import CORE_VERSION
from hpe.core.state.rows import KINDS, DumpedFill, DumpedHead, DumpedOrder
from hpe.protocol.base import type_number
from hpe.protocol.enums import OrderType, Side, TimeInForce
from hpe.protocol.orders import SubmitOrder
from hpe.protocol.registry import COMMANDS, INTERNAL, QUERIES
from tests.support.core_driver import bodies_of
from tests.support.dumps import rows_in
from tests.support.listed import listed
from tests.support.vectors import FOLDER, read, written
from tests.vectors.histories import vectors

PATHS = sorted(FOLDER.glob("*.json"))
VECTORS = {path.stem: read(path) for path in PATHS}

CONSTANT = {(DumpedHead, "version"), (DumpedFill, "exec_type")}
"""What no history can change."""

each_vector = pytest.mark.parametrize("vector", VECTORS.values(), ids=VECTORS)


def dumps_of(vector):
    """Return (how many steps came before, rows) of every dump."""
    dumps = [(0, vector.start)] if vector.start else []
    return dumps + [(n, step.dump) for n, step in enumerate(vector.steps, 1) if step.dump]


@each_vector
def test_a_core_gives_the_same_bytes(vector, new_core):
    core = vector.new_core(new_core)
    for batch, output, state_hash, dump in vector.steps:
        assert listed(core.apply(batch)) == output
        assert core.state_hash() == state_hash
        if dump:
            assert list(core.dump()) == dump
    core.check()


@each_vector
def test_a_core_replays_the_same_bodies(vector, new_core):
    core = vector.new_core(new_core)
    for _, output, state_hash, _ in vector.steps:
        if output.body:
            assert core.replay(output.body).body == output.body
        assert core.state_hash() == state_hash


@each_vector
def test_a_core_that_loaded_a_dump_goes_on_the_same(vector, new_core):
    for count, dump in dumps_of(vector):
        core = new_core()
        core.load(dump, vector.steps[count - 1].batch.wanted if count else b"")
        core.check()
        assert list(core.dump()) == dump
        if count:
            assert core.state_hash() == vector.steps[count - 1].state_hash
        for batch, expected, state_hash, _ in vector.steps[count:]:
            assert listed(core.apply(batch)) == expected
            assert core.state_hash() == state_hash


@each_vector
def test_every_value_is_in_its_shortest_form(vector):
    """As another encoder of MessagePack writes it."""
    for _, dump in dumps_of(vector):
        for chunk in dump:
            assert msgpack.packb(msgpack.unpackb(chunk)) == chunk
    for step in vector.steps:
        for *_, frames in (*step.output.replies, *step.output.private, *step.output.market):
            for body in bodies_of(frames):
                assert msgpack.packb(msgpack.unpackb(body)) == body
        if step.output.body:
            assert msgpack.packb(msgpack.unpackb(step.output.body)) == step.output.body


def test_every_kind_of_row_is_in_a_vector():
    found = {
        type(row) for vector in VECTORS.values() for _, dump in dumps_of(vector)
        for row in rows_in(dump)
    }  # fmt: skip
    assert found == set(KINDS)


def requests_of(vector):
    """Yield every request of a vector, from the batches and from the log, as a list of values."""
    for step in vector.steps:
        logged = decode_body(step.output.body).groups if step.output.body else []
        for frames in (
            *(run.chunk.frames for run in step.batch.runs),
            *(row[2] for row in logged),
        ):
            yield from (msgpack.unpackb(body) for body in bodies_of(frames) if len(body) > 1)


def test_every_request_is_in_a_vector():
    found = {values[0] for vector in VECTORS.values() for values in requests_of(vector)}
    assert {type_number(each) for each in (*QUERIES, *COMMANDS, *INTERNAL)} <= found


@pytest.mark.parametrize(
    ("field", "enum"), [("side", Side), ("order_type", OrderType), ("time_in_force", TimeInForce)]
)
def test_orders_with_every_value_are_in_a_vector(field, enum):
    place = SubmitOrder.__struct_fields__.index(field) + 1
    found = {
        values[place] for vector in VECTORS.values() for values in requests_of(vector)
        if values[0] == type_number(SubmitOrder) and len(values) > place
    }  # fmt: skip
    assert set(enum) <= found


def test_every_field_has_several_values():
    """One that never changes could be left out, or stand in another one's place, unseen."""
    values = {}
    for vector in VECTORS.values():
        for _, dump in dumps_of(vector):
            for row in rows_in(dump):
                kind = DumpedOrder if isinstance(row, DumpedOrder) else type(row)
                for name in row.__struct_fields__:
                    values.setdefault((kind, name), set()).add(str(row.__getattribute__(name)))
    alone = {(kind, name) for (kind, name), found in values.items() if len(found) < 2}
    assert alone == CONSTANT


def test_the_files_are_what_the_histories_give(new_core):
    made = vectors(new_core)
    assert made.keys() == VECTORS.keys()
    for path in PATHS:
        text = path.read_text(encoding="utf-8")
        assert written(made[path.stem]) == text, "run python -m tests.vectors.make"


def test_the_version_is_that_of_the_core():
    for vector in VECTORS.values():
        assert vector.core_version == CORE_VERSION
