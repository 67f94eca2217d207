"""Every metric of the sidecar, for Prometheus.

Labels are bounded: kinds, reasons, topics, partitions, and symbols up to `SYMBOLS_MAX`; never an
account. Names follow Prometheus: base units and a suffix for the type or the unit. A scrape that
asks for OpenMetrics gets exemplars: each count of published alerts carries the id of the last one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

import monitor
from monitor.band_metrics import BandCollector
from monitor.core.accounts.liquidation_outcomes import FORCED_CAUSES, VERDICTS, Outcomes
from monitor.core.contract.events import Control
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.codec import REASONS
from monitor.core.event_time.admission import RecordCounts
from monitor.core.event_time.clock_state import NEVER
from monitor.delivery.counters import DeliveryCounters
from monitor.kafka.dead_letters import DeadLetter
from monitor.kafka.partitions import PartitionKey, PartitionOffsets, PartitionProgress
from monitor.kafka.reader import PollResult
from monitor.kafka.transactions import Outbox
from monitor.live.cascade_graph import GraphCollector

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SYMBOLS_MAX = 500
"""The first so many symbols that alert have a count of their own; the rest share one."""
OTHER, SEVERAL = "(other)", "(several)"
"""Labels for symbols beyond `SYMBOLS_MAX`, and for alerts on more than one symbol."""


class EngineCounts(Protocol):
    """What an engine has counted, or the shards and the venue stage of a process together."""

    @property
    def windows(self) -> int: ...
    @property
    def closed_ns(self) -> int: ...
    def tally(self) -> RecordCounts: ...
    @property
    def clocks(self) -> Mapping[PartitionKey, PartitionProgress]: ...
    @property
    def outcomes(self) -> Outcomes | None: ...
    @property
    def streams_out(self) -> Mapping[str, int]: ...


class EngineCollector(Collector):
    """What the engine has counted; the snapshots hold it, so a restart does not reset it."""

    def __init__(self) -> None:
        self.engine: EngineCounts | None = None

    def collect(self) -> Iterator[Metric]:
        """Read by a scrape; numbers of one engine, perhaps in the middle of a step."""
        if self.engine is not None:
            yield from self._counters(self.engine)
            yield self._event_times(self.engine)
            closed_ns = self.engine.closed_ns
            if closed_ns != NEVER:
                text = "Event time up to which all windows are closed"
                yield GaugeMetricFamily("brinkwatch_watermark_seconds", text, closed_ns / SECOND_NS)
            if self.engine.outcomes is not None:
                yield self._forced_fills(self.engine.outcomes)

    def _event_times(self, engine: EngineCounts) -> Metric:
        """The highest event time of each topic; one far behind the others is late or dead."""
        name, help_text = "brinkwatch_event_timestamp_seconds", "Highest event time read in a topic"
        family = GaugeMetricFamily(name, help_text, labels=["topic"])
        high: dict[str, int] = {}
        for (topic, _), clock in list(engine.clocks.items()):
            if clock.high != NEVER:
                high[topic] = max(high.get(topic, NEVER), clock.high)
        for topic, ts in sorted(high.items()):
            family.add_metric([topic], ts / SECOND_NS)
        return family

    def _forced_fills(self, outcomes: Outcomes) -> Metric:
        """Every cause with every verdict, zeros too: else `rate` would not see the first fill."""
        help_text = "Fills that the venue forced: how far from the price predicted, or why not said"
        labels = ["cause", "verdict"]
        family = CounterMetricFamily("brinkwatch_forced_fills", help_text, labels=labels)
        for cause, counts in zip(FORCED_CAUSES, outcomes.counts.sum(axis=1).tolist(), strict=True):
            for verdict, number in zip(VERDICTS, counts, strict=True):
                family.add_metric([cause, verdict], number)
        return family

    def _counters(self, engine: EngineCounts) -> Iterator[Metric]:
        tally = engine.tally()
        counters = (
            ("events", "Records that the contract accepts, late ones too", "kind", tally.events),
            ("late", "Records that came too late for their windows", "kind", tally.late),
            ("repeated", "Records that say again what one before said", "kind", tally.repeated),
            ("refused", "Records that were not accepted", "reason", tally.refused),
        )
        for name, help_text, label, values in counters:
            family = CounterMetricFamily(f"brinkwatch_{name}", help_text, labels=[label])
            for value, number in sorted(values.items()):
                family.add_metric([value], number)
            yield family
        text = "Streams that are not judged any more, because their detector raised"
        family = CounterMetricFamily("brinkwatch_streams_out", text, labels=["detector"])
        for detector, number in sorted(engine.streams_out.items()):
            family.add_metric([detector], number)
        yield family
        text = "Windows of a symbol that were closed"
        yield CounterMetricFamily("brinkwatch_windows", text, engine.windows)
        text = "Records that had been read before"
        yield CounterMetricFamily("brinkwatch_duplicates", text, tally.duplicates)


class Metrics:
    """Everything that /metrics shows."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.engine_collector = EngineCollector()
        registry.register(self.engine_collector)
        self.band_collector = BandCollector()
        """Its `last` are the newest bands."""
        registry.register(self.band_collector)
        self.graph_collector = GraphCollector()
        """Its `graph` is that of the venue stage."""
        registry.register(self.graph_collector)
        ProcessCollector(registry=registry)
        info = Info("brinkwatch", "What runs here", registry=registry)
        info.info({"version": monitor.__version__})

        def gauge(name: str, help_text: str, *labels: str) -> Gauge:
            return Gauge(f"brinkwatch_{name}", help_text, labels, registry=registry)

        def counter(name: str, help_text: str, *labels: str) -> Counter:
            return Counter(f"brinkwatch_{name}", help_text, labels, registry=registry)

        def seconds(name: str, help_text: str) -> Histogram:
            return Histogram(f"brinkwatch_{name}", help_text, registry=registry, buckets=SECONDS)

        self.fetch = Info("brinkwatch_fetch", "How records are taken in", registry=registry)
        self.ready = gauge("ready", "1 while records are read and the lag is under its limit")
        self.sessions = counter("lives_total", "Times that reading was begun, restored or new")
        self.restore_seconds = gauge("restore_seconds", "How long the last restore took")
        self._records = counter("records_total", "Records read, those read again included")
        self._step = seconds("step_seconds", "The engine's work on what one poll brought")
        self._symbols: set[str] = set()
        self._lag = gauge("lag_records", "Records that wait", "topic", "partition")
        self.delay = gauge("lag_seconds", "Since the oldest record being read came to Kafka")
        text = "When a topic last brought something"
        self._last_record_time = gauge("last_record_timestamp_seconds", text, "topic", "kind")
        self._bad_controls = counter("bad_controls_total", "Records of the control topic that fail")
        labels = "kind", "symbol", "severity", "status"
        self._alerts = counter("alerts_total", "Alerts published", *labels)
        text = "Incidents that began and that no silence covers"
        self._incidents = counter("incidents_total", text, "kind", "symbol", "severity")
        text = "Alerts that a silence covers, published all the same"
        self._silenced = counter("alerts_silenced_total", text, "severity")
        self._dead_letters = counter("dead_letters_total", "Refused records published", "reason")
        for reason in REASONS:
            self._dead_letters.labels(reason)
        text = "Numbers out of range that their records do without"
        self._left_out = counter("numbers_left_out_total", text, "field")
        text = "Records without a value, which are no events"
        self._tombstones = counter("tombstones_total", text, "topic")
        text = "Control records sent for silent topics"
        self._controls = counter("controls_total", text, "topic")
        text = "Records of the venue's own topics, by what became of them"
        self._source_records = counter("source_records_total", text, "source", "outcome")
        self._transactions = counter("transactions_total", "Transactions committed")
        text = "Markets of which a rule is not said, by what; `brinkwatch rules` lists them"
        self._unstated = gauge("rules_unstated", text, "what")
        self._commit = seconds("transaction_seconds", "From the decision to the commit")
        self.delivery = DeliveryCounters(registry)
        self._snapshots = counter("snapshots_total", "Snapshots committed")
        self._snapshot_bytes = gauge("snapshot_bytes", "Size of the last snapshot, compressed")
        self._snapshot_time = gauge("snapshot_timestamp_seconds", "When it was committed")

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
        for alert in work.alerts:
            symbol = self._symbol(alert.symbols)
            labels = alert.kind, symbol, alert.severity, alert.status
            self._alerts.labels(*labels).inc(exemplar={"alert_id": alert.id})
            if alert.silenced_by is not None:
                self._silenced.labels(alert.severity).inc()
            elif alert.is_opening:
                self._incidents.labels(alert.kind, symbol, alert.severity).inc()
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

    def _symbol(self, symbols: tuple[str, ...]) -> str:
        """The label for an alert's symbols; bounded."""
        if len(symbols) != 1:
            return SEVERAL
        if len(self._symbols) < SYMBOLS_MAX:
            self._symbols.add(symbols[0])
        return symbols[0] if symbols[0] in self._symbols else OTHER
