"""The same commands give the same bytes: in another process, under another hash seed, replayed."""

import os
import subprocess
import sys

import pytest

from hpe.core.codec import decode_body
from hpe.protocol.limits import HOUSE_USER
from hpe.protocol.money import ListBalances
from hpe.protocol.orders import ListOrders
from hpe.protocol.reports import ExecutionReport, HoldReport, OrderReport, PreventedMatch
from tests.conftest import PROJECT_ROOT
from tests.model.seeded_run import USERS, run

SEED, COUNT = 20260, 600


def in_a_process(core, hash_seed):
    command = [sys.executable, "-m", "tests.model.seeded_run", core, str(SEED), str(COUNT)]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(PROJECT_ROOT)}
    done = subprocess.run(
        command, env=environment, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_the_hash_seed_of_the_interpreter_changes_nothing(new_core):
    core = new_core().name
    outcomes = [in_a_process(core, hash_seed) for hash_seed in ("0", "1", "random")]
    assert len(outcomes[0].split()) == 3
    assert len(set(outcomes)) == 1


def test_the_stream_trades_and_survives_replay_and_dump(new_core):
    print(f"seed {SEED}")
    venue = run(new_core, SEED, COUNT)
    told = [report for reports in venue.private.values() for report in reports]
    assert len(trades_of(venue)) > 50
    kinds = {ExecutionReport, OrderReport, PreventedMatch, HoldReport}
    assert {type(report) for report in told} == kinds
    assert len(listed(venue, ListOrders)) > 20
    venue.check()


@pytest.mark.parametrize("batch", [1, 7])
def test_how_commands_are_cut_into_batches_changes_no_trade(new_core, batch):
    expected, venue = run(new_core, SEED, 300), run(new_core, SEED, 300, batch)
    assert trades_of(venue) == trades_of(expected)
    count = len(trades_of(venue))
    assert count > 20, f"the commands of seed {SEED} trade only {count} times: choose another seed"
    for listing in (ListOrders, ListBalances):
        assert listed(venue, listing) == listed(expected, listing)


def listed(venue, listing):
    client = venue.attach(9)
    users = (*USERS, HOUSE_USER)
    return [row for user in users for row in client.ask(listing(1, user=user)).rows]


def trades_of(venue):
    return [trade for body in venue.bodies for trade in decode_body(body).trades]


def test_another_seed_gives_another_state(new_core):
    hashes = [run(new_core, seed, 50).core.state_hash() for seed in (1, 2)]
    assert hashes[0] != hashes[1]
