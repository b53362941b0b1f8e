"""The whole state as canonical bytes, for the state hash and for snapshots.

Part of the deterministic core. Every chunk is one row of rows.py, in the order defined there, so
equal states give equal bytes, however they were reached; whatever can influence a later result is
included. loading.py is the way back. Source: docs/state-format.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Final, TypeVar

import msgspec

from hpe.core.contract import CORE_VERSION
from hpe.core.output.private_reports import PrivateFeed
from hpe.core.sessions.registry import Sessions
from hpe.core.state.rows import (
    DumpedAccount,
    DumpedAsset,
    DumpedEnd,
    DumpedEnded,
    DumpedEnding,
    DumpedFees,
    DumpedFill,
    DumpedFiring,
    DumpedHead,
    DumpedHold,
    DumpedInstrument,
    DumpedKey,
    DumpedNet,
    DumpedOrder,
    DumpedQueued,
    DumpedResponse,
    DumpedResting,
    DumpedRow,
    DumpedSession,
    DumpedSettings,
    DumpedUncross,
    DumpedUser,
    DumpedWaiting,
    DumpedWork,
)
from hpe.core.trading.exchange import Exchange
from hpe.core.trading.orderbook import OrderBook
from hpe.core.trading.orders import Order, Terms
from hpe.protocol.reports import ExecutionReport

_encode: Final = msgspec.msgpack.Encoder().encode
_fields: Final = msgspec.structs.astuple
_NO_TERMS: Final = Terms()
_OrderT = TypeVar("_OrderT", bound=DumpedOrder)


def dump_state(
    exchange: Exchange, sessions: Sessions, feed: PrivateFeed, digest: int
) -> Iterator[bytes]:
    """Yield the state, row by row."""
    count = 0
    for row in _rows(exchange, sessions, feed, digest):
        count += 1
        yield _encode(row)
    yield _encode(DumpedEnd(count))


def hash_state(chunks: Iterable[bytes]) -> bytes:
    """Return the digest of a dump, 16 bytes."""
    digest = blake2b(digest_size=16)
    for chunk in chunks:
        digest.update(chunk)
    return digest.digest()


def _rows(
    exchange: Exchange, sessions: Sessions, feed: PrivateFeed, digest: int
) -> Iterator[DumpedRow]:
    """Yield all rows except the last, kind by kind."""
    books = [exchange.books[key] for key in sorted(exchange.books)]
    yield from _single_rows(exchange, sessions, digest)
    yield from _listing_rows(exchange, books)
    yield from _money_rows(exchange, feed)
    yield from _order_rows(exchange, books)
    yield from _unfinished_rows(exchange)
    yield from _session_rows(sessions)


def _single_rows(exchange: Exchange, sessions: Sessions, digest: int) -> Iterator[DumpedRow]:
    """Yield the counters, the settings and the valid keys."""
    market, listings = exchange.market, exchange.listings
    yield DumpedHead(
        CORE_VERSION, exchange.sequence, exchange.time_ns, digest, exchange.last_order_id,
        market.last_trade_id, sessions.last_session_id, sessions.last_attach_number,
        listings.last_asset_id, listings.last_instrument_id, market.turns.last_served,
        sessions.valid_keys is not None,
    )  # fmt: skip
    *settings, places = exchange.settings.row()
    values = (*settings, *_fields(places))
    yield DumpedSettings(*values)
    for number, role in sorted((sessions.valid_keys or {}).items()):
        yield DumpedKey(number, role)


def _listing_rows(exchange: Exchange, books: list[OrderBook]) -> Iterator[DumpedRow]:
    listings = exchange.listings
    for asset_id, asset in listings.assets.items():
        user, holder = listings.asset_takers[asset_id]
        yield DumpedAsset(*asset.row(), user, holder.key)
    for book in books:
        user, holder = listings.instrument_takers[book.instrument.instrument_id]
        values = (
            *_fields(book.instrument), user, holder.key, book.status, book.sequence,
            book.last_price, book.last_trade_id, book.interruption_due_ns,
        )  # fmt: skip
        yield DumpedInstrument(*values)
    for book in books:
        for user in sorted(book.fees.own):
            rates = book.fees.own[user]
            yield DumpedFees(book.instrument.instrument_id, user, rates.maker, rates.taker)


def _money_rows(exchange: Exchange, feed: PrivateFeed) -> Iterator[DumpedRow]:
    for asset_id, amount in exchange.balances.net_deposits().items():
        yield DumpedNet(asset_id, amount)
    users = exchange.orders.users
    for user in sorted(users):
        mine = users[user]
        last = feed.last(user)
        yield DumpedUser(user, mine.holder.key, mine.blocked, last, mine.fills_after)
    for account in exchange.balances.rows():
        yield DumpedAccount(
            account.user, account.asset, account.holder.key, account.available,
            account.reserved, account.held,
        )  # fmt: skip
    for user, (hold_id, *hold) in exchange.holds.rows():
        yield DumpedHold(user, hold_id, exchange.holds.key_of(user, hold_id), *hold)


def _order_rows(exchange: Exchange, books: list[OrderBook]) -> Iterator[DumpedRow]:
    """Yield the orders by their state, then the kept fills; ended orders and fills oldest first."""
    for book in books:
        for ladder in (book.bids, book.asks):
            for level in sorted(ladder.levels(), key=lambda level: level.price):
                for order in level.orders():
                    yield _order_row(DumpedResting, order)
    waiting = (order for book in books for order in book.triggers.orders())
    for order in sorted(waiting, key=lambda order: order.order_id):
        yield _order_row(DumpedWaiting, order)
    for _, work in exchange.market.turns:
        for number, line in enumerate(filter(None, work.lines), 1):
            for _, _, order in line:
                yield _order_row(DumpedQueued, order, number)
    for order in exchange.orders.ended:
        yield _order_row(DumpedEnded, order, order.reason)
    position: dict[int, Iterator[ExecutionReport]] = {}
    for user in exchange.orders.filled_users:
        fills = position.setdefault(user, iter(exchange.orders.users[user].fills))
        yield DumpedFill(user, *_fields(next(fills)))


def _order_row(kind: type[_OrderT], order: Order, *more: int) -> _OrderT:
    """Return the row of an order; of a trailing stop, with its present trigger."""
    terms = order.terms or _NO_TERMS
    return kind(
        order.instrument_id, order.side, order.price, order.order_id, order.user,
        order.client_order_id, order.holder.key, order.order_type, order.time_in_force,
        order.flags, order.self_trade, order.quantity, order.leaves, order.cum, order.canceled,
        order.hidden, order.reserved, order.rates.maker, order.rates.taker, order.quote_total,
        order.fee_total, order.fee_rest, order.trigger(), terms.trail,
        terms.display, terms.minimum, terms.budget, terms.expires_ns,
        terms.place if order.is_stop else 0,
        terms.session_id, terms.partner.order_id if terms.partner is not None else 0,
        terms.holds_pair, *more,
    )  # fmt: skip


def _unfinished_rows(exchange: Exchange) -> Iterator[DumpedRow]:
    """Yield the unfinished work: of instruments, and of lost sessions."""
    works = list(exchange.market.turns)
    for instrument_id, work in works:
        is_open = work.is_open and bool(work.lines[-1])  # an empty line counts as none
        yield DumpedWork(instrument_id, is_open, work.interrupted)
    for instrument_id, work in works:
        for firing in work.firings:
            yield DumpedFiring(instrument_id, firing.prices, firing.side, firing.index)
    for instrument_id, work in works:
        if work.uncrossing is not None:
            yield DumpedUncross(instrument_id, *work.uncrossing)
    for (due_ns, _, session_id, newest), instrument_id in exchange.disconnects.entries():
        yield DumpedEnding(due_ns, session_id, newest, instrument_id)


def _session_rows(sessions: Sessions) -> Iterator[DumpedRow]:
    for session in sessions:
        yield DumpedSession(
            session.session_id, session.user, session.window, session.role, session.user_first,
            session.user_last, session.flags, session.grace_ms, session.key,
            session.last_request_id, session.attach_number, session.detached_ns,
        )  # fmt: skip
    for session in sessions:
        for entry in session.remembered:
            yield DumpedResponse(
                session.session_id, entry.request_id, entry.length, entry.crc, entry.response
            )
