"""The core's matching against PyPI matching-engine 0.1.1's, or an earlier commit's, on MB `normal`.

    python bench/core_speed.py --peer-python VENV/bin/python [--orders N] [--pairs 7]
    python bench/core_speed.py --before TREE [--orders N] [--pairs 7]

Ours: the exchange's typed handlers, called directly (match, settle, make the outcome; no codec).
Theirs: its engine's `process`, which keeps no balances. Each run is a process of its own. On both
sides, batches of 1,024 commands are made while the clock is stopped and executed while it runs: as
in a service, a command is executed soon after it was decoded, not after a million others. Runs
alternate, and figures are printed only if both sides report the same number of trades and of
resting orders. TREE is a checkout of another commit of this project, whose own script runs its
side. If possible, run this script with the same Python version as the peer's environment, made
like this:

    python3.12 -m venv VENV && VENV/bin/pip install matching-engine==0.1.1
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

# In a checkout, a script's own folder is on the path, but not the project's root.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import mb, report
from hpe.core.context.command import Context, Origin
from hpe.core.contract import DEFAULT_LIMITS
from hpe.core.trading.exchange import Exchange
from hpe.orderflow.files import Command, Op, parse_commands, read_lines
from hpe.orderflow.wire import FlowTranslator
from hpe.protocol.limits import AMOUNT_MAX
from hpe.protocol.listings import AddAsset, AddInstrument
from hpe.protocol.money import Deposit
from hpe.protocol.orders import CancelOrder, ReplaceOrder, SubmitOrder

USER: Final = 1
"""The flow names no users."""

BATCH_COMMANDS: Final = 1_024
"""Commands per batch, as in peer_matching_engine.py; the matches are collected after each."""

PEER_SCRIPT: Final = Path(__file__).with_name("peer_matching_engine.py")

_Prepared = tuple[Callable[[Context, Any], object], Any]
"""Handler, command."""


def flash1_line(command: Command) -> str:
    """Return a command in the flash1 form."""
    side = command.side.name[0]
    rest = f"{command.order_id},{command.quantity},{command.price}"
    if command.op is Op.CANCEL:
        return f"C,{command.order_id}"
    if command.op is Op.MODIFY:
        return f"M,{side},{rest}"
    return f"N,{side},{'I' if command.op is Op.IMMEDIATE else 'L'},{rest}"


def user_origin(exchange: Exchange, user: int) -> Origin:
    """Return the origin of the commands of a user that has no session and no key."""
    return Origin(user, 0, exchange.places.of(0), operator=False, cancel_on_disconnect=False)


def funded_exchange() -> Exchange:
    """Return an exchange with one pair and a user that can pay for everything."""
    exchange = Exchange()
    context = Context(0, 0, DEFAULT_LIMITS.effort, *user_origin(exchange, USER))
    exchange.catalogue.add_asset(context, AddAsset(1, "BASE", 0))
    exchange.catalogue.add_asset(context, AddAsset(1, "QUOTE", 0))
    exchange.catalogue.add_instrument(context, AddInstrument(1, "BASE/QUOTE", 1, 2))
    for asset in (1, 2):
        exchange.treasury.deposit(context, Deposit(1, asset, AMOUNT_MAX))
    return exchange


class Preparer:
    """Makes typed commands; orders are named by the engine's ids, which count the new orders."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._translator = FlowTranslator(1)
        self._order_ids: dict[int, int] = {}

    def batch(self, commands: list[Command]) -> list[_Prepared]:
        """Return the next commands, each with the handler that the core would choose."""
        return [self._prepared(command) for command in commands]

    def _prepared(self, command: Command) -> _Prepared:
        exchange, ids = self._exchange, self._order_ids
        request = self._translator.request(command, 1)
        if isinstance(request, CancelOrder):
            return exchange.entry.cancel_order, CancelOrder(1, ids[request.client_order_id])
        if isinstance(request, ReplaceOrder):
            order_id = ids[request.client_order_id]
            renamed = replace(request, order_id=order_id, client_order_id=0)
            return exchange.replacing.replace_order, renamed
        assert isinstance(request, SubmitOrder)
        ids[request.client_order_id] = len(ids) + 1
        return exchange.entry.submit_order, replace(request, client_order_id=0)


def run(exchange: Exchange, commands: list[Command]) -> tuple[int, int]:
    """Execute all commands; return the nanoseconds taken and the number of trades."""
    preparer = Preparer(exchange)
    market, origin, effort_max = exchange.market, user_origin(exchange, USER), DEFAULT_LIMITS.effort
    events, elapsed_ns = market.events, 0
    for first in range(0, len(commands), BATCH_COMMANDS):
        batch = preparer.batch(commands[first : first + BATCH_COMMANDS])
        start = time.perf_counter_ns()
        for handler, command in batch:
            exchange.sequence += 1
            handler(Context(exchange.sequence, 0, effort_max, *origin), command)
            events.clear()  # as in the core, which reports events at once
        elapsed_ns += time.perf_counter_ns() - start
    return elapsed_ns, market.last_trade_id


def worker(flow: Path) -> None:
    """Run our side once and print its result as JSON."""
    exchange = funded_exchange()
    commands = list(parse_commands(read_lines(flow)))
    gc.collect()
    gc.freeze()
    elapsed_ns, trades = run(exchange, commands)
    exchange.check()
    result = {
        "elapsed_ns": elapsed_ns,
        "trades": trades,
        "resting": exchange.orders.open_count,
        "python": platform.python_version(),
    }
    print(json.dumps(result))


def compare(flow: Path, theirs: list[str], pairs: int) -> list[tuple[dict[str, Any], ...]]:
    """Run both sides alternately, the other one by its command; every pair's answers must agree."""
    ours = [sys.executable, __file__, "--worker", str(flow)]
    results = []
    for number in range(1, pairs + 1):
        pair = tuple(_run_worker(command) for command in (ours, theirs))
        for key in ("trades", "resting"):
            if pair[0][key] != pair[1][key]:
                raise SystemExit(f"{key} differ: {pair[0][key]} here, {pair[1][key]} there")
        ratio = pair[1]["elapsed_ns"] / pair[0]["elapsed_ns"]
        report.note(f"pair {number}/{pairs}: ratio {ratio:.2f}")
        results.append(pair)
    return results


def _run_worker(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command[:2]} ended with {done.returncode}:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def peer_is_usable(peer_python: str) -> bool:
    """True if this interpreter has the peer's package."""
    probe = [peer_python, "-c", "import matching_engine.engine"]
    try:
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def summarize(
    messages: int, pairs: list[tuple[dict[str, Any], ...]], their_name: str
) -> tuple[dict[str, Any], str]:
    """Return the record and the table."""
    rates = [[messages * 1e9 / side["elapsed_ns"] for side in pair] for pair in pairs]
    ratio = report.spread([ours / theirs for ours, theirs in rates])
    ours, theirs = (report.spread([pair[side] for pair in rates]) for side in (0, 1))
    first, second = pairs[0]
    record = {
        "messages": messages, "trades": first["trades"], "resting": first["resting"],
        "hpe_per_s": ours, "peer_per_s": theirs, "ratio": ratio, "pairs": pairs,
    }  # fmt: skip
    lines = [report.machine_line()]
    lines.append(
        f"MB normal, {messages:,} messages, {first['trades']:,} trades, {first['resting']:,} "
        f"resting at the end (equal on both sides), median of {len(pairs)} alternating pairs"
    )
    for name, python, rate in (
        ("hpe core, codec off", first["python"], ours),
        (their_name, second["python"], theirs),
    ):
        lines.append(
            f"{name:<22} CPython {python:<8} {rate['median']:>10,.0f} messages/s  "
            f"({rate['low']:,.0f} to {rate['high']:,.0f})"
        )
    lines.append(f"ratio {ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})")
    return record, "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the script; return its exit code."""
    parser = argparse.ArgumentParser(description="the core against PyPI matching-engine 0.1.1")
    parser.add_argument("--orders", type=int, default=200_000, help="new orders in the flow")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--peer-python", default="", help="Python of an environment with the peer")
    parser.add_argument("--before", type=Path, metavar="TREE", help="another commit's checkout")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    report.add_json_option(parser)
    args = parser.parse_args(arguments)
    if args.worker:
        worker(args.worker)
        return 0
    if not args.before and not peer_is_usable(args.peer_python):
        print("skipped: --peer-python names no Python with matching-engine 0.1.1; to make one:")
        print("  python3.12 -m venv VENV && VENV/bin/pip install matching-engine==0.1.1")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        flow = Path(folder) / "flow.csv"
        lines = [flash1_line(command) for command in mb.messages("normal", args.orders)]
        flow.write_text("\n".join(lines), encoding="ascii")
        theirs, name = [args.peer_python, str(PEER_SCRIPT), str(flow)], "matching-engine 0.1.1"
        if args.before:
            script = str(args.before / "bench" / "core_speed.py")
            theirs, name = [sys.executable, script, "--worker", str(flow)], "hpe core before"
        pairs = compare(flow, theirs, args.pairs)
    record, text = summarize(len(lines), pairs, name)
    report.finish({"core_speed": record}, text, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
