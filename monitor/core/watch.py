"""The detectors on their streams: score, judge, then learn; every window of every symbol once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from detectors.base import Detector, Evidence
from detectors.calibrate import Budget, Calibrator
from monitor.core.features import COLUMN, Features
from monitor.core.findings import Finding
from monitor.core.history import History
from monitor.core.settings import EngineSettings

Factory = Callable[[], Detector]
"""Makes a detector as it stands before it has seen anything."""

RECORD_KINDS = {
    "orders": ("order",),
    "cancels": ("cancel",),
    "trades": ("fill",),
    "liquidations": ("fill",),
    "leverage_raises": ("leverage",),
    "leverage_changes": ("leverage",),
}
"""The kinds of records that a stream counts."""
CARRIERS = {
    "orders": "orders",
    "cancels": "cancels",
    "leverage_raises": "leverage",
    "leverage_changes": "leverage",
}
"""The count by account that tells who carries a stream."""


@dataclass(slots=True)
class _Stream:
    detector: Detector
    calibrator: Calibrator
    key: str
    """The one number that the detector reads."""


class Watch:
    """All streams of all symbols of a shard.

    A stream begins with the first window in which its number is there and is not 0: a feed that a
    venue does not have costs nothing and takes no share of the budget.
    """

    def __init__(
        self,
        settings: EngineSettings,
        factories: Sequence[Factory],
        partition: int,
        partitions: int,
        history: History,
    ) -> None:
        self._settings = settings
        self._factories = factories
        self._partition = partition
        self._partitions = partitions
        self._history = history
        self._columns = [COLUMN[stream.feature] for stream in settings.streams]
        self._streams: dict[tuple[int, int], _Stream] = {}
        self._ready = 0

    def judge(self, features: Features, names: dict[int, str]) -> list[Finding]:
        """Judge windows in order; learn each after it was judged."""
        if not self._columns:
            return []
        values = features.values[:, self._columns].tolist()
        window, symbol = features.window.tolist(), features.symbol.tolist()
        begin = np.flatnonzero(np.diff(features.window, prepend=-1)).tolist()
        findings = []
        for a, b in zip(begin, [*begin[1:], len(window)], strict=True):
            limit = self._limit()
            self._ready = 0
            for row in range(a, b):
                findings += self._symbol(window[row], symbol[row], values[row], limit, names)
        return findings

    def _limit(self) -> float:
        """The p-value below which a window is reported. The venue's budget is shared alike by all
        streams that could judge in the window before, in this and (as far as known here) in the
        other partitions.
        """
        budget = Budget(
            self._settings.alerts.per_day,
            self._settings.time.window_ms / 1000,
            max(1, self._ready) * self._partitions,
        )
        return budget.p_limit

    def _symbol(
        self, window: int, symbol: int, values: list[float], limit: float, names: dict[int, str]
    ) -> list[Finding]:
        findings = []
        abstained = []
        for i, value in enumerate(values):
            stream = self._streams.get((symbol, i))
            name = self._settings.streams[i].feature
            if value != value:  # absent: NaN
                if stream is not None:
                    abstained.append((name, "not in this window"))
                continue
            if stream is None:
                if value == 0:
                    abstained.append((name, "none seen so far"))
                    continue
                stream = self._streams[symbol, i] = self._begin(i)
            x = {stream.key: value}
            score = stream.detector.judge_one(x)
            if score.value is None:
                abstained.append((name, score.why or "no reason given"))
                stream.detector.learn_one(x)
                continue
            waits = stream.calibrator.why
            if waits is None:
                self._ready += 1
            else:
                abstained.append((name, waits))
            p = stream.calibrator.p_value(score.value)
            if p <= limit and score.evidence is not None:
                findings.append(self._finding(window, symbol, i, p, score.evidence, names))
                stream.detector.report_one(x)
            else:
                stream.detector.learn_one(x)
            stream.calibrator.learn(score.value)
        for finding in findings:
            finding.abstained = abstained
        return findings

    def _begin(self, i: int) -> _Stream:
        detector = self._factories[i]()
        windows_per_day = self._settings.time.windows_per_day
        calibrator = Calibrator(detector.log_likelihood, windows_per_day)
        return _Stream(detector, calibrator, detector.features[0])

    def _finding(
        self, window: int, symbol: int, i: int, p: float, evidence: Evidence, names: dict[int, str]
    ) -> Finding:
        stream = self._settings.streams[i]
        since = window - evidence.windows + 1
        carrier = CARRIERS.get(stream.feature)
        kinds = RECORD_KINDS.get(stream.feature, ())
        return Finding(
            window=window,
            since=since,
            partition=self._partition,
            symbol=names[symbol],
            stream=stream.feature,
            detector=stream.detector,
            observed=evidence.observed,
            expected=evidence.expected,
            p=p,
            accounts=self._history.shares(symbol, since, window, carrier, evidence.observed)
            if carrier
            else [],
            records=self._history.records(symbol, since, window, kinds),
        )

    def snapshot(self) -> dict[str, Any]:
        return {
            "ready": self._ready,
            "streams": [
                [symbol, i, stream.detector.state(), stream.calibrator.state()]
                for (symbol, i), stream in self._streams.items()
            ],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._ready = state["ready"]
        self._streams = {}
        for symbol, i, detector, calibrator in state["streams"]:
            stream = self._streams[symbol, i] = self._begin(i)
            stream.detector.restore(detector)
            stream.calibrator.restore(calibrator)
