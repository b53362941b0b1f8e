"""A core that wraps another one; a subclass changes parts, the inner core does the rest.

For tests that need a core with a fault, or two cores side by side. Relies on `Core` alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hpe.core import new_core
from hpe.core.contract import DEFAULT_LIMITS, Batch, BatchBounds, Core, Limits, Output, Settings
from tests.support.core_driver import CoreFactory


class CoreAround:
    """The whole contract, delegated to an inner core that `new_core` makes."""

    def __init__(
        self, limits: Limits = DEFAULT_LIMITS, *, new_core: CoreFactory = new_core
    ) -> None:
        self.inner: Core = new_core(limits)

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def limits(self) -> Limits:
        return self.inner.limits

    @property
    def bounds(self) -> BatchBounds:
        return self.inner.bounds

    @property
    def last_sequence(self) -> int:
        return self.inner.last_sequence

    @property
    def last_time_ns(self) -> int:
        return self.inner.last_time_ns

    @property
    def next_due_ns(self) -> int:
        return self.inner.next_due_ns

    @property
    def last_attach_number(self) -> int:
        return self.inner.last_attach_number

    @property
    def instrument_count(self) -> int:
        return self.inner.instrument_count

    @property
    def unfinished(self) -> bool:
        return self.inner.unfinished

    def attached_sessions(self) -> list[tuple[int, int]]:
        return self.inner.attached_sessions()

    def configuration_differences(self, configure: Settings) -> Settings | None:
        return self.inner.configuration_differences(configure)

    def apply(self, batch: Batch) -> Output:
        return self.inner.apply(batch)

    def replay(self, body: bytes) -> Output:
        return self.inner.replay(body)

    def state_hash(self) -> bytes:
        return self.inner.state_hash()

    def check(self) -> None:
        self.inner.check()

    def dump(self) -> Iterator[bytes]:
        return self.inner.dump()

    def load(self, chunks: Iterable[bytes], wanted: bytes = b"") -> None:
        self.inner.load(chunks, wanted)
