"""The requests of one connection on their way to the core.

Owns what is decided about requests between reading them and the sequencer: rates, rejects,
subscriptions, and what is answered at once while the log is stalled; used by the reader of one
connection and by the dispatcher in the Trio loop. No method waits. Guarantees: refused requests are
marked, and the core answers them in their place, unless nothing is before them; runs keep their
order.
"""

from __future__ import annotations

from hpe.core.contract import Run
from hpe.net.context import ConnectionContext
from hpe.net.delivery.switchboard import Port
from hpe.net.limits.rates import Payer, Sender, payer_of
from hpe.net.logon import Grant
from hpe.net.send_queue import SendQueue
from hpe.protocol.frames import Chunk


class Forwarder:
    """The requests of one connection.

    Args:
        send_queue: the connection's queue, which gets what the requests ask for.
        context: the state that it shares with other connections.
    """

    __slots__ = ("_context", "_offered", "_payer", "_send_queue", "_sender")

    def __init__(self, send_queue: SendQueue, context: ConnectionContext) -> None:
        self._send_queue = send_queue
        self._context = context
        self._offered = 0
        self._payer: Payer = 0
        self._sender: Sender | None = None  # set if any limit applies

    def begin(self, grant: Grant, user: int) -> None:
        """Note which session sends from now on."""
        self._payer = payer_of(grant, user)
        if self._context.rates.limited:
            self._sender = Sender(grant, user)

    def offer(self, port: Port, run: Run, now_s: float) -> bool:
        """Hand over requests; return True if the connection is to be cut for exceeding its rate.

        Args:
            port: the connection.
            run: the requests.
            now_s: the time at which they were read.
        """
        context = self._context
        idle = self._offered == port.answered
        self._offered += run.chunk.count
        runs, excessive = [run], False
        if self._sender is not None and not run.admit:
            runs, excessive = context.rates.admit(self._sender, run, now_s)
        if idle:
            runs[:1] = context.switchboard.refuse_orders(port, runs[0])
        runs = context.rejects.admit(self._payer, runs, now_s)
        for piece in runs:
            for part in context.switchboard.streams.admit(self._send_queue, piece, self._offered):
                context.switchboard.offer(part.connection, part, now_s)
        return excessive

    def note(self, idle: int, idle_cancels: int) -> None:
        """Charge the sender for commands that changed nothing."""
        if idle or idle_cancels:
            self._context.rejects.note(self._payer, idle, idle_cancels)

    def admit_control(self, chunk: Chunk, now_s: float) -> tuple[int, bool]:
        """Judge a control message.

        Returns:
            0, or the ErrorCode that refuses it; and True if the connection is to be cut.
        """
        if self._sender is None:
            return 0, False
        kind = chunk.table[0][2]
        return self._context.rates.admit_control(self._sender, kind, now_s)
