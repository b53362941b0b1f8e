"""Which core is made: the compiled one where it is built, else the reference core.

Owns the choice between the cores. Reads the environment, and imports the compiled core when one is
first made; any thread may call it. Guarantees: both cores give the same bytes for the same batches,
so the choice shows in nothing but speed and memory. Relies on hpe/extensions.py, which knows what
is built and what to do about what is not.
"""

from __future__ import annotations

from hpe.core.contract import DEFAULT_LIMITS, Core, Limits
from hpe.core.driver import ReferenceCore
from hpe.errors import ConfigError
from hpe.extensions import CORE, CORE_CHOICES, CoreChoice, is_used, missing


def new_core(
    limits: Limits = DEFAULT_LIMITS, choice: CoreChoice = "auto", *, seed: int = 0
) -> Core:
    """Return a new, empty core.

    Args:
        limits: what the core may hold, and do at once.
        choice: `auto` takes the compiled core where it is built.
        seed: below 2^64, of the compiled core's hash tables. It decides about speed, never about
            results; where others choose keys, it should be one that they cannot know.

    Raises:
        ConfigError: the compiled core is wanted, here or by HPE_COMPILED, and is not built; or it
            was built from other sources.
    """
    if choice not in CORE_CHOICES:
        raise ConfigError(f"core: found {choice!r}; allowed: {', '.join(CORE_CHOICES)}")
    if choice == "python":
        return ReferenceCore(limits)
    absent = missing_core()
    if choice == "compiled" and absent:
        raise ConfigError(f"core: found 'compiled'; allowed: auto, python ({absent})")
    try:
        if not is_used(CORE):
            return ReferenceCore(limits)
        from hpe.core.compiled import _core
    except ImportError as error:
        raise ConfigError(f"core: {error}") from error
    return _core.CompiledCore(limits, seed)


def missing_core() -> str:
    """Return why the compiled core cannot be used, and what to do about that; "" if it can.

    Raises:
        ConfigError: HPE_COMPILED is invalid.
    """
    try:
        return missing(CORE)
    except ImportError as error:
        raise ConfigError(f"core: {error}") from error
