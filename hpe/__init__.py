"""hpe: a durable, deterministic spot exchange engine.

The public names are loaded on first use: a tool that only replays a log (hpe verify) or a test of
the core needs no Trio, and `import hpe.core` must not load the whole service.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from hpe.version import __version__

if TYPE_CHECKING:
    from hpe import errors as errors
    from hpe.access.keys import Key as Key
    from hpe.client import connect as connect
    from hpe.client import connect_sync as connect_sync
    from hpe.config.settings import Config as Config
    from hpe.engine import HighPerformanceEngine as HighPerformanceEngine

_HOMES: Final = {
    "Config": "hpe.config.settings",
    "HighPerformanceEngine": "hpe.engine",
    "Key": "hpe.access.keys",
    "connect": "hpe.client",
    "connect_sync": "hpe.client",
}

__all__ = [
    "Config",
    "HighPerformanceEngine",
    "Key",
    "__version__",
    "connect",
    "connect_sync",
    "errors",
]


def __getattr__(name: str) -> object:
    """Load a public name from its module (PEP 562)."""
    if name == "errors":
        return import_module("hpe.errors")
    if name not in _HOMES:
        raise AttributeError(f"module 'hpe' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
