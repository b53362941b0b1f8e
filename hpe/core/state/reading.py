"""What all loaders of a dump have in common: which rows are a dump, and whether it was loaded.

Part of the deterministic core. Rows are accepted only in the order in which dump.py yields them,
each in its one form; what they do to a core is the business of a `RowLoader`. Whatever is wrong,
the error has the number of the row.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, Final, Protocol

import msgspec

from hpe.core.contract import CORE_VERSION
from hpe.core.state.rows import KINDS, Dumped, DumpedEnd, DumpedHead, DumpedRow
from hpe.errors import StateError

_decode: Final = msgspec.msgpack.Decoder(Dumped).decode
_decode_any: Final = msgspec.msgpack.Decoder().decode
_encode: Final = msgspec.msgpack.Encoder().encode
_fields: Final = msgspec.structs.astuple
_NUMBERS: Final = {kind: number for number, kind in enumerate(KINDS, 1)}
_KEY_PLACES: Final = {
    kind: [kind.__struct_fields__.index(name) for name in kind.KEY] for kind in KINDS
}


class RowLoader(Protocol):
    """Takes rows over into a new core.

    A row that cannot be raises ValueError or OverflowError, which says what the row does.
    """

    def load_row(self, row: Any) -> None:
        """Load a row; the last one, the end, is not given."""

    def finish_loading(self) -> None:
        """Complete what needs all rows."""

    def dump(self) -> Iterable[bytes]:
        """Return a dump of what was loaded."""


def load_rows(loader: RowLoader, chunks: Iterable[bytes]) -> None:
    """Load a dump.

    Raises:
        StateError: the rows are not a dump of this version; what was loaded is then unusable.
    """
    rows, taken = _Rows(), blake2b()
    for chunk in chunks:
        row = rows.read(chunk)
        if not isinstance(row, DumpedEnd):
            try:
                loader.load_row(row)
            except (ValueError, OverflowError) as error:
                raise rows.fault(str(error)) from None
        rows.count += 1
        taken.update(chunk)
    rows.check_end()
    try:
        loader.finish_loading()
    except (ValueError, OverflowError) as error:
        raise rows.fault(str(error)) from None
    given = blake2b()
    for chunk in loader.dump():
        given.update(chunk)
    if given.digest() != taken.digest():
        raise StateError("the dump has rows that no state has: what was loaded gives others")


class _Rows:
    """Reads rows and checks that they follow each other."""

    def __init__(self) -> None:
        self.count = 0
        self.place: tuple[object, ...] = ()  # kind and key of the newest row

    def read(self, chunk: bytes) -> DumpedRow:
        """Return the next row."""
        try:
            if not self.count:
                _check_version(_decode_any(chunk))
            row = _decode(chunk)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self.fault(f"is no row: {error}") from None
        if _encode(row) != chunk:
            raise self.fault("is not in the shortest form")
        self._follow(row)
        if isinstance(row, DumpedEnd) and row.rows != self.count:
            raise self.fault(f"says that {row.rows} rows come before it")
        return row

    def _follow(self, row: DumpedRow) -> None:
        """Check that a row may follow the one before."""
        kind = type(row)
        fields = _fields(row)
        key = [fields[index] for index in _KEY_PLACES[kind]]
        place = (_NUMBERS[kind], *key)
        repeated = place == self.place and not kind.QUEUED
        first = self.count < 2 and _NUMBERS[kind] != self.count + 1
        if first or repeated or place < self.place:
            raise self.fault(f"is of kind {place[0]} with key {key}, which does not follow here")
        self.place = place

    def check_end(self) -> None:
        """Check that the newest row is the end."""
        if not self.place or self.place[0] != _NUMBERS[DumpedEnd]:
            raise self.fault("is missing: it has no end")

    def fault(self, what: str) -> StateError:
        """Return the error for the row that is being loaded."""
        return StateError(f"row {self.count + 1} of the dump {what}")


def _check_version(head: Any) -> None:
    """Check the beginning of the first row, on which the meaning of the rest depends."""
    if not isinstance(head, list) or head[:1] != [_NUMBERS[DumpedHead]] or len(head) < 2:
        raise StateError("row 1 of the dump is no head")
    if head[1] != CORE_VERSION:
        raise StateError(
            f"the dump has core version {head[1]}; this build is core version {CORE_VERSION}"
        )
