"""Lists in the integers of the wire, read page by page.

Keeps no state. Used in one Trio loop by a client's calls, by its listings and by the snapshots of
its private stream. All functions raise what `SessionChannel.call` raises.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Generic, NamedTuple, Protocol, TypeVar

from hpe.client.channel import SessionChannel
from hpe.client.results import expect
from hpe.protocol.base import Request
from hpe.protocol.limits import PAGE_MAX
from hpe.protocol.listings import (
    AssetRow,
    AssetsReply,
    InstrumentRow,
    InstrumentsReply,
    ListAssets,
    ListInstruments,
)
from hpe.protocol.money import (
    BalanceRow,
    BalancesReply,
    HoldRow,
    HoldsReply,
    ListBalances,
    ListHolds,
)
from hpe.protocol.orders import FillRow, FillsReply, ListFills, ListOrders, OrderRow, OrdersReply

_Row = TypeVar("_Row")


class PageReply(Protocol[_Row]):
    """A reply with a part of a list."""

    @property
    def sequence(self) -> int:
        """The newest command that it shows."""

    @property
    def rows(self) -> list[_Row]:
        """The rows, in order."""


class Listing(NamedTuple, Generic[_Row]):
    """A whole list. `sequence` is that of its last page; earlier pages may show older states.

    `complete_after`: for fills, the private sequence above which none is missing; 0 if none of the
    requested ones is missing.
    """

    sequence: int
    rows: list[_Row]
    complete_after: int = 0


async def read_assets(requests: SessionChannel) -> list[AssetRow]:
    """Return all assets, in order of id."""
    return (await _pages(requests, AssetsReply, partial(ListAssets, 0), _first)).rows


async def read_instruments(requests: SessionChannel) -> list[InstrumentRow]:
    """Return all instruments, in order of id."""
    ask = partial(ListInstruments, 0)
    return (await _pages(requests, InstrumentsReply, ask, lambda row: row.instrument)).rows


async def read_balances(requests: SessionChannel, user: int) -> Listing[BalanceRow]:
    """Return the accounts of a user that are not empty, in order of asset id."""
    return await _pages(requests, BalancesReply, partial(ListBalances, 0, user=user), _first)


async def read_holds(requests: SessionChannel, user: int) -> Listing[HoldRow]:
    """Return the named holds of a user, in order of hold id."""
    return await _pages(requests, HoldsReply, partial(ListHolds, 0, user=user), _first)


async def read_orders(
    requests: SessionChannel, user: int, instrument: int = 0
) -> Listing[OrderRow]:
    """Return the open orders of a user, in order of id, on one instrument or (0) on all."""
    ask = partial(ListOrders, 0, instrument, user=user)
    return await _pages(requests, OrdersReply, ask, lambda row: row.order_id)


async def read_fills(requests: SessionChannel, user: int, after: int) -> Listing[FillRow]:
    """Return the recent fills with private sequences above `after`, oldest first."""
    ask = partial(ListFills, 0, user=user)
    return await _pages(requests, FillsReply, ask, lambda row: row.private_sequence, after)


async def _pages(
    requests: SessionChannel,
    kind: type[PageReply[_Row]],
    ask: Callable[[int, int], Request],
    key: Callable[[_Row], int],
    after: int = 0,
) -> Listing[_Row]:
    """Return a whole list, read page by page.

    Args:
        requests: the channel to ask.
        kind: the type of the replies.
        ask: makes the request for a page from (after, limit).
        key: returns the value of a row that `after` is compared with.
        after: where to begin.
    """
    rows: list[_Row] = []
    complete_after = 0
    while True:
        page = expect(kind, await requests.call(ask(after, PAGE_MAX)))
        rows += page.rows
        # Only fills have it. Fills that the server forgot meanwhile were already returned.
        forgotten: int = getattr(page, "complete_after", 0)
        if forgotten > after:
            complete_after = forgotten
        if len(page.rows) < PAGE_MAX:
            return Listing(page.sequence, rows, complete_after)
        after = key(page.rows[-1])


def _first(row: tuple[int, *tuple[object, ...]]) -> int:
    return row[0]
