"""What the engine counts, on /metrics."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from monitor.core.accounts.liquidation_outcomes import FORCED_CAUSES, VERDICTS, Outcomes
from monitor.core.event_time.record_counts import RecordCounts
from monitor.metrics import EngineCollector
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


class Stands:
    """An engine that has counted nothing but forced fills."""

    windows = 0

    def __init__(self, outcomes: Outcomes | None) -> None:
        self.outcomes = outcomes
        self.clocks: dict[tuple[str, int], Any] = {}

    def tally(self) -> RecordCounts:
        return RecordCounts()


def shown(outcomes: Outcomes | None) -> dict[str, float]:
    facts = EngineCollector()
    facts.engine = Stands(outcomes)
    registry = CollectorRegistry()
    registry.register(facts)
    lines = generate_latest(registry).decode().splitlines()
    samples = [line.rsplit(" ", 1) for line in lines if line.startswith("brinkwatch_forced")]
    return {name: float(value) for name, value in samples}


def test_forced_fills_are_counted_by_cause_and_verdict_whatever_the_mode() -> None:
    machine = venue()
    told = [rules(), mark(100), deposit("a", 110), fill("a", 10), mark("93.684", 4),
            forced("a", -5), forced("a", -5, 6), forced("b", -1, 6)]  # fmt: skip
    for batch in batches(told):
        machine.add_batch(batch)
    advanced(machine, 10_000)
    found = shown(machine.outcomes)
    name = 'brinkwatch_forced_fills_total{cause="%s",verdict="%s"}'
    # 110 + 10 (x - 100) = 0.5 x at 93.684.
    assert found[name % ("liquidation", "within_10_bps")] == 1
    assert found[name % ("liquidation", "continued")] == 1
    assert found[name % ("liquidation", "no_position")] == 1
    assert sum(found.values()) == 3
    assert set(found) == {
        name % (cause, verdict) for cause in FORCED_CAUSES for verdict in VERDICTS
    }


def test_a_process_without_the_venue_stage_shows_no_forced_fills() -> None:
    assert shown(None) == {}
