"""Who may do what: every cell of the table, for own, granted and other users."""

import pytest

from hpe.protocol.base import type_number
from hpe.protocol.codes import CancelReason, ErrorCode
from hpe.protocol.control import Error
from hpe.protocol.enums import Channel, ExecType, OrderType, Role, Side, TimeInForce
from hpe.protocol.flags import FLAG_DUPLICATE
from hpe.protocol.limits import COMMAND_FIRST, HOUSE_USER
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
    MassCancelResponse,
    OrderResponse,
    ReplaceOrder,
    SubmitOco,
    SubmitOrder,
)
from hpe.protocol.registry import COMMANDS, CONTROL, QUERIES
from tests.support import naive_permissions
from tests.support.naive_permissions import CELLS, COLUMNS

OWN, FRIEND, STRANGER = 20, 30, 31
FIRST, LAST = 10, 30
"""A gateway's users; a trader's are its own account alone."""

LIMIT, GTC = OrderType.LIMIT, TimeInForce.GTC

WITHOUT_USER = {
    GetOrderbook: GetOrderbook(1, 1, 5),
    ListAssets: ListAssets(1),
    ListInstruments: ListInstruments(1),
    GetInstrument: GetInstrument(1, 1),
    Subscribe: Subscribe(1, 1, Channel.BEST),
    GetConservation: GetConservation(1, 1),
    GetStateHash: GetStateHash(1),
    ResolveInstrument: ResolveInstrument(1, "BASE", "QUOTE"),
    AddAsset: AddAsset(1, "NEW", 2),
    AddInstrument: AddInstrument(1, "TWO", 2, 1),
    DelistAsset: DelistAsset(1, 1),
    DelistInstrument: DelistInstrument(1, 1),
    SetStatus: SetStatus(1, 1, 2),
    Uncross: Uncross(1, 1),
}
"""Requests that are about nobody."""

WITH_USER = {
    GetBalance: lambda user: GetBalance(1, 1, user),
    GetOrder: lambda user: GetOrder(1, 1, 0, user),
    ListOrders: lambda user: ListOrders(1, user=user),
    ListFills: lambda user: ListFills(1, user=user),
    ListBalances: lambda user: ListBalances(1, user=user),
    ListHolds: lambda user: ListHolds(1, user=user),
    SubmitOrder: lambda user: SubmitOrder(1, 1, 0, Side.BUY, LIMIT, GTC, 9, 9, user=user),
    CancelOrder: lambda user: CancelOrder(1, 1, 0, user),
    ReplaceOrder: lambda user: ReplaceOrder(1, 1, 0, 5, user=user),
    SubmitOco: lambda user: SubmitOco(1, 1, Side.SELL, 5, 9, 8, user=user),
    MassCancel: lambda user: MassCancel(1, user=user),
    LockBalance: lambda user: LockBalance(1, 1, 1, user),
    UnlockBalance: lambda user: UnlockBalance(1, 1, 1, user),
    CaptureHold: lambda user: CaptureHold(1, 7, 1, FRIEND, user),
    ReleaseHold: lambda user: ReleaseHold(1, 7, 1, user),
    Transfer: lambda user: Transfer(1, 1, 1, FRIEND, user),
    Deposit: lambda user: Deposit(1, 1, 1, user),
    Withdraw: lambda user: Withdraw(1, 1, 1, user),
    BlockUser: lambda user: BlockUser(1, user or OWN, False),
    SetFees: lambda user: SetFees(1, 1, 5, 5, user),
}
"""Requests for a user; 0: whose session it is."""

SPECIAL = {
    "transfer to a stranger": Transfer(1, 1, 1, STRANGER),
    "capture to a stranger": CaptureHold(1, 7, 1, STRANGER),
    "transfer to the house": Transfer(1, 1, 1, HOUSE_USER),
    "orders of everybody": MassCancel(1, all_users=True),
    "orders of everybody and of one": MassCancel(1, user=OWN, all_users=True),
    "first of the range": GetBalance(1, 1, FIRST),
    "below the range": GetBalance(1, 1, FIRST - 1),
    "an order of the first": CancelOrder(1, 1, 0, FIRST),
    "an order from below": CancelOrder(1, 1, 0, FIRST - 1),
    "money of the house": Withdraw(1, 1, 1, HOUSE_USER),
}

each_role = pytest.mark.parametrize("role", COLUMNS, ids=lambda role: role.name.lower())


def users_of(role):
    return (FIRST, LAST) if role is Role.GATEWAY else (OWN, OWN)


def session_of(venue, role):
    first, last = naive_permissions.users_of(role, *users_of(role))
    return venue.attach(OWN, role=role, user_first=first, user_last=last)


def judge(venue, role, request):
    """Send a request; what comes back and what it did must be as the table says."""
    allowed = naive_permissions.users_of(role, *users_of(role))
    may = naive_permissions.permitted(role, allowed, OWN, request)
    client = session_of(venue, role)
    core = venue.core
    before = (core.state_hash(), core.last_sequence)
    output = venue.apply(client.run(request))
    (reply,) = client.replies(output)[-1:]
    if may:
        assert not isinstance(reply, Error)
        is_command = type_number(type(request)) >= COMMAND_FIRST
        assert core.last_sequence == before[1] + is_command
        assert bool(output.body) == is_command
    else:
        assert (reply.code, reply.request_id) == (ErrorCode.NOT_AUTHORIZED, 1)
        assert (reply.executed, reply.fatal, reply.retryable) == (False, False, False)
        assert output.body == b""
        assert (output.private, output.market, output.subscribed) == ([], [], [])
        assert (core.state_hash(), core.last_sequence) == before


def test_the_table_has_every_request():
    assert {kind for kind, _ in CELLS} == {*CONTROL, *QUERIES, *COMMANDS}
    assert WITHOUT_USER.keys() | WITH_USER.keys() == {*QUERIES, *COMMANDS}
    assert len(CELLS) == len({*CONTROL, *QUERIES, *COMMANDS}) * len(Role)


@each_role
@pytest.mark.parametrize("kind", WITHOUT_USER, ids=lambda kind: kind.__name__)
def test_a_request_about_nobody(market, role, kind):
    judge(market, role, WITHOUT_USER[kind])


@each_role
@pytest.mark.parametrize(
    "user", [0, OWN, FRIEND, STRANGER], ids=["nobody", "own", "friend", "stranger"]
)
@pytest.mark.parametrize("kind", WITH_USER, ids=lambda kind: kind.__name__)
def test_a_request_for_a_user(market, role, kind, user):
    judge(market, role, WITH_USER[kind](user))


@each_role
@pytest.mark.parametrize("name", SPECIAL)
def test_whom_money_goes_to_and_the_ends_of_the_range(market, role, name):
    judge(market, role, SPECIAL[name])


# --- what else a refusal must not do ------------------------------------------------------------


def test_a_refused_id_can_be_used_for_something_that_is_allowed(client):
    trader = session_of(client.venue, Role.TRADER)
    assert trader.refused(Deposit(5, 1, 1)).code == ErrorCode.NOT_AUTHORIZED
    reply = trader.ask(SubmitOrder(5, 1, 0, Side.BUY, LIMIT, GTC, 100, 1))
    assert (reply.flags, reply.request_id) == (0, 5)
    assert client.venue.core.last_sequence == reply.sequence
    client.venue.check()


def test_a_query_is_judged_whatever_its_id(client):
    """Queries may use ids that commands have passed."""
    session = client.venue.attach(7, role=Role.TRADER, user_first=7, user_last=7)
    session.ask(ResolveInstrument(1_000, "A", "B"))
    (answer,) = session.send(GetStateHash(5))
    assert isinstance(answer, Error)
    assert answer.code == ErrorCode.NOT_AUTHORIZED


def test_what_was_executed_is_recalled_though_it_would_be_refused_now(client):
    """A refusal would say that it was not executed."""
    venue = client.venue
    gateway = venue.attach(7, role=Role.GATEWAY, user_first=5, user_last=9)
    order = CancelOrder(1, 1, user=9)
    first = gateway.ask(order)
    gateway.detach()
    narrowed = venue.attach(7, gateway.session_id, role=Role.GATEWAY, user_first=5, user_last=7)
    again = narrowed.ask(order)
    assert isinstance(again, OrderResponse)
    assert (again.flags, again.sequence) == (FLAG_DUPLICATE, first.sequence)
    assert narrowed.ask(CancelOrder(2, 1, user=9)).code == ErrorCode.NOT_AUTHORIZED


@pytest.mark.parametrize("admit", [ErrorCode.BUSY, ErrorCode.SHUTTING_DOWN])
def test_what_is_not_allowed_is_said_in_a_refused_run_too(client, admit):
    """`busy` would say that it is worth sending again."""
    trader = session_of(client.venue, Role.TRADER)
    first = trader.ask(ResolveInstrument(4, "A", "B"))
    requests = Deposit(5, 1, 1), CancelOrder(6, 9), GetStateHash(7), ResolveInstrument(4, "A", "B")
    forbidden, late, query, repeated = trader.send(*requests, admit=admit)
    assert (forbidden.code, forbidden.request_id) == (ErrorCode.NOT_AUTHORIZED, 5)
    assert (late.code, query.code) == (admit, ErrorCode.NOT_AUTHORIZED)
    assert (repeated.flags, repeated.sequence) == (FLAG_DUPLICATE, first.sequence)


def test_market_data_sees_nobody_s_own_fees(market, client):
    client.ask(SetFees(client.next_id(), 1, 100, 200, user=OWN))
    trader = session_of(client.venue, Role.TRADER)
    watcher = client.venue.attach(OWN, role=Role.MARKET_DATA)
    rates = [
        (row.maker_fee_ppm, row.taker_fee_ppm)
        for row in (session.ask(GetInstrument(9, 1)) for session in (trader, watcher))
    ]
    assert rates == [(100, 200), (0, 0)]


def test_refusals_stand_in_their_place_among_other_answers(client):
    trader = session_of(client.venue, Role.TRADER)
    requests = [GetBalance(1, 1), Deposit(2, 1, 1), CancelOrder(3, 9), GetBalance(4, 1, STRANGER)]
    replies = trader.send(*requests)
    assert [reply.request_id for reply in replies] == [1, 2, 3, 4]
    assert [isinstance(reply, Error) for reply in replies] == [False, True, False, True]


def test_a_batch_of_refusals_lets_no_time_act(client):
    client.deposit(1, 5, user=STRANGER)
    due_ns = client.venue.time_ns + 100
    client.ask(LockBalance(client.next_id(), 1, 5, STRANGER, 3, due_ns))
    trader = session_of(client.venue, Role.TRADER)
    output = client.venue.apply(trader.run(Deposit(1, 1, 1)), wait_ns=1_000)
    assert (output.body, output.next_due_ns) == (b"", due_ns)


# --- acting for others ----------------------------------------------------------------------------


@pytest.fixture
def gateway(client):
    gateway = session_of(client.venue, Role.GATEWAY)
    for user in (OWN, FRIEND):
        client.deposit(1, 1_000, user)
        client.deposit(2, 1_000, user)
    return gateway


def order_for(gateway, user, side, price, quantity):
    request = SubmitOrder(gateway.next_id(), 1, 0, side, LIMIT, GTC, price, quantity, user=user)
    return gateway.get(OrderResponse, request)


def test_a_gateway_trades_for_its_users_with_their_money(gateway, client):
    venue = gateway.venue
    resting = order_for(gateway, FRIEND, Side.SELL, 10, 5)
    taken = order_for(gateway, OWN, Side.BUY, 10, 5)
    assert (taken.cum, taken.fill_count) == (5, 1)
    (fill,) = gateway.fills
    assert (fill.request_id, fill.contra_order_id) == (taken.request_id, resting.order_id)
    assert venue.private[OWN][-1] == fill
    assert venue.private[FRIEND][-1].order_id == resting.order_id
    assert client.balance(1, OWN).available == 1_005
    assert client.balance(2, FRIEND).available == 1_050
    venue.check()


def test_an_order_of_another_user_is_unknown(gateway):
    mine = order_for(gateway, OWN, Side.SELL, 10, 5)
    unknown = gateway.ask(CancelOrder(gateway.next_id(), mine.order_id, 0, FRIEND))
    assert (unknown.reason, unknown.order_id) == (2, 0)
    assert gateway.cancel(mine.order_id).canceled == 5


def test_fills_for_another_user_come_bare_on_the_connection_that_asked(gateway, client):
    client.submit(Side.SELL, 10, 5)
    order_for(gateway, FRIEND, Side.BUY, 10, 5)
    (fill,) = gateway.fills
    assert fill == gateway.venue.private[FRIEND][-1]
    assert not gateway.venue.private.get(OWN)


def test_mass_cancel_for_a_user_tells_the_sender(gateway):
    orders = [order_for(gateway, FRIEND, Side.SELL, 10 + n, 5).order_id for n in range(2)]
    order_for(gateway, OWN, Side.SELL, 10, 5)
    command = MassCancel(gateway.next_id(), user=FRIEND)
    assert gateway.get(MassCancelResponse, command).canceled == 2
    told = [(report.order_id, report.request_id) for report in gateway.events]
    assert told == [(order_id, command.request_id) for order_id in orders]
    assert {report.reason for report in gateway.events} == {CancelReason.MASS_CANCEL}
    assert {report.exec_type for report in gateway.events} == {ExecType.CANCELED}


def test_nobody_trades_as_the_house(client):
    for request in (
        SubmitOrder(50, 1, 0, Side.BUY, LIMIT, GTC, 9, 9, user=HOUSE_USER),
        CancelOrder(50, 1, 0, HOUSE_USER),
        ReplaceOrder(50, 1, 0, 5, user=HOUSE_USER),
        SubmitOco(50, 1, Side.SELL, 5, 9, 8, user=HOUSE_USER),
    ):
        answer = client.refused(request)
        assert (answer.code, answer.field) == (ErrorCode.BAD_FIELD, "user")


# --- roles of sessions ----------------------------------------------------------------------------


@each_role
def test_a_session_is_taken_up_again_in_its_own_role_alone(market, role):
    first = session_of(market, role)
    for other in COLUMNS:
        granted = {"role": other, "user_first": OWN, "user_last": OWN}
        response = market.try_attach(OWN, first.session_id, **granted)
        assert (response.error == 0) == (other is role)
    market.check()
