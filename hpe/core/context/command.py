"""What one command acts under, passed to whatever carries it out.

Part of the deterministic core. The commands of one run share one object, whose sequence moves on
from command to command; so no part of the exchange keeps a context, and none changes it. What a
function depends on is in its arguments, or a row of the state.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from hpe.core.context.holders import Holder


class Origin(NamedTuple):
    """Where commands come from: one session, or the service itself; see Context."""

    user: int
    session_id: int
    holder: Holder
    operator: bool
    cancel_on_disconnect: bool


class Context(msgspec.Struct, gc=False):
    """What one command acts under; a Struct because its constructor is C.

    `sequence` is the command's own, `time_ns` the time of its body. With `effort_max` spent, no
    stop that the command reached has its turn any more. `user` is the one that the command is for
    unless it names another. `holder` stands for the key of its session and takes the places that
    the command takes, of those for operators too if `operator` is true. With
    `cancel_on_disconnect`, all orders of the session `session_id` end with its connection. User
    and session are 0 for the service itself.
    """

    sequence: int
    time_ns: int
    effort_max: int
    user: int
    session_id: int
    holder: Holder
    operator: bool
    cancel_on_disconnect: bool
