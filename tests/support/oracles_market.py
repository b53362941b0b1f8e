"""What the adapters of all oracles share: one pair on a new core, traders by their names.

Owns the mapping between an oracle's own names of traders and orders and the core's ids, and the
verdict on a case. One OracleMarket per case. Relies on core_driver.py, so all goes through bytes.
An adapter turns a case into orders here and compares what came out with what the case says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from hpe.protocol.codes import RejectReason
from hpe.protocol.enums import OrderStatus, Side, TimeInForce
from hpe.protocol.market_data import BookLevel
from hpe.protocol.orders import ListOrders, OrderResponse, OrderRow, OrdersReply
from tests.support.core_driver import CoreFactory, Venue, VenueClient

Case = dict[str, Any]
"""One line of an oracle's file."""

SIDES: Final = {"B": Side.BUY, "S": Side.SELL}
LETTERS: Final = {side: letter for letter, side in SIDES.items()}

PLENTY: Final = 2**50
"""What a trader has of either asset: no case is about money."""


class CaseVerdict(NamedTuple):
    """How a case went.

    `outcome` says what it was compared with: SAME, DERIVED or `differs: <convention>`.
    `differences` lists where the core did something other than that: none is right.
    """

    outcome: str
    differences: list[str]


SAME: Final = "same"
"""The core gives what the oracle's authors published."""

DERIVED: Final = "same as derived"
"""The core gives what was derived from the oracle's rules, where nothing was published."""

Adapter = Callable[[Case, CoreFactory], CaseVerdict]


def differs(convention: str) -> str:
    """Name the convention by which the oracle does otherwise than the core must."""
    return f"differs: {convention}"


def compared(found: list[Any], expected: list[Any]) -> list[str]:
    """Compare two lists entry by entry; no difference gives []."""
    differences = [
        f"entry {number}: {got}, expected {wanted}"
        for number, (got, wanted) in enumerate(zip(found, expected, strict=False), 1)
        if got != wanted
    ]
    if len(found) != len(expected):
        differences.append(f"{len(found)} entries, expected {len(expected)}: {found}")
    return differences


class Placed(NamedTuple):
    """An order in the oracle's words."""

    trader: object
    name: int
    side: Side


class OracleTrade(NamedTuple):
    """One trade in the oracle's words."""

    taker: Placed
    maker: Placed
    quantity: int
    price: int


class OracleMarket:
    """A pair, its traders, and every order by the name that the oracle gave it."""

    def __init__(self, new_core: CoreFactory) -> None:
        self.venue = Venue(new_core)
        self._clients: dict[object, VenueClient] = {}
        self._placed: dict[int, Placed] = {}
        self.owner = self.venue.attach(user=1)
        self.instrument = self.owner.list_pair()

    def client(self, trader: object) -> VenueClient:
        """Return a trader's connection; whoever is new gets plenty of both assets."""
        if trader not in self._clients:
            client = self.venue.attach(user=2 + len(self._clients))
            for asset in (1, 2):
                client.deposit(asset, PLENTY)
            self._clients[trader] = client
        return self._clients[trader]

    def submit(
        self,
        placed: Placed,
        price: int,
        quantity: int,
        tif: TimeInForce = TimeInForce.GTC,
        *,
        post_only: bool = False,
    ) -> tuple[OrderResponse, list[OracleTrade]]:
        """Submit an order: at a limit, or at market for price 0."""
        client = self.client(placed.trader)
        response = client.submit(
            placed.side,
            price,
            quantity,
            tif,
            instrument=self.instrument,
            client_order_id=placed.name,
            post_only=post_only,
        )
        return response, self.trades_of(placed, response)

    def cancel(self, trader: object, name: int) -> bool:
        """Cancel an order; False when there is none open of that name."""
        response = self.client(trader).cancel(client_order_id=name)
        assert response.reason != RejectReason.NOT_TRADING
        return response.status != OrderStatus.REJECTED

    def trades_of(self, placed: Placed, response: OrderResponse) -> list[OracleTrade]:
        """Read the trades that came before a response to this order's command."""
        if response.status == OrderStatus.REJECTED:
            return []
        self._placed[response.order_id] = placed
        fills = self.client(placed.trader).fills
        return [
            OracleTrade(
                placed, self._placed[fill.contra_order_id], fill.last_quantity, fill.last_price
            )
            for fill in fills
            if fill.order_id == response.order_id
        ]

    def levels(self) -> tuple[list[BookLevel], list[BookLevel]]:
        """Return the bids and the asks, best first."""
        book = self.owner.book(self.instrument)
        return book.bids, book.asks

    def open_orders(self) -> list[tuple[Placed, OrderRow]]:
        """Return all open orders, those of one trader in the order of their ids."""
        orders = []
        for client in self._clients.values():
            ask = ListOrders(client.next_query_id(), self.instrument)
            orders += client.get(OrdersReply, ask).rows
        return [(self._placed[row.order_id], row) for row in orders]

    def check(self) -> None:
        """Check the core, its log and its dump."""
        self.venue.check()
