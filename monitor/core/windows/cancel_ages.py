"""How long a cancelled order lived: its cancel meets the placement, which came by another topic."""

from __future__ import annotations

import numpy as np
from numba import njit, uint64

from detectors.arrays.columns import column_numbers
from detectors.arrays.hash_table import EMPTY, empty_slot, first_slot, next_slot
from detectors.arrays.types import I2, INT32_1
from monitor.core.contract.units import SECOND_NS
from monitor.core.windows.accumulators import add_age
from monitor.core.windows.columns import PLACEMENT_COLUMNS, UNAGED_CANCEL_COLUMNS

_UNAGED = column_numbers(UNAGED_CANCEL_COLUMNS)
_PLACEMENT = column_numbers(PLACEMENT_COLUMNS)


@njit((I2, I2, INT32_1, I2), cache=True, nogil=True)
def add_ages(placements, cancels, table, sums):  # type: ignore[no-untyped-def]
    """Give each cancel the age since the last placement of its order that is not after it.

    An order placed more than a second before the window is not among the placements: the age of
    such a cancel counts as over one second, which is all that is asked. `table`: an empty one for
    as many entries as there are placements.
    """
    for i in range(placements.shape[0]):
        table[empty_slot(table, uint64(placements[i, _PLACEMENT.order]))] = i
    for i in range(cancels.shape[0]):
        order, ts = cancels[i, _UNAGED.order], cancels[i, _UNAGED.ts]
        placed = np.int64(-1)
        slot = first_slot(table, uint64(order))
        while table[slot] != EMPTY:
            p = placements[table[slot]]
            if p[_PLACEMENT.order] == order and p[_PLACEMENT.ts] <= ts:
                placed = max(placed, p[_PLACEMENT.ts])
            slot = next_slot(table, slot)
        age = ts - placed if placed >= 0 else np.int64(2 * SECOND_NS)
        add_age(sums[cancels[i, _UNAGED.row]], age)
