"""The answers that need no core while the log is stalled: new orders are busy at once.

Pure functions, called in the Trio loop with what a connection sends. Guarantee: nothing is answered
here that the core may have executed, remembers or would judge otherwise than `busy`: only whole
requests that decode and are permitted, under ids above all that the session had. Source:
protocol.md, "Error codes".
"""

from __future__ import annotations

from typing import NamedTuple

from hpe.core.contract import Run
from hpe.core.decoding.judging import Undecodable, decode_request
from hpe.core.permissions import permitted
from hpe.core.runs import ORDER_TYPES
from hpe.net.session import SessionProtocol, error_frame
from hpe.protocol.codes import LOG_WAITS
from hpe.protocol.frames import PREFIX_BYTES, split_frames, type_of


class Answered(NamedTuple):
    """Answers, and of how many requests of how many bytes."""

    frames: bytes
    count: int  # type: ignore[assignment]  # hides tuple.count
    size: int


def refuse_orders(session: SessionProtocol, run: Run) -> tuple[Answered, list[Run]]:
    """Refuse the new orders at the beginning of a run; nothing before them is unanswered.

    Returns:
        The refusals, and the rest of the run, if there is one.
    """
    refusals, size = [], 0
    for body in split_frames(run.frames):
        request_id = _refusable(body, session)
        if request_id <= session.highest_id:
            break
        session.highest_id = request_id
        refusals.append(error_frame(request_id, *LOG_WAITS))
        size += PREFIX_BYTES + len(body)
    count = len(refusals)
    rest = []
    if count < run.frame_count:
        rest = [run._replace(frame_count=run.frame_count - count, frames=run.frames[size:])]
    return Answered(b"".join(refusals), count, size), rest


def _refusable(body: bytes, session: SessionProtocol) -> int:
    """Return the id of a new order that the core would execute; 0 for anything else."""
    if type_of(body) not in ORDER_TYPES:
        return 0
    try:
        request = decode_request(body)
    except Undecodable:
        return 0
    _, role, user_first, user_last = session.grant
    allowed = permitted(role, user_first, user_last, session.user, request)
    return request.request_id if allowed else 0
