"""The output of batches in both cores: what happens, is answered and logged, and its comparison.

For the tests of reports and of whole batches; relies on hpe.core and on the module that is built.
"""

from __future__ import annotations

from collections import Counter
from random import Random
from zlib import crc32

import msgspec

from hpe.core.context.holders import NOBODY
from hpe.core.money.balances import Account
from hpe.core.output.batch import BatchWork, trades_of
from hpe.core.output.private_reports import PrivateFeed
from hpe.core.timers import Timers
from hpe.core.trading.events import AuctionMatch
from hpe.core.trading.matcher import Match
from hpe.core.trading.order_index import OrderIndex
from tests.unit.core.compiled.happenings import (
    USERS,
    any_event,
    any_int,
    any_order,
    append,
    change,
)


class BothOutputs:
    """The same batches in both cores, with users that had different numbers of reports."""

    def __init__(self, outputs, seed, reports_max=4):
        self.random, self.reports_max = Random(seed), reports_max
        self.compiled = outputs.Outputs(reports_max)
        self.index = OrderIndex(Timers((1, 1, 1, 1, 1)))
        self.feed = PrivateFeed(self.index)
        self.numbers, self.seen = {}, Counter()
        for user in USERS:
            reports = any_int(self.random, 2**62)
            self.index.open_user(user, {}, NOBODY)
            self.feed.restore(user, reports)
            self.numbers[self.compiled.open_user(user, reports)] = user
        self.orders = [
            any_order(self.random, number, self.random.choice(USERS)) for number in range(1, 9)
        ]
        for order in self.orders:
            self.compiled.set(order)

    def begin(self, *, begun=True, rows=100):
        time_ns, sequence = any_int(self.random), any_int(self.random)
        self.work = BatchWork(time_ns, sequence, self.reports_max)
        self.work.begun = begun
        self.kept = {
            user: [*self.index.users[user].fills.rows] for user in USERS
        }  # fills before this batch
        self.compiled.begin(time_ns, sequence, begun, rows)

    def command(self, sequence, out):
        """Let a command do something; `out` None: it was no client's."""
        random, events = self.random, []
        count = random.choice((0, 1, 1, 2, 5))
        self.compiled.reserve(0, 0, count, 4 * count)
        self.compiled.reserve_command(8 * 4 * count, 4 * count)
        for _ in range(count):
            events.append(any_event(random, self.orders))
            append(self.compiled, events[-1])
        changed = random.choice(self.orders)  # orders may change before the report
        change(random, changed)
        self.compiled.set(changed)
        for event in events:
            frames = self.feed.report(event, sequence, self.work.time_ns, self.work)
            if out is not None:
                out += frames
            self.work.trades += trades_of(event)
            self.seen[type(event).__name__] += 1
            if isinstance(event, Match | AuctionMatch):
                self.seen["trades"] += len(event.fills)
        self.compiled.report(sequence, self.work.time_ns, out is not None)

    def accounts(self, sequence):
        """Report some accounts that changed, sorted."""
        random = self.random
        keys = {(random.choice(USERS), random.randint(1, 3)) for _ in range(random.randint(0, 6))}
        changed = []
        for user, asset in sorted(keys):
            account = Account(user, asset)
            account.available = random.choice((1, -1)) * any_int(random)
            account.reserved, account.held = any_int(random), any_int(random)
            account.named = any_int(random)
            changed.append(account)
        self.feed.report_accounts(changed, sequence, self.work.time_ns, self.work)
        self.compiled.reserve_command(len(changed), 0)
        self.compiled.report_accounts(changed, sequence, self.work.time_ns)

    def compare(self):
        """Compare what the digest covers, the counters and the fills that are kept."""
        assert self.compiled.digested == b"".join(self.work.digested)
        for user in USERS:
            assert self.compiled.last(user) == self.feed.last(user)
        fills = {user: [*rows] for user, rows in self.kept.items()}
        for number, fill in self.compiled.fills:
            fills[self.numbers[number]].append(fill)
        for user in USERS:
            rows = [
                row if isinstance(row, list) else [*msgspec.structs.astuple(row)]
                for row in fills[user]
            ]
            expected = self.index.users[user].fills.rows
            assert rows == [[*msgspec.structs.astuple(row)] for row in expected]

    def output(self, digest, market=()):
        """Return the output of the reference, compared with the compiled one."""
        expected = self.work.output(digest, 1, 1, list(market), late=False)
        assert self.compiled.pack(digest) == tuple(map(bytes, expected[:10]))
        return expected

    def digest(self, before):
        """Return the digest of the batch after that of the one before."""
        return crc32(b"".join(self.work.digested), before)
