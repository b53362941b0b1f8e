"""Worker of core_speed.py: PyPI matching-engine 0.1.1's engine on a recorded flow.

Runs in the peer's own virtual environment, so it imports nothing of hpe: the flow comes as a
file in the flash1 form, the result goes out as one line of JSON. The commands are made before
the clock starts; a modify is what that engine's user has to send: cancel, then new when it was
still resting. It keeps no balances, which makes its work the smaller one.
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

ACCOUNTS = 1_000
"""As in core_speed.py: both engines see the same users."""

Prepared = tuple[SequencedCommand, SequencedCommand | None]
"""A command, and the new order that follows a cancel which found its order."""


def new_order(order_id: str, side: str, price: str, quantity: str, tif: str) -> NewOrder:
    peer_side = PeerSide.BUY if side == "B" else PeerSide.SELL
    peer_tif = PeerTimeInForce.IOC if tif == "I" else PeerTimeInForce.GTC
    return NewOrder(
        int(order_id), account(order_id), peer_side, int(price), int(quantity), tif=peer_tif,
        stp=SelfTradePrevention.NONE,
    )  # fmt: skip


def account(order_id: str) -> int:
    return 1 + int(order_id) % ACCOUNTS


def prepare(lines: list[str]) -> list[Prepared]:
    """Make the commands; each line has room for two sequence numbers."""
    prepared: list[Prepared] = []
    for line in lines:
        seq = 2 * len(prepared) + 1
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
        cancel = CancelOrder(int(order_id), account(order_id))
        prepared.append((SequencedCommand(seq, 0, cancel), follow))
    return prepared


def run(engine: MatchingEngine, prepared: list[Prepared]) -> tuple[int, int]:
    """Process all commands; gives nanoseconds and trades."""
    process = engine.process
    trades = 0
    start = time.perf_counter_ns()
    for command, follow in prepared:
        events = process(command)
        if follow is not None and type(events[0]) is OrderCancelled:
            events = process(follow)
        # The first event acknowledges; what follows is mostly nothing.
        if len(events) > 1:
            trades += sum(type(event) is Trade for event in events)
    return time.perf_counter_ns() - start, trades


def main() -> None:
    prepared = prepare(Path(sys.argv[1]).read_text(encoding="ascii").splitlines())
    engine = MatchingEngine()
    gc.collect()
    gc.freeze()
    elapsed_ns, trades = run(engine, prepared)
    result = {
        "elapsed_ns": elapsed_ns,
        "trades": trades,
        "resting": len(engine.book),
        "python": platform.python_version(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
