"""Gauges of the newest bands, for Prometheus. Symbols are bounded; never an account."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from monitor.core.bands.cascades import JUMP, RATE, SHOCK, SURVIVES, as_fraction
from monitor.core.bands.market_bands import NEAR_FRACTION, MarketBands, VenueBands
from monitor.core.bands.records import EDGES_PCT, SIDES
from monitor.core.contract.fixed_point import MONEY_SCALE
from monitor.core.contract.units import SECOND_NS

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
    for name, help_text, value in (
        ("bands_timestamp_seconds", "Event time that the bands are as of", bands.ts / SECOND_NS),
        ("pools", "Cross accounts and isolated positions with something open", bands.pools),
        ("pools_unknown", "Pools without a mark, a table or a margin", bands.unknown),
        ("margins_assumed", "Isolated margins taken from the leverage", bands.assumed),
        ("bands_markets_unlisted", "Markets beyond those shown", unlisted),
        (
            "bands_markets_left_out",
            "Markets whose positions cannot be counted",
            len(bands.left_out),
        ),
    ):
        yield GaugeMetricFamily(f"brinkwatch_{name}", help_text, value)


def _markets(markets: list[MarketBands]) -> Iterator[Metric]:
    def gauge(name: str, help_text: str, *labels: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"brinkwatch_band_{name}", help_text, labels=["symbol", *labels])

    text = "Notional forced when the mark moves so far against its side, quote currency"
    forced = gauge("forced_notional", text, "side", "within_pct")
    text = "Distance of the nearest zone that forces anybody, as a fraction of the mark"
    nearest = gauge("nearest_ratio", text, "side")
    text = f"Share of what is forced within {NEAR_FRACTION:.0%} that the book can take there"
    absorbed = gauge("absorbed_ratio", text, "side")
    text = "Age of the mark that the bands are from, s"
    mark_age = gauge("mark_age_seconds", text)
    estimated = gauge("estimated", "1 where no account is known and the bands are an estimate")
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
    yield from (forced, nearest, absorbed, mark_age, estimated)


def _cascades(markets: list[MarketBands]) -> Iterator[Metric]:
    def gauge(name: str, help_text: str, *labels: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"brinkwatch_{name}", help_text, labels=["symbol", *labels])

    text = "How far the mark moves by what its own move would force, over that move"
    ratio = gauge("reproduction_ratio", text, "side", "survives")
    text = "Move at which forced flow carries the mark furthest, as a fraction of the mark"
    critical = gauge("critical_shock_ratio", text, "side", "survives")
    text = "How much further it carries the mark from there, log distance"
    jump = gauge("critical_jump_ratio", text, "side", "survives")
    text = "Part of today's book that is left where it is as thin as it has shown"
    shown = gauge("depth_shown_ratio", text)
    hour = gauge("hour_move_ratio", "One standard deviation of an hour's return")
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
    yield from (ratio, critical, jump, shown, hour)
