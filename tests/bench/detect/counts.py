"""How many planted bursts are found in counts alone, how soon, and how many alarms are false.

Protocol. Each stream is split in time. Calibration: our detectors and calibrators run through it as
in the engine (judge, then report or learn); each baseline learns it and gets as threshold the
(days × budget)-th highest of its episode maxima there, or the highest where that is less than one.
Test: on the untouched rest the alarms are counted (exceedances less than 60 s apart are one); then
bursts are planted one at a time, each into a copy of the state in which the untouched run came to
that place. A burst ×k adds Poisson events at (k-1) times the mean rate of the ten minutes before
it. It is found when an alarm falls into its own windows, not later; the delay counts from its first
window, the alarm's included. Places and draws are fixed by the seed; all methods meet the same
bursts. The detector was developed on other seeds (5001 to 5003), and not on the recordings.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tests.bench.backgrounds import DAY, Counts, base_rate, bitstamp_cancels, hawkes, poisson
from tests.bench.detect.bound import Bound
from tests.bench.detect.methods import METHODS, REFRACTORY_S, Baseline, Method

DATA = Path(__file__).parents[3] / "../shared/data"
SEED = 20
SEVEN = [(2.0, 10), (2.0, 30), (2.0, 60), (3.0, 3), (3.0, 10), (3.0, 30), (5.0, 3)]
"""Bursts: size, seconds."""
WEAK = [(1 + (k - 1) / 5**0.5, s) for k, s in SEVEN]
"""As hard to see among 20 a second as the seven are among 4."""
BITSTAMP = [(float(k), s) for k in (3, 5) for s in (3, 5, 10, 20, 40, 60)]
SETTLE_S = 600
"""After a change of regime; its own alarms are not false."""
SLOW = {"burst+FOCuS+e-detector", "FOCuS", "e-detector", "MinMax|HalfSpaceTrees"}
"""Measured on one simulated stream and one recording: they take long."""


class Background(NamedTuple):
    counts: Counts
    start: int
    """Where the test begins."""
    types: list[tuple[float, int]]
    base: Counts | None = None
    """The true slow rate, where it is known."""
    note: str = ""


def backgrounds(quick: bool) -> dict[str, Background]:
    days, start = (1.5, DAY // 2) if quick else (6.0, 2 * DAY)
    windows = int(days * DAY)

    def base(mean: float, seed: int) -> Counts:
        return base_rate(windows, mean, np.random.default_rng(seed))

    four, twenty = hawkes(days, 4, SEED + 1), hawkes(days, 20, SEED + 2)
    change = windows // 2
    after = np.concatenate((four[:change], hawkes(days, 12, SEED + 3)[change:]))
    made = {
        "Poisson 4/s": Background(
            poisson(days, 4, SEED), start, SEVEN, np.full(windows, 4.0) if windows else None
        ),
        "hawkes 4/s": Background(four, start, SEVEN, base(4, SEED + 1)),
        "hawkes 20/s": Background(twenty, start, SEVEN, base(20, SEED + 2)),
        "hawkes 20/s, weak": Background(
            twenty, start, WEAK, base(20, SEED + 2), "excess of the bursts over √5"
        ),
        "after a change ×3": Background(
            after, change + SETTLE_S, SEVEN, None, "hawkes 4/s, then 12/s; tested after it"
        ),
    }
    for name, read in (("Bitstamp", bitstamp), ("LOBSTER", lobster), ("dYdX, long", dydx)):
        background = read()
        if background is None:
            print(f"{name}: the recording is not here; left out")
        else:
            made[name] = background
    return made


def bitstamp() -> Background | None:
    feed = DATA / "bitstamp-l3-2015-05-01/feed.log.xz"
    if not feed.exists():
        return None
    counts = bitstamp_cancels(feed)
    return Background(counts, len(counts) // 2, BITSTAMP, None, "5 h, half tested")


def lobster() -> Background | None:
    feed = DATA / "lobster-aapl-2012-06-21/message.csv.gz"
    if not feed.exists():
        return None
    with gzip.open(feed, "rt") as lines:
        seconds = [int(float(row[0])) for row in csv.reader(lines) if row[1] in ("2", "3")]
    counts = np.bincount(np.array(seconds) - min(seconds)).astype(np.float64)
    return Background(counts, len(counts) // 2, SEVEN, None, "1 h, half tested")


def dydx() -> Background | None:
    """32 s, made long by drawing stretches of 4 s: a composite with its bursts, not its days."""
    feed = DATA / "dydx-full-node-2024-06-29/feed.jsonl.gz"
    if not feed.exists():
        return None
    seconds = []
    with gzip.open(feed, "rt") as lines:
        for line in lines:
            record = json.loads(line)
            if record["kind"] == "remove" and not record.get("snapshot"):
                seconds.append(record["ts_ms"] // 1000)
    counts = np.bincount(np.array(seconds) - min(seconds)).astype(np.float64)[1:-1]
    begins = np.random.default_rng(SEED).integers(0, len(counts) - 4, DAY // 2)
    long = np.concatenate([counts[b : b + 4] for b in begins.tolist()])
    return Background(long, DAY, WEAK, None, "32 s of 11 markets, drawn 4 s at a time")


class Planted(NamedTuple):
    spot: int
    type_: int
    counts: Counts


def plant(background: Background, places: int) -> list[Planted]:
    counts, start, types = background.counts, background.start, background.types
    rng = np.random.default_rng(SEED)
    spots = np.sort(rng.integers(start + 600, len(counts) - 100, places)).tolist()
    return [
        Planted(
            spot,
            i,
            counts[spot : spot + s] + rng.poisson((k - 1) * counts[spot - 600 : spot].mean(), s),
        )
        for i, (k, s) in enumerate(types)
        for spot in spots
    ]


def walk(method: Method, background: Background, spots: set[int]) -> tuple[int, dict[int, Any]]:
    """Calibrate and run through the test. Returns the alarms there, and the states at `spots`."""
    counts, start = background.counts, background.start
    if isinstance(method, Baseline):
        method.calibrate(counts[:start])
    else:
        for count in counts[:start].tolist():
            method.alarm(count)
    alarms, last = 0, -DAY
    frozen: dict[int, Any] = {}
    for t, count in enumerate(counts[start:].tolist(), start):
        if t in spots:
            frozen[t] = method.freeze()
        if method.alarm(count):
            alarms += t - last > REFRACTORY_S
            last = t
    return alarms, frozen


def windows_to_alarm(method: Method, frozen: Any, counts: Counts, tenth: bool) -> int:
    """The window, from 1, in which a planted burst is found; 0: it is not."""
    method.thaw(frozen)
    for i, count in enumerate(counts.tolist(), 1):
        if method.alarm(count, tenth):
            return i
    return 0


def row(
    name: str, label: str, background: Background, once: Counts, tenth: Counts, false_a_day: float
) -> dict[str, Any]:
    """A line of the table from the delays (0: not found) at the budget and at a tenth of it."""
    delays = once[once > 0]
    share = [float((part > 0).mean()) for part in np.split(once, len(background.types))]
    return {
        "table": "bursts in counts",
        "background": name,
        "detector": label,
        "recall_at_1": float((once > 0).mean()),
        "recall_at_01": float((tenth > 0).mean()),
        "delay_p50_s": float(np.median(delays)) if len(delays) else None,
        "delay_p95_s": float(np.percentile(delays, 95)) if len(delays) else None,
        "false_a_day": false_a_day,
        "note": background.note,
        "by_type": share,
    }


def rows(quick: bool = False) -> Iterator[dict[str, Any]]:
    places = 15 if quick else 60
    for name, background in backgrounds(quick).items():
        planted = plant(background, places)
        days = (len(background.counts) - background.start) / DAY
        if background.base is not None:
            bound = Bound(background.counts, background.base, background.start)
            high, higher = bound.threshold(1.0), bound.threshold(0.1)
            once = np.array([bound.windows_to_alarm(p.spot, p.counts, high) for p in planted])
            tenth = np.array([bound.windows_to_alarm(p.spot, p.counts, higher) for p in planted])
            yield row(name, "process known (bound)", background, once, tenth, 1.0)
        for label, make in METHODS.items():
            if label in SLOW and (quick or name not in ("hawkes 4/s", "Bitstamp")):
                continue
            method = make()
            alarms, frozen = walk(method, background, {p.spot for p in planted})
            once, tenth = (
                np.array([windows_to_alarm(method, frozen[p.spot], p.counts, low) for p in planted])
                for low in (False, True)
            )
            yield row(name, label, background, once, tenth, alarms / days)
