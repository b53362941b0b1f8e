"""Control messages, which the front end answers: their cells of the table of permissions."""

import pytest

from hpe.core.permissions import permitted
from hpe.protocol.control import Heartbeat, Hello, Logon, Logout, Ping, ServerInfo
from hpe.protocol.enums import Channel, Role
from hpe.protocol.limits import HOUSE_USER
from hpe.protocol.market_data import Unsubscribe
from hpe.protocol.reports import SubscribePrivate, UnsubscribePrivate
from tests.support import naive_permissions
from tests.support.naive_permissions import COLUMNS

OWN, FRIEND, STRANGER = 20, 30, 31
GRANTED = {True: (10, 30), False: (OWN, OWN)}
"""A gateway's users, and a trader's: its own account alone."""

CONTROL_REQUESTS = [
    Hello(1, 1, OWN),
    Logon(1, bytes(32), bytes(32)),
    Ping(1),
    Logout(1),
    ServerInfo(1),
    Heartbeat(1),
    Unsubscribe(1, 1, Channel.BEST),
    UnsubscribePrivate(1, STRANGER),
    *(SubscribePrivate(1, None, user) for user in (0, OWN, FRIEND, STRANGER, HOUSE_USER)),
]


@pytest.mark.parametrize("role", COLUMNS, ids=lambda role: role.name.lower())
@pytest.mark.parametrize("request_", CONTROL_REQUESTS, ids=lambda r: f"{type(r).__name__}-{r}"[:40])
def test_control_messages_are_in_the_same_table(role, request_):
    allowed = naive_permissions.users_of(role, *GRANTED[role is Role.GATEWAY])
    expected = naive_permissions.permitted(role, allowed, OWN, request_)
    assert permitted(role, *allowed, OWN, request_) == expected
