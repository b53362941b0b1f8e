"""TLS contexts of both sides.

Owns what is negotiated: TLS 1.2 or newer, with OpenSSL's own choice of ciphers. Certificate and key
files are read only when a context is made; OpenSSL gets their content, not their paths. A context
never changes: for a new certificate, the service makes a new context for later connections, so a
bad file changes nothing. Blocking; any thread may call it. Rules: docs/operations.md, "TLS".
"""

from __future__ import annotations

import os
import ssl
import stat
from pathlib import Path
from typing import Any

import trio

from hpe.errors import ConfigError
from hpe.files.small_files import file_of, read_small


def server_context(certificate_file: str, key_file: str) -> ssl.SSLContext | None:
    """Return the context for accepted connections, None if no certificate is configured.

    Args:
        certificate_file: the setting tls_certificate, "" for none.
        key_file: the setting tls_key.

    Raises:
        ConfigError: a file cannot be read or has no certificate or key, or they do not match.
    """
    if not certificate_file:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Renegotiation would let a client request handshakes forever.
    context.options |= ssl.OP_NO_RENEGOTIATION
    # Tickets are for resuming handshakes, which long sessions do not need. If a client hung up
    # without having read them, its kernel would answer our last bytes with a reset.
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET
    pair = f"tls_certificate {certificate_file}, tls_key {key_file}"
    certificate = read_small(certificate_file)
    key = read_small(key_file, _check_secret)
    try:
        with file_of(certificate) as certificate_path, file_of(key) as key_path:
            context.load_cert_chain(certificate_path, key_path, _no_password)
    except ssl.SSLError as error:
        reason = (error.reason or "no certificate or key in PEM form").replace("_", " ").lower()
        raise ConfigError(f"{pair}: {reason}") from error
    return context


def client_context(certificates: str | Path | None = None) -> ssl.SSLContext:
    """Return the context for a client, which verifies the server's certificate and name.

    Args:
        certificates: PEM file of the certificates to trust; None trusts the system's.

    Raises:
        ConfigError: the file cannot be read or contains no certificate.
    """
    if certificates is None:
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context
    try:
        with file_of(read_small(certificates)) as path:
            context = ssl.create_default_context(cafile=path)
    except ssl.SSLError as error:
        raise ConfigError(f"{certificates}: contains no certificate in PEM form") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def break_cycle(stream: trio.SSLStream[Any]) -> None:
    """Clear a stream that is no longer used, so that it does not become cyclic garbage.

    A server never collects such garbage (collector.py). Trio's streams refer to their handshake,
    which refers to its stream, and each takes 24 KiB with OpenSSL's buffers. The owner of the
    stream closes the transport beneath it.
    """
    vars(stream).clear()


def _check_secret(status: os.stat_result, path: str | Path) -> None:
    """Refuse a private key file that other users can access in any way."""
    if status.st_mode & stat.S_IRWXO:
        raise ConfigError(
            f"{path}: found mode {stat.S_IMODE(status.st_mode):04o}; allowed: a mode that gives "
            f"others no access, because it is the private key (chmod o= {path})"
        )


def _no_password() -> str:
    # Otherwise OpenSSL would ask on the terminal and block the service.
    raise ConfigError("tls_key: found an encrypted key; allowed: one without a password")
