"""A deliberately naive exchange: the second opinion on the whole core.

Owns nothing of the engine and shares no code with it but the wire's messages: lists, linear
scans, sums taken anew for every question. Its parts are the other naive_*.py files; here each
command finds its part, its response is made, and what follows from it runs. Slow and obvious on
purpose. One object per test. Source: protocol.md, "The rules of the exchange".
"""

from __future__ import annotations

from typing import Final

from hpe.protocol.base import Reply, Request
from hpe.protocol.codes import CancelReason, RejectReason
from hpe.protocol.enums import InstrumentStatus, OrderStatus
from hpe.protocol.flags import (
    FLAG_UNCHANGED,
    HELLO_CANCEL_ON_DISCONNECT,
    LOGOUT_KEEP_ORDERS,
    ORDER_CANCEL_ON_DISCONNECT,
)
from hpe.protocol.internal import PlaceLimits
from hpe.protocol.money import (
    CaptureHold,
    Deposit,
    LockBalance,
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
    CancelOrder,
    CancelResponse,
    MassCancel,
    MassCancelResponse,
    OcoResponse,
    OrderResponse,
    ReplaceOrder,
    ReplaceResponse,
    SubmitOco,
    SubmitOrder,
)
from tests.support import naive_queries
from tests.support.naive_auction import Cross, cross_now, uncross
from tests.support.naive_catalogue import execute_listing
from tests.support.naive_entry import (
    cancel,
    end_all,
    mass_cancel,
    replace_order,
    submit,
    submit_pair,
)
from tests.support.naive_expiry import end_hold, end_named
from tests.support.naive_listings import NaiveListings, Rejected, reject_if
from tests.support.naive_money import execute_hold, execute_movement, set_fees
from tests.support.naive_orders import NaiveOrder
from tests.support.naive_places import admit, check_parties
from tests.support.naive_state import Concern, NaiveState, Told, Uncrossing
from tests.support.naive_stops import advance, fire_by_last, give_turns

Due = tuple[int, int, int, int]
"""When, what kind (0 order, 1 hold, 2 orders of a lost session, 3 an interruption), and two ids."""

OrderCommand = SubmitOrder | CancelOrder | ReplaceOrder

_ORDER_RESPONSES: Final[dict[type[Request], type[OrderResponse]]] = {
    SubmitOrder: OrderResponse,
    CancelOrder: CancelResponse,
    ReplaceOrder: ReplaceResponse,
}


def _as_they_are(state: NaiveState) -> list[tuple[object, ...]]:
    """List all open orders in their places, with what a replace may change."""
    return [(o.order_id, o.price, o.leaves, o.terms) for o in state.open]


class NaiveExchange:
    """Executes commands one after the other; `state` is all that it remembers."""

    def __init__(
        self,
        open_orders_max: int,
        open_orders_per_user_max: int,
        auto_create: bool,
        places: PlaceLimits,
    ) -> None:
        listings = NaiveListings(auto_create)
        self.state = NaiveState(listings, open_orders_max, open_orders_per_user_max, places)
        self.grants: dict[int, tuple[int, int]] = {}  # session -> flags and grace of its hello
        self.keys: dict[int, tuple[int, bool]] = {}  # session -> key, and whether an operator's
        self.lost: list[Due] = []  # sessions without a connection, and those whose orders end
        self.parked: dict[Due, int] = {}  # by the instrument for whose uncross an ending waits
        self.acts_left = [0, 0, 0, 0]
        self.last_served = 0
        self.revoked: list[int] = []  # sessions that are to be closed
        self.begun_at = 0  # the sequence with which the batch began

    def begin_batch(self, time_ns: int) -> None:
        """Let what is due act, before the first command of a batch; of each kind only so much."""
        state = self.state
        state.time_ns, state.direct, self.begun_at = time_ns, False, state.sequence
        state.sequence += 1
        state.effort, self.acts_left = 0, list(state.limits.acts)
        state.effort_max = state.limits.effort
        state.taken_off.clear()
        while due := [entry for entry in self._due() if self.acts_left[entry[1]]]:
            self._expire(min(due))
        state.sequence -= 1
        if self.revoked:
            self.tick()
            self.close_revoked()
        books, bound = state.unfinished(), state.effort + state.limits.turns_effort
        for book in [book for book in books if book > self.last_served] + [
            book for book in books if book <= self.last_served
        ]:
            own = state.effort + state.limits.continue_effort
            state.effort_max = max(bound, own + 1)
            self._go_on(book)
            if state.effort >= bound:
                break
        state.effort_max = state.limits.effort

    @property
    def unfinished(self) -> bool:
        """True if something goes on by itself with the next batch."""
        return bool(self.revoked or self.state.unfinished())

    def _go_on(self, book: int) -> None:
        """Do a part of what is unfinished of an instrument: a command of its own."""
        state, self.last_served = self.state, book
        state.sequence += 1
        state.effort += state.limits.continue_effort
        if book in state.uncrossing:
            going = state.uncrossing.pop(book)
            cross = Cross(going.price, going.left, going.surplus)
            self._uncross_part(book, cross, going.next_status, state.limits.part_fills)
        elif book in state.over and not state.has_fired(book) and state.has_dead(book):
            pass
        elif book in state.over and not state.has_fired(book):
            state.over.remove(book)
            self._begin_uncross(book, InstrumentStatus.TRADING)
        else:
            state.concerned = Concern(book, fired=False)
        self._run_concerned()

    def _run_concerned(self) -> None:
        state = self.state
        concern, state.concerned, state.answered = state.concerned, None, None
        if concern is not None:
            give_turns(state, concern)
        state.concerned = None

    def _due(self) -> list[Due]:
        state = self.state
        lasting = [o for o in state.open if o.book not in state.uncrossing]
        entries = [(o.terms.expires_ns, 0, o.order_id, 0) for o in lasting]
        entries += [(hold.expires_ns, 1, hold.user, hold.hold_id) for hold in state.holds]
        entries += [(end_ns, 3, book, 0) for book, end_ns in state.interruptions.items()]
        entries += [e for e in self.lost if self.parked.get(e) not in state.uncrossing]
        return [e for e in entries if 0 < e[0] <= state.time_ns]

    def _expire(self, due: Due) -> None:
        _, kind, first_id, second_id = due
        self.acts_left[kind] -= 1
        self.state.effort += 1
        if kind == 0:
            self.state.expire(next(o for o in self.state.open if o.order_id == first_id))
        elif kind == 1:
            ids = (first_id, second_id)
            end_hold(self.state, next(h for h in self.state.holds if (h.user, h.hold_id) == ids))
        elif kind == 3:
            del self.state.interruptions[first_id]
            self.state.over.append(first_id)
        else:
            self._end_one(due)

    # --- sessions -------------------------------------------------------------------------------

    def attach(
        self, session: int, flags: int, grace_ms: int, key: int = 0, operator: bool = False
    ) -> None:
        """Let a connection take a session."""
        self.state.sequence += 1
        self.grants[session] = (flags, grace_ms)
        self.keys[session] = (key, operator)
        self._back(session)

    def detach(self, session: int) -> None:
        """Let a session lose its connection."""
        self.state.sequence += 1
        self.state.direct = False
        self._lose(session, self.grants[session][1])

    def _lose(self, session: int, grace_ms: int) -> None:
        theirs = self._orders_of(session)
        if theirs:
            end_ns = self.state.time_ns + grace_ms * 1_000_000
            self.lost.append((end_ns, 2, session, theirs[-1].order_id))
            self.lost = list(dict.fromkeys(self.lost))  # it may have come and gone in one batch
        while self.acts_left[2] and (due := self._begun(session)) and min(due) in self._due():
            self._expire(min(due))

    def close(self, session: int, flags: int) -> None:
        """Forget a session: its orders end as after a grace, or are ordinary ones from now on."""
        self.state.sequence += 1
        self.state.direct = False
        if not flags & LOGOUT_KEEP_ORDERS:
            self._lose(session, 0)
        elif not self._begun(session):
            for order in self._orders_of(session):
                order.session = 0

    def close_revoked(self) -> None:
        """Forget sessions whose key is gone, the first ones: a grace that they have is over."""
        self.state.direct = False
        for _ in range(min(len(self.revoked), self.state.limits.revocations)):
            session = self.revoked.pop(0)
            self.state.effort += 1
            self._back(session)
            self._lose(session, 0)

    def tick(self) -> None:
        """Do nothing, which takes a sequence."""
        self.state.sequence += 1

    def _back(self, session: int) -> None:
        begun = self._begun(session)
        self.lost = [due for due in self.lost if due[2] != session or due in begun]

    def _begun(self, session: int) -> list[Due]:
        now_ns = self.state.time_ns
        return [due for due in self.lost if due[2] == session and due[0] <= now_ns]

    def _orders_of(self, session: int) -> list[NaiveOrder]:
        theirs = [order for order in self.state.open if order.session == session]
        return sorted(theirs, key=lambda order: order.order_id)

    def _end_one(self, due: Due) -> None:
        session, newest = due[2:]
        ending = [order for order in self._orders_of(session) if order.order_id <= newest]
        if ending and ending[0].book in self.state.uncrossing:
            self.parked[due] = ending[0].book
            return
        if ending:
            legs = [order for order in (ending[0], ending[0].partner) if order is not None]
            end_all(self.state, legs, CancelReason.DISCONNECTED)
        if not [order for order in ending if order.live]:
            self.lost.remove(due)

    # --- commands and queries ---------------------------------------------------------------------

    def execute(self, user: int, command: Request, session: int) -> Reply:
        """Execute a command of a user's session and return its response."""
        state = self.state
        state.sequence += 1
        state.user, state.request_id, state.direct = user, command.request_id, False
        state.answered = None
        end_named(state, user, command)
        state.direct = True
        if isinstance(command, OrderCommand | SubmitOco | MassCancel):
            state.user = command.user or user
        state.key, state.operator = self.keys[session]
        bound = self.grants[session][0] & HELLO_CANCEL_ON_DISCONNECT
        state.session, state.session_flags = session, ORDER_CANCEL_ON_DISCONNECT if bound else 0
        response = self._respond(user, command)
        self._run_concerned()
        return response

    def answer(self, user: int, query: Request) -> Reply:
        """Answer a query of a user's session."""
        return naive_queries.answer(self.state, user, query)

    def taken_reports(self) -> list[Told]:
        """Return the reports since they were last taken, each with its user."""
        reports, self.state.reports = self.state.reports, []
        return reports

    # --- responses ------------------------------------------------------------------------------

    def _respond(self, user: int, command: Request) -> Reply:
        state = self.state
        if isinstance(command, OrderCommand):
            return self._order_command(state.user, command)
        if isinstance(command, Deposit | Withdraw | LockBalance | UnlockBalance | Transfer):
            return execute_movement(state, user, command)
        if isinstance(command, CaptureHold | ReleaseHold):
            return execute_hold(state, user, command)
        if isinstance(command, SubmitOco):
            return self._pair(state.user, command)
        if isinstance(command, MassCancel):
            return self._mass_cancel(state.user, command)
        if isinstance(command, BlockUser):
            return self._block(command)
        if isinstance(command, SetStatus):
            return self._set_status(command)
        if isinstance(command, Uncross):
            return self._uncross(command)
        if isinstance(command, SetFees):
            return self._set_fees(command)
        return execute_listing(state, user, command)

    def _order_command(self, user: int, command: OrderCommand) -> OrderResponse:
        state, kind = self.state, _ORDER_RESPONSES[type(command)]
        flags, before, trades = 0, _as_they_are(state), state.trades
        try:
            if isinstance(command, SubmitOrder):
                order = submit(state, user, command)
            elif isinstance(command, CancelOrder):
                order = cancel(state, user, command)
            else:
                order = replace_order(state, user, command)
        except Rejected as rejected:
            head = (command.request_id, rejected.flags, state.sequence, rejected.reason)
            return kind(*head, state.time_ns, OrderStatus.REJECTED, 0, 0, 0, 0, 0, 0, 0, 0)
        if not order.live and not order.cum and not order.reuses_id:
            state.ended.remove(order)  # nobody needs to ask: this response tells all of it
        fills = state.trades - trades
        if isinstance(command, ReplaceOrder) and not command.requeue:
            unchanged = not fills and before == _as_they_are(state)
            flags = FLAG_UNCHANGED if unchanged else 0
        start = (command.request_id, flags, state.sequence)
        return kind(
            *start, order.reason, state.time_ns, order.status(), order.order_id, order.leaves,
            order.cum, order.canceled, order.quote_total, fills, trades + 1 if fills else 0,
            order.fee_total,
        )  # fmt: skip

    def _pair(self, user: int, command: SubmitOco) -> OcoResponse:
        state, ids, reason, flags = self.state, (0, 0), RejectReason.NONE, 0
        try:
            ids = submit_pair(state, user, command)
        except Rejected as rejected:
            reason, flags = rejected.reason, rejected.flags
        return OcoResponse(command.request_id, flags, state.sequence, reason, state.time_ns, *ids)

    def _mass_cancel(self, user: int, command: MassCancel) -> MassCancelResponse:
        state, counts, reason = self.state, (0, 0), RejectReason.NONE
        try:
            counts = mass_cancel(state, user, command)
        except Rejected as rejected:
            reason = rejected.reason
        return MassCancelResponse(command.request_id, 0, state.sequence, reason, *counts)

    def _block(self, command: BlockUser) -> BlockUserResponse:
        state = self.state
        if command.blocked:
            try:
                check_parties(state, command.user)
            except Rejected as no:
                return BlockUserResponse(command.request_id, no.flags, state.sequence, no.reason, 0)
            admit(state, command.user)
            state.blocked.add(command.user)
        else:
            state.blocked.discard(command.user)
        left = [order for order in state.open if order.user == command.user]
        return BlockUserResponse(command.request_id, 0, state.sequence, 0, len(left))

    def _set_status(self, command: SetStatus) -> SetStatusResponse:
        state, book, reason, status = self.state, command.instrument, RejectReason.NONE, 0
        try:
            state.instrument(book)
            status = state.status(book)
            leaves_call = state.in_call(book) and command.status != status
            reject_if(leaves_call, RejectReason.CALL_OPEN)
            state.interruptions.pop(book, None)
            if status != command.status:
                self._become(book, command.status)
            status = command.status
        except Rejected as rejected:
            reason = rejected.reason
        return SetStatusResponse(command.request_id, 0, state.sequence, reason, status)

    def _become(self, book: int, status: InstrumentStatus) -> None:
        state = self.state
        waited = state.has_fired(book) and book not in state.unfinished()
        state.statuses[book] = status
        resumed = waited and book in state.unfinished()
        fire_by_last(state, book)
        if resumed:
            state.concerned = Concern(book, state.concerned is not None, resumed=True)

    def _uncross(self, command: Uncross) -> UncrossResponse:
        state, book = self.state, command.instrument
        price, volume, reason, state.direct = 0, 0, RejectReason.NONE, False
        try:
            state.instrument(book)
            reject_if(not state.in_call(book), RejectReason.NO_CALL)
            state.interruptions.pop(book, None)
            price, volume, _ = self._begin_uncross(book, InstrumentStatus(command.next_status))
        except Rejected as rejected:
            reason = rejected.reason
        head = (command.request_id, 0, state.sequence)
        return UncrossResponse(*head, reason, state.time_ns, price, volume)

    def _begin_uncross(self, book: int, next_status: InstrumentStatus) -> Cross:
        state = self.state
        cross = cross_now(state, book)
        levels = {(order.side, order.price) for order in state.resting(book)}
        state.effort += 1 + len(levels)
        self._uncross_part(book, cross, next_status, state.limits.uncross_fills)
        return cross

    def _uncross_part(
        self, book: int, cross: Cross, next_status: InstrumentStatus, fills_max: int
    ) -> None:
        self.state.direct = False
        left = uncross(self.state, book, cross, fills_max)
        if left:
            going = Uncrossing(cross.price, left, cross.surplus, next_status)
            self.state.uncrossing[book] = going
        else:
            if cross.price:
                advance(self.state, book)
            self._become(book, next_status)

    def _set_fees(self, command: SetFees) -> SetFeesResponse:
        reason, flags = RejectReason.NONE, 0
        try:
            set_fees(self.state, command)
        except Rejected as rejected:
            reason, flags = rejected.reason, rejected.flags
        return SetFeesResponse(command.request_id, flags, self.state.sequence, reason)
