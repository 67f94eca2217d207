"""The curves of a soak as SVG that loads nothing from elsewhere."""

from __future__ import annotations

import math
from html import escape

Points = list[tuple[float, float]]

WIDTH, HEIGHT, TOP, LEFT, RIGHT, GAP = 760, 96, 54, 84, 16, 34
"""Of one curve, px; above the first, beside it, and between two."""
COLOUR, LATER = "#1a73e8", "#9aa0a6"


def draw(title: str, curves: dict[str, Points], warm_up: float, last: float) -> str:
    """A row for each curve over the hours of the day, from 0 to the highest value.

    `curves`: by what is written above it, hours and values. `warm_up`: until when nothing is
    judged, hours. `last`: the end of the day, hours.
    """
    bottom = TOP + len(curves) * (HEIGHT + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 12}" '
        'font-family="sans-serif" font-size="12" fill="#3c4043">',
        f'<rect width="{WIDTH}" height="{bottom + 12}" fill="#ffffff"/>',
        f'<text x="12" y="20" font-size="14">{escape(title)}</text>',
    ]
    for row, (name, points) in enumerate(curves.items()):
        parts += _curve(name, points, TOP + row * (HEIGHT + GAP), warm_up, last)
    step = next(step for step in (0.1, 0.25, 0.5, 1, 2, 4) if last / step <= 12 or step == 4)
    for number in range(math.floor(last / step + 1e-9) + 1):
        x = _across(number * step, last)
        hours = f"{number * step:g} h"
        parts.append(f'<text x="{x:.1f}" y="{bottom - 18}" text-anchor="middle">{hours}</text>')
    return "\n".join((*parts, "</svg>\n"))


def _across(hours: float, last: float) -> float:
    return LEFT + hours / last * (WIDTH - LEFT - RIGHT)


def _curve(name: str, points: Points, top: int, warm_up: float, last: float) -> list[str]:
    high = max((value for _, value in points), default=0.0) or 1.0
    place = [
        f"{_across(hours, last):.1f},{top + HEIGHT * (1 - value / high):.1f}"
        for hours, value in points
        if math.isfinite(value)
    ]
    edge = _across(warm_up, last)
    return [
        f'<rect x="{LEFT}" y="{top}" width="{edge - LEFT:.1f}" height="{HEIGHT}" fill="#f1f3f4"/>',
        f'<text x="{LEFT}" y="{top - 8}">{escape(name)}</text>',
        f'<text x="{LEFT - 8}" y="{top + 10}" text-anchor="end">{number(high)}</text>',
        f'<text x="{LEFT - 8}" y="{top + HEIGHT}" text-anchor="end">0</text>',
        f'<rect x="{LEFT}" y="{top}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT}" fill="none" '
        f'stroke="{LATER}"/>',
        f'<polyline points="{" ".join(place)}" fill="none" stroke="{COLOUR}" stroke-width="1.5"/>',
    ]


def number(value: float) -> str:
    """With three digits.

    >>> number(12345.0), number(0.0123)
    ('12,300', '0.0123')
    """
    digits = 2 - math.floor(math.log10(abs(value))) if value else 0
    return f"{round(value, digits):,.{max(0, digits)}f}"
