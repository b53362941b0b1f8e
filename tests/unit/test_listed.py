"""The list form of outputs says what the buffers and tables say, and the other way round."""

from __future__ import annotations

import pytest

from hpe.core import new_core
from hpe.core.contract import Output
from tests.support.listed import Listed, Progress, listed, packed
from tests.support.log_builder import outputs
from tests.support.pooled import PooledCore

LISTS = Listed(
    [(0, b"internal"), (3, b"to three"), (9, b"to nine")],
    [(7, 1, 2, b"of seven"), (7, 3, 3, b"more"), (2**63 - 1, 1, 1, b"of the last")],
    [(1, 2, b"levels"), (1, 0, b"")],
    b"body",
    11,
    1,
    [3],
    [(3, 8, 1, 2)],
    [Progress(3, 8, 1, 2)],
    True,
    [(3, 1, 12), (4, 2, 40), (9, 1, 20)],
)


def test_lists_come_back_as_they_were() -> None:
    assert listed(packed(LISTS)) == LISTS


def test_outputs_come_back_as_they_were() -> None:
    for output in outputs(20):
        assert packed(listed(output)) == output


@pytest.mark.parametrize("name", ["replies", "private", "market"])
def test_bytes_that_no_row_names_are_found(name: str) -> None:
    output = packed(LISTS)
    longer = output._replace(**{name: getattr(output, name) + b"?"})
    with pytest.raises(AssertionError):
        listed(longer)


def test_replies_to_one_connection() -> None:
    output = packed(LISTS)
    found = [output.replies_to(number) for number in (0, 3, 4, 5, 9)]
    assert found == [b"internal", b"to three", b"", b"", b"to nine"]


def test_a_pooled_output_is_the_same_in_memory_that_is_counted() -> None:
    pooled = PooledCore(new_core=new_core)
    made = packed(LISTS)
    output: Output | None = pooled.pool.output(made)
    assert output is not None
    assert output == made
    assert listed(output) == LISTS
    part = memoryview(output.replies)[2:4]
    output = None
    assert pooled.pool.in_use == 1, "a view keeps all of it"
    del part
    assert pooled.pool.in_use == 0
