"""How detectors do, for Prometheus: what judges and what learns, the budget, people's verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from monitor.core.settings import EngineSettings
from monitor.core.watch_state import ProgressSpan, watch_state
from monitor.desk.verdicts import FILE, VerdictFile
from monitor.errors import BrinkwatchError
from monitor.metrics.catalogue import gauge_family, one_gauge

STATES = ("judging", "learning", "out")


class StreamCollector(Collector):
    """Streams by whether they judge, and the budget of false alerts."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self.spans: dict[str, ProgressSpan] = {}
        """How far the shards and the venue stage of this process are, by owner."""

    def collect(self) -> Iterator[Metric]:
        """No stream before a shard or the stage has said how far it is."""
        yield one_gauge("budget_alerts_per_day", self._settings.alerts.per_day)
        family = gauge_family("streams")
        spans = list(self.spans.values())
        for name, state in watch_state(self._settings, spans).items() if spans else ():
            counts = state.judging, state.learning, state.out
            for label, number in zip(STATES, counts, strict=True):
                family.add_metric([name, label], number)
        yield family


class FeedbackCollector(Collector):
    """The verdicts in the folder of the state, read again when their file has changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: tuple[int, int] | None = None
        self._counts: Counter[tuple[str, str, str]] = Counter()

    def collect(self) -> Iterator[Metric]:
        """Nothing before the first verdict; a file that cannot be read keeps the last counts."""
        file = self._folder / FILE
        try:
            stat = file.stat()
            if self._seen != (stat.st_mtime_ns, stat.st_size):
                latest = VerdictFile(self._folder).latest
                self._counts = Counter(
                    (one.detector, one.stream, "true" if one.is_true else "false") for one in latest
                )
                self._seen = stat.st_mtime_ns, stat.st_size
        except (OSError, BrinkwatchError):
            pass
        family = gauge_family("feedback_incidents")
        for labels, number in sorted(self._counts.items()):
            family.add_metric(labels, number)
        yield family
