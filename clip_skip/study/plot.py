"""Lines with intervals as SVG, in the colours of their page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Line", "lines"]

WIDTH, HEIGHT = 720, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 14, 44


@dataclass(frozen=True)
class Line:
    """points: x, y, and the interval of y, (NaN, NaN) or (y, y) where there is none"""

    name: str
    points: Sequence[tuple[float, float, float, float]]


def lines(some: Sequence[Line], across: str, up: str) -> str:
    """The lines over one another; at most six have colours of their own."""
    heights = [value for line in some for point in line.points for value in point[1:] if math.isfinite(value)]
    xs = sorted({point[0] for line in some for point in line.points})
    low, high = min(heights), max(heights)
    room = (high - low) * 0.06 or abs(high) * 0.06 or 1.0
    low, high = low - room, high + room

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (xs.index(value) + 0.5) / len(xs)

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)

    elements = []
    for tick in ticks(low, high):
        elements.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        elements.append(f'<text class="end" x="{LEFT - 8}" y="{y(tick) + 4:.1f}">{tick:g}</text>')
    every = math.ceil(len(xs) / 24)
    elements += [f'<text class="middle" x="{x(at):.1f}" y="{HEIGHT - 24}">{at:g}</text>' for at in xs[::every]]
    elements.append(f'<text class="middle" x="{(LEFT + WIDTH) / 2:.0f}" y="{HEIGHT - 6}">{escape(across)}</text>')
    for number, line in enumerate(some):
        elements.append(f'<g class="line c{number % 6}">')
        elements.append(
            f'<polyline points="{" ".join(f"{x(at):.1f},{y(value):.1f}" for at, value, _, _ in line.points)}"/>'
        )
        for at, value, least, most in line.points:
            title = f"<title>{escape(f'{line.name} {across} {at:g}: {value:.4g}'.strip())}</title>"
            if math.isfinite(least) and least < most:
                elements.append(f'<line x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{y(least):.1f}" y2="{y(most):.1f}"/>')
            elements.append(f'<circle cx="{x(at):.1f}" cy="{y(value):.1f}" r="4">{title}</circle>')
        elements.append("</g>")
    legend = "".join(
        f'<span class="c{number % 6}">{escape(line.name)}</span>' for number, line in enumerate(some) if line.name
    )
    attributes = f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(f"{up} over {across}")}"'
    picture = f"<svg {attributes}>{''.join(elements)}</svg>"
    return picture + (f'<p class="legend">{legend}</p>' if legend else "")


def ticks(low: float, high: float) -> list[float]:
    """About five round values from `low` to `high`."""
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step *= next(times for times in (1, 2, 5, 10) if (high - low) / (step * times) <= 6)
    return [round(number * step, 10) for number in range(math.ceil(low / step), math.floor(high / step) + 1)]
