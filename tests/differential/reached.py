"""What streams reach: reasons per message, moves of orders, ways to end per kind and market state.

`Coverage` counts; `watching` lets it see the moves of all orders of the reference in this process.
The reasons that each message can have are read from protocol.md. One thread.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from typing import Final

import msgspec

from hpe.core.contract import Output
from hpe.core.trading.kinds import KINDS
from hpe.core.trading.order_states import ENDED, MOVES, OrderState
from hpe.core.trading.orders import Order
from hpe.protocol.base import type_number
from hpe.protocol.codes import CancelReason, ErrorCode, RejectReason
from hpe.protocol.enums import InstrumentStatus
from hpe.protocol.frames import split_frames
from hpe.protocol.registry import COMMANDS, QUERIES
from tests.conftest import PROJECT_ROOT
from tests.differential.world import ReferenceView

_HEADING: Final = re.compile(r"^### Request (\d+) ")
_LISTED: Final = re.compile(r"^(?:Rejects, in order|Cancel reasons): ([a-z_,\s]*)\.", re.MULTILINE)
_FILLED: Final = 0
_REASONS: Final = {reason.name.lower(): int(reason) for reason in (*RejectReason, *CancelReason)}
_ANSWERS: Final = frozenset(map(type_number, (*QUERIES, *COMMANDS)))


def listed_reasons() -> dict[int, list[int]]:
    """Return the reasons that protocol.md lists, by the type number of the request."""
    text = (PROJECT_ROOT / "protocol.md").read_text(encoding="utf-8")
    found: dict[int, list[int]] = {}
    for section in re.split(r"^(?=### )", text, flags=re.MULTILINE):
        heading = _HEADING.match(section)
        if heading is None:
            continue
        names = [name for each in _LISTED.findall(section) for name in re.findall(r"[a-z_]+", each)]
        if names:
            found[int(heading[1])] = [_REASONS[name] for name in dict.fromkeys(names)]
    return found


class Coverage:
    """Counts what was reached: rows of `reasons`, `errors`, `moves` and `ends`."""

    def __init__(self) -> None:
        self.reasons: Counter[tuple[int, int]] = Counter()
        self.errors: Counter[int] = Counter()
        self.moves: Counter[tuple[OrderState, OrderState]] = Counter()
        self.ends: Counter[tuple[object, InstrumentStatus, int]] = Counter()
        self._ended: list[tuple[Order, InstrumentStatus]] = []

    def read(self, output: Output) -> None:
        """Read the replies of a batch, and why orders ended in it."""
        for body in split_frames(bytes(output.replies)):
            values = msgspec.msgpack.decode(body)
            if values[0] in _ANSWERS and len(values) > 4 and type(values[4]) is int:
                self.reasons[values[0], values[4]] += 1
            elif values[0] == 31:
                self.errors[values[3]] += 1
        for order, status in self._ended:
            terms = order.terms
            key = (order.order_type, order.may_rest, terms is not None and terms.budget > 0)
            self.ends[key, status, order.reason] += 1
        self._ended.clear()

    def note(self, order: Order, state: OrderState, status: InstrumentStatus) -> None:
        """Note a move of an order."""
        self.moves[order.state, state] += 1
        if state is ENDED:
            self._ended.append((order, status))

    # --- what is missing --------------------------------------------------------------------------

    def missing_reasons(self) -> list[str]:
        """List the reasons of messages that no stream had."""
        names = {number: name for name, number in _REASONS.items()}
        messages = {type_number(each): each.__name__ for each in (*QUERIES, *COMMANDS)}
        return [
            f"{messages[message]} {names[reason]}"
            for message, reasons in listed_reasons().items()
            for reason in reasons
            if (message, reason) not in self.reasons
        ]

    def missing_moves(self) -> list[str]:
        """List the legal moves that no order made."""
        legal = [(one, other) for one, others in MOVES.items() for other in others]
        return [f"{one.name} -> {other.name}" for one, other in legal
                if (one, other) not in self.moves]  # fmt: skip

    def missing_ends(self) -> list[str]:
        """List the ways to end that no order of a kind took in a market state.

        Many of them are impossible: halted markets end no order but by time and by disconnection.
        """
        ways = (_FILLED, *CancelReason)
        names = {_FILLED: "filled", **{int(reason): reason.name.lower() for reason in CancelReason}}
        return [
            f"{kind[0].name.lower()} {'rests' if kind[1] else 'does not rest'}"
            f"{' budget' if kind[2] else ''}, {status.name.lower()}: {names[way]}"
            for kind, status, way in product(KINDS, InstrumentStatus, ways)
            if (kind, status, way) not in self.ends
        ]

    def missing_errors(self) -> list[str]:
        """List the errors of a core that no stream had."""
        codes = (
            ErrorCode.BAD_MESSAGEPACK, ErrorCode.EMPTY_FRAME, ErrorCode.TRAILING_BYTES,
            ErrorCode.NOT_AN_ARRAY, ErrorCode.UNKNOWN_TYPE, ErrorCode.BAD_FIELD,
            ErrorCode.NOT_AUTHORIZED, ErrorCode.ID_REUSED, ErrorCode.NOT_EXECUTED,
            ErrorCode.STALE_ID, ErrorCode.BUSY, ErrorCode.THROTTLED, ErrorCode.SHUTTING_DOWN,
        )  # fmt: skip
        return [code.name.lower() for code in codes if code not in self.errors]

    def text(self) -> str:
        """Return the figures, and what is missing."""
        listed = listed_reasons()
        all_reasons = sum(map(len, listed.values()))
        all_moves = sum(map(len, MOVES.values()))
        all_ends = len(KINDS) * len(InstrumentStatus) * (1 + len(CancelReason))
        rows = (
            ("reasons of messages", all_reasons, self.missing_reasons()),
            ("moves of orders", all_moves, self.missing_moves()),
            ("kind x market x end", all_ends, self.missing_ends()),
            ("errors", 13, self.missing_errors()),
        )
        return "\n".join(
            f"{name}: {count - len(missing)} of {count}; missing: {'; '.join(missing) or 'none'}"
            for name, count, missing in rows
        )


@contextmanager
def watching(reached: Coverage, world: ReferenceView) -> Iterator[None]:
    """Let `reached` see every move of an order while a stream runs."""
    move = Order.move

    def seen(order: Order, state: OrderState) -> None:
        book = world.exchange.books.get(order.instrument_id)
        reached.note(order, state, book.status if book is not None else InstrumentStatus.HALTED)
        move(order, state)

    Order.move = seen  # type: ignore[method-assign]  # it counts moves
    try:
        yield
    finally:
        Order.move = move  # type: ignore[method-assign]  # it counts moves
