"""A random stream of everything that a core may be given, on one venue, from one seed.

Clients send commands, queries, repeats, requests with extreme values, bytes that are no protocol;
the service attaches, detaches, closes, ticks, configures and says which keys are valid; market data
is wanted and not. What the core answers is read only as far as needed to aim at what is there, and
counted. Owns the connections of one venue; one thread.
"""

from __future__ import annotations

from collections import Counter, deque
from random import Random
from typing import Final

import msgspec
from msgspec.structs import replace

from hpe.core.codec import decode_body
from hpe.core.contract import SYSTEM_CONNECTION, Run
from hpe.errors import ConfigError
from hpe.pipeline.clock import WALL_NS_MAX
from hpe.protocol.base import Reply, Request, type_number
from hpe.protocol.codes import CancelReason, ErrorCode, RejectReason
from hpe.protocol.control import Error
from hpe.protocol.enums import Channel, DetachCause, InstrumentStatus, OrderStatus, Role
from hpe.protocol.flags import LOGOUT_KEEP_ORDERS
from hpe.protocol.frames import chunk_of
from hpe.protocol.internal import (
    KeySetting,
    KeysValid,
    SessionAttached,
    SessionAttachedResponse,
    SessionClosed,
    SessionDetached,
    Tick,
)
from hpe.protocol.limits import AMOUNT_MAX
from hpe.protocol.money import Deposit, Transfer
from hpe.protocol.operations import BlockUser, SetStatus, Uncross
from hpe.protocol.orders import CancelOrder, ReplaceOrder
from hpe.protocol.registry import COMMANDS, CONTROL, QUERIES
from hpe.protocol.reports import OrderReport
from tests.model.commands import CALLS, GIVEN, UNIT_NS, addressed, command_of, reopening
from tests.model.stream_limits import WINDOW_MAX, small_settings
from tests.model.stream_requests import crossing, extreme, jump, listing_of, looks, query_of, stops
from tests.support.core_driver import (
    Venue,
    bodies_of,
    decoded,
    framed,
    frames_of,
    internal_replies,
)
from tests.support.hostile_frames import hostile_bodies
from tests.support.listed import Listed
from tests.support.naive_permissions import permitted, users_of

_encode = msgspec.msgpack.Encoder().encode
_ROLES: Final = (
    (1, Role.ANONYMOUS, 0), (2, Role.ANONYMOUS, 0), (3, Role.ANONYMOUS, 0), (2, Role.TRADER, 1),
    (1, Role.GATEWAY, 2), (4, Role.OPERATOR, 3), (3, Role.MARKET_DATA, 4), (5, Role.TRADER, 1),
    (6, Role.ANONYMOUS, 0), (6, Role.OPERATOR, 3),
)  # fmt: skip
"""User, role and key of those who come."""

SEATS_MAX: Final = 14
AT_ONCE: Final = 1
_KEYS: Final = ((1, Role.TRADER), (2, Role.GATEWAY), (3, Role.OPERATOR), (4, Role.MARKET_DATA))
_MARKS: Final = (ErrorCode.BUSY, ErrorCode.THROTTLED, ErrorCode.SHUTTING_DOWN)
_PAIRS: Final = tuple((book, channel) for book in range(1, 7) for channel in Channel)


class Seat:
    """One session, as far as its client knows; `number` is its attachment, 0 while it has none."""

    def __init__(self, user: int, role: Role, key: int) -> None:
        self.user, self.role, self.key = user, role, key
        self.session_id = self.number = self.last_id = 0
        self.sent: deque[bytes] = deque(maxlen=3 * WINDOW_MAX)


class RandomStream:
    """Drives one venue; `reached` counts what was sent, executed and refused, by its name."""

    def __init__(self, venue: Venue, seed: int, mood: int) -> None:
        self.venue = venue
        self.random = Random(seed)
        self.mood = mood
        self.hostile = hostile_bodies(seed)
        self.reached: Counter[str] = Counter()
        self.seats = [Seat(*row) for row in _ROLES[:6]]
        self.orders: deque[tuple[int, int]] = deque(maxlen=24)  # open ones: (user, id)
        self.last_order_id = 0
        self.closed: dict[int, InstrumentStatus] = {}
        self._attaching: dict[int, Seat] = {}
        self._open()

    def _open(self) -> None:
        venue = self.venue
        venue.pace_ns = UNIT_NS
        settings = small_settings(self.random)
        venue.internal(replace(settings, assets=[], instruments=[]))
        for seat in self.seats:
            self._apply([self._attach(seat)], UNIT_NS)
        given: list[Request] = [*GIVEN]
        given += [Deposit(1, a, 20_000, user) for a in (1, 2, 3) for user in (1, 2, 3, 4)]
        for command in given:
            self._apply([self._run(self.seats[0], [self._numbered(self.seats[0], command)])], 1)

    # --- what comes -------------------------------------------------------------------------------

    def step(self) -> None:
        """Send one batch."""
        random, venue = self.random, self.venue
        if random.random() < 0.1:
            some = random.sample(_PAIRS, random.choice((0, 3, 12, len(_PAIRS))))
            venue.wanted = set(some)
        self._apply(self._looks() or self._runs(), self._wait())

    def _looks(self) -> list[Run]:
        """Now and then only ask: what would an uncross do, before anything else happens."""
        random, there = self.random, self._there()
        likely = 0.3 if self.venue.core.next_due_ns == AT_ONCE else 0.06
        if not there or random.random() > likely:
            return []
        seat = random.choice(there)
        return [self._run(seat, [self._numbered(seat, query) for query in looks(random)])]

    def _runs(self) -> list[Run]:
        random = self.random
        runs: list[Run] = []
        for _ in range(random.choice((0, 1, 1, 1, 2, 2, 3, 4))):
            there = self._there()
            if not there or random.random() < 0.12:
                runs += self._internal()
            else:
                runs.append(self._client(random.choice(there)))
        return runs

    def _there(self) -> list[Seat]:
        return [seat for seat in self.seats if seat.number]

    def _wait(self) -> int:
        random, due_ns = self.random, self.venue.core.next_due_ns
        left_ns = due_ns - self.venue.time_ns
        within_reach = left_ns > 0 and due_ns < WALL_NS_MAX  # no clock comes to what is after that
        if within_reach and random.random() < 0.1:
            return max(1, left_ns + random.choice((-1, 0, 0, UNIT_NS)))
        return random.choice((1, UNIT_NS, UNIT_NS, UNIT_NS, 3 * UNIT_NS, 30 * UNIT_NS))

    def _client(self, seat: Seat) -> Run:
        """Make a run of one client, now and then of a connection that lost its session."""
        random = self.random
        bodies = [self._body(seat) for _ in range(random.choice((1, 1, 1, 2, 3, 6)))]
        if seat.role in (Role.ANONYMOUS, Role.OPERATOR) and random.random() < 0.06:
            bodies += [self._numbered(seat, request) for request in self._crowd()]
        number = seat.number if random.random() < 0.98 else random.randint(1, seat.number)
        admit = random.choice(_MARKS) if random.random() < 0.04 else 0
        return Run(number, number, admit, chunk_of(b"".join(map(framed, bodies))))

    def _run(self, seat: Seat, bodies: list[bytes]) -> Run:
        return Run(seat.number, seat.number, 0, chunk_of(b"".join(map(framed, bodies))))

    def _body(self, seat: Seat) -> bytes:
        random, chance = self.random, self.random.random()
        if chance < 0.04 and seat.sent:
            body = random.choice(seat.sent)
            return body if random.random() < 0.7 else body[:-1] + b"\x01"
        if chance < 0.06:
            return next(self.hostile)
        if chance < 0.07:
            message = random.choice((*CONTROL, *QUERIES, *COMMANDS))
            return bytes([0x92, type_number(message), 1])
        body = self._numbered(seat, self._request(seat))
        return body if random.random() < 0.97 else extreme(random, body)

    def _request(self, seat: Seat) -> Request:
        """Make a request, mostly one that the session may send."""
        users = _users_of(seat)
        for _ in range(20):
            request = self._some_request(seat)
            if permitted(seat.role, users, seat.user, request) or self.random.random() < 0.03:
                break
        return request

    def _some_request(self, seat: Seat) -> Request:
        random, chance = self.random, self.random.random()
        if chance < 0.14:
            return query_of(random, seat.user, self.last_order_id)
        if chance < (0.16 if self.mood == CALLS else 0.20):
            return self._reopening()
        if chance < 0.21:
            book = random.randint(1, 4)
            self.closed[book] = InstrumentStatus.CALL_AUCTION
            return SetStatus(1, book, InstrumentStatus.CALL_AUCTION)
        if chance < 0.22:
            return BlockUser(1, random.randint(1, 3), False)
        if chance < 0.25:
            asset, user = random.randint(1, 5), random.choice((0, 0, 1, 2, 3, 9))
            amount = AMOUNT_MAX if random.random() < 0.02 else random.randint(1, 900)
            return Deposit(1, asset, amount, user)
        if chance < 0.26:
            return listing_of(random)
        if seat.role is Role.GATEWAY and chance < 0.35:
            return Transfer(1, random.randint(1, 3), 5, random.randint(5, 14), 1)
        command = command_of(random, self.mood)
        if isinstance(command, SetStatus):
            self.closed[command.instrument] = InstrumentStatus(command.status)
        return self._aimed(seat, command)

    def _crowd(self) -> list[Request]:
        """Make orders that belong together: what is left over of them goes on in later bodies."""
        random, calls = self.random, InstrumentStatus.CALL_AUCTION
        in_call = [book for book, status in sorted(self.closed.items()) if status is calls]
        if in_call and random.random() < 0.6:
            return crossing(random, random.choice(in_call))
        if random.random() < 0.3:
            return jump(random, 4)
        return stops(random, random.randint(1, 4))

    def _reopening(self) -> Request:
        """Let an instrument trade again, mostly one that was closed, at its price after a call."""
        random = self.random
        if not self.closed or random.random() < 0.1:
            return reopening(random, random.randint(1, 5))
        book = random.choice(sorted(self.closed))
        status = self.closed.pop(book)
        if status is InstrumentStatus.CALL_AUCTION and random.random() < 0.9:
            return Uncross(1, book)
        return SetStatus(1, book, InstrumentStatus.TRADING)

    def _numbered(self, seat: Seat, request: Request) -> bytes:
        """Encode a request under the next id, which leaves one out now and then."""
        seat.last_id += 1 if self.random.random() < 0.97 else 3
        now_ns = self.venue.core.last_time_ns
        if not isinstance(request, CancelOrder | ReplaceOrder) or request.order_id <= 14:
            request = addressed(request, seat.last_id, self.last_order_id, now_ns)
        body = _encode(replace(request, request_id=seat.last_id))
        seat.sent.append(body)
        return body

    def _aimed(self, seat: Seat, command: Request) -> Request:
        """Let most commands about orders name one that is open."""
        random = self.random
        if not isinstance(command, CancelOrder | ReplaceOrder) or random.random() < 0.2:
            return command
        mine = [row for row in self.orders if row[0] == seat.user] or list(self.orders)
        if not mine:
            return command
        user, order_id = random.choice(mine)
        return replace(command, order_id=order_id, client_order_id=0, user=user)

    # --- what the service itself says -------------------------------------------------------------

    def _internal(self) -> list[Run]:
        random, chance = self.random, self.random.random()
        away = [seat for seat in self.seats if not seat.number]
        if chance < 0.45 and away:
            return [self._attach(random.choice(away))]
        if chance < 0.55:
            if len(self.seats) >= SEATS_MAX:
                self.seats.pop(random.randrange(6, SEATS_MAX))
            self.seats.append(Seat(*random.choice(_ROLES)))
            return [self._attach(self.seats[-1])]
        if chance < 0.60:
            return [self._attach(random.choice(self.seats))]
        if chance < 0.85:
            return [self._leave(random.choice(self.seats))]
        if chance < 0.92:
            return [self._system(Tick(random.randint(1, 9)))]
        return self._settings()

    def _system(self, *commands: Request) -> Run:
        return Run(SYSTEM_CONNECTION, 0, 0, chunk_of(frames_of(commands)))

    def _attach(self, seat: Seat) -> Run:
        random, number = self.random, next(self.venue.attach_numbers)
        self._attaching[number] = seat
        guesses = random.random() < 0.05 and self.last_order_id
        session_id = random.randint(0, 9) if guesses else seat.session_id
        return self._system(
            SessionAttached(
                number, session_id, seat.user, random.choice((0, 0, 1, 3, WINDOW_MAX, 64)),
                seat.role, *_users_of(seat), random.randint(0, 1), random.choice((0, 0, 2, 20)),
                seat.key,
            )
        )  # fmt: skip

    def _leave(self, seat: Seat) -> Run:
        random, number = self.random, seat.number or 1
        if random.random() < 0.05:
            number = random.randint(1, number)
        elif seat.number:
            seat.number = 0
        if random.random() < 0.75:
            cause = random.choice(tuple(DetachCause))
            return self._system(SessionDetached(number, seat.session_id or 1, number, cause))
        if seat.number == 0:
            session_id, seat.session_id, seat.last_id = seat.session_id, 0, 0
            seat.sent.clear()
        else:
            session_id = seat.session_id
        flags = random.choice((0, LOGOUT_KEEP_ORDERS))
        return self._system(SessionClosed(number, session_id or 1, number, flags))

    def _settings(self) -> list[Run]:
        """Configure, or tell which keys are valid: what differs, as the service does."""
        random, core = self.random, self.venue.core
        try:
            if random.random() < 0.5:
                configure = core.configuration_differences(small_settings(random))
                return [self._system(configure)] if configure is not None else []
        except ConfigError:
            self.reached["ConfigError"] += 1
            return []
        rows = [KeySetting(*row) for row in _KEYS if random.random() < 0.85]
        keys = core.configuration_differences(KeysValid(1, rows))
        return [self._system(keys)] if keys is not None else []

    # --- what became of it ------------------------------------------------------------------------

    def _apply(self, runs: list[Run], wait_ns: int) -> None:
        output = self.venue.apply(*runs, wait_ns=wait_ns)
        for run in runs:
            if run.connection:
                self.reached.update(f"sent {_kind(body)}" for body in run.chunk.bodies)
        for number, frames in output.replies:
            replies = decoded(frames) if number else internal_replies(frames)
            for reply in replies:
                self._read(reply)
        for seat in self.seats:
            if seat.number in output.cut:
                seat.number = 0
                self.reached["cut"] += 1
        self._read_private(output)
        if output.body:
            for session, _, frames in decode_body(output.body).groups:
                if not session:
                    self.reached.update(f"internal {_kind(body)}" for body in bodies_of(frames))

    def _read(self, reply: Reply) -> None:
        if isinstance(reply, SessionAttachedResponse):
            self._attached(reply)
        elif isinstance(reply, Error):
            self.reached[f"error {ErrorCode(reply.code).name}"] += 1
        elif type_number(type(reply)) < 112:
            reason = getattr(reply, "reason", 0)
            if reason >= CancelReason.REQUESTED:
                self.reached[f"ended {CancelReason(reason).name}"] += 1
                reason = 0
            elif reason:
                self.reached[f"reject {RejectReason(reason).name}"] += 1
            self.reached[f"{'refused' if reason else 'done'} {type_number(type(reply))}"] += 1

    def _attached(self, reply: SessionAttachedResponse) -> None:
        seat = self._attaching.pop(reply.request_id)
        if reply.error:
            self.reached[f"attach {ErrorCode(reply.error).name} {reply.limit}"] += 1
            if reply.error == ErrorCode.UNKNOWN_SESSION:
                seat.session_id = 0
            return
        if reply.session_id != seat.session_id:
            seat.sent.clear()
        for other in self.seats:
            if other is not seat and other.session_id == reply.session_id:
                other.session_id = other.number = 0
        seat.session_id, seat.number = reply.session_id, reply.request_id
        seat.last_id = reply.last_request_id

    def _read_private(self, output: Listed) -> None:
        """Note who has which orders, and why others ended."""
        for user, *_, frame in output.private:
            (update,) = decoded(frame)
            for report in update.reports:
                if isinstance(report, OrderReport):
                    self._read_order(user, report)

    def _read_order(self, user: int, report: OrderReport) -> None:
        self.last_order_id = max(self.last_order_id, report.order_id)
        row = (user, report.order_id)
        if report.reason:
            self.reached[f"ended {CancelReason(report.reason).name}"] += 1
        if report.status in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED):
            if row not in self.orders:
                self.orders.append(row)
        elif row in self.orders:
            self.orders.remove(row)


def _users_of(seat: Seat) -> tuple[int, int]:
    """Return for which users a session may act."""
    first, last = (1, 14) if seat.role is Role.GATEWAY else (seat.user, seat.user)
    return users_of(seat.role, first, last)


def _kind(body: bytes) -> int:
    """Return the type number of a body that has one where it should be."""
    if len(body) > 1 and body[0] >> 4 == 9:
        return body[1]
    return body[3] if len(body) > 3 and body[0] == 0xDC else 0
