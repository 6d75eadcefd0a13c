"""Line charts and scatter plots as SVG text, without a plotting library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 520, 340
LEFT, RIGHT, TOP, BOTTOM = 56, 130, 30, 44
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22")


@dataclass(frozen=True)
class Axis:
    """One axis: what it measures, from where to where, and the values that are written beside it."""

    label: str
    low: float
    high: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Where a value lies, 0..1."""
        if self.logarithmic:
            return float(np.log(value / self.low) / np.log(self.high / self.low))
        return (value - self.low) / (self.high - self.low)


def line_chart(title: str, across: Axis, up: Axis, lines: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Named lines through (x, y) points, each in a colour of its own, named at the right."""
    parts = _frame(title, across, up)
    for number, (name, points) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        places = [_pixel(across.place(x), up.place(y)) for x, y in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in places]
        parts.append(_legend(number, name, colour))
    return "\n".join([*parts, "</svg>"])


def scatter(title: str, points: NDArray[np.floating], labels: NDArray[np.int64], names: Sequence[str]) -> str:
    """Points, float (N, 2), coloured by label, int64 (N,)."""
    spans = [(float(axis.min()), float(axis.max())) for axis in points.T]
    across, up = (
        Axis(label, low, high, ()) for label, (low, high) in zip(("first axis", "second axis"), spans, strict=True)
    )
    parts = _frame(title, across, up)
    for (x, y), label in zip(points, labels, strict=True):
        left, top = _pixel(across.place(float(x)), up.place(float(y)))
        parts.append(
            f'<circle cx="{left:.1f}" cy="{top:.1f}" r="2" fill="{COLOURS[label % len(COLOURS)]}" fill-opacity=".6"/>'
        )
    for number, name in enumerate(names[: len(COLOURS)]):
        parts.append(_legend(number, name, COLOURS[number]))
    return "\n".join([*parts, "</svg>"])


def heat_map(title: str, values: NDArray[np.floating]) -> str:
    """A square of values from 0 to 1, float (n, n): the darker, the larger."""
    size = len(values)
    side = (HEIGHT - TOP - BOTTOM) / max(size, 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        'font-family="sans-serif" font-size="11">',
        f'<text x="{LEFT}" y="18" font-size="13" font-weight="bold">{escape(title)}</text>',
    ]
    for row in range(size):
        for column in range(size):
            parts.append(
                f'<rect x="{LEFT + column * side:.1f}" y="{TOP + row * side:.1f}" width="{side:.1f}" '
                f'height="{side:.1f}" fill="{COLOURS[0]}" fill-opacity="{min(max(values[row, column], 0), 1):.2f}"/>'
            )
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 26}">bit 0 to {size - 1}; white 0, dark 1</text>')
    return "\n".join([*parts, "</svg>"])


def _frame(title: str, across: Axis, up: Axis) -> list[str]:
    (left, bottom), (right, top) = _pixel(0, 0), _pixel(1, 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        'font-family="sans-serif" font-size="11">',
        f'<text x="{LEFT}" y="18" font-size="13" font-weight="bold">{escape(title)}</text>',
        f'<rect x="{left}" y="{top}" width="{right - left}" height="{bottom - top}" fill="none" stroke="#999"/>',
        f'<text x="{(left + right) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{escape(across.label)}</text>',
        f'<text transform="translate(14,{(top + bottom) / 2}) rotate(-90)" text-anchor="middle">'
        f"{escape(up.label)}</text>",
    ]
    for value in across.ticks:
        x, _ = _pixel(across.place(value), 0)
        parts.append(f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}" stroke="#eee"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 14}" text-anchor="middle">{value:g}</text>')
    for value in up.ticks:
        _, y = _pixel(0, up.place(value))
        parts.append(f'<line x1="{left}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#eee"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    return parts


def _legend(number: int, name: str, colour: str) -> str:
    y = TOP + 12 + 17 * number
    return (
        f'<rect x="{WIDTH - RIGHT + 12}" y="{y - 9}" width="10" height="10" fill="{colour}"/>'
        f'<text x="{WIDTH - RIGHT + 28}" y="{y}">{escape(name)}</text>'
    )


def _pixel(across: float, up: float) -> tuple[float, float]:
    return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)
