"""How many alarms a day are false where one is allowed, over enough days to know.

Protocol. Each background is made many times over (fixed seeds, none of those of `counts`); nothing
is planted. Streams run side by side as in the engine, one bank and its calibrators, judge, then
report or learn. Alarms less than 60 s apart are one. They are counted on the first day, which the
calibrators begin with nothing but theory; on the third and fourth; and, after a change of the rate
×3 (10 minutes for it to be told, which is no false alarm), on the day that follows. With n alarms
the figure is within n ± 2√n. Recordings are short: theirs are counted on the second half.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from detectors.base import Detector
from detectors.burst.detector import BurstDetector
from detectors.calibration.calibrator import FalseAlarmRate
from detectors.calibration.calibrator_bank import CalibratorBank
from tests.bench.backgrounds import DAY, Counts, hawkes, poisson
from tests.bench.detect.counts import SETTLE_S, bitstamp, dydx, lobster
from tests.bench.detect.methods import REFRACTORY_S

SEED = 700
CHANGE = 3.0


class Span(NamedTuple):
    """Where alarms are counted, windows."""

    name: str
    begin: int
    end: int


FIRST = Span("first day", 0, DAY)
LATER = Span("third and fourth", 2 * DAY, 4 * DAY)
AFTER = Span("day after a change ×3", 2 * DAY + SETTLE_S, 3 * DAY)


def alarms(counts: Counts, detector: Detector, per_day: float = 1.0) -> list[list[int]]:
    """The windows in which each stream of (windows, streams) was reported."""
    windows, streams = counts.shape
    bank, calibrators = detector.bank(), CalibratorBank(DAY, FalseAlarmRate(per_day, 1.0).p_limit)
    bank.grow(streams)
    for _ in range(streams):
        calibrators.add(log_likelihood=True)
    rows, limit = np.arange(streams), FalseAlarmRate(per_day, 1.0).p_limit
    told: list[list[int]] = [[] for _ in range(streams)]
    for window in range(windows):
        values = counts[window][:, None]
        scores = bank.judge(rows, values)
        learnt = np.ones(streams, np.bool_)
        for stream, _ in calibrators.rare_scores(rows, scores, limit):
            told[stream].append(window)
            learnt[stream] = False
            bank.report(stream, values[stream])
        bank.learn(rows[learnt], values[learnt])
        calibrators.learn(rows, scores)
    return told


def number(told: list[list[int]], span: Span) -> int:
    """Alarms in `span`, over all streams."""
    total = 0
    for windows in told:
        at = np.array([w for w in windows if span.begin <= w < span.end])
        total += len(at) and 1 + int((np.diff(at) > REFRACTORY_S).sum())
    return total


def changed(days: float, mean: float, seed: int) -> Counts:
    """Two days of `hawkes`, then two of three times as much."""
    before, after = hawkes(days, mean, seed), hawkes(days, CHANGE * mean, seed + 50)
    return np.concatenate((before[: 2 * DAY], after[2 * DAY :]))


MADE: dict[str, tuple[Callable[[float, float, int], Counts], float, int, tuple[Span, ...]]] = {
    "Poisson 4/s": (poisson, 4.0, 12, (FIRST, LATER)),
    "hawkes 4/s": (hawkes, 4.0, 12, (FIRST, LATER)),
    "hawkes 20/s": (hawkes, 20.0, 6, (FIRST, LATER)),
    "hawkes 4/s, then 12/s": (changed, 4.0, 8, (AFTER,)),
}
"""How it is made, events a second, streams, and where alarms are counted."""


def row(background: str, span: Span, alarms: int, days: float, note: str = "") -> dict[str, Any]:
    spread = 2 * max(1.0, alarms) ** 0.5
    return {
        "table": "false alarms where one a day is allowed (counts)",
        "background": background,
        "detector": span.name,
        "false_a_day": alarms / days,
        "note": f"{alarms} in {days:.3g} days"
        f" ({max(0.0, alarms - spread) / days:.2f} to {(alarms + spread) / days:.2f}) {note}",
    }


def rows(quick: bool = False) -> Iterator[dict[str, Any]]:
    """One row for each background and span."""
    for name, (make, mean, streams, spans) in MADE.items():
        streams = 2 if quick else streams
        counts = np.stack([make(4, mean, SEED + i) for i in range(streams)], axis=1)
        told = alarms(counts, BurstDetector())
        for span in spans:
            yield row(name, span, number(told, span), streams * (span.end - span.begin) / DAY)
    for name, read in (("Bitstamp", bitstamp), ("LOBSTER", lobster), ("dYdX, long", dydx)):
        background = read()
        if background is None:
            continue
        counts = background.counts[:, None]
        span = Span("second half", background.start, len(counts))
        days = (span.end - span.begin) / DAY
        yield row(name, span, number(alarms(counts, BurstDetector()), span), days, background.note)
