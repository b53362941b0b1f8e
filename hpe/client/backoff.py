"""How long to wait before the next attempt: exponential, with full jitter.

Owns the waiting times of one client. Full jitter (anything from nothing to the ceiling, evenly)
spreads the clients of a service that restarts; the ceiling doubles from try to try. Pure but for
its random numbers, which a test can seed.
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
        dice: where jitter comes from.

    Attributes:
        ceiling_s: of the next wait.
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
        """Return the next wait; the one after it has twice the ceiling."""
        wait_s = self._dice.uniform(0, self.ceiling_s)
        self.ceiling_s = min(2 * self.ceiling_s, self._last_s)
        return wait_s

    def worked(self, lived_s: float) -> None:
        """Begin anew if what was reached held at least as long as the next wait may be.

        A peer that lets in and cuts at once must not be asked ten times a second forever.
        """
        if lived_s >= self.ceiling_s:
            self.ceiling_s = self._first_s
