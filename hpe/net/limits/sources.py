"""Sources: how many connections, strangers and failed logons each network address has.

Owns the counts per source; used by the accept loop and by connections in the Trio loop, which pass
the time. A source is an IPv4 address or an IPv6 /64 (what one customer gets: an attacker has all of
its addresses). Guarantees: whatever one source does, no other one is refused for it; memory is
bounded by the open connections plus SOURCES_FAILED_MAX. Source: the rules of
docs/architecture.md, "Limits".
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from functools import lru_cache
from typing import Final, NamedTuple

from hpe.protocol.codes import ErrorCode

FAILED_LOGONS_MAX: Final = 5
FAILED_LOGONS_S: Final = 60.0
"""The time within which too many failed logons make a source wait."""

REFUSED_S: Final = 60.0
"""How long it waits. Guessing 256 bits is hopeless; the limit protects our CPU and log."""

SOURCES_FAILED_MAX: Final = 65_536
"""Sources remembered for failed logons only. Beyond this, the one with the oldest latest failure is
forgotten. About 20 MB, reached only by failures from as many addresses within a minute."""

_IPV6_PREFIX_BITS: Final = 64
_SOURCES_CACHED: Final = 1_024
"""Parsing an address takes 0.003 to 0.02 ms: the cache does it once per crowd."""


class SourceLimits(NamedTuple):
    """Limits per source; strangers are connections that have not logged on."""

    connections_max: int
    strangers_max: int
    failed_logons_max: int = FAILED_LOGONS_MAX
    failed_logons_s: float = FAILED_LOGONS_S
    refused_s: float = REFUSED_S


class _Source:
    """The counts of one source; without connections it is kept only while it has failures."""

    __slots__ = ("connections", "failures_s", "key", "refused_until_s", "strangers")

    def __init__(self, key: str) -> None:
        self.key = key
        self.connections = 0
        self.strangers = 0
        self.failures_s: list[float] = []
        self.refused_until_s = float("-inf")


class SourcePlace:
    """The place of one connection in its source; `address` is the peer's address."""

    __slots__ = ("_source", "_sources", "_stranger", "address", "source")

    def __init__(self, sources: Sources, source: _Source, address: str) -> None:
        self.source = source.key
        # One string for all connections of a source, if it says as much.
        self.address = source.key if source.key == address else address
        self._sources = sources
        self._source: _Source | None = source
        self._stranger = True

    def logged_on(self) -> None:
        """Note that this connection is no longer a stranger."""
        if self._stranger and self._source is not None:
            self._stranger = False
            self._source.strangers -= 1

    def failed_logon(self, now_s: float) -> None:
        """Note a wrong proof; too many make the whole source wait."""
        if self._source is not None:
            self._sources._failed(self._source, now_s)

    def leave(self) -> None:
        """Return the place; harmless if it was already returned."""
        if self._source is not None:
            self.logged_on()
            self._sources._left(self._source)
            self._source = None


class Sources:
    """All sources that have connections or failed recently."""

    def __init__(self, limits: SourceLimits) -> None:
        self._limits = limits
        self._sources: dict[str, _Source] = {}
        # Sources with failures, oldest first, which is the order in which they are forgotten.
        self._failing: OrderedDict[str, _Source] = OrderedDict()

    def enter(self, address: str, now_s: float) -> SourcePlace | ErrorCode:
        """Return the place of a new connection, or why it gets none.

        Args:
            address: the peer's address, as the socket reports it.
            now_s: Trio time.
        """
        code = self.refuses(address, now_s)
        if code is not None:
            return code
        key = source_of(address)
        source = self._sources.get(key)
        if source is None:
            source = self._sources[key] = _Source(key)
        source.connections += 1
        source.strangers += 1
        return SourcePlace(self, source, address)

    def refuses(self, address: str, now_s: float, waiting: int = 0) -> ErrorCode | None:
        """Return why a new connection would get no place, None if it would get one.

        Args:
            address: the peer's address, as the socket reports it.
            now_s: Trio time.
            waiting: strangers of the same source that have no place yet.
        """
        self._forget_expired(now_s)
        connections = strangers = waiting
        source = self._sources.get(source_of(address))
        if source is not None:
            if source.refused_until_s > now_s:
                return ErrorCode.TOO_MANY_LOGONS
            connections += source.connections
            strangers += source.strangers
        limits = self._limits
        if connections >= limits.connections_max or strangers >= limits.strangers_max:
            return ErrorCode.TOO_MANY_CONNECTIONS
        return None

    def __len__(self) -> int:
        """Return the number of sources that are remembered."""
        return len(self._sources)

    def _failed(self, source: _Source, now_s: float) -> None:
        limits = self._limits
        recent = [at_s for at_s in source.failures_s if now_s - at_s < limits.failed_logons_s]
        source.failures_s = [*recent, now_s][-limits.failed_logons_max :]
        if len(source.failures_s) >= limits.failed_logons_max:
            source.refused_until_s = now_s + limits.refused_s
        self._failing.pop(source.key, None)
        self._failing[source.key] = source
        if len(self._failing) > SOURCES_FAILED_MAX:
            self._forget(next(iter(self._failing.values())))

    def _left(self, source: _Source) -> None:
        source.connections -= 1
        if not source.connections and source.key not in self._failing:
            del self._sources[source.key]

    def _forget_expired(self, now_s: float) -> None:
        kept_s = max(self._limits.failed_logons_s, self._limits.refused_s)
        while self._failing:
            source = next(iter(self._failing.values()))
            if now_s - source.failures_s[-1] < kept_s:
                return
            self._forget(source)

    def _forget(self, source: _Source) -> None:
        """Forget a source's failures, and the source itself if it has no connection."""
        del self._failing[source.key]
        source.failures_s = []
        source.refused_until_s = float("-inf")
        if not source.connections:
            del self._sources[source.key]


@lru_cache(_SOURCES_CACHED)
def source_of(address: str) -> str:
    """Return the source of an address; text that is not an IP address is its own source."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, _IPV6_PREFIX_BITS), strict=False))
    return str(parsed)
