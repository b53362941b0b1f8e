"""A core with two more beside it that must do the same, to the byte.

One loaded the first one's dump some batches ago, and loads it anew every now and then; one has
nothing but the log. Relies on `Core` alone. For plays and random streams, one thread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import count
from typing import Final

from hpe.core.contract import DEFAULT_LIMITS, Batch, Core, Limits, Output, Settings
from tests.support.core_around import CoreAround
from tests.support.core_driver import CoreFactory
from tests.support.dumps import rows_in
from tests.support.listed import apply, listed
from tests.support.outputs import assert_same

LOAD_EVERY: Final = 13


class ShadowedCore(CoreAround):
    """The first of the three; `rows` counts what the second one loaded, by kind."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS, *, new_core: CoreFactory) -> None:
        super().__init__(limits, new_core=new_core)
        self._new_core = new_core
        self.load_every = LOAD_EVERY
        self.loaded: Core | None = None
        self.replayed = new_core(limits)
        self._dumped = list(self.dump())
        self._wanted = b""
        self.rows: Counter[str] = Counter()
        self._batches = count(1)

    def apply(self, batch: Batch) -> Output:
        """Apply a batch to all three."""
        if next(self._batches) % self.load_every == 0 and self.last_sequence:
            self.loaded = self._load()
        before, output = self._dumped, super().apply(batch)
        self._dumped, self._wanted = list(self.dump()), batch.wanted
        if self.loaded is not None:
            assert_same(listed(output), apply(self.loaded, batch), before, self._dumped)
            self._compare(self.loaded)
        if output.body:
            again = self.replayed.replay(bytes(output.body))
            assert again.private == output.private
            assert again.private_rows == output.private_rows
            assert again.last_sequence == output.last_sequence
            assert again.next_due_ns == output.next_due_ns
            self._compare(self.replayed)
        return output

    def replay(self, body: bytes) -> Output:
        """Replay a body on all that have the log."""
        output, self.loaded = super().replay(body), None
        self.replayed.replay(body)
        self._dumped = list(self.dump())
        return output

    def load(self, chunks: Iterable[bytes], wanted: bytes = b"") -> None:
        """Load a dump, which the log then begins with."""
        self._dumped, self._wanted = list(chunks), wanted
        for core in (self.inner, self.replayed):
            core.load(self._dumped, wanted)

    def configuration_differences(self, configure: Settings) -> Settings | None:
        """Find what is to be logged; the others find the same."""
        found = super().configuration_differences(configure)
        for other in filter(None, (self.loaded, self.replayed)):
            assert other.configuration_differences(configure) == found
        return found

    def check(self) -> None:
        """Walk the state of all three."""
        for core in filter(None, (self.inner, self.loaded, self.replayed)):
            core.check()
            assert core.state_hash() == self.state_hash()

    def _load(self) -> Core:
        core = self._new_core(self.limits)
        core.load(self._dumped, self._wanted)
        core.check()
        self.rows.update(type(row).__name__ for row in rows_in(self._dumped))
        return core

    def _compare(self, other: Core) -> None:
        """Compare a core that executed the same: its rows, and what it tells beside them."""
        assert list(other.dump()) == self._dumped
        assert other.next_due_ns == self.next_due_ns
        assert other.unfinished is self.unfinished
        assert other.attached_sessions() == self.attached_sessions()
        assert other.last_attach_number == self.last_attach_number
        assert other.instrument_count == self.instrument_count
