"""The meter of effort, and that the document lists all charges."""

import re

from hpe.core.context import effort
from hpe.core.context.effort import Effort
from tests.conftest import PROJECT_ROOT


def charges():
    """Return what the module charges, by name."""
    return {name: value for name, value in vars(effort).items() if name.isupper()}


def test_the_document_has_every_charge_and_no_other():
    text = (PROJECT_ROOT / "protocol.md").read_text(encoding="utf-8")
    section = text.split("\n### Effort\n")[1].split("\n### ")[0]
    rows = re.findall(r"^\| `([A-Z_]+)` \| (\d+) \|", section, re.MULTILINE)
    assert {(name, int(value)) for name, value in rows} == {*charges().items()}
    assert len(rows) == len(charges()) + 1, "ROW is in both tables"


def test_commands_queries_and_refusals_are_counted_apart():
    meter = Effort()
    meter.charge(effort.CONTINUE, 2)
    meter.charge(effort.FILL)
    meter.ask(effort.ROW, 5)
    meter.waste(effort.ROW, 3)
    assert (meter.spent, meter.asked, meter.wasted) == (17, 5, 3)
    meter.begin()
    assert (meter.spent, meter.asked, meter.wasted) == (0, 0, 0)
