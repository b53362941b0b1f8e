"""Drive a core as the service does: typed messages in, frames through `Core.apply`, messages out.

Owns what every test of a core needs, and no part of the core: connections, request ids, batch
times, the bodies that a log would hold, the reports that users would get, the market data that
was asked for. One Venue per test. Checks of every output what holds for every core: private
sequences without gaps, bounded responses, one row per connection, only the wanted market data.
Relies on `Core` alone, so a second core runs the same tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from typing import Any, Final, NamedTuple, TypeVar, get_args

import msgspec

from hpe.core.contract import DEFAULT_LIMITS, SYSTEM_CONNECTION, Batch, Core, Limits, Run
from hpe.protocol.base import Reply, Request
from hpe.protocol.control import Error
from hpe.protocol.enums import Channel, DetachCause, OrderType, Role, Side, TimeInForce
from hpe.protocol.flags import ORDER_POST_ONLY
from hpe.protocol.frames import chunk_of
from hpe.protocol.internal import (
    Configure,
    ConfigureResponse,
    InternalResponse,
    KeySetting,
    KeysValid,
    KeysValidResponse,
    PlaceLimits,
    SessionAttached,
    SessionAttachedResponse,
    SessionClosed,
    SessionClosedResponse,
    SessionDetached,
    Tick,
    TickResponse,
)
from hpe.protocol.limits import (
    CHANGES_PER_UPDATE_MAX,
    COMMAND_FIRST,
    HOUSE_USER,
    INTERNAL_FIRST,
    REPLY_BYTES_MAX,
    RESPONSE_BYTES_MAX,
)
from hpe.protocol.listings import AddAsset, AddAssetResponse, AddInstrument
from hpe.protocol.market_data import (
    GetOrderbook,
    LevelsUpdate,
    MarketUpdate,
    OrderbookReply,
    OrdersUpdate,
)
from hpe.protocol.money import BalanceReply, Deposit, GetBalance
from hpe.protocol.orders import (
    CancelOrder,
    CancelResponse,
    OrderResponse,
    ReplaceOrder,
    ReplaceResponse,
    SubmitOrder,
)
from hpe.protocol.registry import AnyReply
from hpe.protocol.reports import (
    BalanceReport,
    ExecutionReport,
    OrderReport,
    PreventedMatch,
    PrivateReport,
    PrivateUpdate,
)
from tests.support.listed import Listed, listed
from tests.support.progress import check_order, check_progress
from tests.support.update_parts import changes_of, check_parts, check_private_parts

CoreFactory = Callable[..., Core]  # of limits
ReplyT = TypeVar("ReplyT", bound=Reply)

DAY_NS: Final = 86_400 * 10**9
KEEP_NS: Final = 600 * 10**9

_ENCODE: Final = msgspec.msgpack.Encoder().encode
_DECODER: Final = msgspec.msgpack.Decoder(AnyReply)
_INTERNAL_DECODER: Final = msgspec.msgpack.Decoder(
    SessionAttachedResponse
    | InternalResponse
    | SessionClosedResponse
    | TickResponse
    | ConfigureResponse
    | KeysValidResponse
)


def frames_of(requests: Iterable[Request]) -> bytes:
    """Encode requests as a client would send them."""
    return b"".join(framed(_ENCODE(request)) for request in requests)


def framed(body: bytes) -> bytes:
    """Return a body with its length prefix."""
    return len(body).to_bytes(4, "big") + body


def bodies_of(frames: bytes) -> list[bytes]:
    """Return the bodies of whole frames; every byte must belong to one."""
    bodies = []
    while frames:
        end = 4 + int.from_bytes(frames[:4], "big")
        assert len(frames) >= end, "the bytes end inside a frame"
        bodies.append(frames[4:end])
        frames = frames[end:]
    return bodies


def decoded(frames: bytes) -> list[Reply]:
    """Return the replies in frames that a client receives."""
    replies: list[Reply] = []
    for body in bodies_of(frames):
        kind = body[1] if body[0] != 0xDC else body[3]
        if COMMAND_FIRST <= kind < INTERNAL_FIRST:
            assert len(body) <= RESPONSE_BYTES_MAX
        replies.append(_DECODER.decode(body))
    return replies


def internal_replies(frames: bytes) -> list[Reply]:
    """Decode the responses to internal commands."""
    return [_INTERNAL_DECODER.decode(body) for body in bodies_of(frames)]


class MarketRow(NamedTuple):
    """What one batch changed in one channel of an instrument, and the time of the batch."""

    instrument: int
    channel: Channel
    updates: list[MarketUpdate]
    time_ns: int


def market_updates(frames: bytes) -> list[MarketUpdate]:
    """Return the market data of one row; a client must be able to receive every frame."""
    updates: list[MarketUpdate] = []
    for body in bodies_of(frames):
        assert len(body) <= REPLY_BYTES_MAX
        update = _DECODER.decode(body)
        assert isinstance(update, get_args(MarketUpdate))
        if isinstance(update, LevelsUpdate):
            assert len(update.bids) + len(update.asks) <= CHANGES_PER_UPDATE_MAX
        elif isinstance(update, OrdersUpdate):
            assert len(update.changes) <= CHANGES_PER_UPDATE_MAX
        updates.append(update)
    return updates


def wanted_of(channels: Iterable[tuple[int, Channel]]) -> bytes:
    """Encode which channels of which instruments have subscribers."""
    masks: dict[int, int] = {}
    for instrument, channel in channels:
        masks[instrument] = masks.get(instrument, 0) | 1 << (channel - 1)
    return b"".join(
        instrument.to_bytes(4, "big") + bytes([mask]) for instrument, mask in sorted(masks.items())
    )


def settings_of(**changes: Any) -> Configure:
    """Return a `configure` without listings; settings not named have the core's initial value."""
    values: dict[str, Any] = {"auto_create": False, "session_expiry_ns": DAY_NS}
    values |= {"session_keep_ns": KEEP_NS, "open_orders_max": 1_000_000}
    values["open_orders_per_user_max"] = 1_000_000
    places = {name: changes.pop(name) for name in PlaceLimits.__struct_fields__ if name in changes}
    values["places"] = PlaceLimits(**places)
    return Configure(1, **{**values, "assets": [], "instruments": [], **changes})


class Venue:
    """A core and everything around it.

    `bodies` is the log so far; `private` what each user's private stream would have carried,
    except balance reports, which are in `balances`. `market` is the market data of the channels in
    `wanted`, and `subscribed` the subscribes answered with a snapshot, since they were last taken;
    `delisted` are the watched instruments that were delisted. Unless `wait_ns` says otherwise, a
    batch comes `pace_ns` after the one before.
    """

    def __init__(self, new_core: CoreFactory, limits: Limits = DEFAULT_LIMITS) -> None:
        self.new_core, self.limits = new_core, limits
        self.core = new_core(limits)
        self.bodies: list[bytes] = []
        self.private: dict[int, list[PrivateReport]] = {}
        self.balances: dict[int, list[BalanceReport]] = {}
        self.wanted: set[tuple[int, Channel]] = set()
        self.market: list[MarketRow] = []
        self.delisted: list[int] = []
        self.subscribed: list[tuple[int, int, int, int]] = []
        self.attach_numbers = count(1)
        self.time_ns, self.pace_ns = 0, 1

    def apply(self, *runs: Run, wait_ns: int | None = None) -> Listed:
        """Apply one batch, `wait_ns` after the last one, or `pace_ns` after it."""
        self.time_ns += self.pace_ns if wait_ns is None else wait_ns
        output = listed(self.core.apply(Batch(self.time_ns, list(runs), wanted_of(self.wanted))))
        check_order(output, runs)
        if output.body:
            self.bodies.append(output.body)
        for row in output.private:
            self._take_private(*row)
        check_private_parts(output.private, self.limits.reports)
        self._take_market(output)
        check_progress(output.progress, {n: decoded(f) for n, f in output.replies if n})
        return output

    def _take_private(self, user: int, first: int, last: int, frame: bytes) -> None:
        (update,) = decoded(frame)
        assert isinstance(update, PrivateUpdate)
        head = (update.request_id, update.flags, update.user, update.first, update.last)
        assert head == (0, 0, user, first, last)
        assert last == first + len(update.reports) - 1
        others, balances = self.private.setdefault(user, []), self.balances.setdefault(user, [])
        for number, report in enumerate(update.reports, len(others) + len(balances) + 1):
            assert report.private_sequence == number
            if isinstance(report, BalanceReport):
                assert user != HOUSE_USER
                balances.append(report)
            else:
                others.append(report)
        assert number == last

    def _take_market(self, output: Listed) -> None:
        for instrument, channel, frames in output.market:
            if not channel:
                assert not frames
                self.delisted.append(instrument)
        rows = [row for row in output.market if row[1]]
        keys = [(instrument, Channel(channel)) for instrument, channel, _ in rows]
        assert self.wanted.issuperset(keys)
        for key, (*_, frames) in zip(keys, rows, strict=True):
            updates = market_updates(frames)
            check_parts(list(map(changes_of, updates)), self.limits.changes)
            self.market.append(MarketRow(*key, updates, self.time_ns))
        self.subscribed += output.subscribed

    def internal(self, *requests: Request, wait_ns: int | None = None) -> list[Reply]:
        """Execute internal commands."""
        run = Run(SYSTEM_CONNECTION, 0, 0, chunk_of(frames_of(requests)))
        return internal_replies(dict(self.apply(run, wait_ns=wait_ns).replies)[SYSTEM_CONNECTION])

    def limit(self, **changes: Any) -> None:
        """Replace the core by one of other limits that loaded its dump."""
        self.limits = self.limits._replace(**changes)
        self.core = self.restored()

    def configure(self, **changes: Any) -> None:
        """Change the settings."""
        self.internal(settings_of(**changes))

    def keys_valid(self, *keys: tuple[int, Role]) -> None:
        """Tell the core which keys exist, each with its role."""
        self.internal(KeysValid(1, [KeySetting(number, role) for number, role in keys]))

    def pass_time(self, wait_ns: int) -> None:
        """Let time pass, so that timers act."""
        self.internal(Tick(1), wait_ns=wait_ns)

    def try_attach(
        self, user: int = 1, session_id: int = 0, window: int = 0, **granted: int
    ) -> SessionAttachedResponse:
        """Ask for a session; the answer may be a refusal. `granted`: role, users, flags, grace."""
        number = next(self.attach_numbers)
        command = SessionAttached(number, session_id, user, window, **_granted(user, granted))
        (response,) = self.internal(command)
        assert isinstance(response, SessionAttachedResponse)
        return response

    def attach(
        self, user: int = 1, session_id: int = 0, window: int = 0, **granted: int
    ) -> VenueClient:
        """Connect a client to a session, a new one for id 0."""
        response = self.try_attach(user, session_id, window, **granted)
        assert response.error == 0, f"attach refused with {response.error}"
        return VenueClient(self, user, response)

    def replayed(self) -> Core:
        """Return a new core that executed the log; check that every body came out the same."""
        core = self.new_core(self.limits)
        for body in self.bodies:
            assert core.replay(body).body == body
        return core

    def restored(self) -> Core:
        """Return a new core that loaded this one's dump."""
        core = self.new_core(self.limits)
        core.load(list(self.core.dump()), wanted_of(self.wanted))
        return core

    def check(self) -> None:
        """Check the core, that replaying its log gives the same state, and that a dump does."""
        self.core.check()
        state_hash = self.core.state_hash()
        for other in (self.replayed(), self.restored()):
            other.check()
            assert other.state_hash() == state_hash
            assert other.last_sequence == self.core.last_sequence


def _granted(user: int, granted: dict[str, int]) -> dict[str, Any]:
    """Return what a session's key grants; a trader's own account if nothing else is named."""
    role = granted.get("role", Role.ANONYMOUS)
    one = role in (Role.TRADER, Role.MARKET_DATA)
    users = {"user_first": user, "user_last": user} if one else {}
    return {**users, **granted}


class VenueClient:
    """One connection with a session; `fills` and `events` are the last request's reports."""

    def __init__(self, venue: Venue, user: int, attached: SessionAttachedResponse) -> None:
        self.venue = venue
        self.user = user
        self.attach_number = attached.request_id
        self.session_id = attached.session_id
        self.window = attached.window
        self.last_request_id = attached.last_request_id
        self.fills: list[ExecutionReport] = []
        self.events: list[OrderReport | PreventedMatch] = []

    def next_id(self) -> int:
        """Return the next unused request id."""
        self.last_request_id += 1
        return self.last_request_id

    def run(self, *requests: Request, admit: int = 0) -> Run:
        """Return a run of this connection with these requests."""
        return self.run_of(frames_of(requests), admit)

    def run_of(self, frames: bytes, admit: int = 0) -> Run:
        """Return a run of this connection with raw frames."""
        return Run(self.attach_number, self.attach_number, admit, chunk_of(frames))

    def replies(self, output: Listed) -> list[Reply]:
        """Return the replies that an output has for this connection."""
        return decoded(dict(output.replies).get(self.attach_number, b""))

    def send(self, *requests: Request, admit: int = 0) -> list[Reply]:
        """Send requests as one batch and return everything that comes back."""
        return self.replies(self.venue.apply(self.run(*requests, admit=admit)))

    def ask(self, request: Request, admit: int = 0) -> Reply:
        """Send one request; keep its reports in `fills` and `events`, and return its only reply."""
        *reports, reply = self.send(request, admit=admit)
        self.fills = [report for report in reports if isinstance(report, ExecutionReport)]
        self.events = [r for r in reports if isinstance(r, OrderReport | PreventedMatch)]
        assert len(self.fills) + len(self.events) == len(reports)
        assert reply.request_id == request.request_id
        return reply

    def get(self, expected: type[ReplyT], request: Request) -> ReplyT:
        """Send one request, which must be answered by this kind of reply."""
        reply = self.ask(request)
        assert type(reply) is expected, reply
        return reply

    def refused(self, request: Request, admit: int = 0) -> Error:
        """Send one request, which must be refused."""
        reply = self.ask(request, admit)
        assert isinstance(reply, Error), reply
        return reply

    def submit(
        self,
        side: Side,
        price: int,
        quantity: int,
        tif: TimeInForce = TimeInForce.GTC,
        *,
        instrument: int = 1,
        client_order_id: int = 0,
        post_only: bool = False,
    ) -> OrderResponse:
        """Submit an order: at a limit, or at market for price 0."""
        kind = OrderType.LIMIT if price else OrderType.MARKET
        flags = ORDER_POST_ONLY if post_only else 0
        order = SubmitOrder(
            self.next_id(), instrument, client_order_id, side, kind, tif, price, quantity, flags
        )
        return self.get(OrderResponse, order)

    def cancel(self, order_id: int = 0, client_order_id: int = 0) -> CancelResponse:
        """Cancel an order by either id."""
        return self.get(CancelResponse, CancelOrder(self.next_id(), order_id, client_order_id))

    def replace(self, order_id: int, **changes: Any) -> ReplaceResponse:
        """Replace an order named by the engine's id."""
        return self.get(ReplaceResponse, ReplaceOrder(self.next_id(), order_id, 0, **changes))

    def balance(self, asset: int, user: int = 0) -> BalanceReply:
        """Ask for an account."""
        return self.get(BalanceReply, GetBalance(self.next_query_id(), asset, user))

    def money(self, asset: int) -> tuple[int, int, int]:
        """Return (available, reserved, held) of one's own account."""
        reply = self.balance(asset)
        assert reply.locked == reply.reserved + reply.held
        return reply.available, reply.reserved, reply.held

    def book(self, instrument: int = 1, depth: int = 1_000) -> OrderbookReply:
        """Ask for a book."""
        return self.get(OrderbookReply, GetOrderbook(self.next_query_id(), instrument, depth))

    def next_query_id(self) -> int:
        """Return an id for a query; queries may use any id, and change nothing."""
        return 1

    def list_pair(self, **limits: Any) -> int:
        """List two more assets and their pair; return the instrument id."""
        base, quote = (
            self.get_id(AddAsset(self.next_id(), f"{name}{self.last_request_id}", 0))
            for name in ("BASE", "QUOTE")
        )
        symbol = f"PAIR{self.last_request_id}"
        return self.get_id(AddInstrument(self.next_id(), symbol, base, quote, **limits))

    def get_id(self, request: Request) -> int:
        """Send a listing command, which must succeed; return the new id."""
        reply = self.ask(request)
        assert isinstance(reply, AddAssetResponse)
        assert reply.reason == 0
        return reply.id

    def deposit(self, asset: int, amount: int, user: int = 0) -> None:
        """Make a deposit, which must succeed."""
        reply = self.ask(Deposit(self.next_id(), asset, amount, user))
        assert not isinstance(reply, Error)
        assert getattr(reply, "reason", None) == 0

    def detach(self, *, wait_ns: int | None = None) -> None:
        """Leave the session, as after a lost connection."""
        cause = DetachCause.CONNECTION_LOST
        command = SessionDetached(1, self.session_id, self.attach_number, cause)
        self.venue.internal(command, wait_ns=wait_ns)

    def log_out(self, flags: int = 0) -> None:
        """Close the session for good."""
        self.venue.internal(SessionClosed(1, self.session_id, self.attach_number, flags))
