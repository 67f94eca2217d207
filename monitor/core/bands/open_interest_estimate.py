"""Bands where no account is known: an estimate from open interest and the market's own tiers.

Every open contract has a long and a short, so each side holds the whole open interest. What is
assumed of their holders stands in `assumptions` and in every record that rests on it; an estimate
says where bands would lie *if* that holds, never where they do.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from monitor.core.bands.layout import BIN_WIDTH, GROUPS, LEVERAGE_EDGES, LEVERAGE_TIERS
from monitor.core.bands.refresh import ZoneCells
from monitor.core.contract.fixed_point import MONEY_SCALE
from monitor.core.contract.units import ZONE_BINS
from monitor.core.margin.tiers import Tiers

LEVERAGE_LOW = 2.0
"""Below it a position is hardly forced within the zones' reach of 50 %."""
STEPS = 256
"""Parts into which the leverages are cut."""


def highest_leverage(tiers: Tiers) -> float:
    """Of the lowest tier, by its initial rate, or by twice its maintenance rate (a usual rule)."""
    first = tiers.rows[0]
    rate = float(first.initial_rate or 2 * first.rate)
    return max(1.0 / rate, LEVERAGE_LOW) if rate > 0 else LEVERAGE_LOW


def estimate_cells(
    tiers: Tiers, mark: float, open_interest: float, is_inverse: bool
) -> tuple[ZoneCells, ZoneCells]:
    """The zones of longs and shorts; `open_interest` in base units.

    An isolated position of notional 1 entered at the mark with leverage L is due after a fall of
    (1/L − r)/(1 − r), or a rise of (1/L − r)/(1 + r), r being the lowest tier's rate. So is one
    with an inverse contract, in 1/price: its long at such a rise of it, its short at such a fall.
    """
    ratio = (highest_leverage(tiers) / LEVERAGE_LOW) ** ((np.arange(STEPS) + 0.5) / STEPS)
    leverage = LEVERAGE_LOW * ratio
    r = float(tiers.rows[0].rate)
    part = round(open_interest * mark * MONEY_SCALE / STEPS)
    group = LEVERAGE_TIERS + np.searchsorted(np.array(LEVERAGE_EDGES), leverage, side="right")

    def cells(gain: float) -> ZoneCells:
        away = np.maximum(1.0 / leverage - r, 0.0) / gain
        if is_inverse:
            away = away / (1.0 + away if gain > 1.0 else 1.0 - away)
        inside = away < ZONE_BINS * BIN_WIDTH
        zone = (away[inside] * (1.0 / BIN_WIDTH)).astype(np.int64)
        place, number = np.unique(zone * GROUPS + group[inside], return_counts=True)
        return ZoneCells(place.astype(np.uint16), number * part)

    fall, rise = cells(1.0 - r), cells(1.0 + r)
    return (rise, fall) if is_inverse else (fall, rise)


def assumptions(tiers: Tiers, open_interest: float) -> dict[str, Any]:
    """What the estimate rests on, for its record."""
    return {
        "entry": "today's mark",
        "leverage": "open interest spread evenly over the logarithm of leverage",
        "mode": "isolated",
        "sides": "long and short alike",
        "leverage_low": LEVERAGE_LOW,
        "leverage_high": float(f"{highest_leverage(tiers):.6g}"),
        "maintenance_rate": float(tiers.rows[0].rate),
        "open_interest": open_interest,
    }
