"""The house rules that a machine can check, over the whole tree."""

import ast
import importlib
import re
import tomllib
from pathlib import Path

import pytest

from hpe import extensions
from tests.conftest import PROJECT_ROOT

MODULE_LINES_MAX = 450
FUNCTION_LINES_MAX = 60
IGNORED_FOLDERS = {".git", "build", "dist", "__pycache__"}
COMPILED_SUFFIXES = {".pyx", ".pxd"}
TEXT_SUFFIXES = {".py", ".pyi", ".md", ".toml"} | COMPILED_SUFFIXES
SCRIPT_FOLDERS = {".ci", "scripts"}


def is_source(path: Path) -> bool:
    parts = path.relative_to(PROJECT_ROOT).parts
    hidden = any(part.startswith(".") and part != ".ci" for part in parts)
    installed = any((parent / "pyvenv.cfg").exists() for parent in path.parents)
    return not hidden and not installed and not IGNORED_FOLDERS & set(parts)


TEXTS = sorted(
    path
    for path in PROJECT_ROOT.rglob("*")
    if path.is_file()
    and (path.suffix in TEXT_SUFFIXES or path.parent.name in SCRIPT_FOLDERS)
    and is_source(path)
)
MODULES = [path for path in TEXTS if path.suffix == ".py"]
COMPILED = [path for path in TEXTS if path.suffix in COMPILED_SUFFIXES]
PACKAGE = [path for path in MODULES if path.is_relative_to(PROJECT_ROOT / "hpe")]
CODE_FOLDERS = ("hpe", "tests", "bench", "examples", "scripts")
CODE = [path for path in MODULES if path.relative_to(PROJECT_ROOT).parts[0] in CODE_FOLDERS]
STATE_MACHINE = [path for path in PACKAGE if path.is_relative_to(PROJECT_ROOT / "hpe" / "core")]

each_module = pytest.mark.parametrize(
    "path", MODULES, ids=lambda path: str(path.relative_to(PROJECT_ROOT))
)
each_compiled_module = pytest.mark.parametrize("path", COMPILED, ids=lambda path: path.name)
each_state_module = pytest.mark.parametrize("path", STATE_MACHINE, ids=lambda path: path.stem)


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported_modules(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def test_the_walk_finds_the_tree():
    names = {str(path.relative_to(PROJECT_ROOT)) for path in TEXTS}
    assert {
        "hpe/protocol/registry.py",
        "hpe/protocol/_frames.pxd",
        "protocol.md",
        "pyproject.toml",
        ".ci/run",
        "scripts/venv",
    } <= names
    assert len(STATE_MACHINE) > 3
    folders = {path.relative_to(PROJECT_ROOT).parts[0] for path in CODE}
    assert {"hpe", "tests", "bench", "examples"} <= folders


@each_module
def test_a_module_says_what_it_is_and_stays_small(path):
    text = path.read_text(encoding="utf-8")
    if not text.strip():
        assert path.name == "__init__.py"
        assert not path.is_relative_to(PROJECT_ROOT / "hpe")
        return
    assert ast.get_docstring(tree_of(path)), "no module docstring"
    assert len(text.splitlines()) <= MODULE_LINES_MAX


@each_module
def test_functions_fit_a_screen(path):
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= FUNCTION_LINES_MAX, f"{node.name} has {lines} lines"


DOCSTRING = re.compile(r'\A"""(.+?)"""', re.DOTALL)
"""Of Cython's files, which no parser of Python reads."""


def compiled_functions(text: str) -> dict[str, int]:
    """Return how many lines the functions of a Cython module have."""
    starts = re.compile(r"(?:cdef|cpdef|def)\b[^=]*?(\w+)\((?!.*\bstruct\b)")
    found: dict[str, int] = {}
    name = ""
    for line in text.splitlines():
        begins = starts.match(line)
        if begins:
            name = begins[1]
        elif line and not line[0].isspace() and line[0] != ")":
            name = ""
        if name and line:
            found[name] = found.get(name, 0) + 1
    return found


@each_compiled_module
def test_a_compiled_module_keeps_to_the_same_sizes(path):
    text = path.read_text(encoding="utf-8")
    assert DOCSTRING.match(text), "no module docstring"
    assert len(text.splitlines()) <= MODULE_LINES_MAX
    functions = compiled_functions(text)
    assert functions or "cdef extern from *" in text or "nogil" not in text
    assert max(functions.values(), default=0) <= FUNCTION_LINES_MAX, functions


def test_functions_of_compiled_modules_are_found():
    text = (
        "cdef struct Head:\n    int kind\n\ncdef int size = f(1)\n\n"
        "cdef inline bint find(\n    const int* at,\n) noexcept nogil:\n    return 1\n\n"
        "def scan(bytes buffer):\n    pass\n\n    return 2\n\nLAST = 1\n"
    )
    assert compiled_functions(text) == {"find": 4, "scan": 3}


def test_every_extension_lists_its_sources():
    listed = {source for sources in extensions.EXTENSIONS.values() for source in sources}
    names = {path.relative_to(PROJECT_ROOT).as_posix() for path in COMPILED}
    written = {f"hpe/{source}" for source in listed if Path(source).suffix in COMPILED_SUFFIXES}
    assert written == {name for name in names if not name.startswith("tests/")}
    for name, sources in extensions.EXTENSIONS.items():
        assert sources[0] == name.removeprefix("hpe.").replace(".", "/") + ".pyx"


def included_modules(text: str) -> set[str]:
    """Return the modules of hpe that a Cython file takes declarations from."""
    found = set()
    for package, names in re.findall(
        r"^from (hpe\.\S+) cimport (\([^)]*\)|.*)", text, re.MULTILINE
    ):
        if (PROJECT_ROOT / package.replace(".", "/")).is_dir():
            found |= {f"{package}.{name}" for name in re.findall(r"(\w+)(?: as \w+)?", names)}
        else:
            found.add(package)
    return found


@pytest.mark.parametrize("name", extensions.EXTENSIONS)
def test_an_extension_includes_only_what_it_lists(name):
    sources = extensions.EXTENSIONS[name]
    included = set()
    for source in sources:
        if Path(source).suffix in COMPILED_SUFFIXES:
            included |= included_modules((PROJECT_ROOT / "hpe" / source).read_text("utf-8"))
    assert {f"{module.removeprefix('hpe.').replace('.', '/')}.pxd" for module in included} <= set(
        sources
    )


def test_what_a_cython_file_includes_is_found():
    text = (
        "from hpe.core.compiled cimport (\n    buffers,\n    codes,\n)\n"
        "from hpe.core.compiled cimport slabs as kept\n"
        "from hpe.core.compiled.wide cimport product\nfrom hpe.core.codec import encode\n"
        "from libc.string cimport memset\n"
    )
    assert included_modules(text) == {
        f"hpe.core.compiled.{name}" for name in ("buffers", "codes", "slabs", "wide")
    }


def body_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.stmt]:
    """Return the statements of a function behind its docstring."""
    return function.body[1:] if ast.get_docstring(function) else function.body


def standing_twice(trees, is_meant):
    """Return where functions with the same body stand, of those that are meant."""
    found: dict[str, list[str]] = {}
    for place, tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and is_meant(node):
                text = "\n".join(map(ast.dump, body_of(node)))
                found.setdefault(text, []).append(f"{place}: {node.name}")
    return [places for places in found.values() if len(places) > 1]


def trees_of(paths):
    return [(path.relative_to(PROJECT_ROOT), tree_of(path)) for path in paths]


def is_long_fixture(function):
    """True if a fixture has several statements, those within a `with` included."""
    nodes = [node for part in body_of(function) for node in ast.walk(part)]
    is_fixture = any("pytest.fixture" in ast.unparse(each) for each in function.decorator_list)
    return is_fixture and sum(isinstance(node, ast.stmt) for node in nodes) > 1


def test_no_function_stands_twice():
    """What is to be mended is in one place. Of one statement alone there may be several."""
    assert not standing_twice(trees_of(PACKAGE), lambda function: len(body_of(function)) > 1)


def test_no_fixture_stands_twice():
    """What several modules of tests begin with is in a conftest.py of theirs."""
    assert not standing_twice(trees_of(CODE), is_long_fixture)


def test_a_fixture_that_stands_twice_is_found():
    body = "    with opened(path) as log:\n        yield log\n"
    one = "@pytest.fixture(scope='module')\ndef one(path):\n" + body
    other = "@pytest.fixture\ndef other(path):\n    'With a docstring.'\n" + body
    trees = [(name, ast.parse(text)) for name, text in (("a", one), ("b", other))]
    assert standing_twice(trees, is_long_fixture) == [["a: one", "b: other"]]


def test_no_two_classes_have_one_name():
    """One word, one meaning: also where the two never meet."""
    found: dict[str, list[str]] = {}
    for path in CODE:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(str(path.relative_to(PROJECT_ROOT)))
    assert not {name: places for name, places in found.items() if len(places) > 1}


REASON = r"[^#]*  ?(- |# )\w.*"
"""Beside what is ignored: behind a dash, or as another comment."""


def test_whatever_a_tool_is_told_to_ignore_has_a_reason():
    bare = []
    for path in MODULES:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for mark in ("# no" + "qa", "# type: " + "ignore"):
                _, found, behind = line.partition(mark)
                if found and not re.fullmatch(REASON, behind):
                    bare.append(f"{path.relative_to(PROJECT_ROOT)}:{number}: {line.strip()}")
    assert not bare


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(PROJECT_ROOT)))
def test_nothing_unfinished_and_no_path_of_one_machine(path):
    text = path.read_text(encoding="utf-8")
    for word in ("TO" + "DO", "FIX" + "ME", "X" + "XX"):
        assert not re.search(rf"\b{word}\b", text), word
    for root in ("work", "home", "root", "Users", "tmp"):
        found = re.search(rf"(?<![\w.~-])/{root}/\w+", text)
        assert found is None, found


BRITISH = re.compile(
    r"\b\w*(behaviour|colour|favour|honour|labour|neighbour|judgement|whilst|amongst|learnt"
    r"|(synchron|organ|recogn|initial|normal|serial|optim|minim|maxim|author|summar|util)is"
    r"(e|es|ed|ing|ation|ations))\w*",
    re.IGNORECASE,
)


def test_words_are_spelled_as_americans_do():
    found = [
        f"{path.relative_to(PROJECT_ROOT)}: {match[0]}"
        for path in TEXTS
        for match in BRITISH.finditer(path.read_text(encoding="utf-8"))
        if path.name != "test_tidy.py"
    ]
    assert not found


@each_state_module
def test_the_state_machine_sees_no_clock_chance_or_system(path):
    forbidden = {"time", "random", "os", "datetime", "secrets", "uuid", "threading", "trio"}
    roots = {name.partition(".")[0] for name in imported_modules(tree_of(path))}
    assert not roots & forbidden


@each_state_module
def test_the_state_machine_has_no_floats(path):
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Constant):
            assert not isinstance(node.value, float), f"line {node.lineno}"
        if isinstance(node, ast.Div):
            raise AssertionError("true division makes floats")
        if isinstance(node, ast.Name):
            assert node.id != "float", f"line {node.lineno}"


@each_state_module
def test_the_state_machine_iterates_no_sets(path):
    """The order of a set of strings changes with the hash seed, and with it the output."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.For | ast.comprehension):
            assert not isinstance(node.iter, ast.Set | ast.SetComp)
            if isinstance(node.iter, ast.Call) and isinstance(node.iter.func, ast.Name):
                assert node.iter.func.id not in ("set", "frozenset")


def test_public_names_exist():
    package = importlib.import_module("hpe")
    assert package.__all__
    assert len(set(package.__all__)) == len(package.__all__)
    for name in package.__all__:
        assert hasattr(package, name), name


def test_every_module_can_be_imported_alone():
    for path in PACKAGE:
        parts = path.relative_to(PROJECT_ROOT).with_suffix("").parts
        if parts[-1] == "__main__":
            continue
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        assert importlib.import_module(name).__doc__ is not None, name


def test_the_architecture_names_modules_that_exist():
    text = (PROJECT_ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:\w+/)*\w+\.py\b", text))
    assert len(named) > 30
    for name in sorted(named):
        assert (PROJECT_ROOT / "hpe" / name.removeprefix("hpe/")).is_file(), name


@pytest.mark.parametrize(
    "path", [path for path in TEXTS if path.suffix == ".md"], ids=lambda path: path.name
)
def test_documents_name_files_where_they_are(path):
    """By their path from the project's root, or from hpe/."""
    for name in re.findall(r"(?<![\w/.-])(?:\w+/)+\w+\.py\b", path.read_text(encoding="utf-8")):
        assert (PROJECT_ROOT / name).is_file() or (PROJECT_ROOT / "hpe" / name).is_file(), name


@pytest.mark.parametrize(
    "path", [path for path in TEXTS if path.suffix == ".md"], ids=lambda path: path.name
)
def test_links_between_documents_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def test_decisions_are_numbered_without_gaps():
    """A number names one decision, in the file's name and in its title."""
    paths = sorted((PROJECT_ROOT / "docs" / "decisions").iterdir())
    numbers = [f"{number:04}" for number in range(1, len(paths) + 1)]
    assert [path.name[:5] for path in paths] == [f"{number}-" for number in numbers]
    titles = [path.read_text(encoding="utf-8").partition("\n")[0] for path in paths]
    assert [title[:8] for title in titles] == [f"# {number}: " for number in numbers]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(PROJECT_ROOT)))
def test_tests_that_are_named_exist(path):
    for name in re.findall(r"(?<![\w/])tests/[\w/]+\.py\b", path.read_text(encoding="utf-8")):
        assert (PROJECT_ROOT / name).is_file(), name


def test_the_distribution_is_not_called_like_a_strangers_package():
    """`hpe` on PyPI is another project: who installs that name runs their code."""
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    assert project["name"] == "hpe-exchange"
    assert [*project["scripts"]] == ["hpe"]
    for path in TEXTS:
        found = re.search(r"install\b[^\n]*[ '\"]hpe(?![-/\w])", path.read_text(encoding="utf-8"))
        assert found is None or path.name == "test_tidy.py", (path, found)


FIRST_OF_LOCALS = {
    ("hpe/core/trading/disconnects.py", "theirs"): "of OrderIndex.by_session",
    ("hpe/net/limits/credits.py", "waiting"): "one of the pool's two lines",
    ("hpe/client/explaining.py", "found"): "was made just now, and is dropped",
}
"""Variables of which the first entry is taken, and what they are."""


@pytest.mark.parametrize("path", sorted(PROJECT_ROOT.glob("hpe/**/*.py")), ids=lambda p: p.stem)
def test_the_first_of_many_is_taken_from_an_ordered_dict(path):
    """A dict walks over all that was taken from its front before."""
    text, name = path.read_text(encoding="utf-8"), str(path.relative_to(PROJECT_ROOT))
    for of_self, taken in re.findall(r"next\(iter\((self\.)?(\w+)", text):
        if of_self:
            assert f"self.{taken}: OrderedDict[" in text
        else:
            assert (name, taken) in FIRST_OF_LOCALS
