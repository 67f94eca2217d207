"""Curves over many shocks, for the pictures of `brinkwatch stress --report`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from monitor.core.venue.answers.stress_test import StressTest

CURVE_SHOCKS = tuple(n / 400 for n in (*range(1, 21), *range(22, 42, 2), *range(44, 124, 4)))
"""Where curves are computed: each quarter of a per cent up to 5 %, then coarser, to 30 %."""
CURVES_MAX = 60
"""Markets with curves, those of the largest open notional."""
CURVES = ("price_after", "forced_notional", "r")


def stress_curves(
    test: StressTest, survives: Sequence[float], symbols: Sequence[str]
) -> dict[str, Any]:
    """What pictures need beside `stress_object`: `open_notional` by market; and of `markets`, those
    asked for (`symbols`; empty: all), at most `CURVES_MAX` of the largest open notional, by side
    the shocks, falling to rising, and for each share of the book what comes of each.
    """
    open_notional = test.open_notional()
    largest = sorted(symbols or open_notional, key=lambda name: (-open_notional[name], name))
    chosen = largest[:CURVES_MAX]
    shocks = [sign * shock for sign in (-1, 1) for shock in CURVE_SHOCKS]
    stressed, _ = test.shock_sides(shocks, survives, chosen)
    markets: dict[str, dict[str, Any]] = {}
    for side in stressed:
        rows = sorted(side.rows, key=lambda row: row.shock)
        curves = []
        for share in survives:
            mine = [row for row in rows if row.survives == share]
            values = {name: [_six_digits(getattr(row, name)) for row in mine] for name in CURVES}
            curves.append({"survives": share, **values})
        market = {"symbol": side.symbol, "mark": side.mark, "sides": {}}
        markets.setdefault(side.symbol, market)["sides"][side.side] = {
            "shocks": sorted({row.shock for row in rows}),
            "curves": curves,
        }
    return {"open_notional": open_notional, "markets": [markets[name] for name in chosen]}


def _six_digits(value: float | None) -> float | None:
    """More than a picture shows."""
    return None if value is None else float(f"{value:.6g}")
