"""The compiled pass that answers every shock of every market.

A *shock* moves the mark by the log distance s against a side. Forced flow moves it further: the
mark comes to rest at y*(s), the least y with y = s + κ·I(F(y)), where F(y) is what is forced within
y of today's mark, I the log distance from the mark to the last price touched when that is taken out
of the book, and κ the part of the book's move that passes into the mark.

F and I are steps, so g(y) = y − κ·I(F(y)) rises with slope 1 between the positions and falls at
each. With G, the running maximum of g, y*(s) is the first y with G(y) ≥ s: one pass over the
positions gives the answer for all shocks, and no iteration is needed.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types

from detectors.arrays.types import F1, FLOAT, I1, INT
from monitor.core.bands.kernels.books import IMPACT_EXPONENT

FAR_MIN = 1e-4
"""Least distance that the visible part of a book counts as, where the power law begins."""


@njit(FLOAT(FLOAT, F1, F1, INT, INT, INT), cache=True, nogil=True, error_model="numpy")
def displacement(quantity, distance, total, low, high, hint):  # type: ignore[no-untyped-def]
    """Log distance from the mark to the last price touched; ∞: there is no book.

    `distance`, `total` (cumulative quantity) of levels low to high − 1; `hint`: a level at or
    before the one that is sought.
    """
    if quantity <= 0.0:
        return 0.0
    if low >= high:
        return np.inf
    level = max(hint, low)
    while level < high and total[level] < quantity:
        level += 1
    if level < high:
        return distance[level]
    far = max(distance[high - 1], FAR_MIN)
    return far * (quantity / total[high - 1]) ** IMPACT_EXPONENT


@njit(
    types.void(I1, F1, F1, I1, F1, F1, F1, FLOAT, F1, F1), cache=True, nogil=True,
    error_model="numpy",
)  # fmt: skip
def pass_shocks(first, y, sent, first_level, distance, total, kappa, survives, moved, edge):  # type: ignore[no-untyped-def]
    """Fill `moved` and `edge` for every step of every bucket (a market's side).

    The steps of bucket b are `first[b]` to `first[b + 1] − 1`, in the order of `y`; `sent`: what
    goes to the book, cumulative. `distance`, `total`: the levels of its book, from
    `first_level[b]` on. `survives`: the share of each level that is still there. `moved[k]`: κ·I
    behind step k. `edge[k]`: a shock below it comes to rest before step k + 1.
    """
    for b in range(first.size - 1):
        low, high = first_level[b], first_level[b + 1]
        level, most = low, -np.inf
        for k in range(first[b], first[b + 1]):
            quantity = sent[k] / survives
            while level + 1 < high and total[level] < quantity:
                level += 1
            if kappa[b] > 0.0:
                moved[k] = kappa[b] * displacement(quantity, distance, total, low, high, level)
            else:
                moved[k] = 0.0
            if k + 1 == first[b + 1]:
                edge[k] = np.inf
            else:
                # Of equal distances the last step stands for all.
                if y[k + 1] > y[k]:
                    most = max(most, y[k + 1] - moved[k])
                edge[k] = most
