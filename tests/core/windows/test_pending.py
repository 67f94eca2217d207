"""What waits for its window to close."""

from __future__ import annotations

import numpy as np

from monitor.core.windows.pending import PendingRows


def test_closed_rows_come_out_by_place_and_the_others_follow_their_slots() -> None:
    rng = np.random.default_rng(5)
    for _ in range(50):
        slots = int(rng.integers(1, 9))
        fate = rng.integers(0, 3, slots)  # closes, stays, is forgotten
        place, remap = np.full(slots, -1), np.full(slots, -1)
        closes = np.flatnonzero(fate == 0)
        place[closes] = rng.permutation(len(closes))
        remap[fate == 1] = np.arange(int((fate == 1).sum()))
        parts = [rng.integers(0, slots, (int(rng.integers(0, 20)), 2)) for _ in range(3)]
        waiting = PendingRows(("row", "what"))
        for part in parts:
            waiting.add(part)
        rows = np.concatenate(parts).tolist()
        closed = waiting.take_closed(place, remap)
        expected = [[place[row], what] for row, what in rows if fate[row] == 0]
        assert closed.tolist() == sorted(expected, key=lambda pair: pair[0])
        assert waiting.rows.tolist() == [[remap[row], what] for row, what in rows if fate[row] == 1]
