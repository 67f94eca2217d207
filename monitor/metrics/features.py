"""The features of each market, for Prometheus. Markets are bounded; never an account.

A scrape sees one window in many. So counts and amounts are summed over all windows, as counters of
which `rate` is right; levels are those of the last window.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from detectors.arrays.types import Float64
from monitor.core.contract.feature_catalogue import FEATURE_NAMES, FEATURES
from monitor.core.detection.judge import ClosedSpan
from monitor.core.settings import EngineSettings
from monitor.metrics.catalogue import counter_family, gauge_family, one_gauge

MARKETS_MAX = 100
"""Markets shown: the first so many that have a window, so that no series comes and goes."""
ALWAYS = (
    "trades", "trade_notional", "orders", "cancels", "spread_bps", "depth_25bps", "mark_gap_bps",
    "funding_apr", "open_interest", "volatility", "liquidation_notional",
)  # fmt: skip
"""Shown whether a stream watches them or not: what a desk looks at first."""


class FeatureCollector(Collector):
    """The newest features of the markets of this process that `settings` watch."""

    def __init__(self, settings: EngineSettings) -> None:
        watched = {s.feature for s in settings.streams} | {*settings.joint.streams, *ALWAYS}
        names = [name for name in FEATURE_NAMES if name in watched]
        self._names = [
            [n for n in names if not FEATURES[n].is_additive],
            [n for n in names if FEATURES[n].is_additive],
        ]
        self._columns = [[FEATURE_NAMES.index(n) for n in part] for part in self._names]
        self._levels: dict[str, Float64] = {}
        self._sums: dict[str, Float64] = {}
        self._unlisted: set[str] = set()

    def take(self, spans: Iterable[ClosedSpan]) -> None:
        """Take closed windows; those of one market in the order of time."""
        for span in spans:
            self.take_rows(span, span.low, span.until)

    def take_rows(self, span: ClosedSpan, low: int, until: int) -> None:
        """The windows of a span from index `low` to below `until`."""
        markets = len(span.features.symbol) // (span.until - span.low)
        rows = slice((low - span.low) * markets, (until - span.low) * markets)
        values = span.features.values[rows].reshape(until - low, markets, len(FEATURE_NAMES))
        for k, number in enumerate(span.features.symbol[:markets].tolist()):
            name = span.names[number]
            if name not in self._levels:
                if len(self._levels) >= MARKETS_MAX:
                    self._unlisted.add(name)
                    continue
                self._sums[name] = np.full(len(self._columns[1]), np.nan)
            self._levels[name] = values[-1, k, self._columns[0]]
            new, before = values[:, k, self._columns[1]], self._sums[name]
            is_known = ~np.isnan(np.vstack((before, new))).all(axis=0)
            # One window after the other: the sum does not depend on how many came at once.
            added = np.add.accumulate(np.nan_to_num(np.vstack((before, new))), axis=0)[-1]
            self._sums[name] = np.where(is_known, added, np.nan)

    def forget(self, symbols: Iterable[str]) -> None:
        """Another process has these markets now."""
        for name in symbols:
            self._levels.pop(name, None)
            self._sums.pop(name, None)
            self._unlisted.discard(name)

    def collect(self) -> Iterator[Metric]:
        """What is absent in a market has no series."""
        levels, sums = gauge_family("feature_level"), counter_family("feature_total")
        for symbol, name, number in _numbers(self._levels, self._names[0]):
            levels.add_metric([symbol, name], number)
        for symbol, name, number in _numbers(self._sums, self._names[1]):
            sums.add_metric([symbol, name], number)
        yield from (levels, sums)
        yield one_gauge("feature_markets_unlisted", len(self._unlisted))


def _numbers(by_symbol: dict[str, Float64], names: list[str]) -> Iterator[tuple[str, str, float]]:
    for symbol, row in list(by_symbol.items()):
        for name, number in zip(names, row.tolist(), strict=True):
            if number == number:
                yield symbol, name, number
