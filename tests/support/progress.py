"""A second opinion on which commands changed nothing, by their answers, and on the order of rows.

Part of core_driver.py, which holds it against what a core counts of every batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from hpe.core.contract import Run
from hpe.protocol.base import Reply, type_number
from hpe.protocol.enums import OrderStatus
from hpe.protocol.flags import FLAG_DUPLICATE, FLAG_UNCHANGED
from hpe.protocol.limits import COMMAND_FIRST, INTERNAL_FIRST
from hpe.protocol.listings import AddAssetResponse, ResolveInstrumentResponse
from hpe.protocol.money import HoldResponse, LockResponse
from hpe.protocol.orders import (
    CancelResponse,
    MassCancelResponse,
    OcoResponse,
    OrderResponse,
    ReplaceResponse,
)
from tests.support.listed import Listed, Progress


def is_idle(reply: Reply) -> bool:
    """True if this answers a command that did nothing that lasts, told by the answer alone."""
    is_response = COMMAND_FIRST <= type_number(type(reply)) < INTERNAL_FIRST
    if not is_response or reply.flags & FLAG_DUPLICATE:
        return False
    match reply:
        case ResolveInstrumentResponse():
            return True
        case OcoResponse() | LockResponse() | HoldResponse() | AddAssetResponse():
            return reply.reason > 0
        case MassCancelResponse():
            return reply.reason > 0 or not reply.canceled
        case CancelResponse():
            return reply.status == OrderStatus.REJECTED
        case ReplaceResponse():
            return reply.status == OrderStatus.REJECTED or reply.flags & FLAG_UNCHANGED > 0
        case OrderResponse():
            ended = reply.status in (OrderStatus.REJECTED, OrderStatus.CANCELED)
            return ended and not reply.cum
        case _:
            return bool(reply.reason)  # type: ignore[attr-defined]  # every response has one


def check_progress(progress: Sequence[Progress], answers: Mapping[int, list[Reply]]) -> None:
    """Hold what an output counts against its answers, by connection."""
    counted: dict[int, list[int]] = {}
    for connection, _, others, cancels in progress:
        sums = counted.setdefault(connection, [0, 0])
        sums[0], sums[1] = sums[0] + others, sums[1] + cancels
    for connection, replies in answers.items():
        idle = [reply for reply in replies if is_idle(reply)]
        cancels = sum(isinstance(reply, CancelResponse | MassCancelResponse) for reply in idle)
        assert counted.pop(connection) == [len(idle) - cancels, cancels]
    assert not any(map(any, counted.values()))


def _check_weights(output: Listed, runs: Iterable[Run]) -> None:
    """Check that all that clients sent is given back, whatever became of it."""
    sent: dict[int, list[bytes]] = {}
    for run in runs:
        if run.connection:
            sent.setdefault(run.connection, []).extend(run.chunk.bodies)
    assert output.weights == [
        (connection, len(bodies), sum(4 + len(body) for body in bodies))
        for connection, bodies in sorted(sent.items())
    ]


def check_order(output: Listed, runs: Iterable[Run]) -> None:
    """Check that each row stands where the contract says, and none twice."""
    connections = [connection for connection, _ in output.replies]
    assert connections == sorted(set(connections))
    for rows in (output.private, output.market):
        keys = [row[:2] for row in rows]
        assert keys == sorted(set(keys))
    _check_weights(output, runs)
    assert output.cut == sorted(set(output.cut))
