"""From a dump back to the state.

Part of the deterministic core. reading.py accepts rows only in the order in which dump.py yields
them, each in its one form, and compares the dump of what was loaded. Everything that a row refers
to must exist. Whether the rows agree with each other (money, counts) is left to `check`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

import msgspec

from hpe.core.listings.instruments import Asset, Instrument
from hpe.core.money.balances import Account
from hpe.core.money.fees import rates_of
from hpe.core.money.holds import Hold
from hpe.core.output.private_reports import PrivateFeed
from hpe.core.sessions.registry import Sessions
from hpe.core.sessions.session import Remembered, Session
from hpe.core.state.dump import dump_state
from hpe.core.state.reading import load_rows
from hpe.core.state.rows import (
    DumpedAccount,
    DumpedAsset,
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
from hpe.core.timers import ENDING, TimerEntry
from hpe.core.trading.exchange import Exchange
from hpe.core.trading.order_states import ENDED, QUEUED, RESTS, WAITING, OrderState
from hpe.core.trading.orderbook import OrderBook
from hpe.core.trading.orders import Order, Terms
from hpe.core.trading.triggers import Firing
from hpe.core.trading.work import UncrossInProgress, Work
from hpe.protocol.enums import Side
from hpe.protocol.internal import PlaceLimits
from hpe.protocol.reports import ExecutionReport

_fields: Final = msgspec.structs.astuple
_FACTS: Final = len(Instrument.__struct_fields__)
_SETTINGS: Final = len(DumpedSettings.__struct_fields__) - len(PlaceLimits.__struct_fields__)
_NO_TERMS: Final = Terms()
_ValueT = TypeVar("_ValueT")


def load_state(
    exchange: Exchange, sessions: Sessions, feed: PrivateFeed, chunks: Iterable[bytes]
) -> int:
    """Load a dumped state into a new exchange; return the output digest.

    Raises:
        StateError: the rows are not a dump of this version; the exchange is then unusable.
    """
    loader = _Loader(exchange, sessions, feed)
    load_rows(loader, chunks)
    return loader.digest


class _Loader:
    """Loads rows in the order in which dump_state yields them."""

    def __init__(self, exchange: Exchange, sessions: Sessions, feed: PrivateFeed) -> None:
        self.exchange = exchange
        self.sessions = sessions
        self.feed = feed
        self.digest = 0
        self.orders: dict[int, Order] = {}
        self.partners: list[tuple[Order, int]] = []
        self.sequences: dict[int, int] = {}
        self.last_listed = (0, 0)
        self.sessions_by_id: dict[int, Session] = {}
        self.loads: dict[type[DumpedRow], Callable[[Any], None]] = {
            DumpedHead: self.load_head,
            DumpedSettings: self.load_settings,
            DumpedKey: self.load_key,
            DumpedAsset: self.load_asset,
            DumpedInstrument: self.load_instrument,
            DumpedFees: self.load_fees,
            DumpedNet: self.load_net,
            DumpedUser: self.load_user,
            DumpedAccount: self.load_account,
            DumpedHold: self.load_hold,
            DumpedResting: self.load_resting,
            DumpedWaiting: self.load_waiting,
            DumpedQueued: self.load_queued,
            DumpedEnded: self.load_ended,
            DumpedFill: self.load_fill,
            DumpedWork: self.load_work,
            DumpedFiring: self.load_firing,
            DumpedUncross: self.load_uncross,
            DumpedEnding: self.load_ending,
            DumpedSession: self.load_session,
            DumpedResponse: self.load_response,
        }

    def load_row(self, row: DumpedRow) -> None:
        """Load one row."""
        self.loads[type(row)](row)

    def find(self, found: _ValueT | None, what: str, key: int) -> _ValueT:
        """Return what a row refers to, which must have been found."""
        if found is None:
            raise ValueError(f"names {what} {key}, of which no row came before")
        return found

    # --- rows of which there is one, listings, money ----------------------------------------------

    def load_head(self, row: DumpedHead) -> None:
        exchange, sessions = self.exchange, self.sessions
        exchange.sequence, exchange.timers.now_ns = row.sequence, row.time_ns
        self.digest = row.digest
        exchange.last_order_id = row.last_order_id
        exchange.market.last_trade_id = row.last_trade_id
        exchange.market.turns.last_served = row.last_served
        sessions.last_session_id = row.last_session_id
        sessions.last_attach_number = row.last_attach_number
        self.last_listed = row.last_asset_id, row.last_instrument_id
        sessions.valid_keys = {} if row.keys_known else None

    def load_settings(self, row: DumpedSettings) -> None:
        settings, fields = self.exchange.settings, _fields(row)
        values = (*fields[:_SETTINGS], PlaceLimits(*fields[_SETTINGS:]))
        settings.set(*values)
        self.sessions.set_times(settings.session_expiry_ns, settings.session_keep_ns)

    def load_key(self, row: DumpedKey) -> None:
        if self.sessions.valid_keys is None:
            raise ValueError("is a valid key, but the first says that none is known")
        self.sessions.valid_keys[row.number] = row.role

    def load_asset(self, row: DumpedAsset) -> None:
        asset = Asset(row.asset, row.symbol, row.decimals)
        if not row.asset or self.exchange.listings.asset_named(row.symbol) is not None:
            raise ValueError(f"lists an asset {row.symbol} that cannot be")
        self.exchange.listings.list_asset(asset, row.user, self.exchange.places.of(row.key))

    def load_instrument(self, row: DumpedInstrument) -> None:
        listings, instrument = self.exchange.listings, Instrument(*_fields(row)[:_FACTS])
        if not row.instrument or listings.instrument_named(row.symbol) is not None:
            raise ValueError(f"lists an instrument {row.symbol} that cannot be")
        for asset in (row.base, row.quote):
            self.find(listings.assets.get(asset), "asset", asset)
        listings.list_instrument(instrument, row.user, self.exchange.places.of(row.key))
        book = OrderBook(instrument, self.exchange.timers)
        self.exchange.books[row.instrument] = book
        book.last_price, book.last_trade_id = row.last_price, row.last_trade_id
        book.set_status(row.status)
        self.sequences[row.instrument] = row.book_sequence
        if row.interruption_due_ns:
            self.exchange.market.calls.time_interruption(book, row.interruption_due_ns)

    def load_fees(self, row: DumpedFees) -> None:
        self._book(row.instrument).fees.own[row.user] = rates_of(row.maker_ppm, row.taker_ppm)

    def load_net(self, row: DumpedNet) -> None:
        self.find(self.exchange.listings.assets.get(row.asset), "asset", row.asset)
        self.exchange.balances.restore_net_deposits(row.asset, row.amount)

    def load_user(self, row: DumpedUser) -> None:
        users = self.exchange.orders.users
        if row.user not in users:  # the house exists already
            self.exchange.parties.open_user(row.user, self.exchange.places.of(row.key))
        users[row.user].blocked = row.blocked
        users[row.user].fills_after = row.fills_after
        if row.private_sequence:
            self.feed.restore(row.user, row.private_sequence)

    def load_account(self, row: DumpedAccount) -> None:
        balances = self.exchange.balances
        self.find(balances.accounts.get(row.user), "user", row.user)
        self.find(self.exchange.listings.assets.get(row.asset), "asset", row.asset)
        account = balances.open(row.user, row.asset, self.exchange.places.of(row.key))
        account.available, account.reserved, account.held = row.available, row.reserved, row.held

    def load_hold(self, row: DumpedHold) -> None:
        self._account(row.user, row.asset).named += row.amount
        holder = self.exchange.places.of(row.key)
        hold = Hold(row.asset, row.amount, row.expires_ns, holder)
        self.exchange.holds.restore(row.user, row.hold_id, hold)

    def _book(self, instrument: int) -> OrderBook:
        return self.find(self.exchange.books.get(instrument), "instrument", instrument)

    def _account(self, user: int, asset: int) -> Account:
        accounts = self.find(self.exchange.balances.accounts.get(user), "user", user)
        return self.find(accounts.get(asset), f"of user {user} an account of asset", asset)

    # --- orders -----------------------------------------------------------------------------------

    def load_resting(self, row: DumpedResting) -> None:
        order = self._open(row, RESTS)
        self._book(row.instrument).side(order.side).add(order)

    def load_waiting(self, row: DumpedWaiting) -> None:
        order = self._open(row, WAITING)
        self._book(row.instrument).triggers.add(order)

    def load_queued(self, row: DumpedQueued) -> None:
        order = self._open(row, QUEUED)
        work = self.exchange.market.turns.of(self._book(row.instrument))
        if row.line not in (len(work.lines), len(work.lines) + 1) or not row.line:
            raise ValueError(f"stands in line {row.line} of {len(work.lines)}")
        work.restore(order, row.line)

    def load_ended(self, row: DumpedEnded) -> None:
        order = self._order(row, ENDED)
        order.reason = row.reason
        self.exchange.orders.keep(order)

    def _open(self, row: DumpedOrder, state: OrderState) -> Order:
        if row.order_id in self.orders:
            raise ValueError(f"is a second one of order {row.order_id}")
        order = self.orders[row.order_id] = self._order(row, state)
        if row.partner:
            self.partners.append((order, row.partner))
        return order

    def _order(self, row: DumpedOrder, state: OrderState) -> Order:
        book = self._book(row.instrument)
        base = self._account(row.user, book.instrument.base)
        quote = self._account(row.user, book.instrument.quote)
        paying, receiving = (quote, base) if row.side is Side.BUY else (base, quote)
        terms = Terms(
            row.stop_price, row.trail, row.display, row.minimum, row.budget, row.expires_ns,
            row.place, row.holds_pair, row.session_id,
        )  # fmt: skip
        return Order(
            row.order_id, row.user, row.client_order_id, row.instrument, row.side, row.order_type,
            row.time_in_force, row.price, row.quantity, row.leaves, row.flags, row.self_trade,
            rates_of(row.maker_ppm, row.taker_ppm), paying, receiving,
            self.exchange.places.of(row.key), row.reserved, state, row.hidden, row.cum,
            row.canceled, row.quote_total, row.fee_total, row.fee_rest,
            terms=terms if row.partner or terms != _NO_TERMS else None,
        )  # fmt: skip

    def load_fill(self, row: DumpedFill) -> None:
        self.find(self.exchange.orders.users.get(row.user), "user", row.user)
        self.exchange.orders.remember_fill(row.user, ExecutionReport(*_fields(row)[1:]))

    # --- what goes on by itself, sessions, the end ------------------------------------------------

    def load_work(self, row: DumpedWork) -> None:
        work = self.exchange.market.turns.of(self._book(row.instrument))
        if row.line_is_open and not work.lines:
            raise ValueError("has an open line, but no line")
        work.is_open, work.interrupted = row.line_is_open, row.interrupted

    def load_firing(self, row: DumpedFiring) -> None:
        firing = Firing(row.prices, row.sides_done, row.prices_done)
        self._work(row.instrument).firings.append(firing)

    def load_uncross(self, row: DumpedUncross) -> None:
        state = UncrossInProgress(row.price, row.volume_left, row.surplus, row.next_status)
        self._work(row.instrument)
        self.exchange.market.calls.keep_uncrossing(self._book(row.instrument), state)

    def _work(self, instrument: int) -> Work:
        return self.find(self._book(instrument).work, "unfinished instrument", instrument)

    def load_ending(self, row: DumpedEnding) -> None:
        due = (row.due_ns, ENDING, row.session_id, row.newest_order_id)
        self.exchange.disconnects.restore(TimerEntry(due, row.instrument))

    def load_session(self, row: DumpedSession) -> None:
        session_id, user, window, *others = _fields(row)
        remembered: deque[Remembered] = deque(maxlen=window)
        self.sessions_by_id[session_id] = Session(session_id, user, window, remembered, *others)

    def load_response(self, row: DumpedResponse) -> None:
        session = self.find(self.sessions_by_id.get(row.session_id), "session", row.session_id)
        if len(session.remembered) >= session.window:
            raise ValueError(f"is beyond the window of session {row.session_id}")
        entry = Remembered(row.request_id, row.length, row.crc, row.response)
        session.remembered.append(entry)

    def finish_loading(self) -> None:
        """Complete what needs all rows: indexes, pairs, the counts of changes."""
        exchange, listings = self.exchange, self.exchange.listings
        for _, order in sorted(self.orders.items()):
            # Keys that had no place yet may have been forgotten since.
            order.holder = exchange.places.of(order.holder.key)
            exchange.orders.add(order)
        for order, partner_id in self.partners:
            assert order.terms is not None
            order.terms.partner = self.find(self.orders.get(partner_id), "order", partner_id)
        for instrument_id, sequence in self.sequences.items():
            book = exchange.books[instrument_id]
            book.bids.changes += sequence - book.sequence  # only the sum of both sides counts
        listings.last_asset_id, listings.last_instrument_id = self.last_listed
        for book in list(exchange.market.turns.books.values()):
            exchange.market.turns.review(book)
        for session in self.sessions_by_id.values():
            self.sessions.restore(session)
        self.sessions.find_revoked()
        by_session = exchange.orders.by_session
        for session_id in list(by_session):
            # Orders outlive their session's logout.
            ending = exchange.disconnects.is_ending(session_id)
            if not ending and self.sessions.get(session_id) is None:
                del by_session[session_id]
        exchange.timers.review()

    def dump(self) -> Iterable[bytes]:
        """Return a dump of what was loaded."""
        return dump_state(self.exchange, self.sessions, self.feed, self.digest)
