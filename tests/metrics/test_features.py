"""Features on /metrics: levels of the last window, counts summed over all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from monitor.core.contract.feature_catalogue import FEATURE_NAMES
from monitor.core.detection.judge import ClosedSpan
from monitor.core.features.compute import Features
from monitor.core.settings import EngineSettings
from monitor.metrics import features as module
from monitor.metrics.features import FeatureCollector

NAN = float("nan")
UNUSED: Any = None
"""In place of the windows' sums, which nobody reads here."""


def span(low: int, trades: list[list[float]], spread_bps: list[list[float]]) -> ClosedSpan:
    """Windows from `low` on, of the markets M0, M1, …; by window and market."""
    windows, markets = len(trades), len(trades[0])
    values = np.full((windows * markets, len(FEATURE_NAMES)), np.nan)
    values[:, FEATURE_NAMES.index("trades")] = np.ravel(trades)
    values[:, FEATURE_NAMES.index("spread_bps")] = np.ravel(spread_bps)
    symbol, window = np.tile(np.arange(markets), windows), np.repeat(np.arange(windows), markets)
    features = Features(window + low, symbol, values, np.empty((windows * markets, 0)))
    names = {n: f"M{n}" for n in range(markets)}
    return ClosedSpan(low + windows, low, names, UNUSED, features)


def shown(collector: FeatureCollector) -> dict[tuple[str, str, str], float]:
    registry = CollectorRegistry()
    registry.register(collector)
    return {
        (sample.name.removeprefix("brinkwatch_feature_"), *sample.labels.values()): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.labels
    }


def test_counts_add_up_over_windows_and_levels_are_the_last() -> None:
    collector = FeatureCollector(EngineSettings())
    collector.take([span(5, [[1, NAN], [2, NAN]], [[3, 4], [7, NAN]]), span(7, [[4, 1]], [[8, 2]])])
    assert shown(collector) == {
        ("total", "M0", "trades"): 7,
        ("total", "M1", "trades"): 1,
        ("level", "M0", "spread_bps"): 8,
        ("level", "M1", "spread_bps"): 2,
    }


def test_windows_may_be_taken_in_parts() -> None:
    whole, parts = FeatureCollector(EngineSettings()), FeatureCollector(EngineSettings())
    closed = span(5, [[0.1], [0.2], [0.3]], [[1], [2], [NAN]])
    whole.take([closed])
    parts.take_rows(closed, 5, 6)
    parts.take_rows(closed, 6, 8)
    assert shown(whole) == shown(parts) == {("total", "M0", "trades"): 0.1 + 0.2 + 0.3}


def test_markets_beyond_the_limit_are_counted_and_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MARKETS_MAX", 2)
    collector = FeatureCollector(EngineSettings())
    collector.take([span(0, [[1, 1, 1]], [[1, 1, 1]]), span(1, [[1, 1, 1]], [[1, 1, 1]])])
    assert {symbol for _, symbol, _ in shown(collector)} == {"M0", "M1"}
    (*_, unlisted) = collector.collect()
    assert unlisted.samples[0].value == 1
    collector.forget(["M0"])
    collector.take([span(2, [[1, 1, 1]], [[1, 1, 1]])])
    assert {symbol for _, symbol, _ in shown(collector)} == {"M0", "M1"}
