"""The report of a day: how long it takes to write, beside the replay alone, and to open.

Opened: from the address to charts on the screen, in Chromium on this machine.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from replay.simulation.settings import SimulationSettings
from tests.bench.bench_seconds import simulated_day
from tests.bench.bench_start import seconds
from tests.bench.figures import Figure
from tests.browser.chromium import Chromium, start_chromium

CASES = {
    "full": ({"minutes": 1440, "symbols": 8},),
    "quick": ({"minutes": 120, "symbols": 8},),
    "tiny": ({"minutes": 3, "symbols": 2},),
}
RATE = 20.0
TIMES = 3
OPENED_S = 3.0
DRAWN = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def measure(scratch: Path, minutes: int, symbols: int) -> Iterator[Figure]:
    settings = SimulationSettings(minutes=minutes, symbols=symbols, rate=RATE)
    day, page = simulated_day(scratch, settings), scratch / f"{minutes}.html"
    what = f"{minutes / 60:g} h of {symbols} markets"
    yield Figure(f"replay of {what}", seconds(["replay", str(day)]), "s", 1)
    with_report = seconds(["replay", str(day), "--report", str(page)])
    yield Figure(f"replay of {what} with --report", with_report, "s", 1)
    yield Figure(f"report of {what}", page.stat().st_size / 1e6, "MB", 1)
    with start_chromium() as chromium:
        for _ in range(TIMES):
            yield Figure(f"report of {what}, opened", open_s(chromium, page), "s", 1, goal=OPENED_S)


def open_s(chromium: Chromium, page: Path) -> float:
    """Seconds until the first charts are on the screen."""
    with chromium.tab() as tab:
        began = time.perf_counter()
        tab.open_file(page)
        tab.page.locator("#price .uplot").wait_for()
        tab.page.evaluate(DRAWN)
        return time.perf_counter() - began
