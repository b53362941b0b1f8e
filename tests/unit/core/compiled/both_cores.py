"""Random batches for both cores, and the comparison of everything that they put out.

For the test of the compiled core's driver; relies on hpe.core and on the module that is built.
"""

from __future__ import annotations

from collections import Counter
from itertools import count
from random import Random
from typing import Any, Final

from msgspec.msgpack import decode
from msgspec.structs import replace

from hpe.core.codec import encode
from hpe.core.contract import SYSTEM_CONNECTION, Batch, Output, Run, Settings
from hpe.core.driver import ReferenceCore
from hpe.errors import ConfigError
from hpe.protocol.base import Request
from hpe.protocol.codes import ErrorCode
from hpe.protocol.enums import Channel, DetachCause, Role
from hpe.protocol.frames import chunk_of, frame
from hpe.protocol.internal import (
    KeySetting,
    KeysValid,
    SessionAttached,
    SessionClosed,
    SessionDetached,
    Tick,
)
from hpe.protocol.market_data import Subscribe
from hpe.protocol.money import Deposit
from hpe.protocol.operations import BlockUser
from hpe.protocol.orders import CancelOrder, ReplaceOrder
from hpe.protocol.registry import COMMANDS
from tests.model.commands import (
    GIVEN,
    UNIT_NS,
    addressed,
    command_of,
    listing,
    mass_cancel,
    reopening,
)
from tests.unit.core.compiled.random_queries import query_of
from tests.unit.core.compiled.random_settings import configuration

START_NS: Final = 1_780_000_000_000_000_000
ADMITS: Final = (0,) * 12 + (ErrorCode.BUSY, ErrorCode.THROTTLED)
GRANTED: Final = (Role.GATEWAY, Role.OPERATOR)
ROLES: Final = (*Role, *(Role.ANONYMOUS,) * 4, Role.OPERATOR)
KEYS: Final = (0, 0, 0, 5, 6)
COMPLAINTS: Final = (
    "decimals in the log", "assets_max", "instruments_max", "no asset", "are both",
    "above its maximum", "not a finite decimal", "below zero", "is listed as", "at one start",
)  # fmt: skip
"""What is wrong with configurations, by words in the text of the error."""
FAULTS: Final = (b"\xc1", b"\x01", encode(Tick(1)), b"\x92\x41\x07")


def differences(core: Any, wanted: Settings) -> tuple[Settings | None, str]:
    """Return the part of a configuration that differs from the state, and what is wrong with it."""
    try:
        return core.configuration_differences(wanted), ""
    except ConfigError as error:
        return None, str(error)


class Connected:
    """A client and its session; `sent` are bodies that were executed, repeated or refused."""

    def __init__(self, connection: int, user: int, role: Role, key: int) -> None:
        self.connection, self.user, self.role, self.key = connection, user, role, key
        self.session_id = self.attach_number = 0
        self.ids = count(1)
        self.sent: list[bytes] = []


def compare(expected: Output, found: Output, about: object = None) -> None:
    """Compare every field of two outputs."""
    for name, one, other in zip(Output._fields, expected, found, strict=True):
        assert other == (bytes(one) if isinstance(one, memoryview) else one), (name, about)


class BothCores:
    """The same batches in both cores."""

    def __init__(self, reference: ReferenceCore, compiled: Any, seed: int, mood: int) -> None:
        self.random, self.mood = Random(f"{seed} {mood}"), mood
        self.reference, self.compiled = reference, compiled
        self.time_ns, self.attach_numbers, self.seen = START_NS, count(1), Counter[str]()
        self.connections = count(1)
        self.clients = [self.client(role) for role in ROLES]
        self.attached: list[Connected] = []
        self.wanted, self.rows_seen = b"", set[int]()
        self.configured: Counter[str] = Counter()

    # --- batches ----------------------------------------------------------------------------------

    def apply(self, *runs: Run) -> Output:
        """Apply runs to both cores; compare every field of the output."""
        self.time_ns += 1 + self.random.choice((0, 0, 0, 1, 3)) * UNIT_NS
        batch = Batch(self.time_ns, [*runs], self.wanted)
        expected = self.reference.apply(batch)
        compare(expected, self.compiled.apply(batch), batch)
        for name, value in zip(Output._fields, expected, strict=True):
            self.seen[name] += len(value) > 0 if isinstance(value, bytes | memoryview) else value
        assert self.compiled.digest == self.reference.digest
        self.follow()
        return expected

    def compare_state(self) -> None:
        """Compare the whole state; then go on with new cores, each of which loads the other's."""
        expected, found = list(self.reference.dump()), list(self.compiled.dump())
        assert list(map(decode, found)) == list(map(decode, expected))
        assert found == expected  # a bool is no integer
        assert self.compiled.state_hash() == self.reference.state_hash()
        self.rows_seen.update(row[0] for row in map(decode, expected))
        self.compiled.check()
        limits = self.reference.limits
        self.reference, self.compiled = ReferenceCore(limits), type(self.compiled)(limits)
        self.reference.load(found, self.wanted)
        self.compiled.load(expected, self.wanted)
        assert list(self.compiled.dump()) == expected
        self.compiled.check()
        for name in ("next_due_ns", "last_sequence", "last_attach_number", "instrument_count"):
            assert getattr(self.compiled, name) == getattr(self.reference, name), name
        assert self.compiled.attached_sessions() == self.reference.attached_sessions()

    def follow(self) -> None:
        """Learn which sessions the clients have."""
        known = {number: session_id for session_id, number in self.reference.attached_sessions()}
        self.attached = [each for each in self.clients if each.attach_number in known]
        for client in self.attached:
            client.session_id = known[client.attach_number]

    def batch(self, time_ns: int) -> Batch:
        """Return a batch with a tick."""
        return Batch(time_ns, [self.internal(Tick(1))])

    def give_money(self) -> list[bytes]:
        """Attach all clients, and let an operator list all instruments and make deposits.

        Returns the log bodies.
        """
        begun = self.apply(self.internal(*[self.attach(client) for client in self.clients]))
        logged = [bytes(begun.body)]
        boss = self.clients[-1]
        given = [
            Deposit(1, asset, 10**9, user)
            for user in (3, 1, 2) for asset in (1, 2, 3)
        ]  # fmt: skip
        for commands in GIVEN, given:
            bodies = [encode(replace(each, request_id=next(boss.ids))) for each in commands]
            logged.append(bytes(self.apply(self.run_of(boss, *bodies)).body))
        return logged

    def step(self) -> Output:
        """Apply one random batch."""
        random = self.random
        if random.random() < 0.05:
            channels = [random.randint(0, 31) for _ in range(4)]
            self.wanted = b"".join(
                number.to_bytes(4, "big") + bytes([mask])
                for number, mask in enumerate(channels, 1) if mask
            )  # fmt: skip
        runs = []
        if random.random() < 0.1:
            found = self.differences(configuration(random, self.reference.exchange.listings))
            runs += [self.internal(found)] if found is not None else []
        for _ in range(random.choice((0, 1, 2, 4, 6))):
            if random.random() < 0.08:
                commands = [self.about_sessions() for _ in range(random.randint(1, 2))]
                runs.append(self.internal(*commands))
            else:
                among = self.attached if random.random() < 0.9 else []
                client = random.choice(among or self.clients)
                bodies = [self.body(client) for _ in range(random.choice((1, 2, 5, 9)))]
                runs.append(self.run_of(client, *bodies, admit=random.choice(ADMITS)))
        return self.apply(*runs)

    def configure(self) -> None:
        """Compare with a random configuration, as at a start; apply what differs."""
        wanted = configuration(self.random, self.reference.exchange.listings)
        found = self.differences(wanted)
        if found is not None:
            self.apply(self.internal(found))
            self.differences(wanted)

    def differences(self, wanted: Settings) -> Settings | None:
        """Return the part of a configuration, or of its keys, to log: the same from both cores."""
        expected, complaint = differences(self.reference, wanted)
        assert differences(self.compiled, wanted) == (expected, complaint)
        outcome = "same" if expected is None else "differs"
        if complaint:
            outcome = next(each for each in COMPLAINTS if each in complaint)
        self.configured[outcome] += 1
        return expected

    # --- connections ------------------------------------------------------------------------------

    def client(self, role: Role) -> Connected:
        """Return a new client, which is not attached."""
        user = self.random.choice((1, 2, 3))
        return Connected(next(self.connections), user, role, self.random.choice(KEYS))

    def attach(self, client: Connected) -> Request:
        """Return the command that attaches a client, under a new attach number."""
        client.attach_number = next(self.attach_numbers)
        return SessionAttached(
            client.attach_number, client.session_id, client.user, self.random.choice((2, 8, 0)),
            client.role, *((1, 3) if client.role in GRANTED else ()),
            flags=self.random.choice((0, 0, 0, 0, 0, 1)), grace_ms=self.random.choice((0, 0, 2)),
            key=client.key,
        )  # fmt: skip

    def about_sessions(self) -> Request:
        """Return an internal command."""
        random, client = self.random, self.random.choice(self.clients[:-1])
        gone = [each for each in self.clients if each not in self.attached]
        if gone and random.random() < 0.7:
            client = random.choice(gone)
        chance, session_id = random.random(), client.session_id or 1
        if chance < 0.3 or client not in self.attached:
            if random.random() < 0.1:
                client.session_id, client.ids, client.sent = 0, count(1), []
            return self.attach(client)
        if chance < 0.6:
            return SessionDetached(1, session_id, client.attach_number, DetachCause.CONNECTION_LOST)
        if chance < 0.7:
            return SessionClosed(1, session_id, client.attach_number, random.choice((0, 1)))
        if chance < 0.97:
            return Tick(1)
        boss = self.clients[-1]
        valid = {client.key: client.role for client in self.clients if random.random() < 0.7}
        valid[boss.key] = boss.role
        keys = KeysValid(1, [KeySetting(*each) for each in sorted(valid.items()) if each[0]])
        return self.differences(keys) or Tick(1)

    # --- frames -----------------------------------------------------------------------------------

    def internal(self, *commands: Request) -> Run:
        """Return a run of internal commands."""
        frames = b"".join(frame(encode(command)) for command in commands)
        return Run(SYSTEM_CONNECTION, 0, 0, chunk_of(frames))

    def run_of(self, client: Connected, *bodies: bytes, admit: int = 0) -> Run:
        """Return a run of a client."""
        frames = b"".join(map(frame, bodies))
        return Run(client.connection, client.attach_number, admit, chunk_of(frames))

    def body(self, client: Connected) -> bytes:
        """Return a request, seldom one that was sent before or that is none."""
        random = self.random
        chance = random.random()
        if chance < 0.08 and client.sent:
            return random.choice(client.sent[-12:])
        if chance < 0.083:
            return random.choice(FAULTS)
        if chance < (0.9 if client.role is Role.MARKET_DATA else 0.1):
            channel, depth = random.choice([*Channel]), random.choice((1, 3, 1_000))
            return encode(Subscribe(1, random.choice((1, 2, 3, 4, 9)), channel, depth))
        if chance < 0.3:
            query = query_of(random, self.reference)
            return encode(replace(query, request_id=random.choice((1, 1, 300, 70_000))))
        command = self.command()
        request_id = next(client.ids) + random.choice((0, 0, 0, 0, 0, 0, -1))
        orders = self.reference.exchange.orders
        last = self.reference.exchange.last_order_id
        command = addressed(command, max(request_id, 1), last, self.time_ns)
        mine = orders.users[client.user].by_id if client.user in orders.users else {}
        if isinstance(command, CancelOrder | ReplaceOrder) and mine and random.random() < 0.6:
            named = random.choice([*mine])
            command = replace(command, order_id=named, client_order_id=0, user=0)
        body = encode(command)
        client.sent.append(body)
        return body

    def command(self) -> Request:
        """Return a command that both cores have."""
        random = self.random
        while True:
            command = command_of(random, self.mood)
            if random.random() < 0.12:
                command = reopening(random, random.randint(1, 4))
            if random.random() < 0.04:
                command = BlockUser(1, random.randint(1, 3), False)
            if random.random() < 0.003:
                command = mass_cancel(random)
            if random.random() < 0.01:
                command = listing(random)
            if isinstance(command, COMMANDS):
                return command
