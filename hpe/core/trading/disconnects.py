"""Cancel on disconnect: orders of a session that has lost its connection end after its grace.

Part of the deterministic core. A timer entry names a session and the newest of its orders that end.
Once it is due, it remains due until all of these orders have ended: one after the other, oldest
first, and in each batch at most as many as the bound of its kind allows. A client that comes back
after that time stops nothing, and the orders that it then submits are newer. Source: protocol.md,
"Cancel on disconnect".
"""

from __future__ import annotations

from collections.abc import Callable

from hpe.core.context.command import Context
from hpe.core.timers import ENDING, TimerEntry
from hpe.core.trading.exchange_state import ExchangeState
from hpe.protocol.codes import CancelReason

_GONE = CancelReason.DISCONNECTED


class Disconnects:
    """Sessions whose orders are ending or will end; each with its entries, earliest first."""

    def __init__(self, exchange: ExchangeState, act: Callable[[TimerEntry], None]) -> None:
        self._act = act  # counts an entry against the bounds before it acts
        self._books = exchange.books
        self._orders = exchange.orders
        self._timers = exchange.timers
        self._market = exchange.market
        self._entries: dict[int, list[TimerEntry]] = {}

    def lost(self, context: Context, session_id: int, grace_ns: int) -> None:
        """Start the grace of a session's orders; without grace they begin to end at once."""
        theirs = self._orders.by_session.get(session_id)
        if not theirs:
            return
        due = (context.time_ns + grace_ns, ENDING, session_id, next(reversed(theirs)))
        if all(entry.due != due for entry in self._entries.get(session_id, ())):
            self.restore(TimerEntry(due, 0))
        if not grace_ns:
            self.end_now(context, session_id)

    def restore(self, entry: TimerEntry) -> None:
        """Add an entry from a dump."""
        self._entries.setdefault(entry.due[2], []).append(entry)
        self._timers.add(*entry)

    def is_ending(self, session_id: int) -> bool:
        """True if orders of a session are ending, or will end when its grace is over."""
        return session_id in self._entries

    def back(self, context: Context, session_id: int) -> None:
        """Keep the orders of a session that is back, unless its time came before."""
        theirs = self._entries.get(session_id)
        if theirs is not None and theirs[-1].due[0] > context.time_ns:
            self._forget(theirs[-1])

    def left_for_good(self, session_id: int) -> None:
        """Make the orders of a session ordinary ones, except those that have begun to end."""
        if session_id not in self._entries:
            self._orders.by_session.pop(session_id, None)

    def end_now(self, context: Context, session_id: int) -> None:
        """Cancel what is due of one session, within the bound; other sessions wait."""
        timers = self._timers
        while timers.room[ENDING] > 0 and (theirs := self._entries.get(session_id)):
            entry = theirs[0]
            if entry.due[0] > context.time_ns or timers.is_passed(entry.instrument):
                return
            self._act(entry)

    def act(self, entry: TimerEntry) -> None:
        """Cancel the oldest order of an entry; remove the entry after the last one.

        If its next order is of an instrument that is passed over, the entry waits there.
        """
        session_id, newest = entry.due[2:]
        theirs = self._orders.by_session.get(session_id)
        order = next(iter(theirs.values())) if theirs else None
        if order is None or order.order_id > newest:  # the others ended otherwise
            self._forget(entry)
            return
        instrument = order.instrument_id
        if self._timers.is_passed(instrument):
            self._move(entry, instrument)
            return
        book, partner = self._books[instrument], self._market.part(order)
        self._market.cancel(book, order, _GONE)
        if partner is not None:
            self._market.cancel(book, partner, _GONE)
        theirs = self._orders.by_session.get(session_id)
        if not theirs or next(iter(theirs)) > newest:
            self._forget(entry)

    def _move(self, entry: TimerEntry, instrument: int) -> None:
        """Move an entry to the instrument that it waits for."""
        theirs = self._entries[entry.due[2]]
        self._timers.remove(*entry)
        moved = theirs[theirs.index(entry)] = TimerEntry(entry.due, instrument)
        self._timers.add(*moved)

    def _forget(self, entry: TimerEntry) -> None:
        theirs = self._entries[entry.due[2]]
        self._timers.remove(*entry)
        theirs.remove(entry)
        if not theirs:
            del self._entries[entry.due[2]]

    def entries(self) -> list[TimerEntry]:
        """Return all entries, in order."""
        return sorted(entry for theirs in self._entries.values() for entry in theirs)
