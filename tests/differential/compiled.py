"""The compiled core for the child process, built on demand.

The folder of the build is that of the variable HPE_DIFFERENTIAL, else one in the project's build
folder that is named after the sources. Whoever asks first builds.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from hpe.core.contract import Core, Limits
from hpe.extensions import CORE, sources_digest
from tests.conftest import PROJECT_ROOT
from tests.differential.judging import FOLDER_VARIABLE
from tests.unit.core.compiled.building import built_part

_NAMED: Final = PROJECT_ROOT / "build" / "differential" / sources_digest(CORE)[:16]
_folder: Final = Path(os.environ.get(FOLDER_VARIABLE) or _NAMED)
_folder.parent.mkdir(parents=True, exist_ok=True)
_module: Final = built_part("_core", _folder)


def new_core(limits: Limits) -> Core:
    """Return a new compiled core."""
    core: Core = _module.CompiledCore(limits)
    return core
