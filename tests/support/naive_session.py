"""The naive exchange's sessions: what a client may expect when it repeats itself.

Part of the second opinion of naive_exchange.py: one list per session, linear scans, nothing
shared with the core. One object per session of a test. Source: protocol.md, "Sessions".
"""

from __future__ import annotations

from zlib import crc32

from hpe.protocol.codes import ErrorCode


class NaiveSession:
    """What one session's client may expect: every command that it sent, the last W remembered.

    `attach_number` is that of the connection that has it, 0 for none.
    """

    def __init__(self, session_id: int, user: int, window: int) -> None:
        self.session_id = session_id
        self.user = user
        self.window = window
        self.attach_number = 0
        self.closed = False
        self.last_request_id = 0
        self.remembered: list[tuple[int, bytes, bytes]] = []

    def resize(self, window: int) -> None:
        """Take over a newly granted window."""
        self.window = window
        self.remembered = self.remembered[-window:]

    def executed(self, request_id: int, body: bytes, response: bytes) -> None:
        """Remember a command."""
        self.last_request_id = request_id
        self.remembered.append((request_id, body, response))
        self.resize(self.window)

    def repeated(self, request_id: int, body: bytes) -> bytes | ErrorCode:
        """Return what answers an id at or below the last one."""
        if not self.remembered or request_id < self.remembered[0][0]:
            return ErrorCode.STALE_ID
        for used, content, response in self.remembered:
            if used == request_id:
                same = (len(content), crc32(content)) == (len(body), crc32(body))
                return response if same else ErrorCode.ID_REUSED
        return ErrorCode.NOT_EXECUTED
