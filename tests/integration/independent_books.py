"""Market data kept by a client that was written from protocol.md alone ("Keeping a book").

Each class is one subscription of one instrument on an IndependentClient; the thread of
that client owns it. `take` wants every update of the subscription, in the order of arrival; what
it then shows is the exchange's state, or it has subscribed again.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

from tests.integration.independent_client import (
    BEST,
    BUY,
    LEVELS,
    ORDERS,
    SELL,
    STATUS,
    SUBSCRIBE,
    TRADES,
    IndependentClient,
    NamedMessage,
)

CHECKSUM_LEVELS = 10
BEST_CHANNEL, LEVELS_CHANNEL, ORDERS_CHANNEL, TRADES_CHANNEL, STATUS_CHANNEL = 1, 2, 3, 4, 5
ADDED, CHANGED, REMOVED = 1, 2, 3
_NOTHING_KNOWN = -(1 << 64)


class UpdateTaker(Protocol):
    """A subscription that takes updates."""

    instrument: int
    update_type: int

    def take(self, update: NamedMessage) -> None:
        """Apply an update."""


def deliver(client: IndependentClient, watched: Sequence[UpdateTaker]) -> NamedMessage:
    """Return the connection's next update to the subscription that it is of."""
    update = client.next_update()
    for subscription in watched:
        if (subscription.update_type, subscription.instrument) == (
            update.type,
            update["instrument"],
        ):
            subscription.take(update)
            return update
    raise AssertionError(f"nobody subscribed to {update}")


def subscribe(
    client: IndependentClient, instrument: int, channel: int, depth: int = 1000
) -> NamedMessage:
    """Ask for a snapshot; `subscribed` with the snapshot made a message."""
    answer = client.call(SUBSCRIBE, instrument, channel, depth)
    assert (answer["reason"], answer["instrument"], answer["channel"]) == (0, instrument, channel)
    answer.fields["snapshot"] = NamedMessage(answer["snapshot"])
    return answer


def checksum_of(bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> int:
    """CRC-32 of the best ten levels of both sides, best first."""
    numbers: list[int] = []
    for side in (bids, asks):
        flat = [number for level in side[:CHECKSUM_LEVELS] for number in level]
        numbers += flat + [0] * (2 * CHECKSUM_LEVELS - len(flat))
    return zlib.crc32(struct.pack(">40q", *numbers))


def badness(side: int, price: int) -> int:
    """Orders the prices of a side: the less, the better."""
    return -price if side == BUY else price


class _Book:
    """What the channels levels and orders have in common."""

    update_type: int
    channel: int

    def __init__(self, client: IndependentClient, instrument: int, depth: int = 1000) -> None:
        self.instrument = instrument
        self.resubscribed: Counter[str] = Counter()
        self.checksums_compared = 0
        self._client = client
        self._depth = depth
        self._boundary: dict[int, int | None] = {}
        self._loaded: dict[int, int] = {}
        self.subscribe()

    def subscribe(self) -> None:
        """Begin with a new snapshot."""
        answer = subscribe(self._client, self.instrument, self.channel, self._depth)
        snapshot = answer["snapshot"]
        self.known: int = snapshot["last"]
        for side, rows, more in (
            (BUY, snapshot["bids"], answer["more_bids"]),
            (SELL, snapshot["asks"], answer["more_asks"]),
        ):
            self._load(side, rows)
            levels = self.levels(side)
            self._loaded[side] = len(levels)
            worst = badness(side, levels[-1][0]) if levels else _NOTHING_KNOWN
            self._boundary[side] = worst if more else None
        assert self._agrees(snapshot["checksum"]), snapshot

    def take(self, update: NamedMessage) -> None:
        """Apply an update; subscribe again on a gap, a wrong checksum or a thin side."""
        if update["last"] <= self.known:
            return
        if update["first"] > self.known + 1:
            self._again("gap")
            return
        self._apply(update)
        self.known = update["last"]
        if not self._agrees(update["checksum"]):
            self._again("checksum")
        elif any(self._is_thin(side) for side in (BUY, SELL)):
            self._again("thin")

    def levels(self, side: int) -> list[tuple[int, int]]:
        """The known levels of a side, best first: price and shown quantity."""
        quantities = self._quantities(side)
        return sorted(quantities.items(), key=lambda level: badness(side, level[0]))

    def _again(self, why: str) -> None:
        self.resubscribed[why] += 1
        self.subscribe()

    def _is_beyond(self, side: int, price: int) -> bool:
        boundary = self._boundary[side]
        return boundary is not None and badness(side, price) > boundary

    def _is_thin(self, side: int) -> bool:
        bounded = self._boundary[side] is not None
        return bounded and 4 * len(self._quantities(side)) < self._loaded[side]

    def _agrees(self, checksum: int | None) -> bool:
        bids, asks = self.levels(BUY), self.levels(SELL)
        enough = all(
            self._boundary[side] is None or len(levels) >= CHECKSUM_LEVELS
            for side, levels in ((BUY, bids), (SELL, asks))
        )
        if checksum is None or not enough:
            return True
        self.checksums_compared += 1
        return checksum == checksum_of(bids, asks)

    def _load(self, side: int, rows: list[Any]) -> None:
        raise NotImplementedError

    def _apply(self, update: NamedMessage) -> None:
        raise NotImplementedError

    def _quantities(self, side: int) -> dict[int, int]:
        raise NotImplementedError


class LevelBook(_Book):
    """The book by price levels."""

    update_type = LEVELS
    channel = LEVELS_CHANNEL

    def _load(self, side: int, rows: list[Any]) -> None:
        if side == BUY:
            self._rows: dict[int, dict[int, int]] = {}
        self._rows[side] = {price: quantity for price, quantity, _ in rows}

    def _apply(self, update: NamedMessage) -> None:
        for side, rows in ((BUY, update["bids"]), (SELL, update["asks"])):
            for price, quantity, _ in rows:
                if self._is_beyond(side, price):
                    continue
                if quantity:
                    self._rows[side][price] = quantity
                else:
                    self._rows[side].pop(price, None)

    def _quantities(self, side: int) -> dict[int, int]:
        return self._rows[side]


class IndependentOrderBook(_Book):
    """The book order by order, each price's in queue order."""

    update_type = ORDERS
    channel = ORDERS_CHANNEL

    def queue(self, side: int, price: int) -> list[tuple[int, int]]:
        """Order id and shown quantity at a price, first in queue first."""
        return list(self._queues[side].get(price, {}).items())

    def _load(self, side: int, rows: list[Any]) -> None:
        if side == BUY:
            self._queues: dict[int, dict[int, dict[int, int]]] = {}
        self._queues[side] = {}
        for order_id, price, quantity in rows:
            self._queues[side].setdefault(price, {})[order_id] = quantity

    def _apply(self, update: NamedMessage) -> None:
        assert update["last"] == update["first"] + len(update["changes"]) - 1, update
        for number, row in enumerate(update["changes"], update["first"]):
            change, side, order_id, price, quantity = row
            if number <= self.known or self._is_beyond(side, price):
                continue
            queue = self._queues[side].setdefault(price, {})
            assert (change == ADDED) == (order_id not in queue), row
            if change == REMOVED:
                del queue[order_id]
                if not queue:
                    del self._queues[side][price]
            else:
                queue[order_id] = quantity

    def _quantities(self, side: int) -> dict[int, int]:
        return {price: sum(queue.values()) for price, queue in self._queues[side].items()}


class Newest:
    """The channels best and status: the newest update is the truth."""

    def __init__(self, client: IndependentClient, instrument: int, channel: int) -> None:
        self.instrument = instrument
        self.update_type = BEST if channel == BEST_CHANNEL else STATUS
        self.now: NamedMessage = subscribe(client, instrument, channel)["snapshot"]
        self.updates_taken = 0

    def take(self, update: NamedMessage) -> None:
        """Take it unless it is older than what is known."""
        if update["time_ns"] > self.now["time_ns"]:
            self.now = update
            self.updates_taken += 1


class IndependentTrades:
    """The channel trades."""

    update_type = TRADES

    def __init__(self, client: IndependentClient, instrument: int) -> None:
        self.instrument = instrument
        snapshot = subscribe(client, instrument, TRADES_CHANNEL)["snapshot"]
        assert snapshot["trades"] == []
        self.known: int = snapshot["previous_trade_id"]
        self.rows: list[tuple[int, int, int, int]] = []
        self.gaps = 0

    def take(self, update: NamedMessage) -> None:
        """Take the trades that are not known."""
        if update["previous_trade_id"] > self.known:
            self.gaps += 1
        for trade_id, price, quantity, side in update["trades"]:
            if trade_id > self.known:
                self.rows.append((trade_id, price, quantity, side))
                self.known = trade_id
