"""A failing stream as text: what each batch asks for, and where the two cores part.

Pure but for the judge that plays the stream once more.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from hpe.core.contract import Limits
from hpe.protocol.base import type_number
from hpe.protocol.frames import split_frames
from hpe.protocol.registry import COMMANDS, CONTROL, INTERNAL, QUERIES
from tests.differential.judging import Comparer, Comparison
from tests.differential.recording import RecordedStream

_REQUESTS: Final = {type_number(each): each for each in (*CONTROL, *QUERIES, *COMMANDS, *INTERNAL)}
_BYTES_SHOWN: Final = 400


def told(judge: Comparer, recording: RecordedStream, verdict: Comparison) -> str:
    """Describe a failing recording."""
    lines = [f"{verdict.kind} at step {verdict.step}: {verdict.what}"]
    lines += _limits(recording.limits)
    if recording.replays:
        lines.append("the log is replayed beside it")
    for number, step in enumerate(recording.steps):
        marks = [name for name in ("loads", "hashes") if getattr(step, name)]
        lines.append(f"step {number}: time {step.time_ns} wanted {step.wanted.hex()} {marks}")
        lines += [f"    asks for the differences of {_request(body)}" for body in step.asked]
        for run in step.runs:
            lines.append(f"  run of {run.connection}, attachment {run.attach}, admit {run.admit}")
            lines += [f"    {_request(body)}" for body in run.bodies]
    if verdict.kind == "differs":
        for name, (one, other) in judge.whole(recording, verdict.step).items():
            lines += [f"{name}, reference: {_shown(name, one)}"]
            lines += [f"{name}, compared:  {_shown(name, other)}"]
    return "\n".join(lines)


def _limits(limits: Limits) -> list[str]:
    usual = Limits()
    pairs = zip(limits._fields, limits, usual, strict=True)
    changed = [f"{name}={value}" for name, value, other in pairs if value != other]
    return [f"limits {', '.join(changed)}"] if changed else []


def _request(body: bytes) -> str:
    """Show a request, or bytes that are none."""
    try:
        kind = msgspec.msgpack.decode(body)[0]
        return repr(msgspec.msgpack.decode(body, type=_REQUESTS[kind]))
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError, IndexError, TypeError):
        return f"bytes {body.hex()}"


def _shown(name: str, buffer: bytes) -> str:
    if name in ("replies", "private", "market"):
        try:
            values: list[Any] = [msgspec.msgpack.decode(body) for body in split_frames(buffer)]
        except (msgspec.MsgspecError, ValueError):
            return buffer.hex()[:_BYTES_SHOWN]
        return repr(values)[: 4 * _BYTES_SHOWN]
    if len(buffer) % 8 == 0 and name != "body":
        return repr([int.from_bytes(buffer[n : n + 8], "little", signed=True)
                     for n in range(0, len(buffer), 8)])[:_BYTES_SHOWN]  # fmt: skip
    return buffer.hex()[:_BYTES_SHOWN]
