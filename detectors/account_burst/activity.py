"""Who acted in a window."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detectors.arrays.types import Float64, Int64, UInt64


class WindowActivity(NamedTuple):
    """Who acted in a window: one entry for each account and market.

    Parameters
    ----------
    key
        Hash of market and account, distinct, rising.
    market
        Number of the market, ≥ 0, small.
    events
        Events, > 0.
    """

    key: UInt64
    market: Int64
    events: Float64


NO_ACTIVITY = WindowActivity(np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0))
