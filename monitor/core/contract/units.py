"""Units of time and ratios that several layers use, each written once."""

from __future__ import annotations

from fractions import Fraction

MILLISECOND_NS = 1_000_000
SECOND_NS = 1_000_000_000
HOUR_S = 3_600
DAY_S = 86_400
DAY_MS = DAY_S * 1_000
DAY_NS = DAY_S * SECOND_NS
YEAR_S = 365 * DAY_S
"""The year of funding rates and of quoted volatility: 365 days, as venues count it."""

WARN_RATIO = Fraction(5, 4)
"""Equity below this multiple of the maintenance margin is maintenance pressure."""

ZONE_BINS = 1000
"""Zones of liquidation bands on each side of the mark."""
