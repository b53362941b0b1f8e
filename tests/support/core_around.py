"""A core that wraps another one; a subclass changes parts, the inner core does the rest.

For tests that need a core with a fault, or two cores side by side. Relies on `Core` alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hpe.core import new_core
from hpe.core.contract import DEFAULT_LIMITS, Batch, BatchBounds, Core, Limits, Output, Settings
from hpe.extensions import CoreName
from tests.support.core_driver import CoreFactory
from tests.support.hand_set_clock import HandSetClock


class CoreAround:
    """The whole contract, delegated to an inner core that `new_core` makes."""

    def __init__(
        self, limits: Limits = DEFAULT_LIMITS, *, new_core: CoreFactory = new_core
    ) -> None:
        self.inner: Core = new_core(limits)

    @property
    def name(self) -> CoreName:
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


class Planned(CoreAround):
    """A core of which a test knows what is due, and how long a batch takes.

    Args:
        machine: time passes here.
        due_ns: when the timer is due, before the first batch and after each.
        late: whether market data is late after each batch.
        takes_ns: how long a batch takes.
    """

    def __init__(
        self, machine: HandSetClock, *, due_ns: int = 0, late: bool = False, takes_ns: int = 0
    ) -> None:
        super().__init__()
        self.machine = machine
        self.due_ns = due_ns
        self.late = late
        self.takes_ns = takes_ns

    @property
    def next_due_ns(self) -> int:
        return self.due_ns

    def apply(self, batch: Batch) -> Output:
        self.machine.passes(self.takes_ns)
        return super().apply(batch)._replace(next_due_ns=self.due_ns, late=self.late)
