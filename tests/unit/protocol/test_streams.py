"""protocol.md's worked examples of logon, sessions and streams; the rules' are in
test_protocol_examples.py.

A client that is written from the document alone has what is written here: the proof from standard
hashes, the book from rows and its checksum. Then the core does the same.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
import zlib
from typing import Any

import msgspec
import pytest

from hpe.protocol.codes import CancelReason, ErrorCode
from hpe.protocol.control import Error, Hello
from hpe.protocol.enums import BookChange, Channel, ExecType, OrderType, Side, TimeInForce
from hpe.protocol.flags import FLAG_DUPLICATE
from hpe.protocol.market_data import (
    LevelsUpdate,
    OrdersSnapshot,
    OrdersUpdate,
    Subscribe,
    Subscribed,
)
from hpe.protocol.money import Deposit
from hpe.protocol.orders import CancelOrder, SubmitOrder
from hpe.protocol.reports import BalanceReport, ExecutionReport, OrderReport, PrivateReport
from tests.support import protocol_document as document
from tests.support.core_driver import Venue
from tests.support.protocol_examples import (
    BASE,
    PAIR,
    QUOTE,
    SECTIONS,
    named_bytes,
    numbers,
    orders_of,
    traders,
)

PROOF = named_bytes("a proof by HMAC-SHA256")


def proof_message() -> bytes:
    """Return what is signed, from the parts that a client has."""
    digest = hashlib.sha256(PROOF["hello body"]).digest()
    assert digest == PROOF["SHA-256(hello body)"]
    return b"hpe logon 1\0" + PROOF["server nonce"] + PROOF["client nonce"] + digest


def test_the_proof_is_the_hmac_of_the_documented_message():
    proof = hmac.new(PROOF["secret"], proof_message(), hashlib.sha256).digest()
    assert proof == PROOF["signature"]


def test_the_ed25519_proof_is_a_signature_of_the_same_message():
    ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
    example = named_bytes("a proof by Ed25519")
    assert example["private key"] == PROOF["secret"]
    private_key = ed25519.Ed25519PrivateKey.from_private_bytes(example["private key"])
    assert private_key.sign(proof_message()) == example["signature"]
    public_key = ed25519.Ed25519PublicKey.from_public_bytes(example["public key"])
    public_key.verify(example["signature"], proof_message())


def frame_bodies(heading: str) -> list[bytes]:
    return [example.frame[4:] for example in document.examples(SECTIONS[heading])]


def test_the_messages_of_the_logon_are_those_of_the_proof():
    """The examples of hello, challenge and logon show one conversation, the worked one."""
    assert PROOF["hello body"] == frame_bodies("Request 1 `hello`")[1]
    assert msgspec.msgpack.decode(PROOF["hello body"], type=Hello).key_id
    (challenge,) = map(msgspec.msgpack.decode, frame_bodies("Reply 5 `challenge`"))
    (logon,) = map(msgspec.msgpack.decode, frame_bodies("Request 5 `logon`"))
    assert challenge == [5, 1, 0, PROOF["server nonce"]]
    assert logon == [5, 1, PROOF["client nonce"], PROOF["signature"]]


Levels = dict[int, int]


def checksum(bids: Levels, asks: Levels) -> int:
    """Compute the checksum of a book from its definition in the document."""
    best = [sorted(bids.items(), reverse=True), sorted(asks.items())]
    levels = [level for side in best for level in [*side, *[(0, 0)] * 10][:10]]
    return zlib.crc32(struct.pack(">40q", *(number for level in levels for number in level)))


def example_book() -> tuple[Levels, Levels]:
    """Return the bids and asks of the checksum's example."""
    sides: dict[str, Levels] = {"bid": {}, "ask": {}}
    for row in numbers("a checksum"):
        sides[row["side"]][row["price"]] = row["quantity"]
    return sides["bid"], sides["ask"]


def test_arithmetic_of_the_checksum():
    text = SECTIONS["Example: a checksum"]
    bids, asks = example_book()
    assert f"the checksum is {checksum(bids, asks)}." in text
    assert f"begin with `{struct.pack('>2q', *max(bids.items())).hex(' ')}`" in text


def keep(known: int, book: tuple[Levels, Levels], row: dict[str, Any]) -> tuple[int, str]:
    """Do with one update what the document tells a client to do."""
    if row["last"] <= known:
        return known, "ignores it: last <= known"
    if row["first"] > known + 1:
        missing = " and ".join(str(each) for each in range(known + 1, row["first"]))
        return known, f"subscribes again: {missing} are missing"
    for side, cell in zip(book, (row["bids"], row["asks"]), strict=True):
        for quantity, price in orders_of(cell) if cell else []:
            side[price] = quantity
            if not quantity:
                del side[price]
    assert checksum(*book) == row["checksum"]
    return row["last"], "applies it; the checksum agrees"


def test_a_book_is_kept_as_the_example_shows():
    book, known = example_book(), 57
    assert "`last` 57" in SECTIONS["Example: keeping a book"]
    rows = numbers("keeping a book")
    for row in rows:
        known, done = keep(known, book, row)
        assert (known, done) == (row["known"], row["what the client does"])
    assert len({row["what the client does"] for row in rows}) == len(rows)


def test_the_book_of_the_examples_is_one_book():
    """Snapshot and update of the message sections are those of the example, checksum included."""
    (subscribed,) = map(msgspec.msgpack.decode, frame_bodies("Reply 44 `subscribed`"))
    (body,) = frame_bodies("Report 125 `levels_update`")
    book = example_book()
    snapshot = msgspec.convert(subscribed[7], LevelsUpdate)
    assert [{p: q for p, q, _ in side} for side in (snapshot.bids, snapshot.asks)] == list(book)
    assert snapshot.checksum == checksum(*book)
    update = msgspec.msgpack.decode(body, type=LevelsUpdate)
    row = numbers("keeping a book")[1]
    assert (update.first, update.last, update.checksum) == (
        row["first"],
        row["last"],
        row["checksum"],
    )
    for side, cell in ((update.bids, row["bids"]), (update.asks, row["asks"])):
        assert [(quantity, price) for price, quantity, _ in side] == orders_of(cell)


def test_the_examples_of_the_orders_channel_are_one_book():
    """Applied by the document's rules, the update's example gives the book of its checksum."""
    ((body,), (changes,)) = map(
        frame_bodies,
        (
            "Report 116 `orders_snapshot`",
            "Report 126 `orders_update`",
        ),
    )
    snapshot = msgspec.msgpack.decode(body, type=OrdersSnapshot)
    update = msgspec.msgpack.decode(changes, type=OrdersUpdate)
    book = {Side.BUY: list(snapshot.bids), Side.SELL: list(snapshot.asks)}

    def levels(side: Side) -> Levels:
        sums: Levels = {}
        for _, price, quantity in book[side]:
            sums[price] = sums.get(price, 0) + quantity
        return sums

    assert snapshot.checksum == checksum(levels(Side.BUY), levels(Side.SELL))
    assert (update.first, update.last) == (snapshot.last + 1, snapshot.last + len(update.changes))
    for change, number, order_id, price, quantity in update.changes:
        orders = book[Side(number)]
        place = [row[0] for row in orders].index(order_id) if change != BookChange.ADDED else None
        if place is None:
            orders.append((order_id, price, quantity))
        elif change == BookChange.CHANGED:
            assert quantity < orders[place][2], "more would have lost its place"
            orders[place] = (order_id, price, quantity)
        else:
            assert quantity == 0
            del orders[place]
    assert update.checksum == checksum(levels(Side.BUY), levels(Side.SELL))


RICH = 10**12


def test_core_agrees_on_the_checksum_and_on_the_kept_book(venue):
    """The example's book and its second update, from orders: the other rows come of the rules."""
    seller, buyer = traders(venue)
    seller.deposit(BASE, RICH)
    buyer.deposit(QUOTE, RICH)
    bids, asks = example_book()
    for price, quantity in bids.items():
        buyer.submit(Side.BUY, price, quantity)
    offers = [seller.submit(Side.SELL, price, quantity) for price, quantity in asks.items()]
    update = numbers("keeping a book")[1]
    venue.wanted = {(PAIR, Channel.LEVELS)}
    reply = seller.get(Subscribed, Subscribe(1, PAIR, Channel.LEVELS))
    assert isinstance(reply.snapshot, LevelsUpdate)
    assert reply.snapshot.checksum == checksum(bids, asks)
    assert (reply.more_bids, reply.more_asks) == (False, False)
    limit, gtc, ioc = OrderType.LIMIT, TimeInForce.GTC, TimeInForce.IOC
    seller.send(
        CancelOrder(seller.next_id(), offers[0].order_id),
        SubmitOrder(seller.next_id(), PAIR, 0, Side.SELL, limit, ioc, 6512300, 4),
        SubmitOrder(seller.next_id(), PAIR, 0, Side.SELL, limit, ioc, 6512300, 6),
        SubmitOrder(seller.next_id(), PAIR, 0, Side.SELL, limit, gtc, 6512450, 5),
    )
    ((_, _, (changed,), _),) = venue.market
    assert isinstance(changed, LevelsUpdate)
    assert changed.first == reply.snapshot.last + 1
    assert changed.last - changed.first == update["last"] - update["first"]
    assert changed.checksum == update["checksum"]
    for side, cell in ((changed.bids, update["bids"]), (changed.asks, update["asks"])):
        assert sorted((q, p) for p, q, _ in side) == sorted(orders_of(cell))


def told(report: PrivateReport) -> str:
    """Return what a report tells, as the example does."""
    match report:
        case ExecutionReport(last_price=price, last_quantity=quantity, leaves=leaves):
            return f"{quantity} at {price}, leaves {leaves}"
        case OrderReport(reason=0, leaves=leaves):
            return f"{ExecType(report.exec_type).name.lower()}, leaves {leaves}"
        case OrderReport(canceled=canceled, reason=reason):
            return f"canceled {canceled}, {CancelReason(reason).name.lower()}"
        case BalanceReport(asset=asset, available=available, reserved=reserved):
            name = {BASE: "base", QUOTE: "quote"}[asset]
            return f"{name}: available {available}, reserved {reserved}"
    raise AssertionError(f"not in the example: {report}")


def reports_of(venue: Venue, user: int) -> list[PrivateReport]:
    """Return a user's whole private stream."""
    kept = [*venue.private.get(user, []), *venue.balances.get(user, [])]
    return sorted(kept, key=lambda report: report.private_sequence)


def test_core_agrees_on_the_reports_of_a_trade(venue):
    seller, buyer = traders(venue)
    orders = {
        "user 1 sells 5 at 100, gtc": (seller, (Side.SELL, 100, 5, TimeInForce.GTC)),
        "user 2 buys 8 at 101, ioc": (buyer, (Side.BUY, 101, 8, TimeInForce.IOC)),
    }
    before = {user: len(reports_of(venue, user)) for user in (1, 2)}
    seen = dict(before)
    rows = []
    for command, (trader, order) in orders.items():
        trader.submit(*order)
        for user, count in seen.items():
            for report in reports_of(venue, user)[count:]:
                row = {"command": command, "user": user}
                row["number"] = report.private_sequence - before[user]
                row["report"] = document.snake(type(report).__name__)
                rows.append({**row, "tells": told(report)})
                seen[user] += 1
    assert rows == numbers("the reports of a trade")


def answer_to(trader, request, admit):
    reply = trader.ask(request, admit)
    if isinstance(reply, Error):
        return f"error {reply.name}"
    return "response, duplicate" if reply.flags == FLAG_DUPLICATE else "response"


def test_core_agrees_on_ids_that_come_again(venue):
    traders(venue)
    trader = venue.attach(3)
    rows = numbers("repeated request ids")
    for number, row in enumerate(rows):
        late = ErrorCode.BUSY if number == 1 else 0
        assert answer_to(trader, Deposit(row["id"], BASE, row["amount"]), late) == row["answer"]
    responses = sum(row["answer"] == "response" for row in rows)
    assert trader.balance(BASE).available == responses * rows[0]["amount"]
