"""One play of a core against the naive exchange: the same commands to both, all results compared.

Owns one Venue (the core under test, in frames), one NaiveExchange and one NaiveSession per
session. The Hypothesis machine and the seeded plays drive it; one thread. Relies on
naive_exchange.py for what should happen.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from random import Random
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from hpe.core.core import Run
from hpe.messages import (
    AMOUNT_MAX,
    HOUSE_USER,
    BalancesReply,
    BlockUser,
    CancelOrder,
    CaptureHold,
    Deposit,
    GetBalance,
    GetConservation,
    GetInstrument,
    GetOrder,
    GetOrderbook,
    InstrumentStatus,
    ListBalances,
    ListFills,
    ListHolds,
    ListInstruments,
    ListOrders,
    LockBalance,
    OrderbookReply,
    OrdersReply,
    ReleaseHold,
    ReplaceOrder,
    Reply,
    Request,
    Side,
    SubmitOrder,
    Transfer,
    Withdraw,
)
from tests.model.commands import CALLS, GIVEN, addressed, command_of, price_of, reopening
from tests.support.core_driver import Client, CoreFactory, Venue, decoded, frames_of
from tests.support.naive_exchange import NaiveExchange
from tests.support.naive_session import NaiveSession

USERS: Final = (1, 2, 3, 2)
"""One session each; two of them are of one user."""

WATCHER: Final = 9
"""The user of the session that asks the queries."""

OPEN_ORDERS_MAX: Final = 32
OPEN_ORDERS_PER_USER_MAX: Final = 14
"""Few, so that the limits are met."""

DEPOSITS: Final = {1: 150, 2: 4_000, 3: 2_000}
"""By asset; enough for some twenty orders, so that money runs out now and then."""

LOTS_MAX: Final = 300
WINDOW: Final = 4
CHECK_EVERY: Final = 10
QUERY_EVERY: Final = 6

_encode = msgspec.msgpack.Encoder().encode


class Step(NamedTuple):
    """A command with placeholders, who sends it, and how long after the one before.

    With a wait of 0 it is in the same batch.
    """

    place: int
    command: Request
    wait_ns: int


class Play:
    """The core and the naive exchange, side by side; `told` is what each user was told."""

    def __init__(
        self,
        new_core: CoreFactory,
        mood: int = 0,
        open_orders_max: int = OPEN_ORDERS_MAX,
        open_orders_per_user_max: int = OPEN_ORDERS_PER_USER_MAX,
    ) -> None:
        self.mood = mood
        self.venue = Venue(new_core)
        self.naive = NaiveExchange(open_orders_max, open_orders_per_user_max, auto_create=True)
        self.state = self.naive.state
        self.clients: list[Client] = []
        self.sessions: list[NaiveSession] = []
        self.sent: list[list[tuple[int, bytes]]] = [[] for _ in USERS]
        self.told: dict[int, int] = {}
        self.batches = 0
        self._open()

    def _open(self) -> None:
        self.venue.configure(
            open_orders_max=self.state.open_orders_max,
            open_orders_per_user_max=self.state.open_orders_per_user_max,
            auto_create=True,
        )
        self.state.sequence = 1
        for user in USERS:
            self.clients.append(self.attach(user, 0, WINDOW))
            self.sessions.append(NaiveSession(user, WINDOW))
        self.watcher = self.attach(WATCHER, 0, 1)
        given = list(GIVEN)
        given += [
            Deposit(1, asset, amount, user)
            for user in sorted(set(USERS))
            for asset, amount in DEPOSITS.items()
        ]
        self.execute([Step(0, command, 0) for command in given])

    # --- doing things -----------------------------------------------------------------------------

    def attach(self, user: int, session_id: int, window: int) -> Client:
        """Attach a client, which is a command of its own."""
        self.begin_batch(1)
        client = self.venue.attach(user, session_id, window)
        self.state.sequence += 1
        self.compare_reports()
        return client

    def begin_batch(self, wait_ns: int) -> None:
        """Let the naive exchange's time act as the next batch will let the core's."""
        self.naive.begin_batch(self.venue.time_ns + wait_ns)

    def choose(self, random: Random) -> Step:
        """Choose what happens next, mostly something that can be done as things are."""
        place, wait_ns = random.randrange(len(USERS)), random.choice((0, 1, 1, 1, 1, 1, 3))
        closed = [book for book, status in self.state.statuses.items() if status != 1]
        if closed and random.random() < (0.02 if self.mood == CALLS else 0.08):
            return Step(place, reopening(random, random.choice(closed)), wait_ns)
        if self.state.blocked and random.random() < 0.1:
            blocked = random.choice(sorted(self.state.blocked))
            return Step(place, BlockUser(1, blocked, False), wait_ns)
        command = command_of(random, self.mood)
        if random.random() < 0.9:
            place, command = self._aimed(random, place, command)
        return Step(place, command, wait_ns)

    def _aimed(self, random: Random, place: int, command: Request) -> tuple[int, Request]:
        """Let a command find what it is about, and come from whom that belongs to."""
        if isinstance(command, CaptureHold | ReleaseHold) and self.state.holds:
            hold = random.choice(self.state.holds)
            amount = random.choice((command.amount, hold.amount, hold.amount + 1))
            return place, replace(command, hold_id=hold.hold_id, amount=amount, user=hold.user)
        if isinstance(command, Withdraw | Transfer | LockBalance):
            available = self.state.account(command.user or USERS[place], command.asset)[0]
            amount = random.choice((command.amount, command.amount, available, available + 1))
            return place, replace(command, amount=min(max(1, amount), AMOUNT_MAX))
        if isinstance(command, SubmitOrder) and command.price and random.random() < 0.05:
            return place, self._affordable(random, USERS[place], command)
        if not isinstance(command, CancelOrder | ReplaceOrder) or not self.state.open:
            return place, command
        order = random.choice(self.state.open)
        age, place = self.state.orders - order.order_id, USERS.index(order.user)
        command = replace(command, order_id=age, client_order_id=0)
        if isinstance(command, ReplaceOrder):
            price = price_of(random, order.book) if command.price and order.is_limit else None
            stop_price = price_of(random, order.book) if command.stop_price else None
            stop_price = stop_price if order.waiting and not order.terms.trail else None
            command = replace(command, price=price, stop_price=stop_price)
        return place, command

    def _affordable(self, random: Random, user: int, command: SubmitOrder) -> SubmitOrder:
        """Let a limit order take all that a user has, or a little more."""
        if command.instrument > len(self.state.listings.instruments):
            return command
        listed = self.state.instrument(command.instrument)
        asset, atoms = listed.base, listed.base_atoms_per_lot
        if command.side is Side.BUY:
            asset, atoms = listed.quote, command.price * listed.quote_atoms_per_tick
        lots = self.state.account(user, asset)[0] // atoms
        few = min(lots, LOTS_MAX)  # an iceberg's slices are a fill each
        return replace(command, quantity=max(1, few + random.choice((0, 0, 1))))

    def execute(self, batch: Sequence[Step]) -> None:
        """Send one batch, each command a run of its own, and compare all that came of it."""
        wait_ns = max(1, batch[0].wait_ns)
        self.begin_batch(wait_ns)
        reports = self.naive.taken_reports()
        expected: dict[int, list[Reply]] = {client.attach_number: [] for client in self.clients}
        runs: list[Run] = []
        for place, command, _ in batch:
            client = self.clients[place]
            request = self.address(place, command)
            runs.append(client.run(request))
            response = self._expect(place, request)
            told = self.naive.taken_reports()
            direct = [report for _, report in told if report.request_id]
            expected[client.attach_number] += [*direct, response]
            reports += told
        runs.append(self.watcher.run_of(_LOOK_FRAMES))
        output = self.venue.apply(*runs, wait_ns=wait_ns)
        replies = {number: decoded(frames) for number, frames in output.replies}
        look = replies.pop(self.watcher.attach_number)
        assert replies.keys() <= expected.keys()
        for number, mine in expected.items():
            same(replies.get(number, []), mine, f"replies to connection {number}")
        assert output.last_sequence == self.state.sequence
        self.compare_private(reports)
        self.compare_look(look)
        self._check_now_and_then()

    def _expect(self, place: int, request: Request) -> Reply:
        """Let the naive exchange execute a command, and its session remember it."""
        response = self.naive.execute(self.clients[place].user, request)
        body = _encode(request)
        self.sessions[place].executed(request.request_id, body, _encode(response))
        self.sent[place].append((request.request_id, body))
        return response

    def address(self, place: int, command: Request) -> Request:
        """Give a command the next request id of its sender, and ids and times of this moment."""
        request_id = self.clients[place].next_id()
        return addressed(command, request_id, self.state.orders, self.state.time_ns)

    # --- comparing --------------------------------------------------------------------------------

    def compare_private(self, reports: Sequence[tuple[int, Reply]]) -> None:
        """Compare what users were told since the last comparison."""
        expected: dict[int, list[Reply]] = {}
        for user, report in reports:
            expected.setdefault(user, []).append(report)
        for user in self.venue.private.keys() | expected.keys():
            private = self.venue.private.get(user, [])
            told = self.told.get(user, 0)
            same(private[told:], expected.get(user, []), f"private reports of {user}")
            self.told[user] = len(private)

    def compare_reports(self) -> None:
        """Compare what users were told by a batch without responses to compare."""
        self.compare_private(self.naive.taken_reports())

    def compare_look(self, replies: list[Reply]) -> None:
        """Compare books and accounts, and test what must always hold of them."""
        owned: dict[int, int] = {}
        for query, reply in zip(_LOOK, replies, strict=True):
            if isinstance(reply, OrderbookReply):
                self._check_book(reply)
            elif isinstance(reply, BalancesReply):
                for asset, available, reserved, held, named in reply.rows:
                    owned[asset] = owned.get(asset, 0) + available + reserved + held
                    assert min(reserved, held, named, held - named) >= 0
            same([_without_count(reply)], [self.naive.answer(WATCHER, query)], query)
        owned = {asset: total for asset, total in owned.items() if total}
        assert owned == {asset: paid for asset, paid in self.state.net_deposits.items() if paid}

    def _check_book(self, reply: OrderbookReply) -> None:
        in_call = self.state.status(reply.instrument) is InstrumentStatus.CALL_AUCTION
        assert in_call or not reply.bids or not reply.asks or reply.bids[0][0] < reply.asks[0][0]

    def _check_now_and_then(self) -> None:
        self.batches += 1
        if self.batches % QUERY_EVERY == 0:
            self.compare_queries(Random(self.batches))
        if self.batches % CHECK_EVERY == 0:
            self.venue.core.check()

    def compare_queries(self, random: Random) -> None:
        """Compare the answers to all kinds of queries, whole and in pages."""
        queries = _queries(random, self.state.orders)
        output = self.venue.apply(self.watcher.run(*queries))
        assert output.body == b""
        for query, reply in zip(queries, self.watcher.replies(output), strict=True):
            if isinstance(reply, OrdersReply):
                assert all(
                    row.quantity == row.leaves + row.cum + row.canceled for row in reply.rows
                )
            same([_without_count(reply)], [self.naive.answer(WATCHER, query)], query)


def same(found: Sequence[Reply], expected: Sequence[Reply], what: str | Request) -> None:
    """Compare messages; where they differ, say so in few lines. `what` is what they are about."""
    if list(found) == list(expected):
        return
    lines = [f"{described(what)}: found {len(found)}, expected {len(expected)}"]
    for one, other in zip_longest(found, expected):
        if one != other:
            lines += [f"  found    {described(one)}", f"  expected {described(other)}"]
    raise AssertionError("\n".join(lines))


def described(value: object) -> str:
    """Write a message with its type and the fields that are not at their defaults."""
    if not isinstance(value, msgspec.Struct):
        return str(list(map(described, value)) if isinstance(value, list) else value)
    defaults = {field.name: field.default for field in msgspec.structs.fields(value)}
    given = {name: getattr(value, name) for name in value.__struct_fields__}
    shown = [f"{n}={described(v)}" for n, v in given.items() if v != defaults[n]]
    return f"{type(value).__name__}({', '.join(shown)})"


def _without_count(reply: Reply) -> Reply:
    if isinstance(reply, OrderbookReply):
        return replace(reply, book_sequence=0)
    return reply


_EVERYBODY: Final = (*sorted(set(USERS)), 7, HOUSE_USER)
_LOOK: Final[tuple[Request, ...]] = (
    *(GetOrderbook(1, instrument, 30) for instrument in range(1, 5)),
    *(ListBalances(1, 0, 1_000, user) for user in _EVERYBODY),
)
_LOOK_FRAMES: Final = frames_of(_LOOK)


def _queries(random: Random, orders: int) -> list[Request]:
    some_order, user = max(1, orders - random.randint(0, 9)), random.choice(_EVERYBODY)
    after, limit = random.randint(0, 6), random.randint(1, 4)
    book = random.randint(1, 9)
    return [
        *(GetOrder(1, some_order, 0, owner) for owner in _EVERYBODY[:3]),
        GetOrder(1, 0, random.randint(1, 4), user),
        GetOrder(1, after, after % 2, user),
        *(ListOrders(1, 0, 0, 1_000, owner) for owner in _EVERYBODY[:3]),
        ListOrders(1, book, max(0, orders - 10), limit, user),
        ListFills(1, 0, 1_000, user),
        ListFills(1, after, limit, user),
        ListBalances(1, after % 3, limit, user),
        ListHolds(1, 0, 1_000, user),
        ListHolds(1, after % 3, limit, user),
        GetInstrument(1, book),
        GetInstrument(1, 1 + book % 4),
        GetInstrument(1, 1 + (book + 1) % 4),
        ListInstruments(1, after, limit),
        GetOrderbook(1, book, limit),
        GetConservation(1, 1 + after),
        GetBalance(1, 1 + after, user),
    ]
