"""What the modules of hpe/protocol define, to hold documents and the registry against all of it.

Pure; walks the package, so that a module that is added is held as well.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import hpe.protocol

_NO_FACTS = {"admission", "export", "frames", "scale", "vectors"}
"""How frames are walked and classified, a rule that stands in no table, and what is made of the
facts."""


def facts() -> dict[str, Any]:
    """Return every public name of the wire with its value."""
    found: dict[str, Any] = {}
    for module in pkgutil.iter_modules(hpe.protocol.__path__, "hpe.protocol."):
        if module.name.rpartition(".")[2] not in _NO_FACTS:
            found |= vars(importlib.import_module(module.name))
    return {name: value for name, value in found.items() if not name.startswith("_")}
