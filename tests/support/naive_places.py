"""The naive exchange's places: what could run out, counted anew from the lists each time.

Part of the second opinion of naive_exchange.py, nothing shared with the core. A kind of place is
a list of (user, key), one row per place that is taken; operators are bound by the total alone.
Source: protocol.md, "Places".
"""

from __future__ import annotations

from hpe.protocol.codes import RejectReason
from hpe.protocol.flags import FLAG_KEY_LIMIT, FLAG_USER_LIMIT
from hpe.protocol.limits import HOUSE_USER
from tests.support.naive_listings import Rejected
from tests.support.naive_state import NaiveState

Taken = list[tuple[int, int]]


def check_places(
    state: NaiveState,
    reason: RejectReason,
    taken: Taken,
    more: int,
    *,
    user: int,
    in_all: int,
    of_user: int | None,
    keeps_reserve: bool = True,
) -> None:
    """Reject where this many more places of a user are not there."""
    limit = in_all
    if not state.operator:
        mine = [row for row in taken if row[0] == user]
        if of_user is not None and len(mine) + more > of_user:
            raise Rejected(reason, FLAG_USER_LIMIT)
        with_key = [row for row in taken if row[1] == state.key]
        if state.key and 100 * (len(with_key) + more) > _whole(in_all, state):
            raise Rejected(reason, FLAG_KEY_LIMIT)
        if keeps_reserve:
            limit -= limit // state.limits.reserved_part
    if more and len(taken) + more > limit:
        raise Rejected(reason)


def _whole(in_all: int, state: NaiveState) -> int:
    """Return a hundred times the share of a key: the next whole number of places."""
    percent = in_all * state.places.key_share_percent
    return percent if percent % 100 == 0 else percent + 100 - percent % 100


def check_orders(state: NaiveState, user: int, more: int) -> None:
    """Test whether this many more orders of a user may be open."""
    if more:
        check_places(
            state, RejectReason.TOO_MANY_ORDERS, [(o.user, o.key) for o in state.open], more,
            user=user, in_all=state.open_orders_max, of_user=state.open_orders_per_user_max,
        )  # fmt: skip


def check_holds(state: NaiveState, user: int) -> None:
    """Test whether there may be another hold of a user."""
    check_places(
        state, RejectReason.TOO_MANY_HOLDS, [(hold.user, hold.key) for hold in state.holds], 1,
        user=user, in_all=state.places.holds_max, of_user=state.places.holds_per_user_max,
    )  # fmt: skip


def check_parties(state: NaiveState, user: int, *assets: int, deposit: bool = False) -> None:
    """Test whether a user and its accounts may be created where they are new."""
    if user == HOUSE_USER:
        return
    places, keeps = state.places, not deposit
    if user not in state.users:
        check_places(
            state, RejectReason.TOO_MANY_USERS, list(state.users.items()), 1, user=user,
            in_all=places.users_max, of_user=None, keeps_reserve=keeps,
        )  # fmt: skip
    new = [asset for asset in assets if (user, asset) not in state.account_keys]
    if new:
        rows = [(owner, key) for (owner, _), key in state.account_keys.items()]
        check_places(
            state, RejectReason.TOO_MANY_ACCOUNTS, rows, len(new), user=user,
            in_all=places.accounts_max, of_user=None, keeps_reserve=keeps,
        )  # fmt: skip


def admit(state: NaiveState, user: int, *assets: int) -> None:
    """Create a user and its accounts."""
    if user != HOUSE_USER:
        state.users.setdefault(user, state.key)
        for asset in assets:
            state.account_keys.setdefault((user, asset), state.key)


def check_assets(state: NaiveState, user: int, more: int) -> None:
    """Test whether a user's session may list this many more assets."""
    if more:
        check_places(
            state, RejectReason.TOO_MANY_ASSETS, state.asset_takers(), more, user=user,
            in_all=state.places.assets_max, of_user=state.places.assets_per_user_max,
        )  # fmt: skip


def check_instruments(state: NaiveState, user: int) -> None:
    """Test whether a user's session may list another instrument."""
    check_places(
        state, RejectReason.TOO_MANY_INSTRUMENTS, state.instrument_takers(), 1, user=user,
        in_all=state.places.instruments_max, of_user=state.places.instruments_per_user_max,
    )  # fmt: skip
