"""Who may do what: one table of roles and requests.

Part of the deterministic core, which refuses queries and commands by this table; the network side
refuses control messages by the same one. A role may send a request for nobody, for its own users
(the range that its session was granted), or for anyone. Tests compare protocol.md, "Roles", with
it.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from hpe.protocol.base import Request
from hpe.protocol.control import Heartbeat, Hello, Logon, Logout, Ping, ServerInfo
from hpe.protocol.enums import Role
from hpe.protocol.listings import (
    AddAsset,
    AddInstrument,
    DelistAsset,
    DelistInstrument,
    GetInstrument,
    ListAssets,
    ListInstruments,
    ResolveInstrument,
)
from hpe.protocol.market_data import GetOrderbook, Subscribe, Unsubscribe
from hpe.protocol.money import (
    CaptureHold,
    Deposit,
    GetBalance,
    ListBalances,
    ListHolds,
    LockBalance,
    ReleaseHold,
    Transfer,
    UnlockBalance,
    Withdraw,
)
from hpe.protocol.operations import (
    BlockUser,
    GetConservation,
    GetStateHash,
    SetFees,
    SetStatus,
    Uncross,
)
from hpe.protocol.orders import (
    CancelOrder,
    GetOrder,
    ListFills,
    ListOrders,
    MassCancel,
    ReplaceOrder,
    SubmitOco,
    SubmitOrder,
)
from hpe.protocol.reports import SubscribePrivate, UnsubscribePrivate


class Scope(IntEnum):
    """The users for whom a role may send a request."""

    NOBODY = 0
    OWN = 1
    ANYBODY = 2


_ROLES: Final = (Role.TRADER, Role.GATEWAY, Role.MARKET_DATA, Role.OPERATOR, Role.ANONYMOUS)
_NO, _OWN, _ANY = Scope.NOBODY, Scope.OWN, Scope.ANYBODY

_ROWS: Final[tuple[tuple[tuple[type[Request], ...], tuple[Scope, ...]], ...]] = (
    (
        (Hello, Logon, Ping, Logout, ServerInfo, Heartbeat, Unsubscribe, UnsubscribePrivate),
        (_ANY, _ANY, _ANY, _ANY, _ANY),
    ),
    (
        (GetOrderbook, ListAssets, ListInstruments, GetInstrument, Subscribe),
        (_ANY, _ANY, _ANY, _ANY, _ANY),
    ),
    (
        (GetBalance, GetOrder, ListOrders, ListFills, ListBalances, ListHolds, SubscribePrivate),
        (_OWN, _OWN, _NO, _ANY, _ANY),
    ),
    ((GetConservation, GetStateHash), (_NO, _NO, _NO, _ANY, _ANY)),
    ((SubmitOrder, CancelOrder, ReplaceOrder, SubmitOco), (_OWN, _OWN, _NO, _NO, _ANY)),
    ((MassCancel,), (_OWN, _OWN, _NO, _ANY, _ANY)),
    ((ResolveInstrument,), (_ANY, _ANY, _NO, _ANY, _ANY)),
    (
        (LockBalance, UnlockBalance, CaptureHold, ReleaseHold, Transfer),
        (_NO, _OWN, _NO, _ANY, _ANY),
    ),
    (
        (Deposit, Withdraw, AddAsset, AddInstrument, BlockUser, SetStatus, Uncross, SetFees),
        (_NO, _NO, _NO, _ANY, _ANY),
    ),
    (
        (DelistAsset, DelistInstrument),
        (_NO, _NO, _NO, _ANY, _ANY),
    ),
)

SCOPES: Final[dict[Role, dict[type[Request], Scope]]] = {
    role: {kind: scopes[column] for kinds, scopes in _ROWS for kind in kinds}
    for column, role in enumerate(_ROLES)
}
"""Role -> request -> scope; every request that a client may send has an entry."""


def permitted(
    role: Role, user_first: int, user_last: int, session_user: int, request: Request
) -> bool:
    """True if a session may send a request.

    Args:
        role: the session's role.
        user_first: the first of the users that the session may act for.
        user_last: the last of them.
        session_user: the user of a request that names none.
        request: the decoded request.
    """
    scope = SCOPES[role].get(type(request), _ANY)  # others are refused elsewhere
    if scope is not _OWN:
        return scope is _ANY
    if getattr(request, "all_users", False):
        return False
    user = getattr(request, "user", 0) or session_user
    to_user = getattr(request, "to_user", user)
    return user_first <= user <= user_last and user_first <= to_user <= user_last
