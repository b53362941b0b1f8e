"""Dumps and loads of the compiled exchange amid unfinished work, and rows that are refused."""

import pytest
from msgspec.structs import replace

from hpe.core.sessions.registry import Sessions
from hpe.core.state.dump import dump_state
from hpe.core.state.rows import (
    DumpedAccount,
    DumpedAsset,
    DumpedEnded,
    DumpedFees,
    DumpedFill,
    DumpedFiring,
    DumpedInstrument,
    DumpedNet,
    DumpedQueued,
    DumpedResting,
    DumpedUncross,
    DumpedUser,
    DumpedWaiting,
    DumpedWork,
)
from hpe.protocol.enums import InstrumentStatus, OrderType, Side, TimeInForce
from hpe.protocol.money import Deposit
from hpe.protocol.operations import SetStatus, Uncross
from hpe.protocol.orders import CancelOrder, OrderTerms, SubmitOrder
from tests.unit.core.compiled.test_trading import DECODER, SMALL, BothTrading

MISSING = "of which no row came before"


def dumped(both):
    """Return the rows of the reference's state."""
    chunks = dump_state(both.reference, Sessions(both.reference.timers), both.feed, 0)
    return [DECODER.decode(chunk) for chunk in chunks]


def has_all(rows, *kinds):
    return set(kinds) <= {type(row) for row in rows}


@pytest.fixture(scope="module")
def states(trading):
    """Return the rows at each moment of an uncross with more fills than a command has.

    Many stops wait for its price. At each moment, dump and load are compared with the reference's.
    """
    both, rows = BothTrading(trading, SMALL), []

    def do(command, user=1):
        command = replace(command, request_id=next(both.request_ids))
        both.batch([command], user, user, user, operator=True, cancels=False)
        both.compare_state()
        both.load_state()

    for user in (1, 2):
        do(Deposit(0, 1, 10**9, user))
        do(Deposit(0, 2, 10**9, user))
    terms = OrderTerms(stop_price=6)
    for side in Side:
        do(SubmitOrder(0, 1, 0, side, OrderType.LIMIT, TimeInForce.GTC, 6 + (side == Side.SELL), 1))
        for _ in range(4 * SMALL.fired):
            do(SubmitOrder(0, 1, 0, side, OrderType.STOP, TimeInForce.GTC, 0, 1, terms=terms))
    do(SetStatus(0, 1, InstrumentStatus.CALL_AUCTION))
    for _ in range(2 * SMALL.uncross_fills):
        for user, side in ((1, Side.BUY), (2, Side.SELL)):
            do(SubmitOrder(0, 1, 0, side, OrderType.LIMIT, TimeInForce.GTC, 6, 1), user)
    do(Uncross(0, 1))
    while both.reference.market.turns.books:
        rows.append(dumped(both))
        if not has_all(rows[-1], DumpedQueued, DumpedFiring):
            do(Deposit(0, 1, 1, 1))
            continue
        # The stops that fired end in their line, while others still leave their triggers for it.
        do(SetStatus(0, 1, InstrumentStatus.CANCEL_ONLY))
        for row in dumped(both):
            if isinstance(row, DumpedQueued):
                do(CancelOrder(0, row.order_id), row.user)
        rows.append(dumped(both))
        do(SetStatus(0, 1, InstrumentStatus.TRADING))
    return rows


def test_unfinished_work_is_dumped_and_loaded_while_it_goes_on(states):
    for kind in (DumpedQueued, DumpedWork, DumpedFiring, DumpedUncross):
        assert any(has_all(rows, kind) for rows in states)
    empty = [rows for rows in states if not has_all(rows, DumpedQueued)]
    assert any(has_all(rows, DumpedFiring) for rows in empty)


def without(rows, kind):
    return [row for row in rows if not isinstance(row, kind)]


def changed(rows, kind, **fields):
    """Return the rows with the last one of a kind changed."""
    at = max(at for at, row in enumerate(rows) if isinstance(row, kind))
    return [*rows[:at], replace(rows[at], **fields), *rows[at + 1 :]]


def repeated(rows, kind, **fields):
    """Return the rows with the last one of a kind again, changed."""
    at = max(at for at, row in enumerate(rows) if isinstance(row, kind))
    return [*rows[: at + 1], replace(rows[at], **fields), *rows[at + 1 :]]


@pytest.mark.parametrize(
    ("change", "kind", "fields", "text"),
    [
        (without, DumpedAsset, {}, f"names asset 1, {MISSING}"),
        (without, DumpedInstrument, {}, f"names instrument 1, {MISSING}"),
        (without, DumpedUser, {}, f"names user 1, {MISSING}"),
        (without, DumpedAccount, {}, f"names of user 1 an account of asset 1, {MISSING}"),
        (without, DumpedWork, {}, f"names unfinished instrument 1, {MISSING}"),
        (changed, DumpedFees, {"instrument": 99}, f"names instrument 99, {MISSING}"),
        (changed, DumpedNet, {"asset": 99}, f"names asset 99, {MISSING}"),
        (changed, DumpedFill, {"user": 99}, f"names user 99, {MISSING}"),
        (changed, DumpedResting, {"partner": 10**6}, f"names order 1000000, {MISSING}"),
        (changed, DumpedResting, {"flags": 256}, "too large"),
        (repeated, DumpedResting, {}, "is a second one of order"),
        (changed, DumpedWaiting, {"stop_price": 0, "place": 0}, "waits at a trigger"),
        (repeated, DumpedWaiting, {"order_id": 10**6}, "waits at a trigger"),
        (changed, DumpedQueued, {"line": 5}, "stands in line 5"),
        (changed, DumpedQueued, {"stop_price": 0, "place": 0}, "stands in a line"),
        (repeated, DumpedQueued, {"order_id": 10**6}, "stands in a line"),
        (repeated, DumpedEnded, {}, "is a second one of order"),
        (repeated, DumpedFill, {}, "is not newer"),
        (changed, DumpedFiring, {"sides_done": 2}, "fires what"),
        (changed, DumpedFiring, {"prices_done": 2}, "fires what"),
    ],
)
def test_rows_that_cannot_be_are_refused(trading, states, change, kind, fields, text):
    rows = next(rows for rows in states if has_all(rows, DumpedQueued, DumpedFiring, DumpedWaiting))
    if kind is DumpedWork:
        rows = without(rows, DumpedQueued)  # they would make work
    with pytest.raises((ValueError, OverflowError), match=text):
        trading.Exchange(SMALL).load(change(rows, kind, **fields))


def test_an_open_line_without_stops_is_refused(trading, states):
    rows = next(rows for rows in states if has_all(rows, DumpedQueued))
    rows = changed(without(rows, DumpedQueued), DumpedWork, line_is_open=True)
    with pytest.raises(ValueError, match="has an open line, but no line"):
        trading.Exchange(SMALL).load(rows)
