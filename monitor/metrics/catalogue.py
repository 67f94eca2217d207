"""Every metric in one table: its type, its labels, and what it says.

Whatever shows a number makes its series from here, `docs/metrics.md` is generated from here, and
the dashboards and rules ask for nothing that is not here. Names follow Prometheus: base units, and
a suffix for the type or the unit. Labels are bounded, and never an account.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds of the buckets of times."""
DELAYS = (1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""The same for how late an alert is: the lateness in force (a second) is part of it."""

MetricType = Literal["counter", "gauge", "histogram", "info"]


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One metric. `is_replayed`: whether `replay --metrics` writes it too."""

    type: MetricType
    text: str
    labels: tuple[str, ...] = ()
    is_replayed: bool = False


def _counter(text: str, *labels: str) -> MetricSpec:
    return MetricSpec("counter", text, labels)


def _gauge(text: str, *labels: str) -> MetricSpec:
    return MetricSpec("gauge", text, labels)


def _seconds(text: str) -> MetricSpec:
    return MetricSpec("histogram", text)


def _day_counter(text: str, *labels: str) -> MetricSpec:
    return MetricSpec("counter", text, labels, True)


def _day_gauge(text: str, *labels: str) -> MetricSpec:
    return MetricSpec("gauge", text, labels, True)


_PROCESS = {
    "info": MetricSpec("info", "What runs here", ("version",)),
    "fetch_info": MetricSpec("info", "How records are taken in", ("mode",)),
    "ready": _gauge("1 while records are read and the lag is under its limit"),
    "lives_total": _counter("Times that reading was begun, restored or new"),
    "restore_seconds": _gauge("How long the last restore took"),
    "step_seconds": _seconds("The engine's work on what one poll brought"),
    "transactions_total": _counter("Transactions committed"),
    "transaction_seconds": _seconds("From the decision to the commit"),
    "snapshots_total": _counter("Snapshots committed"),
    "snapshot_bytes": _gauge("Size of the last snapshot, compressed"),
    "snapshot_timestamp_seconds": _gauge("When it was committed"),
}
_RECORDS = {
    "records_total": _counter("Records read, those read again included"),
    "events_total": _day_counter("Records that the contract accepts, late ones too", "kind"),
    "late_total": _day_counter("Records that came too late for their windows", "kind"),
    "repeated_total": _day_counter("Records that say again what one before said", "kind"),
    "refused_total": _day_counter("Records that were not accepted", "reason"),
    "duplicates_total": _day_counter("Records that had been read before"),
    "dead_letters_total": _counter("Refused records published", "reason"),
    "numbers_left_out_total": _counter(
        "Numbers out of range that their records do without", "field"
    ),
    "tombstones_total": _counter("Records without a value, which are no events", "topic"),
    "source_records_total": _counter(
        "Records of the venue's own topics, by what became of them", "source", "outcome"
    ),
    "controls_total": _counter("Control records sent for silent topics", "topic"),
    "bad_controls_total": _counter("Records of the control topic that fail"),
}
_TIME = {
    "lag_records": _gauge("Records that wait", "topic", "partition"),
    "lag_seconds": _gauge("Since the oldest record being read came to Kafka"),
    "last_record_timestamp_seconds": _gauge("When a topic last brought something", "topic", "kind"),
    "event_timestamp_seconds": _day_gauge("Highest event time read in a topic", "topic"),
    "watermark_seconds": _day_gauge("Event time up to which all windows are closed"),
    "windows_total": _day_counter("Windows of a symbol that were closed"),
}
_MARKETS = {
    "feature_level": _day_gauge(
        "A level of a market in its last window, in the unit of docs/detectors.md",
        "symbol", "feature",
    ),
    "feature_total": _day_counter(
        "A count or an amount of a market, summed over its windows", "symbol", "feature"
    ),
    "feature_markets_unlisted": _day_gauge("Markets whose features are not shown"),
    "rules_unstated": _gauge(
        "Markets of which a rule is not said, by what; `brinkwatch rules` lists them", "what"
    ),
}  # fmt: skip
_ALERTS = {
    "alerts_total": _day_counter("Alerts published", "kind", "symbol", "severity", "status"),
    "incidents_total": _day_counter(
        "Incidents that began and that no silence covers", "kind", "symbol", "severity"
    ),
    "alerts_silenced_total": _day_counter(
        "Alerts that a silence covers, published all the same", "severity"
    ),
    "alerts_firing": _day_gauge(
        "Incidents that fire and that no silence covers", "severity", "kind", "symbol"
    ),
    "alert_since_timestamp_seconds": _day_gauge(
        "Event time at which what fires began, with its sentence; the gravest of them",
        "incident", "severity", "kind", "symbol", "summary",
    ),
    "alert_delay_seconds": _seconds("From the event time of a decision to its commit"),
}  # fmt: skip
_DETECTORS = {
    "evidence_total": _day_counter(
        "Streams that incidents began with, by detector", "detector", "stream"
    ),
    "budget_alerts_per_day": _day_gauge("False alerts a day that are borne, as configured"),
    "streams_out_total": _day_counter(
        "Streams that are not judged any more, because their detector raised", "detector"
    ),
    "streams": _day_gauge(
        "Streams of markets by whether they judge, learn or are out", "stream", "state"
    ),
    "feedback_incidents": _gauge(
        "Incidents that people have judged, true or false", "detector", "stream", "verdict"
    ),
}
_BANDS = {
    "bands_timestamp_seconds": _day_gauge("Event time that the bands are as of"),
    "pools": _day_gauge("Cross accounts and isolated positions with something open"),
    "pools_unknown": _day_gauge("Pools without a mark, a table or a margin"),
    "margins_assumed": _day_gauge("Isolated margins taken from the leverage"),
    "bands_markets_unlisted": _day_gauge("Markets beyond those shown"),
    "bands_markets_left_out": _day_gauge("Markets whose positions cannot be counted"),
    "band_forced_notional": _day_gauge(
        "Notional forced when the mark moves so far against its side, quote currency",
        "symbol", "side", "within_pct",
    ),
    "band_nearest_ratio": _day_gauge(
        "Distance of the nearest zone that forces anybody, as a fraction of the mark",
        "symbol", "side",
    ),
    "band_absorbed_ratio": _day_gauge(
        "Share of what is forced near the mark that the book can take there", "symbol", "side"
    ),
    "band_mark_age_seconds": _day_gauge("Age of the mark that the bands are from", "symbol"),
    "band_estimated": _day_gauge(
        "1 where no account is known and the bands are an estimate", "symbol"
    ),
    "forced_fills_total": _day_counter(
        "Fills that the venue forced: how far from the price predicted, or why not said",
        "cause", "verdict",
    ),
}  # fmt: skip
_CASCADES = {
    "reproduction_ratio": _day_gauge(
        "How far the mark moves by what its own move would force, over that move",
        "symbol", "side", "survives",
    ),
    "critical_shock_ratio": _day_gauge(
        "Move at which forced flow carries the mark furthest, as a fraction of the mark",
        "symbol", "side", "survives",
    ),
    "critical_jump_ratio": _day_gauge(
        "How much further it carries the mark from there, log distance",
        "symbol", "side", "survives",
    ),
    "depth_shown_ratio": _day_gauge(
        "Part of today's book that is left where it is as thin as it has shown", "symbol"
    ),
    "hour_move_ratio": _day_gauge("One standard deviation of an hour's return", "symbol"),
    "system_reproduction_ratio": _gauge("Largest eigenvalue of what markets do to each other"),
    "system_timestamp_seconds": _gauge("Event time that the graph of the markets is as of"),
    "system_seconds": _gauge("How long the graph took"),
    "system_skipped_total": _counter("Graphs of the markets that were due and not made", "why"),
    "critical_factor_shock": _gauge(
        "Move of all markets together at which their rest jumps furthest, log distance", "side"
    ),
}  # fmt: skip
_DELIVERY = {
    "delivery_sent_total": _counter("Alerts that a receiver has taken", "receiver"),
    "delivery_failures_total": _counter("Attempts that failed and are made again", "receiver"),
    "delivery_rejected_total": _counter(
        "Alerts that a receiver does not take as they are: given up", "receiver"
    ),
    "delivery_waiting": _gauge(
        "Offsets of the alerts topic that a receiver has not come to", "receiver"
    ),
    "delivery_up": _gauge("1 unless the last attempt failed", "receiver"),
    "delivery_last_success_timestamp_seconds": _gauge(
        "When a receiver last took something", "receiver"
    ),
}

PARTS: dict[str, dict[str, MetricSpec]] = {
    "The process": _PROCESS,
    "Records": _RECORDS,
    "Time": _TIME,
    "Markets": _MARKETS,
    "Alerts": _ALERTS,
    "Detectors": _DETECTORS,
    "Liquidation bands": _BANDS,
    "Cascades": _CASCADES,
    "Delivery": _DELIVERY,
}
"""Each metric without its prefix, by what it is about."""
PREFIX = "brinkwatch_"
CATALOGUE = {PREFIX + name: spec for part in PARTS.values() for name, spec in part.items()}
"""By the name that a query asks for."""


def _spec(name: str, of: MetricType) -> tuple[str, MetricSpec]:
    spec = CATALOGUE[PREFIX + name]
    assert spec.type == of, name
    return PREFIX + name, spec


def counter(name: str, registry: CollectorRegistry) -> Counter:
    """The counter of this name (without the prefix), registered."""
    full, spec = _spec(name, "counter")
    return Counter(full, spec.text, spec.labels, registry=registry)


def gauge(name: str, registry: CollectorRegistry) -> Gauge:
    """The gauge of this name, registered."""
    full, spec = _spec(name, "gauge")
    return Gauge(full, spec.text, spec.labels, registry=registry)


def histogram(name: str, registry: CollectorRegistry) -> Histogram:
    """The histogram of seconds of this name, registered."""
    full, spec = _spec(name, "histogram")
    buckets = DELAYS if name == "alert_delay_seconds" else SECONDS
    return Histogram(full, spec.text, registry=registry, buckets=buckets)


def info(name: str, registry: CollectorRegistry, value: str) -> None:
    """Register the info of this name, whose one label has this value."""
    full, spec = _spec(name, "info")
    series = Info(full.removesuffix("_info"), spec.text, registry=registry)
    series.info({spec.labels[0]: value})


def gauge_family(name: str) -> GaugeMetricFamily:
    """An empty family of this name, for a collector."""
    full, spec = _spec(name, "gauge")
    return GaugeMetricFamily(full, spec.text, labels=spec.labels)


def counter_family(name: str) -> CounterMetricFamily:
    """An empty family of this name, for a collector."""
    full, spec = _spec(name, "counter")
    return CounterMetricFamily(full, spec.text, labels=spec.labels)


def one_gauge(name: str, value: float) -> GaugeMetricFamily:
    """The family of a gauge without labels."""
    family = gauge_family(name)
    family.add_metric([], value)
    return family
