"""One play of a core against the naive exchange: the same commands to both, all results compared.

Owns one Venue (the core under test, in frames), one NaiveExchange, the clients' seats and the
subscribers to market data. The Hypothesis machine and the seeded plays drive it; one thread.
Relies on naive_exchange.py for what should happen.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from random import Random
from typing import Final

import msgspec
from msgspec import structs
from msgspec.structs import replace

from hpe.core.contract import DEFAULT_LIMITS, SYSTEM_CONNECTION, Limits, Run
from hpe.protocol.base import Reply, Request
from hpe.protocol.control import Error
from hpe.protocol.enums import InstrumentStatus, Side, TimeInForce
from hpe.protocol.internal import KeysValid, PlaceLimits
from hpe.protocol.limits import AMOUNT_MAX, HOUSE_USER
from hpe.protocol.listings import GetInstrument, ListInstruments
from hpe.protocol.market_data import GetOrderbook, OrderbookReply
from hpe.protocol.money import (
    BalancesReply,
    CaptureHold,
    Deposit,
    GetBalance,
    ListBalances,
    ListHolds,
    LockBalance,
    ReleaseHold,
    Transfer,
    Withdraw,
)
from hpe.protocol.operations import BlockUser, GetConservation
from hpe.protocol.orders import (
    CancelOrder,
    GetOrder,
    ListFills,
    ListOrders,
    OrdersReply,
    ReplaceOrder,
    SubmitOrder,
)
from hpe.protocol.reports import BalanceReport
from tests.model.comings import VALID_KEYS, attachment, departure
from tests.model.commands import (
    CALLS,
    GIVEN,
    NEWCOMERS,
    UNIT_NS,
    command_of,
    price_of,
    reopening,
)
from tests.model.market_watch import MarketWatch
from tests.model.seats import USERS, PlayStep, Seats, without_words
from tests.support.core_driver import (
    CoreFactory,
    Venue,
    VenueClient,
    decoded,
    frames_of,
    internal_replies,
)
from tests.support.naive_asking import ask, subscribe
from tests.support.naive_exchange import NaiveExchange
from tests.support.naive_state import Account

WATCHER: Final = 9
"""The user of the sessions that ask the queries and subscribe to market data."""

OPEN_ORDERS_MAX: Final = 32
OPEN_ORDERS_PER_USER_MAX: Final = 14
PLACES: Final = PlaceLimits(
    users_max=8, accounts_max=18, holds_max=4, holds_per_user_max=2, assets_max=8,
    assets_per_user_max=4, instruments_max=12, instruments_per_user_max=5, key_share_percent=15,
)  # fmt: skip
"""Few, so that the limits are met."""

_WAITS: Final = (0, 1, 1, 1, 1, 1, 3)
_WAITS_OF_A_CROWD: Final = (0, 0, 0, 0, 1, 3)
"""Batches of several commands, so that what one costs is seen by the next."""

DEPOSITS: Final = {1: 150, 2: 4_000, 3: 2_000}
"""By asset; enough for some twenty orders, so that money runs out now and then."""

LOTS_MAX: Final = 300
CHECK_EVERY: Final = 10
QUERY_EVERY: Final = 6
NOTHING: Final = (0, 0, 0, 0)


_encode = msgspec.msgpack.Encoder().encode


class Play:
    """The core and the naive exchange, side by side; `told` is what each user was told."""

    def __init__(
        self,
        new_core: CoreFactory,
        mood: int = 0,
        open_orders_max: int = OPEN_ORDERS_MAX,
        open_orders_per_user_max: int = OPEN_ORDERS_PER_USER_MAX,
        places: PlaceLimits = PLACES,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.mood = mood
        self.waits = _WAITS if limits is DEFAULT_LIMITS else _WAITS_OF_A_CROWD
        self.venue = Venue(new_core, limits)
        self.venue.pace_ns = UNIT_NS
        self.naive = NaiveExchange(open_orders_max, open_orders_per_user_max, True, places)
        self.state = self.naive.state
        self.state.limits = limits
        self.seats = Seats(self.venue, self.naive)
        self.told: dict[int, int] = {}
        self.told_balances: dict[int, int] = {}
        self.accounts: dict[tuple[int, int], Account] = {}
        self.batches = 0
        self._open()

    def _open(self) -> None:
        self.venue.configure(
            open_orders_max=self.state.open_orders_max,
            open_orders_per_user_max=self.state.open_orders_per_user_max,
            auto_create=True,
            **structs.asdict(self.state.places),
        )
        self.state.sequence = 1
        for place, user in enumerate(USERS):
            self.attach(user, place)
        self.watcher = self.attach(WATCHER)
        self.watch = MarketWatch(self.venue, self.state, self.attach(WATCHER))
        given = list(GIVEN)
        given += [
            Deposit(1, asset, amount, user)
            for user in sorted(set(USERS))
            for asset, amount in DEPOSITS.items()
        ]
        self.execute([PlayStep(0, command, 0) for command in given])

    # --- doing things -----------------------------------------------------------------------------

    def attach(self, user: int, place: int | None = None) -> VenueClient:
        """Begin a session, which is a command and a batch of its own."""
        self.begin_batch(UNIT_NS)
        client = self.seats.open(user, place)
        self.compare_reports()
        return client

    def begin_batch(self, wait_ns: int) -> None:
        """Let the naive exchange's time act as the next batch will let the core's."""
        self.naive.begin_batch(self.venue.time_ns + wait_ns)
        self.seats.forget_revoked()

    def choose(self, random: Random) -> PlayStep:
        """Choose what happens next, mostly something that can be done as things are."""
        place, wait = random.randrange(len(USERS)), random.choice(self.waits)
        if self.naive.lost and random.random() < 0.05:
            # The end of a grace, or just before it.
            left = (min(self.naive.lost)[0] - self.venue.time_ns) // UNIT_NS
            wait = max(wait, left - random.choice((0, 0, 1)))
        away = [n for n, session in enumerate(self.seats.sessions) if not session.attach_number]
        if away and random.random() < 0.15:
            return PlayStep(random.choice(away), attachment(random), wait)
        if self.seats.revoked and random.random() < 0.05:
            return PlayStep(place, KeysValid(1, list(VALID_KEYS)), wait)
        if random.random() < 0.012:
            return PlayStep(place, departure(random), wait)
        closed = [book for book, status in self.state.statuses.items() if status != 1]
        if closed and random.random() < (0.02 if self.mood == CALLS else 0.08):
            return PlayStep(place, reopening(random, random.choice(closed)), wait)
        if self.state.blocked and random.random() < 0.1:
            blocked = random.choice(sorted(self.state.blocked))
            return PlayStep(place, BlockUser(1, blocked, False), wait)
        command = command_of(random, self.mood)
        if random.random() < 0.9:
            place, command = self._aimed(random, place, command)
        return PlayStep(place, command, wait)

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
            return place, self._affordable(random, command.user or USERS[place], command)
        if not isinstance(command, CancelOrder | ReplaceOrder) or not self.state.open:
            return place, command
        order = random.choice(self.state.open)
        age = self.state.orders - order.order_id
        command = replace(command, order_id=age, client_order_id=0, user=order.user)
        if random.random() < 0.8:
            place = random.choice([n for n, user in enumerate(USERS) if user == order.user])
            command = replace(command, user=0)
        if isinstance(command, ReplaceOrder):
            price = price_of(random, order.book) if command.price and order.is_limit else None
            stop_price = price_of(random, order.book) if command.stop_price else None
            stop_price = stop_price if order.waiting and not order.terms.trail else None
            command = replace(command, price=price, stop_price=stop_price)
            if random.random() < 0.15:  # it stays as it is, or nearly
                leaves = max(order.leaves - random.choice((0, 0, 1)), 0)
                command = replace(command, quantity=None, leaves_quantity=leaves, price=None)
            is_gtd = order.time_in_force is TimeInForce.GTD
            if command.expires_ns and not is_gtd and random.random() < 0.9:
                command = replace(command, expires_ns=0, leaves_quantity=order.leaves)
        return place, command

    def _affordable(self, random: Random, user: int, command: SubmitOrder) -> SubmitOrder:
        """Let a limit order take all that a user has, or a little more."""
        if command.instrument not in self.state.listings.instruments:
            return command
        listed = self.state.instrument(command.instrument)
        asset, atoms = listed.base, listed.base_atoms_per_lot
        if command.side is Side.BUY:
            asset, atoms = listed.quote, command.price * listed.quote_atoms_per_tick
        lots = self.state.account(user, asset)[0] // atoms
        few = min(lots, LOTS_MAX)  # an iceberg's slices are a fill each
        return replace(command, quantity=max(1, few + random.choice((0, 0, 1))))

    def execute(self, batch: Sequence[PlayStep]) -> None:
        """Send one batch, each step a run of its own, and compare all that came of it."""
        wait_ns, count = max(1, batch[0].wait) * UNIT_NS, len(batch)
        # What subscribers do depends on the step alone: leaving others out changes it little.
        random = Random(_encode(batch[0].command))
        self.state.wasted = self.state.asked = 0
        listener, subscribes = self.watch.client, self.watch.choose(random)
        accepted, at = set[int](), random.randint(0, count)
        # Time acts before the first command: a subscribe before that costs what there was.
        first = next((n for n, step in enumerate(batch) if self.seats.is_logged(step)), count)
        early = at < count and at <= first and not self.naive.unfinished
        if subscribes and early:
            accepted = subscribe(self.state, subscribes, self.watch.told)
        begins = first < count or self.naive.unfinished
        if begins:
            self.begin_batch(wait_ns)
        reports = self.naive.taken_reports()
        expected: dict[int, list[Reply]] = {}
        runs: list[Run] = []
        for number, step in enumerate(batch):
            if subscribes and number == at:
                runs.append(listener.run(*subscribes))
                if not early:
                    accepted = subscribe(self.state, subscribes, self.watch.told)
            run, connection, replies = self.seats.carry_out(step, reports)
            runs.append(run)
            expected.setdefault(connection, []).extend(replies)
        runs.append(self.watcher.run_of(_LOOK_FRAMES))
        shown = self._end_batch(_LOOK, begins=begins)
        if subscribes and at == count:
            runs.append(listener.run(*subscribes))
            accepted = subscribe(self.state, subscribes, self.watch.told)
        output = self.venue.apply(*runs, wait_ns=wait_ns)
        replies_to = dict(output.replies)
        snapshots = decoded(replies_to.pop(listener.attach_number, b""))
        look = decoded(replies_to.pop(self.watcher.attach_number))
        assert replies_to.keys() <= expected.keys()
        for number, mine in expected.items():
            decode = internal_replies if number == SYSTEM_CONNECTION else decoded
            found = list(map(without_words, decode(replies_to.get(number, b""))))
            same(found, mine, f"replies to connection {number}")
        assert output.last_sequence == self.state.sequence
        self.compare_private(reports)
        self.compare_balances()
        self.watch.absorb(snapshots, accepted, late=output.late)
        if output.late:
            self._make_up()
        self.compare_look(look, shown)
        self._check_now_and_then()

    def _make_up(self) -> None:
        """Let batches make up for market data that is late, if nothing else would go on in them."""
        late = True
        while late and not self.naive.unfinished:
            output = self.venue.apply()
            assert not output.body
            late = output.late
        self.watch.absorb([], set(), late=late)

    def _end_batch(self, queries: Sequence[Request], *, begins: bool) -> list[Reply]:
        """Answer the queries at the end of a batch, which has a command if it begins at all."""
        answers = [ask(self.state, WATCHER, query) for query in queries]
        if begins and self.state.sequence == self.naive.begun_at:
            self.naive.tick()  # time acts with a command only
        return answers

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

    def compare_balances(self) -> None:
        """Compare what users were told of their accounts: what differs from before, by asset."""
        before, self.accounts = self.accounts, self.state.accounts()
        expected: dict[int, list[BalanceReport]] = {}
        for user, asset in sorted(before.keys() | self.accounts.keys()):
            account = self.accounts.get((user, asset), NOTHING)
            if user != HOUSE_USER and account != before.get((user, asset), NOTHING):
                number = self.state.private[user] = self.state.private.get(user, 0) + 1
                head = (0, 0, number, self.state.sequence, self.state.time_ns)
                expected.setdefault(user, []).append(BalanceReport(*head, asset, *account))
        for user in self.venue.balances.keys() | expected.keys():
            reports = self.venue.balances.get(user, [])
            fresh = reports[self.told_balances.get(user, 0) :]
            same(fresh, expected.get(user, []), f"accounts of {user}")
            self.told_balances[user] = len(reports)

    def compare_reports(self) -> None:
        """Compare what users were told by a batch without responses to compare."""
        self.compare_private(self.naive.taken_reports())
        self.compare_balances()

    def compare_look(self, replies: list[Reply], expected: list[Reply]) -> None:
        """Compare books and accounts, and test what must always hold of them."""
        owned: dict[int, int] = {}
        for query, reply, shown in zip(_LOOK, replies, expected, strict=True):
            if isinstance(reply, OrderbookReply):
                self._check_book(reply)
                self.watch.compare_count(reply)
            elif isinstance(reply, BalancesReply):
                for asset, available, reserved, held, named in reply.rows:
                    owned[asset] = owned.get(asset, 0) + available + reserved + held
                    assert min(reserved, held, named, held - named) >= 0
            same([_without_count(reply)], [shown], query)
        if any(isinstance(reply, Error) for reply in replies):
            return
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
        self.state.asked, goes_on = 0, self.naive.unfinished
        if goes_on:
            self.begin_batch(UNIT_NS)
        output = self.venue.apply(self.watcher.run(*queries))
        assert bool(output.body) is goes_on
        expected = self._end_batch(queries, begins=goes_on)
        self.compare_reports()
        replies = self.watcher.replies(output)
        for query, reply, shown in zip(queries, replies, expected, strict=True):
            if isinstance(reply, OrdersReply):
                assert all(
                    row.quantity == row.leaves + row.cum + row.canceled for row in reply.rows
                )
            same([_without_count(reply)], [shown], query)


def same(found: Sequence[Reply], expected: Sequence[Reply], what: str | Request) -> None:
    """Compare messages; where they differ, say so in few lines. `what` is what they are about."""
    if list(found) == list(expected):
        return
    lines = [described(what)]
    if len(found) != len(expected):
        lines[0] += f": found {len(found)}, expected {len(expected)}"
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
    return without_words(reply)


_EVERYBODY: Final = (*sorted({*USERS, *NEWCOMERS}), HOUSE_USER)
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
