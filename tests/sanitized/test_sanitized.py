"""What scripts/sanitize runs beside the tests does what it should, also without the sanitizers."""

from collections import Counter
from types import SimpleNamespace

import pytest

from hpe.core import missing_core
from tests.differential.generating import StreamMaker
from tests.sanitized import planted, sampling
from tests.sanitized.mutants import Mutants
from tests.unit.core.compiled.building import SOURCES


@pytest.mark.skipif(bool(missing_core()), reason="the compiled core is not built")
def test_mutants_reach_what_reads_frames_logs_and_dumps():
    counts = Counter()
    for seed in range(1, 5):
        print(f"seed {seed}")
        Mutants(seed, StreamMaker(seed).run(), counts).play()
    print(counts)
    assert counts["frames"] > 2_000
    assert counts["frames"] // 4 < counts["replies"]
    assert counts["bodies refused"] > counts["bodies"] // 2 > 0
    assert counts["dumps refused"] > counts["dumps"] // 2 > 0


def test_each_fault_has_its_report():
    text = (SOURCES / "_faults.pyx").read_text(encoding="utf-8")
    made = [line[4 : line.index("(")] for line in text.splitlines() if line.startswith("def ")]
    assert made == [*planted.REPORTS]


def test_a_fault_that_nothing_reports_is_missed(tmp_path):
    """This module of the same name has no faults, and one that ends for another reason."""
    quiet = "".join(f"def {name}():\n    pass\n\n\n" for name in planted.REPORTS)
    (tmp_path / "_faults.py").write_text(f"{quiet}def use_after_free():\n    raise MemoryError\n")
    lines = [line for line in planted.missed(tmp_path) if "without the report" in line]
    assert len(lines) == len(planted.REPORTS)
    assert lines[0].startswith("use_after_free: ended with 1")
    assert lines[1].startswith("use_of_a_gone_number: ended with 0")


def test_a_module_that_cannot_be_used_is_no_success(tmp_path):
    assert planted.missed(tmp_path)[0] == "a process without a fault ended with 1"


def test_each_tenth_test_is_left():
    left_out = []
    hook = SimpleNamespace(pytest_deselected=lambda items: left_out.extend(items))
    items = list(range(25))
    sampling.pytest_collection_modifyitems(SimpleNamespace(hook=hook), items)
    assert items == [0, 10, 20]
    assert sorted(items + left_out) == list(range(25))
