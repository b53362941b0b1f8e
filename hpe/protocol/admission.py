"""Admission classes: what the front end may refuse of a request, by its type alone.

Owns one table from type numbers to classes. A frame is classified once, where its bytes are read
(frames.py), and everything that admits or refuses requests on their way to the core looks at that.
Classes are single bits, so that one number can stand for all that occur in a chunk. Pure; any
thread may use it.
"""

from __future__ import annotations

from typing import Final

from hpe.protocol.base import Request, type_number
from hpe.protocol.limits import COMMAND_FIRST, INTERNAL_FIRST, QUERY_FIRST
from hpe.protocol.market_data import Subscribe
from hpe.protocol.orders import CancelOrder, MassCancel, ReplaceOrder, SubmitOco, SubmitOrder

NO_CLASS: Final = 0
"""Of a frame without a type, and of one that no client may send: the core names the fault."""

CONTROL: Final = 1
"""Answered by the connection, outside the order of requests."""

QUERY: Final = 2
SUBSCRIBE: Final = 4
"""The query that begins market data; counted where subscriptions are."""

ORDER: Final = 8
"""New orders, pairs and replaces: what is refused first in an overload."""

CANCEL: Final = 16
"""Cancels, which have a reserved share at every stage."""

COMMAND: Final = 32
"""All other commands."""

_OF_MESSAGES: Final[dict[type[Request], int]] = {
    Subscribe: SUBSCRIBE,
    SubmitOrder: ORDER,
    SubmitOco: ORDER,
    ReplaceOrder: ORDER,
    CancelOrder: CANCEL,
    MassCancel: CANCEL,
}


def _classes() -> tuple[int, ...]:
    classes = [NO_CLASS] * 256
    classes[1:QUERY_FIRST] = [CONTROL] * (QUERY_FIRST - 1)
    classes[QUERY_FIRST:COMMAND_FIRST] = [QUERY] * (COMMAND_FIRST - QUERY_FIRST)
    classes[COMMAND_FIRST:INTERNAL_FIRST] = [COMMAND] * (INTERNAL_FIRST - COMMAND_FIRST)
    for message, admission in _OF_MESSAGES.items():
        classes[type_number(message)] = admission
    return tuple(classes)


CLASSES: Final = _classes()
"""Classes by the byte where a type stands."""
