"""What is done with each frame of a run in the compiled core, against the reference core."""

from collections import Counter
from random import Random

import msgpack
import msgspec
import pytest

from hpe.core.codec import decode_body, encode, error_body
from hpe.core.contract import DEFAULT_LIMITS
from hpe.core.driver import ReferenceCore
from hpe.core.output.batch import MAY_COST_MUCH
from hpe.core.routing import commands_of
from hpe.core.trading.exchange import Exchange
from hpe.protocol.base import type_number
from hpe.protocol.codes import BATCH_FULL, QUERIES_FULL, ErrorCode
from hpe.protocol.enums import OrderType, Role, Side, TimeInForce
from hpe.protocol.frames import frame, split_frames
from hpe.protocol.limits import INTERNAL_FIRST
from hpe.protocol.listings import AddAsset, AddInstrument, ListAssets
from hpe.protocol.money import Deposit, GetBalance
from hpe.protocol.operations import BlockUser, GetConservation
from hpe.protocol.orders import CancelOrder, MassCancel, SubmitOrder
from hpe.protocol.registry import COMMANDS, QUERIES
from tests.support.core_driver import Venue

RUNS = 400
ERROR = 31
GRANTS = {
    Role.ANONYMOUS: {}, Role.TRADER: {}, Role.MARKET_DATA: {}, Role.OPERATOR: {},
    Role.GATEWAY: {"user_first": 1, "user_last": 3},
}  # fmt: skip
ADMITS = (0, 0, 0, 0, 0, 0, ErrorCode.BUSY, ErrorCode.THROTTLED)
WINDOW = 8


class RunTwice:
    """A session in both cores; the reference also executes what is executed."""

    def __init__(self, sessions, parts, seed, role):
        self.random, self.sessions, self.parts = Random(seed), sessions, parts
        self.venue = Venue(ReferenceCore, DEFAULT_LIMITS._replace(effort=2, query_effort=3))
        boss = self.venue.attach(9)
        boss.get_id(AddAsset(boss.next_id(), "BASE", 0))
        boss.get_id(AddAsset(boss.next_id(), "QUOTE", 0))
        boss.get_id(AddInstrument(boss.next_id(), "BASE/QUOTE", 1, 2))
        for user in (2, 9):
            boss.deposit(1, 10**9, user)
            boss.deposit(2, 10**9, user)
        for price in range(1, 300):
            boss.ask(SubmitOrder(boss.next_id(), 1, 0, Side.SELL, OrderType.LIMIT, 1, price, 1))
        self.granted = {"window": WINDOW, "role": role, **GRANTS[role]}
        self.client = self.venue.attach(2, **self.granted)
        self.compiled = sessions.Answering(2, WINDOW)
        self.used, self.seen = {}, Counter()

    @property
    def session(self):
        """The session in the reference."""
        return self.venue.core.sessions.get(self.client.session_id)

    def request_id(self):
        """Return the next id, or one that skips some, or that was used or skipped."""
        last = max(self.used, default=0)
        return self.random.choice([last + 1] * 6 + [last + 3, last, max(last - 40, 1)])

    def a_request(self, request_id):
        price = self.random.randint(1, 20)
        side, kind = self.random.choice([*Side]), OrderType.LIMIT
        tif = self.random.choice([TimeInForce.GTC, TimeInForce.IOC])
        user = self.random.choice([0, 0, 2, 3, 5])
        return self.random.choice(
            [
                SubmitOrder(request_id, 1, 0, side, kind, tif, price, 2, user=user),
                SubmitOrder(request_id, 1, 0, side, kind, tif, price, 7),
                CancelOrder(request_id, self.random.randint(1, 400)),
                MassCancel(request_id),
                Deposit(request_id, 1, 5, user),
                BlockUser(request_id, 7, False),
                GetBalance(request_id, 1, user),
                ListAssets(request_id),
                GetConservation(request_id, 1),
            ]
        )

    def a_body(self):
        """Return a frame's body; often a repeat of one that was sent, sometimes no request."""
        choice = self.random.random()
        if choice < 0.25 and self.used:
            request_id = self.random.choice([*self.used][-20:])
            return self.used[request_id]
        request_id = self.request_id()
        body = encode(self.a_request(request_id))
        if choice < 0.3:
            return body[:2] + body[2:].replace(b"\x01", b"\xa1x", 1)  # a string somewhere
        if choice < 0.32:
            return self.random.choice([msgpack.packb([120, 5]), msgpack.packb([40]), body])
        if choice < 0.33:
            return self.random.choice([b"\xc1", body + b"\x00", body[:-1], b"\x01"])
        self.used.setdefault(request_id, body)
        return body

    def run(self):
        """Answer a run in both cores, and compare everything that comes of it."""
        bodies = [self.a_body() for _ in range(self.random.randint(1, 12))]
        frames, admit = b"".join(map(frame, bodies)), self.random.choice(ADMITS)
        session = self.session
        self.compiled.begin(session, frames, admit)
        output = self.venue.apply(self.client.run_of(frames, admit))
        answers = [
            body
            for body in split_frames(dict(output.replies)[self.client.attach_number])
            if msgpack.unpackb(body)[0] < INTERNAL_FIRST
        ]
        position = 0
        for body, answer in zip(bodies, answers, strict=False):
            self.compiled.take_frame(position + 4, position + 4 + len(body))
            position += 4 + len(body)
            self.answer(body, answer, admit)
        replies, highest_id, groups, intact = self.compiled.end()
        assert replies == b"".join(map(frame, answers))
        assert intact == (len(answers) == len(bodies) and not output.cut)
        (progress,) = output.progress
        assert progress.highest_id == highest_id
        assert joined(groups) == [
            group for group in decode_body(output.body).groups if group[0]
        ] if output.body else not groups  # fmt: skip
        expected = [msgspec.structs.astuple(each) for each in session.remembered]
        assert self.compiled.session.remembered() == expected
        assert self.compiled.session.last_request_id == session.last_request_id
        if not intact:
            self.seen["cut"] += 1
            ended = session.role is Role.MARKET_DATA  # with its connection
            session_id = 0 if ended else self.client.session_id
            self.client = self.venue.attach(2, session_id, **self.granted)

    def answer(self, body, answer, admit):
        """Answer one frame in the compiled core, where the reference gave this answer."""
        code, *judged = self.parts.judged(body)
        if code:
            request_id, field = judged
            self.compiled.fault(code, request_id, field.encode())
            self.seen["fault"] += 1
            return
        kind, values, _ = judged
        course, request_id = self.compiled.course(kind, values), values[0]
        full = answer == error_body(request_id, *BATCH_FULL)
        if course == self.sessions.EXECUTED and msgpack.unpackb(answer)[0] != ERROR:
            self.compiled.executed(request_id, answer)
            self.seen["executed"] += 1
        elif course == self.sessions.ASKED:
            full = answer == error_body(request_id, *QUERIES_FULL)
            self.compiled.query(request_id, full, answer)
            self.seen["asked", full, admit > 0] += 1
        else:
            if course == self.sessions.EXECUTED:
                assert self.sessions.waits_for_batch(kind, full), answer
            self.compiled.other(request_id, course, full)
            unpacked = msgpack.unpackb(answer)
            said = unpacked[3] if unpacked[0] == ERROR else "repeated"
            self.seen[said, full] += 1


def joined(groups):
    """Return stretches of one session as the log has them."""
    return [(*groups[0][:2], b"".join(frames for *_, frames in groups))] if groups else []


@pytest.mark.parametrize("role", GRANTS, ids=lambda role: role.name.lower())
def test_frames_are_executed_repeated_refused_and_logged_as_in_the_reference(sessions, parts, role):
    both = RunTwice(sessions, parts, int(role), role)
    for _ in range(RUNS):
        both.run()
    print(both.seen)
    expected = {"fault", "cut", ("asked", False, False), ("asked", False, True)}
    expected |= {("asked", True, False)} if role is not Role.MARKET_DATA else set()
    if role is not Role.MARKET_DATA:
        errors = ErrorCode.STALE_ID, ErrorCode.NOT_EXECUTED, ErrorCode.ID_REUSED
        expected |= {"executed", ("repeated", False), *((each, False) for each in errors)}
        expected |= {(ErrorCode.THROTTLED, False), (ErrorCode.BUSY, False)}
    if role in (Role.ANONYMOUS, Role.TRADER, Role.GATEWAY):
        expected |= {(ErrorCode.BUSY, True)}
    if role is not Role.ANONYMOUS:
        expected |= {(ErrorCode.NOT_AUTHORIZED, False)}
    assert both.seen.keys() >= expected


def test_commands_and_what_waits_for_a_full_batch_are_those_of_the_reference(sessions):
    commands = commands_of(Exchange())
    assert set(commands) == set(COMMANDS)
    for message in (*COMMANDS, *QUERIES):
        kind = type_number(message)
        assert sessions.is_command(kind) == (message in commands)
        if message in commands:
            assert sessions.waits_for_batch(kind, True) == (message in MAY_COST_MUCH)
            assert not sessions.waits_for_batch(kind, False)
