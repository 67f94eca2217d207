"""Levels of books: how many alarms a day are false where one is allowed, and what thin books and
wide spreads are found.

Protocol. The levels are the engine's own features of Bitstamp's and StandX's recorded books, and
simulated ones with known habits; the detectors are those of the default streams. *From nothing*:
each recording is begun anew every six hours, and every alarm of those six hours counts (alarms less
than 60 s apart are one); simulated ones run for a day. *Later*: the second half, after the first.
There, thinned books are planted one at a time (the depth over 3, 5 or 10, the spread times that,
for 10, 30 or 60 s), each into a copy of the state in which the untouched run came to that place;
found is what alarms while it lasts. A recording has thin books and wide spreads of its own, which
nobody has marked: all its alarms count as false. With n alarms the figure is within n ± 2√n.
Parameters were chosen on StandX until 08:00, on Bitstamp, and on other seeds.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from detectors.level_shift.detector import LevelShiftDetector
from monitor.core.features.compute import FEATURE_COLUMN
from monitor.core.settings import DEFAULT_STREAMS, EngineSettings
from monitor.core.shard import SHARD_KINDS, Shard
from replay.day import Day
from replay.day.importer import ingest
from tests.bench.backgrounds import DAY, Counts
from tests.bench.detect.budget import Span, alarms, number
from tests.bench.detect.budget import row as counted
from tests.bench.detect.counts import DATA
from tests.bench.detect.methods import REFRACTORY_S, Ours

SEED = 90
YOUNG_S = 6 * 3600
SIZES, LENGTHS_S = (3.0, 5.0, 10.0), (10, 30, 60)
WATCHED = {s.feature: s.parameters for s in DEFAULT_STREAMS if s.detector == "level"}
FEEDS = {
    "Bitstamp": ("bitstamp", "bitstamp-l3-2015-05-01/feed.log.xz"),
    "StandX": ("standx", "standx-btc-perp-2026-01/*.parquet"),
}


class Background(NamedTuple):
    """A stream of levels."""

    name: str
    feature: str
    levels: list[Counts]
    """Streams alike, begun from nothing."""
    later: Counts | None
    """One stream that is tested in its second half."""

    def detector(self) -> LevelShiftDetector:
        return LevelShiftDetector(self.feature, **WATCHED[self.feature])  # type: ignore[arg-type]


def features(venue: str, pattern: str) -> dict[str, Counts] | None:
    """What is watched of a recorded feed, a number a window; NaN where it is not there."""
    files = sorted(DATA.glob(pattern))
    if not files:
        return None
    with tempfile.TemporaryDirectory() as folder:
        ingest(venue, files, Path(folder) / "day")
        shard = Shard(0, 1, EngineSettings(streams=()), [])
        day = Day(Path(folder) / "day")
        shard.control(day.controls())
        closed = []
        for batch in day.batches():
            if batch.kind in SHARD_KINDS:
                closed += shard.step(batch)
        closed += shard.finish()
    values = np.concatenate([part.features.values for part in closed])
    return {name: values[:, FEATURE_COLUMN[name]] for name in WATCHED}


def simulated(days: float, seed: int, jumps: bool) -> Counts:
    """A depth whose logarithm remembers a minute, under innovations of Student's t with 4 degrees
    of freedom; `jumps`: it stays where it is, and jumps now and then, as a small venue's does."""
    rng = np.random.default_rng(seed)
    windows, keep = int(days * DAY), np.exp(-1 / 60)
    push = rng.standard_t(4.0, windows) * np.sqrt(1 - keep**2) / 2**0.5
    if jumps:
        push = np.where(rng.random(windows) < 0.05, push * 20**0.5, 0.0)
    level = np.zeros(windows)
    for i in range(1, windows):
        level[i] = level[i - 1] + push[i] - (1 - keep) * level[i - 1] * (not jumps or push[i] != 0)
    return 1e6 * np.exp(0.3 * level)


def backgrounds(quick: bool) -> Iterator[Background]:
    streams = 2 if quick else 12
    for name, jumps in (("book, moving", False), ("book, jumping", True)):
        made = [simulated(1, SEED + i, jumps) for i in range(streams)]
        yield Background(name, "depth_25bps_least", made, simulated(4, SEED - 1, jumps))
    for name, (venue, pattern) in FEEDS.items():
        recorded = features(venue, pattern)
        if recorded is None:
            continue
        for feature, levels in recorded.items():
            there = levels[~np.isnan(levels)]
            if len(there) < YOUNG_S // 2:
                continue
            cut = [there[a : a + YOUNG_S] for a in range(0, len(there), YOUNG_S)]
            yield Background(name, feature, cut, there if len(cut) > 1 else None)


def from_nothing(background: Background) -> tuple[int, float]:
    """False alarms of streams from nothing, and in how many days."""
    told = [alarms(levels[:, None], background.detector())[0] for levels in background.levels]
    whole = Span("all", 0, max(map(len, background.levels)))
    return number(told, whole), sum(map(len, background.levels)) / DAY


def planted(background: Background, places: int) -> tuple[int, Counts]:
    """False alarms in the second half, and of each planted size and length the window, from 1, in
    which it was found (0: it was not), (sizes × lengths, places)."""
    levels = background.later
    assert levels is not None
    rng, start = np.random.default_rng(SEED), len(levels) // 2
    spots = np.sort(rng.integers(start, len(levels) - max(LENGTHS_S), places))
    down = WATCHED[background.feature].get("direction") == "down"
    method = Ours(background.detector)
    false, last = 0, -DAY
    found = np.zeros((len(SIZES) * len(LENGTHS_S), places))
    for t, level in enumerate(levels.tolist()):
        for place in np.flatnonzero(spots == t).tolist():
            frozen = method.freeze()
            for i, (size, length) in enumerate((s, n) for s in SIZES for n in LENGTHS_S):
                changed = levels[t : t + length] * (1 / size if down else size)
                for window, value in enumerate(changed.tolist(), 1):
                    if method.alarm(value):
                        found[i, place] = window
                        break
                method.thaw(frozen)
        if method.alarm(level):
            false += t >= start and t - last > REFRACTORY_S
            last = t
    return false, found


def row(
    background: Background, when: str, false: int, days: float, found: Counts | None
) -> dict[str, Any]:
    name = f"{background.feature}, {when}"
    made = counted(background.name, Span(name, 0, 0), false, days)
    made["table"] = "levels of books, one false alarm a day allowed"
    if found is not None:
        delays = found[found > 0]
        made["recall_at_1"] = float((found > 0).mean())
        made["delay_p50_s"] = float(np.median(delays)) if len(delays) else None
        made["delay_p95_s"] = float(np.percentile(delays, 95)) if len(delays) else None
        made["by_size_and_length"] = [float(share) for share in (found > 0).mean(axis=1)]
    return made


def rows(quick: bool = False) -> Iterator[dict[str, Any]]:
    """One row for each background begun from nothing, one for each tested later."""
    for background in backgrounds(quick):
        false, days = from_nothing(background)
        yield row(background, "from nothing", false, days, None)
        if background.later is not None:
            false, found = planted(background, 10 if quick else 40)
            yield row(background, "later", false, len(background.later) / 2 / DAY, found)
