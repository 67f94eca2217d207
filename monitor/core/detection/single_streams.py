"""One detector for each stream of each symbol: score a window, judge it, then learn it."""

from __future__ import annotations

from collections.abc import Sequence

from detectors.arrays.state import Stateful
from monitor.core.contract.feature_catalogue import FEATURES
from monitor.core.detection.detector_group import (
    DetectorFactory,
    DetectorGroups,
    RareScore,
    StreamProgress,
)
from monitor.core.detection.judge import ClosedSpan
from monitor.core.detection.streams_out import stream_out_finding
from monitor.core.features.compute import FEATURE_COLUMN
from monitor.core.finding import Finding
from monitor.core.settings import EngineSettings
from monitor.core.windows.contributors import RecentWindows
from monitor.core.windows.rests import Rests


class SingleStreams(Stateful):
    """All streams of all symbols of a shard.

    A stream begins with the first window in which its number is present, be it a known 0: a feed
    that a venue does not have costs nothing and takes no share of the budget.
    """

    STATE = ("_groups",)

    def __init__(
        self, settings: EngineSettings, factories: Sequence[DetectorFactory], partition: int,
        partitions: int, history: RecentWindows, rests: Rests,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._partition = partition
        self._history, self._rests = history, rests
        budget = settings.budget.single_streams, settings.time.window_ns, partitions
        self._groups = DetectorGroups(
            settings.streams, factories, FEATURE_COLUMN, *budget, settings.moments
        )

    def judge(self, closed: ClosedSpan) -> list[Finding]:
        """Judge windows in order; learn each after it was judged."""
        features = closed.features
        if not self._groups or not len(features.window):
            return []
        self._groups.grow(int(features.symbol.max()) + 1)
        symbols = features.symbol[: len(features.symbol) // (closed.until - closed.low)]
        self._groups.begin(symbols, features.values)
        findings = []
        for i, window in enumerate(range(closed.low, closed.until)):
            for rare in self._groups.judge(i):
                symbol = int(symbols[rare.symbol])
                abstained = self._groups.abstentions(rare.symbol, i)
                name = closed.names[symbol]
                findings.append(self._finding(window, symbol, name, rare, abstained))
            self._groups.learn(i)
            for out in self._groups.drain_out():
                stream = self._settings.streams[out.stream]
                what = closed.names[out.symbol], stream.feature, stream.detector, out.why
                findings.append(stream_out_finding(window, self._partition, *what))
        return findings

    def progress(self) -> list[StreamProgress]:
        """How far each stream of a shard has come."""
        return self._groups.progress()

    def _finding(
        self, window: int, symbol: int, name: str, rare: RareScore, abstained: list[tuple[int, str]]
    ) -> Finding:
        streams = self._settings.streams
        stream, evidence = streams[rare.stream], rare.evidence
        since = self._rests.begin_of(window, evidence.windows)
        # The number behind the evidence: of a ratio that of the stream, else an input's own.
        name_of = stream.feature if evidence.trials else stream.input_features[evidence.feature]
        feature = FEATURES[name_of]
        scale = 1.0
        if evidence.trials:  # a ratio: as a share of its trials
            scale = 1.0 / evidence.trials
        elif evidence.unit == "value" and feature.is_additive:
            scale = float(evidence.windows)  # the mean of a window: as a sum over all of them
        observed, expected = evidence.observed * scale, evidence.expected * scale
        accounts = []
        if feature.account_count:
            # Shares are of the stream's own number where it is the count of the accounts' records.
            total = observed if feature.account_count == name_of else None
            count = feature.account_count
            accounts = self._history.account_shares(symbol, since, window, count, total)
        labels = self._settings.stream_labels
        return Finding(
            window, since, self._partition, name, name_of, stream.detector, observed, expected,
            rare.p, accounts,
            records=self._history.record_ranges(symbol, since, window, feature.records),
            abstained=[(labels[i], why) for i, why in abstained], seen=rare.seen,
        )  # fmt: skip
