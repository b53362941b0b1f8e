"""The traffic of the crash test: everything that the exchange can do, from one seed.

Owns the choice of commands, for one user on one session; knows nothing of sockets. Instrument 1
always trades, 2 is halted and called, 3 has fees with rebates, a band and volatility interruptions,
and 4 gathers crowds of stops that fire at once. Expiry times are real and soon: orders expire
before a kill, while the service is dead, and after.
"""

from __future__ import annotations

import time
from bisect import insort
from collections import deque
from collections.abc import Callable
from operator import itemgetter
from random import Random
from typing import Any, Final

from hpe.protocol.base import Request, type_number
from hpe.protocol.enums import InstrumentStatus, OrderType, SelfTrade, Side, TimeInForce
from hpe.protocol.limits import STOPS_PER_COMMAND_MAX
from hpe.protocol.listings import AddInstrument
from hpe.protocol.money import (
    CaptureHold,
    Deposit,
    LockBalance,
    ReleaseHold,
    Transfer,
    UnlockBalance,
)
from hpe.protocol.operations import BlockUser, SetFees, SetStatus, Uncross
from hpe.protocol.orders import (
    CancelOrder,
    MassCancel,
    OcoResponse,
    OrderResponse,
    OrderTerms,
    ReplaceOrder,
    SubmitOco,
    SubmitOrder,
)

USER: Final = 7
OTHER_USER: Final = 8
ASSETS: Final = (1, 2, 3)
DEPOSIT: Final = 10**15

_LIVE_MAX: Final = 100
_MIDDLE: Final = 100_000
_PIT: Final = 4
_PIT_BIDS: Final = 200
_PIT_PRICE: Final = 90_000
_MOMENT_S: Final = 0.04
"""Within the time that one round's load takes."""

_EXPIRY_S_MAX: Final = 1.2
"""Longer than a service needs to restart."""

_LIMIT: Final = OrderType.LIMIT
_GTC, _IOC, _FOK, _GTD = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD
_SIDES: Final = tuple(Side)
_POLICIES: Final = (0, 0, 0, *SelfTrade)
_RATES: Final = ((-50, 100), (-60, 100), (0, 60), (20, 20), (-10, 200))


def opening() -> list[Request]:
    """Return the requests before the traffic: deposits, and instruments 3 and 4."""
    return [
        *(Deposit(1, asset, DEPOSIT) for asset in ASSETS),
        AddInstrument(
            1, "ETH/BTC", 2, 1, 4, 7, maker_fee_ppm=-50, taker_fee_ppm=100,
            self_trade=SelfTrade.DECREMENT, band_ppm=120, reference_price=_MIDDLE,
            volatility_interruption=True,
        ),
        AddInstrument(1, "PIT", 2, 3, maker_fee_ppm=-10, taker_fee_ppm=10),
    ]  # fmt: skip


class CrashTraffic:
    """An endless, seeded sequence of commands; the sender sets the request ids.

    `live` are the newest ids of orders that were open when they were answered.
    """

    def __init__(self, random: Random) -> None:
        self.live: deque[int] = deque(maxlen=_LIVE_MAX)
        self._random = random
        self._count = 0
        self._planned: list[tuple[int, Request]] = []  # (command count, request)
        self._next_hold = 1
        self._makers: dict[Callable[[], Request], int] = {
            self._limit: 340,
            self._market: 30,
            self._stop: 90,
            self._pair: 50,
            self._cancel: 240,
            self._replace: 90,
            self._lock: 40,
            self._use_hold: 50,
            self._transfer: 20,
            self._fees: 10,
            self._mass_cancel: 3,
            self._block: 6,
            self._status: 16,
        }

    def commands(self, count: int) -> list[Request]:
        """Return the next commands."""
        return [self._command() for _ in range(count)]

    def note(self, fields: list[Any]) -> None:
        """Note from a response which orders are open."""
        if fields[0] == type_number(OrderResponse) and fields[8]:
            self.live.append(fields[7])
        elif fields[0] == type_number(OcoResponse) and fields[6]:
            self.live.extend(fields[6:8])

    def crowd(self) -> list[Request]:
        """Return commands that let more stops wait than may fire in one command.

        Most are fill-or-kill and search all bids in vain: that search fills a batch, so the rest
        get their turns in later batches.
        """
        choice, price, high = self._random.choice, _PIT_PRICE, _PIT_PRICE + 100
        bids = [self._pit_order(Side.BUY, _LIMIT, _GTC, price, 1) for _ in range(_PIT_BIDS)]
        count = STOPS_PER_COMMAND_MAX + self._random.randint(1, 200)
        stops = [choice((*(self._killed_stop,) * 6, *self._mixed))() for _ in range(count)]
        return [
            BlockUser(1, USER, False),
            MassCancel(1, instrument=_PIT),
            self._pit_order(Side.SELL, _LIMIT, _GTC, high, 1),
            self._pit_order(Side.BUY, _LIMIT, _IOC, high, 1),
            *bids,
            *stops,
        ]

    def set_off(self) -> Request:
        """Return the order whose trade makes the crowd fire."""
        return self._pit_order(Side.SELL, _LIMIT, _IOC, _PIT_PRICE, 1)

    # --- the pit ------------------------------------------------------------------------------

    @staticmethod
    def _pit_order(
        side: Side, kind: OrderType, tif: TimeInForce, price: int, quantity: int,
        policy: int = 0, terms: OrderTerms | None = None,
    ) -> Request:  # fmt: skip
        return SubmitOrder(1, _PIT, 0, side, kind, tif, price, quantity, 0, policy, terms)

    def _killed_stop(self) -> Request:
        terms = OrderTerms(stop_price=_PIT_PRICE + self._random.randint(0, 9))
        policy = SelfTrade.CANCEL_MAKER
        return self._pit_order(Side.SELL, OrderType.STOP, _FOK, 0, 1_000, policy, terms)

    def _small_stop(self) -> Request:
        terms = OrderTerms(stop_price=_PIT_PRICE)
        return self._pit_order(Side.SELL, OrderType.STOP, _IOC, 0, 1, SelfTrade.NONE, terms)

    def _resting_stop(self) -> Request:
        terms = OrderTerms(stop_price=_PIT_PRICE + 5, expires_ns=self._soon_ns())
        return self._pit_order(
            Side.SELL, OrderType.STOP_LIMIT, _GTD, _PIT_PRICE + 50, 2, terms=terms
        )

    def _trailing_stop(self) -> Request:
        terms = OrderTerms(trail=100)
        return self._pit_order(Side.SELL, OrderType.STOP, _GTC, 0, 1, terms=terms)

    def _pit_pair(self) -> Request:
        return SubmitOco(1, _PIT, Side.SELL, 1, _PIT_PRICE + 200, _PIT_PRICE + 1)

    @property
    def _mixed(self) -> tuple[Callable[[], Request], ...]:
        return self._small_stop, self._resting_stop, self._trailing_stop, self._pit_pair

    # --- orders -------------------------------------------------------------------------------

    def _command(self) -> Request:
        self._count += 1
        if self._planned and self._planned[0][0] <= self._count:
            return self._planned.pop(0)[1]
        (make,) = self._random.choices([*self._makers], [*self._makers.values()])
        return make()

    def _plan(self, request: Request) -> None:
        """Plan a command for a little later."""
        when = self._count + self._random.randint(2, 60)
        insort(self._planned, (when, request), key=itemgetter(0))

    def _soon_ns(self) -> int:
        longest_s = self._random.choice((_MOMENT_S, _EXPIRY_S_MAX))
        return time.time_ns() + int(self._random.uniform(0.001, longest_s) * 1e9)

    def _book(self) -> int:
        return self._random.choice((1, 1, 1, 2, 2, 3, 3))

    def _price(self, side: Side) -> int:
        """Choose a price, mostly away from the market, so that the book fills."""
        return _MIDDLE + self._random.randint(-10, 30) * (-1 if side is Side.BUY else 1)

    def _submit(
        self, kind: OrderType, tif: TimeInForce, price: int, quantity: int,
        terms: OrderTerms | None, side: Side, flags: int = 0,
    ) -> Request:  # fmt: skip
        policy = self._random.choice(_POLICIES)
        return SubmitOrder(
            1, self._book(), 0, side, kind, tif, price, quantity, flags, policy, terms
        )

    def _limit(self) -> Request:
        draw, quantity = self._random.random(), self._random.randint(1, 50)
        side, tif, terms, flags = self._random.choice(_SIDES), _GTC, None, 0
        if draw < 0.15:
            tif, terms = _GTD, OrderTerms(expires_ns=self._soon_ns())
        elif draw < 0.30:
            terms = OrderTerms(display_quantity=self._random.randint(1, quantity))
        elif draw < 0.35:
            tif, terms = _IOC, OrderTerms(minimum_quantity=self._random.randint(1, quantity))
        elif draw < 0.50:
            tif = self._random.choice((_IOC, _FOK))
        elif draw < 0.55:
            flags = 1
        return self._submit(_LIMIT, tif, self._price(side), quantity, terms, side, flags)

    def _market(self) -> Request:
        tif, quantity = self._random.choice((_IOC, _FOK)), self._random.randint(1, 50)
        if self._random.random() < 0.5:
            side = self._random.choice(_SIDES)
            return self._submit(OrderType.MARKET, tif, 0, quantity, None, side)
        return self._submit(
            OrderType.MARKET, tif, 0, 0, OrderTerms(budget=self._budget()), Side.BUY
        )

    def _budget(self) -> int:
        return self._random.randint(1, 50 * 7 * _MIDDLE)

    def _stop(self) -> Request:
        side, tif = self._random.choice(_SIDES), self._random.choice((_GTC, _IOC, _FOK, _GTD))
        away = self._random.randint(1, 12)
        expires_ns = self._soon_ns() if tif is _GTD else 0
        quantity, budget = self._random.randint(1, 50), 0
        stop_price, trail = _MIDDLE + (away if side is Side.BUY else -away), 0
        if self._random.random() < 0.3:
            terms = OrderTerms(stop_price=stop_price, expires_ns=expires_ns)
            return self._submit(OrderType.STOP_LIMIT, tif, self._price(side), quantity, terms, side)
        if self._random.random() < 0.5:
            stop_price, trail = 0, away
        if side is Side.BUY:
            quantity, budget = 0, self._budget()
        terms = OrderTerms(stop_price, trail, budget=budget, expires_ns=expires_ns)
        return self._submit(OrderType.STOP, tif, 0, quantity, terms, side)

    def _pair(self) -> Request:
        side, away = self._random.choice(_SIDES), self._random.randint(3, 20)
        toward = away if side is Side.BUY else -away
        stop_limit = self._random.choice((0, self._price(side)))
        budget = self._budget() if side is Side.BUY and not stop_limit else 0
        return SubmitOco(
            1, self._book(), side, self._random.randint(1, 50), _MIDDLE - toward,
            _MIDDLE + toward, stop_limit, budget,
            expires_ns=self._random.choice((0, self._soon_ns())),
            self_trade=self._random.choice(_POLICIES),
        )  # fmt: skip

    def _cancel(self) -> Request:
        if not self.live:
            return self._limit()
        order_id = self._random.choice(self.live)
        self.live.remove(order_id)
        return CancelOrder(1, order_id)

    def _replace(self) -> Request:
        if not self.live:
            return self._limit()
        leaves = self._random.randint(1, 50)
        price = self._random.choice((None, self._price(self._random.choice(_SIDES))))
        requeue = self._random.random() < 0.5
        return ReplaceOrder(1, self._random.choice(self.live), 0, None, leaves, price, requeue)

    # --- money and operations -----------------------------------------------------------------

    def _lock(self) -> Request:
        """Hold money: without an id, or under one that later commands use."""
        asset, amount = self._random.choice(ASSETS), self._random.randint(1, 1_000)
        if self._random.random() < 0.2:
            return LockBalance(1, asset, amount)
        self._next_hold += 1
        expires_ns = self._random.choice((0, self._soon_ns()))
        return LockBalance(1, asset, amount, hold_id=self._next_hold, expires_ns=expires_ns)

    def _use_hold(self) -> Request:
        hold_id = max(1, self._next_hold - self._random.randint(0, 8))
        amount = self._random.randint(1, 400)
        draw = self._random.random()
        if draw < 0.1:
            return UnlockBalance(1, self._random.choice(ASSETS), amount)
        if draw < 0.6:
            return CaptureHold(1, hold_id, amount, self._random.choice((USER, OTHER_USER)))
        return ReleaseHold(1, hold_id, self._random.choice((0, amount)))

    def _transfer(self) -> Request:
        asset, amount = self._random.choice(ASSETS), self._random.randint(1, 1_000)
        users = self._random.choice(((OTHER_USER, USER), (USER, OTHER_USER)))
        return Transfer(1, asset, amount, *users)

    def _fees(self) -> Request:
        """Set common rates or a user's, or remove a user's; no rebates in 1."""
        user = self._random.choice((0, USER, OTHER_USER))
        if user and self._random.random() < 0.3:
            return SetFees(1, 3, None, None, user)
        if self._random.random() < 0.3:
            return SetFees(1, 1, 5, 20, user)
        return SetFees(1, 3, *self._random.choice(_RATES), user)

    def _mass_cancel(self) -> Request:
        return MassCancel(
            1, self._random.choice((1, 2, 3)), self._random.choice((0, *_SIDES)),
            all_users=self._random.random() < 0.5,
        )  # fmt: skip

    def _block(self) -> Request:
        """Block the user, and plan to unblock it soon."""
        if self._random.random() < 0.7:
            return BlockUser(1, OTHER_USER, self._random.random() < 0.5)
        self._plan(BlockUser(1, USER, False))
        return BlockUser(1, USER, True)

    def _status(self) -> Request:
        """End calls that a band began in 3, or halt 2 and plan its return."""
        if self._random.random() < 0.6:
            return Uncross(1, 3)
        status = self._random.choice((*InstrumentStatus, InstrumentStatus.CALL_AUCTION))
        if status is InstrumentStatus.CALL_AUCTION:
            self._plan(Uncross(1, 2))
        else:
            self._plan(SetStatus(1, 2, InstrumentStatus.TRADING))
        return SetStatus(1, 2, status)
