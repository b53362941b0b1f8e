"""Play the steps of a recording on a core, and sum up each of them so that cores can be compared.

A `StreamPlayer` owns one core, and a second one that executes its log if the recording says so; one
thread uses it. A summary has one value per name of NAMES: checksums of the buffers of the output,
its other fields, and what the core tells beside it. Relies on `Core` alone.

Each core loads its own dump. As the checksums of the dumps are compared, that is the other core's
dump as well, or a difference.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, Final
from zlib import crc32

import msgspec

from hpe.core.contract import Core, Limits, Output
from hpe.errors import ConfigError
from hpe.protocol.internal import Configure, KeysValid
from tests.differential.recording import StreamStep

CoreFactory = Callable[[Limits], Core]
Summary = list[Any]

BUFFERS: Final = Output._fields[:10]
NAMES: Final = (
    *Output._fields, "facts", "differences", "replayed", "dump", "state_hash", "replayed_hash",
)  # fmt: skip
_settings: Final = msgspec.msgpack.Decoder(Configure | KeysValid)
_encode: Final = msgspec.msgpack.Encoder().encode


def factory_of(spec: str) -> CoreFactory:
    """Return what `module:name` makes cores with."""
    module, _, name = spec.partition(":")
    found: CoreFactory = getattr(import_module(module), name)
    return found


class StreamPlayer:
    """One core in the middle of a stream; `output` is that of the last step."""

    def __init__(self, new_core: CoreFactory, limits: Limits, replays: bool) -> None:
        self._new_core: Callable[[], Core] = partial(new_core, limits)
        self.core = self._new_core()
        self._other = self._new_core() if replays else None
        self._wanted = b""
        self.output: Output | None = None

    def play(self, step: StreamStep) -> Summary:
        """Play one step and sum it up."""
        core = self.core
        asked = b"".join(map(self._differences, step.asked))
        dump = self._load() if step.loads and core.last_sequence else 0
        core = self.core
        output = self.output = core.apply(step.batch())
        self._wanted = step.wanted
        found: Summary = [crc32(each) for each in output[:10]]
        found += [output.last_sequence, output.next_due_ns, bool(output.late)]
        facts = (
            core.attached_sessions(), core.last_attach_number, core.instrument_count,
            bool(core.unfinished), core.last_sequence, core.last_time_ns, core.next_due_ns,
        )  # fmt: skip
        found += [crc32(repr(facts).encode()), crc32(asked), self._replay(output)]
        if step.hashes:
            core.check()
        found.append(dump)
        cores = (self.core, self._other)
        found += [each.state_hash() if step.hashes and each else b"" for each in cores]
        return found

    def _differences(self, body: bytes) -> bytes:
        """Return what a core says about a configuration."""
        try:
            found = self.core.configuration_differences(_settings.decode(body))
        except ConfigError as error:
            return f"ConfigError: {error}".encode()
        return b"nil" if found is None else _encode(found)

    def _load(self) -> int:
        """Go on with a new core that loads the dump; return the checksum of the dump."""
        rows = list(self.core.dump())
        self.core = self._new_core()
        self.core.load(rows, self._wanted)
        return crc32(b"".join(rows))

    def _replay(self, output: Output) -> list[Any]:
        """Execute the log on the other core; return what it put out."""
        other, body = self._other, bytes(output.body)
        if other is None or not body:
            return []
        again = other.replay(body)
        return [
            again.body == body, crc32(again.replies), crc32(again.private),
            crc32(again.private_rows), again.last_sequence, again.next_due_ns,
        ]  # fmt: skip
