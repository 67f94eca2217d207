"""The evidence for a change, summed over all windows in which it may have begun: inlined kernels.

A row of a detector ends with `CHANGE_COLUMNS` or more numbers for each change that is looked for (a
size of burst, a factor of the odds). From window to window the log-likelihood ratio of the change
goes into two sums: its Shiryaev-Roberts sum, of which `EVIDENCE` is the logarithm, and its `CUSUM`,
which tells when the change began. Since the CUSUM's last zero: what was `OBSERVED`, what was
`EXPECTED`, and the `WINDOWS`.
"""

from __future__ import annotations

from math import exp, log

import numpy as np
from numba import njit

from detectors.stats.limits import SUM_MAX

EVIDENCE, CUSUM, OBSERVED, EXPECTED, WINDOWS, CHANGE_COLUMNS = range(6)


@njit(inline="always")
def forget_evidence(row, first, stride):  # type: ignore[no-untyped-def]
    """No change has begun yet: set the columns from `first` on, `stride` for each change."""
    row[first:] = 0.0
    for at in range(first, row.shape[0], stride):
        row[at + EVIDENCE] = -SUM_MAX


@njit(inline="always")
def keep_evidence(row, at, evidence, cusum, observed, expected):  # type: ignore[no-untyped-def]
    """Store both sums after a window, for the change whose columns begin at `at`, and what was
    observed and expected in the window. Returns whether the CUSUM is above zero."""
    row[at + EVIDENCE] = min(SUM_MAX, max(-SUM_MAX, evidence))
    row[at + CUSUM] = min(SUM_MAX, cusum)
    if row[at + CUSUM] > 0.0:
        row[at + OBSERVED] += observed
        row[at + EXPECTED] += expected
        row[at + WINDOWS] += 1.0
        return True
    row[at + OBSERVED] = row[at + EXPECTED] = row[at + WINDOWS] = 0.0
    return False


@njit(inline="always", error_model="numpy")
def log_mean_exp(sums):  # type: ignore[no-untyped-def]
    """The logarithm of the mean of exp(sums)."""
    highest = -np.inf
    for k in range(sums.shape[0]):
        highest = max(highest, sums[k])
    total = 0.0
    for k in range(sums.shape[0]):
        total += exp(sums[k] - highest)
    return highest + log(total / sums.shape[0])
