"""Compiled twins of modules: which exist, whether to use them, and what they were built from.

Owns the list of extension modules with their sources, how these are compiled, and the variable
HPE_COMPILED. An extension is optional: where none is built, the plain module serves and gives the
same results. setup.py loads this file before the package is installed, so it imports the standard
library alone. Reads files and the environment when modules are imported or a core is made; any
thread may call it. Guarantees: an extension never runs beside sources other than those that it was
built from.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal, get_args

VARIABLE: Final = "HPE_COMPILED"
"""0: build and use no extension; 1: fail without; unset or empty: use what can be built."""

STRICT_VARIABLE: Final = "HPE_BUILD_STRICT"
"""1: warnings of the C compiler, and warnings and performance hints of Cython, fail the build."""

SANITIZE_VARIABLE: Final = "HPE_SANITIZE"
"""1: build what reports wrong uses of memory and undefined behavior; see scripts/sanitize. Defined
for the C compiler, every record is an allocation of its own; see hpe/core/compiled/slabs.pxd."""

CORE: Final = "hpe.core.compiled._core"
"""The compiled core."""

CoreName = Literal["python", "compiled"]
CoreChoice = Literal["auto", "python", "compiled"]

CORE_CHOICES: Final[tuple[CoreChoice, ...]] = get_args(CoreChoice)
"""The values of the setting `core`: `auto` takes the compiled core where it is built."""

DIRECTIVES: Final = {
    "language_level": 3,
    "show_performance_hints": True,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "auto_pickle": False,
    "autotestdict": False,  # no attribute for doctests
}
"""Of Cython: what compiles is C with Python's syntax, and the code checks its own bounds."""

OPTIMIZING: Final = ("-O3",)  # what is installed runs on any machine: no -march=native

STRICT_FLAGS: Final = (
    "-Wall", "-Wextra", "-Werror",
    "-Wno-unused-parameter", "-Wno-missing-field-initializers", "-Wno-cast-function-type",
)  # fmt: skip
"""Without three warnings about how extension modules have to be written, whatever is in them."""

_SANITIZERS: Final = ("-fsanitize=address,undefined",)

SANITIZE_FLAGS: Final = (
    "-O1", "-g", "-fno-omit-frame-pointer", f"-D{SANITIZE_VARIABLE}",
    *_SANITIZERS, "-fno-sanitize-recover=all",
    "-fstrict-overflow", "-U_FORTIFY_SOURCE",  # what Python's own flags set hides faults
    "-Wno-error",  # what the sanitizers insert makes gcc warn of what cannot happen
)  # fmt: skip
"""For gcc; what is built needs libasan before all other libraries of the process."""

_PACKAGE: Final = Path(__file__).resolve().parent
_ROOT: Final = _PACKAGE.parent


def _with_folder(module: str, *others: str) -> tuple[str, ...]:
    """Return the source of an extension module, what its folder has for it, and others."""
    beside = (each.relative_to(_PACKAGE) for each in (_PACKAGE / module).parent.iterdir())
    used = sorted(each.as_posix() for each in beside if each.suffix in (".pxd", ".py"))
    return (module, *used, *others)


EXTENSIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "hpe.protocol._frames": ("protocol/_frames.pyx", "protocol/_frames.pxd"),
    CORE: _with_folder("core/compiled/_core.pyx", "protocol/_frames.pxd"),
}
"""Extension modules, and the files they are made of: the first is compiled, and uses the others."""


def wanted(environment: Mapping[str, str]) -> bool | None:
    """Return what HPE_COMPILED says: False for 0, True for 1, None if it leaves the choice.

    Raises:
        ImportError: it says anything else.
    """
    value = environment.get(VARIABLE, "")
    if value not in ("", "0", "1"):
        raise ImportError(f"environment {VARIABLE}: {value!r} is not 0 or 1")
    return value == "1" if value else None


def sanitizing(environment: Mapping[str, str]) -> bool:
    """True if what is built, and what runs, is for the sanitizers."""
    return environment.get(SANITIZE_VARIABLE) == "1"


def compiler_flags(environment: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return what the compiler gets beside the flags of Python, and what the linker gets."""
    strict = STRICT_FLAGS if environment.get(STRICT_VARIABLE) == "1" else ()
    if sanitizing(environment):
        return [*strict, *SANITIZE_FLAGS], [*_SANITIZERS]
    return [*OPTIMIZING, *strict], []


def sources_digest(name: str) -> str:
    """Return the SHA-256 of the sources of an extension, in hexadecimal.

    Raises:
        OSError: one of them cannot be read.
    """
    digest = hashlib.sha256()
    for source in EXTENSIONS[name]:
        content = (_PACKAGE / source).read_bytes()
        digest.update(f"{source} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def missing(name: str) -> str:
    """Return why an extension cannot be used, and what to do about that; "" if it can.

    Raises:
        ImportError: HPE_COMPILED is invalid.
    """
    if wanted(os.environ) is False:
        return f"the environment has {VARIABLE}=0"
    if find_spec(name) is not None:
        return ""
    return (
        f"{name} is not built; install a C compiler and the headers of Python, then run: "
        f"{rebuild_command()}"
    )


def is_used(name: str) -> bool:
    """True if a module has to take its compiled twin, False if it has to take the plain form.

    Raises:
        ImportError: HPE_COMPILED is invalid, or it demands an extension that is not built.
    """
    absent = missing(name)
    if absent and wanted(os.environ):
        raise ImportError(
            f"environment {VARIABLE}: 1 demands the extensions, but {absent}", name=name
        )
    return not absent


def require_sources(name: str, built_from: str) -> None:
    """Refuse to import an extension that was built from other sources: extensions call it first.

    Args:
        name: of the extension.
        built_from: the digest that it carries.

    Raises:
        ImportError: the sources beside it are others, or cannot be read.
    """
    try:
        if sources_digest(name) == built_from:
            return
        found = "the sources beside it have changed since it was built"
    except OSError as error:
        found = f"its sources cannot be read ({error})"
    raise ImportError(
        f"{name}: {found}; rebuild it: {rebuild_command()} (or set {VARIABLE}=0 to run without it)",
        name=name,
    )


def rebuild_command() -> str:
    """Return the command that builds the extensions of this installation again."""
    pip = f"{VARIABLE}=1 {sys.executable} -m pip install"
    if (_ROOT / "setup.py").is_file():
        return f"{pip} -e {_ROOT}"
    return f"{pip} --force-reinstall --no-deps . (in the source tree)"
