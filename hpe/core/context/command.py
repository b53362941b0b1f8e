"""The context of one command, which is passed to the code that executes it.

Part of the deterministic core. The commands of one run share one object, whose sequence advances
from command to command; so no part of the exchange keeps a context, and none changes it. Whatever
a function depends on is in its arguments or in a row of the state.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from hpe.core.context.holders import Holder


class Origin(NamedTuple):
    """Where commands come from: a session, or the service itself; see Context."""

    user: int
    session_id: int
    holder: Holder
    operator: bool
    cancel_on_disconnect: bool


class Context(msgspec.Struct, gc=False):
    """The context of one command; a Struct, because its constructor is written in C.

    `sequence` is the command's own, `time_ns` the time of its batch. Once `effort_max` is spent,
    the stops that the command triggered get no more turns. `user` is the user that the command is
    for unless it names another. `holder` stands for the key of its session and is charged for the
    places that the command takes; if `operator` is true, they may be operators' places. With
    `cancel_on_disconnect`, all orders of the session `session_id` end with its connection. User and
    session are 0 for the service itself.
    """

    sequence: int
    time_ns: int
    effort_max: int
    user: int
    session_id: int
    holder: Holder
    operator: bool
    cancel_on_disconnect: bool
