"""The state that all TCP connections of one engine share.

Owns only the counts of how connections ended; used by connections and by what builds them,
in the Trio loop.
"""

from __future__ import annotations

from hpe.machine import Machine
from hpe.net.delivery.switchboard import Switchboard
from hpe.net.limits.pacing import CROWD_PER_S, INTAKE_PER_S, LOGON_HELD_S_MAX, Traffic, Turnstile
from hpe.net.limits.rates import RateLimiter
from hpe.net.limits.rejects import Rejects
from hpe.net.limits.timer_wheel import TimerWheel
from hpe.net.logon_log import LogonLog
from hpe.net.poller import Poller


class ConnectionContext:
    """The state that all TCP connections of an engine share.

    Args:
        switchboard: where connections register.
        timer_wheel: watches their deadlines.
        rates: the limits on what each key, or user, may send per second.
        rejects: the limits on commands that change nothing.
        traffic: the trading that arriving and leaving connections give way to.
        logon_timeout_s: how long a connection may stay without logging on.
        poller: reads the plain connections that are logged on; None: each reads for itself.
        machine: where random pauses come from.

    Attributes:
        intake: the turnstile for taking connections off the kernel's queue.
        arrivals: the turnstile for being served at all.
        entrances: the turnstile for the steps of logons.
        exits: the turnstile for leaving.
        slow_consumers: connections cut because private data was not read.
        heartbeats_missed: connections cut because the client was silent.
        logons_failed: proofs refused.
        logon_log: writes log lines about logons.
    """

    __slots__ = (
        "arrivals", "entrances", "exits", "heartbeats_missed", "intake", "logon_log",
        "logon_timeout_s", "logons_failed", "machine", "poller", "rates", "rejects",
        "slow_consumers", "switchboard", "timer_wheel",
    )  # fmt: skip

    def __init__(
        self,
        switchboard: Switchboard,
        timer_wheel: TimerWheel,
        rates: RateLimiter,
        rejects: Rejects,
        traffic: Traffic,
        logon_timeout_s: float,
        poller: Poller | None,
        machine: Machine,
    ) -> None:
        self.switchboard = switchboard
        self.timer_wheel = timer_wheel
        self.rates = rates
        self.rejects = rejects
        self.logon_timeout_s = logon_timeout_s
        self.poller = poller
        self.machine = machine
        self.intake = Turnstile(traffic, INTAKE_PER_S, LOGON_HELD_S_MAX)
        self.arrivals = Turnstile(traffic, CROWD_PER_S)
        self.entrances = Turnstile(traffic, held_s_max=LOGON_HELD_S_MAX)
        self.exits = Turnstile(traffic, CROWD_PER_S)
        self.slow_consumers = 0
        self.heartbeats_missed = 0
        self.logons_failed = 0
        self.logon_log = LogonLog()

    def services(self) -> tuple[TimerWheel | Turnstile | Poller, ...]:
        """Return the parts that need a task each."""
        pollers = () if self.poller is None else (self.poller,)
        return self.timer_wheel, self.intake, self.arrivals, self.entrances, self.exits, *pollers
