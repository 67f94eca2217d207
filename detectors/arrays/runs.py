"""Runs of equal values in a sorted column."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray


def equal_runs(column: NDArray[Any]) -> list[tuple[int, int]]:
    """Where each run of equal values begins, and where it ends.

    >>> equal_runs(np.array([3, 3, 5]))
    [(0, 2), (2, 3)]
    """
    if not len(column):
        return []
    edges = np.flatnonzero(column[1:] != column[:-1]) + 1
    return list(pairwise((0, *edges.tolist(), len(column))))
