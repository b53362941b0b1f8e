"""The naive exchange's bound on queries: what each costs, and when the rest of a batch is refused.

Part of the second opinion of naive_exchange.py, nothing shared with the core. Source: protocol.md,
"Effort".
"""

from __future__ import annotations

from hpe.protocol.base import Reply, Request
from hpe.protocol.codes import ErrorCode
from hpe.protocol.control import Error
from hpe.protocol.enums import Channel, Side
from hpe.protocol.limits import HOUSE_USER
from hpe.protocol.listings import GetInstrument
from hpe.protocol.market_data import OrderbookReply, Subscribe
from hpe.protocol.money import ListBalances
from hpe.protocol.operations import GetConservation
from hpe.protocol.orders import GetOrder
from tests.support import naive_market, naive_queries
from tests.support.naive_state import NaiveState

CLEARING = 8
COPIES_PER_ROW = 8


def ask(state: NaiveState, user: int, query: Request) -> Reply:
    """Answer a query of a user's session, unless the queries before it used up the batch's part."""
    if _is_full(state) or (isinstance(query, GetInstrument) and _is_too_deep(state, query)):
        return Error(query.request_id, 0, ErrorCode.BUSY, "", "", True, False, False)
    reply = naive_queries.answer(state, user, query)
    state.asked += _cost(state, user, query, reply)
    return reply


def subscribe(state: NaiveState, requests: list[Subscribe], told: set[tuple[int, int]]) -> set[int]:
    """Let a run of a batch subscribe; return the ids of those that are not refused.

    `told`: instruments and channels to which somebody has subscribed before this batch.
    """
    made: dict[tuple[int, int, int], int] = {}
    accepted = set()
    for request in requests:
        if _is_full(state):
            break
        same = (request.instrument, request.channel, request.depth)
        is_told = same[:2] in told
        if same in made:
            state.asked += 1 + made[same] // COPIES_PER_ROW
        else:
            made[same] = _snapshot_rows(state, request, is_told=is_told)
            state.asked += 1 + made[same]
        accepted.add(request.request_id)
    return accepted


def _is_full(state: NaiveState) -> bool:
    return state.asked >= state.limits.query_effort


def _is_too_deep(state: NaiveState, query: GetInstrument) -> bool:
    return CLEARING * crossing_levels(state, query.instrument) > state.limits.query_effort


def crossing_levels(state: NaiveState, book: int) -> int:
    """Count the levels that finding the price of a call looks through; orders if some are dead."""
    if not state.in_call(book) or book in state.uncrossing:
        return 0
    bids, asks = (naive_market.levels(state, book, side) for side in Side)
    if not bids or not asks or bids[0][0] < asks[0][0]:
        return 0
    if state.has_dead(book):
        return len(state.resting(book))
    crossing = [level for level in bids if level[0] >= asks[0][0]]
    return len(crossing) + sum(level[0] <= bids[0][0] for level in asks)


def _cost(state: NaiveState, user: int, query: Request, reply: Reply) -> int:
    owner = getattr(query, "user", 0) or user
    if isinstance(reply, OrderbookReply):
        return len(reply.bids) + len(reply.asks)
    if isinstance(query, GetOrder):
        return _cost_of_search(state, owner, query)
    if isinstance(query, ListBalances):
        mine = [key for key in (*state.account_keys, *state.owned) if key[0] == owner]
        return len(set(mine))
    if isinstance(query, GetConservation):
        return len({*state.users, HOUSE_USER})
    if isinstance(query, GetInstrument):
        return CLEARING * crossing_levels(state, query.instrument)
    return len(getattr(reply, "rows", ()))


def _cost_of_search(state: NaiveState, owner: int, query: GetOrder) -> int:
    """An ended order is looked for by the engine's id among all that are kept."""
    is_open = any(o.order_id == query.order_id and o.user == owner for o in state.open)
    named_once = query.order_id > 0 and not query.client_order_id
    looks = named_once and not is_open and query.order_id <= state.orders
    return len(state.known_ended()) if looks else 0


def _snapshot_rows(state: NaiveState, request: Subscribe, *, is_told: bool) -> int:
    book, channel = request.instrument, request.channel
    if book not in state.listings.instruments or channel in (Channel.BEST, Channel.TRADES):
        return 0
    if channel is Channel.STATUS:
        effort = CLEARING * crossing_levels(state, book)
        return 0 if is_told or effort > state.limits.query_effort else effort
    levels = [naive_market.levels(state, book, side)[: request.depth] for side in Side]
    if channel is Channel.LEVELS:
        return sum(map(len, levels))
    orders = sum(count for side in levels for _, _, count in side)
    return min(orders, 2 * state.limits.snapshot_orders)
