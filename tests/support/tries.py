"""Tries: claims about time, which a pause of the machine may spoil once and a fault each time.

A test that is `repeated_if_late` begins anew, with an empty folder, when it found something `Late`;
it fails when that happened in every try. Whatever else it finds fails it at once.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

TRIES: Final = 3

Test = Callable[..., Awaitable[None]]


class Late(AssertionError):
    """Something took longer than it may."""


def in_time(took_s: float, allowed_s: float, what: str) -> None:
    """Raise Late if something took longer than allowed."""
    if took_s >= allowed_s:
        raise Late(f"{what} took {took_s:.2f} s, allowed {allowed_s:.2f} s")


def repeated_if_late(test: Test) -> Test:
    """Give a test of a folder several tries to be in time."""

    @functools.wraps(test)
    async def tried(tmp_path: Path, **arguments: object) -> None:
        for number in range(1, TRIES + 1):
            folder = tmp_path / str(number)
            folder.mkdir()
            try:
                await test(folder, **arguments)
                return
            except Late as late:
                print(f"try {number}: {late}")
                if number == TRIES:
                    raise

    return tried
