"""What a book would absorb, read from its ladder."""

from __future__ import annotations

import numpy as np
from numba import njit, types

from detectors.arrays.types import F1, F3, I1, I2
from monitor.core.bands.kernels.arrays import EXPONENTS, NOTIONAL_MIN
from monitor.core.bands.layout import BIN_WIDTH, EDGE_ZONES, EDGES
from monitor.core.decode.batch import ABSENT
from monitor.core.decode.stepped_kernels import middle, to_float
from monitor.core.marks.market_rows import BEST_ASK, BEST_BID, LEVELS

IMPACT_EXPONENT = 0.86
"""Displacement against notional beyond the visible depth: a power law with this exponent."""
SLIPPAGE_MAX = 0.5
_DOUBLE = 2.0 ** (1.0 + IMPACT_EXPONENT)
_DEPTH_GROWTH = (EDGE_ZONES * BIN_WIDTH) ** (1.0 / IMPACT_EXPONENT)


@njit(
    types.void(F1, I1, I2, types.float32[:, :, ::1], F3, I1),
    cache=True, nogil=True, error_model="numpy",
)  # fmt: skip
def read_books(mark, symbol, books, slip, depth, middles):  # type: ignore[no-untyped-def]
    """Average slippage by notional, resting notional by distance, and the middle of each book.

    `mark`, `symbol`: by market. `books` (symbols, `BOOK_WIDTH`): codes; a quantity of 0 ends a
    ladder. `slip`: (2, markets, `EXPONENTS`), row 0 is that of bids, as a long closes into them;
    `depth`: (2, markets, `EDGE_ZONES`), cumulative, quote currency; both NaN where there is no
    book. `middles`: by market, codes; `ABSENT` where a side is empty. All three are filled in.
    """
    power = 1.0 + IMPACT_EXPONENT
    for m in range(mark.shape[0]):
        book = books[symbol[m]]
        bid, ask = book[BEST_BID], book[BEST_ASK]
        middles[m] = middle(bid, ask) if bid > 0 and ask > 0 else ABSENT
        for side in range(2):
            sign, best = (1.0, BEST_BID) if side == 0 else (-1.0, BEST_ASK)
            seen, cost, far, e, b = 0.0, 0.0, 1e-4, 0, 0
            n = NOTIONAL_MIN
            for j in range(best, best + LEVELS):
                if book[j + LEVELS] <= 0 or not mark[m] > 0.0:
                    break
                y = max(sign * (1.0 - to_float(book[j]) / mark[m]), 0.0)
                notional = to_float(book[j + LEVELS]) * mark[m]
                while e < EXPONENTS and n <= seen + notional:
                    slip[side, m, e] = min((cost + (n - seen) * y) / n, SLIPPAGE_MAX)
                    n *= 2.0
                    e += 1
                while b < EDGES and EDGE_ZONES[b] * BIN_WIDTH < y:
                    depth[side, m, b] = seen
                    b += 1
                seen += notional
                cost += notional * y
                far = max(y, far)
            times = (n / seen) ** power if seen > 0.0 else 0.0
            for rest in range(e, EXPONENTS):
                tail = far * seen / power * (times - 1.0)
                slipped = min((cost + tail) / n, SLIPPAGE_MAX)
                slip[side, m, rest] = slipped if seen > 0.0 else np.nan
                n *= 2.0
                times *= _DOUBLE
            unit = far ** (-1.0 / IMPACT_EXPONENT)
            for rest in range(b, EDGES):
                grown = max(_DEPTH_GROWTH[rest] * unit, 1.0)
                depth[side, m, rest] = seen * grown if seen > 0.0 else np.nan
