"""The dispatcher: gives what the log published to the connections that it concerns.

Owns the order of routing and sending; where each part of an output goes is the switchboard's. One
task in the Trio loop calls `dispatch`, a test or a simulator `step`. Guarantees: `step` never
waits; outputs are routed in the order in which the log published them, each whole before the next;
connections send before the next outputs are taken. Relies on getting only outputs that may be
visible. Rules: docs/architecture.md, "The pipeline".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import trio

from hpe.core.contract import Output
from hpe.net.delivery.switchboard import Switchboard
from hpe.net.limits.pacing import Traffic

Released = tuple[Sequence[Output], int]
"""Outputs that the log published together, and the newest command that is durable then."""

CHECKPOINTS: Final = 2
"""Rounds of the loop after each step: within one, tasks run in any order."""


class Dispatcher:
    """Routes outputs, lets connections send, and reports what was done.

    Args:
        switchboard: the connections.
        traffic: is told how many batches of clients' requests are answered.
        note_durable: called with the newest durable command.
        tick: called with the time after each step.
    """

    def __init__(
        self,
        switchboard: Switchboard,
        traffic: Traffic,
        note_durable: Callable[[int], None],
        tick: Callable[[float], None],
    ) -> None:
        self._switchboard = switchboard
        self._traffic = traffic
        self._note_durable = note_durable
        self._tick = tick

    def step(self, groups: Sequence[Released]) -> int:
        """Route outputs; return how many of them answer clients."""
        answers = 0
        for outputs, durable in groups:
            for output in outputs:
                answers += self._switchboard.route(output)
            self._note_durable(durable)
        return answers

    async def dispatch(self, take: Callable[[], Awaitable[Sequence[Released]]]) -> None:
        """Route and send until canceled.

        Args:
            take: waits for outputs and returns all that are there.
        """
        while True:
            answers = self.step(await take())
            await self._switchboard.flush()
            for _ in range(CHECKPOINTS):
                await trio.lowlevel.checkpoint()
            now_s = trio.current_time()
            self._traffic.ends(answers, now_s)
            self._tick(now_s)

    def finish(self, groups: Sequence[Released]) -> None:
        """Route the last outputs; connections send what they can without waiting."""
        self.step(groups)
        self._switchboard.flush_some(len(self._switchboard.to_flush))
