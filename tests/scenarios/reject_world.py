"""The small world in which rejects are tested, and what can be done to it.

A Base is a valid command in a World; a RejectCause makes one reason to reject it apply, by fields
of the command, by something that happens before, or both. Causes are chosen so that any two of a
base can be put together: where two set the same field, the value of the earlier one makes the later
one apply as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from hpe.protocol.base import Request
from hpe.protocol.enums import InstrumentStatus, Side
from hpe.protocol.listings import AddAsset, AddInstrument
from hpe.protocol.money import LockBalance, Withdraw
from hpe.protocol.operations import BlockUser, SetStatus
from hpe.protocol.orders import OrderTerms, SubmitOrder
from tests.support.core_driver import Venue, VenueClient

BTC: Final = 1
USD: Final = 2
MARKET: Final = 1
NONE_SUCH: Final = 999
TOO_MUCH: Final = 10**9
LATER_NS: Final = 10**15
NEWCOMER: Final = 99
NEW_ASSET, NEW_MARKET = 3, 2
WITHOUT_MONEY: Final = 5
ANNS_ID: Final = 7
"""A client order id, and the id of a hold."""


class World:
    """A market with bounds (band 80-120 around 100) and three users who have money."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.settings: dict[str, Any] = {}
        self.ann, self.ben, self.cat, self.operator = (venue.attach(user) for user in (1, 2, 3, 4))
        for symbol in ("BTC", "USD"):
            self.ask(AddAsset, symbol=symbol, decimals=0)
        self.markets: list[int] = []
        self.list_market("BTC/USD", BTC)
        for client in (self.ann, self.ben, self.cat):
            client.deposit(USD, 10_000)
            client.deposit(BTC, 100)

    def ask(self, message: type[Request], **fields: Any) -> Any:
        """Send an operator's command, which must be accepted."""
        reply = self.operator.ask(message(self.operator.next_id(), **fields))
        assert getattr(reply, "reason", None) == 0, reply
        return reply

    def set(self, **settings: Any) -> None:
        """Change settings; those that were changed before stay so."""
        self.settings |= settings
        self.venue.configure(**self.settings)

    def list_market(self, symbol: str, base: int) -> None:
        """List a pair with the bounds of this world."""
        limits = {"price_min": 50, "price_max": 150, "quantity_min": 2, "quantity_max": 20}
        limits |= {"notional_min": 100, "notional_max": 1500}
        limits |= {"band_ppm": 200_000, "reference_price": 100}
        reply = self.ask(AddInstrument, symbol=symbol, base=base, quote=USD, **limits)
        self.markets.append(reply.id)

    def order(
        self, client: VenueClient, side: Side, price: int, quantity: int, client_id: int = 0
    ) -> None:
        """Submit an order, which must be accepted."""
        response = client.submit(side, price, quantity, client_order_id=client_id)
        assert response.order_id, response


Step = Callable[[World], object]


def nothing(world: World) -> None:
    """Leave the world as it is."""


class RejectCause(NamedTuple):
    """What makes one reason apply: fields, and steps; `closing` ones let no others come after."""

    before: Step
    closing: Step
    fields: dict[str, Any]


class Base(NamedTuple):
    """A command that is accepted, and its faults in the order of precedence."""

    command: str
    kind: str
    message: type[Request]
    fields: dict[str, Any]
    faults: dict[str, RejectCause]
    before: Step = nothing


def fault(before: Step = nothing, **fields: Any) -> RejectCause:
    """Make a fault of a step and fields of the command."""
    return RejectCause(before, nothing, fields)


def closing(step: Step) -> RejectCause:
    """Make a fault of a step after which the other faults' steps could not be done."""
    return RejectCause(nothing, step, {})


def message_of(base: Base, request_id: int, changes: dict[str, Any]) -> Request:
    """Make a command; fields of OrderTerms are given beside the command's own."""
    fields = base.fields | changes
    if base.message is SubmitOrder:
        terms = {name: fields.pop(name) for name in OrderTerms.__struct_fields__ if name in fields}
        fields["terms"] = OrderTerms(**terms)
    return base.message(request_id, **fields)


def status(new: InstrumentStatus) -> Step:
    """Set the status of every market."""

    def change(world: World) -> None:
        for market in world.markets:
            world.ask(SetStatus, instrument=market, status=new)

    return change


def block_ann(world: World) -> None:
    """Turn on the kill switch for ann."""
    world.ask(BlockUser, user=world.ann.user, blocked=True)


def block_newcomer(world: World) -> None:
    """Turn it on for somebody new, who is a user by that."""
    world.ask(BlockUser, user=NEWCOMER, blocked=True)


def take_all(asset: int) -> Step:
    """Leave ann nothing available of an asset."""

    def take(world: World) -> None:
        available = world.ann.money(asset)[0]
        world.ask(Withdraw, asset=asset, amount=available, user=world.ann.user)

    return take


def anns_order(side: Side, price: int, client_id: int = 0) -> Step:
    """Let an order of ann's rest that pays with what the base does not need."""
    return lambda world: world.order(world.ann, side, price, 2, client_id)


def too_little_room(side: Side, price: int, **room: int) -> Step:
    """Let ann have an open order and set a bound of open orders."""

    def fill(world: World) -> None:
        world.order(world.ann, side, price, 2)
        world.set(**room)

    return fill


def bens_order(side: Side, price: int) -> Step:
    """Let an order of ben's rest."""
    return lambda world: world.order(world.ben, side, price, 5)


def trade_at_100(world: World) -> None:
    """Let there be a last price of 100."""
    world.order(world.ben, Side.BUY, 100, 2)
    world.order(world.cat, Side.SELL, 100, 2)


def a_trade_in_one_of_two_markets(world: World) -> None:
    """Let the first market have a last price and the second none."""
    trade_at_100(world)
    world.list_market("BTC/USD.2", BTC)


def hold_of_ann(world: World) -> None:
    """Let ann have a hold of 10 USD."""
    world.ask(LockBalance, asset=USD, amount=10, user=world.ann.user, hold_id=ANNS_ID)


def no_more(setting: str, listing: type[Request]) -> Step:
    """Let a limit be what is there already."""

    def lower(world: World) -> None:
        listed: Any = world.ann.ask(listing(1))
        world.set(**{setting: max(len(listed.rows), 1)})

    return lower


def a_hold_is_all(world: World) -> None:
    """Let there be one hold of ann's and room for no other."""
    world.ask(LockBalance, asset=USD, amount=1, user=world.ann.user, hold_id=ANNS_ID + 1)
    world.set(holds_max=1)


def a_market_of_something_new(world: World) -> None:
    """List an asset of which nobody has an account, and a market of it."""
    world.ask(AddAsset, symbol="ETH", decimals=0)
    world.list_market("ETH/USD", NEW_ASSET)


def an_asset_that_nothing_uses(world: World) -> None:
    """List an asset of which there is no market and no account."""
    world.ask(AddAsset, symbol="ETH", decimals=0)


def a_user_without_accounts(world: World) -> None:
    """Let there be a user who has no account."""
    world.ask(BlockUser, user=WITHOUT_MONEY, blocked=True)


def no_more_users(**fields: Any) -> RejectCause:
    """Let the three users of this world be all, and name another one."""
    return RejectCause(nothing, lambda world: world.set(users_max=3), fields)


def no_more_accounts(before: Step = a_market_of_something_new, **fields: Any) -> RejectCause:
    """Let their accounts be all, and need another one."""
    return RejectCause(before, lambda world: world.set(accounts_max=6), fields)


def symbols_taken(world: World) -> None:
    """List pairs under the symbols that resolve_instrument would give."""
    for symbol in ("NEW/ONE", "ONE/ONE"):
        world.ask(AddInstrument, symbol=symbol, base=BTC, quote=USD)


def auto_create(on: bool) -> Step:
    """Let the service create what is missing, or not."""
    return lambda world: world.set(auto_create=on)


ONLY_CANCELS: Final = closing(status(InstrumentStatus.CANCEL_ONLY))
HALTED: Final = closing(status(InstrumentStatus.HALTED))
CALL: Final = closing(status(InstrumentStatus.CALL_AUCTION))
BLOCKED: Final = RejectCause(block_newcomer, block_ann, {})
NO_MARKET: Final = fault(instrument=NONE_SUCH)
NO_ASSET: Final = fault(asset=NONE_SUCH)
