"""Least squares with weights that may not be negative, for four unknowns.

With so few unknowns the exact answer is the best of the 15 sets of weights that are free to be
positive. Plain floats in a fixed order: the same on every machine, which BLAS is not.
"""

from __future__ import annotations

from collections.abc import Sequence

UNKNOWNS = 4
RIDGE = 1e-9
"""Added to the diagonal, relative to its mean, so that equal columns do not divide by zero."""
_AT = [[0, 1, 2, 3], [1, 4, 5, 6], [2, 5, 7, 8], [3, 6, 8, 9]]
_SETS = [[i for i in range(UNKNOWNS) if mask >> i & 1] for mask in range(1, 2**UNKNOWNS)]


def nnls(gram: Sequence[float], moment: Sequence[float]) -> list[float] | None:
    """Minimise wᵀGw - 2hᵀw over w ≥ 0.

    Parameters
    ----------
    gram
        The upper triangle of G by rows, 10 numbers.
    moment
        h, 4 numbers.

    Returns
    -------
    The four weights, or None when nothing but zero was ever seen.

    >>> [round(w, 6) for w in nnls([1, 0, 0, 0, 1, 0, 0, 1, 0, 1], [0.5, -1, 0.25, 0])]
    [0.5, 0.0, 0.25, 0.0]

    References
    ----------
    Lawson, Hanson, "Solving Least Squares Problems" (1974), chapter 23, for the problem.
    """
    ridge = RIDGE * (gram[0] + gram[4] + gram[7] + gram[9]) / UNKNOWNS
    if ridge <= 1e-300:
        return None
    best, best_gain = [0.0] * UNKNOWNS, 0.0
    for free in _SETS:
        rows = [[gram[_AT[i][j]] + (ridge if i == j else 0.0) for j in free] for i in free]
        found = _solve(rows, [moment[i] for i in free])
        if found is None or min(found) < 0.0:
            continue
        # At a stationary point the objective is -hᵀw.
        gain = sum(w * moment[i] for w, i in zip(found, free, strict=True))
        if gain > best_gain:
            best_gain = gain
            best = [0.0] * UNKNOWNS
            for w, i in zip(found, free, strict=True):
                best[i] = round(w, 9)
    return best


def _solve(rows: list[list[float]], right: list[float]) -> list[float] | None:
    """Gauss's elimination of a positive definite system; None where it is singular."""
    size = len(right)
    for i in range(size):
        if rows[i][i] <= 0.0:
            return None
        for j in range(i + 1, size):
            factor = rows[j][i] / rows[i][i]
            for k in range(i, size):
                rows[j][k] -= factor * rows[i][k]
            right[j] -= factor * right[i]
    for i in range(size - 1, -1, -1):
        right[i] = (right[i] - sum(rows[i][k] * right[k] for k in range(i + 1, size))) / rows[i][i]
    return right
