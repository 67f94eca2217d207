"""Findings about a market's own data: its book unsound or frozen, a feed of it stale,
its mark off.

`monitor/core/features/data_quality.py` decides the conditions for each window; here their
beginnings, growth and ends become findings. A rule decides, so there is no p-value and no budget.
"""

from __future__ import annotations

from math import expm1, floor

import numpy as np

from detectors.arrays.growable import grow_rows
from detectors.arrays.state import Stateful
from detectors.arrays.types import Float64, Int64
from monitor.core.contract.feature_catalogue import FEATURES, QUALITY_FEATURES
from monitor.core.contract.units import SECOND_NS
from monitor.core.detection.judge import ClosedSpan
from monitor.core.features.compute import FEATURE_COLUMN
from monitor.core.features.data_quality import QUALITY
from monitor.core.finding import Finding
from monitor.core.windows.contributors import RecentWindows

_CONDITIONS = (
    ("unsound", "unsound_book"), ("stale_book", "stale_book"), ("stale_mark", "stale_mark"),
    ("stale_index", "stale_index"), ("off", "mark_off_market"),
    ("frozen", "frozen_book"),
)  # fmt: skip
"""Columns of `data_quality.OUTPUT_COLUMNS` and the streams of their findings."""
_COLUMNS = [getattr(QUALITY, column) for column, _ in _CONDITIONS]
_STREAMS = tuple(stream for _, stream in _CONDITIONS)
_AGES = {"stale_book": "book", "stale_mark": "mark", "stale_index": "index"}
_WITNESSES = {1: "book", 2: "trades", 3: "book and trades"}
assert set(_STREAMS) == set(QUALITY_FEATURES)


class MarketQuality(Stateful):
    """The conditions that hold in the markets of a shard, by symbol number."""

    STATE = "_now", "_since"

    def __init__(self, partition: int, window_ns: int, history: RecentWindows) -> None:
        self._partition = partition
        self._window_s = window_ns / SECOND_NS
        self._history = history
        self._now: Float64 = np.zeros((0, len(_STREAMS)))
        """By symbol: 0, or the number of times that the condition has been reported."""
        self._since: Int64 = np.zeros((0, len(_STREAMS)), np.int64)
        """The window in which it began."""

    def judge(self, closed: ClosedSpan) -> list[Finding]:
        """What begins, grows or ends in these windows, by window and symbol."""
        features = closed.features
        windows = closed.until - closed.low
        if not len(features.window):
            return []
        symbols = features.symbol[: len(features.symbol) // windows]
        known = int(symbols.max()) + 1
        self._now = grow_rows(self._now, known)
        self._since = grow_rows(self._since, known)
        now = features.quality[:, _COLUMNS].reshape(windows, len(symbols), len(_STREAMS))
        before = np.concatenate((self._now[symbols][None], now[:-1]))
        self._now[symbols] = now[-1]
        return [
            self._finding(closed, w * len(symbols) + k, condition, before[w, k, condition])
            for w, k, condition in np.argwhere(now != before).tolist()
        ]

    def _finding(self, closed: ClosedSpan, row: int, condition: int, before: float) -> Finding:
        """`row`: of the features. `before`: the condition in the window before."""
        features, stream = closed.features, _STREAMS[condition]
        quality = features.quality[row]
        window, symbol = int(features.window[row]), int(features.symbol[row])
        is_end = quality[_COLUMNS[condition]] == 0.0
        if before == 0.0:
            self._since[symbol, condition] = self._begin(
                features.values[row], quality, stream, window
            )
        since = int(self._since[symbol, condition])
        facts: dict[str, float | int | str | None] = {
            "lasted_s": (window + 1 - since) * self._window_s,
            "with_index": int(quality[QUALITY.with_index]),
        }
        if stream == "unsound_book":
            observed, expected = float(quality[QUALITY.unsound_bps]), 0.0
        elif stream == "mark_off_market":
            observed, expected = 100.0 * expm1(quality[QUALITY.gap]), 0.0
            facts["witnesses"] = _WITNESSES.get(int(quality[QUALITY.witnesses]), "market")
            unchanged = int(quality[QUALITY.unchanged_since])
            facts["unchanged_s"] = (window + 1 - unchanged) * self._window_s if unchanged else None
            facts["limit_pct"] = 100.0 * expm1(quality[QUALITY.limit])
        elif stream == "frozen_book":
            observed = (window + 1 - since) * self._window_s
            expected = float(quality[QUALITY.usual_content])
        else:
            age, usual = f"{_AGES[stream]}_age_s", f"usual_{_AGES[stream]}"
            observed = (window + 1 - since) * self._window_s
            if not is_end:
                observed = float(features.values[row, FEATURE_COLUMN[age]])
            expected = float(quality[getattr(QUALITY, usual)])
        where = window, since, self._partition, closed.names[symbol]
        records = self._history.record_ranges(symbol, since, window, FEATURES[stream].records)
        numbers = observed, expected, 0.0
        return Finding(
            *where, stream, stream, *numbers, records=records, facts=facts, is_end=bool(is_end)
        )

    def _begin(self, values: Float64, quality: Float64, stream: str, window: int) -> int:
        """The window in which a condition that is reported now began."""
        if stream == "unsound_book":
            return int(quality[QUALITY.unsound_since])
        if stream == "mark_off_market":
            return int(quality[QUALITY.off_since])
        if stream == "frozen_book":
            return int(quality[QUALITY.frozen_since])
        age_s = float(values[FEATURE_COLUMN[f"{_AGES[stream]}_age_s"]])
        return floor(window + 1 - age_s / self._window_s)
