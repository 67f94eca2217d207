"""One market, or a few beside each other: what fires, its features, its bands, its cascades."""

from __future__ import annotations

from typing import Any

from deploy.dashboards.firing import firing_query
from deploy.dashboards.panels import THIRD, WIDE, Query, firing_table, heat, lines, page

OF = 'symbol=~"$symbol"'


def _level(title: str, feature: str, unit: str, what: str, signed: bool = False) -> Any:
    """A level of the last window."""
    metric = f'brinkwatch_feature_level{{{OF},feature="{feature}"}}'
    query = Query(f"max by (symbol) ({metric})", "{{symbol}}")
    return lines(title, what, query, unit=unit, span=THIRD, signed=signed)


def _flow(title: str, feature: str, unit: str, what: str) -> Any:
    """A count or an amount, each second."""
    metric = f'brinkwatch_feature_total{{{OF},feature="{feature}"}}[$__rate_interval]'
    query = Query(f"sum by (symbol) (rate({metric}))", "{{symbol}}")
    return lines(title, what, query, unit=unit, span=THIRD)


def _cascade(metric: str, survives: str) -> Query:
    selector = f'{{{OF},survives="{survives}"}}'
    return Query(f"max by (symbol, side) (brinkwatch_{metric}{selector})", "{{symbol}} {{side}}")


def _band(name: str, legend: str) -> Query:
    return Query(f"max by (symbol, feature) (anomaly:{name}{{{OF}}})", legend)


FIRING = [
    firing_table(
        "What fires here",
        "Incidents of this market alone with their last sentence; those of several markets are on "
        "the venue's dashboard.",
        firing_query(f"{{{OF}}}"),
    )
]
TRADING = [
    _flow("Trades", "trades", "cps", "Each second."),
    _flow("Traded notional", "trade_notional", "short", "Quote currency, each second."),
    _flow("Orders", "orders", "cps", "Each second."),
    _flow("Cancels", "cancels", "cps", "Each second."),
    _level("Spread", "spread_bps", "short", "Bps of the mid, at the end of the last window."),
    _level("Depth within 25 bps", "depth_25bps", "short", "Both sides, quote currency."),
    _level("Mark off the index", "mark_gap_bps", "short", "Bps of the index."),
    _level("Funding", "funding_apr", "percentunit", "A year; above 0 longs pay.", signed=True),
    _level("Open interest", "open_interest", "short", "Base units."),
]
BANDS = [
    heat(
        f"{side.capitalize()}s forced, by distance",
        f"Notional forced by a {move} of so many percent or less, quote currency.",
        Query(
            "sum by (within_pct) (max by (symbol, within_pct) "
            f'(brinkwatch_band_forced_notional{{{OF},side="{side}"}}))',
            "{{within_pct}} %",
        ),
        span=12,
    )
    for side, move in (("long", "fall"), ("short", "rise"))
]
CASCADES = [
    lines(
        "R at the mark, with all of the book",
        "How far the mark moves by what its own move would force, over that move.",
        _cascade("reproduction_ratio", "1"),
        span=THIRD,
    ),
    lines(
        "Critical shock, with a tenth of the book",
        "The move at which forced flow carries the mark furthest, as a fraction of the mark.",
        _cascade("critical_shock_ratio", "0.1"),
        unit="percentunit",
        span=THIRD,
    ),
    lines(
        "Nearest zone",
        "How far the mark is from the nearest zone that forces anybody.",
        Query(
            f"max by (symbol, side) (brinkwatch_band_nearest_ratio{{{OF}}})", "{{symbol}} {{side}}"
        ),
        unit="percentunit",
        span=THIRD,
    ),
]
USUAL = [
    lines(
        "Levels beside their bands of a day",
        "anomaly:level with its upper and lower band (docs/metrics.md): no detectors, but where a "
        "number has been. There is no band before an hour is seen.",
        _band("level", "{{symbol}} {{feature}}"),
        _band("upper_band", "{{symbol}} {{feature}}, upper"),
        _band("lower_band", "{{symbol}} {{feature}}, lower"),
        span=WIDE,
        signed=True,
        rules=["BrinkwatchOutsideBand"],
    )
]


def build() -> str:
    """The dashboard's JSON."""
    return page(
        "brinkwatch-symbol",
        "brinkwatch: a market",
        "Choose markets above: what fires there, how they trade, what would be forced.",
        [
            ("What fires", FIRING),
            ("Trading", TRADING),
            ("Bands", BANDS),
            ("Cascades", CASCADES),
            ("Beside the usual", USUAL),
        ],
        has_symbol=True,
    )
