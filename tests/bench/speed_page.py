"""The page on speed: its tables and its picture, written from what benches left as JSON.

    python -m tests.bench.speed_page AFTER.json [BEFORE.json]

AFTER is a file of `make bench`, or both are files of `make bench-compare`. What stands between the
two marks in `docs/speed.md` is replaced; the rest of the page is written by hand.
"""

from __future__ import annotations

import argparse
import math
from html import escape
from pathlib import Path

from tests.bench.figures import Result
from tests.bench.report import Report, growth, markets_and_ms, number
from tests.bench.rounds import ROOT

PAGE = ROOT / "docs" / "speed.md"
PICTURE = ROOT / "docs" / "speed.svg"
BEGIN, END = "<!-- figures: python -m tests.bench.speed_page -->", "<!-- end of figures -->"
WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 70, 70, 40, 50
"""Margins around the plot, px."""
COLOURS = {"before": "#9aa0a6", "after": "#1a73e8", "asked": "#d93025"}
Points = list[tuple[float, float]]


def goals_of(figures: list[Result]) -> Points:
    """Markets and what is asked for them, ms a second."""
    return [
        (float(one.name.split("x")[0]), one.goal)
        for one in figures
        if one.bench == "seconds" and one.goal is not None
    ]


def draw(lines: dict[str, Points]) -> str:
    """Cost of a second over markets, both logarithmic, as SVG that loads nothing from elsewhere.

    `lines`: the points of each line that has any, by its name (a key of `COLOURS`).
    """
    every = [point for points in lines.values() for point in points]
    if not every:
        raise ValueError("no figures of the bench of seconds: run `python -m tests.bench seconds`")
    (left, right), (low, high) = (_decades([point[axis] for point in every]) for axis in (0, 1))

    def place(markets: float, ms: float) -> tuple[float, float]:
        across = (math.log10(markets) - left) / (right - left)
        up = (math.log10(ms) - low) / (high - low)
        plot_width, plot_height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        return LEFT + across * plot_width, TOP + (1 - up) * plot_height

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="13" fill="#3c4043">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="22">Processor time for each second of event time, ms</text>',
    ]
    for power in range(left, right + 1):
        x, bottom = place(10**power, 10**low)
        parts.append(_line([(x, TOP), (x, bottom)], "#e0e0e0", 1))
        parts.append(f'<text x="{x:.1f}" y="{bottom + 18:.1f}" text-anchor="middle">'
                     f"{number(10**power)}</text>")  # fmt: skip
    for power in range(low, high + 1):
        x, y = place(10**left, 10**power)
        parts.append(_line([(x, y), (WIDTH - RIGHT, y)], "#e0e0e0", 1))
        parts.append(f'<text x="{x - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">'
                     f"{number(10**power)}</text>")  # fmt: skip
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 10}" text-anchor="middle">markets</text>')
    for row, (name, points) in enumerate(lines.items()):
        parts += _series(name, [(*place(*point), point[1]) for point in points], row)
    return "\n".join((*parts, "</svg>\n"))


def _series(name: str, spots: list[tuple[float, float, float]], row: int) -> list[str]:
    """A line with its dots, each of which says its value where the pointer is, and its legend."""
    colour, dashed = COLOURS[name], name == "asked"
    parts = [_line([(x, y) for x, y, _ in spots], colour, 2, dashed)]
    for x, y, ms in spots:
        title = f"<title>{escape(name)}: {number(ms)} ms</title>"
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}">{title}</circle>')
        if name == "after":
            parts.append(f'<text x="{x + 7:.1f}" y="{y + 16:.1f}">{number(ms)}</text>')
    at, y = LEFT + 20, TOP + 20 + 22 * row
    parts.append(_line([(at, y), (at + 28, y)], colour, 2, dashed))
    parts.append(f'<text x="{at + 36}" y="{y + 4}">{escape(name)}</text>')
    return parts


def _line(points: Points, colour: str, width: int, dashed: bool = False) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashes = ' stroke-dasharray="6 4"' if dashed else ""
    return (
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dashes}/>'
    )


def _decades(values: list[float]) -> tuple[int, int]:
    """Whole powers of ten around positive values."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def tables(after: Report, before: Report | None) -> str:
    """Markdown: on what it was measured, then a table for each bench."""
    lines = [f"Measured {after.date[:10]} on {after.machine['cores']} cores "
             f"({after.machine['processor']}), {', '.join(map(' '.join, after.versions.items()))}; "
             f"commit {after.commit[:12]}"
             + (f", before: {before.commit[:12]}, in turn with it" if before else "")
             + f". Median of the runs, {after.size} sizes.", ""]  # fmt: skip
    former = {(one.bench, one.name): one for one in before.figures} if before else {}
    for bench in dict.fromkeys(one.bench for one in after.figures):
        head = [bench, *(["before"] if before else []), "now", "unit", "spread", "runs", "asked"]
        lines += [_row(head), _row(["---"] * len(head))]
        for one in after.figures:
            if one.bench != bench:
                continue
            was = former.get((bench, one.name))
            asked = "" if one.goal is None else number(one.goal)
            asked += f" (missed, {one.beyond:.3g}×)" if one.beyond else ""
            was_cell = [number(was.median) if was else ""] if before else []
            cells = [one.name, *was_cell, number(one.median), one.unit]
            lines.append(_row([*cells, f"{one.spread:.0%}", str(len(one.values)), asked]))
        lines.append("")
        if bench == "seconds" and (powers := growth(after.figures)):
            lines += [f"{powers.capitalize()}.", ""]
    lines += [f"Not measured: {failure}." for failure in after.failures]
    return "\n".join(lines)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def page(text: str, figures: str) -> str:
    """The page with other figures between its two marks; `ValueError` where they are not there."""
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{PAGE} lacks the lines {BEGIN!r} and {END!r}")
    return f"{head}{BEGIN}\n\n{figures.strip()}\n\n{END}{tail}"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.speed_page", description="Write docs/speed.md and its picture."
    )
    parser.add_argument("after", type=Path)
    parser.add_argument("before", type=Path, nargs="?")
    asked = parser.parse_args()
    after = Report.read(asked.after)
    before = Report.read(asked.before) if asked.before else None
    lines = {
        "before": markets_and_ms(before.figures) if before else [],
        "after": markets_and_ms(after.figures),
        "asked": goals_of(after.figures),
    }
    PICTURE.write_text(draw({name: points for name, points in lines.items() if points}), "utf-8")
    PAGE.write_text(page(PAGE.read_text("utf-8"), tables(after, before)), "utf-8")
    print(f"written: {PAGE} and {PICTURE}")


if __name__ == "__main__":
    main()
