"""How long a start takes: commands per second of a recovery, by how they were logged.

    python bench/recovery.py [--orders 50000] [--rounds 5] [--data DIR] [--json [FILE]]
    python bench/recovery.py --quick        small: shows that it still works (for CI)

The MB `normal` flow is executed and logged twice: in batches of 1,024, one record each, and with
one command per record, as a service writes it that has one request in flight. Both logs are then
recovered in turn, each time by a new process: segments are scanned and checked, every command is
executed again and compared with what was logged, and the state is checked. A figure is printed only
if each recovery ends with the state hash of the core that wrote the log. Used from one thread.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

# In a checkout, a script's own folder is on the path, but not the project's root.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import mb, report
from bench.core_client import BATCH_COMMANDS, CORES, CoreClient, in_batches
from hpe.config.settings import SyncPolicy
from hpe.core.contract import Output
from hpe.orderflow.files import ReportStream
from hpe.wal.files import DirectoryFiles
from hpe.wal.log import Record
from hpe.wal.recovery import recover
from hpe.wal.segments import SEGMENT_SUFFIX
from hpe.wal.writer import FileLog

COMMANDS_PER_RECORD: Final = {"batched": BATCH_COMMANDS, "one-command": 1}

QUICK_ORDERS: Final = 200

_POLICY: Final = SyncPolicy("interval")
"""For the log that is written: no client waits for it, and it is synced as a whole at the end."""


class StateDiffers(Exception):
    """A recovery did not end in the state that was logged: no figures are printed."""


def write_log(directory: Path, core_name: str, orders: int, size: int) -> dict[str, Any]:
    """Execute the flow and log it, `size` commands per record; return what a recovery must find."""
    outputs: list[Output] = []
    core, stream = CORES[core_name](), ReportStream()
    client = CoreClient(core, outputs.append)
    for commands in in_batches(mb.messages("normal", orders), size):
        client.run(commands, stream)
    log = FileLog(DirectoryFiles(directory), _POLICY)
    log.open()
    tail = log.sync()
    for output in outputs:
        record = Record(tail.position + 1, output.last_sequence, log.link(), (output.body,))
        tail = log.append(tail, record)
    tail = log.sync()
    log.mark(closed=True)
    log.close()
    return {
        "commands": tail.position, "records": len(outputs), "state_hash": core.state_hash().hex()
    }  # fmt: skip


def recover_once(directory: Path, core_name: str) -> dict[str, Any]:
    """Recover the log in a directory; return how long it took, and what was found."""
    core = CORES[core_name]()
    gc.collect()
    gc.freeze()
    start = time.perf_counter_ns()
    recovered = recover(directory, core, SyncPolicy())
    elapsed_ns = time.perf_counter_ns() - start
    recovered.log.close()
    found = recovered.report
    return {
        "elapsed_ns": elapsed_ns, "commands": found.last_sequence, "records": found.records,
        "state_hash": found.state_hash.hex(),
    }  # fmt: skip


def recover_apart(directory: Path, core_name: str, wanted: dict[str, Any]) -> float:
    """Recover in a new process; return commands per second.

    Raises:
        StateDiffers: the recovery found other commands, records or another state.
    """
    command = [sys.executable, __file__, "--worker", str(directory), "--core", core_name]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    elapsed_ns = found.pop("elapsed_ns")
    if found != wanted:
        raise StateDiffers(f"logged were {wanted}, recovered {found}")
    return float(found["commands"] * 1e9 / elapsed_ns)


def measure(folder: Path, args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Write both logs and recover them in turn; return the record and the table."""
    wanted, sizes = {}, {}
    for kind, size in COMMANDS_PER_RECORD.items():
        (folder / kind).mkdir()
        wanted[kind] = write_log(folder / kind, args.core, args.orders, size)
        segments = (folder / kind).glob(f"*{SEGMENT_SUFFIX}")
        sizes[kind] = sum(path.stat().st_size for path in segments)
        report.note(f"{kind}: {wanted[kind]['records']:,} records written")
    rates: dict[str, list[float]] = {kind: [] for kind in wanted}
    for number in range(1, args.rounds + 1):
        for kind, found in rates.items():
            found.append(recover_apart(folder / kind, args.core, wanted[kind]))
        report.note(f"round {number}/{args.rounds}")
    lines = [f"{'log':<12} {'records':>9} {'commands':>9} {'B/command':>9} {'commands/s':>11}"]
    record = {}
    for kind, found in rates.items():
        rate = report.spread(found)
        record[kind] = {**wanted[kind], "log_bytes": sizes[kind], "commands_per_s": rate}
        commands = wanted[kind]["commands"]
        lines.append(
            f"{kind:<12} {wanted[kind]['records']:>9,} {commands:>9,} "
            f"{sizes[kind] / commands:>9.0f} {rate['median']:>11,.0f}  "
            f"({rate['low']:,.0f} to {rate['high']:,.0f})"
        )
    return record, "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the script; return its exit code."""
    parser = argparse.ArgumentParser(description="commands per second of a recovery")
    parser.add_argument("--orders", type=int, default=50_000, help="new orders in the flow")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--core", choices=CORES, default="auto")
    parser.add_argument("--data", type=Path, help="folder on the disk to measure (a new one in it)")
    parser.add_argument("--quick", action="store_true", help="seconds: does it still work?")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    report.add_json_option(parser)
    args = parser.parse_args(arguments)
    if args.worker:
        print(json.dumps(recover_once(args.worker, args.core)))
        return 0
    if args.quick:
        args.orders, args.rounds = QUICK_ORDERS, 1
    with tempfile.TemporaryDirectory(dir=args.data) as name:
        disk = report.filesystem(Path(name))
        record, text = measure(Path(name), args)
    heading = (
        f"{report.machine_line()}\nMB normal, core {args.core}, data on {disk} and in its cache, "
        f"median of {args.rounds} alternating rounds (lowest to highest)"
    )
    report.finish({"recovery": record}, f"{heading}\n{text}", args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
