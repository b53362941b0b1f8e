"""Who may do what, as a table to read: the naive exchange's, and the permission tests'.

Owns the table and one question about it; shares nothing with the core. `own`: the acting user and
a `to_user` must be among those of the session, and `all_users` is refused. Pure functions.
Source: protocol.md, "Roles".
"""

from __future__ import annotations

from typing import Final

from hpe.protocol.base import Request
from hpe.protocol.enums import Role
from hpe.protocol.limits import HOUSE_USER
from hpe.protocol.registry import COMMANDS, CONTROL, QUERIES

COLUMNS: Final = (Role.TRADER, Role.GATEWAY, Role.MARKET_DATA, Role.OPERATOR, Role.ANONYMOUS)

_TABLE: Final = """
    Hello Logon Ping Logout ServerInfo Heartbeat                    | any any any any any
    Unsubscribe UnsubscribePrivate                                  | any any any any any
    SubscribePrivate                                                | own own no  any any
    GetOrderbook ListAssets ListInstruments GetInstrument Subscribe | any any any any any
    GetBalance GetOrder ListOrders ListFills ListBalances ListHolds | own own no  any any
    GetConservation GetStateHash                                    | no  no  no  any any
    SubmitOrder CancelOrder ReplaceOrder SubmitOco                  | own own no  no  any
    MassCancel                                                      | own own no  any any
    ResolveInstrument                                               | any any no  any any
    LockBalance UnlockBalance CaptureHold ReleaseHold Transfer      | no  own no  any any
    Deposit Withdraw AddAsset AddInstrument BlockUser               | no  no  no  any any
    SetStatus Uncross SetFees DelistAsset DelistInstrument          | no  no  no  any any
"""


def _cells() -> dict[tuple[type[Request], Role], str]:
    requests = {each.__name__: each for each in (*CONTROL, *QUERIES, *COMMANDS)}
    cells = {}
    for line in _TABLE.strip().splitlines():
        kinds, _, columns = line.partition("|")
        for name in kinds.split():
            for role, cell in zip(COLUMNS, columns.split(), strict=True):
                cells[requests[name], role] = cell
    return cells


CELLS: Final = _cells()
"""(request type, role) -> any, own or no."""


def users_of(role: Role, first: int, last: int) -> tuple[int, int]:
    """Return the users for which a session of a role may act; `first`..`last` are its key's."""
    return (1, HOUSE_USER) if role in (Role.OPERATOR, Role.ANONYMOUS) else (first, last)


def permitted(role: Role, users: tuple[int, int], user: int, request: Request) -> bool:
    """True if a session of `user`, which may act for the `users`, may send a request."""
    cell = CELLS[type(request), role]
    if cell != "own":
        return cell == "any"
    named = [getattr(request, "user", 0) or user, getattr(request, "to_user", 0)]
    inside = all(users[0] <= number <= users[1] for number in named if number)
    return inside and not getattr(request, "all_users", False)
