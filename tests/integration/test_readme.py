"""README.md's first order, as a reader would run it, against a real service."""

import re
import sys

import trio

from tests.support.service import running_service


async def test_the_first_order_prints_what_the_readme_says(tmp_path, project_root):
    text = (project_root / "README.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (expected,) = re.findall(r"^```text\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    address = "127.0.0.1:7070"
    assert program.count(address) == 1
    with trio.fail_after(20):
        async with running_service(tmp_path) as service:
            result = await trio.run_process(
                [sys.executable, "-c", program.replace(address, service.address)],
                cwd=project_root,
                capture_stdout=True,
            )
    assert result.stdout.decode() == expected


def test_the_commands_of_the_readme_are_those_of_ci(project_root):
    """What a reader is told to run is what is run before every change."""
    text = (project_root / "README.md").read_text(encoding="utf-8")
    script = (project_root / ".ci" / "run").read_text(encoding="utf-8")
    (commands,) = re.findall(
        r"^scripts/venv -e '\.\[test\]' && \.venv/bin/(.*)$", text, re.MULTILINE
    )
    assert f'tests() {{ "$bin/{commands}"; }}' in script
    assert "scripts/venv . && .venv/bin/hpe serve" in text
