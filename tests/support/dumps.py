"""Read dumped states as rows, and split the bytes of a dump into its chunks."""

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
    """Return the rows of a dump."""
    return [_DECODER.decode(chunk) for chunk in chunks]


def rows_of(core: Core, kind: type[RowT]) -> list[RowT]:
    """Return the rows of one kind in a core's dump, in order."""
    tags = {tag for tag, each in enumerate(KINDS, 1) if issubclass(each, kind)}
    # The tag is the first value of the array, after a header of one byte or three.
    chunks = (chunk for chunk in core.dump() if chunk[3 if chunk[0] == 0xDC else 1] in tags)
    return [row for row in rows_in(chunks) if isinstance(row, kind)]


def chunks_of(dump: bytes) -> list[bytes]:
    """Split a dump at the ends of its rows, which MessagePack itself shows."""
    unpacker = msgpack.Unpacker(BytesIO(dump))
    ends = [0]
    while ends[-1] < len(dump):
        unpacker.skip()
        ends.append(unpacker.tell())
    return [dump[start:end] for start, end in pairwise(ends)]
