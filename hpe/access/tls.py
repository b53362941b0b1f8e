"""TLS: the contexts of both sides.

Owns what is negotiated: TLS 1.2 or newer with OpenSSL's own choice of ciphers. Reads certificate
and key files when a context is made and not later; OpenSSL gets what was read, not the paths. A
context never changes: the service takes a new certificate by making a new context for the
connections that come, so a bad file changes nothing.
Rules: docs/operations.md, "TLS".
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
    """Make the context of accepted connections; None when no certificate is configured.

    Args:
        certificate_file: the setting tls_certificate, "" for none.
        key_file: the setting tls_key.

    Raises:
        ConfigError: a file cannot be read, is none, or the key is not the certificate's.
    """
    if not certificate_file:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Renegotiation lets a client make us do handshakes forever.
    context.options |= ssl.OP_NO_RENEGOTIATION
    # Tickets resume handshakes, which long sessions do not need; a client that hangs up without
    # having read them would turn our last bytes into a reset.
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
    """Make the context of a client, which proves the server's certificate and name.

    Args:
        certificates: PEM file of those to trust; None trusts what the system trusts.

    Raises:
        ConfigError: the file cannot be read or holds no certificate.
    """
    if certificates is None:
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context
    try:
        with file_of(read_small(certificates)) as path:
            context = ssl.create_default_context(cafile=path)
    except ssl.SSLError as error:
        raise ConfigError(f"{certificates}: holds no certificate in PEM form") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def break_cycle(stream: trio.SSLStream[Any]) -> None:
    """Empty a stream that nobody uses any more, so that it is no garbage in cycles.

    Such garbage of a server stays forever (collector.py), and Trio's streams know their
    handshake, which knows its stream: 24 KiB with OpenSSL's buffers. Whoever made the stream
    closes what it was made around.
    """
    vars(stream).clear()


def _check_secret(status: os.stat_result, path: str | Path) -> None:
    """Refuse a private key with which others may do anything."""
    if status.st_mode & stat.S_IRWXO:
        raise ConfigError(
            f"{path}: found mode {stat.S_IMODE(status.st_mode):04o}; allowed: one that gives "
            f"others nothing, because it is the private key (chmod o= {path})"
        )


def _no_password() -> str:
    # Without this OpenSSL would ask on the terminal and hold the service up.
    raise ConfigError("tls_key: found an encrypted key; allowed: one without a password")
