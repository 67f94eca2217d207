"""Alerts for Prometheus: what was published, and what fires now with its sentence.

A sentence is a label here, against the rule that labels hold no prose: so a dashboard shows it
without a data source of its own, which Grafana would have to be given a plugin for. What that costs
is bounded, because the budget bounds alerts: a series for each alert that is published, and no more
than `FIRING_LISTED` at once (`docs/decisions/0063-sentences-of-what-fires-are-labels.md`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from monitor.core.contract.alert import Alert
from monitor.core.contract.units import SECOND_NS
from monitor.delivery.texts import without_accounts
from monitor.metrics.catalogue import counter, gauge_family

SYMBOLS_MAX = 500
"""The first so many symbols that alert have a series of their own; the rest share one."""
OTHER, SEVERAL = "(other)", "(several)"
"""Labels for symbols beyond `SYMBOLS_MAX`, and for alerts on more than one symbol."""
FIRING_LISTED = 50
"""Sentences shown at once: those of the gravest, and of these the newest."""
SUMMARY_MAX = 300
"""Characters of a sentence that are shown."""
GRAVITY = ("critical", "warning", "info")


class SymbolLabels:
    """The label for an alert's symbols; bounded."""

    def __init__(self) -> None:
        self._symbols: set[str] = set()

    def label(self, symbols: tuple[str, ...]) -> str:
        """The one symbol, or what stands for several and for those beyond the limit."""
        if len(symbols) != 1:
            return SEVERAL
        if len(self._symbols) < SYMBOLS_MAX:
            self._symbols.add(symbols[0])
        return symbols[0] if symbols[0] in self._symbols else OTHER


class FiringAlerts(Collector):
    """The incidents that fire and that no silence covers, by their last alert."""

    def __init__(self, labels: SymbolLabels) -> None:
        self._labels = labels
        self._firing: dict[str, Alert] = {}
        self._seen: set[tuple[str, str, str]] = set()
        """Labels of what has fired: what ends stays as a zero, for a series that only stops is
        shown on for five minutes."""

    def restart(self, alerts: Iterable[Alert]) -> None:
        """Only these fire: those of a stage that has begun."""
        self._firing = {}
        self.follow(alerts)

    def follow(self, alerts: Iterable[Alert]) -> None:
        """Take alerts in the order of their publication."""
        firing = dict(self._firing)  # a scrape may be reading the old one
        for alert in alerts:
            firing.pop(alert.incident, None)
            if alert.status != "resolved" and alert.silenced_by is None:
                firing[alert.incident] = without_accounts(alert)
        self._firing = firing

    def collect(self) -> Iterator[Metric]:
        """Nothing before anything has fired."""
        firing = self._firing.values()
        counts: Counter[tuple[str, str, str]] = Counter(
            (a.severity, a.kind, self._labels.label(a.symbols)) for a in firing
        )
        number = gauge_family("alerts_firing")
        self._seen |= counts.keys()
        for labels in sorted(self._seen):
            number.add_metric(labels, counts[labels])
        since = gauge_family("alert_since_timestamp_seconds")
        gravest = sorted(firing, key=lambda a: (GRAVITY.index(a.severity), -a.ts, a.id))
        for alert in gravest[:FIRING_LISTED]:
            symbol = self._labels.label(alert.symbols)
            text = alert.summary[:SUMMARY_MAX]
            own = alert.incident, alert.severity, alert.kind, symbol, text
            since.add_metric(own, alert.since / SECOND_NS)
        yield from (number, since)


class AlertCounters:
    """Counts what is published."""

    def __init__(self, registry: CollectorRegistry, labels: SymbolLabels) -> None:
        self._labels = labels
        self._alerts = counter("alerts_total", registry)
        self._incidents = counter("incidents_total", registry)
        self._silenced = counter("alerts_silenced_total", registry)
        self._evidence = counter("evidence_total", registry)

    def count(self, alerts: Iterable[Alert]) -> None:
        """They are published. Each count has the id of its last alert as its exemplar."""
        for alert in alerts:
            symbol = self._labels.label(alert.symbols)
            labels = alert.kind, symbol, alert.severity, alert.status
            self._alerts.labels(*labels).inc(exemplar={"alert_id": alert.id})
            if alert.silenced_by is not None:
                self._silenced.labels(alert.severity).inc()
            elif alert.is_opening:
                self._incidents.labels(alert.kind, symbol, alert.severity).inc()
                for detector, stream in {(e.detector, e.stream) for e in alert.evidence}:
                    self._evidence.labels(detector, stream).inc()
