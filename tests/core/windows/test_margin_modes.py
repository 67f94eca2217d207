"""The bounded memory of margin modes."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.core.windows.margin_modes import MarginModes


@pytest.mark.parametrize("together", [1, 3, 12])
def test_the_same_modes_are_forgotten_however_many_windows_close_together(together: int) -> None:
    rng = np.random.default_rng(5)
    changes = np.stack(
        [
            np.repeat(np.arange(12), 10), np.arange(120), np.arange(120),
            rng.integers(0, 40, 120) * 7919, rng.integers(0, 2, 120),
        ],
        axis=1,
    )  # fmt: skip
    modes, sums = MarginModes(8), np.zeros((12, 1), np.int64)
    for part in np.split(changes, range(10 * together, 120, 10 * together)):
        modes.count_switches(part, sums, 0)
    assert sums.sum() > 0
    reference, alone = MarginModes(8), np.zeros((12, 1), np.int64)
    for part in np.split(changes, 12):
        reference.count_switches(part, alone, 0)
    assert sums.tolist() == alone.tolist()
    assert modes.evicted == reference.evicted > 0
