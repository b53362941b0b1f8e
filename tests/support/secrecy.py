"""Looks for secrets where none may be: in errors, logs, whatever a process printed.

Pure functions over texts and bytes.
"""

from __future__ import annotations

import base64


def forms_of(secret: bytes) -> list[str]:
    """Return every way in which a text could show a secret; of each both halves count."""
    whole = [
        secret.hex(),
        secret.hex().upper(),
        secret.hex(" "),
        base64.b64encode(secret).decode().rstrip("="),
        base64.urlsafe_b64encode(secret).decode().rstrip("="),
        secret.decode("latin-1"),
        repr(secret)[2:-1],
        ", ".join(map(str, secret)),
    ]
    return [part for text in whole for part in (text[: len(text) // 2], text[len(text) // 2 :])]


def assert_silent(text: str, *secrets: bytes) -> None:
    """Fail when the text shows half of a secret; the failure does not name it."""
    for secret in secrets:
        shown = [form for form in forms_of(secret) if form in text]
        assert not shown, f"a secret is shown in {len(shown)} forms"
