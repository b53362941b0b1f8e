"""What a caller passes: integers of any kind go, all else is refused by the argument's name."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import inspect

from hpe.client.arguments import checked, flag, integer, seconds
from hpe.client.client import connect
from hpe.client.options import check_options
from hpe.client.sync import connect_sync
from hpe.protocol.enums import OrderType, Side, TimeInForce
from hpe.protocol.limits import INT_MAX
from hpe.protocol.money import Deposit, LockBalance
from hpe.protocol.operations import BlockUser
from hpe.protocol.orders import MassCancel, OrderTerms, ReplaceOrder, SubmitOrder
from hpe.protocol.registry import COMMANDS, QUERIES
from tests.support.core_peer import CorePeer, market, served


class Int64:
    """An integer that is none of Python's, as numpy's are."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


def order(**fields: Any) -> SubmitOrder:
    ordinary = {"price": 5, "quantity": 7, "order_type": OrderType.LIMIT, "side": Side.BUY}
    ordinary |= {"time_in_force": TimeInForce.GTC, "instrument": 1, "client_order_id": 0}
    return SubmitOrder(0, **{**ordinary, **fields})  # type: ignore[arg-type]  # some are wrong


def test_what_is_right_is_not_copied() -> None:
    request = order(terms=OrderTerms(3))
    assert checked(request) is request


def test_anything_with_an_index_is_an_integer() -> None:
    terms: Any = OrderTerms(Int64(3))  # type: ignore[arg-type]  # wrong on purpose
    request = checked(order(price=Int64(9), side=Int64(1), terms=terms))
    assert (request.price, request.side, request.terms) == (9, Side.BUY, OrderTerms(3))
    assert {type(request.price), type(request.terms.stop_price)} == {int}  # type: ignore[union-attr]  # has terms


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (order(price=2**64), f"price: found {2**64}, allowed 0 to {INT_MAX}"),
        (order(quantity=-1), f"quantity: found -1, allowed 0 to {INT_MAX}"),
        (order(price=1.0), "price: found float 1.0, allowed an integer"),
        (order(price=True), "price: found bool True, allowed an integer"),
        (order(price="5"), "price: found str '5', allowed an integer"),
        (order(side="buy"), r"side: found str 'buy', allowed buy \(1\), sell \(2\)"),
        (order(side=3), r"side: found int 3, allowed buy \(1\), sell \(2\)"),
        (order(terms=OrderTerms(expires_ns=1.5e18)), "expires_ns: found float 1.5e"),  # type: ignore[arg-type]  # wrong on purpose
        (LockBalance(0, 1, 2, expires_ns=0.5), "expires_ns: found float 0.5"),  # type: ignore[arg-type]  # wrong on purpose
        (ReplaceOrder(0, 1, 0, 5, requeue="no"), "requeue: found str 'no', allowed True or False"),  # type: ignore[arg-type]  # wrong on purpose
        (MassCancel(0, all_users=1), "all_users: found int 1, allowed True or False"),  # type: ignore[arg-type]  # wrong on purpose
        (BlockUser(0, 1, "no"), "blocked: found str 'no', allowed True or False"),  # type: ignore[arg-type]  # wrong on purpose
        (Deposit(0, 0, 1), "asset: found 0, allowed 1 to"),
    ],
)
def test_what_is_wrong_is_refused_by_name(request_: Any, text: str) -> None:
    with pytest.raises((TypeError, ValueError), match=text):
        checked(request_)


def test_a_long_value_is_shown_in_part() -> None:
    with pytest.raises(TypeError) as caught:
        integer("price", "9" * 100_000)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("kind", [*COMMANDS, *QUERIES], ids=lambda kind: kind.__name__)
def test_every_field_of_every_request_is_checked(kind: Any) -> None:
    good = {field.name: good_value(field.type) for field in inspect.type_info(kind).fields}  # type: ignore[attr-defined]  # of a struct
    checked(kind(**good))
    for name in [name for name in good if name != "request_id"]:
        with pytest.raises((TypeError, ValueError), match=f"^{name}: found object"):
            checked(kind(**{**good, name: object()}))


def good_value(kind: inspect.Type) -> Any:
    match kind:
        case inspect.BoolType():
            return True
        case inspect.StrType():
            return "A/B" if kind.pattern and "/" in kind.pattern else "A"
        case inspect.UnionType():
            return None
        case _:
            return 1


@pytest.mark.parametrize("value", [0, -1, math.nan, -math.inf, pytest.param(-(10**400), id="huge")])
def test_a_deadline_is_above_zero(value: float) -> None:
    with pytest.raises(ValueError, match=r"timeout_s: found .*, allowed above 0 seconds"):
        seconds("timeout_s", value)


def test_seconds_are_numbers() -> None:
    assert seconds("timeout_s", 3) == seconds("timeout_s", 3.0) == 3
    assert seconds("timeout_s", math.inf) == math.inf
    assert seconds("grace_s", 0, high=5) == 0
    for wrong in ("3", None, True):
        with pytest.raises(TypeError, match=r"timeout_s: found .*, allowed a number of seconds"):
            seconds("timeout_s", wrong)
    with pytest.raises(ValueError, match="grace_s: found 6, allowed 0 to 5 seconds"):
        seconds("grace_s", 6, high=5)


def test_an_integer_beyond_every_float_is_judged_too() -> None:
    assert seconds("timeout_s", 10**400) == math.inf
    with pytest.raises(ValueError, match="grace_s: found an integer of thousands of digits"):
        seconds("grace_s", 10**5000, high=5)
    with pytest.raises(ValueError, match="price: found an integer of thousands of digits, allowed"):
        integer("price", 10**5000)


def test_a_flag_is_true_or_false() -> None:
    assert flag("post_only", True)
    for wrong in ("no", 0, None):
        with pytest.raises(TypeError, match=r"post_only: found .*, allowed True or False"):
            flag("post_only", wrong)


@pytest.mark.parametrize("name", ["post_only", "cancel_on_disconnect"])
async def test_flags_of_orders_are_checked_before_anything_is_sent(name: str) -> None:
    peer = CorePeer()
    await market(peer)
    count = len(peer.sent)
    wrong: Any = {name: "no"}
    with pytest.raises(TypeError, match=f"{name}: found str 'no', allowed True or False"):
        await served(peer, peer.client.submit_order, "BTC/USD", "buy", 1, 100, **wrong)
    assert len(peer.sent) == count


async def test_an_empty_side_is_not_both_sides() -> None:
    peer = CorePeer()
    await market(peer)
    with pytest.raises(ValueError, match="side: found '', allowed buy, sell"):
        await served(peer, peer.client.mass_cancel, side="")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"cancel_on_disconect": True}, "'cancel_on_disconect', did you mean cancel_on_disconnect"),
        ({"nonsense": 1}, r"connect: found option 'nonsense' \(allowed: session_id, window"),
        ({"timeout_s": 0}, "timeout_s: found 0, allowed above 0"),
        ({"timeout_s": "5"}, "timeout_s: found str '5', allowed a number"),
        ({"cancel_on_disconnect": "no"}, "cancel_on_disconnect: found str 'no', allowed True"),
        ({"reconnect": 0}, "reconnect: found int 0, allowed True or False"),
        ({"keep_session": None}, "keep_session: found NoneType None, allowed True or False"),
        ({"window": 16_385}, "window: found 16385, allowed 0 to 16384"),
        ({"window": 1.5}, "window: found float 1.5, allowed an integer"),
        ({"session_id": "9"}, "session_id: found str '9', allowed an integer"),
        ({"grace_s": math.inf}, "grace_s: found inf, allowed 0 to 3600"),
        ({"heartbeat_s": -1}, "heartbeat_s: found -1, allowed 0 to 60"),
        ({"tls": "yes"}, "tls: found 'yes', allowed"),
        ({"key": "secret"}, "key: found str, allowed an hpe.Key"),
    ],
)
def test_options_of_a_connection_are_refused_by_name(options: Any, text: str) -> None:
    with pytest.raises((TypeError, ValueError), match=text):
        check_options(1, options)
    with pytest.raises((TypeError, ValueError), match=text):
        connect_sync("127.0.0.1:1", user=1, **options)


@pytest.mark.parametrize(
    ("address", "user", "text"),
    [
        (None, 0, "user: found 0, allowed 1 to"),
        (None, "7", "user: found str '7', allowed an integer"),
        (7070, 1, "address: found 7070, allowed"),
        ("nowhere", 1, "address: found 'nowhere', allowed"),
    ],
)
async def test_address_and_user_are_refused_by_name(address: Any, user: Any, text: str) -> None:
    open_client: Callable[..., Any] = connect
    with pytest.raises((TypeError, ValueError), match=text):
        async with open_client(address, user=user):
            pytest.fail("connected")
