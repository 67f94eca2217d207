"""Everything that the sidecar's /metrics shows.

A scrape that asks for OpenMetrics gets exemplars: each count of published alerts carries the id of
the last one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, ProcessCollector

import monitor
from monitor.core.contract.alert import Alert
from monitor.core.contract.events import Control
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.codec import REASONS
from monitor.core.settings import EngineSettings
from monitor.delivery.counters import DeliveryCounters
from monitor.kafka.dead_letters import DeadLetter
from monitor.kafka.partitions import PartitionOffsets
from monitor.kafka.reader import PollResult
from monitor.kafka.transactions import Outbox
from monitor.live.cascade_graph import GraphCollector
from monitor.metrics.alerts import AlertCounters, FiringAlerts, SymbolLabels
from monitor.metrics.bands import BandCollector
from monitor.metrics.catalogue import counter, gauge, histogram, info
from monitor.metrics.detectors import FeedbackCollector, StreamCollector
from monitor.metrics.engine import EngineCollector
from monitor.metrics.features import FeatureCollector

REHEARSAL_S = 86_400.0
"""Alerts of event times so long ago are of a recorded day that somebody publishes again: how late
they are says nothing. What is really that late is seen by `lag_seconds`."""


class Metrics:
    """Everything that /metrics shows. `state_dir`: where verdicts are kept; None: nowhere."""

    def __init__(
        self, settings: EngineSettings | None = None, state_dir: Path | None = None
    ) -> None:
        settings = settings or EngineSettings()
        self.registry = registry = CollectorRegistry()
        self.engine_collector = EngineCollector()
        self.band_collector = BandCollector()
        """Its `last` are the newest bands."""
        self.graph_collector = GraphCollector()
        """Its `graph` is that of the venue stage."""
        self.features = FeatureCollector(settings)
        self.streams = StreamCollector(settings)
        labels = SymbolLabels()
        self.firing = FiringAlerts(labels)
        for collector in (
            self.engine_collector, self.band_collector, self.graph_collector, self.features,
            self.streams, self.firing,
        ):  # fmt: skip
            registry.register(collector)
        if state_dir is not None:
            registry.register(FeedbackCollector(state_dir))
        ProcessCollector(registry=registry)
        info("info", registry, monitor.__version__)
        self.ready = gauge("ready", registry)
        self.sessions = counter("lives_total", registry)
        self.restore_seconds = gauge("restore_seconds", registry)
        self._records = counter("records_total", registry)
        self._step = histogram("step_seconds", registry)
        self._lag = gauge("lag_records", registry)
        self.delay = gauge("lag_seconds", registry)
        self._last_record_time = gauge("last_record_timestamp_seconds", registry)
        self._bad_controls = counter("bad_controls_total", registry)
        self._alerts = AlertCounters(registry, labels)
        self._alert_delay = histogram("alert_delay_seconds", registry)
        self._dead_letters = counter("dead_letters_total", registry)
        for reason in REASONS:
            self._dead_letters.labels(reason)
        self._left_out = counter("numbers_left_out_total", registry)
        self._tombstones = counter("tombstones_total", registry)
        self._controls = counter("controls_total", registry)
        self._source_records = counter("source_records_total", registry)
        self._transactions = counter("transactions_total", registry)
        self._unstated = gauge("rules_unstated", registry)
        self._commit = histogram("transaction_seconds", registry)
        self.delivery = DeliveryCounters(registry)
        self._snapshots = counter("snapshots_total", registry)
        self._snapshot_bytes = gauge("snapshot_bytes", registry)
        self._snapshot_time = gauge("snapshot_timestamp_seconds", registry)

    def show_fetch(self, mode: str) -> None:
        """How records are taken in."""
        info("fetch_info", self.registry, mode)

    def count_step(self, records: int, seconds: float) -> None:
        """The engine has taken records in."""
        if records:
            self._records.inc(records)
            self._step.observe(seconds)

    def count_left_out(self, numbers: Mapping[str, int]) -> None:
        """Records came without numbers that were out of range; `numbers`: by `kind.field`."""
        for name, number in numbers.items():
            self._left_out.labels(name).inc(number)

    def count_tombstones(self, topic: str, number: int) -> None:
        """Records without a value have come."""
        self._tombstones.labels(topic).inc(number)

    def count_turn(self, lag: PartitionOffsets, polled: PollResult) -> None:
        """A session has made a turn."""
        for (topic, partition), waiting in lag.items():
            self._lag.labels(topic, partition).set(waiting)
            self._controls.labels(topic)  # zero from the start, or `rate` would not see the first
        self._bad_controls.inc(polled.bad_controls)
        for part in polled.parts:
            if not len(part.timestamps_ms):
                continue
            time_of = self._last_record_time.labels(part.topic, part.kind)
            time_of.set(part.timestamps_ms[-1] / 1000)

    def count_unstated(self, markets: Mapping[str, int]) -> None:
        """Of how many markets each rule is not said."""
        for what, number in markets.items():
            self._unstated.labels(what).set(number)

    def count_commit(self, work: Outbox, seconds: float) -> None:
        """A transaction is committed."""
        self._transactions.inc()
        self._commit.observe(seconds)
        self._alerts.count(work.alerts)
        self._observe_delays(work.alerts)
        self._count_letters(work.dead_letters, work.controls)
        if work.snapshot:
            self._snapshots.inc()
            self._snapshot_bytes.set(sum(len(chunk.value) for chunk in work.snapshot))
            self._snapshot_time.set(time.time())

    def count_source(self, source: str, outcome: str) -> None:
        """A record of a source has been taken in."""
        self._source_records.labels(source, outcome).inc()

    def count_intake(
        self, letters: list[DeadLetter], controls: list[Control], seconds: float
    ) -> None:
        """A transaction of the intake is committed."""
        self._transactions.inc()
        self._commit.observe(seconds)
        self._count_letters(letters, controls)

    def _count_letters(self, letters: list[DeadLetter], controls: list[Control]) -> None:
        for letter in letters:
            self._dead_letters.labels(letter.record.reason).inc()
        for control in controls:
            self._controls.labels(control.topic).inc()

    def _observe_delays(self, alerts: list[Alert]) -> None:
        now_s = time.time()
        for alert in alerts:
            delay_s = now_s - alert.ts / SECOND_NS
            if 0 <= delay_s < REHEARSAL_S:
                self._alert_delay.observe(delay_s)
