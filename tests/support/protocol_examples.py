"""What tests of protocol.md's worked examples share: their tables, and a venue to try them on."""

from __future__ import annotations

from typing import Any, Final

from tests.conftest import PROJECT_ROOT
from tests.support import protocol_document as document
from tests.support.core_driver import Venue, VenueClient

SECTIONS: Final = document.sections((PROJECT_ROOT / "protocol.md").read_text(encoding="utf-8"))
BASE, QUOTE, PAIR = 1, 2, 1
START: Final = 1_000_000


def numbers(heading: str) -> list[dict[str, Any]]:
    """Return the table of an example with its integers read."""
    (rows,) = document.tables(SECTIONS[f"Example: {heading}"])
    return [{key: read(cell) for key, cell in row.items()} for row in rows]


def read(cell: str) -> int | str:
    """Return a cell as an integer where it is one."""
    return int(cell) if cell.lstrip("-").isdigit() else cell


def named_bytes(heading: str) -> dict[str, bytes]:
    """Return the byte strings of an example by what they are."""
    (rows,) = document.tables(SECTIONS[f"Example: {heading}"])
    return {row["what"]: bytes.fromhex(row["bytes"]) for row in rows}


def orders_of(cell: str) -> list[tuple[int, int]]:
    """Read `quantity@price, ...`."""
    pairs = (each.split("@") for each in cell.split(", "))
    return [(int(quantity), int(price)) for quantity, price in pairs]


def traders(venue: Venue, **instrument: int) -> tuple[VenueClient, VenueClient]:
    """Return two users with money, on a venue with one pair of these settings."""
    seller, buyer = venue.attach(1), venue.attach(2)
    assert seller.list_pair(**instrument) == PAIR
    for trader in (seller, buyer):
        for asset in (BASE, QUOTE):
            trader.deposit(asset, START)
    return seller, buyer
