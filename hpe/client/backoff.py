"""How long to wait before the next attempt: exponential, with full jitter.

Owns the waiting times of one client. Full jitter (any wait from zero to the ceiling, uniformly)
spreads the clients of a service that restarts; the ceiling doubles with every attempt. Pure, apart
from its random numbers, which a test can seed.
"""

from __future__ import annotations

import random
from typing import Final

FIRST_S: Final = 0.1
LAST_S: Final = 5.0


class Backoff:
    """The waits between attempts.

    Args:
        first_s: ceiling of the first wait.
        last_s: highest ceiling.
        dice: the source of the jitter.

    Attributes:
        ceiling_s: ceiling of the next wait.
    """

    def __init__(
        self,
        first_s: float = FIRST_S,
        last_s: float = LAST_S,
        dice: random.Random | None = None,
    ) -> None:
        assert 0 <= first_s <= last_s
        self.ceiling_s = first_s
        self._first_s = first_s
        self._last_s = last_s
        self._dice = dice or random.Random()

    def next_s(self) -> float:
        """Return the next wait and double the ceiling."""
        wait_s = self._dice.uniform(0, self.ceiling_s)
        self.ceiling_s = min(2 * self.ceiling_s, self._last_s)
        return wait_s

    def worked(self, lived_s: float) -> None:
        """Reset the ceiling if the connection lasted at least as long as the next wait may be.

        A peer that accepts and cuts at once must not be tried ten times a second forever.
        """
        if lived_s >= self.ceiling_s:
            self.ceiling_s = self._first_s
