"""Compares two outputs of one batch, from cores of one state: all of it, to the byte.

Left out is what only this process has: the three indicative fields of status rows and of status
snapshots, which may be late; status rows that have nothing else to say; and whether some are late.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from hpe.core.state.rows import DumpedInstrument
from hpe.protocol.enums import Channel
from hpe.protocol.market_data import StatusUpdate, Subscribed
from tests.support.core_driver import bodies_of, decoded, market_updates
from tests.support.dumps import rows_in
from tests.support.listed import Listed

MarketRow = tuple[int, int, bytes]
_BLANK: Final = {"indicative_price": 0, "indicative_volume": 0, "indicative_surplus": 0}


def assert_same(output: Listed, other: Listed, before: list[bytes], after: list[bytes]) -> None:
    """Compare two outputs of a batch between two dumps."""
    for name in Listed._fields:
        one, two = getattr(output, name), getattr(other, name)
        if name == "late" or one == two:
            continue
        if name == "replies":
            one, two = (without_indicative(rows) for rows in (one, two))
        elif name == "market":
            changed = _statuses(before).items() ^ _statuses(after).items()
            books = {instrument for instrument, _ in changed}
            one, two = (_comparable(rows, books) for rows in (one, two))
        assert one == two, f"{name} differ"


def _statuses(dump: list[bytes]) -> dict[int, tuple[int, ...]]:
    """Return what of each instrument a status row tells besides the indicative fields."""
    rows = (row for row in rows_in(dump) if isinstance(row, DumpedInstrument))
    return {row.instrument: (row.status, row.last_price, *_band(row)) for row in rows}


def _band(row: DumpedInstrument) -> tuple[int, int]:
    reference = row.last_price or row.reference_price
    away = reference * row.band_ppm // 10**6
    return (reference - away, reference + away) if row.band_ppm else (0, 0)


def _comparable(rows: list[MarketRow], changed: set[int]) -> list[tuple[int, int, object]]:
    """Leave indicative fields out, and status rows of books that changed nothing else."""
    found: list[tuple[int, int, object]] = []
    for instrument, channel, frames in rows:
        if channel != Channel.STATUS:
            found.append((instrument, channel, frames))
        elif instrument in changed:
            updates = [replace(update, **_BLANK) for update in market_updates(frames)]
            found.append((instrument, channel, updates))
    return found


def without_indicative(rows: Sequence[tuple[int, bytes]]) -> list[tuple[int, list[object]]]:
    """Leave the indicative fields out of the snapshots among replies to clients."""
    return [(number, list(map(_blanked, bodies_of(frames)))) for number, frames in rows]


def _blanked(body: bytes) -> object:
    kind = body[1] if body[0] != 0xDC else body[3]
    if kind != Subscribed.__struct_config__.tag:
        return body
    (reply,) = decoded(len(body).to_bytes(4, "big") + body)
    assert isinstance(reply, Subscribed)
    if not isinstance(reply.snapshot, StatusUpdate):
        return body
    return replace(reply, snapshot=replace(reply.snapshot, **_BLANK))
