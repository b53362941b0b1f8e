"""The build of the extension modules: with a compiler, without one, and beside other sources."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Final

import pytest

from hpe.extensions import EXTENSIONS
from tests.conftest import PROJECT_ROOT

SOURCE: Final = "hpe/protocol/_frames.pyx"
NAME: Final = "hpe.protocol._frames"
CORE: Final = "hpe.core.compiled._core"
SHOW_CORE: Final = f"from {CORE} import CompiledCore; print(CompiledCore().name)"
SHOW_FORM: Final = "from hpe.protocol import frames; print(frames.scan.__module__)"
HINTED: Final = """

cdef void hinted() nogil:
    pass


def use_hinted():
    with nogil:
        hinted()
"""
RECORDER: Final = """#!/bin/sh
echo "$@" >> "$0.log"
while [ $# -gt 1 ]; do
    if [ "$1" = -o ]; then touch "$2"; fi
    shift
done
"""
"""A compiler that writes down what it is told, and makes empty files."""
WARNED: Final = '''

cdef extern from *:
    """
    static int warned(void) { int left_out; return 0; }
    """
    int warned()


def use_warned():
    return warned()
'''


class Tree:
    """A copy of what the package is built from, and commands that run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        unbuilt = shutil.ignore_patterns("*.so", "__pycache__")
        shutil.copytree(PROJECT_ROOT / "hpe", folder / "hpe", ignore=unbuilt)
        for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(PROJECT_ROOT / name, folder)

    def python(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run Python here, with no variable of hpe's other than the given ones."""
        inherited = {name: text for name, text in os.environ.items() if not name.startswith("HPE_")}
        environment = {**inherited, "PYTHONPATH": str(self.folder), **variables}
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )

    def build(self, **variables: str) -> subprocess.CompletedProcess[str]:
        return self.python("setup.py", "-q", "build_ext", "--inplace", **variables)

    def form(self, **variables: str) -> str:
        """Return the module whose scanner serves."""
        shown = self.python("-c", SHOW_FORM, **variables)
        assert shown.returncode == 0, shown.stderr
        return shown.stdout.strip()

    def refusal(self, **variables: str) -> str:
        """Return the last line of an import that fails."""
        shown = self.python("-c", SHOW_FORM, **variables)
        assert shown.returncode != 0
        return shown.stderr.splitlines()[-1]

    def built(self) -> list[Path]:
        return list((self.folder / "hpe").rglob("*.so"))

    def append(self, text: str) -> None:
        with (self.folder / SOURCE).open("a") as file:
            file.write(text)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.fixture(scope="module")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build an extension; skip the test where none can be compiled."""
    tree = Tree(tmp_path_factory.mktemp("built"))
    found = tree.build(HPE_BUILD_STRICT="1")
    assert found.returncode == 0, found.stderr
    if "skipping the compiled form" in found.stderr:
        # Without a compiler, nothing can be built; setup.py says what is missing.
        pytest.skip(found.stderr.splitlines()[-2])
    assert len(tree.built()) == 2
    return tree.folder


@pytest.fixture
def built(built_once: Path, tree: Tree) -> Tree:
    """A tree with extensions in it that no other test changes."""
    for made in (built_once / "hpe").rglob("*.so"):
        shutil.copy(made, tree.folder / made.relative_to(built_once))
    return tree


def test_without_a_compiler_the_extension_is_skipped(tree: Tree) -> None:
    found = tree.build(CC="/bin/false")
    assert found.returncode == 0, found.stderr
    assert f"hpe: skipping the compiled form of {NAME}, {CORE}: no C compiler" in found.stderr
    assert "apt-get install gcc python3-dev" in found.stderr
    assert not tree.built()
    assert tree.form() == "hpe.protocol.frames"


def test_without_a_compiler_a_demanded_extension_fails_the_build(tree: Tree) -> None:
    found = tree.build(CC="/bin/false", HPE_COMPILED="1")
    assert found.returncode != 0
    assert "HPE_COMPILED=1 demands the extensions, but no C compiler" in found.stderr


def test_a_demanded_extension_that_is_not_built_is_missed(tree: Tree) -> None:
    refusal = tree.refusal(HPE_COMPILED="1")
    assert f"HPE_COMPILED: 1 demands the extensions, but {NAME} is not built" in refusal
    assert refusal.endswith(f"run: HPE_COMPILED=1 {sys.executable} -m pip install -e {tree.folder}")


def test_a_value_that_says_nothing_is_refused(tree: Tree) -> None:
    assert tree.refusal(HPE_COMPILED="no").endswith("HPE_COMPILED: 'no' is not 0 or 1")
    assert "HPE_COMPILED: 'no' is not 0 or 1" in tree.build(HPE_COMPILED="no").stderr


@pytest.mark.usefixtures("built_once")
def test_a_build_that_fails_is_no_missing_compiler(tree: Tree) -> None:
    tree.append(
        "\n\ncdef extern from *:\n    int nowhere()\n\n\ndef use():\n    return nowhere()\n"
    )
    found = tree.build(CFLAGS="-Werror=implicit-function-declaration")
    assert found.returncode != 0
    assert "nowhere" in found.stderr
    assert tree.build(HPE_COMPILED="0").returncode == 0
    assert not tree.built()


@pytest.mark.usefixtures("built_once")
@pytest.mark.parametrize(
    ("text", "complaint"),
    [(HINTED, "performance hint"), (WARNED, "left_out")],
    ids=["hint", "warning"],
)
def test_hints_and_warnings_fail_a_strict_build(tree: Tree, text: str, complaint: str) -> None:
    tree.append(text)
    found = tree.build(HPE_BUILD_STRICT="1")
    assert found.returncode != 0
    assert complaint in found.stderr
    assert not tree.built()


@pytest.mark.parametrize("sanitize", ["0", "1"])
def test_the_sanitizers_are_there_when_they_are_asked_for(tree: Tree, sanitize: str) -> None:
    recorder = tree.folder / "recorder"
    recorder.write_text(RECORDER)
    recorder.chmod(0o755)
    found = tree.build(CC=str(recorder), HPE_SANITIZE=sanitize)
    assert found.returncode == 0, found.stderr
    commands = recorder.with_suffix(".log").read_text().splitlines()
    made = [command.split() for command in commands if f"{Path(SOURCE).stem}." in command]
    assert len(made) == 2, "compiled and linked"
    for command in made:
        assert ("-fsanitize=address,undefined" in command) == (sanitize == "1")
    compiled = made[0]
    optimized = [each for each in compiled if re.fullmatch("-O.", each)]
    assert optimized[-1] == ("-O1" if sanitize == "1" else "-O3")
    assert ("-DHPE_SANITIZE" in compiled) == (sanitize == "1")


def test_what_is_built_serves_unless_told_otherwise(built: Tree) -> None:
    assert built.form() == built.form(HPE_COMPILED="1") == built.form(HPE_COMPILED="") == NAME
    assert built.form(HPE_COMPILED="0") == "hpe.protocol.frames"


def test_generated_files_are_in_the_build_directory_alone(built_once: Path) -> None:
    made = {path.relative_to(built_once) for path in built_once.rglob("*.c*")}
    made = {path for path in made if re.fullmatch(r"\.(c|cpp|html)", path.suffix)}
    assert made
    assert {path.parts[0] for path in made} == {"build"}


@pytest.mark.parametrize("source", [SOURCE, "hpe/protocol/_frames.pxd"])
def test_an_extension_of_other_sources_is_refused(built: Tree, source: str) -> None:
    with (built.folder / source).open("a") as file:
        file.write("# changed\n")
    refusal = built.refusal()
    assert f"{NAME}: the sources beside it have changed since it was built" in refusal
    assert f"HPE_COMPILED=1 {sys.executable} -m pip install -e {built.folder}" in refusal
    assert built.form(HPE_COMPILED="0") == "hpe.protocol.frames"
    (built.folder / source).unlink()
    assert "its sources cannot be read" in built.refusal()


@pytest.mark.parametrize("source", ["_core.pyx", "slabs.pxd", "tables.py"])
def test_a_core_of_other_sources_is_refused(built: Tree, source: str) -> None:
    assert built.python("-c", SHOW_CORE).stdout == "compiled\n"
    path = built.folder / "hpe" / "core" / "compiled" / source
    path.write_text(f"{path.read_text()}# changed\n")
    shown = built.python("-c", SHOW_CORE)
    assert f"{CORE}: the sources beside it have changed since it was built" in shown.stderr
    assert shown.returncode != 0


def test_skipping_leaves_no_older_extension_in_place(built: Tree) -> None:
    assert built.build(CC="/bin/false").returncode == 0
    assert not built.built()
    assert built.form() == "hpe.protocol.frames"


def test_skipping_leaves_no_older_extension_for_a_wheel(built: Tree) -> None:
    made = built.built()
    earlier = [built.folder / "made" / path.relative_to(built.folder) for path in made]
    for path, place in zip(made, earlier, strict=True):
        place.parent.mkdir(parents=True)
        shutil.copy(path, place)
    found = built.python("setup.py", "-q", "build", "--build-lib", "made", CC="/bin/false")
    assert found.returncode == 0, found.stderr
    assert (built.folder / "made" / "hpe" / "protocol" / "frames.py").exists()
    assert len(earlier) == 2
    assert not [place for place in earlier if place.exists()]


def test_a_source_distribution_has_sources_and_nothing_generated(built: Tree) -> None:
    found = built.python("setup.py", "-q", "sdist", "-d", "made")
    assert found.returncode == 0, found.stderr
    (path,) = (built.folder / "made").iterdir()
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    sources = {f"hpe/{each}" for name in (NAME, CORE) for each in EXTENSIONS[name]}
    stubs = {f"{name.replace('.', '/')}.pyi" for name in (NAME, CORE)}
    assert sources | stubs | {"setup.py", "hpe/extensions.py", "hpe/py.typed"} <= names
    assert not [name for name in names if name.endswith((".c", ".cpp", ".so", ".o"))]
