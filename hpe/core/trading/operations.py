"""Operator commands: market states and auctions, fees, the kill switch.

Part of the deterministic core. Rejects are checked in the order of protocol.md's lists, and a
rejected command changes nothing.
"""

from __future__ import annotations

from typing import Final

from hpe.core.context.command import Context
from hpe.core.context.effort import ROW
from hpe.core.context.holders import No, told
from hpe.core.money.fees import FeeRates, FeeSchedule, can_go_below_zero, rates_of
from hpe.core.trading.exchange_state import ExchangeState
from hpe.core.trading.orderbook import OrderBook
from hpe.protocol.codes import RejectReason
from hpe.protocol.enums import InstrumentStatus
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

_NONE: Final = RejectReason.NONE
_CALL: Final = InstrumentStatus.CALL_AUCTION


class Operations:
    """Executes operator commands on one exchange."""

    def __init__(self, exchange: ExchangeState) -> None:
        self._exchange = exchange
        self._books = exchange.books
        self._market = exchange.market

    def set_status(self, context: Context, command: SetStatus) -> SetStatusResponse:
        """Set what may be done with an instrument's orders; a call ends only by uncross."""
        book, reason, status = self._books.get(command.instrument), _NONE, 0
        if book is None:
            reason = RejectReason.UNKNOWN_INSTRUMENT
        elif book.status is _CALL and command.status is not _CALL:
            reason, status = RejectReason.CALL_OPEN, _CALL
        else:
            status = command.status
            self._market.calls.keep_call(book)
            if book.status is not command.status:
                self._market.calls.set_status(context, book, command.status)
        return SetStatusResponse(command.request_id, 0, context.sequence, reason, status)

    def uncross(self, context: Context, command: Uncross) -> UncrossResponse:
        """End a call: trade what crosses at one price, then go on in the next status."""
        book = self._books.get(command.instrument)
        reason, price, volume = _NONE, 0, 0
        if book is None:
            reason = RejectReason.UNKNOWN_INSTRUMENT
        elif book.status is not _CALL:
            reason = RejectReason.NO_CALL
        else:
            next_status = InstrumentStatus(command.next_status)
            found = self._market.calls.uncross(context, book, next_status)
            price, volume = found.price, found.volume
        return UncrossResponse(
            command.request_id, 0, context.sequence, reason, context.time_ns, price, volume
        )

    def block_user(self, context: Context, command: BlockUser) -> BlockUserResponse:
        """Refuse new orders of a user, or allow them again."""
        exchange, count = self._exchange, 0
        no: No = _NONE
        theirs = exchange.orders.users.get(command.user)
        if theirs is None and command.blocked:
            no = exchange.parties.refusal(context, command.user)
            if not no:
                exchange.parties.admit(context.holder, command.user)
                theirs = exchange.orders.users[command.user]
        if theirs is not None:
            theirs.blocked = command.blocked
            count = len(theirs.by_id)
        reason, flags = told(no)
        return BlockUserResponse(command.request_id, flags, context.sequence, reason, count)

    def set_fees(self, context: Context, command: SetFees) -> SetFeesResponse:
        """Set the rates of an instrument, or of one user on it, for orders accepted from now on."""
        reason, flags = told(self._set_fees(context, command))
        return SetFeesResponse(command.request_id, flags, context.sequence, reason)

    def _set_fees(self, context: Context, command: SetFees) -> No:
        maker, taker = command.maker_fee_ppm, command.taker_fee_ppm
        if (maker is None) is not (taker is None) or (maker is None and not command.user):
            return RejectReason.INVALID_COMBINATION
        book = self._books.get(command.instrument)
        if book is None:
            return RejectReason.UNKNOWN_INSTRUMENT
        if maker is None or taker is None:
            book.fees.own.pop(command.user, None)
            return _NONE
        rates = rates_of(maker, taker)
        self._market.effort.charge(ROW, count_orders(book) + len(book.fees.own))
        if rates_go_below_zero(book, rates, command.user):
            return RejectReason.FEES_BELOW_ZERO
        if not command.user:
            set_common_rates(book, rates)
            return _NONE
        parties = self._exchange.parties
        no = parties.refusal(context, command.user)
        if not no:  # users are bounded, and so are their rates
            parties.admit(context.holder, command.user)
            book.fees.own[command.user] = rates
        return no


def rates_go_below_zero(book: OrderBook, rates: FeeRates, user: int) -> bool:
    """True if new rates (user 0: the common ones), with others, could cost the house money.

    The rates of open orders count as well. Cost: O(open orders) of the instrument.
    """
    every = [rates]
    if user:
        every.append(book.fees.common)
    every += [own for owner, own in book.fees.own.items() if owner != user]
    every += [order.rates for order in book.orders()]
    every += [order.rates for order in book.triggers.orders()]
    if book.work is not None:
        every += [order.rates for order in book.work.orders()]
    return can_go_below_zero(every)


def count_orders(book: OrderBook) -> int:
    """Return the number of open orders of an instrument, stops included."""
    return book.bids.count + book.asks.count + count_stops(book)


def count_stops(book: OrderBook) -> int:
    """Return the number of an instrument's stops that have not had their turn."""
    return book.triggers.count + (book.work.queued if book.work is not None else 0)


def set_common_rates(book: OrderBook, rates: FeeRates) -> None:
    """Set the common rates, which the instrument's row shows."""
    fees: FeeSchedule = book.fees
    fees.common = rates
    book.instrument.maker_fee_ppm, book.instrument.taker_fee_ppm = rates.maker, rates.taker
