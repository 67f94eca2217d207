"""The venue: what fires and what is at stake now, bands, cascades, what was forced."""

from __future__ import annotations

from deploy.dashboards.firing import FIRING, OVER_TIME, STANDING
from deploy.dashboards.panels import (
    AMBER,
    RED,
    Query,
    heat,
    lines,
    number,
    page,
    ranking,
    rates,
)

SIDES = {"long": "fall", "short": "rise"}
"""Each side, and the move of the mark that forces it."""
NEAR = "2"
"""The distance, percent of the mark, at which markets are set side by side."""
MARKETS_SHOWN = 15
"""Markets shown at once."""


def _gauge(metric: str, **labels: str) -> str:
    """A gauge of the venue stage by its own labels: after it moves, two members export it."""
    selector = ",".join(f'{name}="{value}"' for name, value in labels.items())
    return f"max by (symbol, side, within_pct) (brinkwatch_band_{metric}{{{selector}}})"


def _near_notional(side: str) -> str:
    return _gauge("forced_notional", side=side, within_pct=NEAR)


def _cascade(metric: str) -> str:
    """A gauge of the depth that each market has shown."""
    return f'max by (symbol, side) (brinkwatch_{metric}{{survives="shown"}})'


def _rate() -> str:
    """R with the depth that each market has shown, until that is known with a tenth of its book."""
    thin = 'max by (symbol, side) (brinkwatch_reproduction_ratio{survives="0.1"})'
    return f"({_cascade('reproduction_ratio')} or {thin})"


def _hours_away() -> str:
    hour = "max by (symbol) (brinkwatch_hour_move_ratio)"
    return f"{_cascade('critical_shock_ratio')} / on (symbol) group_left () {hour}"


def _near_shocks() -> str:
    return f"{_hours_away()} < 2"


NOW = [
    *(
        number(
            f"Forced by a {move} of {NEAR} %",
            f"Notional of {side}s whose liquidation price lies so near, all markets.",
            f"sum({_near_notional(side)})",
        )
        for side, move in SIDES.items()
    ),
    number(
        "Pools not known",
        "Of all pools with something open: without a mark, a tier table or a margin.",
        "max(brinkwatch_pools_unknown) / (max(brinkwatch_pools) > 0)",
        unit="percentunit",
        limits=[(0.01, AMBER), (0.1, RED)],
        rules=["BrinkwatchPoolsUnknown"],
    ),
    number(
        "Margins assumed",
        "Isolated positions whose margin is taken from their leverage.",
        "max(brinkwatch_margins_assumed)",
    ),
    number(
        "Markets estimated",
        "No account is known there: the bands rest on open interest and assumptions.",
        "sum(max by (symbol) (brinkwatch_band_estimated))",
    ),
    number(
        "Behind the newest record",
        "Event time from the bands to the newest record.",
        "clamp_min(max(brinkwatch_event_timestamp_seconds) "
        "- max(brinkwatch_bands_timestamp_seconds), 0)",
        unit="s",
        limits=[(60, AMBER), (600, RED)],
        rules=["BrinkwatchBandsOld"],
    ),
]
HEAT = [
    heat(
        f"{side.capitalize()}s forced, by distance",
        f"Notional forced by a {move} of so many percent or less, all markets, quote currency. A "
        "colour that comes nearer to 0 is a crowd that the price runs into.",
        Query(
            f"sum by (within_pct) ({_gauge('forced_notional', side=side)})",
            "{{within_pct}} %",
        ),
        span=12,
    )
    for side, move in SIDES.items()
]
BY_MARKET = [
    panel
    for side, move in SIDES.items()
    for panel in (
        lines(
            f"{side.capitalize()}s forced by a {move} of {NEAR} %, by market",
            f"The {MARKETS_SHOWN} markets with the most, quote currency.",
            Query(f"topk({MARKETS_SHOWN}, {_near_notional(side)})", "{{symbol}}"),
        ),
        lines(
            f"Nearest {side}s, by market",
            "How far the mark is from the nearest zone that forces anybody; the "
            f"{MARKETS_SHOWN} nearest.",
            Query(f"bottomk({MARKETS_SHOWN}, {_gauge('nearest_ratio', side=side)})", "{{symbol}}"),
            unit="percentunit",
        ),
    )
]
ABSORBED = [
    lines(
        "What the book can take, by market and side",
        f"Share of what is forced within {NEAR} % that the last book holds there; the "
        f"{MARKETS_SHOWN} lowest. Below 100 % the close goes through the book.",
        Query(f"bottomk({MARKETS_SHOWN}, {_gauge('absorbed_ratio')})", "{{symbol}} {{side}}"),
        unit="percentunit",
    ),
    ranking(
        f"The most within {NEAR} %, by market and side",
        f"Notional forced, quote currency; the {MARKETS_SHOWN} most.",
        Query(
            f"sort_desc(topk({MARKETS_SHOWN}, {_gauge('forced_notional', within_pct=NEAR)}))",
            "{{symbol}} {{side}}",
        ),
    ),
]
CASCADES_NOW = [
    number(
        "R of all markets together",
        "How much further markets move by what they force in each other, for each unit that they "
        "move; from 1 on a move does not stop by itself.",
        "max(brinkwatch_system_reproduction_ratio)",
        limits=[(0.5, AMBER), (1, RED)],
        rules=["BrinkwatchMarketsUnstable"],
    ),
    number(
        "Markets near a critical shock",
        "Sides whose critical shock, with the depth that the market has shown, lies within two "
        "standard deviations of an hour's return.",
        f"count({_near_shocks()}) or vector(0)",
        limits=[(1, AMBER)],
    ),
]
CASCADES = [
    lines(
        "R at the mark, by market and side",
        "With the depth that the market has shown, until that is known with a tenth of its book; "
        f"the {MARKETS_SHOWN} highest.",
        Query(f"topk({MARKETS_SHOWN}, {_rate()})", "{{symbol}} {{side}}"),
    ),
    lines(
        "Critical shocks, in moves of an hour",
        "How many standard deviations of an hour's return away the mark's rest jumps furthest, "
        f"with the depth that the market has shown; the {MARKETS_SHOWN} nearest.",
        Query(f"bottomk({MARKETS_SHOWN}, {_hours_away()})", "{{symbol}} {{side}}"),
    ),
    lines(
        "Depth shown",
        "What is left of today's book where it is as thin as one ten-second sample in a hundred "
        f"was; the {MARKETS_SHOWN} lowest.",
        Query(
            f"bottomk({MARKETS_SHOWN}, max by (symbol) (brinkwatch_depth_shown_ratio))",
            "{{symbol}}",
        ),
        unit="percentunit",
    ),
    rates(
        "Graphs of the markets not made",
        "Due every ten seconds of event time; each second.",
        "brinkwatch_system_skipped_total",
        "why",
    ),
]
FORCED = [
    rates(
        "Fills that the venue forced, by cause",
        "Liquidation, backstop, deleveraging; each second.",
        "brinkwatch_forced_fills_total",
        "cause",
    ),
    rates(
        "Forced fills beside what was predicted",
        "How far the mark was from the price predicted for that account, or why that cannot be "
        "said; each second.",
        "brinkwatch_forced_fills_total",
        "verdict",
    ),
]


def build() -> str:
    """The dashboard's JSON."""
    return page(
        "brinkwatch-venue",
        "brinkwatch: the venue",
        "What fires, what is at stake, how near it is, what the books would take, what was forced.",
        [
            ("Now", STANDING),
            ("What fires", FIRING),
            ("At stake", NOW),
            ("Bands", HEAT),
            ("Cascades now", CASCADES_NOW),
            ("Cascades", CASCADES),
            ("By market", BY_MARKET),
            ("The book", ABSORBED),
            ("Forced", FORCED),
            ("Incidents", OVER_TIME),
        ],
    )
