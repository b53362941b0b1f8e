"""Tables that a trader can read: what each line does stands left of `|`, what comes of it right.

    given alice 500 USD, 2 BTC
    bob sells 5 @ 100 as b1        | new 0/5
    alice buys 3 @ 105             | filled 3/3: 3@100 b1
    book                           | bids - asks 2@100
    alice                          | 200+0 USD, 5+0 BTC

An order's outcome is its status (and reason), done/total, then its fills as quantity@price and
the label of the resting order. A balance is available+locked. `play` carries a table out on a
core and writes it down anew as it really came out, so a wrong line is a readable difference.
One table per test; it relies on core_driver.py.

Lines: `given USER AMOUNT ASSET, ...` / `USER buys|sells QUANTITY @ PRICE|at market [ioc|fok]
[post-only] [as LABEL]` / `USER cancels LABEL` / `USER replaces LABEL open|total QUANTITY
[@ PRICE] [requeue]` / `USER deposits|withdraws|locks|unlocks AMOUNT ASSET` / `book` / `USER`.
"""

from __future__ import annotations

import re

from hpe.messages import (
    AddAsset,
    AddInstrument,
    CancelReason,
    Deposit,
    LockBalance,
    LockResponse,
    OrderResponse,
    OrderStatus,
    RejectReason,
    Side,
    TimeInForce,
    UnlockBalance,
    Withdraw,
)
from tests.support.core_driver import Client, Venue

ASSETS = {"BTC": 1, "USD": 2}
MOVEMENTS = {
    "deposits": Deposit,
    "withdraws": Withdraw,
    "locks": LockBalance,
    "unlocks": UnlockBalance,
}
SIDES = {"buys": Side.BUY, "sells": Side.SELL}
TIMES = {"ioc": TimeInForce.IOC, "fok": TimeInForce.FOK}


def play(venue: Venue, table: str, **limits: int) -> str:
    """Carry a table out and give it as it came out; `limits` are fields of the instrument."""
    return "\n".join(map(Player(venue, limits).play, lines_of(table)))


def lines_of(table: str) -> list[str]:
    """Give the lines of a table with blanks made even."""
    lines = (re.sub(r"\s+", " ", line.strip()) for line in table.splitlines())
    return [line for line in lines if line]


def normal(table: str) -> str:
    """Give a table as `play` writes it."""
    return "\n".join(lines_of(table))


class Player:
    """One venue with one market; users and orders by name."""

    def __init__(self, venue: Venue, limits: dict[str, int]) -> None:
        self.venue = venue
        self.users: dict[str, Client] = {}
        self.orders: dict[str, int] = {}
        lister = venue.attach(1_000)
        for symbol in ASSETS:
            lister.get_id(AddAsset(lister.next_id(), symbol, 0))
        lister.get_id(AddInstrument(lister.next_id(), "BTC/USD", 1, 2, **limits))

    def user(self, name: str) -> Client:
        """Give a user's connection, opening it on first sight."""
        if name not in self.users:
            self.users[name] = self.venue.attach(len(self.users) + 1)
        return self.users[name]

    def play(self, line: str) -> str:
        """Carry out one line; the result is the line as it came out."""
        action, bar, _ = line.partition(" | ")
        if not bar:
            self.give(*action.split(maxsplit=2))
            return action
        return f"{action} | {self.outcome(*action.split())}"

    def give(self, given: str, name: str, amounts: str) -> None:
        """Pay in at the beginning."""
        assert given == "given"
        for part in amounts.split(", "):
            amount, asset = part.split()
            self.user(name).deposit(ASSETS[asset], int(amount))

    def outcome(self, name: str, verb: str = "", *words: str) -> str:
        """Carry out an action and describe what came of it."""
        if name == "book":
            return self.book()
        user = self.user(name)
        if not verb:
            return ", ".join(self.account(user, asset) for asset in ("USD", "BTC"))
        if verb in SIDES:
            return self.submit(user, SIDES[verb], list(words))
        if verb == "cancels":
            return self.order_outcome(user, user.cancel(self.orders[words[0]]))
        if verb == "replaces":
            return self.replace(user, list(words))
        command = MOVEMENTS[verb](user.next_id(), ASSETS[words[1]], int(words[0]))
        response = user.ask(command)
        assert isinstance(response, LockResponse)
        return RejectReason(response.reason).name.lower() if response.reason else "done"

    def submit(self, user: Client, side: Side, words: list[str]) -> str:
        """`QUANTITY @ PRICE ...` or `QUANTITY at market ...`."""
        price = 0 if words[2] == "market" else int(words[2])
        tifs = [TIMES[word] for word in words if word in TIMES]
        tif = tifs[0] if tifs else TimeInForce.GTC if price else TimeInForce.IOC
        post_only = "post-only" in words
        response = user.submit(side, price, int(words[0]), tif, post_only=post_only)
        if "as" in words:
            self.orders[words[words.index("as") + 1]] = response.order_id
        return self.order_outcome(user, response)

    def replace(self, user: Client, words: list[str]) -> str:
        """`LABEL open|total QUANTITY [@ PRICE] [requeue]`."""
        field = {"open": "leaves_quantity", "total": "quantity"}[words[1]]
        price = int(words[words.index("@") + 1]) if "@" in words else None
        changes = {field: int(words[2]), "price": price, "requeue": "requeue" in words}
        return self.order_outcome(user, user.replace(self.orders[words[0]], **changes))

    def order_outcome(self, user: Client, response: OrderResponse) -> str:
        """Describe an order response and the fills before it."""
        if response.status == OrderStatus.REJECTED:
            return f"rejected {RejectReason(response.reason).name.lower()}"
        status = OrderStatus(response.status).name.lower()
        reason = f" {CancelReason(response.reason).name.lower()}" if response.reason else ""
        total = response.leaves + response.cum + response.canceled
        labels = {order_id: label for label, order_id in self.orders.items()}
        fills = [
            f"{fill.last_quantity}@{fill.last_price} {labels.get(fill.contra_order_id, '?')}"
            for fill in user.fills
        ]
        assert len(fills) == response.fill_count
        done = f"{status}{reason} {response.cum}/{total}"
        return f"{done}: {', '.join(fills)}" if fills else done

    def book(self) -> str:
        """Describe both sides, best first."""
        book = next(iter(self.users.values())).book()
        sides = [
            " ".join(f"{quantity}@{price}" for price, quantity, _ in levels) or "-"
            for levels in (book.bids, book.asks)
        ]
        return f"bids {sides[0]} asks {sides[1]}"

    def account(self, user: Client, asset: str) -> str:
        """Describe one account."""
        available, reserved, held = user.money(ASSETS[asset])
        return f"{available}+{reserved + held} {asset}"
