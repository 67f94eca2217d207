"""Gauges of the newest bands, for Prometheus. Symbols are bounded; never an account."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from monitor.core.bands.cascades import JUMP, RATE, SHOCK, SURVIVES, as_fraction
from monitor.core.bands.market_bands import MarketBands, VenueBands
from monitor.core.bands.records import EDGES_PCT, SIDES
from monitor.core.contract.fixed_point import MONEY_SCALE
from monitor.core.contract.units import SECOND_NS
from monitor.metrics.catalogue import gauge_family, one_gauge

MARKETS_MAX = 500
"""Markets shown: those with the most notional that would be forced near the mark."""
SURVIVE_LABELS = (*(f"{share:g}" for share in SURVIVES), "shown")
"""Shares of the book that survive, the last one what the market has shown."""


class BandCollector(Collector):
    """The newest bands, as a scrape reads them."""

    def __init__(self) -> None:
        self.last: VenueBands | None = None

    def collect(self) -> Iterator[Metric]:
        """Nothing before the first bands are made."""
        bands = self.last
        if bands is None:
            return
        ranked = sorted(bands.markets, key=lambda m: (-int(m.within[:, -1].sum()), m.symbol))
        yield from _venue(bands, len(ranked) - len(ranked[:MARKETS_MAX]))
        yield from _markets(ranked[:MARKETS_MAX])
        yield from _cascades(ranked[:MARKETS_MAX])


def _venue(bands: VenueBands, unlisted: int) -> Iterator[Metric]:
    for name, value in (
        ("bands_timestamp_seconds", bands.ts / SECOND_NS),
        ("pools", bands.pools),
        ("pools_unknown", bands.unknown),
        ("margins_assumed", bands.assumed),
        ("bands_markets_unlisted", unlisted),
        ("bands_markets_left_out", len(bands.left_out)),
    ):
        yield one_gauge(name, value)


def _markets(markets: list[MarketBands]) -> Iterator[Metric]:
    forced, nearest, absorbed, mark_age, estimated = families = [
        gauge_family(f"band_{name}")
        for name in (
            "forced_notional", "nearest_ratio", "absorbed_ratio", "mark_age_seconds", "estimated",
        )
    ]  # fmt: skip
    for market in markets:
        estimated.add_metric([market.symbol], float(market.estimate is not None))
        if market.mark_age_s is not None:
            mark_age.add_metric([market.symbol], market.mark_age_s)
        for side, name in enumerate(SIDES):
            at = [market.symbol, name]
            for pct, units in zip(EDGES_PCT, market.within[side].tolist(), strict=True):
                forced.add_metric([*at, f"{pct:g}"], units / MONEY_SCALE)
            price, share = market.nearest_forced_price[side], market.absorbed_near[side]
            if price is not None:
                nearest.add_metric(at, abs(price / market.mark - 1))
            if share is not None:
                absorbed.add_metric(at, share)
    yield from families


def _cascades(markets: list[MarketBands]) -> Iterator[Metric]:
    ratio, critical, jump, shown, hour = families = [
        gauge_family(name)
        for name in (
            "reproduction_ratio", "critical_shock_ratio", "critical_jump_ratio",
            "depth_shown_ratio", "hour_move_ratio",
        )
    ]  # fmt: skip
    for market in markets:
        cascade = market.cascade
        if cascade is None:
            continue
        for family, number in ((shown, cascade.shown), (hour, cascade.hour)):
            if number is not None:
                family.add_metric([market.symbol], number)
        for side, name in enumerate(SIDES):
            for survives, row in zip(SURVIVE_LABELS, cascade.sides[side].answers, strict=True):
                rate, shock, length = row[[RATE, SHOCK, JUMP]].tolist()
                numbers = (ratio, rate), (critical, abs(as_fraction(shock, side))), (jump, length)
                for family, number in numbers:
                    if number == number:
                        family.add_metric([market.symbol, name, survives], number)
    yield from families
