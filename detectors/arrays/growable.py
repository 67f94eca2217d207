"""Arrays that grow: one rule for how much room they get."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

DOUBLE, QUARTER_MORE = 2.0, 1.25
"""New room as a multiple of the old; a quarter more where millions of rows lie."""


def grow_rows(
    array: NDArray[Any], rows: int, fill: float = 0, growth: float = DOUBLE
) -> NDArray[Any]:
    """The array with at least `rows` rows; itself where it has them. New rows hold `fill`."""
    have = len(array)
    if rows <= have:
        return array
    room = max(rows, int(have * growth))
    more = np.full((room - have, *array.shape[1:]), fill, array.dtype)
    return np.concatenate((array, more))
