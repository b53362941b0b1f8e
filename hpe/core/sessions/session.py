"""One session: its identity, its permissions, and the responses it remembers.

Part of the deterministic core; all of it is state and hashed. registry.py has all sessions.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque

import msgspec

from hpe.core.permissions import permitted
from hpe.protocol.base import Request
from hpe.protocol.codes import ErrorCode
from hpe.protocol.enums import Role
from hpe.protocol.limits import INT_MAX


class Remembered(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One executed command; length and CRC-32 of its body tell a repeat from a reused id."""

    request_id: int
    length: int
    crc: int
    response: bytes


class Session(msgspec.Struct):
    """One client's session; `attach_number` is 0 while no connection holds it.

    `detached_ns` is the logged time at which a detached session lost its connection. `role` and
    the users from `user_first` to `user_last` say what it may do, `flags` and `grace_ms` what a
    lost connection does; the newest attachment decides all of these except the role. `key` stands
    for the key that it was opened with, 0 where no keys are required.
    """

    session_id: int
    user: int
    window: int
    remembered: deque[Remembered]
    role: Role = Role.ANONYMOUS
    user_first: int = 1
    user_last: int = INT_MAX
    flags: int = 0
    grace_ms: int = 0
    key: int = 0
    last_request_id: int = 0
    attach_number: int = 0
    detached_ns: int = 0

    def may(self, request: Request) -> bool:
        """True if its role and its users permit a request."""
        return permitted(self.role, self.user_first, self.user_last, self.user, request)

    @property
    def grace_ns(self) -> int:
        """How long a connection may be lost before the session's orders are canceled."""
        return self.grace_ms * 1_000_000

    def recall(self, request_id: int, length: int, crc: int) -> bytes | ErrorCode:
        """Answer a request id at or below the last one.

        Returns:
            The remembered response, or the error that says why there is none.
        """
        remembered = self.remembered
        if not remembered or request_id < remembered[0].request_id:
            return ErrorCode.STALE_ID
        index = bisect_left(remembered, request_id, key=lambda entry: entry.request_id)
        entry = remembered[index]
        if entry.request_id != request_id:
            return ErrorCode.NOT_EXECUTED
        if (entry.length, entry.crc) != (length, crc):
            return ErrorCode.ID_REUSED
        return entry.response
