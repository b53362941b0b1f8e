"""Open connections to one service: address, TLS, logon.

Owns what every connection of a client has in common. Used from one Trio loop. Guarantees: `open`
yields a link that is logged on, or raises within CONNECT_TIMEOUT_S and leaves no socket behind.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Final

import msgspec

from hpe.access.addresses import split_address
from hpe.access.keys import Key
from hpe.client import aio
from hpe.client.link import Link
from hpe.errors import ConnectionLost
from hpe.protocol.control import Hello, Welcome

DEFAULT_ADDRESS: Final = "127.0.0.1:7070"

CONNECT_TIMEOUT_S: Final = 5.0
"""From the first SYN to welcome: the server's logon timeout, and a durable logon."""

LATE_S: Final = 60.0
"""How long an attempt without a welcome may still reach the server: what a kernel or a proxy holds
back arrives within some retransmissions, or never."""


def parse_address(address: str) -> tuple[str, int]:
    """Split "host:port", "[v6]:port" or "port" (then loopback).

    Raises:
        TypeError: it is not text.
        ValueError: it has none of these forms.
    """
    if not isinstance(address, str):
        raise TypeError(f'address: found {address!r}, allowed "host:port" or "port" (1-65535)')
    try:
        host, port = split_address(address if ":" in address else f"127.0.0.1:{address}")
        if not port:
            raise ValueError
    except ValueError:
        text = f'address: found {address!r}, allowed "host:port" or "port" (1-65535)'
        raise ValueError(text) from None
    return host, port


class Dialer:
    """The parameters of a client's connections.

    Args:
        host: the service's host.
        port: the service's port.
        hello: what every connection sends first, except for session and window.
        key: the client's key; None if the service requires none.
        tls: None for a plain connection.
    """

    def __init__(
        self, host: str, port: int, hello: Hello, key: Key | None, tls: aio.TlsContext | None
    ) -> None:
        self._host = host
        self._port = port
        self._hello = hello
        self._key = key
        self._tls = tls
        self._abandoned_s: list[float] = []

    def abandoned(self) -> bool:
        """True, once for each, if an attempt of the last LATE_S was given up without a welcome.

        The server may see it late, and give it the session that a newer connection has.
        """
        self._forget()
        if not self._abandoned_s:
            return False
        self._abandoned_s.pop(0)
        return True

    def _forget(self) -> None:
        oldest_s = aio.current_time() - LATE_S
        self._abandoned_s = [begin_s for begin_s in self._abandoned_s if begin_s > oldest_s]

    @contextlib.asynccontextmanager
    async def open(self, session_id: int, window: int) -> AsyncIterator[tuple[Link, Welcome]]:
        """Connect and attach a session (0: a new one) for the length of a block.

        Raises:
            ConnectionLost: no connection, or no welcome in time.
            RequestRefused: the server refuses the session.
            ProtocolError: the server speaks another protocol.
        """
        stream: aio.Stream | None = None
        welcome: Welcome | None = None
        async with contextlib.AsyncExitStack() as closing:
            try:
                with aio.move_on_after(CONNECT_TIMEOUT_S):
                    stream = await aio.open_stream(self._host, self._port, self._tls)
                    closing.push_async_callback(aio.close_stream, stream)
                    link = Link(stream)
                    hello = msgspec.structs.replace(
                        self._hello, session_id=session_id, window=window
                    )
                    welcome = await link.log_on(hello, self._key)
                if stream is None:
                    where = f"{self._host}:{self._port}"
                    raise ConnectionLost(f"no connection to {where} within {CONNECT_TIMEOUT_S} s")
                if welcome is None:
                    raise ConnectionLost(f"no welcome within {CONNECT_TIMEOUT_S} s")
                yield link, welcome
            except ConnectionLost:
                if stream is not None and welcome is None:
                    self._forget()
                    self._abandoned_s.append(aio.current_time())
                raise
