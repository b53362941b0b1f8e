"""The process in which a core plays recordings: it may crash or hang there without harm.

Started with the name of a core as `python -m tests.differential.child module:name`. It reads
requests from its standard input and plays each recording in a fork of itself, so that every stream
begins with the same memory. Messages to the parent are MessagePack with a length before it: the
summary of each step, the exception that ended it, at last how the fork ended.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from pathlib import Path
from struct import Struct
from typing import Any, Final

import msgspec

from tests.differential.playing import BUFFERS, CoreFactory, StreamPlayer, factory_of
from tests.differential.recording import load

LENGTH: Final = Struct("=I")
_encode: Final = msgspec.msgpack.Encoder().encode


class Ask(msgspec.Struct, array_like=True):
    """Play a recording; each step may take so many seconds of CPU, the whole outputs of one are
    sent, too."""

    path: str
    step_cpu_s: float
    whole_at: int = -1


def send(kind: str, value: Any) -> None:
    """Tell the parent something."""
    body = _encode((kind, value))
    rest = memoryview(LENGTH.pack(len(body)) + body)
    while rest:
        rest = rest[os.write(1, rest) :]


def play(new_core: CoreFactory, ask: Ask) -> None:
    """Play a recording; SIGPROF, which nothing catches, ends a step that takes too long."""
    recording = load(Path(ask.path))
    try:
        player = StreamPlayer(new_core, recording.limits, recording.replays)
        for number, step in enumerate(recording.steps):
            signal.setitimer(signal.ITIMER_PROF, ask.step_cpu_s)
            summary = player.play(step)
            output = player.output
            assert output is not None
            if number == ask.whole_at:
                send("whole", [bytes(getattr(output, name)) for name in BUFFERS])
            send("step", summary)
    except Exception:
        send("raised", traceback.format_exc(limit=-4))


def main() -> None:
    """Play what the parent asks for, until it closes the pipe."""
    new_core = factory_of(sys.argv[1])
    send("ready", sys.argv[1])
    while head := sys.stdin.buffer.read(LENGTH.size):
        (size,) = LENGTH.unpack(head)
        ask = msgspec.msgpack.decode(sys.stdin.buffer.read(size), type=Ask)
        process = os.fork()
        if not process:
            try:
                play(new_core, ask)
            finally:
                os._exit(0)
        _, status = os.waitpid(process, 0)
        send("ended", status)


if __name__ == "__main__":
    main()
