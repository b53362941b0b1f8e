"""The gate: which clients the configuration admits, and how many.

Owns the loading of the key file and the certificates, at start and on reload, and builds the front
door from them; used by the engine, in the Trio loop. Guarantees: a file that cannot be used
prevents the start; on reload, whatever it configures stays as it was; reloaded keys apply to new
connections, and end those whose key is gone, whether or not the certificate could be loaded. Rules:
docs/operations.md, "Keys" and "TLS".
"""

from __future__ import annotations

import trio

from hpe.access.key_files import load_keys
from hpe.access.keys import Keys
from hpe.access.tls import server_context
from hpe.config.settings import Config
from hpe.errors import ConfigError
from hpe.machine import Machine
from hpe.net.context import ConnectionContext
from hpe.net.delivery.switchboard import Switchboard
from hpe.net.limits.pacing import Traffic
from hpe.net.limits.rates import RateLimiter, RateLimits
from hpe.net.limits.rejects import Rejects
from hpe.net.limits.sources import SourceLimits, Sources
from hpe.net.limits.timer_wheel import TimerWheel
from hpe.net.logon import Authenticator, keys_valid, number_of
from hpe.net.poller import Poller
from hpe.net.server import Server


class Gate:
    """Keys and certificates of one engine.

    Args:
        config: names the files.
        machine: where nonces and random pauses come from.

    Raises:
        ConfigError: a file cannot be used.
    """

    def __init__(self, config: Config, machine: Machine) -> None:
        self._config = config
        self._machine = machine
        per_key = config.connections_per_key_max or max(16, config.connections_max // 4)
        keys = self._read_keys()
        self.authenticator = Authenticator(keys, per_key, machine)
        self.keys_valid = keys_valid(keys or {})  # what the core was told last
        self._tls = server_context(config.tls_certificate, config.tls_key)
        self._reloading = trio.Lock()

    def build(
        self,
        switchboard: Switchboard,
        traffic: Traffic,
        connections: trio.Nursery,
        poller: Poller | None,
    ) -> Server:
        """Return the front door; its timer wheel and turnstiles must be served.

        Args:
            switchboard: where connections register.
            traffic: the trading under way there.
            connections: the nursery in which connections live.
            poller: reads those that are logged on, if there is one.
        """
        config = self._config
        rates = RateLimiter(
            RateLimits(
                config.messages_per_s,
                config.messages_burst,
                config.cancels_per_s,
                config.cancels_burst,
            )
        )
        sources = Sources(
            SourceLimits(
                config.connections_per_source_max or config.connections_max,
                config.strangers_per_source_max,
            )
        )
        rejects = Rejects(config.rejects_per_s, config.rejects_burst)
        context = ConnectionContext(
            switchboard,
            TimerWheel(),
            rates,
            rejects,
            traffic,
            config.logon_timeout_s,
            poller,
            self._machine,
        )
        return Server(connections, config.connections_max, sources, context, self._tls)

    async def reload(self, server: Server) -> str:
        """Load keys and certificates again, in a thread, because many keys take a while.

        Each independently: a half-written certificate must not keep a revoked key valid.

        Returns:
            What changed, for the log.

        Raises:
            ConfigError: a file cannot be used; whatever it configures stays as it was, and the
                text says what did change.
        """
        changes, faults = [], []
        async with self._reloading:  # one reload at a time, so that the last one wins
            for reload in (self._reload_keys, self._reload_tls):
                try:
                    changes += await reload(server)
                except ConfigError as fault:
                    faults.append(f"{fault}: it stays as it was")
        if faults:
            raise ConfigError("; ".join(faults + changes))
        return "; ".join(changes) or "no keys_file or tls_certificate to reload is configured"

    async def _reload_keys(self, server: Server) -> list[str]:
        keys = await trio.to_thread.run_sync(self._read_keys)
        if keys is None:
            return []
        valid = keys_valid(keys)
        known = {setting.number: setting.role for setting in self.keys_valid.keys}
        # Revoked keys are shut out first; new keys are admitted once the core knows them.
        kept = {
            key_id: entry
            for key_id, entry in keys.items()
            if known.get(number_of(key_id)) is entry.role
        }
        revoked = self.authenticator.take(kept)
        gone = {key_id for key_id in revoked if key_id not in kept}
        switchboard = server.context.switchboard
        ended = switchboard.revoke(revoked, gone)
        if valid != self.keys_valid:
            self.keys_valid = valid
            await switchboard.internal([valid])
        self.authenticator.take(keys)
        return [
            f"{len(keys)} keys are valid, {len(revoked)} are revoked or changed, which ends "
            f"{ended} connections"
        ]

    async def _reload_tls(self, server: Server) -> list[str]:
        files = self._config.tls_certificate, self._config.tls_key
        tls = await trio.to_thread.run_sync(server_context, *files)
        if tls is None:
            return []
        self._tls = server.tls = tls
        return ["new connections get the certificate as it is now"]

    def _read_keys(self) -> Keys | None:
        path = self._config.keys_file
        return load_keys(path) if path else None
