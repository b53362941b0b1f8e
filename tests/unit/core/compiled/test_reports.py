"""The private reports of the compiled core have the reference's bytes and numbers."""

import pytest

from hpe.core.codec import Trade, encode
from hpe.core.output.private_reports import ExecutionReport
from hpe.protocol.limits import INT_MAX
from tests.unit.core.compiled.both_outputs import BothOutputs
from tests.unit.core.compiled.happenings import any_int

CONNECTION = 5
KINDS = {"Order", "tuple", "OrderChange", "Match", "AuctionMatch", "HoldEvent", "Delisted"}


@pytest.mark.parametrize("seed", range(4))
def test_reports_are_the_references(outputs, seed):
    both = BothOutputs(outputs, seed)
    for _ in range(120):
        both.begin()
        both.compiled.replies_to(CONNECTION, 0, 0)
        out, digest = both.work.replies_to(CONNECTION), any_int(both.random, 2**32 - 1)
        for _ in range(both.random.randint(1, 5)):
            both.command(any_int(both.random), both.random.choice((out, out, None)))
            both.compare()
            assert both.compiled.replies == b"".join(out)
        both.accounts(any_int(both.random))
        both.compare()
        both.compiled.end_replies()
        both.output(digest)
    assert both.seen.keys() == {*KINDS, "trades"}
    assert both.seen["trades"] > 300


def test_the_longest_report_and_trade_have_room(outputs):
    report = ExecutionReport(*(INT_MAX,) * 18, -INT_MAX)
    assert len(encode(report)) <= outputs.REPORT_BYTES_MAX
    trade = Trade(*(INT_MAX,) * 6)
    assert len(encode(trade)) <= outputs.TRADE_BYTES_MAX
    compiled = outputs.Outputs()
    compiled.begin(1, 1, True, 1)
    digested, replies, trades = compiled.reserve_command(1_000, 500)
    assert digested >= 1_000 * len(encode(report))
    assert replies >= 1_000 * (4 + len(encode(report)))
    assert trades >= 500 * len(encode(trade))
