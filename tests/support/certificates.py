"""Certificates for loopback, as files that a service can be configured to use."""

from __future__ import annotations

from pathlib import Path

import trustme


def write_certificate(authority: trustme.CA, folder: Path) -> dict[str, str]:
    """Write a certificate for 127.0.0.1 and its key; return the settings that name them."""
    leaf = authority.issue_cert("127.0.0.1")
    leaf.cert_chain_pems[0].write_to_path(folder / "server.pem")
    key = folder / "server.key"
    leaf.private_key_pem.write_to_path(key)
    key.chmod(0o600)
    return {"tls_certificate": str(folder / "server.pem"), "tls_key": str(key)}
