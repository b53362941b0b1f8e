"""The clients of one stream, and what the service itself says about them.

Owned by one stream; one thread. Which sessions exist is read from the reference after each batch.
"""

from __future__ import annotations

from collections import deque
from itertools import count
from typing import Final

import msgspec

from hpe.core.contract import SYSTEM_CONNECTION
from hpe.errors import ConfigError
from hpe.protocol.base import Request
from hpe.protocol.enums import DetachCause, Role
from hpe.protocol.frames import frame
from hpe.protocol.internal import (
    KeySetting,
    KeysValid,
    SessionAttached,
    SessionClosed,
    SessionDetached,
    Tick,
)
from hpe.protocol.limits import HOUSE_USER
from tests.differential.aim import Aim
from tests.differential.recording import Frames
from tests.differential.tuning import settings

_KEYS: Final = (
    (1, Role.TRADER), (2, Role.GATEWAY), (3, Role.OPERATOR), (4, Role.MARKET_DATA),
    (5, Role.TRADER),
)  # fmt: skip
_WIDE: Final = (Role.OPERATOR, Role.ANONYMOUS)
encode: Final = msgspec.msgpack.Encoder().encode


class ClientSeat:
    """One client: `number` is its attachment, 0 before the first; `sent` are its last bodies."""

    def __init__(self, user: int, role: Role, key: int) -> None:
        self.user, self.role, self.key = user, role, key
        self.number = self.session_id = self.last_id = 0
        self.there = False
        self.sent: deque[bytes] = deque(maxlen=24)


class Clients:
    """All clients of a stream."""

    def __init__(self, aim: Aim, rows: list[tuple[int, Role, int]]) -> None:
        self._aim, self._random = aim, aim.random
        self.seats = [ClientSeat(*row) for row in rows]
        self._numbers = count(1)

    def follow(self) -> None:
        """Learn which sessions the clients have."""
        for seat in self.seats:
            session = self._aim.world.session(seat.number)
            seat.there = session is not None
            if session is not None:
                if seat.session_id != session.session_id:
                    seat.sent.clear()
                seat.session_id = session.session_id
                seat.last_id = max(session.last_request_id, 0)

    def present(self) -> list[ClientSeat]:
        """Return the clients that have a session."""
        return [seat for seat in self.seats if seat.there]

    def attach_all(self) -> list[Frames]:
        """Let everybody come."""
        return [system(self._attach(seat)) for seat in self.seats]

    def happenings(self) -> tuple[list[Frames], list[bytes]]:
        """Return what the service says now, and for what configurations differences are asked."""
        aim, random = self._aim, self._random
        if aim.chance("settings"):
            return self._settings()
        if not aim.chance("session"):
            return [system(Tick(random.randint(1, 9)))], []
        seat = random.choice(self.seats)
        away = [each for each in self.seats if not each.there]
        if away and random.random() < 0.6:
            return [system(self._attach(random.choice(away)))], []
        chance = random.random()
        if chance < 0.2:
            return [system(self._attach(seat))], []
        session_id, number = seat.session_id or 1, seat.number or 1
        if chance < 0.25:
            number = random.randint(1, number)
        if chance < 0.7:
            cause = random.choice(tuple(DetachCause))
            return [system(SessionDetached(number, session_id, number, cause))], []
        return [system(SessionClosed(number, session_id, number, random.choice((0, 1))))], []

    def _attach(self, seat: ClientSeat) -> Request:
        random = self._random
        seat.number = next(self._numbers)
        session_id, user = seat.session_id, seat.user
        chance = random.random()
        if chance < 0.04:
            session_id = random.randint(0, 9)
        elif chance < 0.12:
            session_id = seat.session_id = 0
        first = last = seat.user
        if seat.role is Role.GATEWAY:
            first, last = 1, 14
        elif seat.role in _WIDE:
            first, last = 1, HOUSE_USER
        return SessionAttached(
            seat.number, session_id, user, random.choice((0, 0, 1, 3, 9, 64)), seat.role, first,
            last, random.choice((0, 0, 0, 1)), random.choice((0, 0, 2, 20)), seat.key,
        )  # fmt: skip

    def _settings(self) -> tuple[list[Frames], list[bytes]]:
        """Configure, or tell which keys are valid: what differs, as the service does."""
        random, core = self._random, self._aim.world.core
        wanted: Request
        if random.random() < 0.5:
            wanted = settings(random)
        else:
            rows = [KeySetting(*row) for row in _KEYS if random.random() < 0.85]
            wanted = KeysValid(1, rows)
        asked = [encode(wanted)]
        try:
            found = core.configuration_differences(wanted)
        except ConfigError:
            return [], asked
        return ([system(found)] if found is not None else []), asked


def system(*commands: Request) -> Frames:
    """Return a run of the service's own commands."""
    return Frames(SYSTEM_CONNECTION, 0, 0, b"".join(frame(encode(each)) for each in commands))
