"""Refusals and rejects say what was found and what is allowed, as the caller knows the argument."""

from decimal import Decimal

import msgspec
import pytest

from hpe.client.explaining import explain_field, explain_reject
from hpe.client.results import result_of
from hpe.errors import OrderRejected, RequestRefused
from hpe.protocol.base import type_number
from hpe.protocol.codes import ErrorCode, RejectReason
from hpe.protocol.control import Error
from hpe.protocol.enums import OrderType, Side, TimeInForce
from hpe.protocol.frames import encode_frame
from hpe.protocol.limits import AMOUNT_MAX
from hpe.protocol.money import Deposit
from hpe.protocol.orders import SubmitOrder
from hpe.protocol.registry import COMMANDS, CONTROL, QUERIES
from tests.support.core_peer import CorePeer, market, served

D = Decimal
PAIR = "ETH/USD"


async def listed(peer):
    """List a pair of 0.01 lots and 1.00 ticks with narrow limits; return the client."""
    base, quote, _ = await market(peer, decimals=(8, 2))
    limits = {"price_min": 2, "price_max": 10_000, "quantity_min": 2, "quantity_max": 100}
    scale = {"base_atoms_per_lot": 10**6, "quote_atoms_per_tick": 1}
    client = peer.client
    await served(
        peer, client.add_instrument, PAIR, base, quote, notional_max=50_000, **scale, **limits
    )
    return client


async def why(peer, method, *arguments, **options):
    with pytest.raises(OrderRejected) as caught:
        await served(peer, method, *arguments, **options)
    assert str(caught.value).endswith(f": {caught.value.detail}")
    return caught.value.detail


@pytest.mark.parametrize(
    ("order", "options", "detail"),
    [
        (("buy", D("0.1"), 1), {}, "price: found 1, allowed 2 to 10000"),
        (("buy", D("0.1"), 10_001), {}, "price: found 10001, allowed 2 to 10000"),
        (
            ("buy", D("0.1"), 50),
            {"stop_price": 10_001},
            "stop_price: found 10001, allowed 2 to 10000",
        ),
        (("buy", D("0.01"), 50), {}, "quantity: found 0.01, allowed 0.02 to 1.00"),
        (("sell", D("1.01"), 50), {}, "quantity: found 1.01, allowed 0.02 to 1.00"),
        (
            ("buy", D("0.5"), 1_001),
            {},
            "price x quantity: found 500.50 USD, allowed 0.00 to 500.00",
        ),
        (("buy",), {"budget": D("500.01")}, "budget: found 500.01, allowed 0.00 to 500.00"),
        (("buy", D("0.1"), 50), {"expires_ns": 1}, "expires_ns: found 1, allowed above {time}"),
    ],
)
async def test_rejected_orders_name_the_argument_in_decimals(order, options, detail):
    peer = CorePeer()
    client = await listed(peer)
    found = await why(peer, client.submit_order, PAIR, *order, **options)
    assert found == detail.format(time=f"{peer.time_ns}, the command's time")


async def test_other_rejects_name_their_argument():
    peer = CorePeer()
    client = await listed(peer)
    assert await why(peer, client.withdraw, "USD", D("99999.99")) == (
        "amount: found 99999.99, allowed what is available"
    )
    assert await why(peer, client.unlock_balance, "USD", D("0.01")) == (
        "amount: found 0.01, allowed what is held"
    )
    await served(peer, client.lock_balance, "BTC", D("0.00000100"), hold_id=7)
    assert await why(peer, client.capture_hold, 7, D("0.00000101"), 3) == (
        "amount: found 0.00000101, allowed what is held"
    )
    assert await why(peer, client.lock_balance, "BTC", D("0.00000100"), hold_id=7) == (
        "hold_id: found 7, allowed one that no hold of the user has"
    )
    assert (
        await why(peer, client.get_order, 99) == "order_id: found 99, allowed an order of the user"
    )
    await served(peer, client.submit_order, PAIR, "buy", D("0.1"), 50, client_order_id=5)
    assert (
        await why(peer, client.submit_order, PAIR, "buy", D("0.1"), 50, client_order_id=5)
        == "client_order_id: found 5, allowed one that no live order of the user has"
    )
    view = await served(peer, client.instrument, PAIR)
    gone = msgspec.structs.replace(view.raw, instrument=99)
    stranger = type(view).of(gone, view.base, view.quote)
    assert await why(peer, client.submit_order, stranger, "buy", D("0.1"), 50) == (
        "instrument: found 99, allowed one that is listed"
    )


async def test_the_integers_of_the_wire_are_told_as_they_are():
    peer = CorePeer()
    await listed(peer)

    async def ask(request):
        return result_of(await peer.channel.call(request))

    cheap = SubmitOrder(0, 2, 0, Side.BUY, OrderType.LIMIT, TimeInForce.GTC, 1, 10)
    assert await why(peer, ask, cheap) == (
        "price: found 1, allowed price_min to price_max of the instrument"
    )
    assert await why(peer, ask, Deposit(0, 77, 5)) == (
        "asset: found 77, allowed one that is listed"
    )


async def test_what_is_refused_before_it_is_sent_is_told_in_decimals():
    peer = CorePeer()
    client = await listed(peer)
    largest = D(AMOUNT_MAX).scaleb(-2)
    for amount in (0, largest + D("0.01")):
        with pytest.raises(ValueError, match="amount: found") as caught:
            await served(peer, client.deposit, "USD", amount)
        assert str(caught.value) == (
            f"amount: found {amount + D('0.00')}, allowed 0.01 to {largest}"
        )
    with pytest.raises(ValueError, match="budget: found"):
        await served(peer, client.submit_order, PAIR, "buy", budget=largest + 1)
    with pytest.raises(
        ValueError, match=r"price of ETH/USD: found -1, allowed 0 to 92233720368547"
    ):
        await served(peer, client.submit_order, PAIR, "buy", 1, -1)
    with pytest.raises(ValueError, match="user: found -1, allowed 0 to 9223372036854775806"):
        await served(peer, client.submit_order, PAIR, "buy", 1, 5, user=-1)


async def test_a_field_that_the_server_refused_is_told_in_decimals():
    """As by a server whose ranges are narrower than this client's."""
    peer = CorePeer()
    client = await listed(peer)
    send = peer.channel._send

    def refuse(frame):
        row = msgspec.msgpack.decode(frame[4:])
        if row[0] != 64:
            send(frame)
            return
        error = Error(
            row[1], 0, ErrorCode.BAD_FIELD, "bad_field", "a field", False, False, False,
            "price",
        )  # fmt: skip
        peer.channel.feed(encode_frame(error))

    await served(peer, client.instrument, PAIR)
    peer.channel._send = refuse
    with pytest.raises(RequestRefused) as caught:
        await served(peer, client.submit_order, PAIR, "buy", D("0.1"), 50)
    assert caught.value.detail == "price: found 50, allowed 0 to 9223372036854775807"
    assert str(caught.value).endswith(
        ": a field: price: found 50, allowed 0 to 9223372036854775807"
    )
    assert caught.value.field == "price"


@pytest.mark.parametrize(
    ("row", "field", "text"),
    [
        ([69, 1, 1, 0], "amount", f"amount: found 0, allowed 1 to {AMOUNT_MAX}"),
        ([69, 1, 1], "amount", f"amount: found nothing, allowed 1 to {AMOUNT_MAX}"),
        ([69, 0, 1, 5], "request_id", f"request_id: found 0, allowed 1 to {2**63 - 1}"),
        ([69, 1, 1, 5, 0, 9], "", "found 5 fields, allowed 4"),
        ([64, 1, 1, 0, 3], "side", "side: found 3, allowed buy (1), sell (2)"),
        (
            [64, 1, 1, 0, 1, 2, 1, 5, 5, 0, 0, [0, -1]],
            "terms.trail",
            f"trail: found -1, allowed 0 to {2**63 - 1}",
        ),
        ([64, 1, 1, 0, 1, 2, 1, 5, 5, 0, 0, 7], "terms", "terms: found 7, allowed OrderTerms"),
        ([66, 1, 1, 0, 5, None, 1, 1], "requeue", "requeue: found 1, allowed True or False"),
        ([69, 1, 1, 5], "newer", "newer"),
        ([69, 1, 1, 5], "newer.inner", "newer.inner"),
        ([99, 1], "x", "x"),
    ],
)
def test_a_refused_field_is_told_with_what_was_sent(row, field, text):
    body = msgspec.msgpack.encode(row)
    assert explain_field(len(body).to_bytes(4, "big") + body, field) == text


def test_every_field_of_every_request_has_its_words():
    for message in (*CONTROL, *QUERIES, *COMMANDS):
        body = msgspec.msgpack.encode([type_number(message), 1])
        for name in message.__struct_fields__:
            told = explain_field(len(body).to_bytes(4, "big") + body, name)
            assert told.startswith(f"{name}: found ")
            assert "another value" not in told


def test_every_reason_is_told_or_concerns_no_argument():
    request = Deposit(1, 1, 5)
    for reason in (*RejectReason, 99):
        told = explain_reject(request, int(reason))
        assert told == "" or ": found " in told
    assert explain_reject(None, RejectReason.UNKNOWN_ASSET) == ""
