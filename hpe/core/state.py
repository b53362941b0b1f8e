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
from hpe.core.instruments import Instrument
from hpe.core.orderbook import OrderBook
from hpe.core.orders import Order
from hpe.core.sessions import Remembered, Session, Sessions
from hpe.messages import Side

_encode: Final = msgspec.msgpack.Encoder().encode


def dump_state(
    exchange: Exchange, sessions: Sessions, feed: PrivateFeed, digest: int
) -> Iterator[bytes]:
    """Yield the state; the first chunk has the counters and settings."""
    settings = exchange.settings
    yield _encode((
        "core", exchange.sequence, exchange.time_ns, digest, exchange.last_order_id,
        exchange.last_trade_id, settings.auto_create, settings.session_expiry_ns,
        settings.open_orders_max, sessions.last_session_id, sessions.last_attach_number,
    ))  # fmt: skip
    for asset in exchange.listings.assets.values():
        yield _encode(("asset", *asset.row()))
    for instrument_id, instrument in exchange.listings.instruments.items():
        book = exchange.books[instrument_id]
        yield _encode(("instrument", instrument, book.sequence, book.last_price))
        for order in book.orders():
            yield _encode(_order_row(order))
    for asset_id, amount in exchange.balances.net_deposits().items():
        yield _encode(("net", asset_id, amount))
    for row in exchange.balances.rows():
        yield _encode(("account", *row))
    for user, sequence in feed.rows():
        yield _encode(("private", user, sequence))
    for session in sessions:
        yield _encode(_session_row(session))


def _order_row(order: Order) -> tuple[int | str, ...]:
    return (
        "order", order.order_id, order.user, order.client_order_id,
        order.book.instrument.instrument_id, order.side, order.price, order.quantity,
        order.leaves, order.flags, order.reserved, order.cum, order.canceled, order.quote_total,
    )  # fmt: skip


def _session_row(session: Session) -> tuple[object, ...]:
    return (
        "session", session.session_id, session.user, session.window, session.last_request_id,
        session.attach_number, session.expires_ns, list(session.remembered),
    )  # fmt: skip


def load_state(
    exchange: Exchange, sessions: Sessions, feed: PrivateFeed, chunks: Iterable[bytes]
) -> int:
    """Take over a dumped state into a new exchange; returns the output digest."""
    loader = _Loader(exchange, sessions, feed)
    for chunk in chunks:
        kind, *row = msgspec.msgpack.decode(chunk)
        getattr(loader, f"load_{kind}")(*row)
    for order in sorted(loader.orders, key=lambda order: order.order_id):
        exchange.orders.add(order)
    for instrument_id, sequence in loader.sequences.items():
        book = exchange.books[instrument_id]
        book.bids.changes += sequence - book.sequence  # only the sum of both sides counts
    return loader.digest


class _Loader:
    """Takes over rows in the order in which dump_state yields them."""

    def __init__(self, exchange: Exchange, sessions: Sessions, feed: PrivateFeed) -> None:
        self.exchange = exchange
        self.sessions = sessions
        self.feed = feed
        self.digest = 0
        self.orders: list[Order] = []
        self.sequences: dict[int, int] = {}

    def load_core(self, *row: Any) -> None:
        exchange, settings, sessions = self.exchange, self.exchange.settings, self.sessions
        exchange.sequence, exchange.time_ns, self.digest = row[:3]
        exchange.last_order_id, exchange.last_trade_id = row[3:5]
        settings.auto_create, settings.session_expiry_ns, settings.open_orders_max = row[5:8]
        sessions.last_session_id, sessions.last_attach_number = row[8:]

    def load_asset(self, asset_id: int, symbol: str, decimals: int) -> None:
        self.exchange.listings.add_asset(symbol, decimals)

    def load_instrument(self, row: list[Any], sequence: int, last_price: int) -> None:
        instrument = Instrument(*row)
        self.exchange.listings.add_instrument(instrument)
        book = self.exchange.books[instrument.instrument_id] = OrderBook(instrument)
        book.last_price = last_price
        self.sequences[instrument.instrument_id] = sequence

    def load_order(self, *row: int) -> None:
        order_id, user, client_order_id, instrument_id, side, price, quantity, leaves, *rest = row
        flags, reserved, cum, canceled, quote_total = rest
        book = self.exchange.books[instrument_id]
        accounts = self.exchange.balances.accounts[user]
        base, quote = accounts[book.instrument.base], accounts[book.instrument.quote]
        paying, receiving = (quote, base) if side == Side.BUY else (base, quote)
        order = Order(
            order_id, user, client_order_id, book, Side(side), price, quantity, leaves, flags,
            paying, receiving, reserved, cum, canceled, quote_total,
        )  # fmt: skip
        book.side(order.side).add(order)
        self.orders.append(order)

    def load_net(self, asset_id: int, amount: int) -> None:
        self.exchange.balances.restore_net_deposits(asset_id, amount)

    def load_account(self, user: int, asset: int, *amounts: int) -> None:
        account = self.exchange.balances.accounts[user][asset]
        account.available, account.reserved, account.held = amounts

    def load_private(self, user: int, sequence: int) -> None:
        self.feed.restore(user, sequence)

    def load_session(self, session_id: int, user: int, window: int, *row: Any) -> None:
        last_request_id, attach_number, expires_ns, remembered = row
        entries = deque((Remembered(*entry) for entry in remembered), maxlen=window)
        self.sessions.restore(
            Session(session_id, user, window, entries, last_request_id, attach_number, expires_ns)
        )
