"""Builds what shows the parts of the compiled core to Python; the tests alone use it.

A module is built once per folder, whichever process asks first. Warnings of the C compiler and
performance hints of Cython are errors. With HPE_SANITIZE=1, all is built for the sanitizers.

`python -m tests.unit.core.compiled.building FOLDER NAME...` builds before it is asked for.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.machinery
import importlib.util
import io
import os
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from shutil import which
from types import ModuleType
from typing import Final

from Cython.Build import cythonize
from setuptools import Distribution, Extension

from hpe import extensions
from tests.conftest import PROJECT_ROOT

SOURCES: Final = Path(__file__).parent
CORE: Final = PROJECT_ROOT / "hpe" / "core" / "compiled" / "_core.pyx"
MODULES: Final = (
    "_accounts",
    "_answers",
    "_admission",
    "_core",
    "_execution",
    "_feeds",
    "_index",
    "_matching",
    "_outputs",
    "_parts",
    "_places",
    "_records",
    "_registry",
    "_sessions",
    "_treasury",
    "_trading",
    "_triggers",
    "_work",
)
SANITIZED: Final = extensions.SANITIZE_VARIABLE
"""Defined, every record is an allocation of its own; see hpe/core/compiled/slabs.pxd."""

PARTS_VARIABLE: Final = "HPE_PARTS"
"""Names the folder in which builds are kept; without it, each run of the tests has its own."""

FORMS: Final[dict[str, tuple[str, ...]]] = {"slabs": (), "alone": (SANITIZED,)}
if extensions.sanitizing(os.environ):
    del FORMS["slabs"]
"""In which forms the parts are tested: the macros of each."""


def missing() -> str:
    """Return what is missing to build anything, "" if nothing is."""
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    if which(compiler) is None:
        return f"no C compiler ({compiler})"
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        return "no headers of Python"
    return ""


def built_part(name: str, folder: Path, *macros: str) -> ModuleType:
    """Return a module of MODULES, built in a folder with these macros if it was not yet."""
    path = build_part(name, folder, *macros)
    loader = importlib.machinery.ExtensionFileLoader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def build_part(name: str, folder: Path, *macros: str) -> Path:
    """Return the file of a module; see `built_part`."""
    folder.mkdir(exist_ok=True)
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = folder / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
        if not path.exists():
            _build(name, folder, macros)
    return path


def form_folder(folder: Path, *macros: str) -> Path:
    """Return where in a folder the modules with these macros are."""
    return folder / "_".join(("compiled", *macros))


def _build(name: str, folder: Path, macros: Sequence[str]) -> None:
    heard = io.StringIO()
    flags, linker_flags = extensions.compiler_flags(os.environ)
    extension = Extension(
        name,
        [str(CORE if name == CORE.stem else SOURCES / f"{name}.pyx")],
        define_macros=[
            *((macro, None) for macro in macros),
            ("HPE_SOURCES_DIGEST", f'"{extensions.sources_digest(extensions.CORE)}"'),
        ],
        # As strict as setup.py. Each module uses a part of the functions only.
        extra_compile_args=[*extensions.STRICT_FLAGS, *flags, "-O1", "-Wno-unused-function"],
        extra_link_args=linker_flags,
    )
    with contextlib.redirect_stderr(heard):
        (made,) = cythonize(
            [extension],
            build_dir=str(folder / "c"),
            include_path=[str(PROJECT_ROOT)],
            compiler_directives=extensions.DIRECTIVES,
            quiet=True,
        )
    sys.__stderr__.write(heard.getvalue())
    assert "performance hint" not in heard.getvalue()
    assert "warning" not in heard.getvalue()
    command = Distribution({"ext_modules": [made]}).get_command_obj("build_ext")
    command.build_lib, command.build_temp = str(folder), str(folder / "o")
    command.ensure_finalized()
    command.run()


if __name__ == "__main__":
    for each in FORMS.values():
        for part in sys.argv[2:]:
            build_part(part, form_folder(Path(sys.argv[1]), *each), *each)
