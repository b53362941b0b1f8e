"""The part of docs/performance.md that bench/all.py writes: tables and pictures from results.

Owns the form of the figures, not their measurement. Pure, apart from `write`. A result is what a
script writes with --json; a step that has no result yet has no section. Guarantee: `write` changes
nothing outside its two markers, and the pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from bench.picture import Bar, Curve, bars, curves

BEGIN: Final = "<!-- Figures, written by bench/all.py -->"
END: Final = "<!-- End of the figures -->"

PERCENTILES: Final = ("p50", "p90", "p99", "p99.9", "max")

Result = dict[str, Any]
Pictures = dict[str, str]
"""File name -> SVG."""


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a table in Markdown; all columns but the first are aligned to the right."""
    lines = [_cells(heads), "|---" + "|--:" * (len(heads) - 1) + "|"]
    return lines + [_cells(row) for row in rows]


def _cells(row: Sequence[str]) -> str:
    return f"| {' | '.join(row)} |"


def spread(value: dict[str, float], form: str = ",.0f") -> str:
    """Return a median with the lowest and the highest value."""
    low, high = format(value["low"], form), format(value["high"], form)
    return f"{format(value['median'], form)} ({low} to {high})"


def _percent(share: float) -> str:
    return f"{share:.0%}"


# --- one function per step ------------------------------------------------------------------------


def core(result: Result, pictures: Pictures) -> list[str]:
    """Return the section of core.py."""
    rows = result["core"]
    worst = min(rows, key=lambda row: row["messages_per_s"]["median"])
    lines = table(
        ("scenario", "messages", "trades", "messages/s", "report"),
        (
            (
                row["scenario"], f"{row['messages']:,}", f"{row['trades']:,}",
                spread(row["messages_per_s"]), row["verdict"],
            )
            for row in rows
        ),
    )  # fmt: skip
    return [*lines, "", f"The worst scenario is {worst['scenario']}."]


def peers(result: Result, pictures: Pictures) -> list[str]:
    """Return the section of peers/compare.py."""
    rows = [row for scenario in result["peers"].values() for row in scenario["rows"]]
    lines = table(
        ("scenario", "engine", "messages/s", "hpe to it"),
        (
            (row["scenario"], row["engine"], spread(row["per_s"]), spread(row["hpe_ratio"], ".2f"))
            for row in rows
        ),
    )
    missing = [f"{name} could not be installed." for name in result["skipped"]]
    return [*(lines if rows else []), *(["", *missing] if missing else [])]


def shapes(result: Result, pictures: Pictures) -> list[str]:
    """Return the section of load.py beside redis."""
    if result["load"] is None:
        return ["redis-server was not installed."]
    rows, shown = [], []
    for shape, record in result["load"].items():
        runs, redis = record["runs"], [pair[0] for pair in record["redis_runs"]]
        drivers = sorted({run["driver"] for run in redis})
        ratio = record["ratio"]
        doubts = sum(bool(run["doubts"]) for run in runs)
        rows.append(
            (
                shape, spread(record["hpe_per_s"]), _shares(runs), spread(record["redis_per_s"]),
                _shares(redis, "generator_share", "server_share"), " or ".join(drivers),
                f"{runs[0]['null_server_per_s']:,.0f}", spread(ratio, ".2f"),
                f"{doubts} of {len(runs)}" if doubts else "",
            )
        )  # fmt: skip
        shown.append(Bar(shape, ratio["median"], ratio["low"], ratio["high"]))
    pictures["performance-shapes.svg"] = bars("hpe to redis, requests/s, by shape", shown)
    heads = (
        "connections x window", "hpe/s", "CPU", "redis/s", "CPU", "better driver",
        "null server/s", "ratio", "doubtful",
    )  # fmt: skip
    return [
        *table(heads, rows), "",
        "CPU: percent of a core of the generator and of the server. Doubtful: runs in which the "
        "generator was the limit, or which are no figure.", "",
        "![hpe to redis by shape](performance-shapes.svg)",
    ]  # fmt: skip


def _shares(
    runs: Sequence[Result],
    generator: str = "generator_cpu_share",
    server: str = "server_cpu_share",
) -> str:
    """Return the CPU shares of the run in the middle."""
    middle = sorted(runs, key=lambda run: float(run[server]))[len(runs) // 2]
    return f"{_percent(middle[generator])}, {_percent(middle[server])}"


def realtime(result: Result, pictures: Pictures) -> list[str]:
    """Return the section of load.py with each realtime setting."""
    return table(
        ("connections x window", "realtime", "requests/s", "p50, ms", "p99, ms", "CPU"),
        (
            (
                f"{run['connections']} x {run['window']:,}", run["realtime"],
                f"{run['requests_per_s']:,.0f}", f"{run['latency_us']['p50'] / 1000:.2f}",
                f"{run['latency_us']['p99'] / 1000:.2f}", _shares([run]),
            )
            for run in result["load"]
        ),
    )  # fmt: skip


def latency(result: Result, pictures: Pictures) -> list[str]:
    """Return the section of latency.py."""
    found = result["latency"]
    rows, shown = [], []
    for run in found["runs"]:
        values = [run["latency_us"][name] / 1000 for name in PERCENTILES]
        offered = f"{run['offered_per_s']:,.0f}"
        rows.append((offered, *(f"{value:.2f}" for value in values), _shares([run])))
        shown.append(Curve(f"{offered}/s", values))
    title = f"latency from the intended send, {found['connections']} connections"
    pictures["performance-latency.svg"] = curves(title, PERCENTILES, shown, "ms")
    closed = found["closed_per_s"]
    shape = f"{found['connections']} x {found['window']}"
    return [
        *([f"The closed loop of {shape} did {closed:,.0f} requests/s.", ""] if closed else []),
        *table(("offered/s", *(f"{name}, ms" for name in PERCENTILES), "CPU"), rows), "",
        "![latency by offered rate](performance-latency.svg)",
    ]  # fmt: skip


def growth(result: Result, pictures: Pictures) -> list[str]:
    """Return the section of growth.py."""
    return table(
        ("crowd", "commands", "cost beside it, relative to without"),
        ((row["crowd"], row["operation"], spread(row["ratio"], ".2f")) for row in result["growth"]),
    )


def recovery(result: Result, pictures: Pictures) -> list[str]:
    """Return the section of recovery.py."""
    return table(
        ("log", "commands", "records", "bytes per command", "commands/s"),
        (
            (
                kind, f"{row['commands']:,}", f"{row['records']:,}",
                f"{row['log_bytes'] / row['commands']:.0f}", spread(row["commands_per_s"]),
            )
            for kind, row in result["recovery"].items()
        ),
    )  # fmt: skip


def wal(result: Result, pictures: Pictures) -> list[str]:
    """Return the section of wal.py."""
    return table(
        ("commit", "append, us", "fallocate, us", "zero-filled, us", "zero-filled to append"),
        (
            (
                size, f"{row['append']:,.0f}", f"{row['fallocate']:,.0f}",
                f"{row['zero-filled']:,.0f}", f"{row['ratio']:.2f}",
            )
            for size, row in result["commits_us"].items()
        ),
    )  # fmt: skip


Render = Callable[[Result, Pictures], list[str]]

SECTIONS: Final[dict[str, tuple[str, Render]]] = {
    "core": ("The core, from request bytes to reply bytes and log body", core),
    "peers": ("The core beside other packages", peers),
    "shapes": ("The service beside redis-server", shapes),
    "realtime": ("Real-time settings", realtime),
    "latency": ("Latency at offered rates", latency),
    "growth": ("Beside a crowd", growth),
    "recovery": ("A start", recovery),
    "wal": ("A commit in the log's file", wal),
}
"""Step of bench/all.py -> title and form of its section."""


def render(steps: dict[str, Result]) -> tuple[str, Pictures]:
    """Return the part between the markers, and the pictures that it shows."""
    lines: list[str] = []
    pictures: Pictures = {}
    for name, (title, form) in SECTIONS.items():
        if name not in steps:
            continue
        step = steps[name]
        machine = step["result"]["machine"]
        conditions = step["result"].get("conditions", [])
        lines += [
            "", f"### {title}", "",
            f"`{step['command']}`, {step['date']}, {machine['cpus_usable']} usable CPUs, "
            f"{machine['cpu']}, Linux {machine['kernel']}, CPython {machine['python']}"
            + "".join(f"; {condition}" for condition in conditions) + ".", "",
            *form(step["result"], pictures),
        ]  # fmt: skip
    return "\n".join([*lines, ""]), pictures


def write(document: Path, steps: dict[str, Result]) -> None:
    """Write the figures into the document, between the markers, and the pictures beside it."""
    text = document.read_text(encoding="utf-8")
    before, found, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (found and ended):
        raise SystemExit(f"{document} does not have the lines {BEGIN!r} and {END!r}")
    part, pictures = render(steps)
    for name, picture in pictures.items():
        (document.parent / name).write_text(picture, encoding="utf-8")
    document.write_text(f"{before}{BEGIN}\n{part}\n{END}{after}", encoding="utf-8")
