"""Least squares with weights that may not be negative, for four unknowns.

With so few unknowns the exact answer is the best over the 15 sets of weights that may be positive.
Plain floats in a fixed order give the same result on every machine, which BLAS does not.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types

UNKNOWNS = 4
TRIANGLE = 10
"""Numbers in the upper triangle of a matrix of unknowns × unknowns, row by row."""
RIDGE = 1e-9
"""Added to the diagonal, relative to its mean, so that equal columns do not divide by zero."""
_PLACE = np.array([[0, 1, 2, 3], [1, 4, 5, 6], [2, 5, 7, 8], [3, 6, 8, 9]])
"""Where each element of the matrix stands in the triangle."""
_STRIDED = types.float64[:]


@njit(error_model="numpy")
def _solve(rows, right, size):  # type: ignore[no-untyped-def]
    """Solve a positive definite system by elimination, into `right`; False where it is singular."""
    for i in range(size):
        if rows[i, i] <= 0.0:
            return False
        for j in range(i + 1, size):
            factor = rows[j, i] / rows[i, i]
            for k in range(i, size):
                rows[j, k] -= factor * rows[i, k]
            right[j] -= factor * right[i]
    for i in range(size - 1, -1, -1):
        for k in range(i + 1, size):
            right[i] -= rows[i, k] * right[k]
        right[i] /= rows[i, i]
    return True


@njit(types.boolean(_STRIDED, _STRIDED, _STRIDED), cache=True, nogil=True, error_model="numpy")
def nnls(gram, moment, weights):  # type: ignore[no-untyped-def]
    """Minimise wᵀGw - 2hᵀw over w ≥ 0. Returns whether some weight is above zero.

    `gram`: the upper triangle of G by rows, 10 numbers. `moment`: h, 4 numbers. `weights`: the four
    weights, filled in; left as they are where all would be zero.

    >>> weights = np.empty(4)
    >>> gram = np.array([1, 0, 0, 0, 1, 0, 0, 1, 0, 1.0])
    >>> nnls(gram, np.array([0.5, -1, 0.25, 0]), weights)
    True
    >>> weights.round(6).tolist()
    [0.5, 0.0, 0.25, 0.0]

    References
    ----------
    Lawson, Hanson, "Solving Least Squares Problems" (1974), chapter 23, for the problem.
    """
    trace = gram[_PLACE[0, 0]]
    for i in range(1, UNKNOWNS):
        trace += gram[_PLACE[i, i]]
    ridge = RIDGE * trace / UNKNOWNS
    if not ridge > 1e-300:
        return False
    rows, right = np.empty((UNKNOWNS, UNKNOWNS)), np.empty(UNKNOWNS)
    free = np.empty(UNKNOWNS, np.int64)
    best_gain = 0.0
    for mask in range(1, 2**UNKNOWNS):
        size = 0
        for i in range(UNKNOWNS):
            if mask >> i & 1:
                free[size] = i
                size += 1
        for i in range(size):
            right[i] = moment[free[i]]
            for j in range(size):
                rows[i, j] = gram[_PLACE[free[i], free[j]]]
            rows[i, i] += ridge
        if not _solve(rows, right, size) or right[:size].min() < 0.0:
            continue
        gain = 0.0  # at a stationary point the objective is -hᵀw
        for i in range(size):
            gain += right[i] * moment[free[i]]
        if gain > best_gain:
            best_gain = gain
            weights[:] = 0.0
            for i in range(size):
                weights[free[i]] = right[i]
    return best_gain > 0.0
