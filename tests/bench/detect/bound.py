"""How much of planted bursts can be known from counts alone: the process is known, the rate is not.

The same sums as the burst detector's, but the slow rate is the true one, the weight of the events
that went before (decaying over 2 s) and the dispersion are fitted over the whole path, and the
threshold is the one that gives the budget on the very test stretch. It forecasts from the history
it sees, the burst included.
"""

from __future__ import annotations

from math import exp, log, log1p

import numpy as np
from numba import njit

from tests.bench.backgrounds import DAY, Counts

KEEP = exp(-0.5)
SIZES = np.array([1.35, 2.0, 3.0, 5.0])


@njit
def _walk(counts, base, weights, dispersion, sizes, excited, sums, scores):  # type: ignore[no-untyped-def]
    """Scores of `counts`; `excited` and `sums` are where it stands, and go on."""
    over = dispersion - 1.0
    for t in range(len(counts)):
        m = weights[0] * base[t] + weights[1] * excited[0]
        total = 0.0
        for k in range(len(sizes)):
            raised = m + (sizes[k] - 1.0) * base[t]
            mixed = m + over * raised
            ratio = counts[t] * log(raised * dispersion / mixed)
            ratio += m / over * log(m * dispersion / mixed)
            sums[k] = min(50.0, max(-50.0, log1p(exp(sums[k])) + ratio))
            total += exp(sums[k]) / len(sizes)
        scores[t] = log(total)
        excited[0] = KEEP * excited[0] + counts[t]


class Bound:
    def __init__(self, counts: Counts, base: Counts, start: int) -> None:
        self._counts, self._base, self._start = counts, base, start
        excited = np.empty(len(counts))
        level = 0.0
        for t, count in enumerate(counts.tolist()):
            excited[t] = level
            level = KEEP * level + count
        seen = np.stack([base, excited], axis=1) / np.sqrt(base)[:, None]
        self._weights = np.linalg.lstsq(seen, counts / np.sqrt(base), rcond=None)[0]
        m = np.stack([base, excited], axis=1) @ self._weights
        self._dispersion = max(1.02, float(((counts - m) ** 2).sum() / m.sum()))
        self._excited = excited
        self._scores = np.empty(len(counts))
        self._sums = np.full(len(SIZES), -50.0)
        self._run(counts, base, 0.0, self._sums, self._scores)

    def _run(
        self, counts: Counts, base: Counts, excited: float, sums: Counts, scores: Counts
    ) -> None:
        at = np.array([excited])
        _walk(counts, base, self._weights, self._dispersion, SIZES, at, sums, scores)

    def threshold(self, a_day: float) -> float:
        """That gives so many alarms a day on the test stretch."""
        scores = self._scores[self._start :].copy()
        wanted = max(1, round(len(scores) / DAY * a_day))
        highest = np.inf
        for _ in range(wanted + 1):
            i = int(scores.argmax())
            highest = float(scores[i])
            scores[max(0, i - 60) : i + 61] = -np.inf
        return highest

    def windows_to_alarm(self, spot: int, planted: Counts, threshold: float) -> int:
        """The window, from 1, in which a planted burst is found; 0: it is not."""
        begin = max(0, spot - 300)  # sums come to the same from any start before the last calm
        sums, scores = np.full(len(SIZES), -50.0), np.empty(spot - begin + len(planted))
        counts = np.concatenate((self._counts[begin:spot], planted))
        base = self._base[begin : spot + len(planted)]
        self._run(counts, base, float(self._excited[begin]), sums, scores)
        hits = np.flatnonzero(scores[spot - begin :] > threshold)
        return int(hits[0]) + 1 if len(hits) else 0
