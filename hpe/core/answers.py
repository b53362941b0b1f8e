"""What a frame gets that is not executed: an error, or what it was answered before.

Part of the deterministic core; pure functions of a session and a body. None of these is logged.
"""

from __future__ import annotations

from zlib import crc32

from hpe.core.codec import Undecodable, diagnose, error_body, with_duplicate_flag
from hpe.core.sessions import Session
from hpe.messages import ErrorCode


def refusal(body: bytes, error: Exception) -> tuple[bytes, bool]:
    """Give the error that answers a body which did not decode, and whether to go on after it."""
    problem = error if isinstance(error, Undecodable) else diagnose(body, str(error))
    answer = error_body(problem.request_id, problem.code, str(problem))
    return answer, problem.code >= ErrorCode.UNKNOWN_TYPE


def not_executed(session: Session, request_id: int, body: bytes, admit: int) -> bytes:
    """Answer a command that is not executed now: it was before, or it is refused.

    What was executed is never answered with a refusal, which would say that it was not.
    """
    if request_id <= session.last_request_id:
        return _recalled(session, request_id, body)
    if admit:
        return error_body(request_id, ErrorCode(admit))
    return error_body(request_id, ErrorCode.BUSY, "this batch has traded and searched enough")


def _recalled(session: Session, request_id: int, body: bytes) -> bytes:
    """Answer a request id that was used or passed over before."""
    recalled = session.recall(request_id, len(body), crc32(body))
    if isinstance(recalled, ErrorCode):
        return error_body(request_id, recalled)
    return with_duplicate_flag(recalled)
