"""The compiled core for the child process: built on demand where the package has none built.

The folder of the build is that of the variable HPE_DIFFERENTIAL, else one in the project's build
folder. Whoever asks first builds; sources that changed since need another folder.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from hpe.core.contract import Core, Limits
from tests.conftest import PROJECT_ROOT
from tests.unit.core.compiled.building import built_part

VARIABLE: Final = "HPE_DIFFERENTIAL"
_folder: Final = Path(os.environ.get(VARIABLE) or PROJECT_ROOT / "build" / "differential")
_folder.parent.mkdir(parents=True, exist_ok=True)
_module: Final = built_part("_core", _folder)


def new_core(limits: Limits) -> Core:
    """Return a new compiled core."""
    core: Core = _module.CompiledCore(limits)
    return core
