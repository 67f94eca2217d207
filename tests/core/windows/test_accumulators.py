"""Integer arithmetic of the accumulators."""

from __future__ import annotations

import math

import numpy as np
import pytest

from monitor.core.windows.accumulators import doublings
from monitor.core.windows.columns import DOUBLING_UNITS


def test_doublings_are_log2_to_four_parts_in_a_million() -> None:
    rng = np.random.default_rng(1)
    for new, old in rng.integers(1, 2 ** rng.integers(1, 62, (500, 2))).tolist():
        assert doublings(new, old) / DOUBLING_UNITS == pytest.approx(math.log2(new / old), abs=4e-6)
        assert doublings(new, old) == -doublings(old, new)
