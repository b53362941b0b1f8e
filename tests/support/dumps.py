"""Reads dumped states as rows, also of one kind, and takes a bytes dump apart into its chunks."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from itertools import pairwise
from typing import Final, TypeVar

import msgpack
import msgspec

from hpe.core.contract import Core
from hpe.core.state.rows import KINDS, Dumped, DumpedRow

RowT = TypeVar("RowT", bound=DumpedRow)

_DECODER: Final = msgspec.msgpack.Decoder(Dumped)


def rows_in(chunks: Iterable[bytes]) -> list[DumpedRow]:
    """Decode a dump."""
    return [_DECODER.decode(chunk) for chunk in chunks]


def rows_of(core: Core, kind: type[RowT]) -> list[RowT]:
    """Return the rows of one kind of what a core dumps, in their order."""
    tags = {tag for tag, each in enumerate(KINDS, 1) if issubclass(each, kind)}
    # The tag is the first value of the array, behind a header of one byte, or of three.
    chunks = (chunk for chunk in core.dump() if chunk[3 if chunk[0] == 0xDC else 1] in tags)
    return [row for row in rows_in(chunks) if isinstance(row, kind)]


def chunks_of(dump: bytes) -> list[bytes]:
    """Cut a dump at its rows' ends, which MessagePack itself tells."""
    unpacker = msgpack.Unpacker(BytesIO(dump))
    ends = [0]
    while ends[-1] < len(dump):
        unpacker.skip()
        ends.append(unpacker.tell())
    return [dump[start:end] for start, end in pairwise(ends)]
