"""Order flow on the wire: commands as requests, responses as outcomes.

Owns the translation for one flow in one session. Pure: it sends nothing; any thread may use it,
one object per run. Flow ids become client order ids; makers are reported by their engine order
ids, which the responses to their own orders named before (a connection answers in order).
The fills of an uncross are not in its sender's reports: `list_fills`, sent after it, returns them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hpe.errors import ProtocolError
from hpe.orderflow.files import Command, Op, Outcome, RecordedFill
from hpe.protocol.base import Reply, Request
from hpe.protocol.enums import InstrumentStatus, Liquidity, OrderStatus, OrderType, TimeInForce
from hpe.protocol.flags import ORDER_POST_ONLY
from hpe.protocol.operations import SetStatus, SetStatusResponse, Uncross, UncrossResponse
from hpe.protocol.orders import CancelOrder, FillRow, OrderResponse, ReplaceOrder, SubmitOrder
from hpe.protocol.reports import ExecutionReport

_STATUSES: Final = {
    Op.CALL: InstrumentStatus.CALL_AUCTION,
    Op.CONTINUOUS: InstrumentStatus.TRADING,
}


class FlowTranslator:
    """Translates one flow on one instrument."""

    def __init__(self, instrument: int) -> None:
        self._instrument = instrument
        self._totals: dict[int, int] = {}
        self._flow_ids: dict[int, int] = {}

    def request(self, command: Command, request_id: int) -> Request:
        """Return the request of a command. Call it in the order of the flow."""
        op, order_id = command.op, command.order_id
        if op in _STATUSES:
            return SetStatus(request_id, self._instrument, _STATUSES[op])
        if op is Op.UNCROSS:
            return Uncross(request_id, self._instrument)
        if op is Op.CANCEL:
            return CancelOrder(request_id, 0, order_id)
        if op is Op.MODIFY:
            return ReplaceOrder(
                request_id,
                0,
                order_id,
                leaves_quantity=command.quantity,
                price=command.price,
                requeue=True,
            )
        if op is Op.REDUCE:
            # The flow says how much to take off, the request what remains.
            total = max(self._totals.get(order_id, 0) - command.quantity, 0)
            self._totals[order_id] = total
            return ReplaceOrder(request_id, 0, order_id, quantity=total)
        self._totals[order_id] = command.quantity
        return SubmitOrder(
            request_id,
            self._instrument,
            order_id,
            command.side,
            OrderType.LIMIT,
            TimeInForce.IOC if op is Op.IMMEDIATE else TimeInForce.GTC,
            command.price,
            command.quantity,
            ORDER_POST_ONLY if op is Op.POST_ONLY else 0,
        )

    def outcome(
        self,
        command: Command,
        response: Reply,
        reports: Iterable[Reply],
        auction_fills: Iterable[FillRow] = (),
    ) -> Outcome:
        """Return the outcome of a command, from its response and the reports before it.

        Args:
            command: of the flow, in its order.
            response: the answer to the command's request.
            reports: the reports that came before the response.
            auction_fills: after an uncross, the rows of its fills.

        Raises:
            ProtocolError: the response is of the wrong kind.
        """
        match response:
            case OrderResponse(status=OrderStatus.REJECTED):
                return Outcome(False, [], 0, reason=response.reason)
            case OrderResponse():
                return self._order_outcome(command, response, reports)
            case SetStatusResponse():
                return Outcome(response.reason == 0, [], 0, reason=response.reason)
            case UncrossResponse():
                fills = [
                    RecordedFill(self._flow_ids[row.order_id], row.quantity, row.price)
                    for row in auction_fills
                ]
                auction = response.price, response.volume
                return Outcome(response.reason == 0, fills, 0, auction, response.reason)
        raise ProtocolError(f"command {command.seq} was answered {response}")

    def _order_outcome(
        self, command: Command, response: OrderResponse, reports: Iterable[Reply]
    ) -> Outcome:
        self._flow_ids[response.order_id] = command.order_id
        fills = [
            RecordedFill(
                self._flow_ids[report.contra_order_id], report.last_quantity, report.last_price
            )
            for report in reports
            if isinstance(report, ExecutionReport) and report.liquidity == Liquidity.TAKER
        ]
        takes_off = command.op in (Op.CANCEL, Op.IMMEDIATE)
        return Outcome(True, fills, response.canceled if takes_off else 0)
