"""Network addresses as people write them: host and port.

Pure functions, used on both sides of a connection.
"""

from __future__ import annotations

import ipaddress


def split_address(address: str) -> tuple[str, int]:
    """Split "host:port" or "[v6]:port" into host and port.

    Raises:
        ValueError: the address has neither form.
    """
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not can_be_name(host) or not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        raise ValueError(f"found {address!r}; allowed: HOST:PORT")
    return host, int(port)


def can_be_name(host: str) -> bool:
    """True if the system can be asked to resolve this name."""
    try:
        return host.encode("idna") != b"" and "\0" not in host
    except UnicodeError:  # a label is empty or too long
        return False


def is_loopback(host: str) -> bool:
    """True if only programs on this machine can reach a service that listens on this host."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a host name: it may resolve to anything, so it counts as remote
