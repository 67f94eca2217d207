"""What the engine counts, on /metrics."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from monitor.core.accounts.liquidation_outcomes import FORCED_CAUSES, VERDICTS, Outcomes
from monitor.core.event_time.admission import RecordCounts
from monitor.core.event_time.clock_state import NEVER
from monitor.kafka.transactions import Outbox
from monitor.metrics.engine import EngineCollector
from monitor.metrics.sidecar import Metrics
from monitor.silences.silence import AlertSilence, Silences
from tests.core.accounts.test_liquidation_outcomes import (
    advanced,
    batches,
    deposit,
    fill,
    forced,
    mark,
    rules,
    venue,
)
from tests.core.alerts.findings import START, alerts_of, finding


class Counts:
    """An engine that has counted nothing but forced fills."""

    windows = 0

    def __init__(self, outcomes: Outcomes | None = None, closed_ns: int = NEVER) -> None:
        self.outcomes = outcomes
        self.streams_out = {"burst": 2}
        self.closed_ns = closed_ns
        self.clocks: dict[tuple[str, int], Any] = {}

    def tally(self) -> RecordCounts:
        return RecordCounts()


def samples(engine: Counts, prefix: str) -> dict[str, float]:
    """The samples on /metrics whose names begin with `prefix`."""
    collector = EngineCollector()
    collector.engine = engine
    registry = CollectorRegistry()
    registry.register(collector)
    lines = generate_latest(registry).decode().splitlines()
    samples = [line.rsplit(" ", 1) for line in lines if line.startswith(prefix)]
    return {name: float(value) for name, value in samples}


def test_forced_fills_are_counted_by_cause_and_verdict_whatever_the_mode() -> None:
    machine = venue()
    events = [rules(), mark(100), deposit("a", 110), fill("a", 10), mark("93.684", 4),
            forced("a", -5), forced("a", -5, 6), forced("b", -1, 6)]  # fmt: skip
    for batch in batches(events):
        machine.add_batch(batch)
    advanced(machine, 10_000)
    counts = samples(Counts(machine.outcomes), "brinkwatch_forced")
    name = 'brinkwatch_forced_fills_total{cause="%s",verdict="%s"}'
    # 110 + 10 (x - 100) = 0.5 x at 93.684.
    assert counts[name % ("liquidation", "within_10_bps")] == 1
    assert counts[name % ("liquidation", "continued")] == 1
    assert counts[name % ("liquidation", "no_position")] == 1
    assert sum(counts.values()) == 3
    assert set(counts) == {
        name % (cause, verdict) for cause in FORCED_CAUSES for verdict in VERDICTS
    }


def test_a_process_without_the_venue_stage_shows_no_forced_fills() -> None:
    assert samples(Counts(), "brinkwatch_forced") == {}


def test_the_watermark_is_shown_in_seconds_once_windows_are_closed() -> None:
    name = "brinkwatch_watermark_seconds"
    assert samples(Counts(), name) == {}
    assert samples(Counts(closed_ns=1_764_000_000_500_000_000), name) == {name: 1_764_000_000.5}


def test_streams_that_are_out_are_counted_by_detector() -> None:
    counts = samples(Counts(), "brinkwatch_streams_out_total")
    assert counts == {'brinkwatch_streams_out_total{detector="burst"}': 2}


def test_numbers_left_out_are_counted_by_field() -> None:
    metrics = Metrics()
    metrics.count_left_out({"mark.open_interest": 2})
    metrics.count_left_out({"mark.open_interest": 1})
    name, labels = "brinkwatch_numbers_left_out_total", {"field": "mark.open_interest"}
    assert metrics.registry.get_sample_value(name, labels) == 3


def test_incidents_are_counted_once_and_silenced_alerts_apart() -> None:
    pulses = [finding(window=START + n, since=START + n) for n in (0, 100, 250)]
    quiet = AlertSilence(name="quiet", symbol=("ETH",), end="2100-01-01T00:00:00Z")
    every = alerts_of(*pulses, finding(symbol="ETH", window=START + 270), until=START + 9_999)
    metrics = Metrics()
    metrics.count_commit(Outbox(alerts=[*map(Silences([quiet]).mark, every)]), 0.1)
    lines = generate_latest(metrics.registry).decode().splitlines()
    name = 'brinkwatch_incidents_total{kind="burst",severity="warning",symbol="SOL-PERP"} 1.0'
    assert [line for line in lines if line.startswith("brinkwatch_incidents_total")] == [name]
    assert 'brinkwatch_alerts_silenced_total{severity="warning"} 1.0' in lines
    published = [line for line in lines if line.startswith("brinkwatch_alerts_total")]
    assert sum(float(line.rsplit(" ", 1)[1]) for line in published) == len(every)
