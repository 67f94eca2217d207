"""One detector for each stream of each symbol: score a window, judge it, then learn it."""

from __future__ import annotations

from collections.abc import Sequence

from detectors.arrays.runs import equal_runs
from detectors.arrays.state import Stateful
from detectors.base import Evidence
from monitor.core.contract.feature_catalogue import FEATURES
from monitor.core.decode.batch import Int64
from monitor.core.detection.detector_group import (
    DetectorFactory,
    DetectorGroup,
    WindowScores,
    detector_groups,
)
from monitor.core.detection.judge import ClosedSpan
from monitor.core.features.compute import FEATURE_COLUMN
from monitor.core.finding import Finding
from monitor.core.settings import EngineSettings
from monitor.core.windows.recent_windows import RecentWindows


class SingleStreams(Stateful):
    """All streams of all symbols of a shard.

    A stream begins with the first window in which its number is there and is not 0: a feed that a
    venue does not have costs nothing and takes no share of the budget.
    """

    STATE = "_ready", "_groups"

    def __init__(
        self,
        settings: EngineSettings,
        factories: Sequence[DetectorFactory],
        partition: int,
        partitions: int,
        history: RecentWindows,
    ) -> None:
        self._settings = settings
        self._partition = partition
        self._partitions = partitions
        self._history = history
        self._budget = settings.budget.single_streams
        self._window_s = settings.time.window_s
        self._groups = detector_groups(
            settings.streams,
            factories,
            FEATURE_COLUMN,
            settings.time.windows_per_day,
            self._p_limit(1),
        )
        self._ready = 0
        """Streams that could judge in the last window."""

    def _p_limit(self, ready: int) -> float:
        return self._budget.p_limit(self._window_s, ready, self._partitions)

    def judge(self, closed: ClosedSpan) -> list[Finding]:
        """Judge windows in order; learn each after it was judged."""
        features = closed.features
        if not self._groups or not len(features.window):
            return []
        for group in self._groups:
            group.grow(int(features.symbol.max()) + 1)
        values = [group.values(features.values) for group in self._groups]
        findings = []
        for a, b in equal_runs(features.window):
            limit = self._p_limit(self._ready)
            symbols = features.symbol[a:b]
            scores = [
                group.judge(symbols, value[a:b], present[a:b], limit)
                for group, (value, present) in zip(self._groups, values, strict=True)
            ]
            pairs = list(zip(self._groups, scores, strict=True))
            self._ready = sum(group.count_ready(one) for group, one in pairs)
            if any(one.rare for one in scores):
                findings += self._findings(int(features.window[a]), symbols, pairs, closed.names)
            for group, one in pairs:
                group.learn(one)
        return findings

    def _findings(
        self,
        window: int,
        symbols: Int64,
        scores: list[tuple[DetectorGroup, WindowScores]],
        names: dict[int, str],
    ) -> list[Finding]:
        """Of one window, by symbol and stream."""
        streams = self._settings.streams
        findings = []
        every = [rare for _, one in scores for rare in one.rare]
        for rare in sorted(every, key=lambda rare: (rare.symbol, rare.stream)):
            symbol = int(symbols[rare.symbol])
            finding = self._finding(window, symbol, rare.stream, rare.p, rare.evidence, names)
            silent = [pair for group, one in scores for pair in group.abstentions(one, rare.symbol)]
            finding.abstained = [(streams[i].feature, why) for i, why in sorted(silent)]
            findings.append(finding)
        return findings

    def _finding(
        self, window: int, symbol: int, i: int, p: float, evidence: Evidence, names: dict[int, str]
    ) -> Finding:
        stream = self._settings.streams[i]
        since = window - evidence.windows + 1
        feature = FEATURES[stream.feature]
        carrier = feature.account_count
        # Accounts are set against the stream's own number where it is the count of their records.
        total = evidence.observed if carrier == stream.feature else None
        scale = 1.0
        if evidence.trials:  # a ratio: as a share of its trials
            scale = 1.0 / evidence.trials
        elif evidence.unit == "value" and feature.form in ("count", "amount"):
            scale = float(evidence.windows)  # the mean of a window: as a sum over all of them
        return Finding(
            window=window,
            since=since,
            partition=self._partition,
            symbol=names[symbol],
            stream=stream.feature,
            detector=stream.detector,
            observed=evidence.observed * scale,
            expected=evidence.expected * scale,
            p=p,
            accounts=self._history.account_shares(symbol, since, window, carrier, total)
            if carrier
            else [],
            records=self._history.record_ranges(symbol, since, window, feature.records),
        )
