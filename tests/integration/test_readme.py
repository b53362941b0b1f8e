"""README.md's programs and commands, as a reader would run them, against a real service."""

import os
import re
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import trio

from tests.support.service import running_service

ADDRESS = "127.0.0.1:7070"
HPE = ".venv/bin/hpe "


class Program(NamedTuple):
    """One program of the README, and what it says that it prints."""

    source: str
    printed: str


@pytest.fixture(scope="module")
def readme(project_root: Path) -> str:
    return (project_root / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def programs(readme: str) -> list[Program]:
    found = re.findall(
        r"^```python\n(.*?)^```\n\n```text\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL
    )
    assert len(found) == readme.count("```python\n") == 5
    return [Program(*each) for each in found]


async def run(arguments: list[str], directory: Path, project_root: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(project_root)}
    result = await trio.run_process(
        [sys.executable, *arguments], cwd=directory, env=environment, capture_stdout=True
    )
    return result.stdout.decode()


async def run_program(program: Program, address: str, directory: Path, project_root: Path) -> str:
    assert program.source.count(ADDRESS) == 1
    source = program.source.replace(ADDRESS, address)
    return await run(["-c", source], directory, project_root)


async def test_the_first_programs_print_what_the_readme_says(
    tmp_path: Path, project_root: Path, programs: list[Program]
) -> None:
    with trio.fail_after(120):
        async with running_service(tmp_path) as service:
            first, _, *others, _ = programs
            for program in (first, *others):
                printed = await run_program(program, service.address, tmp_path, project_root)
                assert printed == program.printed


async def test_the_engine_in_a_program_prints_what_the_readme_says(
    tmp_path: Path, project_root: Path, programs: list[Program]
) -> None:
    program = programs[1]
    assert "HighPerformanceEngine" in program.source
    with trio.fail_after(120):
        printed = await run(["-c", program.source], tmp_path, project_root)
    assert printed == program.printed


async def test_keys_and_roles_work_as_the_readme_says(
    tmp_path: Path, project_root: Path, programs: list[Program], readme: str
) -> None:
    commands = re.findall(rf"^{re.escape(HPE)}(.*)$", readme, re.MULTILINE)
    *making, serving = [each.split() for each in commands]
    assert [words[:2] for words in making] == [["keys", "add"]] * 2
    assert serving[:2] == ["serve", "--keys"]
    with trio.fail_after(120):
        for words in making:
            secret = await run(["-m", "hpe", *words], tmp_path, project_root)
            assert secret == "", "it is in the file, and nowhere else"
        async with running_service(tmp_path, keys_file=str(tmp_path / serving[2])) as service:
            printed = await run_program(programs[-1], service.address, tmp_path, project_root)
    assert printed == programs[-1].printed


def test_the_commands_of_the_readme_are_those_of_ci(project_root: Path, readme: str) -> None:
    """What a reader is told to run is what is run before every change."""
    script = (project_root / ".ci" / "run").read_text(encoding="utf-8")
    (commands,) = re.findall(
        r"^scripts/venv -e '\.\[test\]' && \.venv/bin/(.*)$", readme, re.MULTILINE
    )
    program, options = commands.split(" ", 1)
    # It also names the slowest tests, which changes nothing of what is run.
    assert f'tests() {{ "$bin/{program}" {options} --durations=20; }}' in script
    assert "scripts/venv . && .venv/bin/hpe serve" in readme
