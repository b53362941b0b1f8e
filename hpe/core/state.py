"""The whole state as canonical bytes, for the state hash and for snapshots.

Part of the deterministic core. Every chunk is one MessagePack array `[kind, ...]`. Rows come in
an order that only the state decides (sorted ids, queue order inside a price), so equal states
give equal bytes however they were reached; whatever can influence a later result is in here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from hpe.core.exchange import Exchange
from hpe.core.feeds import PrivateFeed
from hpe.core.fees import rates_of
from hpe.core.holds import Hold
from hpe.core.instruments import Asset, Instrument
from hpe.core.orderbook import OrderBook
from hpe.core.orders import Order, Terms
from hpe.core.sessions import Remembered, Session, Sessions
from hpe.core.timers import ENDING, Entry
from hpe.core.triggers import Firing
from hpe.core.turns import UncrossInProgress, Work
from hpe.messages import (
    ExecutionReport,
    InstrumentStatus,
    OrderType,
    PlaceLimits,
    Role,
    Side,
    TimeInForce,
)

_encode: Final = msgspec.msgpack.Encoder().encode


def dump_state(
    exchange: Exchange, sessions: Sessions, feed: PrivateFeed, digest: int
) -> Iterator[bytes]:
    """Yield the state; the first chunk has the counters and settings."""
    market = exchange.market
    yield _encode((
        "core", exchange.sequence, exchange.time_ns, digest, exchange.last_order_id,
        market.last_trade_id, sessions.last_session_id, sessions.last_attach_number,
        exchange.listings.last_asset_id, exchange.listings.last_instrument_id,
        market.turns.last_served, exchange.settings.row(),
    ))  # fmt: skip
    for asset in exchange.listings.assets.values():
        user, holder = exchange.listings.asset_takers[asset.asset_id]
        yield _encode(("asset", *asset.row(), user, holder.key))
    yield from _money_rows(exchange)
    for book in exchange.books.values():
        yield from _book_rows(exchange, book)
    for work in market.turns:
        yield from _work_rows(work)
    yield from _user_rows(exchange, feed)
    for (due_ns, _, session_id, newest), instrument_id in exchange.disconnects.entries():
        yield _encode(("ending", due_ns, session_id, newest, instrument_id))
    if sessions.valid_keys is not None:
        yield _encode(("keys", sorted(sessions.valid_keys.items())))
    for session in sessions:
        yield _encode(_session_row(session))


def _book_rows(exchange: Exchange, book: OrderBook) -> Iterator[bytes]:
    """Yield one instrument and its open orders: in queue order, then the waiting stops."""
    user, holder = exchange.listings.instrument_takers[book.instrument.instrument_id]
    own = [(user, rates.maker, rates.taker) for user, rates in sorted(book.fees.own.items())]
    yield _encode((
        "instrument", book.instrument, book.sequence, book.last_price, book.last_trade_id,
        book.status, own, user, holder.key, book.interruption_due_ns,
    ))  # fmt: skip
    for order in book.orders():
        yield _encode(("open", *_order_row(order)))
    for order in sorted(book.triggers.orders(), key=lambda order: order.order_id):
        yield _encode(("open", *_order_row(order)))


def _work_rows(work: Work) -> Iterator[bytes]:
    """Yield what is unfinished of an instrument: the stops in their lines, then the rest."""
    lines = [line for line in work.lines if line]
    for number, line in enumerate(lines, 1):
        for _, _, order in line:
            yield _encode(("open", *_order_row(order, number)))
    firings = [(firing.prices, firing.side, firing.index) for firing in work.firings]
    is_open = work.is_open and bool(work.lines[-1])
    instrument_id = work.book.instrument.instrument_id
    yield _encode(("work", instrument_id, firings, is_open, work.interrupted, work.uncrossing))


def _money_rows(exchange: Exchange) -> Iterator[bytes]:
    for asset_id, amount in exchange.balances.net_deposits().items():
        yield _encode(("net", asset_id, amount))
    for user, theirs in sorted(exchange.orders.users.items(), key=lambda item: item[0]):
        yield _encode(("user", user, theirs.holder.key, theirs.blocked))
    for account in exchange.balances.rows():
        yield _encode((
            "account", account.user, account.asset, account.holder.key, account.available,
            account.reserved, account.held,
        ))  # fmt: skip
    for user, hold in exchange.holds.rows():
        yield _encode(("hold", user, exchange.holds.key_of(user, hold[0]), *hold))


def _user_rows(exchange: Exchange, feed: PrivateFeed) -> Iterator[bytes]:
    """Yield what users have beside open orders; ended orders and fills, the oldest first."""
    orders = exchange.orders
    for user, theirs in sorted(orders.users.items(), key=lambda item: item[0]):
        if theirs.fills_after:
            yield _encode(("fills_after", user, theirs.fills_after))
    for user, sequence in feed.rows():
        yield _encode(("private", user, sequence))
    for order in orders.ended:
        yield _encode(("ended", *_order_row(order)))
    position: dict[int, Iterator[ExecutionReport]] = {}
    for user in orders.filled_users:
        fills = position.setdefault(user, iter(orders.users[user].fills))
        yield _encode(("fill", user, next(fills)))


def _order_row(order: Order, line: int = 0) -> tuple[object, ...]:
    """Give all of an order; `line` is the number of the one in which a fired stop stands."""
    terms = order.terms
    return (
        order.order_id, order.user, order.client_order_id, order.book.instrument.instrument_id,
        order.holder.key, order.side, order.order_type, order.time_in_force, order.price,
        order.quantity, order.leaves, order.flags, order.self_trade, order.rates.maker,
        order.rates.taker, order.reserved, order.hidden, order.cum, order.canceled,
        order.quote_total, order.fee_total, order.fee_rest, order.reason,
        None if terms is None else (*_terms_row(order, terms), line),
    )  # fmt: skip


def _terms_row(order: Order, terms: Terms) -> tuple[object, ...]:
    """Give the terms; a trailing stop's with its present trigger."""
    return (
        order.book.triggers.trigger_of(order), terms.trail, terms.display, terms.minimum,
        terms.budget, terms.expires_ns, terms.place, terms.waiting,
        terms.holds_pair, terms.session_id,
        terms.partner.order_id if terms.partner is not None else 0,
    )  # fmt: skip


def _session_row(session: Session) -> tuple[object, ...]:
    return (
        "session", session.session_id, session.user, session.window, session.role,
        session.user_first, session.user_last, session.flags, session.grace_ms, session.key,
        session.last_request_id, session.attach_number, session.detached_ns,
        list(session.remembered),
    )  # fmt: skip


def load_state(
    exchange: Exchange, sessions: Sessions, feed: PrivateFeed, chunks: Iterable[bytes]
) -> int:
    """Take over a dumped state into a new exchange; returns the output digest."""
    loader = _Loader(exchange, sessions, feed)
    for chunk in chunks:
        kind, *row = msgspec.msgpack.decode(chunk)
        getattr(loader, f"load_{kind}")(*row)
    loader.finish()
    return loader.digest


class _Loader:
    """Takes over rows in the order in which dump_state yields them."""

    def __init__(self, exchange: Exchange, sessions: Sessions, feed: PrivateFeed) -> None:
        self.exchange = exchange
        self.sessions = sessions
        self.feed = feed
        self.digest = 0
        self.orders: dict[int, Order] = {}
        self.partners: list[tuple[Order, int]] = []
        self.sequences: dict[int, int] = {}
        self.last_listed = (0, 0)

    def finish(self) -> None:
        """Put together what needs all rows: indexes, pairs, the counts of changes."""
        listings = self.exchange.listings
        listings.last_asset_id, listings.last_instrument_id = self.last_listed
        for _, order in sorted(self.orders.items()):
            self.exchange.orders.add(order)
        for order, partner_id in self.partners:
            assert order.terms is not None
            order.terms.partner = self.orders[partner_id]
        for instrument_id, sequence in self.sequences.items():
            book = self.exchange.books[instrument_id]
            book.bids.changes += sequence - book.sequence  # only the sum of both sides counts
        self.sessions.find_revoked()
        by_session = self.exchange.orders.by_session
        for session_id in list(by_session):
            # Orders outlive their session's logout.
            ending = self.exchange.disconnects.is_ending(session_id)
            if not ending and self.sessions.get(session_id) is None:
                del by_session[session_id]
        self.exchange.timers.review()

    def load_core(self, *row: Any) -> None:
        exchange, sessions = self.exchange, self.sessions
        exchange.sequence, exchange.time_ns, self.digest = row[:3]
        exchange.timers.now_ns = exchange.market.time_ns = exchange.time_ns
        exchange.last_order_id, exchange.market.last_trade_id = row[3:5]
        sessions.last_session_id, sessions.last_attach_number = row[5:7]
        self.last_listed, exchange.market.turns.last_served = row[7:9], row[9]
        *settings, places = row[10]
        exchange.settings.set(*(*settings, PlaceLimits(*places)))
        sessions.set_times(exchange.settings.session_expiry_ns, exchange.settings.session_keep_ns)

    def load_asset(self, *row: Any) -> None:
        *fields, user, key = row
        self.exchange.listings.list_asset(Asset(*fields), user, self.exchange.places.of(key))

    def load_instrument(
        self,
        row: list[Any],
        sequence: int,
        last_price: int,
        last_trade_id: int,
        status: int,
        own: list[list[int]],
        user: int,
        key: int,
        interruption_due_ns: int,
    ) -> None:
        instrument, holder = Instrument(*row), self.exchange.places.of(key)
        self.exchange.listings.list_instrument(instrument, user, holder)
        book = self.exchange.books[instrument.instrument_id] = OrderBook(
            instrument, self.exchange.timers
        )
        book.last_price, book.last_trade_id = last_price, last_trade_id
        book.set_status(InstrumentStatus(status))
        book.fees.own.update((user, rates_of(maker, taker)) for user, maker, taker in own)
        self.sequences[instrument.instrument_id] = sequence
        if interruption_due_ns:
            self.exchange.market.calls.time_interruption(book, interruption_due_ns)

    def load_open(self, *row: Any) -> None:
        order = self._order(*row)
        terms = order.terms
        if terms is None or not terms.waiting:
            order.book.side(order.side).add(order)
        elif row[-1][-1]:
            self.exchange.market.turns.of(order.book).restore(order, row[-1][-1])
        else:
            order.book.triggers.add(order)
        self.orders[order.order_id] = order

    def load_ended(self, *row: Any) -> None:
        self.exchange.orders.keep(self._order(*row))

    def _order(self, *row: Any) -> Order:
        order_id, user, client_order_id, instrument_id, key, side, order_type, tif, *rest = row
        price, quantity, leaves, flags, self_trade, maker, taker, *done, terms_row = rest
        book, accounts = self.exchange.books[instrument_id], self.exchange.balances.accounts[user]
        base, quote = accounts[book.instrument.base], accounts[book.instrument.quote]
        paying, receiving = (quote, base) if side == Side.BUY else (base, quote)
        order = Order(
            order_id, user, client_order_id, book, Side(side), OrderType(order_type),
            TimeInForce(tif), price, quantity, leaves, flags, self_trade, rates_of(maker, taker),
            paying, receiving, self.exchange.places.of(key), *done,
        )  # fmt: skip
        if terms_row is not None:
            *values, partner_id, _ = terms_row
            order.terms = Terms(*values)
            if partner_id:
                self.partners.append((order, partner_id))
        return order

    def load_work(
        self,
        instrument_id: int,
        firings: list[list[Any]],
        is_open: bool,
        interrupted: bool,
        uncrossing: list[int] | None,
    ) -> None:
        book, market = self.exchange.books[instrument_id], self.exchange.market
        work = market.turns.of(book)
        work.firings.extend(Firing(*row) for row in firings)
        work.is_open, work.interrupted = is_open, interrupted
        if uncrossing is not None:
            price, volume_left, surplus, status = uncrossing
            state = UncrossInProgress(price, volume_left, surplus, InstrumentStatus(status))
            market.calls.keep_uncrossing(work, state)
        market.turns.review(book)

    def load_net(self, asset_id: int, amount: int) -> None:
        self.exchange.balances.restore_net_deposits(asset_id, amount)

    def load_user(self, user: int, key: int, blocked: bool) -> None:
        users = self.exchange.orders.users
        if user not in users:  # all but the house
            self.exchange.parties.open_user(user, self.exchange.places.of(key))
        users[user].blocked = blocked

    def load_account(self, user: int, asset: int, key: int, *amounts: int) -> None:
        balances = self.exchange.balances
        account = balances.open(user, asset, self.exchange.places.of(key))
        account.available, account.reserved, account.held = amounts

    def load_hold(
        self, user: int, key: int, hold_id: int, asset: int, amount: int, expires_ns: int
    ) -> None:
        hold = Hold(asset, amount, expires_ns, self.exchange.places.of(key))
        self.exchange.balances.accounts[user][hold.asset].named += hold.amount
        self.exchange.holds.restore(user, hold_id, hold)

    def load_fills_after(self, user: int, private_sequence: int) -> None:
        self.exchange.orders.users[user].fills_after = private_sequence

    def load_private(self, user: int, sequence: int) -> None:
        self.feed.restore(user, sequence)

    def load_fill(self, user: int, report: list[Any]) -> None:
        self.exchange.orders.remember_fill(user, ExecutionReport(*report[1:]))

    def load_keys(self, rows: list[list[int]]) -> None:
        self.sessions.valid_keys = {number: Role(role) for number, role in rows}

    def load_session(self, session_id: int, user: int, window: int, *row: Any) -> None:
        role, user_first, user_last, flags, grace_ms, key, *position, remembered = row
        entries = deque((Remembered(*entry) for entry in remembered), maxlen=window)
        self.sessions.restore(
            Session(
                session_id, user, window, entries, Role(role), user_first, user_last, flags,
                grace_ms, key, *position,
            )
        )  # fmt: skip

    def load_ending(self, due_ns: int, session_id: int, newest: int, instrument_id: int) -> None:
        entry = Entry((due_ns, ENDING, session_id, newest), instrument_id)
        self.exchange.disconnects.restore(entry)
