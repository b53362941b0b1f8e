"""The messages that answer queries of the compiled core, from the fields that queries.pxd reads.

Pure; any thread may use it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from hpe.core.codec import refused
from hpe.protocol.base import Reply, Request, type_number
from hpe.protocol.codes import CALL_TOO_DEEP
from hpe.protocol.control import Error
from hpe.protocol.listings import AssetsReply, InstrumentReply, InstrumentsReply
from hpe.protocol.market_data import OrderbookReply
from hpe.protocol.money import BalanceReply, BalancesReply, HoldsReply
from hpe.protocol.operations import ConservationReply, StateHashReply
from hpe.protocol.orders import FillsReply, OrderReply, OrdersReply

_REPLIES: Final[dict[int, type[Reply]]] = {
    type_number(each): each
    for each in (
        OrderbookReply, BalanceReply, AssetsReply, InstrumentsReply, OrderReply, OrdersReply,
        FillsReply, BalancesReply, HoldsReply, InstrumentReply, ConservationReply, StateHashReply,
    )
}  # fmt: skip


def kind_of(query: Request) -> int:
    """Return the type number of a query."""
    return type_number(type(query))


def reply_to(query: Request, fields: Sequence[Any]) -> Reply:
    """Return the reply to a query, with these fields behind the flags."""
    return _REPLIES[kind_of(query)](query.request_id, 0, *fields)


def too_deep(query: Request) -> Error:
    """Return the refusal of a query for the price of a call that is too deep."""
    return refused(query.request_id, *CALL_TOO_DEEP)
