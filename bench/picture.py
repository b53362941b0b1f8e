"""Pictures of results as SVG: bars with their spread, and curves of percentiles.

Pure: text in, text out, the same for the same results, so that a new picture is a readable
difference. Both scales are logarithmic, because ratios and tails span orders of magnitude. The
colors are readable on light and dark pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import ceil, floor, log10
from typing import Final, NamedTuple

WIDTH: Final = 720
LEFT: Final = 130
RIGHT: Final = 70
TOP: Final = 40
ROW: Final = 34
CURVE_HEIGHT: Final = 260
COLORS: Final = ("#3f7fbf", "#c07830", "#5a9a5a", "#a05a9a", "#888888")
TEXT: Final = "#808080"


class Bar(NamedTuple):
    """A bar: the median of its pairs, with the lowest and the highest."""

    label: str
    median: float
    low: float
    high: float


class Curve(NamedTuple):
    """A line through one value per name on the horizontal axis."""

    label: str
    values: Sequence[float]


class _Scale:
    """Maps values above 0 to pixels, decade by decade."""

    def __init__(self, values: Sequence[float], first: float, last: float) -> None:
        self._low = floor(log10(min(values)))
        self._high = max(ceil(log10(max(values))), self._low + 1)
        self._first, self._last = first, last

    def place(self, value: float) -> float:
        share = (log10(value) - self._low) / (self._high - self._low)
        return self._first + share * (self._last - self._first)

    def ticks(self) -> list[float]:
        return [10.0**power for power in range(self._low, self._high + 1)]


def bars(title: str, rows: Sequence[Bar]) -> str:
    """Return horizontal bars of ratios, which grow from 1 to either side."""
    bottom = TOP + ROW * len(rows)
    scale = _Scale([1, *(value for row in rows for value in row[1:])], LEFT, WIDTH - RIGHT)
    parts = []
    for tick in scale.ticks():
        parts += _vertical(scale.place(tick), bottom, f"{tick:g}")
    one = scale.place(1)
    for number, row in enumerate(rows):
        middle = TOP + ROW * number + ROW / 2
        place, low, high = (scale.place(value) for value in row[1:])
        left, width = min(one, place), abs(place - one)
        parts += [
            _text(LEFT - 8, middle + 4, row.label, "end"),
            f'<rect x="{left:.1f}" y="{middle - 9:.1f}" width="{width:.1f}" height="18" '
            f'fill="{COLORS[0]}"/>',
            _line(low, middle, high, middle, COLORS[1], 2),
            _text(WIDTH - RIGHT + 10, middle + 4, f"{row.median:.2f}"),
        ]
    parts.append(_line(one, TOP, one, bottom, TEXT, 1.5))
    return _document(title, bottom + 24, parts)


def curves(title: str, names: Sequence[str], rows: Sequence[Curve], unit: str) -> str:
    """Return one line per row over the same names, with a vertical axis in `unit`."""
    bottom = TOP + CURVE_HEIGHT
    scale = _Scale([value for row in rows for value in row.values], bottom, TOP)
    step = (WIDTH - LEFT - RIGHT) / max(len(names) - 1, 1)
    parts = []
    for tick in scale.ticks():
        place = scale.place(tick)
        parts += [
            _line(LEFT, place, WIDTH - RIGHT, place, TEXT, 0.4),
            _text(LEFT - 8, place + 4, f"{tick:g} {unit}", "end"),
        ]
    for number, name in enumerate(names):
        parts.append(_text(LEFT + number * step, bottom + 18, name, "middle"))
    for number, row in enumerate(rows):
        color = COLORS[number % len(COLORS)]
        points = " ".join(
            f"{LEFT + index * step:.1f},{scale.place(value):.1f}"
            for index, value in enumerate(row.values)
        )
        parts += [
            f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"/>',
            _text(LEFT + 12, TOP + 16 + 18 * number, row.label, fill=color),
        ]
    return _document(title, bottom + 30, parts)


def _document(title: str, height: float, parts: Sequence[str]) -> str:
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
            'font-family="sans-serif" font-size="13">',
            f"<title>{escape(title)}</title>",
            _text(LEFT, 20, title),
            *parts,
            "</svg>\n",
        ]
    )


def _vertical(x: float, bottom: float, label: str) -> list[str]:
    return [_line(x, TOP, x, bottom, TEXT, 0.4), _text(x, bottom + 16, label, "middle")]


def _line(x1: float, y1: float, x2: float, y2: float, color: str, width: float) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}" '
        f'stroke-width="{width}"/>'
    )


def _text(x: float, y: float, text: str, anchor: str = "start", fill: str = TEXT) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}">{escape(text)}</text>'
    )
