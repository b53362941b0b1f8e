"""Answers that need no core while the log is stalled: new orders are busy at once.

Pure functions, called in the Trio loop with what a connection sends. Guarantee: answers only
requests that the core has not executed, does not remember, and would answer `busy`: whole requests
that decode and are permitted, under ids above all that the session had. Source: protocol.md,
"Error codes".
"""

from __future__ import annotations

from typing import NamedTuple

from hpe.core.contract import Run
from hpe.core.decoding.judging import Undecodable, decode_request
from hpe.core.permissions import permitted
from hpe.net.session import SessionProtocol, error_frame
from hpe.protocol.admission import ORDER
from hpe.protocol.codes import LOG_WAITS


class Answered(NamedTuple):
    """Answers, and how many requests of how many bytes they answer."""

    frames: bytes
    count: int  # type: ignore[assignment]  # hides tuple.count
    size: int


def refuse_orders(session: SessionProtocol, run: Run) -> tuple[Answered, list[Run]]:
    """Refuse the new orders at the beginning of a run; nothing before them may be unanswered.

    Returns:
        The refusals, and the rest of the run, if there is one.
    """
    refusals, size, chunk = [], 0, run.chunk
    for start, end, _, request_id, admission in chunk.table:
        if admission != ORDER or request_id <= session.highest_id:
            break
        if not _would_execute(chunk.frames[start:end], session):
            break
        session.highest_id = request_id
        refusals.append(error_frame(request_id, *LOG_WAITS))
        size = end
    count = len(refusals)
    if not count:
        return Answered(b"", 0, 0), [run]
    rest = []
    if count < chunk.count:
        rest = [Run(run.connection, run.attach, run.admit, chunk.part(count, chunk.count))]
    return Answered(b"".join(refusals), count, size), rest


def _would_execute(body: bytes, session: SessionProtocol) -> bool:
    """True if a command decodes and is permitted."""
    try:
        request = decode_request(body)
    except Undecodable:
        return False
    _, role, user_first, user_last = session.grant
    return permitted(role, user_first, user_last, session.user, request)
