"""Write responses, reports and rows as the right-hand side of a table's lines.

Pure functions of a message and the labels of orders; table.py describes the language.
"""

from __future__ import annotations

from typing import Final

from hpe.protocol.codes import CancelReason, RejectReason
from hpe.protocol.enums import ExecType, InstrumentStatus, Liquidity, OrderStatus, SelfTrade, Side
from hpe.protocol.flags import FLAG_SELF_TRADE
from hpe.protocol.listings import InstrumentReply
from hpe.protocol.market_data import OrderbookReply
from hpe.protocol.orders import OrderResponse, OrderRow
from hpe.protocol.reports import ExecutionReport, OrderReport, PreventedMatch, PrivateReport
from tests.scenarios.phrases import UNIT_NS

Labels = dict[int, str]
"""Order id -> label."""

_STATUS_OF: Final = {
    ExecType.TRIGGERED: OrderStatus.NEW,
    ExecType.CANCELED: OrderStatus.CANCELED,
    ExecType.EXPIRED: OrderStatus.EXPIRED,
}


def reject(reason: int) -> str:
    """Name a reject reason."""
    return RejectReason(reason).name.lower()


def done_or(reason: int) -> str:
    """Name the outcome of a command that has no other."""
    return reject(reason) if reason else "done"


def order(response: OrderResponse, reports: list[PrivateReport], labels: Labels) -> str:
    """Write an order response and what the command reported before it."""
    if response.status == OrderStatus.REJECTED:
        assert not reports
        return f"rejected {reject(response.reason)}"
    fills = [report for report in reports if isinstance(report, ExecutionReport)]
    own = [fill for fill in fills if fill.order_id == response.order_id]
    assert len(own) == len(fills) == response.fill_count
    assert [fill.trade_id for fill in fills] == list(
        range(response.first_trade_id, response.first_trade_id + len(fills))
    )
    total = response.leaves + response.cum + response.canceled
    text = f"{state(response.status, response.reason)} {response.cum}/{total}"
    return with_reports(text, reports, labels)


def with_reports(text: str, reports: list[PrivateReport], labels: Labels) -> str:
    """Append what a command reported to its own user."""
    said = [
        fill(report, labels) if isinstance(report, ExecutionReport) else event(report, labels)
        for report in reports
    ]
    return f"{text}: {', '.join(said)}" if said else text


def state(status: int, reason: int) -> str:
    """Name a status and why it is that."""
    name = OrderStatus(status).name.lower()
    if not reason or status == OrderStatus.EXPIRED:
        return name
    return f"{name} {CancelReason(reason).name.lower()}"


def fill(report: ExecutionReport, labels: Labels) -> str:
    """Write one fill as one of its sides sees it."""
    text = f"{report.last_quantity}@{report.last_price} {labels.get(report.contra_order_id, '?')}"
    text += f" fee {report.fee}" if report.fee else ""
    text += " self-trade" if report.flags & FLAG_SELF_TRADE else ""
    return text + (" auction" if report.liquidity == Liquidity.AUCTION else "")


def event(report: OrderReport | PreventedMatch, labels: Labels) -> str:
    """Write what happened to an order without a fill."""
    if isinstance(report, PreventedMatch):
        maker = labels.get(report.maker_order_id, "?")
        resting = f"{report.maker_leaves + report.maker_canceled}->{report.maker_leaves}"
        incoming = f"{report.taker_leaves + report.taker_canceled}->{report.taker_leaves}"
        policy = SelfTrade(report.policy).name.lower()
        return f"prevented {maker}@{report.price} {policy} resting {resting} incoming {incoming}"
    label, exec_type = labels.get(report.order_id, "?"), ExecType(report.exec_type)
    assert report.status == _STATUS_OF[exec_type]
    if exec_type == ExecType.TRIGGERED:
        assert not report.reason
        return f"{label} triggered"
    assert report.leaves == 0
    return f"{label} {state(report.status, report.reason)} {report.cum}/{total_of(report)}"


def total_of(row: OrderReport | OrderRow) -> int:
    """Return an order's whole quantity."""
    return row.leaves + row.cum + row.canceled


def heard(report: PrivateReport, labels: Labels) -> str:
    """Write what a user received unasked."""
    if not isinstance(report, ExecutionReport):
        assert isinstance(report, OrderReport | PreventedMatch)
        return event(report, labels)
    label, status = labels.get(report.order_id, "?"), OrderStatus(report.status).name.lower()
    return f"{label} {status} {fill(report, labels)}"


def ended_or_open(row: OrderRow) -> str:
    """Write how an order is, or ended."""
    text = f"{state(row.status, row.reason)} {row.cum}/{row.quantity}"
    assert row.quantity == total_of(row)
    return text + (f" fee {row.fee_total}" if row.fee_total else "")


def open_order(row: OrderRow, labels: Labels) -> str:
    """Write an open order as a list shows it."""
    parts = [labels.get(row.order_id, "?"), Side(row.side).name.lower()]
    parts.append(f"for {row.budget}" if row.budget else f"{row.cum}/{row.quantity}")
    if row.price:
        parts.append(f"@ {row.price}")
    if row.waiting:
        parts.append(f"trail {row.trail} stop {row.stop_price}" if row.trail else "")
        parts.append("" if row.trail else f"stop {row.stop_price}")
    if row.display_quantity:
        parts.append(f"shows {row.display_quantity}")
    if row.expires_ns:
        parts.append(f"until {row.expires_ns // UNIT_NS}")
    if row.linked_order_id:
        parts.append(f"or {labels.get(row.linked_order_id, '?')}")
    return " ".join(filter(None, parts))


def book(reply: OrderbookReply) -> str:
    """Write both sides of a book, best first."""
    sides = [
        " ".join(f"{quantity}@{price}" for price, quantity, _ in levels) or "-"
        for levels in (reply.bids, reply.asks)
    ]
    return f"bids {sides[0]} asks {sides[1]}"


def market(reply: InstrumentReply) -> str:
    """Write the state of a market, and in a call what an uncross would trade."""
    parts = [InstrumentStatus(reply.status).name.lower(), f"last {reply.last_price or '-'}"]
    if reply.band_high:
        parts.append(f"band {reply.band_low}-{reply.band_high}")
    if reply.indicative_volume:
        trade = f"{reply.indicative_volume}@{reply.indicative_price}"
        parts.append(f"would trade {trade} surplus {reply.indicative_surplus}")
    return " ".join(parts)
