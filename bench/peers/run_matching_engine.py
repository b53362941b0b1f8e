"""Worker of compare.py: PyPI matching-engine 0.1.1's engine on a recorded flow.

Runs in the peer's own virtual environment, so it imports nothing of hpe: the flow is a file in the
flash1 form, the result is one line of JSON. The commands are made in batches while the clock is
stopped; a modify is what its user has to send: a cancel, then a new order if the old one was still
resting. It keeps no balances, which makes its work smaller. One thread.
"""

from __future__ import annotations

import gc
import json
import platform
import sys
import time
from pathlib import Path

from matching_engine.domain import CancelOrder, NewOrder, SelfTradePrevention, SequencedCommand
from matching_engine.domain import Side as PeerSide
from matching_engine.domain import TimeInForce as PeerTimeInForce
from matching_engine.engine import MatchingEngine
from matching_engine.events import OrderCancelled, Trade

BATCH_COMMANDS = 1_024
"""Commands that are made at a time, as in core_client.py."""

ACCOUNT = 1
"""The flow names no users."""

Prepared = tuple[SequencedCommand, SequencedCommand | None]
"""A command, and the new order that follows a cancel which found its order."""


def new_order(order_id: str, side: str, price: str, quantity: str, tif: str) -> NewOrder:
    peer_side = PeerSide.BUY if side == "B" else PeerSide.SELL
    peer_tif = PeerTimeInForce.IOC if tif == "I" else PeerTimeInForce.GTC
    return NewOrder(
        int(order_id), ACCOUNT, peer_side, int(price), int(quantity), tif=peer_tif,
        stp=SelfTradePrevention.NONE,
    )  # fmt: skip


def prepare(lines: list[str], first: int) -> list[Prepared]:
    """Return the commands of lines, numbered from `first`; each has room for two sequences."""
    prepared: list[Prepared] = []
    for line in lines:
        seq = 2 * (first + len(prepared)) + 1
        follow = None
        match line.split(","):
            case ["N", side, tif, order_id, quantity, price]:
                command = new_order(order_id, side, price, quantity, tif)
                prepared.append((SequencedCommand(seq, 0, command), None))
                continue
            case ["M", side, order_id, quantity, price]:
                renewed = new_order(order_id, side, price, quantity, "L")
                follow = SequencedCommand(seq + 1, 0, renewed)
            case ["C", order_id]:
                pass
            case _:
                raise ValueError(line)
        cancel = CancelOrder(int(order_id), ACCOUNT)
        prepared.append((SequencedCommand(seq, 0, cancel), follow))
    return prepared


def run(engine: MatchingEngine, lines: list[str]) -> tuple[int, int]:
    """Process all commands; return the nanoseconds taken and the number of trades."""
    process = engine.process
    trades = elapsed_ns = 0
    for first in range(0, len(lines), BATCH_COMMANDS):
        batch = prepare(lines[first : first + BATCH_COMMANDS], first)
        several = []
        start = time.perf_counter_ns()
        for command, follow in batch:
            events = process(command)
            if follow is not None and type(events[0]) is OrderCancelled:
                events = process(follow)
            # The first event is the acknowledgement; usually nothing follows.
            if len(events) > 1:
                several.append(events)
        elapsed_ns += time.perf_counter_ns() - start
        trades += sum(type(event) is Trade for events in several for event in events)
    return elapsed_ns, trades


def main() -> None:
    lines = Path(sys.argv[1]).read_text(encoding="ascii").splitlines()
    engine = MatchingEngine()
    gc.collect()
    gc.freeze()
    elapsed_ns, trades = run(engine, lines)
    result = {
        "elapsed_ns": elapsed_ns,
        "trades": trades,
        "resting": len(engine.book),
        "python": platform.python_version(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
