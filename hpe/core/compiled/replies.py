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


def reply_to(query: Request, fields: Sequence[Any] | None) -> Reply | Error:
    """Return the reply with these fields behind the flags; None: a call is too deep for it."""
    if fields is None:
        return refused(query.request_id, *CALL_TOO_DEEP)
    return _REPLIES[type_number(type(query))](query.request_id, 0, *fields)
