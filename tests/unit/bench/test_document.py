"""The document of the figures: what is written between the markers, and the pictures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import document
from bench.picture import Bar, Curve, bars, curves

MACHINE = {"cpu": "A CPU", "cpus_usable": 2, "kernel": "6.1", "python": "3.11"}
SVG = "{http://www.w3.org/2000/svg}"


def spread(median: float) -> dict[str, float]:
    return {"median": median, "low": median / 2, "high": median * 2}


def step(**result: Any) -> dict[str, Any]:
    return {
        "command": "python bench/x.py",
        "date": "2026-12-02",
        "result": {"machine": MACHINE, **result},
    }


def load_run(doubts: list[str]) -> dict[str, Any]:
    shares = {"generator_cpu_share": 0.25, "server_cpu_share": 0.75}
    return {**shares, "null_server_per_s": 9_000.0, "doubts": doubts}


def redis_runs(*rates: tuple[str, float]) -> list[dict[str, Any]]:
    shares = {"generator_share": 0.1, "server_share": 0.2}
    return [{"driver": driver, "rate": rate, **shares} for driver, rate in rates]


SHAPES = step(
    load={
        "1 x 64": {
            "hpe_per_s": spread(2_000),
            "redis_per_s": spread(4_000),
            "ratio": spread(0.5),
            "runs": [load_run([]), load_run(["THE GENERATOR WAS THE LIMIT"])],
            "redis_runs": [
                redis_runs(("own generator", 4_000.0), ("redis-benchmark", 3_000.0)),
                redis_runs(("redis-benchmark", 4_100.0), ("own generator", 3_000.0)),
            ],
        }
    }
)


def test_a_step_without_a_result_has_no_section() -> None:
    text, pictures = document.render({"shapes": SHAPES})
    assert re.findall("### (.*)", text) == ["The service beside redis-server"]
    assert list(pictures) == ["performance-shapes.svg"]
    assert "`python bench/x.py`, 2026-12-02, 2 usable CPUs, A CPU, Linux 6.1" in text


def test_a_shape_is_shown_with_its_shares_and_doubts() -> None:
    text, pictures = document.render({"shapes": SHAPES})
    assert (
        "| 1 x 64 | 2,000 (1,000 to 4,000) | 25%, 75% | 4,000 (2,000 to 8,000) | 10%, 20% "
        "| own generator or redis-benchmark | 9,000 | 0.50 (0.25 to 1.00) | 1 of 2 |"
    ) in text
    assert "0.50" in pictures["performance-shapes.svg"]


def test_what_could_not_be_measured_is_said() -> None:
    text, pictures = document.render(
        {"shapes": step(load=None), "peers": step(peers={}, skipped=["a-package 1.0"])}
    )
    assert "redis-server was not installed." in text
    assert "a-package 1.0 could not be installed." in text
    assert not pictures


def test_only_what_is_between_the_markers_changes(tmp_path: Path) -> None:
    path = tmp_path / "performance.md"
    path.write_text(f"before\n{document.BEGIN}\nold\n{document.END}\nafter\n")
    for _ in range(2):
        document.write(path, {"shapes": SHAPES})
        text = path.read_text()
        assert text.startswith(f"before\n{document.BEGIN}\n\n### The service")
        assert text.endswith(f"\n{document.END}\nafter\n")
        assert "old" not in text
        assert text.count("1 x 64") == 1
    assert (tmp_path / "performance-shapes.svg").read_text().startswith("<svg")


def test_a_document_without_markers_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "performance.md"
    path.write_text("text")
    with pytest.raises(SystemExit, match="does not have the lines"):
        document.write(path, {"shapes": SHAPES})
    assert path.read_text() == "text"


positive = st.floats(0.001, 1e6)
labels = st.text(st.characters(min_codepoint=32, exclude_characters="\ufffe\uffff"))  # not in XML


@given(
    rows=st.lists(
        st.builds(Bar, labels, positive, positive, positive),
        min_size=1,
        max_size=9,
    )
)
def test_bars_stay_inside_their_picture(rows: list[Bar]) -> None:
    picture = ElementTree.fromstring(bars("title", rows))
    width, height = map(float, picture.attrib["viewBox"].split()[2:])
    found = picture.findall(f"{SVG}rect")
    assert len(found) == len(rows)
    for bar in found:
        x, y, wide, high = (float(bar.attrib[name]) for name in ("x", "y", "width", "height"))
        assert x >= 0
        assert y >= 0
        assert x + wide <= width
        assert y + high <= height


def test_a_longer_bar_is_a_larger_ratio() -> None:
    rows = [Bar("a", 2, 2, 2), Bar("b", 5, 5, 5), Bar("c", 0.5, 0.5, 0.5)]
    found = ElementTree.fromstring(bars("title", rows)).findall(f"{SVG}rect")
    two, five, half = (
        (float(bar.attrib["x"]), float(bar.attrib["x"]) + float(bar.attrib["width"]))
        for bar in found
    )
    assert two[0] == five[0] == pytest.approx(half[1], abs=0.2)  # all begin at 1
    assert five[1] > two[1] > half[0]


def test_a_curve_rises_with_its_values() -> None:
    text = curves("title", ("p50", "p99", "max"), [Curve("a", (1.0, 10.0, 50.0))], "ms")
    (line,) = ElementTree.fromstring(text).findall(f"{SVG}polyline")
    points = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert [y for _, y in points] == sorted((y for _, y in points), reverse=True)
