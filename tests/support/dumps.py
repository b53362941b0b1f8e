"""Reads dumped states as rows, and takes a bytes dump apart into its chunks."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from itertools import pairwise
from typing import Final

import msgpack
import msgspec

from hpe.core.rows import Dumped, DumpedRow

_DECODER: Final = msgspec.msgpack.Decoder(Dumped)


def rows_in(chunks: Iterable[bytes]) -> list[DumpedRow]:
    """Decode a dump."""
    return [_DECODER.decode(chunk) for chunk in chunks]


def chunks_of(dump: bytes) -> list[bytes]:
    """Cut a dump at its rows' ends, which MessagePack itself tells."""
    unpacker = msgpack.Unpacker(BytesIO(dump))
    ends = [0]
    while ends[-1] < len(dump):
        unpacker.skip()
        ends.append(unpacker.tell())
    return [dump[start:end] for start, end in pairwise(ends)]
