"""The fixed histories of the golden vectors: each a few commands that reach one part of the rules.

Together their dumps have every kind of row. States that few commands cannot reach, because they
take more of them than one turn does, are written down row by row at the beginning.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec.structs import astuple, replace

from hpe.core.state.rows import (
    DumpedEnd,
    DumpedEnding,
    DumpedFill,
    DumpedFiring,
    DumpedQueued,
    DumpedRow,
    DumpedUncross,
    DumpedUser,
    DumpedWaiting,
    DumpedWork,
)
from hpe.protocol.codes import ErrorCode
from hpe.protocol.enums import (
    Channel,
    InstrumentStatus,
    OrderType,
    Role,
    SelfTrade,
    Side,
    TimeInForce,
)
from hpe.protocol.flags import HELLO_CANCEL_ON_DISCONNECT, ORDER_POST_ONLY
from hpe.protocol.limits import HOUSE_USER
from hpe.protocol.listings import (
    AddAsset,
    AddInstrument,
    DelistAsset,
    DelistInstrument,
    GetInstrument,
    ListAssets,
    ListInstruments,
    ResolveInstrument,
)
from hpe.protocol.market_data import GetOrderbook, Subscribe
from hpe.protocol.money import (
    CaptureHold,
    Deposit,
    GetBalance,
    ListBalances,
    ListHolds,
    LockBalance,
    ReleaseHold,
    Transfer,
    UnlockBalance,
    Withdraw,
)
from hpe.protocol.operations import (
    BlockUser,
    GetConservation,
    GetStateHash,
    SetFees,
    SetStatus,
    Uncross,
)
from hpe.protocol.orders import (
    CancelOrder,
    GetOrder,
    ListFills,
    ListOrders,
    MassCancel,
    ReplaceOrder,
    SubmitOco,
)
from tests.support.core_driver import CoreFactory, VenueClient, framed
from tests.support.core_parts import place
from tests.support.dumps import rows_in
from tests.support.vectors import RecordingVenue, Vector, recorded

BUY, SELL = Side
SECOND_NS = 10**9
FUNDS = 1_000_000


def vectors(new_core: CoreFactory) -> dict[str, Vector]:
    """Play every history on a core; by the name of its file."""
    plays = {
        "money": (money, "deposits, transfers, holds and their expiry, fees of one user, rejects"),
        "orders": (orders, "the book: fills, icebergs, self-trades, replaces; market data"),
        "stops": (stops, "stops, trailing stops, pairs, buys by budget, orders with an end"),
        "calls": (calls, "a call and its uncross; a volatility interruption and its end"),
        "sessions": (sessions, "repeats, a lost connection and its grace, keys, no frames"),
        "queries": (queries, "every query, of what is there and of what is not"),
        "queued_stops": (queued_stops, "stops that have fired, and go on: in a line, on their way"),
        "uncross_in_parts": (uncross_in_parts, "an uncross of which a part is left, and goes on"),
    }
    return {name: recorded(new_core, about, play) for name, (play, about) in plays.items()}


def pair_of(venue: RecordingVenue) -> tuple[VenueClient, VenueClient]:
    """List a pair and give two users money; returns their clients, users 1 and 2."""
    first, second = venue.attach(1), venue.attach(2, window=3)
    first.get_id(AddAsset(first.next_id(), "BASE", 3))
    first.get_id(AddAsset(first.next_id(), "QUOTE", 2))
    rates = {"maker_fee_ppm": -100, "taker_fee_ppm": 300}
    first.get_id(AddInstrument(first.next_id(), "BASE/QUOTE", 1, 2, **rates))
    for client in (first, second):
        for asset in (1, 2):
            client.deposit(asset, FUNDS)
    return first, second


def money(venue: RecordingVenue) -> None:
    """Move money in every way."""
    first, second = pair_of(venue)
    venue.configure(
        auto_create=True, session_expiry_ns=2 * SECOND_NS, session_keep_ns=SECOND_NS,
        open_orders_max=50, open_orders_per_user_max=40, users_max=60, accounts_max=70,
        holds_max=30, holds_per_user_max=2, assets_max=20, assets_per_user_max=10,
        instruments_max=9, instruments_per_user_max=8, key_share_percent=50,
    )  # fmt: skip
    first.ask(ResolveInstrument(first.next_id(), "COIN", "CASH"))
    first.ask(Withdraw(first.next_id(), 1, 400))
    first.ask(Withdraw(first.next_id(), 1, FUNDS))
    first.ask(Transfer(first.next_id(), 2, 5_000, 9))
    first.ask(LockBalance(first.next_id(), 1, 300))
    first.ask(UnlockBalance(first.next_id(), 1, 100))
    soon = venue.time_ns + SECOND_NS
    for hold_id, expires_ns in ((7, 0), (8, soon), (9, 0)):
        first.ask(LockBalance(first.next_id(), 2, 60, 0, hold_id, expires_ns))
    second.ask(LockBalance(second.next_id(), 1, 60, 0, 7))
    first.ask(SetFees(first.next_id(), 2, 90, 120, 9))
    first.ask(CaptureHold(first.next_id(), 7, 25, 2))
    venue.note_dump()
    first.ask(ReleaseHold(first.next_id(), 7, 5))
    venue.pass_time(SECOND_NS)
    first.ask(SetFees(first.next_id(), 1, 150, 310, 2))
    first.ask(BlockUser(first.next_id(), 2, True))
    second.submit(BUY, 10, 1)
    first.ask(Deposit(first.next_id(), 77, 1))
    first.ask(DelistAsset(first.next_id(), 1))
    first.ask(GetStateHash(1))
    first.ask(DelistInstrument(first.next_id(), 2))


def orders(venue: RecordingVenue) -> None:
    """Trade, with somebody who watches."""
    first, second = pair_of(venue)
    first.send(*(Subscribe(n, 1, channel) for n, channel in enumerate(Channel, 1)))
    venue.wanted = {(1, channel) for channel in Channel}
    for price, quantity in ((98, 5), (99, 4), (99, 6)):
        first.submit(BUY, price, quantity, client_order_id=quantity)
    place(first, BUY, 97, 9, display_quantity=2)
    place(first, BUY, 96, 8, self_trade=SelfTrade.DECREMENT)
    venue.note_dump()
    for price in (101, 101, 103):
        second.submit(SELL, price, 7)
    second.submit(SELL, 97, 17)
    second.replace(7, price=110, leaves_quantity=8)
    place(first, BUY, 0, 3, OrderType.MARKET, TimeInForce.IOC)
    place(first, BUY, 104, 2, tif=TimeInForce.IOC, minimum_quantity=2)
    first.submit(BUY, 103, 99, TimeInForce.FOK)
    first.submit(BUY, 103, 1, post_only=True)
    place(first, BUY, 100, 1, flags=ORDER_POST_ONLY, client_order_id=4)
    first.submit(SELL, 105, 2)
    place(first, BUY, 105, 30, self_trade=SelfTrade.CANCEL_MAKER)
    first.ask(ReplaceOrder(first.next_id(), 1, 0, quantity=3))
    first.ask(CancelOrder(first.next_id(), 0, 4))
    first.ask(CancelOrder(first.next_id(), 10**6))
    first.ask(MassCancel(first.next_id(), 1, BUY))
    first.ask(GetOrderbook(1, 1, 5))
    first.ask(ListOrders(2))


def stops(venue: RecordingVenue) -> None:
    """Let stops wait and fire, and orders end by themselves."""
    first, second = pair_of(venue)
    second.submit(SELL, 100, 1)
    first.submit(BUY, 100, 1)
    for price in (104, 106, 108):
        second.submit(SELL, price, 5)
    place(first, BUY, 107, 3, OrderType.STOP_LIMIT, stop_price=104, client_order_id=1)
    place(first, BUY, 0, 0, OrderType.STOP, stop_price=105, budget=5_000)
    place(first, SELL, 0, 4, OrderType.STOP, trail=6)
    place(first, SELL, 0, 2, OrderType.STOP, trail=9, flags=2)
    first.ask(SubmitOco(first.next_id(), 1, BUY, 2, 90, 130, 135))
    place(first, BUY, 95, 3, tif=TimeInForce.GTD, expires_ns=venue.time_ns + SECOND_NS)
    venue.note_dump()
    first.submit(BUY, 104, 1)
    place(second, BUY, 0, 0, OrderType.MARKET, TimeInForce.IOC, budget=700)
    first.replace(10, quantity=1)
    venue.pass_time(SECOND_NS)


def calls(venue: RecordingVenue) -> None:
    """Hold a call, and be interrupted."""
    first, second = pair_of(venue)
    first.ask(SetStatus(first.next_id(), 1, InstrumentStatus.CALL_AUCTION))
    for price in (105, 103, 101):
        first.submit(BUY, price, 4)
        second.submit(SELL, price - 2, 3)
    first.submit(BUY, 0, 1)
    place(first, BUY, 110, 1, OrderType.STOP_LIMIT, stop_price=103)
    first.ask(Uncross(first.next_id(), 1))
    first.get_id(
        AddInstrument(
            first.next_id(), "BASE:QUOTE", 1, 2, band_ppm=50_000, reference_price=100,
            volatility_interruption=True, interruption_ms=1_000,
        )
    )  # fmt: skip
    for price in (104, 120):
        second.submit(SELL, price, 1, instrument=2)
    first.submit(BUY, 125, 2, instrument=2)
    venue.note_dump()
    first.ask(SetStatus(first.next_id(), 1, InstrumentStatus.HALTED))
    first.submit(BUY, 100, 1)
    venue.pass_time(SECOND_NS)


def sessions(venue: RecordingVenue) -> None:
    """Come, go, repeat, and be nobody's any more."""
    first, second = pair_of(venue)
    again = Deposit(second.next_id(), 1, 5)
    second.send(again, again, Deposit(again.request_id, 1, 6), Deposit(1, 1, 5))
    late = second.last_request_id + 5
    second.send(Deposit(late, 1, 1), Deposit(late - 1, 1, 1))
    second.last_request_id = late
    second.send(Deposit(second.next_id(), 1, 2), admit=ErrorCode.BUSY)
    second.send(Deposit(1, 1, FUNDS))
    venue.keys_valid(
        (7, Role.TRADER), (8, Role.MARKET_DATA), (9, Role.OPERATOR), (10, Role.GATEWAY)
    )
    flags, grace_ms = HELLO_CANCEL_ON_DISCONNECT, 1_000
    third = venue.attach(1, role=Role.TRADER, key=7, flags=flags, grace_ms=grace_ms)
    third.submit(BUY, 90, 1)
    third.submit(BUY, 91, 1)
    third.ask(SetFees(third.next_id(), 1, 0, 0))
    gateway = venue.attach(4, role=Role.GATEWAY, key=10, user_first=4, user_last=9, flags=flags)
    operate(venue)
    gateway.ask(LockBalance(gateway.next_id(), 1, 9, 5, 3))
    place(gateway, BUY, 80, 2, user=5)
    venue.attach(1, role=Role.MARKET_DATA, key=8).detach()
    third.detach()
    place(second, SELL, 120, 1, flags=2)
    another = venue.attach(2, flags=flags, grace_ms=5_000)
    another.submit(SELL, 121, 1)
    another.detach()
    venue.note_dump()
    venue.pass_time(2 * SECOND_NS)
    back = venue.attach(1, third.session_id, role=Role.TRADER, key=7, flags=flags)
    place(back, BUY, 92, 1)
    back.log_out()
    venue.try_attach(1, role=Role.TRADER, key=6)
    venue.attach(3, role=Role.OPERATOR, key=9)
    venue.keys_valid((7, Role.TRADER))
    unknown, extra = framed(b"\x92\x6f\x01"), framed(b"\x96\x45\x64\x01\x01\x00\x00")
    venue.apply(first.run_of(unknown + extra))
    venue.apply(second.run_of(framed(b"\xc1")))
    venue.pass_time(SECOND_NS)


def queries(venue: RecordingVenue) -> None:
    """Ask about everything, in one batch."""
    first, second = pair_of(venue)
    for price in (98, 99):
        first.submit(BUY, price, 5, client_order_id=price)
    second.submit(SELL, 99, 7)
    first.ask(LockBalance(first.next_id(), 2, 60, 0, 7))
    first.send(
        GetOrderbook(1, 1, 5), GetBalance(2, 1), GetBalance(3, 77), ListAssets(4),
        ListInstruments(5), GetOrder(6, 1), GetOrder(7, 0, 99), GetOrder(8, 77), ListOrders(9),
        ListFills(10), ListBalances(11), ListHolds(12), GetInstrument(13, 1),
        GetInstrument(14, 9), GetConservation(15, 2), GetStateHash(16),
        Subscribe(17, 1, Channel.ORDERS, 1),
    )  # fmt: skip
    second.send(ListFills(1, limit=1), ListOrders(2, user=1))


def operate(venue: RecordingVenue) -> None:
    """Pay in with a key, and list a pair that differs from the defaults wherever it can."""
    operator = venue.attach(3, role=Role.OPERATOR, key=9)
    for asset in (1, 2):
        operator.deposit(asset, 700, user=5)
    base = operator.get_id(AddAsset(operator.next_id(), "ORE", 1))
    operator.get_id(
        AddInstrument(
            operator.next_id(), "ORE/QUOTE", base, 2, base_atoms_per_lot=10,
            quote_atoms_per_tick=5, price_min=2, price_max=5_000, quantity_min=3,
            quantity_max=6_000, notional_min=40, notional_max=70_000, maker_fee_ppm=1,
            taker_fee_ppm=2, self_trade=SelfTrade.CANCEL_BOTH,
        )
    )  # fmt: skip


def go_on(venue: RecordingVenue) -> None:
    """Let what is unfinished go on, in a batch without commands, then look."""
    venue.apply()
    looker = venue.attach(1)
    looker.ask(ListOrders(1))
    looker.submit(BUY, 1, 1)


def queued_stops(venue: RecordingVenue) -> None:
    """Begin where stops of two books have fired: some are in lines, the others on their way."""
    first, second = pair_of(venue)
    first.get_id(AddInstrument(first.next_id(), "BASE:QUOTE", 1, 2))
    for instrument in (1, 2):
        second.submit(SELL, 100, 1, instrument=instrument)
        first.submit(BUY, 100, 1, instrument=instrument)
        for price in (103, 104, 105):
            second.submit(SELL, price, 1, instrument=instrument)
        for trigger in (101, 101, 102, 104):
            place(
                first, BUY, 106, 1, OrderType.STOP_LIMIT, stop_price=trigger, instrument=instrument
            )
    rows: list[DumpedRow] = []
    for row in rows_in(venue.core.dump()):
        if isinstance(row, DumpedWaiting) and row.stop_price < 103:
            rows.append(DumpedQueued(*astuple(row), row.stop_price - 100))
        elif isinstance(row, DumpedUser) and row.user < HOUSE_USER:  # whose fills are not kept
            rows.append(replace(row, fills_after=row.private_sequence))
        elif not isinstance(row, DumpedFill):
            rows.append(row)
    rows += [DumpedWork(number, line_is_open=number > 1, interrupted=False) for number in (1, 2)]
    rows += [DumpedFiring(1, [101, 102], 0, 1), DumpedFiring(1, [103], 1, 0)]
    rows += [DumpedFiring(2, [102, 104], 0, 0)]
    venue.begin_with(put_together(rows))
    go_on(venue)


def uncross_in_parts(venue: RecordingVenue) -> None:
    """Begin where two uncrosses have begun, and a third, of an interruption, is due."""
    first, second = pair_of(venue)
    for symbol in ("BASE:QUOTE", "BASE.QUOTE"):
        first.get_id(AddInstrument(first.next_id(), symbol, 1, 2))
    lost = venue.attach(1, flags=HELLO_CANCEL_ON_DISCONNECT, grace_ms=1)
    for instrument in (1, 2, 3):
        status = InstrumentStatus.CALL_AUCTION
        first.ask(SetStatus(first.next_id(), instrument, status))
        for price in (101, 102, 103):
            lost.submit(BUY, price, 1 + instrument, instrument=instrument)
            second.submit(SELL, price - 2, 2, instrument=instrument)
    lost.detach()
    rows: list[DumpedRow] = []
    for row in rows_in(venue.core.dump()):
        if isinstance(row, DumpedEnding):  # it waits for the first uncross
            rows.append(replace(row, due_ns=venue.time_ns, instrument=1))
        else:
            rows.append(row)
    rows += [DumpedWork(n, line_is_open=False, interrupted=n == 3) for n in (1, 2, 3)]
    rows += [
        DumpedUncross(1, 101, 6, 0, InstrumentStatus.TRADING),
        DumpedUncross(2, 102, 5, 3, InstrumentStatus.HALTED),
    ]
    venue.begin_with(put_together(rows))
    go_on(venue)


def put_together(rows: Iterable[DumpedRow]) -> list[bytes]:
    """Make a dump of rows: in their order, with an end that counts them."""
    inner = [row for row in rows if not isinstance(row, DumpedEnd)]
    inner.sort(key=lambda row: row.__struct_config__.tag)
    return [msgspec.msgpack.encode(row) for row in (*inner, DumpedEnd(len(inner)))]
