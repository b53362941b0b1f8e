"""The log lines about logons, successful and failed, and about lost connections.

Owns the wording and the rate of these lines; used by connections and by the accept loop in the Trio
loop. Guarantees: what a stranger sent is escaped, so that no line can be forged; a flood of one
kind is counted instead of written, and hides no other kind; text that looks like a secret in the
wrong place is not repeated.
"""

from __future__ import annotations

import logging
import re
from typing import Final

from hpe.net.limits.buckets import Bucket, Rate
from hpe.net.logon import Grant, LogonRefusal
from hpe.protocol.codes import ErrorCode
from hpe.protocol.control import Hello

LOGGER: Final = logging.getLogger("hpe.net")

LINES: Final = Rate(2, 50)
"""The rate of each kind: an incident is logged completely, and a flood writes 25 MB a day."""

_LOGON: Final = "logon"
_LOST: Final = "lost"
_STRANGER_LOST: Final = "stranger lost"
"""Their own kind: strangers that come and go by the thousand must not hide a lost session."""


class LogonLog:
    """These lines of one service."""

    def __init__(self) -> None:
        # By kind: error codes are failed logons, the others are _LOGON, _LOST and _STRANGER_LOST.
        self._buckets: dict[ErrorCode | str, Bucket] = {}
        self._omitted: dict[ErrorCode | str, int] = {}

    def refused(
        self, refusal: LogonRefusal, hello: Hello | None, address: str, now_s: float
    ) -> None:
        """Note that a connection ended before it was attached.

        Args:
            refusal: the reason.
            hello: the client's hello, if it was received.
            address: the peer's address.
            now_s: Trio time.
        """
        code = refusal.code
        if not self._may_write(code, now_s):
            return
        named = f" {_introduction(hello)}," if hello is not None else ""
        LOGGER.warning(
            "logon refused: %s (%s),%s from %s%s",
            code.name.lower(), _escaped(refusal.reason), named, address, self._remark(code),
        )  # fmt: skip

    def welcomed(
        self, hello: Hello, grant: Grant, session_id: int, address: str, now_s: float
    ) -> None:
        """Note that a session was attached."""
        if self._may_write(_LOGON, now_s):
            LOGGER.info(
                "logon: session %d, role %s, %s, from %s%s",
                session_id, grant.role.name.lower(), _introduction(hello), address,
                self._remark(_LOGON),
            )  # fmt: skip

    def lost(self, name: str, reason: str, attached: bool, now_s: float) -> None:
        """Note that a connection was lost or cut; `attached`: it had a session."""
        kind = _LOST if attached else _STRANGER_LOST
        if self._may_write(kind, now_s):
            LOGGER.info("%s ended: %s%s", name, reason, self._remark(kind))

    def _may_write(self, kind: ErrorCode | str, now_s: float) -> bool:
        if self._buckets.setdefault(kind, Bucket()).take(LINES, now_s):
            return True
        self._omitted[kind] = self._omitted.get(kind, 0) + 1
        return False

    def _remark(self, kind: ErrorCode | str) -> str:
        omitted = self._omitted.pop(kind, 0)
        return f" ({omitted} more of this kind since the last such line)" if omitted else ""


_SECRET_LIKE: Final = re.compile(r"(?:[0-9A-Fa-f]{2}[ :,-]{0,2}){12,}|[0-9A-Za-z+/=_-]{36,}")
"""Half of a hexadecimal secret, or a whole one in base64: no key id or name looks like that."""


def _introduction(hello: Hello) -> str:
    return f"key {_shown(hello.key_id)}, user {hello.user}, client {_shown(hello.client)}"


def _shown(text: str) -> str:
    return ascii(_SECRET_LIKE.sub(lambda found: f"<{len(found[0])} characters>", text))


def _escaped(text: str) -> str:
    return _shown(text)[1:-1]
