"""The gauges of bands on /metrics."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from monitor.core.bands.records import EDGES_PCT
from monitor.metrics.bands import BandCollector
from tests.core.venue.test_state import BASE, deposit, fill, mark, run, table


def shown(collector: BandCollector) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(collector)
    lines = generate_latest(registry).decode().splitlines()
    samples = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]
    return {name: float(value) for name, value in samples}


def test_the_last_bands_are_shown_by_symbol_side_and_distance() -> None:
    collector = BandCollector()
    assert shown(collector) == {}
    guessed = [table("ETH"), {**mark(50, "ETH"), "open_interest": 10}]
    _, bands = run([*BASE, *guessed, deposit("a", 60), fill("a", "buy", 10)])
    collector.last = bands[-1]
    samples = shown(collector)
    forced = 'brinkwatch_band_forced_notional{side="long",symbol="SOL",within_pct="%g"}'
    assert [samples[forced % pct] for pct in EDGES_PCT] == [0, 0, 0, 0] + [1000] * 5
    nearest = samples['brinkwatch_band_nearest_ratio{side="long",symbol="SOL"}']
    assert nearest == pytest.approx(0.0105)
    assert samples['brinkwatch_band_absorbed_ratio{side="long",symbol="SOL"}'] == 1.0
    assert 'brinkwatch_band_nearest_ratio{side="short",symbol="SOL"}' not in samples
    estimated = {s: samples[f'brinkwatch_band_estimated{{symbol="{s}"}}'] for s in ("SOL", "ETH")}
    assert estimated == {"SOL": 0.0, "ETH": 1.0}
    assert (samples["brinkwatch_pools"], samples["brinkwatch_pools_unknown"]) == (1, 0)
    assert not any("account" in name or '"a"' in name for name in samples)
