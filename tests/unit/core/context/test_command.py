"""What a command acts under: every handler is given it, and where it comes from."""

import inspect
from collections import deque

import pytest

from hpe.core.context.places import Places
from hpe.core.context.settings import Settings
from hpe.core.contract import DEFAULT_LIMITS
from hpe.core.driver import ReferenceCore
from hpe.core.sessions.origins import origin_of, service_origin
from hpe.core.sessions.session import Session
from hpe.protocol.enums import Role
from hpe.protocol.flags import HELLO_CANCEL_ON_DISCONNECT
from hpe.protocol.registry import COMMANDS, INTERNAL

PLAIN, CANCELS = 0, HELLO_CANCEL_ON_DISCONNECT


def test_every_command_is_given_its_context():
    core = ReferenceCore()
    handlers = [*core._commands.values(), *core._internal.values()]
    assert len(handlers) == len(COMMANDS) + len(INTERNAL)
    for handler in handlers:
        assert list(inspect.signature(handler).parameters) == ["context", "command"]


@pytest.mark.parametrize(
    ("role", "flags", "expected"),
    [
        (Role.TRADER, PLAIN, (7, 3, 5, False, False)),
        (Role.TRADER, CANCELS, (7, 3, 5, False, True)),
        (Role.OPERATOR, PLAIN, (7, 3, 5, True, False)),
        (Role.MARKET_DATA, PLAIN, (0, 3, 5, False, False)),
    ],
)
def test_where_the_commands_of_a_session_come_from(role, flags, expected):
    session = Session(3, 7, 0, deque(), role, flags=flags, key=5)
    origin = origin_of(session, Places(Settings(DEFAULT_LIMITS.reserved_part)))
    assert origin._replace(holder=origin.holder.key) == expected


def test_the_service_may_do_what_operators_may():
    origin = service_origin(Places(Settings(DEFAULT_LIMITS.reserved_part)))
    assert origin._replace(holder=origin.holder.key) == (0, 0, 0, True, False)
