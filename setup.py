"""Build the extension modules; all other facts about the package are in pyproject.toml.

An extension is optional. Without a C compiler, or without the headers of Python, it is skipped.
With both, a build that fails makes the installation fail. In the environment, HPE_COMPILED=0 skips
the extensions, HPE_COMPILED=1 demands them, HPE_BUILD_STRICT=1 turns warnings into errors, and
HPE_SANITIZE=1 builds for the sanitizers (scripts/sanitize).
C files are generated in the build directory, and only there.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Final

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, SetupError

ROOT: Final = Path(__file__).resolve().parent
PROBE: Final = "#include <Python.h>\nint hpe_probe(void) { return PY_MAJOR_VERSION; }\n"

COMPLAINTS: Final = ("warning:", "performance hint:")
"""How Cython's complaints begin, behind the place."""


def _load_extensions() -> ModuleType:
    """Load hpe/extensions.py without the package, whose dependencies a build does not have."""
    spec = importlib.util.spec_from_file_location("extensions", ROOT / "hpe" / "extensions.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


extensions = _load_extensions()


class BuildExtensions(build_ext):
    """Builds every extension, or none where that is not possible or not wanted."""

    def run(self) -> None:
        """Build anew whatever there is: files that are not newer may still be others."""
        self.force = True
        self.built_in_place = bool(self.inplace)
        super().run()

    def build_extensions(self) -> None:
        """Build every extension, if that is wanted and possible."""
        wanted = extensions.wanted(os.environ)
        if wanted is False:
            self._skip(f"{extensions.VARIABLE}=0")
            return
        missing = self._missing()
        if missing and wanted:
            raise SetupError(f"{extensions.VARIABLE}=1 demands the extensions, but {missing}")
        if missing:
            self._skip(missing)
            return
        super().build_extensions()

    def build_extension(self, ext: Extension) -> None:
        """Translate an extension to C, and compile that."""
        from Cython.Build import cythonize

        strict = os.environ.get(extensions.STRICT_VARIABLE) == "1"
        heard = io.StringIO()
        with contextlib.redirect_stderr(heard):
            try:
                (made,) = cythonize(
                    [ext],
                    build_dir=self.build_temp,
                    include_path=[str(ROOT)],
                    compiler_directives=extensions.DIRECTIVES,
                    force=True,
                )
            finally:
                sys.__stderr__.write(heard.getvalue())
        if strict and any(word in heard.getvalue() for word in COMPLAINTS):
            raise CompileError(f"{ext.name}: Cython complained, see above")
        ext.sources = made.sources
        ext.extra_compile_args, ext.extra_link_args = extensions.compiler_flags(os.environ)
        super().build_extension(ext)

    def _missing(self) -> str:
        """Return what is missing for a build, "" if a file of two lines can be compiled."""
        with tempfile.TemporaryDirectory() as folder:
            probe = Path(folder, "probe.c")
            probe.write_text(PROBE)
            try:
                self.compiler.compile([str(probe)], output_dir=folder)
            except CompileError as error:
                return (
                    "no C compiler with the headers of Python was found "
                    f"(on Debian: apt-get install gcc python3-dev): {error}"
                )
        return ""

    def _skip(self, reason: str) -> None:
        """Build nothing, and leave nothing of an earlier build where it would be used."""
        names = ", ".join(ext.name for ext in self.extensions)
        print(f"hpe: skipping the compiled form of {names}: {reason}", file=sys.stderr)
        print("hpe: the plain form gives the same results, and is slower", file=sys.stderr)
        for ext in self.extensions:
            Path(self.get_ext_fullpath(ext.name)).unlink(missing_ok=True)  # a wheel would take it
            if self.built_in_place:
                (ROOT / self.get_ext_filename(ext.name)).unlink(missing_ok=True)
        self.extensions = []


def _extension(name: str, sources: tuple[str, ...]) -> Extension:
    paths = [f"hpe/{source}" for source in sources]
    digest = extensions.sources_digest(name)
    return Extension(
        name, paths[:1], depends=paths[1:], define_macros=[("HPE_SOURCES_DIGEST", f'"{digest}"')]
    )


setup(
    ext_modules=[_extension(*each) for each in extensions.EXTENSIONS.items()],
    cmdclass={"build_ext": BuildExtensions},
)
