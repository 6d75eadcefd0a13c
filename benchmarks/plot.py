"""One kind of plot, written as SVG: lines over a logarithmic share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 860, 520
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 72, 56


@dataclass(frozen=True)
class Series:
    """A named line through points (x, y), x ascending."""

    name: str
    points: Sequence[tuple[float, float]]
    colour: str
    dashed: bool = False


def log_plot(
    series: Sequence[Series],
    *,
    title: str,
    subtitle: str,
    x_label: str,
    y_label: str,
    x_range: tuple[float, float],
    x_ticks: Sequence[float],
    y_range: tuple[float, float],
) -> str:
    """The SVG; x is logarithmic and labelled in percent, y linear in tenths; lines are cut at the frame."""

    def x(value: float) -> float:
        low, high = map(math.log, x_range)
        return LEFT + (math.log(value) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (value - y_range[0]) / (y_range[1] - y_range[0]) * (HEIGHT - TOP - BOTTOM)

    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="13" fill="#222" role="img" aria-label="{escape(title)}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<clipPath id="frame"><rect x="{LEFT}" y="{TOP}" width="{right - LEFT}" height="{bottom - TOP}"/></clipPath>',
        f'<text x="{LEFT}" y="28" font-size="18" font-weight="bold">{escape(title)}</text>',
        f'<text x="{LEFT}" y="50" fill="#666">{escape(subtitle)}</text>',
    ]
    for tick in x_ticks:
        parts.append(f'<path d="M{x(tick):.1f} {TOP}V{bottom}" stroke="#e5e7eb"/>')
        parts.append(f'<text x="{x(tick):.1f}" y="{bottom + 20}" text-anchor="middle">{100 * tick:g} %</text>')
    for tenth in range(round(10 * y_range[0]), round(10 * y_range[1]) + 1):
        parts.append(f'<path d="M{LEFT} {y(tenth / 10):.1f}H{right}" stroke="#e5e7eb"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(tenth / 10) + 4:.1f}" text-anchor="end">{tenth / 10:.1f}</text>')
    parts.append(f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 12}" text-anchor="middle">{escape(x_label)}</text>')
    turned = f"translate(18 {(TOP + bottom) / 2}) rotate(-90)"
    parts.append(f'<text transform="{turned}" text-anchor="middle">{escape(y_label)}</text>')
    for row, line in enumerate(series):
        dashes = ' stroke-dasharray="6 4"' if line.dashed else ""
        points = " ".join(f"{x(share):.1f},{y(value):.1f}" for share, value in line.points)
        style = f'fill="none" stroke="{line.colour}" stroke-width="2.2"{dashes}'
        parts.append(f'<polyline points="{points}" {style} clip-path="url(#frame)"/>')
        inside = [(a, b) for a, b in line.points if x_range[0] <= a <= x_range[1] and y_range[0] <= b <= y_range[1]]
        parts += [f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="3" fill="{line.colour}"/>' for a, b in inside]
        height = bottom - 20 - 22 * (len(series) - 1 - row)
        parts.append(f'<path d="M{right - 400} {height}h36" {style}/>')
        parts.append(f'<text x="{right - 356}" y="{height + 4}">{escape(line.name)}</text>')
    return "\n".join([*parts, "</svg>", ""])
