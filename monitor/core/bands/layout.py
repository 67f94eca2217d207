"""The shape of zones: how wide they are and into which parts their notional is split."""

from __future__ import annotations

import numpy as np

from monitor.core.contract.units import ZONE_BINS

BIN_WIDTH = 0.0005
"""A zone is 5 bp of the mark wide; `ZONE_BINS` of them reach 50 % from it on each side."""
OUT_OF_REACH = ZONE_BINS
"""The zone of what is not forced within reach."""
LEVERAGE_EDGES = (5.0, 10.0, 25.0, 50.0)
"""Bounds of the leverage tiers: a pool's gross notional over its equity."""
LEVERAGE_TIERS = len(LEVERAGE_EDGES) + 1
GROUPS = 2 * LEVERAGE_TIERS
"""Parts of a zone by margin mode (cross, isolated) and leverage tier."""
STAGES = 4
STRESSED, AWAITING_PAUSE, BACKSTOP_STAGE, BANKRUPT = range(STAGES)
"""Parts of a zone by stage: notional by the liquidation price under stress; what of the forced
waits for a pause of the liquidation path; by the price of the backstop; by the bankruptcy price,
from where the insurance fund pays or others are deleveraged."""
EDGE_ZONES = np.array([2, 5, 10, 20, 40, 100, 200, 400, ZONE_BINS])
EDGES = len(EDGE_ZONES)
"""Sums are published within 0.1, 0.25, 0.5, 1, 2, 5, 10, 20 and 50 % of the mark."""
TOP_HOLDERS = 5
"""Largest holders kept for each market and side."""
PEAK_ZONES = 3
"""Heaviest zones near the mark, shown in an alert."""
