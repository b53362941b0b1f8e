"""The recorded run of Liquibook's unit tests: events and the whole book after each step.

How its orders are expressed by ours:
- replace (it always loses priority) is a replace with `requeue`, its size delta a new total;
- immediate-or-cancel is ioc, and with all-or-none fok;
- all-or-none alone waits until all of it can trade. Ours is fok; what fok kills is submitted
  again as gtc unless that would cross (post-only would stay so in a later replace);
- a market order is ours, which never rests; a stop is ours, a buy with a budget of its stop
  price for each lot.

Two conventions cannot be expressed: oracles_liquibook_ours.py names the cases that they decide,
and has what must come out here instead; all other steps of those cases must be as recorded too.
At the end of each case the book is swept, which shows the queue of every price level.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any, Final

from hpe.protocol.base import Reply
from hpe.protocol.codes import CancelReason
from hpe.protocol.enums import ExecType, OrderStatus, OrderType, Side, TimeInForce
from hpe.protocol.market_data import BookLevel
from hpe.protocol.orders import OrderResponse, OrderTerms, SubmitOrder
from hpe.protocol.reports import OrderReport
from tests.support.core_driver import CoreFactory
from tests.support.oracles_liquibook_ours import OURS, StepResult
from tests.support.oracles_market import (
    LETTERS,
    SAME,
    SIDES,
    Case,
    CaseVerdict,
    OracleMarket,
    OracleTrade,
    Placed,
    compared,
    differs,
)

TRADER: Final = "the only one"
SWEEP_PRICE: Final = {Side.BUY: 10**6, Side.SELL: 1}


def run(case: Case, new_core: CoreFactory) -> CaseVerdict:
    """Run a case; compare every event, every book, and at the end every queue."""
    test = _Test(new_core)
    found = [test.execute(recorded) for recorded in case["steps"]]
    test.market.check()
    convention, ours = OURS.get(case["name"], ("", {}))
    expected = _expected(case["steps"], ours)
    differences = compared([_unqueued(one) for one in found], [_unqueued(one) for one in expected])
    differences += compared(test.sweep(), expected[-1].book)
    return CaseVerdict(differs(convention) if convention else SAME, differences)


# --- what was recorded ----------------------------------------------------------------------------


def _expected(steps: list[dict[str, Any]], ours: dict[int, StepResult]) -> list[StepResult]:
    """Put a recording into text, ours instead where it is to be another."""
    texts: list[StepResult] = []
    for number, one in enumerate(steps, 1):
        # Where the recording has no book, nothing had changed.
        book = texts[-1].book if texts else []
        if one["book_after"] is not None:
            book = [_order(letter, *order) for letter, *order in one["book_after"]]
        recorded = StepResult([_event(one, event) for event in one["events"]], book)
        assert recorded != ours.get(number), "this step comes out as recorded"
        texts.append(ours.get(number, recorded))
    return texts


def _event(one: dict[str, Any], event: dict[str, Any]) -> str:
    match event:
        case {"ev": "fill", "id": taker, "maker": maker, "qty": quantity, "price": price}:
            # Only an all-or-none order that rested matches in a step that is another's.
            whose = "" if taker == one["id"] else f" of {taker}"
            return f"fill {maker} {quantity}@{price}{whose}"
        case {"ev": "cancel_reject", "id": order}:
            return f"reject {order}"
        case {"ev": "accept" | "cancel" | "replace" as kind, "id": order}:
            return f"{kind} {order}"
    raise ValueError(event)


def _order(letter: str, name: int, price: int, quantity: int) -> str:
    """Write an order as `step` has it; a recorded one comes in this order of fields."""
    return f"{letter}{name} {quantity}@{price}"


def _unqueued(one: StepResult) -> StepResult:
    """Forget the order of the queues, which a running book does not tell."""
    return StepResult(one.events, sorted(one.book))


# --- what comes out here --------------------------------------------------------------------------


class _Test:
    """One case as it goes."""

    def __init__(self, new_core: CoreFactory) -> None:
        self.market = OracleMarket(new_core)
        self._client = self.market.client(TRADER)
        self._ids: dict[int, int] = {}
        self._totals: dict[int, int] = {}
        self._sides: dict[int, Side] = {}

    def execute(self, one: dict[str, Any]) -> StepResult:
        """Execute one step."""
        match one:
            case {"op": "add"}:
                events = self._add(one)
            case {"op": "cancel", "id": name}:
                done = self.market.cancel(TRADER, name)
                events = [f"{'cancel' if done else 'reject'} {name}"]
            case {"op": "replace", "id": name, "size_delta": delta, "new_price": price}:
                events = self._replace(name, delta, price)
            case {"op": "market_price"}:
                events = []
            case _:
                raise ValueError(one)
        return StepResult(events, self._book())

    def sweep(self) -> list[str]:
        """Trade with all that rests and return the orders in the order of their trades."""
        swept = []
        for side, levels in zip(SIDES.values(), self.market.levels(), strict=True):
            if quantity := sum(level[1] for level in levels):
                against = Placed(TRADER, 0, Side.SELL if side is Side.BUY else Side.BUY)
                price = SWEEP_PRICE[against.side]
                _, trades = self.market.submit(against, price, quantity, TimeInForce.IOC)
                swept += [
                    _order(LETTERS[side], trade.maker.name, trade.price, trade.quantity)
                    for trade in trades
                ]
        assert self.market.levels() == ([], [])
        return swept

    def _add(self, one: dict[str, Any]) -> list[str]:
        name, price, quantity = one["id"], one["price"], one["qty"]
        placed = Placed(TRADER, name, SIDES[one["side"]])
        self._totals[name] = quantity
        self._sides[name] = placed.side
        if one["stop"]:
            return self._add_stop(placed, one["stop"], quantity)
        rests = price and not one["ioc"]
        tif = TimeInForce.GTC if rests else TimeInForce.IOC
        response, trades = self.market.submit(
            placed, price, quantity, TimeInForce.FOK if one["aon"] else tif
        )
        killed = response.reason == CancelReason.FOK_NOT_FILLABLE
        if rests and killed and not self._crosses(placed.side, price):
            response, trades = self.market.submit(placed, price, quantity)
        self._ids[name] = response.order_id
        return [f"accept {name}", *_fills(trades), *_end(name, response)]

    def _crosses(self, side: Side, price: int) -> bool:
        bids, asks = self.market.levels()
        if side is Side.BUY:
            return bool(asks) and asks[0][0] <= price
        return bool(bids) and bids[0][0] >= price

    def _add_stop(self, placed: Placed, stop_price: int, quantity: int) -> list[str]:
        buys = placed.side is Side.BUY
        terms = OrderTerms(stop_price=stop_price, budget=stop_price * quantity if buys else 0)
        told = len(self.market.venue.private.get(self._client.user, []))
        response = self._client.get(
            OrderResponse,
            SubmitOrder(
                self._client.next_id(),
                self.market.instrument,
                placed.name,
                placed.side,
                OrderType.STOP,
                TimeInForce.GTC,
                0,
                0 if buys else quantity,
                terms=terms,
            ),
        )
        assert response.status == OrderStatus.NEW
        # What a stop does when it has fired is told to its owner alone.
        reports: list[Reply] = [*self.market.venue.private.get(self._client.user, [])[told:]]
        return [f"accept {placed.name}", *_end_of_stop(reports, response.order_id, placed.name)]

    def _replace(self, name: int, delta: int, price: int) -> list[str]:
        self._totals[name] += delta
        response = self._client.replace(
            self._ids[name], quantity=self._totals[name], price=price or None, requeue=True
        )
        assert response.status != OrderStatus.REJECTED
        trades = self.market.trades_of(Placed(TRADER, name, self._sides[name]), response)
        return [f"replace {name}", *_fills(trades), *_end(name, response)]

    def _book(self) -> list[str]:
        """Return the open orders, best first; the levels must be made of them."""
        by_side: dict[Side, list[tuple[int, int, int]]] = {Side.BUY: [], Side.SELL: []}
        for placed, row in self.market.open_orders():
            by_side[placed.side].append((row.price, placed.name, row.leaves))
        for side, levels in zip(SIDES.values(), self.market.levels(), strict=True):
            by_side[side].sort(key=lambda order: order[0], reverse=side is Side.BUY)
            assert levels == _levels(by_side[side])
        return [
            _order(LETTERS[side], name, price, leaves)
            for side, orders in by_side.items()
            for price, name, leaves in orders
        ]


def _fills(trades: list[OracleTrade]) -> list[str]:
    return [f"fill {trade.maker.name} {trade.quantity}@{trade.price}" for trade in trades]


def _end(name: int, response: OrderResponse) -> list[str]:
    """Say that an order ended otherwise than filled."""
    assert response.status != OrderStatus.REJECTED
    return [f"cancel {name}"] if response.status == OrderStatus.CANCELED else []


def _levels(orders: list[tuple[int, int, int]]) -> list[BookLevel]:
    """Add up orders, which come by price."""
    levels = []
    for price, group in groupby(orders, key=lambda order: order[0]):
        sizes = [leaves for _, _, leaves in group]
        levels.append((price, sum(sizes), len(sizes)))
    return levels


def _end_of_stop(reports: list[Reply], order_id: int, name: int) -> list[str]:
    """Return what a stop that fired at once came to; here it never finds anything."""
    of_it = [report for report in reports if isinstance(report, OrderReport)]
    assert len(of_it) == len(reports)
    assert {report.order_id for report in of_it} == {order_id}
    new, triggered, canceled = of_it
    assert new.exec_type == ExecType.NEW
    assert triggered.exec_type == ExecType.TRIGGERED
    assert canceled.exec_type == ExecType.CANCELED
    assert canceled.reason == CancelReason.NO_LIQUIDITY
    return [f"cancel {name}"]
