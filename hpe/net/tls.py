"""TLS: the contexts of both sides.

Owns what is negotiated: TLS 1.2 or newer with OpenSSL's own choice of ciphers. Reads certificate
and key files when a context is made and not later. A context never changes: the service takes a new
certificate by making a new context for the connections that come, so a bad file changes nothing.
Rules: docs/operations.md, "TLS".
"""

from __future__ import annotations

import os
import ssl
import stat
from pathlib import Path
from typing import Any

import trio

from hpe.config import Config
from hpe.errors import ConfigError


def server_context(config: Config) -> ssl.SSLContext | None:
    """Make the context of accepted connections; None when no certificate is configured.

    Raises:
        ConfigError: a file cannot be read, is none, or the key is not the certificate's.
    """
    if not config.tls_certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Renegotiation lets a client make us do handshakes for ever.
    context.options |= ssl.OP_NO_RENEGOTIATION
    # Tickets resume handshakes, which long sessions do not need; a client that hangs up without
    # having read them would turn our last bytes into a reset.
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET
    pair = f"tls_certificate {config.tls_certificate}, tls_key {config.tls_key}"
    _check_readable(config.tls_certificate)
    _check_readable(config.tls_key, secret=True)
    try:
        context.load_cert_chain(config.tls_certificate, config.tls_key, _no_password)
    except ssl.SSLError as error:
        reason = (error.reason or "no certificate or key in PEM form").replace("_", " ").lower()
        raise ConfigError(f"{pair}: {reason}") from error
    return context


def client_context(certificates: str | Path | None = None) -> ssl.SSLContext:
    """Make the context of a client, which proves the server's certificate and name.

    Args:
        certificates: PEM file of those to trust; None trusts what the system trusts.

    Raises:
        ConfigError: the file cannot be read or holds no certificate.
    """
    if certificates is not None:
        _check_readable(certificates)
    try:
        context = ssl.create_default_context(cafile=certificates)
    except ssl.SSLError as error:
        raise ConfigError(f"{certificates}: holds no certificate in PEM form") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def break_cycle(stream: trio.SSLStream[Any]) -> None:
    """Empty a stream that nobody uses any more, so that it is no garbage in cycles.

    Such garbage of a server stays for ever (collector.py), and Trio's streams know their
    handshake, which knows its stream: 24 KiB with OpenSSL's buffers. Whoever made the stream
    closes what it was made around.
    """
    vars(stream).clear()


def _check_readable(path: str | Path, *, secret: bool = False) -> None:
    """Name the file: OpenSSL's errors do not. Others may do nothing with a secret one."""
    try:
        # Not blocking: a pipe of that name must not hold the service up.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        mode = os.fstat(descriptor).st_mode
    finally:
        os.close(descriptor)
    if not stat.S_ISREG(mode):
        raise ConfigError(f"{path}: is not a file")
    if secret and mode & stat.S_IRWXO:
        raise ConfigError(
            f"{path}: found mode {stat.S_IMODE(mode):04o}; allowed: one that gives others nothing, "
            f"because it is the private key (chmod o= {path})"
        )


def _no_password() -> str:
    # Without this OpenSSL would ask on the terminal and hold the service up.
    raise ConfigError("tls_key: found an encrypted key; allowed: one without a password")
