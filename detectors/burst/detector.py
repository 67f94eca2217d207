"""Bursts in counts: cancels, orders, leverage changes or liquidations per window.

Such counts excite themselves: a cancel brings cancels. So the forecast m of the next window is a
non-negative combination of exponentially weighted means of the past counts, short and long, with
weights refitted by least squares over about the last day. Around the forecast the count is negative
binomial with variance φm; φ is learnt as well. On that law rest likelihood ratios "somebody adds
events at a constant rate" against "nobody does", one for each size of burst. Summed over all
windows in which the burst may have begun (Shiryaev and Roberts) and averaged over the sizes they
are R, and the score is ln R: on clean data R exceeds A about once in A windows. The CUSUM of the
same ratios tells when the burst began.

The burst is *added* to the forecast (m against m + (k-1)·base) and does not multiply it, for an
attacker's rate does not follow the market's excitement. At equal false alarms this detected more
bursts than k·m did, and the sum over beginnings more than the likeliest beginning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from detectors.arrays.types import Float64
from detectors.base import Evidence
from detectors.burst import kernel
from detectors.row_detector import FIRST_ROW, RowDetector, RunBank, count_refusal
from detectors.stats.change_sums import EXPECTED, OBSERVED, WINDOWS
from detectors.stats.limits import NUMBER_MAX
from detectors.window_run import WindowRun


class BurstBank(RunBank):
    """`BurstDetector`s with the same parameters, a row of numbers each."""

    log_likelihood = True

    def __init__(self, sizes: tuple[float, ...], warm_up: int, patience: int) -> None:
        width = kernel.SIZES + kernel.PER_SIZE * len(sizes)
        super().__init__(width, "with the same sizes", warm_up, patience)
        self._sizes = np.array(sizes)
        self._clear_memo()

    def init_rows(self, rows: Float64) -> None:
        kernel.init_rows(rows, self._warm_up)
        self._clear_memo()

    def _clear_memo(self) -> None:
        """Forget what the last judged counts came to, which saves learning the same work."""
        width = kernel.M_EVIDENCE + 2 * len(self._sizes)
        self._memo = np.full((len(self._rows), width), np.nan)

    def run(self, steps: int, low: int, block: int, windows: WindowRun) -> tuple[int, bool]:
        chosen = self._sizes, self._warm_up, self._patience
        return kernel.run_windows(self._rows, self._memo, *chosen, steps, low, block, windows)

    def refusal(self, value: Float64) -> str | None:
        return count_refusal(value[0])

    def evidence(self, row: int, value: Float64) -> Evidence | None:
        score = self.judge(np.array([row]), value.reshape(1, -1))[0]
        if not score > 0.0:
            return None
        memo = self._memo[row]
        evidence, cusum = memo[kernel.M_EVIDENCE :].reshape(2, -1)
        likeliest = int(evidence.argmax())
        count, forecast = float(value[0]), float(memo[kernel.M_FORECAST])
        if cusum[likeliest] <= 0.0:
            return Evidence(count, forecast, "events", 1)
        since = self._rows[row, kernel.SIZES + kernel.PER_SIZE * likeliest :]
        seen, expected, windows = since[[OBSERVED, EXPECTED, WINDOWS]].tolist()
        return Evidence(seen + count, expected + forecast, "events", int(windows) + 1)

    def forecast(self, value: Float64) -> float | None:
        """Of the first row, for a window with the count `value`; None: it is learning."""
        score = self.judge(FIRST_ROW, value)[0]
        return float(self._memo[0, kernel.M_FORECAST]) if score == score else None

    def report(self, row: int, value: Float64) -> None:
        if 0.0 <= value[0] <= NUMBER_MAX:
            kernel.report(self._rows, self._memo, self._sizes, self._patience, row, value[0])

    def restore(self, state: Float64) -> None:
        super().restore(state)
        self._clear_memo()


class BurstDetector(RowDetector):
    """Mixture of Shiryaev–Roberts sums for added events, on a self-exciting forecast.

    After `report_one` the detector is *in an episode*: its evidence starts anew, its fit learns
    nothing, and its forecast stays as it was before the burst. Once it is likelier that the burst
    is over, the means follow the stream again, and when that is `patience` times likelier the
    episode ends (Page's test, backwards). An episode longer than `patience` is no burst but a new
    level, which is then learnt at once. So a lasting shift is reported for at most `patience`
    windows (a shift beyond the learning ceiling: once more for each factor of five).

    Parameters
    ----------
    feature
        The key that holds the count of the window, ≥ 0.
    sizes
        The burst sizes looked for, each > 1: the rate in the burst over the usual rate.
    warm_up
        Windows to learn before the first judgement, ≥ 1.
    patience
        Windows after which a reported episode is the new normal, ≥ 1.

    Examples
    --------
    >>> from detectors.burst.detector import BurstDetector
    >>> detector = BurstDetector()
    >>> detector.judge_one({"count": 4}).why
    'learning: 0 of 300 windows seen'
    >>> for i in range(600):
    ...     detector.learn_one({"count": 3 + i % 3})
    >>> detector.judge_one({"count": 4}).value < 2
    True
    >>> detector.judge_one({"count": 40}).value > 30
    True

    References
    ----------
    Shiryaev, "On optimum methods in quickest detection problems", Theory Probab. Appl. 8 (1963);
    Roberts, "A comparison of some control chart procedures", Technometrics 8 (1966);
    Page, "Continuous inspection schemes", Biometrika 41 (1954), for when the change began;
    Hawkes, "Spectra of some self-exciting and mutually exciting point processes",
    Biometrika 58 (1971).
    """

    log_likelihood: ClassVar[bool] = True
    BANK: ClassVar = BurstBank
    PARAMETERS: ClassVar = ("sizes", "warm_up", "patience")
    _row: BurstBank

    def __init__(
        self,
        feature: str = "count",
        sizes: tuple[float, ...] = (1.35, 2.0, 3.0, 5.0),
        warm_up: int = 300,
        patience: int = 300,
    ) -> None:
        if not sizes or min(sizes) <= 1:
            raise ValueError(f"sizes must be burst sizes above 1, not {sizes}")
        self.feature = feature
        self.sizes = sizes
        self.warm_up = warm_up
        self.patience = patience
        self._init_row()

    def forecast_one(self, x: Mapping[Any, Any]) -> tuple[float, float] | str:
        """The count and the forecast of this window, or why there is no judgement."""
        count = self._read(x)
        if isinstance(count, str):
            return count
        forecast = self._row.forecast(count)
        return self._row.why(0, count[0]) if forecast is None else (float(count[0, 0]), forecast)
