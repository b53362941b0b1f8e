"""Worker of compare.py: PyPI limit-order-book's C++ book on a recorded flow.

Runs in the peer's own virtual environment, so it imports nothing of hpe: the flow is a file in the
flash1 form, the result is one line of JSON. The calls are made in batches while the clock is
stopped. The book knows limit orders and cancels: an immediate-or-cancel order is placed and then
canceled, a modify is a cancel and a new order if the old one was still resting. It keeps no
balances and reports neither trades nor whether a cancel found its order, which makes its work
smaller; only its final book can be checked. One thread.
"""

from __future__ import annotations

import gc
import json
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from limit_order_book import LimitOrderBook

BATCH_COMMANDS = 1_024
"""Commands that are made at a time, as in core_client.py."""

Call = tuple[Callable[..., Any], tuple[Any, ...]]


class Preparer:
    """Makes the calls for lines of the flow."""

    def __init__(self, book: LimitOrderBook) -> None:
        self._place = {"B": book.limit_buy, "S": book.limit_sell}
        self._cancel = book.cancel
        self._has = book.has

    def calls(self, lines: list[str]) -> list[Call]:
        """Return the calls of some lines."""
        found: list[Call] = []
        for line in lines:
            match line.split(","):
                case ["N", side, tif, *order]:
                    arguments = tuple(map(int, order))
                    found.append((self._place[side], arguments))
                    if tif == "I":
                        found.append((self._cancel, arguments[:1]))
                case ["M", side, *order]:
                    found.append((self._modify, (self._place[side], tuple(map(int, order)))))
                case ["C", order_id]:
                    found.append((self._cancel, (int(order_id),)))
                case _:
                    raise ValueError(line)
        return found

    def _modify(self, place: Callable[..., None], order: tuple[int, ...]) -> None:
        if self._has(order[0]):
            self._cancel(order[0])
            place(*order)


def run(book: LimitOrderBook, lines: list[str]) -> int:
    """Make all calls; return the nanoseconds taken."""
    preparer = Preparer(book)
    elapsed_ns = 0
    for first in range(0, len(lines), BATCH_COMMANDS):
        batch = preparer.calls(lines[first : first + BATCH_COMMANDS])
        start = time.perf_counter_ns()
        for call, arguments in batch:
            call(*arguments)
        elapsed_ns += time.perf_counter_ns() - start
    return elapsed_ns


def main() -> None:
    lines = Path(sys.argv[1]).read_text(encoding="ascii").splitlines()
    book = LimitOrderBook()
    gc.collect()
    gc.freeze()
    elapsed_ns = run(book, lines)
    result = {
        "elapsed_ns": elapsed_ns,
        "resting": book.count(),
        "resting_lots": book.volume(),
        "python": platform.python_version(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
