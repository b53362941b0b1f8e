"""`hpe serve`: the engine behind a TCP port, until a signal.

Owns the process around the engine: settings from flags, environment and file, the signals, the
ready line, the ports file. Runs in the main thread. Guarantees: signals are received from before
recovery on; the first SIGTERM or SIGINT drains the service and exits 0; a second one, or hard_s
after the first, exits at once with EXIT_IMPATIENT, which loses nothing that was answered under
`sync = "batch"`, because every reply was durable when it was sent; SIGHUP loads the key and
certificate files again, or logs why it could not and changes nothing. Rules: docs/operations.md.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import signal
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import trio

from hpe.access.addresses import is_loopback, split_address
from hpe.config.settings import Config
from hpe.config.sources import load_config
from hpe.core import missing_core
from hpe.engine import HighPerformanceEngine
from hpe.errors import ConfigError
from hpe.extensions import CORE_CHOICES

LOGGER: Final = logging.getLogger("hpe.serve")

EXIT_IMPATIENT: Final = 75


def add_parsers(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the `serve` command."""
    parser = subparsers.add_parser("serve", help="run the exchange")
    parser.add_argument("--data", metavar="DIR", help="data directory (./hpe-data)")
    parser.add_argument("--listen", metavar="HOST:PORT", help="address (127.0.0.1:7070)")
    parser.add_argument("--port", type=int, help="port; 0 picks a free one")
    parser.add_argument("--ports-file", type=Path, metavar="FILE", help="write port and pid there")
    parser.add_argument("--config", type=Path, metavar="FILE.toml", help="settings file")
    parser.add_argument("--core", choices=CORE_CHOICES, help="core to run")
    parser.add_argument(
        "--sync", metavar="POLICY", help="durability: batch, every=N or interval_ms=T"
    )
    parser.add_argument(
        "--realtime", choices=["auto", "off", "on"], help="pin threads, use SCHED_FIFO"
    )
    parser.add_argument("--keys", metavar="FILE", help="key file; clients must prove a key")
    parser.add_argument("--tls-certificate", metavar="FILE.pem", help="certificate; turns TLS on")
    parser.add_argument("--tls-key", metavar="FILE.pem", help="private key of the certificate")
    parser.add_argument(
        "--insecure-plaintext",
        action="store_true",
        default=None,
        help="allow an address beyond loopback without keys or without encryption",
    )
    parser.add_argument(
        "--accept-clock",
        action="store_true",
        help="start even if the machine's clock is more than 400 days ahead of the log",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve; return 0 after a clean stop."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    config = load_config(arguments.config, os.environ, _overrides(arguments))
    _raise_descriptor_limit()
    trio.run(serve, config, arguments.ports_file, arguments.accept_clock)
    return 0


def _overrides(arguments: argparse.Namespace) -> dict[str, object]:
    host, port = None, arguments.port
    if arguments.listen is not None:
        try:
            host, listen_port = split_address(arguments.listen)
        except ValueError as error:
            raise ConfigError(f"--listen: {error}") from error
        if port is not None and port != listen_port:
            raise ConfigError(
                f"--port: found {port} beside --listen {arguments.listen}; allowed: one port"
            )
        port = listen_port
    return {
        "data_directory": arguments.data,
        "host": host,
        "port": port,
        "core": arguments.core,
        "sync": arguments.sync,
        "realtime": arguments.realtime,
        "keys_file": arguments.keys,
        "tls_certificate": arguments.tls_certificate,
        "tls_key": arguments.tls_key,
        "insecure_plaintext": arguments.insecure_plaintext,
    }


class _Stopper:
    """On the first signal, cancels a start that is not ready, or asks a ready service to drain.

    Cancelling a ready service would end its connections in the middle of a reply.
    """

    def __init__(self) -> None:
        self.starting = trio.CancelScope()
        self.requested = trio.Event()
        self.ready = False

    def stop(self) -> None:
        """Stop the service, or its start."""
        self.requested.set()
        if not self.ready:
            self.starting.cancel()


async def serve(config: Config, ports_file: Path | None, accept_clock: bool = False) -> None:
    """Run the engine and its listener until the first signal."""
    stopper = _Stopper()
    # The receiver restores this when it closes: a signal that arrives after the drain, while the
    # interpreter shuts down, must not turn a clean stop into a kill.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with (
        trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals,
        trio.open_signal_receiver(signal.SIGHUP) as hangups,
    ):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_watch, signals, stopper, config.shutdown_hard_s)
            with stopper.starting:
                engine = HighPerformanceEngine(config, own_process=True, accept_clock=accept_clock)
                await _serve_until(stopper, hangups, engine, ports_file)
            nursery.cancel_scope.cancel()


async def _serve_until(
    stopper: _Stopper,
    hangups: AsyncIterator[int],
    engine: HighPerformanceEngine,
    ports_file: Path | None,
) -> None:
    config = engine.config
    for warning in exposures(config):
        LOGGER.warning("%s", warning)
    async with engine, trio.open_nursery() as nursery:
        port = await engine.listen(config.host, config.port)
        stopper.ready = True
        nursery.start_soon(_reload, engine, hangups)
        _announce(engine, port, ports_file)
        await stopper.requested.wait()
        nursery.cancel_scope.cancel()
        LOGGER.info("stopping: draining")
    LOGGER.info("stopped at sequence %d", engine.durable_sequence.value)


def exposures(config: Config) -> list[str]:
    """Return a warning for each kind of access that the configuration leaves open."""
    reach = "on this machine" if is_loopback(config.host) else f"that reaches {config.host}"
    found = []
    if not config.keys_file:
        found.append(
            f"ANONYMOUS: no keys_file is configured: any program {reach} can trade as any user, "
            "move and create money, and operate the markets"
        )
    if not config.tls_certificate and not is_loopback(config.host):
        found.append(
            "PLAINTEXT: no tls_certificate is configured: anyone on the network path can read and "
            "change what clients and the service send"
        )
    return found


async def _reload(engine: HighPerformanceEngine, hangups: AsyncIterator[int]) -> None:
    async for _ in hangups:
        try:
            LOGGER.info("SIGHUP received: %s", await engine.reload())
        except ConfigError as error:
            LOGGER.error("SIGHUP received, but not everything could be loaded: %s", error)


async def _watch(signals: AsyncIterator[int], stopper: _Stopper, hard_s: float) -> None:
    async for number in signals:
        LOGGER.info("%s received", signal.Signals(number).name)
        stopper.stop()
        break
    with trio.move_on_after(hard_s):
        async for number in signals:
            LOGGER.warning("%s received: exiting at once", signal.Signals(number).name)
            break
        # Not an exception: nothing may wait for threads or connections any more.
        os._exit(EXIT_IMPATIENT)
    LOGGER.error("not stopped within %s s: exiting at once", hard_s)
    os._exit(EXIT_IMPATIENT)


def _announce(engine: HighPerformanceEngine, port: int, ports_file: Path | None) -> None:
    config = engine.config
    host = f"[{config.host}]" if ":" in config.host else config.host
    realtime = engine.realtime.describe() if engine.realtime is not None else "off"
    if ports_file is not None:
        _write_ports_file(ports_file, port)
    absent = missing_core() if config.core == "auto" else ""
    core = f"{engine.core_name} ({absent})" if absent else engine.core_name
    print(
        f"hpe ready: {host}:{port}, data {Path(config.data_directory).resolve()}, "
        f"core {core}, durability {engine.durability}, realtime {realtime}, "
        f"sequence {engine.durable_sequence.value}",
        flush=True,
    )


def _write_ports_file(path: Path, port: int) -> None:
    """Write the file by renaming, so that a program waiting for it never reads half of it.

    The temporary name is random: in a shared directory, someone may have placed a link at a name
    that can be guessed.
    """
    try:
        if path.exists() and not path.is_file():
            # Never replaced: a service that runs as root would remove a device that others need.
            raise ConfigError(f"--ports-file: {path} exists and is not a regular file")
        descriptor, aside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with open(descriptor, "w", encoding="ascii") as file:
                os.fchmod(descriptor, 0o644)
                json.dump({"port": port, "pid": os.getpid()}, file)
            os.replace(aside, path)
        except BaseException:
            os.unlink(aside)
            raise
    except OSError as error:
        raise ConfigError(f"--ports-file: cannot write {path}: {error.strerror}") from error


def _raise_descriptor_limit() -> None:
    """Raise the soft limit of descriptors, often 1,024, to the hard one, which is much higher."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
