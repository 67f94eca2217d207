"""Which blocks count as events of their own."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.calibration.event_peaks import EVENT_BLOCKS, EventPeaks


def by_definition(blocks: list[float], most: int) -> list[float]:
    """The heights of all peaks, looked up block by block."""
    first = max(0, len(blocks) - most)
    begin = first + EVENT_BLOCKS if len(blocks) >= most else 0
    heights = []
    for i in range(begin, len(blocks)):
        before = blocks[max(first, i - EVENT_BLOCKS) : i]
        after = blocks[i + 1 : i + 1 + EVENT_BLOCKS]
        if all(blocks[i] > other for other in before) and all(blocks[i] >= o for o in after):
            heights.append(blocks[i])
    return sorted(heights)


@pytest.mark.parametrize("levels", [3, 1000])
def test_each_peak_is_the_highest_within_a_quarter_of_an_hour_however_many_blocks(
    levels: int,
) -> None:
    blocks = np.random.default_rng(5).integers(0, levels, 120).astype(float).tolist()
    peaks = EventPeaks(most=50)
    for i, height in enumerate(blocks, 1):
        peaks.add(height)
        expected = by_definition(blocks[:i], 50)
        for level in {*blocks[:i]}:
            assert peaks.count_from(level) == sum(height >= level for height in expected)


def test_the_blocks_that_are_kept_say_all() -> None:
    blocks = np.random.default_rng(6).random(90).tolist()
    grown, rebuilt = EventPeaks(40), EventPeaks(40, blocks[50:])
    for height in blocks:
        grown.add(height)
    for level in np.linspace(0.0, 1.0, 50).tolist():
        assert grown.count_from(level) == rebuilt.count_from(level)
