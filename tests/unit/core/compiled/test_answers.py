"""The responses and refusals of the compiled core have the reference's bytes."""

from collections import deque
from random import Random
from zlib import crc32

import pytest

from hpe.core.codec import encode, error_body
from hpe.core.context.command import Context
from hpe.core.context.holders import NOBODY, Refusal
from hpe.core.decoding.judging import Undecodable, refusal
from hpe.core.sessions.session import Remembered, Session
from hpe.core.trading.answers import (
    changed_nothing,
    not_executed,
    order_rejected,
    order_response,
)
from hpe.protocol import codes, internal, listings, money, operations, orders
from hpe.protocol.base import type_number
from hpe.protocol.codes import ERROR_TRAITS, CancelReason, ErrorCode, RejectReason
from hpe.protocol.enums import OrderType, Side, TimeInForce
from hpe.protocol.limits import INT_MAX, RESPONSE_BYTES_MAX
from hpe.protocol.registry import COMMANDS, INTERNAL, INTERNAL_REPLIES, REPLIES
from tests.unit.core.compiled.happenings import any_fee, any_int, any_order, change
from tests.unit.core.parts import new_book

REASONS = (0, *RejectReason, *CancelReason)
FLAGS = (0, 4, 8, 16)
SETTERS = {
    "set_oco": (orders.OcoResponse,),
    "set_mass_cancel": (orders.MassCancelResponse,),
    "set_lock": (
        money.LockResponse, money.UnlockResponse, money.DepositResponse, money.WithdrawResponse,
        money.TransferResponse,
    ),
    "set_hold": (money.HoldResponse, money.ReleaseHoldResponse),
    "set_uncross": (operations.UncrossResponse,),
    "set_number": (
        listings.AddAssetResponse, listings.AddInstrumentResponse,
        listings.ResolveInstrumentResponse, operations.BlockUserResponse,
        operations.SetStatusResponse,
    ),
    "set_attached": (internal.SessionAttachedResponse,),
    "": (
        operations.SetFeesResponse, listings.DelistAssetResponse,
        listings.DelistInstrumentResponse,
    ),
}  # fmt: skip
"""The responses, by what sets the fields that are their own."""

RESPONSES = [(setter, response) for setter, them in SETTERS.items() for response in them]
PLAIN = [each for each in INTERNAL_REPLIES if each is not internal.SessionAttachedResponse]
"""Responses without a reason."""

ORDER_RESPONSES = (orders.OrderResponse, orders.CancelResponse, orders.ReplaceResponse)
IDS = (1, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**63 - 1)


def name_of(value):
    return getattr(value, "__name__", str(value))


def test_every_response_is_compared():
    found = {response for _, response in RESPONSES} | {*PLAIN, *ORDER_RESPONSES}
    numbers = {type_number(each) for each in (*COMMANDS, *INTERNAL)}
    assert {type_number(each) for each in found} == numbers
    assert found <= {*REPLIES, *INTERNAL_REPLIES}


@pytest.mark.parametrize(("setter", "response"), RESPONSES, ids=name_of)
def test_responses_have_the_references_bytes(answers, setter, response):
    random, compiled = Random(name_of(response)), answers.Answers()
    own = len(response.__struct_fields__) - 4
    for _ in range(300):
        head = [any_int(random), random.choice(FLAGS), any_int(random), random.choice(REASONS)]
        values = [any_fee(random) if random.random() < 0.2 else any_int(random) for _ in range(own)]
        values = random.choice((values, [0] * own))
        kind, (request_id, flags, sequence, reason) = type_number(response), head
        compiled.begin(kind, request_id, sequence, reason, flags)
        expected = response(*head, *[0] * own)
        assert compiled.encoded() == encode(expected)
        if setter:
            getattr(compiled, setter)(*values)
            expected = response(*head, *values)
        body = encode(expected)
        assert compiled.encoded() == body
        assert len(body) <= RESPONSE_BYTES_MAX
        if response is not internal.SessionAttachedResponse:
            assert compiled.changed_nothing() == changed_nothing(expected)
        assert compiled.is_cancel() == isinstance(expected, orders.MassCancelResponse)


@pytest.mark.parametrize("response", PLAIN, ids=name_of)
def test_internal_responses_have_the_references_bytes(answers, response):
    compiled = answers.Answers()
    for number in IDS:
        compiled.begin(type_number(response), number, number, 0, 0)
        assert compiled.encoded() == encode(response(number, 0, number))


def command_of(response, request_id):
    """Return the command that has this response."""
    if response is orders.CancelResponse:
        return orders.CancelOrder(request_id, 1)
    if response is orders.ReplaceResponse:
        return orders.ReplaceOrder(request_id, 1, 0)
    kind = (Side.BUY, OrderType.LIMIT, TimeInForce.GTC)
    return orders.SubmitOrder(request_id, 1, 0, *kind, 1, 1)


@pytest.mark.parametrize("response", ORDER_RESPONSES, ids=name_of)
@pytest.mark.parametrize("seed", range(2))
def test_order_responses_have_the_references_bytes(answers, response, seed):
    random, compiled, book, seen = Random(seed), answers.Answers(), new_book(), set()
    kind, order = type_number(response), any_order(random, 1, 1)
    for _ in range(500):
        change(random, order)
        order.order_id, order.quote_total = any_int(random), any_int(random)
        order.fee_total, book.last_trade_id = any_fee(random), any_int(random, INT_MAX - 3) + 3
        head = any_int(random), any_int(random), any_int(random)
        request_id, sequence, time_ns = head
        context = Context(sequence, time_ns, 1, 1, 1, NOBODY, False, False)
        command, count = command_of(response, request_id), random.choice((0, 1, 3))
        if random.random() < 0.5:
            expected = order_response(context, command, book, order, [None] * count)
            compiled.order(kind, *head, order, count, book.last_trade_id)
        else:
            reason, flags = random.choice(list(RejectReason)), random.choice(FLAGS)
            no = Refusal(reason, flags) if flags else reason
            expected = order_rejected(context, command, no)
            compiled.rejected(kind, *head, reason, flags)
        assert compiled.encoded() == encode(expected)
        assert compiled.changed_nothing() == changed_nothing(expected)
        assert compiled.is_cancel() == isinstance(expected, orders.CancelResponse)
        seen.add((changed_nothing(expected), expected.reason > 100))
    assert len(seen) >= 3


@pytest.mark.parametrize("code", ERROR_TRAITS, ids=lambda code: code.name)
def test_refusals_have_the_references_bytes(answers, code):
    compiled = answers.Answers()
    for request_id in (0, *IDS):
        expected = error_body(request_id, code)
        assert compiled.refusal(request_id, code) == expected
        assert len(expected) <= answers.ERROR_BYTES_MAX
        for field in ("", "x", "price", "places.open_orders_per_user_max", "x" * 56):
            body, goes_on = refusal(Undecodable(code, request_id, field))
            assert compiled.fault(request_id, code, field.encode()) == (body, goes_on)
            assert len(body) <= answers.ERROR_BYTES_MAX


def test_refusals_with_texts_of_their_own(answers):
    compiled = answers.Answers()
    for name, number in answers.CASES.items():
        for request_id in IDS:
            expected = error_body(request_id, *getattr(codes, name))
            assert compiled.refusal(request_id, number) == expected


@pytest.mark.parametrize("seed", range(3))
def test_what_is_not_executed_is_answered_as_in_the_reference(answers, seed):
    random, compiled = Random(seed), answers.Answers()
    session, seen = Session(1, 1, 1_000, deque()), set()
    last = 0
    for step in range(60):
        last += random.choice((1, 1, 2, 100, 60_000, 2**31))
        body, size = random.randbytes(random.randint(1, 60)), random.choice((0, 9, 10))
        response = encode(
            orders.OrderResponse(last, 0, *(any_int(random),) * size, *[0] * (12 - size))
        )
        session.remembered.append(Remembered(last, len(body), crc32(body), response))
        session.last_request_id = last
        compiled.remember(last, body, crc32(body), response)
        oldest = session.remembered[0].request_id
        for request_id in (last, last + 1, last - 1, oldest - 1, *IDS[: step % 10]):
            for sent in (body, b"another"):
                admit = random.choice((0, 0, ErrorCode.BUSY, ErrorCode.THROTTLED))
                full = random.random() < 0.5
                expected = not_executed(session, request_id, sent, admit, full)
                assert compiled.not_executed(request_id, sent, admit, full) == expected
                seen.add((expected[1], expected[6:20] if expected[1] == 31 else b""))
    assert len(seen) > 5
