"""Commands of trading in the compiled core: all that they do is what the reference does.

Each command is a batch of its own, in which time acts first. One batch in three then does a part of
what is unfinished, so that the others find it busy.
"""

from itertools import count
from random import Random
from typing import NamedTuple

import pytest
from msgspec.msgpack import Decoder, decode

from hpe.core.codec import encode
from hpe.core.compiled.tables import flat_tables
from hpe.core.context.command import Context
from hpe.core.contract import DEFAULT_LIMITS
from hpe.core.money.fees import rates_of
from hpe.core.output.batch import BatchWork, trades_of
from hpe.core.output.private_reports import PrivateFeed
from hpe.core.routing import commands_of
from hpe.core.sessions.registry import Sessions
from hpe.core.state.dump import dump_state
from hpe.core.state.rows import (
    KINDS,
    Dumped,
    DumpedAccount,
    DumpedAsset,
    DumpedEnd,
    DumpedEnded,
    DumpedEnding,
    DumpedFees,
    DumpedFill,
    DumpedHead,
    DumpedInstrument,
    DumpedKey,
    DumpedNet,
    DumpedResting,
    DumpedUser,
    DumpedWaiting,
)
from hpe.core.trading.exchange import Exchange
from hpe.protocol.base import type_number
from hpe.protocol.enums import InstrumentStatus, OrderType, Side, TimeInForce
from hpe.protocol.flags import ORDER_CANCEL_ON_DISCONNECT
from hpe.protocol.money import Deposit
from hpe.protocol.operations import SetFees, SetStatus, Uncross
from hpe.protocol.orders import (
    CancelOrder,
    MassCancel,
    OrderTerms,
    ReplaceOrder,
    SubmitOco,
    SubmitOrder,
)
from tests.model.commands import (
    GIVEN,
    MOODS,
    UNIT_NS,
    addressed,
    command_of,
    mass_cancel,
    reopening,
)

START_NS = 1_780_000_000_000_000_000
SMALL = DEFAULT_LIMITS._replace(
    fills=8, stops=4, fired=6, uncross_fills=5, part_fills=3, dead=2, effort=14, turns_effort=6,
    continue_effort=1, acts=(1, 2, 1, 2, 2), ended_orders=6, recent_fills=10, reports=3,
    mass_cancel=4, mass_cancel_all=6,
)  # fmt: skip
EXECUTED = {
    "SubmitOrder", "CancelOrder", "ReplaceOrder", "SubmitOco", "MassCancel", "SetStatus", "Uncross",
    "SetFees", "BlockUser", "Deposit", "Withdraw", "LockBalance", "UnlockBalance", "Transfer",
    "CaptureHold", "ReleaseHold",
}  # fmt: skip
OWN_RATES = ((3, -100, 2_000), (2, 0, 500))
NUMBERS = {kind: number for number, kind in enumerate(KINDS, 1)}
DECODER = Decoder(Dumped)
HEAD, INSTRUMENT = NUMBERS[DumpedHead], NUMBERS[DumpedInstrument]
OTHERS = {NUMBERS[kind] for kind in (DumpedKey, DumpedAsset, DumpedEnding, DumpedEnd)}
"""Kinds of rows that are not compared: those of lost sessions are, after every command."""
USUAL = {
    NUMBERS[kind]
    for kind in (
        DumpedFees, DumpedNet, DumpedUser, DumpedAccount, DumpedResting, DumpedWaiting,
        DumpedEnded, DumpedFill,
    )
}  # fmt: skip
"""Kinds of rows that occur in every stream of commands."""

COMMANDS = commands_of(Exchange())
SLOTS = flat_tables({type_number(message): message for message in COMMANDS}).slots


def decoded(command):
    """Return the values of a command as it is decoded, and which of them are nil."""
    values, nulls = [], 0
    for place, name in enumerate(SLOTS[type_number(type(command))]):
        outer, _, inner = name.partition(".")
        value = getattr(command, outer)
        if inner:
            value = getattr(value or OrderTerms(), inner)
        nulls |= (value is None) << place
        values.append(value if isinstance(value, int) else 0)
    return values, nulls


class Loss(NamedTuple):
    """What happens to the connection of a session."""

    what: str
    session_id: int
    grace_ns: int


class Connections:
    """The sessions of the users, of which each has one at a time."""

    def __init__(self, users):
        self.ids = {user: user for user in users}
        self.lost = set()

    def change(self, random, user):
        """Choose what happens to a user's connection; a session that is left gets no orders."""
        session_id = self.ids[user]
        if user in self.lost:
            self.lost.remove(user)
            return [Loss("back", session_id, 0)]
        what = random.choice(("lost", "lost", "lost", "lost", "closed", "left for good"))
        if what == "lost":
            loss = Loss(what, session_id, random.choice((0, 1, 2, 9)) * UNIT_NS)
            if random.random() < 0.3:
                return [loss, Loss("back", session_id, 0)]
            self.lost.add(user)
            return [loss]
        self.ids[user] += 10
        return [Loss("lost" if what == "closed" else what, session_id, 0)]


class BothTrading:
    """The same commands on both exchanges."""

    def __init__(self, trading, limits):
        self.trading, self.limits = trading, limits
        self.reference = Exchange(limits)
        self.handlers = commands_of(self.reference)
        self.feed = PrivateFeed(self.reference.orders)
        self.compiled = trading.Exchange(limits)
        self.time_ns, self.request_ids, self.seen = START_NS, count(1), set()
        self.begin()
        for book in self.reference.books.values():
            for user, maker_ppm, taker_ppm in OWN_RATES:
                book.fees.own[user] = rates_of(maker_ppm, taker_ppm)
                self.compiled.set_own_rates(
                    book.instrument.instrument_id, user, maker_ppm, taker_ppm
                )

    def begin(self):
        """List what every play begins with."""
        operator = self.context(0, operator=True)
        for command in GIVEN:
            self.handlers[type(command)](operator, command)
        self.reference.sequence = 0
        for asset in self.reference.listings.assets:
            self.compiled.list_asset(asset)
        for book in self.reference.books.values():
            self.compiled.add_instrument(book.instrument)

    def context(self, user, session_id=0, key=0, *, operator=False, cancels=False):
        holder = self.reference.places.of(key)
        return Context(
            self.reference.sequence, self.time_ns, self.limits.effort, user, session_id, holder,
            operator, cancels,
        )  # fmt: skip

    def batch(self, commands, user, session_id, key, *, operator, cancels):
        """Execute commands after what time and unfinished work do; compare everything."""
        reference, compiled = self.reference, self.compiled
        reference.sequence += 1
        self.time_ns += 1
        origin = (user, session_id, key, operator, cancels)
        compiled.begin(reference.sequence, self.time_ns, self.limits.effort, origin)
        work = BatchWork(self.time_ns, reference.sequence, self.limits.reports)
        context = self.context(user, session_id, key, operator=operator, cancels=cancels)
        reference.market.effort.begin()
        reference.let_time_act(self.time_ns)
        self.report(work)
        compiled.let_time_act()
        self.compare("time", work)
        if reference.market.turns.count and reference.sequence % 3 == 0:
            reference.market.go_on(context)
            self.report(work)
            compiled.go_on()
            self.compare("unfinished work", work)
        for command in commands:
            if isinstance(command, Loss):
                self.lose(command, context, work)
            elif not self.is_busy(command, context, work):
                self.execute(command, context, work)
        changed = reference.balances.take_changed()
        self.feed.report_accounts(changed, reference.sequence, self.time_ns, work)
        reports, trades = compiled.finish()
        assert reports == b"".join(work.digested), commands
        assert trades == b"".join(encode(trade) for trade in work.trades), commands

    def answer(self, command):
        """Let the compiled exchange execute a command; return the fields of its response."""
        return self.compiled.execute(type_number(type(command)), *decoded(command))

    def is_busy(self, command, context, work):
        """True if both would refuse a command now."""
        busy = self.reference.busy.refuses(context.user, command)
        assert self.compiled.is_busy(type_number(type(command)), *decoded(command)) == busy, command
        self.compare(command, work)
        return busy

    def execute(self, command, context, work):
        response = self.handlers[type(command)](context, command)
        self.report(work)
        answer = self.answer(command)
        assert answer == [int(value) for value in _fields(response)], command
        self.compare(command, work)

    def lose(self, loss, context, work):
        """Let a session's connection be lost, be back, or be left for good."""
        disconnects = self.reference.disconnects
        if loss.what == "lost":
            disconnects.lost(context, loss.session_id, loss.grace_ns)
        elif loss.what == "back":
            disconnects.back(context, loss.session_id)
        else:
            disconnects.left_for_good(loss.session_id)
        self.report(work)
        self.compiled.lose(*loss)
        self.compare(loss, work)
        ending = disconnects.is_ending(loss.session_id)
        assert self.compiled.is_ending(loss.session_id) == ending, loss

    def report(self, work):
        for event in self.reference.market.events:
            self.feed.report(event, self.reference.sequence, self.time_ns, work)
            work.trades += trades_of(event)
        self.reference.market.events.clear()

    def compare(self, what, work):
        reference, compiled = self.reference, self.compiled
        assert compiled.reports == b"".join(work.digested), what
        assert compiled.spent == reference.market.effort.spent, what
        assert compiled.wasted == reference.market.effort.wasted, what
        assert compiled.unfinished == reference.market.turns.count, what
        assert compiled.next_due_ns == reference.timers.next_due_ns(), what
        assert compiled.open_count == reference.orders.open_count, what
        assert compiled.check() == 0, what
        entries = [(*due[:1], *due[2:], at) for due, at in reference.disconnects.entries()]
        assert compiled.endings() == entries, what

    def compare_state(self):
        """Compare all state, as it is dumped."""
        reference, found = self.reference, []
        sessions = Sessions(reference.timers)
        sessions.last_session_id, sessions.last_attach_number = 5, 6
        for chunk in dump_state(reference, sessions, self.feed, 7):
            kind, *row = decode(chunk)
            if kind == HEAD:
                assert encode(self.compiled.head(row[0], row[3], row[6:10])) == chunk
            elif kind == INSTRUMENT:
                assert tuple(row[-5:]) == self.compiled.book_fields(row[0])
            elif kind not in OTHERS:
                found.append(chunk)
        rows = [encode(row) for row in self.compiled.rows()]
        assert [*map(decode, rows)] == [*map(decode, found)]
        assert rows == found  # a bool is no integer
        self.seen.update(row[0] for row in map(decode, found))

    def load_state(self):
        """Go on with a new compiled exchange, which loads the state that the reference has."""
        chunks = dump_state(self.reference, Sessions(self.reference.timers), self.feed, 0)
        self.compiled = self.trading.Exchange(self.limits)
        self.compiled.load(map(DECODER.decode, chunks))
        self.compare_state()


def _fields(response):
    return [getattr(response, name) for name in response.__struct_fields__]


@pytest.mark.parametrize("mood", range(MOODS))
@pytest.mark.parametrize("seed", range(3))
def test_commands_do_what_the_reference_does(trading, seed, mood):
    random = Random(f"{seed} {mood}")
    both = BothTrading(trading, SMALL)
    connections = Connections((1, 2, 3))
    for user in (1, 2, 3):
        for asset in (1, 2, 3):
            given = [Deposit(1, asset, 10**9, user)]
            both.batch(given, user, 1, 0, operator=True, cancels=False)
    done = 0
    while done < 1_500:
        command = reopening(random, random.randint(1, 4))
        if random.random() > 0.08:
            command = command_of(random, mood)
        if random.random() < 0.03:
            command = mass_cancel(random)
        if type(command).__name__ not in EXECUTED:
            continue
        waits = any(both.reference.timers.is_passed(book) for book in both.reference.books)
        if random.random() < (0.5 if waits else 0.08):
            user = random.choice((1, 2, 3))
            losses = connections.change(random, user)
            both.batch(losses, user, losses[0].session_id, 0, operator=False, cancels=False)
        done += 1
        both.time_ns += random.choice((0, 0, 0, 1, 3)) * UNIT_NS
        command = addressed(
            command, next(both.request_ids), both.reference.last_order_id, both.time_ns
        )
        user = random.choice((1, 2, 3))
        # Mass cancels of one batch share a bound.
        again = isinstance(command, MassCancel) and random.random() < 0.5
        both.batch(
            [command, command] if again else [command],
            user,
            connections.ids[user],
            random.choice((0, 0, 5, random.randint(6, 300))),
            operator=random.random() < 0.2,
            cancels=random.random() < 0.6,
        )
        if done % 50 == 0 or both.reference.market.turns.books:
            both.compare_state()
        if done % 100 == 0:
            both.reference.check()
        if done % 250 == 0:
            both.load_state()
    assert both.seen >= USUAL


def test_everything_waits_for_an_uncross(trading):
    """While an uncross counts on an order, commands wait, and so does the end of its session."""
    both = BothTrading(trading, SMALL)

    def do(command, user=1):
        both.batch([command], user, user, user, operator=True, cancels=False)

    for user in (1, 2):
        for asset in (1, 2):
            do(Deposit(next(both.request_ids), asset, 10**9, user))
    do(SetStatus(next(both.request_ids), 1, InstrumentStatus.CALL_AUCTION))
    for number in range(5 * SMALL.uncross_fills):
        for user, side in ((1, Side.BUY), (2, Side.SELL)):
            price = 5 if side is Side.BUY and number % 5 == 0 else 6
            order = SubmitOrder(
                next(both.request_ids), 1, 0, side, OrderType.LIMIT, TimeInForce.GTC, price, 1,
                ORDER_CANCEL_ON_DISCONNECT,
            )  # fmt: skip
            do(order, user)
    do(Uncross(next(both.request_ids), 1))
    waiting = (
        SubmitOrder(9, 1, 0, Side.BUY, OrderType.LIMIT, TimeInForce.GTC, 6, 1),
        SubmitOco(9, 1, Side.BUY, 1, 5, 7), CancelOrder(9, 1), ReplaceOrder(9, 1, 0, 2),
        MassCancel(9, 1), SetStatus(9, 1, InstrumentStatus.HALTED), Uncross(9, 1),
        SetFees(9, 1, 5, 5),
    )  # fmt: skip
    for command in waiting:
        assert both.reference.busy.refuses(1, command)
    both.batch(waiting, 1, 1, 1, operator=True, cancels=False)
    do(Loss("lost", 1, 0))
    assert [at for _, at in both.reference.disconnects.entries()] == [1]
    while both.reference.disconnects.entries():
        do(Deposit(next(both.request_ids), 1, 1, 1))
    assert not both.reference.orders.by_session.get(1)
