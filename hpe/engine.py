"""HighPerformanceEngine: opens the stages of the pipeline in nested order and closes them.

Owns the lifetime of everything: recovery, log thread, matching thread, sequencer, dispatcher,
connections, listeners. Lives in one Trio loop. Guarantees: stages open as connections > dispatcher
> log > matcher > sequencer > listeners and end in the opposite order, so that leaving loses nothing
that was accepted; every reply was published by the log before it is sent: with `sync = batch` it is
durable; a thread that dies ends the engine with its exception; `async with` raises start-up errors
without wrapping them. Relies on bridge.py for the threads and on the switchboard for routing.
Rules: docs/architecture.md, "Opening and closing".

    readers --runs--> sequencer ==batches==> matcher ==outputs==> log ==published==> dispatcher
    (credits)         (turns, busy)          (thread)             (thread)           --> writers
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import AsyncIterator, Callable
from functools import partial
from types import TracebackType
from typing import Final, NamedTuple, Self

import trio
import trio_util

from hpe.config.settings import Config, demo_config, describe_configure
from hpe.core import new_core
from hpe.core.contract import Batch, Core, Output
from hpe.core.output.private_ring import PrivateRing
from hpe.errors import ConnectionLost
from hpe.extensions import CoreName
from hpe.inprocess import InProcessApi
from hpe.machine import THIS_MACHINE, Machine
from hpe.net.delivery.dispatcher import Dispatcher, Released
from hpe.net.delivery.streams import Streams
from hpe.net.delivery.switchboard import Switchboard
from hpe.net.gate import Gate
from hpe.net.limits.credits import CreditPool
from hpe.net.limits.pacing import Traffic
from hpe.net.poller import polling
from hpe.net.server import Server
from hpe.pipeline import matching_thread
from hpe.pipeline.bridge import Outbox, hosted_thread, run_interruptible
from hpe.pipeline.clock import Clock
from hpe.pipeline.collector import Collector, quiet_collector, switching_sooner
from hpe.pipeline.log_inbox import LOG_BYTES_MAX, LogInbox
from hpe.pipeline.matching import Matching
from hpe.pipeline.placement import Realtime, ThreadRole, choose_realtime
from hpe.pipeline.sequencer import Sequencer
from hpe.pipeline.sequencing import Patience
from hpe.pipeline.statistics import Figure, ThreadFigures
from hpe.pipeline.watch import Watch
from hpe.protocol.base import Request
from hpe.protocol.control import ServerInfoReply
from hpe.protocol.enums import DetachCause
from hpe.protocol.internal import SessionDetached
from hpe.version import __version__
from hpe.wal import thread as wal_thread
from hpe.wal.data_directory import check_data_directory
from hpe.wal.files import LogFiles
from hpe.wal.group_commit import GroupCommit
from hpe.wal.log import LOCAL_EPOCH
from hpe.wal.recovery import Recovered, recover
from hpe.wal.spare import SpareMaker

LOGGER: Final = logging.getLogger("hpe.engine")

SAMPLE_S: Final = 1.0


class _Stages(NamedTuple):
    """The parts that are open while the engine serves."""

    connections: trio.Nursery
    front: trio.Nursery
    sequencer: Sequencer
    watch: Watch
    switchboard: Switchboard
    gate: Gate
    server: Server
    threads: ThreadFigures


class HighPerformanceEngine(InProcessApi):
    """A durable exchange in this process: enter it to start, leave it to stop.

    Args:
        config: settings; None means `demo_config()`.
        files: the data directory's files, instead of the real ones.
        own_process: own the process, as `hpe serve` does: set its switch interval and its garbage
            collector, and let `realtime = auto` pin threads.
        accept_clock: start even if the clock is more than 400 days ahead of the log.
        machine: clocks and randomness, instead of the real ones.

    Attributes:
        phase: "stopped", "recovering", "ready", "draining"; await its transitions.
        durable_sequence: newest command that survives a power cut.
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        files: LogFiles | None = None,
        own_process: bool = False,
        accept_clock: bool = False,
        machine: Machine = THIS_MACHINE,
    ) -> None:
        self.config = config if config is not None else demo_config()
        super().__init__(self.config.request_timeout_ms / 1000)
        self.phase = trio_util.AsyncValue("stopped")
        self.durable_sequence = trio_util.AsyncValue(0)
        self.server = f"hpe {__version__}"
        self.durability = self.config.sync.describe()
        self.epoch = LOCAL_EPOCH
        self.core_name = ""
        self.draining = False
        self.realtime: Realtime | None = None
        self._files = files
        self._own_process = own_process
        self._accept_clock = accept_clock
        self._machine = machine
        self._life: contextlib.AbstractAsyncContextManager[None] | None = None
        self._stages: _Stages | None = None

    # --- lifetime -----------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Recover, start the threads, and apply the configuration; then the engine is ready.

        Raises:
            HpeError: the data directory, the log, the configuration or the clock is refused.
        """
        self._life = self._serve()
        await self._life.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        """Drain, write, sync, deliver, close."""
        assert self._life is not None
        # Not shielded: the stages set their own deadlines, and a cancellation may cut them short.
        return await self._life.__aexit__(kind, error, traceback)  # noqa: ASYNC102 - see above

    async def listen(self, host: str, port: int) -> int:
        """Accept TCP clients; return the bound port (for port 0).

        Raises:
            ListenError: the address cannot be bound.
        """
        if self._stages is None or self.draining:
            raise ConnectionLost(f"the engine is {self.phase.value}: it cannot listen")
        server = self._stages.server
        bound: int = await self._stages.front.start(server.listen, host, port)
        return bound

    @contextlib.asynccontextmanager
    async def _serve(self) -> AsyncIterator[None]:
        body_fault: Exception | None = None
        self.draining = False
        self.phase.value = "recovering"
        try:
            with switching_sooner() if self._own_process else contextlib.nullcontext():
                if self._files is None:
                    for warning in check_data_directory(self.config.data_directory):
                        LOGGER.warning("%s", warning)
                gate = Gate(self.config, self._machine)
                core = new_core(choice=self.config.core, seed=self._machine.random_seed())
                self.core_name = core.name
                # Read while the matcher works: the number only grows, and may be a batch old.
                streams = Streams(PrivateRing(), lambda: core.instrument_count)
                recovered = await self._recover(core, streams)
                with contextlib.closing(recovered.log):
                    clock = Clock(
                        core.last_time_ns,
                        accept=self._accept_clock,
                        read=self._machine.read_clocks,
                    )
                    commands = self._start_commands(core, gate)
                    async with self._pipeline(core, recovered, streams, gate, clock) as stages:
                        await self._start(stages, commands)
                        try:
                            yield
                        except Exception as error:
                            # Kept, and raised outside the nurseries, which would wrap it.
                            body_fault = error
                        await self._drain(stages)
        finally:
            self._stages = None
            self._close_door()
            self.phase.value = "stopped"
        if body_fault is not None:
            raise body_fault

    async def _recover(self, core: Core, streams: Streams) -> Recovered:
        recovered = await run_interruptible(
            "hpe-recovery",
            partial(
                recover,
                self.config.data_directory,
                core,
                self.config.sync,
                segment_bytes_max=self.config.segment_bytes_max,
                files=self._files,
                observe=streams.keep,
                machine=self._machine,
            ),
        )
        if recovered.report.cut is not None:
            LOGGER.warning("recovery cut a %s", recovered.report.cut.describe())
        LOGGER.info("%s", recovered.report.describe())
        self.durable_sequence.value = recovered.tail.durable_position
        return recovered

    def _start_commands(self, core: Core, gate: Gate) -> list[Request]:
        """Return the commands to log before any client is served.

        Raises:
            ConfigError: the configuration contradicts the log.
        """
        commands: list[Request] = []
        differences = core.configuration_differences(self.config.to_configure(1))
        if differences is not None:
            LOGGER.info("configuration changes applied: %s", describe_configure(differences))
            commands.append(differences)
        for session_id, number in core.attached_sessions():
            commands.append(SessionDetached(number, session_id, number, DetachCause.SERVER_RESTART))
        # Without a key file no key can be proven; sessions of keys stay until there is one.
        if gate.authenticator.required:
            keys = core.configuration_differences(gate.keys_valid)
            if keys is not None:
                commands.append(keys)
        return commands

    @contextlib.asynccontextmanager
    async def _pipeline(
        self, core: Core, recovered: Recovered, streams: Streams, gate: Gate, clock: Clock
    ) -> AsyncIterator[_Stages]:
        """Open the stages, the most downstream one outermost."""
        config = self.config
        inbox: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        steady_s = self._machine.steady_s
        log_inbox = LogInbox(LOG_BYTES_MAX, steady_s=steady_s)
        outbox = Outbox[Released]()
        patience = Patience(config.orders_wait_ms_max / 1000, config.cancels_wait_ms_max / 1000)
        traffic = Traffic()
        sequencer = Sequencer(
            core.bounds, inbox, patience, streams.wanted, traffic.begins, log_inbox.unsynced_s
        )
        switchboard = Switchboard(
            sequencer,
            self,
            CreditPool(config.credits_bytes_max),
            core.last_attach_number,
            authenticator=gate.authenticator,
            streams=streams,
        )
        self.realtime = self._choose_realtime(core.name)
        place = self.realtime.applied

        def match() -> None:
            matching_thread.run(Matching(core, clock), inbox, log_inbox, sequencer.free)

        def log() -> None:
            def publish(items: list[Output], durable: int) -> None:
                outbox.put((items, durable))
                log_inbox.published(len(items))

            commit = GroupCommit(recovered.log, recovered.tail, config.sync, steady_s=steady_s)
            with contextlib.closing(log_inbox):  # otherwise the matcher might wait forever
                wal_thread.run(commit, log_inbox, publish)

        quiet = quiet_collector() if self._own_process else contextlib.nullcontext()
        polled = polling(config.polling, sequencer.gathering)
        with place(ThreadRole.TRIO), quiet as collector, polled as poller:
            async with (
                trio.open_nursery() as connections,
                self._dispatcher(outbox, switchboard, traffic, collector),
                _log_threads(log, log_inbox.stop, recovered.log.spares, self.realtime) as wal_id,
                hosted_thread(
                    "hpe-matcher", match, lambda: inbox.put(None), lambda: place(ThreadRole.MATCHER)
                ) as matcher_id,
                trio.open_nursery() as front,
            ):
                server = gate.build(switchboard, traffic, connections, poller)
                context, watch = server.context, Watch(clock, log_inbox)
                for service in (sequencer, watch, *context.services()):
                    front.start_soon(service.serve)
                trio_id = threading.get_native_id()
                threads = ThreadFigures({"trio": trio_id, "wal": wal_id, "matcher": matcher_id})
                front.start_soon(_sample, threads)
                open_now = (connections, front, sequencer, watch, switchboard, gate, server)
                yield _Stages(*open_now, threads)
                front.cancel_scope.cancel()

    def _choose_realtime(self, core: CoreName) -> Realtime:
        """Decide where threads run; in another program's process, move nothing unless asked."""
        config = self.config
        setting = config.realtime if self._own_process or config.realtime == "on" else "off"
        return choose_realtime(setting, core, config.realtime_cores, config.realtime_priority)

    @contextlib.asynccontextmanager
    async def _dispatcher(
        self,
        outbox: Outbox[Released],
        switchboard: Switchboard,
        traffic: Traffic,
        collector: Collector | None,
    ) -> AsyncIterator[None]:
        """Route what the log thread publishes; after a clean end, also what it published last."""

        def note_durable(sequence: int) -> None:
            self.durable_sequence.value = sequence

        def tick(now_s: float) -> None:
            if collector is not None:
                collector.tick(now_s)

        dispatcher = Dispatcher(switchboard, traffic, note_durable, tick)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(dispatcher.dispatch, outbox.take)
            yield
            nursery.cancel_scope.cancel()
        dispatcher.finish(outbox.take_nowait())

    async def _start(self, stages: _Stages, commands: list[Request]) -> None:
        await stages.switchboard.internal(commands)
        assert self.realtime is not None
        for warning in self.realtime.warnings:
            LOGGER.warning("%s", warning)
        stages.watch.begin()
        self._stages = stages
        self._open_door(stages.switchboard)
        self.phase.value = "ready"

    async def _drain(self, stages: _Stages) -> None:
        """Stop reading, and hand over what was accepted. Leaving the stages does the rest.

        The deadline is that of the connections, which outlive every other stage. What they have
        not delivered by then is not delivered, but it is durable.
        """
        self._log_out_cached()
        self.draining = True
        self.phase.value = "draining"
        deadline_s = trio.current_time() + self.config.shutdown_deadline_s
        stages.connections.cancel_scope.deadline = deadline_s
        stages.server.stop()
        with trio.move_on_at(deadline_s):
            # Readers go on until here: what they read is refused as shutting_down, in its place.
            await stages.sequencer.wait_accepted_handed_over()
            stages.switchboard.stop_reading()
            await stages.sequencer.wait_empty()

    # --- what others ask ----------------------------------------------------------------------

    async def reload(self) -> str:
        """Load keys and certificates again, and accept the clock as it is now.

        Connections of keys that are gone or changed end with key_revoked; the others go on, with
        the certificate that they began with.

        Returns:
            What changed, for the log.

        Raises:
            ConfigError: a file cannot be used; whatever it configures stays as it was.
            ConnectionLost: the engine is not running.
        """
        if self._stages is None or self.draining:
            raise ConnectionLost(f"the engine is {self.phase.value}: it has nothing to reload")
        self._stages.watch.renew()
        return await self._stages.gate.reload(self._stages.server)

    def statistics(self) -> dict[str, Figure]:
        """Return figures about threads, queues, connections and positions; empty when stopped."""
        stages = self._stages
        if stages is None:
            return {}
        return {
            "durable_sequence": self.durable_sequence.value,
            **stages.server.figures(),
            **stages.sequencer.figures(),
            **stages.watch.figures(),
            "realtime": self.realtime.describe() if self.realtime is not None else "",
            **stages.threads.figures,
        }

    def server_info(self, request_id: int) -> ServerInfoReply:
        """Return the answer to server_info."""
        details = self.statistics()
        return ServerInfoReply(
            request_id=request_id,
            flags=0,
            server=self.server,
            phase=self.phase.value,
            core=self.core_name,
            durability=self.durability,
            durable_sequence=self.durable_sequence.value,
            connections=int(details.get("connections", 0)),
            details=details,
        )


@contextlib.asynccontextmanager
async def _log_threads(
    log: Callable[[], None], stop: Callable[[], None], spares: SpareMaker, realtime: Realtime
) -> AsyncIterator[int]:
    """Run the log thread and, inside, the filling one, which ends before the log seals."""
    place = realtime.applied
    async with (
        hosted_thread("hpe-wal", log, stop, partial(place, ThreadRole.WAL)) as wal_id,
        hosted_thread("hpe-wal-ahead", spares.serve, spares.stop, partial(place, ThreadRole.TRIO)),
    ):
        yield wal_id


async def _sample(threads: ThreadFigures) -> None:
    async for _ in trio_util.periodic(SAMPLE_S):
        threads.sample()
