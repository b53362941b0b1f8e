"""The state machine that plays a core against the naive exchange.

Owns one Venue (the core under test, in frames) and one NaiveExchange with one NaiveSession per
session; each rule does the same to both and compares everything that came out. Hypothesis
drives it; one thread. Relies on naive_exchange.py for what should happen.
"""

from __future__ import annotations

from random import Random

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hpe.core.core import Run
from hpe.messages import (
    AddAsset,
    AddInstrument,
    CancelOrder,
    Deposit,
    Error,
    ErrorCode,
    ExecutionReport,
    GetBalance,
    GetOrderbook,
    Liquidity,
    OrderbookReply,
    ReplaceOrder,
    Reply,
    Request,
)
from tests.model.commands import TIGHT, addressed, commands, seeded_commands
from tests.support.core_driver import Client, CoreFactory, Venue, decoded, framed
from tests.support.naive_exchange import NaiveExchange
from tests.support.naive_session import NaiveSession

OPEN_ORDERS_MAX = 16
"""Few, so that the limit is met."""

DEPOSIT = 3_000
"""Enough for about twenty orders, so that money runs out now and then."""

USERS = (1, 2, 2)
"""One session each; two of them are of one user."""

WINDOW = 4
STEPS_PER_CHECK = 10

_encode = msgspec.msgpack.Encoder().encode
_places = st.integers(0, len(USERS) - 1)


class ExchangeMachine(RuleBasedStateMachine):
    """The core and the naive exchange, side by side."""

    def __init__(self, new_core: CoreFactory) -> None:
        super().__init__()
        self.venue = Venue(new_core)
        self.naive = NaiveExchange(OPEN_ORDERS_MAX, auto_create=True)
        self.clients: list[Client] = []
        self.sessions: list[NaiveSession] = []
        self.sent: list[list[tuple[int, bytes]]] = [[] for _ in USERS]
        self.private: dict[int, list[ExecutionReport]] = {}
        self.steps = 0

    @initialize()
    def open_the_venue(self) -> None:
        self.venue.configure(open_orders_max=OPEN_ORDERS_MAX, auto_create=True)
        self.naive.sequence = 1
        for user in USERS:
            self.clients.append(self.venue.attach(user, window=WINDOW))
            self.sessions.append(NaiveSession(user, WINDOW))
            self.naive.sequence += 1
        given = [AddAsset(1, symbol, 2) for symbol in "ABC"]
        given.append(AddInstrument(1, "A/B", 1, 2))
        given.append(AddInstrument(1, "C/B", 3, 2, 3, 7, 2, 9, 2, 50, 30))
        given += [Deposit(1, asset, DEPOSIT, user) for user in (1, 2) for asset in (1, 2, 3)]
        self.execute([(0, command) for command in given])

    # --- rules --------------------------------------------------------------------------------

    @rule(batch=st.lists(st.tuples(_places, commands), min_size=1, max_size=4))
    def execute(self, batch: list[tuple[int, Request]]) -> None:
        """Several clients' commands in one batch, each a run of its own."""
        runs: list[Run] = []
        expected: dict[int, list[Reply]] = {}
        self.naive.time_ns = self.venue.time_ns + 1
        for place, command in batch:
            client, session = self.clients[place], self.sessions[place]
            request = addressed(command, client.next_id(), self.naive.orders)
            body = _encode(request)
            response = self.naive.execute(client.user, request)
            session.executed(request.request_id, body, _encode(response))
            self.sent[place].append((request.request_id, body))
            mine = expected.setdefault(client.attach_number, [])
            for user, report in self.naive.reports:
                self.private.setdefault(user, []).append(report)
                if report.liquidity is Liquidity.TAKER:
                    mine.append(report)
            mine.append(response)
            runs.append(client.run(request))
        output = self.venue.apply(*runs)
        assert {number: decoded(frames) for number, frames in output.replies} == expected
        assert self.venue.private == self.private

    @rule(seed=st.integers(0, 2**32), count=st.integers(1, 40))
    def trade(self, seed: int, count: int) -> None:
        """A lively stream, in batches of one to four."""
        random = Random(seed)
        batch: list[tuple[int, Request]] = []
        for command in seeded_commands(seed, count, TIGHT):
            batch.append(self.aimed(command, random))
            if random.random() < 0.4:
                self.execute(batch)
                batch = []
        if batch:
            self.execute(batch)

    def aimed(self, command: Request, random: Random) -> tuple[int, Request]:
        """Give a command a sender; most changes of orders come from the owner of an open one."""
        place = random.randrange(len(USERS))
        if not isinstance(command, CancelOrder | ReplaceOrder) or random.random() < 0.1:
            return place, command
        if not self.naive.open:
            return place, command
        order = random.choice(self.naive.open)
        age = self.naive.orders - order.order_id
        return USERS.index(order.user), msgspec.structs.replace(command, order_id=age)

    @rule(place=_places, command=commands, refusal=st.sampled_from([ErrorCode.BUSY]))
    def refuse(self, place: int, command: Request, refusal: ErrorCode) -> None:
        """A refused command does nothing and leaves a gap in the ids."""
        client = self.clients[place]
        request = addressed(command, client.next_id(), self.naive.orders)
        self.sent[place].append((request.request_id, _encode(request)))
        assert client.refused(request, refusal).code == refusal

    @rule(place=_places, age=st.integers(0, 12), altered=st.booleans(), busy=st.booleans())
    def repeat(self, place: int, age: int, altered: bool, busy: bool) -> None:
        """An id at or below the last one is answered from memory, busy or not."""
        client, session = self.clients[place], self.sessions[place]
        used = [entry for entry in self.sent[place] if entry[0] <= session.last_request_id]
        if not used:
            return
        request_id, body = used[-1 - age % len(used)]
        if altered:
            body = _encode(Deposit(request_id, 1, 77_777, 1))
        run = client.run_of(framed(body), ErrorCode.BUSY if busy else 0)
        bodies_before = len(self.venue.bodies)
        (reply,) = client.replies(self.venue.apply(run))
        assert len(self.venue.bodies) == bodies_before
        answer = session.repeated(request_id, body)
        if isinstance(answer, ErrorCode):
            assert isinstance(reply, Error)
            assert (reply.code, reply.request_id) == (answer, request_id)
        else:
            (first,) = decoded(framed(answer))
            assert reply == msgspec.structs.replace(first, flags=1)

    @rule(place=_places, window=st.integers(0, 6), detach=st.booleans())
    def reconnect(self, place: int, window: int, detach: bool) -> None:
        """A new connection takes the session; what the old one still sends is dropped."""
        old, session = self.clients[place], self.sessions[place]
        if detach:
            old.detach()
            self.naive.sequence += 1
        new = self.venue.attach(old.user, old.session_id, window)
        self.naive.sequence += 1
        session.resize(window or session.window)
        assert (new.session_id, new.window) == (old.session_id, session.window)
        assert new.last_request_id == session.last_request_id
        output = self.venue.apply(old.run(Deposit(old.next_id(), 1, 1)))
        assert (output.replies, output.body) == ([], b"")
        self.clients[place] = new
        self.sent[place] = [e for e in self.sent[place] if e[0] <= session.last_request_id]

    @rule(by_replay=st.booleans())
    def restart(self, by_replay: bool) -> None:
        """A core that replayed the log, or loaded the dump, goes on in this one's place."""
        core = self.venue.replayed() if by_replay else self.venue.restored()
        assert core.state_hash() == self.venue.core.state_hash()
        self.venue.core = core

    # --- what always holds ----------------------------------------------------------------------

    @invariant()
    def books_and_accounts_agree(self) -> None:
        if not self.clients:
            return
        client = self.clients[0]
        queries: list[GetBalance | GetOrderbook] = [
            GetOrderbook(1, instrument, 5) for instrument in (1, 2, 3)
        ]
        queries += [GetBalance(1, asset, user) for user in (1, 2, 7) for asset in range(1, 6)]
        output = self.venue.apply(client.run(*queries))
        assert output.body == b""
        assert output.last_sequence == self.naive.sequence
        for query, reply in zip(queries, client.replies(output), strict=True):
            if isinstance(reply, OrderbookReply):
                reply = msgspec.structs.replace(reply, book_sequence=0)
            assert reply == self.naive.answer(client.user, query)

    @invariant()
    def the_core_proves_itself(self) -> None:
        self.steps += 1
        if self.steps % STEPS_PER_CHECK == 0:
            self.venue.core.check()

    def teardown(self) -> None:
        if self.clients:
            self.venue.check()
