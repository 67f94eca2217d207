"""The detectors on their streams: score, judge, then learn; every window of every symbol once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from detectors.base import Evidence
from detectors.calibration.calibrator import AlertBudget
from monitor.core.contract.feature_catalogue import FEATURES
from monitor.core.decode.batch import Int64
from monitor.core.detection.detector_group import DetectorGroup, WindowScores, group_streams
from monitor.core.detection.detector_group import Factory as Factory
from monitor.core.features.compute import FEATURE_COLUMN, Features
from monitor.core.finding import Finding
from monitor.core.settings import EngineSettings
from monitor.core.windows.recent_windows import RecentWindows


class SingleStreams:
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
        history: RecentWindows,
    ) -> None:
        self._settings = settings
        self._partition = partition
        self._partitions = partitions
        self._history = history
        mine = [i for i, stream in enumerate(settings.streams) if stream.feature in FEATURE_COLUMN]
        per_day = settings.time.windows_per_day
        self._groups = [
            DetectorGroup(
                settings.streams,
                group,
                factories[group[0]],
                FEATURE_COLUMN,
                per_day,
                self._budget(1),
            )
            for group in group_streams(mine, factories)
        ]
        self._ready = 0

    def judge(self, features: Features, names: dict[int, str]) -> list[Finding]:
        """Judge windows in order; learn each after it was judged."""
        if not self._groups or not len(features.window):
            return []
        for group in self._groups:
            group.grow(int(features.symbol.max()) + 1)
        values = [group.values(features.values) for group in self._groups]
        begin = np.flatnonzero(np.diff(features.window, prepend=-1)).tolist()
        findings = []
        for a, b in zip(begin, [*begin[1:], len(features.window)], strict=True):
            limit = self._budget(self._ready).p_limit
            symbols = features.symbol[a:b]
            judged = [
                group.judge(symbols, value[a:b], there[a:b], limit)
                for group, (value, there) in zip(self._groups, values, strict=True)
            ]
            pairs = list(zip(self._groups, judged, strict=True))
            self._ready = sum(group.count_ready(one) for group, one in pairs)
            if any(one.rare for one in judged):
                findings += self._findings(int(features.window[a]), symbols, pairs, names)
            for group, one in pairs:
                group.learn(one)
        return findings

    def _budget(self, ready: int) -> AlertBudget:
        """The venue's budget, shared alike by all streams that could judge in the window before,
        in this and (as far as known here) in the other partitions.
        """
        return AlertBudget(
            self._settings.single_per_day,
            self._settings.time.window_ms / 1000,
            max(1, ready) * self._partitions,
        )

    def _findings(
        self,
        window: int,
        symbols: Int64,
        judged: list[tuple[DetectorGroup, WindowScores]],
        names: dict[int, str],
    ) -> list[Finding]:
        """Of one window, by symbol and stream."""
        rare = [found for _, one in judged for found in one.rare]
        rare.sort(key=lambda found: (found.symbol, found.stream))
        findings = []
        for found in rare:
            symbol = int(symbols[found.symbol])
            finding = self._finding(window, symbol, found.stream, found.p, found.evidence, names)
            said = [why for group, one in judged for why in group.abstentions(one, found.symbol)]
            streams = self._settings.streams
            finding.abstained = [(streams[i].feature, why) for i, why in sorted(said)]
            findings.append(finding)
        return findings

    def _finding(
        self, window: int, symbol: int, i: int, p: float, evidence: Evidence, names: dict[int, str]
    ) -> Finding:
        stream = self._settings.streams[i]
        since = window - evidence.windows + 1
        told = FEATURES[stream.feature]
        carrier = told.account_count
        # Accounts are weighed against the stream's own number where they are counted in it.
        total = evidence.observed if carrier == stream.feature else None
        scale = 1.0
        if evidence.trials:  # a share is told as such
            scale = 1.0 / evidence.trials
        elif evidence.unit == "value" and told.form in ("count", "amount"):
            scale = float(evidence.windows)  # a mean, told as a rate
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
            records=self._history.record_ranges(symbol, since, window, told.records),
        )

    def snapshot(self) -> dict[str, Any]:
        return {"ready": self._ready, "groups": [group.snapshot() for group in self._groups]}

    def restore(self, state: dict[str, Any]) -> None:
        self._ready = state["ready"]
        for group, held in zip(self._groups, state["groups"], strict=True):
            group.restore(held)
