"""Reads protocol.md: sections, tables and examples as data.

Pure functions over the text; used by the tests that hold the document against the code.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

Row = dict[str, str]


class Example(NamedTuple):
    """One example: the value as written, and the bytes of its frame."""

    value: str
    frame: bytes


class MessageSection(NamedTuple):
    """One message section: `direction` is request, reply or report.

    `under` is the section that it stands in, `like` the reply whose table is its own too.
    """

    direction: str
    type_number: int
    name: str
    under: str
    like: str
    rows: list[Row]
    examples: list[Example]


_POWER = re.compile(r"2\^(\d+)(-\d+)?")
_LIKE = re.compile(r"Fields as in reply (\d+ `\w+`)")
_HEADING = re.compile(r"(Request|Reply|Report) (\d+) `(\w+)`")
_FENCE = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEX = re.compile(r"[0-9a-f]{2}( [0-9a-f]{2})*")


def sections(text: str) -> dict[str, str]:
    """Return the text under every heading, by the heading."""
    found: dict[str, str] = {}
    parts = re.split(r"^#+ (.+)$", text, flags=re.MULTILINE)
    for heading, body in zip(parts[1::2], parts[2::2], strict=True):
        assert heading not in found, f"two sections are called {heading}"
        found[heading] = body
    return found


def tables(text: str) -> list[list[Row]]:
    """Return every table of a section: rows by column name."""
    found: list[list[Row]] = []
    lines = [*text.splitlines(), ""]
    at = 0
    while at < len(lines):
        if not lines[at].startswith("|"):
            at += 1
            continue
        columns = _cells(lines[at])
        assert re.fullmatch(r"(\|-+)+\|", lines[at + 1]), f"no rule under {lines[at]}"
        at += 2
        rows = []
        while lines[at].startswith("|"):
            rows.append(dict(zip(columns, _cells(lines[at]), strict=True)))
            at += 1
        found.append(rows)
    return found


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def table(text: str, *columns: str) -> list[Row]:
    """Return the only table of a section that has these columns."""
    (found,) = [rows for rows in tables(text) if rows and list(rows[0]) == list(columns)]
    return found


def messages(text: str) -> list[MessageSection]:
    """Return every message section, in the order of the document."""
    found = []
    under = ""
    tops = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
    for heading, body in sections(text).items():
        if heading in tops:
            under = heading
        match = _HEADING.fullmatch(heading)
        if match is None:
            continue
        like = _LIKE.search(body)
        found.append(
            MessageSection(
                match[1].lower(),
                int(match[2]),
                match[3],
                under,
                like[1] if like else "",
                numbered_rows(body),
                examples(body),
            )
        )
    return found


def numbered_rows(text: str) -> list[Row]:
    """Return the rows of a section's table of fields; none when it has no such table."""
    numbered = [rows for rows in tables(text) if rows and "#" in rows[0]]
    assert len(numbered) <= 1
    return numbered[0] if numbered else []


def examples(text: str) -> list[Example]:
    """Return the examples of a section, of which there is at least one."""
    found = []
    for block in _FENCE.findall(text):
        lines = block.splitlines()
        hex_lines = [line for line in lines if _HEX.fullmatch(line)]
        value = " ".join(line for line in lines if line not in hex_lines)
        found.append(Example(value, bytes.fromhex("".join(hex_lines))))
    assert found
    return found


def snake(name: str) -> str:
    """Return the name that the document has for a class."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def number(text: str) -> int:
    """Read an integer, or one of the powers of two that limits are made of."""
    power = _POWER.fullmatch(text)
    return 2 ** int(power[1]) + int(power[2] or 0) if power else int(text)


def notation(value: Any) -> str:
    """Write a decoded value as the examples do."""
    match value:
        case None:
            return "nil"
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case bytes():
            return f"h'{value.hex()}'"
        case list():
            return f"[{', '.join(map(notation, value))}]"
        case dict():
            return f"{{{', '.join(f'{notation(k)}: {notation(v)}' for k, v in value.items())}}}"
        case _:
            return str(value)
