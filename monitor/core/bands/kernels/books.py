"""What a book would absorb, read from its ladder."""

from __future__ import annotations

import numpy as np
from numba import njit, types

from detectors.arrays.types import F1, F3
from monitor.core.bands.kernels.arrays import EXPONENT_LOW, EXPONENTS
from monitor.core.bands.layout import BIN_WIDTH
from monitor.core.contract.units import ZONE_BINS

IMPACT_EXPONENT = 0.86
"""Displacement against notional beyond the visible depth: a power law with this exponent."""
SLIPPAGE_MAX = 0.5
_DEPTH_GROWTH = (np.arange(1, ZONE_BINS + 1) * BIN_WIDTH) ** (1.0 / IMPACT_EXPONENT)


@njit(
    types.void(F1, F3, F3, types.float32[:, :, ::1], F3),
    cache=True, nogil=True, error_model="numpy",
)  # fmt: skip
def read_books(mark, price, size, slip, depth):  # type: ignore[no-untyped-def]
    """Average slippage by notional, and resting notional by distance, from each market's ladder.

    `price`, `size`: (2, markets, levels), bids in row 0 as a long closes into them; size 0: no
    level. `slip`: (2, markets, EXPONENTS); `depth`: (2, markets, ZONE_BINS), cumulative, quote
    currency. Both are filled in; NaN: no book.
    """
    power, levels = 1.0 + IMPACT_EXPONENT, price.shape[2]
    for side in range(2):
        sign = 1.0 if side == 0 else -1.0
        for m in range(mark.shape[0]):
            seen, cost, far, e, b = 0.0, 0.0, 1e-4, 0, 0
            for j in range(levels):
                if not size[side, m, j] > 0.0 or not mark[m] > 0.0:
                    break
                y = max(sign * (1.0 - price[side, m, j] / mark[m]), 0.0)
                notional = size[side, m, j] * mark[m]
                while e < EXPONENTS and 2.0 ** (e + EXPONENT_LOW) <= seen + notional:
                    n = 2.0 ** (e + EXPONENT_LOW)
                    slip[side, m, e] = min((cost + (n - seen) * y) / n, SLIPPAGE_MAX)
                    e += 1
                while b < ZONE_BINS and (b + 1) * BIN_WIDTH < y:
                    depth[side, m, b] = seen
                    b += 1
                seen += notional
                cost += notional * y
                far = max(y, far)
            for rest in range(e, EXPONENTS):
                n = 2.0 ** (rest + EXPONENT_LOW)
                if seen > 0.0:
                    tail = far * seen / power * ((n / seen) ** power - 1.0)
                    slip[side, m, rest] = min((cost + tail) / n, SLIPPAGE_MAX)
                else:
                    slip[side, m, rest] = np.nan
            unit = far ** (-1.0 / IMPACT_EXPONENT)
            for rest in range(b, ZONE_BINS):
                grown = max(_DEPTH_GROWTH[rest] * unit, 1.0)
                depth[side, m, rest] = seen * grown if seen > 0.0 else np.nan
