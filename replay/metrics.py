"""The metrics of recorded days as OpenMetrics, samples every so many seconds of event time.

What `brinkwatch run` would have shown, for the same dashboards: `promtool tsdb create-blocks-from
openmetrics` makes blocks of it. It is written as the replay goes, in the order of time, so that
nothing but the newest numbers is kept; every family's type stands at the head. Alerts, bands and
features are those of the moment. What the engine counts (records, windows, streams) is as of the
step in which the moment passed, and steps are small here (`ROWS`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric, Sample

from monitor.core.accounts.liquidation_outcomes import Outcomes
from monitor.core.bands.market_bands import VenueBands
from monitor.core.contract.alert import Alert
from monitor.core.contract.units import SECOND_NS
from monitor.core.detection.judge import ClosedSpan
from monitor.core.engine import EngineOutput
from monitor.core.event_time.admission import RecordCounts
from monitor.core.event_time.clock_state import NEVER
from monitor.core.settings import EngineSettings
from monitor.core.venue.stage import StageOutput, VenueStage
from monitor.core.watch_state import ProgressSpan
from monitor.metrics.alerts import AlertCounters, FiringAlerts, SymbolLabels
from monitor.metrics.bands import BandCollector
from monitor.metrics.catalogue import CATALOGUE
from monitor.metrics.detectors import StreamCollector
from monitor.metrics.engine import EngineCollector, TopicClock
from monitor.metrics.features import FeatureCollector

ROWS = 2_048
"""Records of a batch at most, where metrics are written."""
LABELS = 'job="brinkwatch-replay",instance="replay"'
"""Those that Prometheus gives to what it scrapes: a dashboard's variable `job` chooses by them."""


FOREVER = 2**62
"""Later than any event time, ns."""


class MetricsTarget(NamedTuple):
    """Where metrics go, and how often (s of event time)."""

    path: Path
    every_s: float = 15.0


class Replayed(Protocol):
    """A replay under way."""

    @property
    def stage(self) -> VenueStage: ...
    @property
    def progress(self) -> list[ProgressSpan]: ...


class _StageCounts:
    """What the stage of a replay has counted, as of a moment."""

    def __init__(self, stage: VenueStage) -> None:
        self._stage = stage
        self.closed_ns = NEVER

    @property
    def windows(self) -> int:
        return self._stage.windows

    def tally(self) -> RecordCounts:
        return self._stage.tally()

    @property
    def clocks(self) -> Mapping[tuple[str, int], TopicClock]:
        return self._stage.clocks

    @property
    def outcomes(self) -> Outcomes | None:
        return self._stage.venue_state.outcomes

    @property
    def streams_out(self) -> Mapping[str, int]:
        return self._stage.streams_out


class DayMetrics:
    """Follows a replay and writes what is so at each moment.

    `every_s`: of event time, between two moments. `first_ts`: of the first record, ns.
    """

    def __init__(
        self, file: BinaryIO, every_s: float, first_ts: int, settings: EngineSettings,
        run: Replayed,
    ) -> None:  # fmt: skip
        self._file, self._run = file, run
        self._every_ns = max(1, round(every_s * SECOND_NS))
        self._window_ns = settings.time.window_ns
        self._next_ns = -(-first_ts // self._every_ns) * self._every_ns
        self._alerts: list[Alert] = []
        self._bands: list[VenueBands] = []
        self._spans: list[tuple[ClosedSpan, int]] = []
        """Closed windows of moments to come, from an index on."""
        self._registry = CollectorRegistry()
        labels = SymbolLabels()
        self._counts = _StageCounts(run.stage)
        self._engine, self._band_collector = EngineCollector(), BandCollector()
        self._engine.engine = self._counts
        self._firing, self._features = FiringAlerts(labels), FeatureCollector(settings)
        self._streams = StreamCollector(settings)
        self._published = AlertCounters(self._registry, labels)
        for collector in (
            self._engine, self._band_collector, self._firing, self._features, self._streams,
        ):  # fmt: skip
            self._registry.register(collector)
        self._write_head()

    def _write_head(self) -> None:
        for name, spec in CATALOGUE.items():
            if spec.is_replayed:
                family = name.removesuffix("_total")
                lines = f"# HELP {family} {_escape(spec.text)}\n# TYPE {family} {spec.type}\n"
                self._file.write(lines.encode())

    def add(self, output: StageOutput) -> None:
        """Take what a step decided; the moments that have passed are written."""
        self._alerts += output.alerts
        self._bands += output.bands
        if isinstance(output, EngineOutput):
            self._spans += [(span, span.low) for span in output.closed]
        stage = self._run.stage
        # The end of a day lets time pass without bound: nothing was read there.
        passed_ns = min(stage.passed_ns, max(p.latest_ns for p in stage.shard_progress))
        while self._next_ns <= passed_ns:
            self._write(self._next_ns, self._next_ns)
            self._next_ns += self._every_ns

    def finish(self) -> None:
        """The day has ended: write a last moment, with all that there is."""
        self._write(self._next_ns, FOREVER)
        self._file.write(b"# EOF\n")

    def _write(self, ts: int, until_ns: int) -> None:
        """The samples of the moment `ts`, of what was decided up to `until_ns`."""
        now = [alert for alert in self._alerts if alert.ts <= until_ns]
        self._alerts = [alert for alert in self._alerts if alert.ts > until_ns]
        self._published.count(now)
        self._firing.follow(now)
        for bands in [bands for bands in self._bands if bands.ts <= until_ns]:
            self._band_collector.last = bands
        self._bands = [bands for bands in self._bands if bands.ts > until_ns]
        self._take_features(until_ns // self._window_ns)
        self._counts.closed_ns = ts
        spans = [*self._run.progress, self._run.stage.progress]
        self._streams.spans = {str(i): span for i, span in enumerate(spans)}
        stamp = f"{ts / SECOND_NS:.3f}"
        for family in self._registry.collect():
            self._file.writelines(_lines(family, stamp))

    def _take_features(self, until: int) -> None:
        """The windows of index below `until`."""
        later = []
        for span, low in self._spans:
            end = min(span.until, until)
            if end > low:
                self._features.take_rows(span, low, end)
            if end < span.until:
                later.append((span, max(low, end)))
        self._spans = later


def _lines(family: Metric, stamp: str) -> list[bytes]:
    return [
        _line(sample, stamp).encode()
        for sample in family.samples
        if not sample.name.endswith("_created")  # by the clock of the machine
    ]


def _line(sample: Sample, stamp: str) -> str:
    own = "".join(f',{name}="{_escape(value)}"' for name, value in sample.labels.items())
    return f"{sample.name}{{{LABELS}{own}}} {_number(sample.value)} {stamp}\n"


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return repr(float(value)) if math.isfinite(value) else f"{value:+}".title()


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
