"""Execute the lines of a table on a venue with one market; users and orders have names.

One Player per table. table.py describes what a line means, outcomes.py writes its outcome. Every
order report that a user's command caused must also have come on the user's connection, before the
response; and what a response says about its order, the user's stream must say, too.
"""

from __future__ import annotations

from typing import Any, Final

from hpe.protocol.codes import CancelReason
from hpe.protocol.enums import ExecType, InstrumentStatus, OrderStatus, Side
from hpe.protocol.limits import HOUSE_USER
from hpe.protocol.listings import AddAsset, AddInstrument, GetInstrument, InstrumentReply
from hpe.protocol.money import (
    CaptureHold,
    Deposit,
    HoldResponse,
    HoldsReply,
    ListHolds,
    LockBalance,
    LockResponse,
    ReleaseHold,
    Transfer,
    UnlockBalance,
    Withdraw,
)
from hpe.protocol.operations import (
    BlockUser,
    BlockUserResponse,
    SetFees,
    SetFeesResponse,
    SetStatus,
    SetStatusResponse,
    Uncross,
    UncrossResponse,
)
from hpe.protocol.orders import (
    GetOrder,
    ListOrders,
    MassCancel,
    MassCancelResponse,
    OcoResponse,
    OrderReply,
    OrderResponse,
    OrdersReply,
)
from hpe.protocol.reports import (
    BalanceReport,
    ExecutionReport,
    HoldReport,
    OrderReport,
    PrivateReport,
)
from tests.scenarios import outcomes
from tests.scenarios.phrases import SIDES, UNIT_NS, order_of, pair_of, policy_of, read
from tests.support.core_driver import Venue, VenueClient

_MOVEMENTS: Final = {
    "deposits": Deposit,
    "withdraws": Withdraw,
    "locks": LockBalance,
    "unlocks": UnlockBalance,
}
_SIDES_OF_ALL: Final = {"buys": Side.BUY, "sells": Side.SELL}
_OPERATOR: Final = 1_000


class Player:
    """One venue; the market opens at the first line that needs it."""

    def __init__(self, venue: Venue, limits: dict[str, Any]) -> None:
        self.venue = venue
        self.limits = dict(limits)
        self.users: dict[str, VenueClient] = {}
        self.labels: outcomes.Labels = {}
        self.heard: dict[int, int] = {}  # user -> private reports that it heard or skipped
        self.answered: set[tuple[int, int]] = set()  # user, number of reports beside a response
        self.operator = venue.attach(_OPERATOR)
        self.assets: dict[str, int] = {}
        self.markets: dict[str, int] = {}
        for symbol in ("BTC", "USD"):
            self.add_asset(symbol)

    # --- names ----------------------------------------------------------------------------------

    def add_asset(self, symbol: str) -> None:
        """List an asset."""
        command = AddAsset(self.operator.next_id(), symbol, 0)
        self.assets[symbol] = self.operator.get_id(command)

    def market(self, symbol: str = "BTC/USD") -> int:
        """Return a market's id, opening it on first sight."""
        if symbol not in self.markets:
            base, quote = (self.assets[name] for name in symbol.split("/"))
            command = AddInstrument(self.operator.next_id(), symbol, base, quote, **self.limits)
            self.markets[symbol] = self.operator.get_id(command)
        return self.markets[symbol]

    def user(self, name: str) -> VenueClient:
        """Return a user's connection, opening it on first sight."""
        if name == "operator":
            return self.operator
        if name not in self.users:
            self.users[name] = self.venue.attach(len(self.users) + 1)
        return self.users[name]

    def number(self, said: dict[str, Any], word: str = "user") -> int:
        """Return the number of the user that was named, 0 for none."""
        if said.get(word) == "house":
            return HOUSE_USER
        return self.user(said[word]).user if word in said else 0

    def order_id(self, label: str) -> int:
        """Return the newest order with a label."""
        return max(order_id for order_id, known in self.labels.items() if known == label)

    # --- lines ----------------------------------------------------------------------------------

    def play(self, line: str) -> str:
        """Carry out one line; the result is the line as it came out."""
        action, bar, _ = line.partition(" |")
        words = action.split()
        if bar:
            self.market()
            return f"{action} | {self.outcome(*words)}"
        self.prepare(words)
        return line

    def prepare(self, words: list[str]) -> None:
        """Set up what a line without an outcome says."""
        match words:
            case ["time", "is", number]:
                self.venue.pass_time(int(number) * UNIT_NS - self.venue.time_ns)
            case ["next", "line", "at", number]:
                self.market()  # else its opening would be what happens then
                self.venue.time_ns = int(number) * UNIT_NS - 1
            case ["given", "market", symbol]:
                self.market()
                self.add_asset(symbol.split("/")[0])
                self.market(symbol)
            case ["given", "fees" | "band" | "self-trade", *_]:
                assert not self.markets, "the market has opened"
                self.limits |= _limits_of(words[1:])
            case ["given", name, "fees", *rates]:
                self.market()
                assert self.set_fees(self.operator, [*rates, "of", name]) == "done"
            case ["given", name, *amounts]:
                for amount, asset in zip(amounts[::2], amounts[1::2], strict=True):
                    self.user(name).deposit(self.assets[asset.rstrip(",")], int(amount))
            case _:
                raise AssertionError(f"a line without an outcome: {' '.join(words)}")

    def outcome(self, name: str, verb: str = "", *rest: str) -> str:
        """Carry out an action and describe what came of it."""
        words = list(rest)
        if name == "book":
            return outcomes.book(self.operator.book(self.market()))
        if name == "market" or name in self.markets:
            symbol = "BTC/USD" if name == "market" else name
            return self.of_market(self.market(symbol), verb, words)
        user = self.user(name) if name != "house" else self.operator
        if not verb:
            number = HOUSE_USER if name == "house" else user.user
            return ", ".join(self.account(number, asset) for asset in ("USD", "BTC"))
        if verb in SIDES:
            return self.submit(user, SIDES[verb], words)
        if verb in _MOVEMENTS or verb in _MONEY:
            return self.move(user, verb, words)
        return _VERBS[verb](self, user, words)

    # --- orders ---------------------------------------------------------------------------------

    def submit(self, user: VenueClient, side: Side, words: list[str]) -> str:
        """Submit an order, or a pair of which one cancels the other."""
        said = read(words)
        instrument = self.market(said.get("market", "BTC/USD"))
        if "or" in words:
            pair = user.get(OcoResponse, pair_of(user.next_id(), instrument, side, said))
            assert not self.reports(user, pair.request_id)
            if pair.reason:
                return f"rejected {outcomes.reject(pair.reason)}"
            for word, order_id in (
                ("label", pair.limit_order_id),
                ("second_label", pair.stop_order_id),
            ):
                self.labels[order_id] = said[word]
                assert self.told(user, pair.sequence, order_id)[0].exec_type == ExecType.NEW
            return "new"
        response = user.get(OrderResponse, order_of(user.next_id(), instrument, side, said))
        if "label" in said and response.order_id:
            self.labels[response.order_id] = said["label"]
        return self.of_order(user, response, ExecType.NEW)

    def cancel(self, user: VenueClient, words: list[str]) -> str:
        """Cancel one order, or `all`."""
        if words[0] == "all":
            return self.mass_cancel(user, words[1:])
        return self.of_order(user, user.cancel(self.order_id(words[0])))

    def mass_cancel(self, user: VenueClient, words: list[str]) -> str:
        """Cancel many orders."""
        said = read(words)
        everybody = said.get("of") == "everybody"
        response = user.get(
            MassCancelResponse,
            MassCancel(
                user.next_id(),
                self.market(said["market"]) if "market" in said else 0,
                next((side for word, side in _SIDES_OF_ALL.items() if word in said), 0),
                0 if everybody else self.number(said, "of"),
                everybody,
            ),
        )
        if response.reason:
            return f"rejected {outcomes.reject(response.reason)}"
        assert not response.remaining
        owner = self.user(said["of"]) if "of" in said and not everybody else user
        reports = self.reports(user, response.request_id, owner)
        return outcomes.with_reports(f"{response.canceled} canceled", reports, self.labels)

    def replace(self, user: VenueClient, words: list[str]) -> str:
        """Change an order."""
        fields = ("leaves_quantity", "quantity", "price", "stop_price", "requeue")
        said = read(words[1:])
        changes = {name: value for name, value in said.items() if name in fields}
        if "until" in said:
            changes["expires_ns"] = said["until"] * UNIT_NS
        response = user.replace(self.order_id(words[0]), **changes)
        away = response.reason == CancelReason.REPLACED_AWAY
        return self.of_order(user, response, None if away else ExecType.REPLACED)

    def of_order(
        self, user: VenueClient, response: OrderResponse, begun: ExecType | None = None
    ) -> str:
        """Describe the response to a command about an order, which `begun` tells first of it."""
        if response.status != OrderStatus.REJECTED:
            told = self.told(user, response.sequence, response.order_id)
            assert begun is None or told[0].exec_type == begun
            if response.status == OrderStatus.CANCELED:
                ended = (told[-1].exec_type, told[-1].reason, told[-1].cum, told[-1].canceled)
                said = (response.reason, response.cum, response.canceled)
                assert ended == (ExecType.CANCELED, *said)
                self.answered.add((user.user, told[-1].private_sequence))
        return outcomes.order(response, self.reports(user, response.request_id), self.labels)

    def told(self, user: VenueClient, sequence: int, order_id: int) -> list[Any]:
        """Return what a user's stream says of an order in a command."""
        stream = self.venue.private.get(user.user, [])
        return [
            report
            for report in stream
            if isinstance(report, OrderReport | ExecutionReport)
            and (report.sequence, report.order_id) == (sequence, order_id)
        ]

    def reports(
        self, user: VenueClient, request_id: int, owner: VenueClient | None = None
    ) -> list[PrivateReport]:
        """Return what a command reported to whom it acted for, as it came on both ways."""
        owner = owner or user
        stream = self.venue.private.get(owner.user, [])
        caused = [report for report in stream if report.request_id == request_id]
        if owner is user:
            self.answered |= {(user.user, report.private_sequence) for report in caused}
        assert caused == sorted(
            [*user.fills, *user.events], key=lambda report: report.private_sequence
        )
        return caused

    def hear(self, user: VenueClient, words: list[str]) -> str:
        """Describe what a user received unasked since it last heard."""
        stream = self.venue.private.get(user.user, [])
        fresh = stream[self.heard.get(user.user, 0) :]
        self.heard[user.user] = len(stream)
        said = [
            outcomes.heard(report, self.labels) for report in fresh if self.is_news(user, report)
        ]
        return ", ".join(said) or "-"

    def is_news(self, user: VenueClient, report: PrivateReport) -> bool:
        """True if a report tells a user what no response told it."""
        if isinstance(report, HoldReport | BalanceReport):
            return False
        by_command = (ExecType.NEW, ExecType.REPLACED)
        if isinstance(report, OrderReport) and report.exec_type in by_command:
            return False
        return (user.user, report.private_sequence) not in self.answered

    def ask(self, user: VenueClient, words: list[str]) -> str:
        """Describe an order, open or ended."""
        query = GetOrder(user.next_query_id(), self.order_id(words[0]))
        row = user.get(OrderReply, query).order
        return outcomes.ended_or_open(row) if row is not None else "unknown"

    def list_orders(self, user: VenueClient, words: list[str]) -> str:
        """Describe a user's open orders."""
        rows = user.get(OrdersReply, ListOrders(user.next_query_id())).rows
        return ", ".join(outcomes.open_order(row, self.labels) for row in rows) or "-"

    # --- money ----------------------------------------------------------------------------------

    def account(self, number: int, asset: str) -> str:
        """Describe one account."""
        reply = self.operator.balance(self.assets[asset], number)
        assert reply.locked == reply.reserved + reply.held
        return f"{reply.available}+{reply.locked} {asset}"

    def move(self, user: VenueClient, verb: str, words: list[str]) -> str:
        """Carry out a movement of money."""
        if verb == "holds" and not words:
            rows = user.get(HoldsReply, ListHolds(user.next_query_id())).rows
            return ", ".join(map(self.hold, rows)) or "-"
        said = read(words)
        owner = self.number(said)
        if verb in ("captures", "releases"):
            return self.pay_out(user, verb, said, owner)
        asset, amount = self.assets[words[1]], said["quantity"]
        command: Any
        if verb == "transfers":
            to_user = self.number(said, "to")
            command = Transfer(user.next_id(), asset, amount, to_user, owner)
        elif verb == "holds":
            expires_ns = said.get("until", 0) * UNIT_NS
            command = LockBalance(user.next_id(), asset, amount, owner, said["hold_id"], expires_ns)
        else:
            command = _MOVEMENTS[verb](user.next_id(), asset, amount, owner)
        response = user.ask(command)
        assert isinstance(response, LockResponse)
        return outcomes.done_or(response.reason)

    def pay_out(self, user: VenueClient, verb: str, said: dict[str, Any], owner: int) -> str:
        """Capture or release part of a named hold."""
        hold_id, amount = int(said["of"]), said.get("quantity", 0)
        command: Any
        if verb == "captures":
            to_user = self.number(said, "to")
            command = CaptureHold(user.next_id(), hold_id, amount, to_user, owner)
        else:
            command = ReleaseHold(user.next_id(), hold_id, amount, owner)
        response = user.ask(command)
        assert isinstance(response, HoldResponse)
        return outcomes.reject(response.reason) if response.reason else f"{response.remaining} left"

    def hold(self, row: tuple[int, int, int, int]) -> str:
        """Describe a named hold."""
        hold_id, asset, amount, expires_ns = row
        symbol = next(name for name, known in self.assets.items() if known == asset)
        until = f" until {expires_ns // UNIT_NS}" if expires_ns else ""
        return f"{amount} {symbol} under {hold_id}{until}"

    # --- the market -----------------------------------------------------------------------------

    def of_market(self, instrument: int, verb: str, words: list[str]) -> str:
        """Ask for, or set, what a market does."""
        operator = self.operator
        if not verb:
            query = GetInstrument(operator.next_query_id(), instrument)
            return outcomes.market(operator.get(InstrumentReply, query))
        status = InstrumentStatus[words[-1].upper()] if words else InstrumentStatus.TRADING
        if verb == "becomes":
            command = SetStatus(operator.next_id(), instrument, status)
            changed = operator.get(SetStatusResponse, command)
            text = f"rejected {outcomes.reject(changed.reason)}, " if changed.reason else ""
            return text + InstrumentStatus(changed.status).name.lower()
        assert verb == "uncrosses"
        ended = operator.get(UncrossResponse, Uncross(operator.next_id(), instrument, status))
        if ended.reason:
            return f"rejected {outcomes.reject(ended.reason)}"
        return f"{ended.volume}@{ended.price}" if ended.volume else "nothing"

    def block(self, user: VenueClient, words: list[str]) -> str:
        """Stop a user's new orders."""
        return self.set_blocked(user, words[0], True)

    def unblock(self, user: VenueClient, words: list[str]) -> str:
        """Allow a user's new orders again."""
        return self.set_blocked(user, words[0], False)

    def set_blocked(self, user: VenueClient, name: str, blocked: bool) -> str:
        """Turn the kill switch of a user."""
        command = BlockUser(user.next_id(), self.user(name).user, blocked)
        return f"{user.get(BlockUserResponse, command).open_orders} open orders"

    def set_fees(self, user: VenueClient, words: list[str]) -> str:
        """Set the market's rates or a user's own; without rates take the latter away."""
        said = read(words)
        rates = said.get("maker_fee_ppm"), said.get("taker_fee_ppm")
        command = SetFees(user.next_id(), self.market(), *rates, self.number(said, "of"))
        return outcomes.done_or(user.get(SetFeesResponse, command).reason)


_MONEY: Final = ("transfers", "holds", "captures", "releases")
_VERBS: Final = {
    "cancels": Player.cancel,
    "replaces": Player.replace,
    "hears": Player.hear,
    "asks": Player.ask,
    "orders": Player.list_orders,
    "blocks": Player.block,
    "unblocks": Player.unblock,
    "sets": Player.set_fees,
    "removes": Player.set_fees,
}


def _limits_of(words: list[str]) -> dict[str, Any]:
    """Return the fields of the instrument that a `given` line sets."""
    said = read(words)
    if "self_trade" in said:
        return {"self_trade": policy_of(said)}
    if said.pop("interrupts", False):
        said["volatility_interruption"] = True
    return said
