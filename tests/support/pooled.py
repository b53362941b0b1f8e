"""A core whose outputs are read-only views of memory from a pool, as a compiled core's will be.

The pool counts what something still refers to, so that a test finds whoever keeps an output for
longer than the contract allows. Wraps any core; buffers may be released by any thread.
"""

from __future__ import annotations

from collections import deque
from itertools import accumulate, pairwise
from typing import Any
from weakref import finalize

from hpe.core.contract import DEFAULT_LIMITS, Batch, Buffer, Limits, Output
from tests.support.core_around import CoreAround


class _Memory(bytearray):
    """The buffers of one output, end to end."""


class Pool:
    """Counts of buffers; `made` and `returned` have the size of each."""

    def __init__(self) -> None:
        self.made: deque[int] = deque()  # appending is atomic, adding to an integer is not
        self.returned: deque[int] = deque()

    @property
    def in_use(self) -> int:
        """Number of outputs that something refers to."""
        return len(self.made) - len(self.returned)

    def output(self, output: Output) -> Output:
        """Return the same output in memory of the pool."""
        buffers: list[Buffer] = [*output[:10]]
        memory = _Memory(b"".join(buffers))
        self.made.append(len(memory))
        finalize(memory, self.returned.append, len(memory)).atexit = False
        view = memoryview(memory).toreadonly()
        ends = accumulate(map(len, buffers), initial=0)
        views = [view[start:end] for start, end in pairwise(ends)]
        ten = dict(zip(output._fields, views, strict=False))
        changed: Output = output._replace(**ten)  # type: ignore[arg-type]  # the first ten
        return changed


class PooledCore(CoreAround):
    """A core with a pool."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS, **inner: Any) -> None:
        super().__init__(limits, **inner)
        self.pool = Pool()

    def apply(self, batch: Batch) -> Output:
        """Apply a batch."""
        return self.pool.output(super().apply(batch))

    def replay(self, body: bytes) -> Output:
        """Replay a body."""
        return self.pool.output(super().replay(body))
